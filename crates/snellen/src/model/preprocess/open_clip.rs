//! `open_clip_config.json`: the transform of OpenCLIP 3.3 for inference.
//!
//! Its steps are those of torchvision on Pillow pictures, and the conversion to RGB comes after them: a palette is resized
//! by nearest neighbour, a picture with opacity in premultiplied colours, and what a crop adds around a small picture is 0 in
//! the file's own mode. The size is the model's, whatever `preprocess_cfg` says.

use super::fields::Fields;
use super::{
    Backend, Colour, Crop, Filter, MODEL, OPENAI_MEAN, OPENAI_STD, Orientation, Preprocessing, Resize, Rounding,
};
use crate::{Error, Result};
use serde_json::{Map, Value};

/// The keys of `preprocess_cfg`.
const KEYS: [&str; 7] = ["size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color"];

impl Preprocessing {
    /// Reads `preprocess_cfg` of the JSON of a whole `open_clip_config.json`, and `model_cfg.vision_cfg.image_size`; what
    /// is not said is OpenCLIP's default. `place` names the file.
    ///
    /// # Errors
    /// When a key is not known, a value is not possible, or the model's input is not square.
    pub fn parse_open_clip(json: &Value, place: &str) -> Result<Self> {
        let image = image_size(json, place)?;
        let none = Value::Object(Map::new());
        let config = json.get("preprocess_cfg").filter(|value| !value.is_null()).unwrap_or(&none);
        let fields = Fields::new(config, &format!("{place}: `preprocess_cfg`"))?;
        fields.only(|key| KEYS.contains(&key))?;
        let choice = |key: &str, choices: &[&str]| -> Result<String> {
            let value = fields.text(key)?.filter(|text| !text.is_empty()).unwrap_or(choices[0]);
            let known = choices.contains(&value).then(|| value.to_owned());
            known.ok_or_else(|| Error::mismatch(fields.at(key), format!("one of {}", choices.join(", ")), value))
        };
        choice("mode", &["RGB"])?;
        let filter = match choice("interpolation", &["bicubic", "bilinear", "random"])?.as_str() {
            "bilinear" => Filter::Bilinear,
            _ => Filter::Bicubic,
        };
        let fill = match fields.get("fill_color") {
            None => 0,
            Some(value) => {
                let fill = value.as_u64().and_then(|fill| u8::try_from(fill).ok());
                fill.ok_or_else(|| Error::mismatch(fields.at("fill_color"), "0 to 255", value))?
            }
        };
        let crop = |fill| Some(Crop { size: [image; 2], rounding: Rounding::HalfEven, fill });
        let (resize, crop) = match choice("resize_mode", &["shortest", "longest", "squash"])?.as_str() {
            "longest" => (Resize::Within(image), crop(fill)),
            "squash" => (Resize::Squash([image; 2]), None),
            _ => (Resize::ShortestEdge(image), crop(0)),
        };
        Ok(Self {
            source: MODEL.to_owned(),
            backend: Backend::Pil,
            orientation: Orientation::Honour,
            colour: Colour::Last,
            square: None,
            resize: vec![resize],
            filter,
            crop,
            rescale: 1.0 / 255.0,
            rescale_first: false,
            normalise: true,
            mean: fields.triple("mean", false, Some(OPENAI_MEAN))?,
            std: fields.triple("std", true, Some(OPENAI_STD))?,
            image,
        })
    }
}

/// The side of the model's input; OpenCLIP's default is 224.
fn image_size(json: &Value, place: &str) -> Result<usize> {
    let place = format!("{place}: `model_cfg`: `vision_cfg`");
    let Some(vision) = json.get("model_cfg").unwrap_or(json).get("vision_cfg") else {
        return Err(Error::mismatch(place, "an object", "no such key"));
    };
    let fields = Fields::new(vision, &place)?;
    match fields.get("image_size") {
        None => Ok(224),
        Some(Value::Array(list)) if list.len() == 2 && list[0] == list[1] => fields.length("image_size", &list[0]),
        Some(value) => fields.length("image_size", value),
    }
}
