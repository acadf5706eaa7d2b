//! A model against a reference: what another program made of the same checkpoint, site by site.
//!
//! A reference is a safetensors file, as `scripts/dump_reference.py` writes it: pictures and captions, the pixels and token ids that
//! the other program made of them, and every activation under its site's name. Only the sites that it holds are compared, one
//! at a time, so that memory holds one of them.

use super::checkpoint::Checkpoint;
use super::tokenizer::Tokens;
use super::{ActivationMut, Decoded, Hook, Model, Site, Tower};
use crate::engine::{Tape, Tensor};
use crate::{Error, Result};
use safetensors::Dtype;
use serde::Serialize;
use std::path::Path;

/// How a model compares with a reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parity {
    /// Program and version that made the reference, as it says itself.
    pub source: String,
    /// What the largest error may be, in root mean squares of the reference.
    pub tolerance: f64,
    /// Pictures against pixels, where the reference holds pictures.
    pub pixels: Option<PixelParity>,
    /// Captions against token ids, where the reference holds captions.
    pub captions: Option<CaptionParity>,
    /// In the order of the forward.
    pub sites: Vec<SiteParity>,
    /// Names in the reference that are no site of the model.
    pub unknown: Vec<String>,
}

/// Preprocessed pictures against the reference's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PixelParity {
    /// How many pictures.
    pub pictures: usize,
    /// The largest error, in steps of 1/255 before normalisation.
    pub max_steps: f64,
    /// Share of the values that are within a thousandth of a step.
    pub exact: f64,
}

/// Captions' token ids against the reference's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaptionParity {
    /// How many captions.
    pub captions: usize,
    /// How many get the same ids.
    pub same: usize,
}

/// One site against the reference's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteParity {
    /// The site's name.
    pub site: String,
    /// Its shape in the reference.
    pub shape: Vec<usize>,
    /// The model's, where it is another.
    pub other_shape: Option<Vec<usize>>,
    /// Largest absolute error; infinite where one side is not finite and the other differs.
    pub max_error: f64,
    /// Root mean square of the reference's finite values.
    pub rms: f64,
    /// `max_error / rms`.
    pub relative: f64,
}

impl Parity {
    /// Whether all that was compared agrees: sites within the tolerance, pixels within one step and all but one in a thousand of
    /// them exact, token ids the same, and nothing unknown.
    pub fn holds(&self) -> bool {
        self.unknown.is_empty()
            && self.sites.iter().all(|site| site.agrees(self.tolerance))
            && self.pixels.as_ref().is_none_or(PixelParity::agrees)
            && self.captions.as_ref().is_none_or(|captions| captions.same == captions.captions)
    }
}

impl PixelParity {
    /// At most one step off anywhere, and 99.9 % exact.
    pub fn agrees(&self) -> bool {
        self.max_steps <= 1.001 && self.exact >= 0.999
    }
}

impl SiteParity {
    /// Whether shapes are the same and the largest error is within `tolerance` root mean squares.
    pub fn agrees(&self, tolerance: f64) -> bool {
        self.other_shape.is_none() && self.max_error <= tolerance * self.rms
    }
}

/// Runs the inputs of the reference at `path` through `model`.
///
/// # Errors
/// When the reference is malformed, or has no input that the model takes.
pub fn parity(model: &Model, path: &Path, tolerance: f64) -> Result<Parity> {
    if !(tolerance.is_finite() && tolerance > 0.0) {
        return Err(Error::mismatch("tolerance", "a number above 0", tolerance));
    }
    let reference = Reference::open(path)?;
    let sites = [Site::all(&model.config, Tower::Vision), Site::all(&model.config, Tower::Text)].concat();
    let unknown: Vec<String> =
        reference.sites().filter(|name| sites.iter().all(|site| site.to_string() != **name)).cloned().collect();
    let pixels = reference.floats("input.pixel_values")?;
    let Some((shape, values)) = pixels else {
        return Err(Error::mismatch(path.display(), "a tensor `input.pixel_values`", "no such tensor"));
    };
    let side = model.config.vision.image;
    if shape.len() != 4 || shape[0] == 0 || shape[1..] != [3, side, side] {
        let place = format!("{}: tensor `input.pixel_values`", path.display());
        return Err(Error::mismatch(place, format!("shape [images, 3, {side}, {side}]"), format!("{shape:?}")));
    }
    let compared = reference.pictures(model, &shape, &values)?;
    let mut hook = Compare { reference: &reference, found: Vec::new() };
    let mut tape = Tape::off();
    model.towers.embed_images(&mut tape, &Tensor::new(shape, values), &mut hook)?;
    let captions = match reference.ids()? {
        Some(rows) if model.config.text.is_some() => {
            let captions = reference.captions(model, &rows)?;
            let place = format!("{}: tensor `{IDS}`", path.display());
            let tokens = Tokens::new(&rows, model.config.text()?, &place)?;
            model.towers.embed_texts(&mut tape, &tokens, &mut hook)?;
            captions
        }
        _ => None,
    };
    if let Some(site) = reference.sites().find(|name| !unknown.contains(name) && !hook.has(name)) {
        let place = format!("{}: tensor `{site}`", path.display());
        return Err(Error::mismatch(place, format!("a tensor `{IDS}` to compute it from"), "no such tensor"));
    }
    if hook.found.is_empty() {
        return Err(Error::mismatch(path.display(), "a site of this model to compare", "none"));
    }
    let source = reference.file.metadata.get("source").cloned().unwrap_or_else(|| "unknown".to_owned());
    Ok(Parity { source, tolerance, pixels: compared, captions, sites: hook.found, unknown })
}

/// The token ids of a reference.
const IDS: &str = "input.input_ids";

/// A reference on disk.
struct Reference {
    file: Checkpoint,
    place: String,
}

impl Reference {
    fn open(path: &Path) -> Result<Self> {
        let file = Checkpoint::open(path)?;
        let place = path.display().to_string();
        match file.metadata.get("format").map(String::as_str) {
            Some("snellen-reference") => Ok(Self { file, place }),
            other => {
                let expected = "a reference, with `format`: `snellen-reference` in its metadata";
                Err(Error::mismatch(place, expected, other.map_or("none".to_owned(), |o| format!("`{o}`"))))
            }
        }
    }

    /// Everything but inputs and logits.
    fn sites(&self) -> impl Iterator<Item = &String> {
        self.file.names().filter(|name| !name.starts_with("input.") && *name != "logits_per_image")
    }

    /// A tensor of f32, whatever its values; `None` where there is none.
    fn floats(&self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let Some((shape, bytes)) = self.file.bytes(name, Dtype::F32)? else { return Ok(None) };
        Ok(Some((shape, bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())))
    }

    fn ids(&self) -> Result<Option<Vec<Vec<u32>>>> {
        let Some((shape, bytes)) = self.file.bytes(IDS, Dtype::I64)? else { return Ok(None) };
        let place = || format!("{}: tensor `{IDS}`", self.place);
        let &[rows, tokens] = &shape[..] else {
            return Err(Error::mismatch(place(), "shape [texts, tokens]", format!("{shape:?}")));
        };
        if rows == 0 || tokens == 0 {
            return Err(Error::mismatch(place(), "at least one text of one token", format!("{shape:?}")));
        }
        let id = |b: &[u8]| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        let id = |b: &[u8]| u32::try_from(id(b)).map_err(|_| Error::mismatch(place(), "token ids", id(b)));
        let ids = bytes.chunks_exact(8).map(id).collect::<Result<Vec<_>>>()?;
        Ok(Some(ids.chunks(tokens).map(<[u32]>::to_vec).collect()))
    }

    /// Prepares the reference's pictures and compares the result with its pixels.
    fn pictures(&self, model: &Model, shape: &[usize], expected: &[f32]) -> Result<Option<PixelParity>> {
        let preprocessing = &model.preprocessing;
        let (plane, mut pictures, mut max_steps, mut exact) = (shape[2] * shape[3], 0, 0.0_f64, 0);
        for expected in expected.chunks(3 * plane) {
            let name = format!("input.picture.{pictures}");
            let Some((shape, bytes)) = self.file.bytes(&name, Dtype::U8)? else { break };
            let &[height, width, 3] = &shape[..] else {
                let place = format!("{}: tensor `{name}`", self.place);
                return Err(Error::mismatch(place, "shape [height, width, 3]", format!("{shape:?}")));
            };
            let picture = Decoded::from_rgb([height, width], bytes);
            let got = preprocessing.apply(&picture)?;
            for (i, (x, y)) in got.iter().zip(expected).enumerate() {
                let step = preprocessing.rescale / preprocessing.std[i / plane];
                let steps = ((x - y).abs() as f64 / step).abs();
                exact += usize::from(steps < 1e-3);
                max_steps = if steps.is_nan() { f64::INFINITY } else { max_steps.max(steps) };
            }
            pictures += 1;
        }
        let exact = exact as f64 / (pictures * 3 * plane) as f64;
        Ok((pictures > 0).then_some(PixelParity { pictures, max_steps, exact }))
    }

    /// Tokenises the reference's captions and compares the ids with its own, up to the end of each text where nothing behind it is
    /// seen.
    fn captions(&self, model: &Model, expected: &[Vec<u32>]) -> Result<Option<CaptionParity>> {
        let Some(json) = self.file.metadata.get("captions") else { return Ok(None) };
        let place = || format!("{}: metadata `captions`", self.place);
        let captions: Vec<String> = serde_json::from_str(json).map_err(|e| Error::malformed(place(), e))?;
        if captions.len() != expected.len() {
            return Err(Error::mismatch(place(), format!("{} captions", expected.len()), captions.len()));
        }
        let Some(tokenizer) = &model.tokenizer else { return Ok(None) };
        let mut same = 0;
        for (caption, expected) in captions.iter().zip(expected) {
            let got = tokenizer.encode_truncated(&[caption])?;
            let seen = if model.config.text()?.sees_padding() { got.length() } else { got.ends()[0] + 1 };
            same += usize::from(expected.get(..seen) == Some(&got.ids()[..seen]));
        }
        Ok(Some(CaptionParity { captions: captions.len(), same }))
    }
}

/// Compares every site that the reference holds.
struct Compare<'a> {
    reference: &'a Reference,
    found: Vec<SiteParity>,
}

impl Compare<'_> {
    fn has(&self, name: &str) -> bool {
        self.found.iter().any(|found| found.site == name)
    }
}

impl Hook for Compare<'_> {
    fn wants(&self, site: Site) -> bool {
        self.reference.file.holds(&site.to_string())
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let name = site.to_string();
        let Some((shape, expected)) = self.reference.floats(&name)? else { return Ok(()) };
        let other_shape = (shape != x.shape).then(|| x.shape.to_vec());
        let (mut squares, mut finite, mut max_error) = (0.0, 0usize, 0.0_f64);
        for (got, expected) in x.data.iter().zip(&expected) {
            let (got, expected) = (*got as f64, *expected as f64);
            if expected.is_finite() {
                squares += expected * expected;
                finite += 1;
            }
            #[expect(clippy::float_cmp, reason = "equal infinities agree")]
            let error = if got == expected { 0.0 } else { (got - expected).abs() };
            max_error = if error.is_nan() { f64::INFINITY } else { max_error.max(error) };
        }
        let rms = (squares / finite.max(1) as f64).sqrt();
        let relative = if max_error == 0.0 { 0.0 } else { max_error / rms };
        self.found.push(SiteParity { site: name, shape, other_shape, max_error, rms, relative });
        Ok(())
    }
}
