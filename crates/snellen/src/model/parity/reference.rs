//! A reference on disk: what it holds, what it says of itself, and its inputs against what the model makes of them.

use super::{Compared, IdParity, Made, PixelParity, Weights};
use crate::engine::Tensor;
use crate::model::checkpoint::Checkpoint;
use crate::model::preprocess::Agreement;
use crate::model::{Decoded, Model, Pixels, VisionConfig};
use crate::{Error, Result};
use ring::digest::{Context, SHA256};
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

/// The token ids of a reference.
pub(super) const IDS: &str = "input.input_ids";
/// Which of them are seen.
const MASK: &str = "input.attention_mask";
/// Rows and columns of the patches of every image.
const GRIDS: &str = "input.spatial_shapes";
/// The pixels.
const PIXELS: &str = "input.pixel_values";
/// The longest piece of text that is repeated from a file, in characters.
const LONGEST: usize = 200;

pub(super) struct Reference {
    file: Checkpoint,
    place: String,
}

impl Reference {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = Checkpoint::open(path)?;
        let place = path.display().to_string();
        match file.metadata.get("format").map(String::as_str) {
            Some("snellen-reference") => Ok(Self { file, place }),
            other => {
                let expected = "a reference, with `format`: `snellen-reference` in its metadata";
                Err(Error::mismatch(place, expected, other.map_or("none".to_owned(), |o| format!("`{}`", clean(o)))))
            }
        }
    }

    /// Everything but inputs and logits.
    pub(super) fn sites(&self) -> impl Iterator<Item = &String> {
        self.file.names().filter(|name| !name.starts_with("input.") && *name != "logits_per_image")
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.file.holds(name)
    }

    /// A piece of the metadata, without control characters and of bounded length.
    fn says(&self, key: &str) -> Option<String> {
        self.file.metadata.get(key).map(|text| clean(text)).filter(|text| !text.is_empty())
    }

    pub(super) fn made(&self) -> Made {
        let versions = self.file.metadata.get("versions");
        let versions: BTreeMap<String, String> =
            versions.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        Made {
            source: self.says("source").unwrap_or_else(|| "unknown".to_owned()),
            processor: self.says("processor"),
            backend: self.says("backend"),
            tokenizer: self.says("tokenizer"),
            versions: versions.into_iter().map(|(name, version)| (clean(&name), clean(&version))).collect(),
        }
    }

    /// Why the reference lacks its `kind` of input, as it says itself, else `otherwise`.
    pub(super) fn why(&self, kind: &str, otherwise: &str) -> String {
        self.says(&format!("without_{kind}")).unwrap_or_else(|| otherwise.to_owned())
    }

    /// A tensor of f32, whatever its values; `None` where there is none.
    pub(super) fn floats(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let Some((shape, bytes)) = self.file.bytes(name, Dtype::F32)? else { return Ok(None) };
        Ok(Some((shape, bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())))
    }

    /// The pixels that the model is given.
    pub(super) fn pixels(&self, vision: &VisionConfig) -> Result<Pixels<f32>> {
        if vision.is_flexible() { self.patches(vision.patches(), vision.values()) } else { self.squares(vision.image) }
    }

    /// Patches of pictures of any shape, `[image, patch, value]`.
    fn patches(&self, patches: usize, values: usize) -> Result<Pixels<f32>> {
        let (Some((shape, pixels)), Some(grids)) = (self.floats(PIXELS)?, self.rows(GRIDS)?) else {
            return Err(Error::mismatch(&self.place, format!("tensors `{PIXELS}` and `{GRIDS}`"), "not both"));
        };
        if shape.len() != 3 || shape[0] == 0 || shape[1..] != [patches, values] {
            let place = format!("{}: tensor `{PIXELS}`", self.place);
            return Err(Error::mismatch(place, format!("shape [images, {patches}, {values}]"), format!("{shape:?}")));
        }
        let pair = |row: &Vec<u32>| <[u32; 2]>::try_from(row.as_slice()).ok().map(|pair| pair.map(|n| n as usize));
        let grids: Option<Vec<[usize; 2]>> = grids.iter().map(pair).collect();
        let place = format!("{}: tensor `{GRIDS}`", self.place);
        let grids = grids.ok_or_else(|| Error::mismatch(place, "rows and columns for every image", "others"))?;
        Ok(Pixels { values: Tensor::new(shape, pixels), grids })
    }

    /// Squares, `[image, 3, side, side]`.
    fn squares(&self, side: usize) -> Result<Pixels<f32>> {
        let Some((shape, values)) = self.floats(PIXELS)? else {
            return Err(Error::mismatch(&self.place, format!("a tensor `{PIXELS}`"), "no such tensor"));
        };
        if shape.len() != 4 || shape[0] == 0 || shape[1..] != [3, side, side] {
            let place = format!("{}: tensor `{PIXELS}`", self.place);
            return Err(Error::mismatch(place, format!("shape [images, 3, {side}, {side}]"), format!("{shape:?}")));
        }
        Ok(Tensor::new(shape, values).into())
    }

    /// Rows of whole numbers, `[text, token]`.
    fn rows(&self, name: &str) -> Result<Option<Vec<Vec<u32>>>> {
        let Some((shape, bytes)) = self.file.bytes(name, Dtype::I64)? else { return Ok(None) };
        let place = || format!("{}: tensor `{name}`", self.place);
        let &[rows, tokens] = &shape[..] else {
            return Err(Error::mismatch(place(), "shape [texts, tokens]", format!("{shape:?}")));
        };
        if rows == 0 || tokens == 0 {
            return Err(Error::mismatch(place(), "at least one text of one token", format!("{shape:?}")));
        }
        let id = |b: &[u8; 8]| {
            let id = i64::from_le_bytes(*b);
            u32::try_from(id).map_err(|_| Error::mismatch(place(), "token ids", id))
        };
        let ids = bytes.as_chunks().0.iter().map(id).collect::<Result<Vec<_>>>()?;
        Ok(Some(ids.chunks(tokens).map(<[u32]>::to_vec).collect()))
    }

    pub(super) fn ids(&self) -> Result<Option<Vec<Vec<u32>>>> {
        self.rows(IDS)
    }

    /// Which of the ids in `rows` attention sees, where the reference says so.
    pub(super) fn mask(&self, rows: &[Vec<u32>]) -> Result<Option<Vec<Vec<bool>>>> {
        let Some(mask) = self.rows(MASK)? else { return Ok(None) };
        let fits = mask.len() == rows.len() && mask.iter().zip(rows).all(|(mask, row)| mask.len() == row.len());
        if !fits || mask.iter().flatten().any(|seen| *seen > 1) {
            let place = format!("{}: tensor `{MASK}`", self.place);
            return Err(Error::mismatch(place, format!("0 or 1 for each of `{IDS}`"), "others"));
        }
        Ok(Some(mask.into_iter().map(|row| row.into_iter().map(|seen| seen == 1).collect()).collect()))
    }

    /// Prepares the reference's pictures and compares the result with its pixels.
    pub(super) fn compare_pictures(&self, model: &Model, pixels: &Pixels<f32>) -> Result<Compared<PixelParity>> {
        let (preprocessing, values) = (&model.preprocessing, model.preprocessing.values());
        let (mut pictures, mut max_steps, mut exact) = (0, 0.0_f64, 0);
        let mut backends: Vec<Agreement> = Vec::new();
        for expected in pixels.values.data().chunks(values) {
            let name = format!("input.picture.{pictures}");
            let Some((shape, bytes)) = self.file.bytes(&name, Dtype::U8)? else { break };
            let &[height, width, 3] = &shape[..] else {
                let place = format!("{}: tensor `{name}`", self.place);
                return Err(Error::mismatch(place, "shape [height, width, 3]", format!("{shape:?}")));
            };
            let picture = Decoded::from_rgb([height, width], bytes);
            let got = preprocessing.apply(&picture)?;
            // Patches of other rows and columns agree in nothing.
            if preprocessing.grid([height, width]) != pixels.grids.get(pictures).copied() {
                max_steps = f64::INFINITY;
            }
            for (i, (x, y)) in got.iter().zip(expected).enumerate() {
                let step = preprocessing.rescale / preprocessing.std[preprocessing.channel(i)];
                let steps = ((x - y).abs() as f64 / step).abs();
                exact += usize::from(steps < 1e-3);
                max_steps = if steps.is_nan() { f64::INFINITY } else { max_steps.max(steps) };
            }
            let each = preprocessing.agreements(&picture, expected)?;
            let sum = |(k, of): (usize, Agreement)| backends.get(k).map_or(of, |before| before.and(of));
            backends = each.into_iter().enumerate().map(sum).collect();
            pictures += 1;
        }
        if pictures == 0 {
            return Ok(Compared::NotCompared(self.why("pixels", "the reference holds no pictures")));
        }
        let all = pixels.values.dim(0);
        if pictures < all {
            return Ok(Compared::NotCompared(format!("the reference holds {pictures} of the {all} pictures")));
        }
        let exact = exact as f64 / (pictures * values) as f64;
        let made_by = Agreement::made_by(&backends);
        Ok(Compared::Found(PixelParity { pictures, max_steps, exact, backends, made_by }))
    }

    /// Tokenises the reference's captions and compares ids and mask with its own: whole rows, or up to the end of each text where
    /// nothing behind it is seen.
    pub(super) fn compare_captions(
        &self,
        model: &Model,
        expected: &[Vec<u32>],
        mask: Option<&[Vec<bool>]>,
    ) -> Result<Compared<IdParity>> {
        let Some(json) = self.file.metadata.get("captions") else {
            return Ok(Compared::NotCompared(self.why("ids", "the reference holds no captions")));
        };
        let place = || format!("{}: metadata `captions`", self.place);
        let captions: Vec<String> = serde_json::from_str(json).map_err(|e| Error::malformed(place(), e))?;
        if captions.len() != expected.len() {
            return Err(Error::mismatch(place(), format!("{} captions", expected.len()), captions.len()));
        }
        let Some(tokenizer) = &model.tokenizer else {
            return Ok(Compared::NotCompared("the model's folder holds no tokenizer".to_owned()));
        };
        let mut same = 0;
        for (row, (caption, expected)) in captions.iter().zip(expected).enumerate() {
            let got = tokenizer.encode_truncated(&[caption])?;
            same += usize::from(if model.config.text()?.sees_padding() {
                let all = vec![true; expected.len()];
                let seen = mask.map_or(&all[..], |mask| &mask[row]);
                got.ids() == expected.as_slice() && got.mask().unwrap_or(&all) == seen
            } else {
                let end = got.ends()[0] + 1;
                expected.get(..end) == Some(&got.ids()[..end])
            });
        }
        Ok(Compared::Found(IdParity { captions: captions.len(), same }))
    }

    /// Whether the files of weights in `folder` are those that the reference was made from, by their SHA-256.
    pub(super) fn compare_weights(&self, folder: &Path) -> Result<Weights> {
        let Some(json) = self.file.metadata.get("weights") else {
            return Ok(Weights::Unknown("the reference names no files of weights".to_owned()));
        };
        let place = format!("{}: metadata `weights`", self.place);
        let files: BTreeMap<String, String> = serde_json::from_str(json).map_err(|e| Error::malformed(place, e))?;
        let plain = |name: &str| matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        let here = files.iter().filter(|(name, _)| plain(name) && folder.join(name).is_file());
        let mut compared = 0;
        for (name, expected) in here {
            if sha256(&folder.join(name))? != *expected {
                return Ok(Weights::Other(clean(name)));
            }
            compared += 1;
        }
        Ok(if compared > 0 && compared == files.len() {
            Weights::Same
        } else {
            Weights::Unknown("the model's files of weights are called otherwise than the reference's".to_owned())
        })
    }
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let (mut context, mut piece) = (Context::new(&SHA256), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).map_err(Error::io(path))? {
            0 => return Ok(data_encoding::HEXLOWER.encode(context.finish().as_ref())),
            read => context.update(&piece[..read]),
        }
    }
}

/// What may be shown of a text from a file.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}
