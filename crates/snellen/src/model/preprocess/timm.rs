//! `config.json` of timm: the transform that timm makes for inference (`create_transform` of `resolve_data_config`).
//!
//! Its steps are torchvision's on Pillow pictures, which are red, green and blue before. The picture is resized to the model's size
//! divided by `crop_pct`, and the middle cut out.

use super::fields::Fields;
use super::{Backend, Colour, Crop, Filter, MODEL, Orientation, Preprocessing, Resize, Rounding};
use crate::{Error, Result};
use serde_json::Value;

/// Mean and standard deviation of ImageNet, timm's defaults.
const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

/// What is resized, relative to what is cut out, where a file does not say.
const CROP: f64 = 0.875;

impl Preprocessing {
    /// Reads `pretrained_cfg` of the JSON of a whole `config.json` of timm, for a model that sees `image` x `image` pixels; what is not
    /// said is timm's default. `place` names the file.
    ///
    /// # Errors
    /// When a value is not possible, or the picture would be padded with the mean colour (`crop_mode: border`).
    pub fn parse_timm(json: &Value, image: usize, place: &str) -> Result<Self> {
        let nested = json.get("pretrained_cfg").filter(|value| !value.is_null());
        let fields = Fields::new(nested.unwrap_or(json), &format!("{place}: `pretrained_cfg`"))?;
        let filter = match fields.text("interpolation")?.filter(|text| !text.is_empty()).unwrap_or("bicubic") {
            "bicubic" => Filter::Bicubic,
            "bilinear" => Filter::Bilinear,
            "nearest" => Filter::Nearest,
            "lanczos" => Filter::Lanczos,
            "box" => Filter::Box,
            "hamming" => Filter::Hamming,
            other => {
                let expected = "`bicubic`, `bilinear`, `nearest`, `lanczos`, `box` or `hamming`";
                return Err(Error::mismatch(
                    fields.at("interpolation"),
                    expected,
                    format!("`{}`", other.escape_debug()),
                ));
            }
        };
        let part = match fields.get("crop_pct") {
            None => CROP,
            Some(value) => {
                let part = value.as_f64().filter(|part| (0.01..=1.0).contains(part));
                part.ok_or_else(|| Error::mismatch(fields.at("crop_pct"), "a number from 0.01 to 1", value))?
            }
        };
        let side = (image as f64 / part).floor() as usize;
        let resize = match fields.text("crop_mode")?.filter(|text| !text.is_empty()).unwrap_or("center") {
            "center" => Resize::ShortestEdge(side),
            "squash" => Resize::Squash([side; 2]),
            other => {
                let got = format!("`{}`", other.escape_debug());
                return Err(Error::mismatch(fields.at("crop_mode"), "`center` or `squash`", got));
            }
        };
        let [mean, std] = IMAGENET;
        Ok(Self {
            source: MODEL.to_owned(),
            backend: Backend::Pil,
            orientation: Orientation::Honour,
            colour: Colour::Dropped,
            square: None,
            resize: vec![resize],
            filter,
            crop: Some(Crop { size: [image; 2], rounding: Rounding::HalfEven, fill: 0 }),
            rescale: 1.0 / 255.0,
            rescale_first: false,
            normalise: true,
            mean: fields.triple("mean", false, Some(mean))?,
            std: fields.triple("std", true, Some(std))?,
            image,
        })
    }
}
