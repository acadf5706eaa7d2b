//! From pictures to pixels, as `preprocessor_config.json` says and as PIL does it.

use super::resample::resample;
use crate::scene::mask::Region;
use crate::{Error, Result};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// How a picture becomes the model's input. Recorded in every run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Resampling filter.
    pub filter: Filter,
    /// What the resampling aims at; `None` leaves the size alone.
    pub resize: Option<Resize>,
    /// Height and width of the centre crop, in pixels.
    pub crop: Option<[usize; 2]>,
    /// Factor from 0-255 to the range that `mean` and `std` speak of.
    pub rescale: f64,
    /// Per channel, red first.
    pub mean: [f64; 3],
    /// Per channel, red first.
    pub std: [f64; 3],
    /// Height and width of the result, in pixels.
    pub image: usize,
}

/// A resampling filter of PIL, antialiased when shrinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// PIL's 0.
    Nearest,
    /// PIL's 1.
    Lanczos,
    /// PIL's 2.
    Bilinear,
    /// PIL's 3 (a = -0.5).
    Bicubic,
}

/// A target size, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The shorter side becomes this; the aspect ratio stays, the longer side is rounded down.
    ShortestEdge(usize),
    /// Height and width, whatever the aspect ratio was.
    Squash([usize; 2]),
}

impl Preprocessing {
    /// Reads `preprocessor_config.json` in `folder`; its result must be `image` pixels high and wide.
    pub fn read(folder: &Path, image: usize) -> Result<Self> {
        let path = folder.join("preprocessor_config.json");
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|e| Error::malformed(path.display(), e))?;
        Self::parse_at(&json, &path.display().to_string(), image)
    }

    /// shim
    pub fn parse(json: &Value, place: &str) -> Result<Self> {
        let image = json.get("crop_size").and_then(|c| c.get("height")).and_then(Value::as_u64).unwrap_or(0);
        Self::parse_at(json, place, image as usize)
    }
    /// shim
    pub fn parse_open_clip(_json: &Value, place: &str) -> Result<Self> {
        Err(Error::mismatch(place, "shim", "shim"))
    }
    /// shim
    pub fn named(name: &str, _image: usize) -> Result<Self> {
        Err(Error::mismatch(name, "shim", "shim"))
    }

    fn parse_at(json: &Value, place: &str, image: usize) -> Result<Self> {
        let at = |key: &str| format!("{place}: `{key}`");
        let get =
            |key: &str| json.get(key).ok_or_else(|| Error::mismatch(place, format!("the key `{key}`"), "no such key"));
        let flag = |key: &str| {
            let value = get(key)?;
            value.as_bool().ok_or_else(|| Error::mismatch(at(key), "true or false", value))
        };
        let triple = |key: &str| -> Result<[f64; 3]> {
            let value = get(key)?;
            let list: Option<Vec<f64>> = value.as_array().and_then(|l| l.iter().map(Value::as_f64).collect());
            list.and_then(|l| l.try_into().ok())
                .filter(|t: &[f64; 3]| {
                    t.iter().all(|x| x.is_finite()) && (key != "image_std" || t.iter().all(|x| *x > 0.0))
                })
                .ok_or_else(|| Error::mismatch(at(key), "three numbers, those of image_std above 0", value))
        };
        let filter = match json.get("resample").and_then(Value::as_u64) {
            Some(0) => Filter::Nearest,
            Some(1) => Filter::Lanczos,
            Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            _ => {
                return Err(Error::mismatch(
                    at("resample"),
                    "0, 1, 2 or 3",
                    json.get("resample").unwrap_or(&Value::Null),
                ));
            }
        };
        let resize = if flag("do_resize")? {
            let value = get("size")?;
            let edge = value.as_u64().or_else(|| value.get("shortest_edge").and_then(Value::as_u64));
            Some(match edge {
                Some(edge) => Resize::ShortestEdge(length(edge, &at("size"))?),
                None => Resize::Squash(sides(value, &at("size"))?),
            })
        } else {
            None
        };
        let crop = if flag("do_center_crop")? {
            let value = get("crop_size")?;
            Some(match value.as_u64() {
                Some(edge) => [length(edge, &at("crop_size"))?; 2],
                None => sides(value, &at("crop_size"))?,
            })
        } else {
            None
        };
        let result = crop.or(match resize {
            Some(Resize::Squash(sides)) => Some(sides),
            _ => None,
        });
        if result != Some([image; 2]) {
            let got = result.map_or("any size".to_owned(), |[h, w]| format!("{h} x {w}"));
            return Err(Error::mismatch(
                place,
                format!("a result of {image} x {image} pixels, the model's image_size"),
                got,
            ));
        }
        // Older files have no `do_rescale`: then the factor is what it always was in them.
        let do_rescale = json
            .get("do_rescale")
            .map(|v| v.as_bool().ok_or_else(|| Error::mismatch(at("do_rescale"), "true or false", v)))
            .transpose()?;
        let rescale = match do_rescale {
            None => 1.0 / 255.0,
            Some(true) => {
                let value = get("rescale_factor")?;
                value
                    .as_f64()
                    .filter(|x| x.is_finite())
                    .ok_or_else(|| Error::mismatch(at("rescale_factor"), "a number", value))?
            }
            Some(false) => 1.0,
        };
        let (mean, std) =
            if flag("do_normalize")? { (triple("image_mean")?, triple("image_std")?) } else { ([0.0; 3], [1.0; 3]) };
        Ok(Self { filter, resize, crop, rescale, mean, std, image })
    }

    /// The JSON that [`Preprocessing::read`] and `transformers` read.
    pub fn to_json(&self) -> Value {
        let resample = match self.filter {
            Filter::Nearest => 0,
            Filter::Lanczos => 1,
            Filter::Bilinear => 2,
            Filter::Bicubic => 3,
        };
        let size = match self.resize {
            Some(Resize::ShortestEdge(edge)) => serde_json::json!({"shortest_edge": edge}),
            Some(Resize::Squash([height, width])) => serde_json::json!({"height": height, "width": width}),
            None => Value::Null,
        };
        serde_json::json!({
            "image_processor_type": "CLIPImageProcessor", "do_convert_rgb": true,
            "do_resize": self.resize.is_some(), "size": size, "resample": resample,
            "do_center_crop": self.crop.is_some(),
            "crop_size": self.crop.map(|[height, width]| serde_json::json!({"height": height, "width": width})),
            "do_rescale": true, "rescale_factor": self.rescale,
            "do_normalize": true, "image_mean": self.mean, "image_std": self.std,
        })
    }

    /// `picture` -> `3 * image * image` values, channel by channel in reading order.
    pub fn apply(&self, picture: &RgbImage) -> Result<Vec<f32>> {
        let (mut h, mut w) = (picture.height() as usize, picture.width() as usize);
        let mut pixels = picture.as_raw().clone();
        let [to_h, to_w] = self.resized(h, w);
        if [to_h, to_w] != [h, w] {
            if to_h.max(to_w) as u64 > LARGEST {
                let expected = format!("sides of at most {LARGEST} pixels after resizing");
                return Err(Error::mismatch("picture", expected, format!("{to_h} x {to_w}")));
            }
            pixels = resample(&pixels, [h, w], [to_h, to_w], self.filter);
            (h, w) = (to_h, to_w);
        }
        let mut out = vec![0.0; 3 * self.image * self.image];
        let (top, left) = (self.start(h), self.start(w));
        for channel in 0..3 {
            for row in 0..self.image {
                for column in 0..self.image {
                    let (y, x) = (row as i64 + top, column as i64 + left);
                    let inside = (0..h as i64).contains(&y) && (0..w as i64).contains(&x);
                    let value = if inside { pixels[(y as usize * w + x as usize) * 3 + channel] } else { 0 };
                    let value = (value as f64 * self.rescale) as f32;
                    out[(channel * self.image + row) * self.image + column] =
                        (value - self.mean[channel] as f32) / self.std[channel] as f32;
                }
            }
        }
        Ok(out)
    }

    /// The part of a picture of `width` x `height` pixels that the result shows, in the picture's own pixels; it reaches beyond
    /// a picture that is padded.
    pub fn region(&self, width: usize, height: usize) -> Region {
        let [to_h, to_w] = self.resized(height, width);
        let (across, down) = (width as f64 / to_w as f64, height as f64 / to_h as f64);
        Region {
            x: self.start(to_w) as f64 * across,
            y: self.start(to_h) as f64 * down,
            width: self.image as f64 * across,
            height: self.image as f64 * down,
        }
    }

    /// What the result shows of `picture`, in the picture's own pixels, without any padding.
    pub fn shown(&self, picture: &RgbImage) -> RgbImage {
        let (w, h) = (picture.width(), picture.height());
        let Region { x, y, width, height } = self.region(w as usize, h as usize);
        let side = |start: f64, length: f64, limit: u32| {
            let (from, to) = (start.max(0.0) as u32, ((start + length).min(limit as f64)) as u32);
            (from, to.saturating_sub(from).max(1))
        };
        let ((x, width), (y, height)) = (side(x, width, w), side(y, height, h));
        image::imageops::crop_imm(picture, x, y, width, height).to_image()
    }

    /// Height and width after resizing.
    fn resized(&self, height: usize, width: usize) -> [usize; 2] {
        match self.resize {
            None => [height, width],
            Some(Resize::Squash(sides)) => sides,
            Some(Resize::ShortestEdge(edge)) => [edge * height / height.min(width), edge * width / height.min(width)],
        }
    }

    /// Where the crop begins on a side of this length; below 0 where the picture is padded with zeros around it, as
    /// `transformers` does.
    fn start(&self, length: usize) -> i64 {
        (length as i64 - self.image as i64).div_euclid(2)
    }
}

/// The largest side of a picture after resizing, in pixels.
const LARGEST: u64 = 1 << 14;

fn length(value: u64, place: &str) -> Result<usize> {
    match value {
        1..=LARGEST => Ok(value as usize),
        _ => Err(Error::mismatch(place, format!("1 to {LARGEST} pixels"), value)),
    }
}

fn sides(value: &Value, place: &str) -> Result<[usize; 2]> {
    match (value.get("height").and_then(Value::as_u64), value.get("width").and_then(Value::as_u64)) {
        (Some(height), Some(width)) => Ok([length(height, place)?, length(width, place)?]),
        _ => Err(Error::mismatch(place, "a number, `shortest_edge`, or `height` and `width`", value)),
    }
}
