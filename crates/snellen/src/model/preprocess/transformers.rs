//! `preprocessor_config.json`: the image processors of `transformers` 5.23.
//!
//! A file need not say what its class takes for granted, and older ones do not: then the class's default holds, and where
//! no class is named the key is missing. A step that is `null` is left out. A class takes no notice of keys that it does not know; where
//! none is named, a key that is not known is an error.
//!
//! Of processors that make several pictures out of one, this makes the one that shows the whole: the first of LLaVA-NeXT,
//! the last of Idefics3 and SmolVLM. Tiles are not made.

use super::fields::Fields;
use super::resize;
use super::{
    Backend, Colour, Crop, Filter, IMAGENET_MEAN, IMAGENET_STD, MODEL, OPENAI_MEAN, OPENAI_STD, Orientation,
    Preprocessing, Resize, Rounding,
};
use crate::{Error, Result};
use serde_json::Value;

/// What a class does and takes for granted.
#[expect(clippy::struct_excessive_bools, reason = "each is a step that classes have or lack, whatever the others")]
struct Class {
    name: &'static str,
    steps: Steps,
    filter: Filter,
    mean: [f64; 3],
    std: [f64; 3],
    size: Size,
    crop: bool,
    /// Whether a `size` of one number is that of both sides.
    square: bool,
    /// Whether a transparent colour is looked at.
    converts: bool,
    /// Whether values become fractions before they are resized, where they do.
    fractions: bool,
}

/// The steps before rescaling.
#[derive(Clone, Copy, PartialEq)]
enum Steps {
    /// Resize, crop.
    Plain,
    /// On demand pad to a square of the mean colour, then resize, crop.
    Llava,
    /// Squash, resize, crop.
    LlavaNext,
    /// Resize by the longer side, to multiples of a tile, squash.
    Idefics,
    /// Resize to as many patches as there may be, whatever `size` and `crop_size` say.
    Patches,
}

/// What `size` says.
#[derive(Clone, Copy)]
enum Size {
    Shortest(usize),
    Longest(usize),
    Sides([usize; 2]),
}

const CLIP: Class = Class {
    name: "CLIP",
    steps: Steps::Plain,
    filter: Filter::Bicubic,
    mean: OPENAI_MEAN,
    std: OPENAI_STD,
    size: Size::Shortest(224),
    crop: true,
    square: false,
    converts: true,
    fractions: false,
};

const SIGLIP: Class =
    Class { name: "Siglip", mean: [0.5; 3], std: [0.5; 3], size: Size::Sides([224; 2]), crop: false, ..CLIP };

const IDEFICS: Class =
    Class { name: "Idefics3", steps: Steps::Idefics, filter: Filter::Lanczos, size: Size::Longest(4 * 364), ..SIGLIP };

const VIT: Class = Class { name: "ViT", filter: Filter::Bilinear, square: true, converts: false, ..SIGLIP };

const CLASSES: [Class; 11] = [
    CLIP,
    SIGLIP,
    Class { name: "Bit", ..CLIP },
    VIT,
    Class { name: "Siglip2", steps: Steps::Patches, filter: Filter::Bilinear, converts: false, ..SIGLIP },
    Class { name: "DeiT", filter: Filter::Bicubic, size: Size::Sides([256; 2]), crop: true, ..VIT },
    Class { name: "DINOv3ViT", mean: IMAGENET_MEAN, std: IMAGENET_STD, fractions: true, ..VIT },
    Class { name: "Llava", steps: Steps::Llava, ..CLIP },
    Class { name: "LlavaNext", steps: Steps::LlavaNext, ..CLIP },
    IDEFICS,
    Class { name: "SmolVLM", ..IDEFICS },
];

/// Keys that every class reads.
const KNOWN: [&str; 14] = [
    "do_resize",
    "size",
    "default_to_square",
    "resample",
    "do_center_crop",
    "crop_size",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "do_convert_rgb",
    "do_pad",
    "pad_size",
];

/// Keys without effect on the result.
const INERT: [&str; 13] = [
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "_processor_class",
    "_valid_processor_keys",
    "_valid_kwargs_names",
    "image_seq_length",
    "data_format",
    "input_data_format",
    "return_tensors",
    "device",
    "disable_grouping",
    "video_sampling",
];

impl Preprocessing {
    /// Reads the JSON of a `preprocessor_config.json`, or of a `processor_config.json` that holds one; `place` names the
    /// file.
    ///
    /// # Errors
    /// When the class or a key is not known, a value is not possible, or the result is not a square of known size.
    pub fn parse(json: &Value, place: &str) -> Result<Self> {
        if let Some(nested) = json.get("image_processor").filter(|value| value.is_object()) {
            return Self::parse(nested, &format!("{place}: `image_processor`"));
        }
        let fields = Fields::new(json, place)?;
        let class = class(&fields)?;
        let steps = class.map_or(Steps::Plain, |class| class.steps);
        if class.is_none() {
            fields.only(|key| KNOWN.contains(&key) || INERT.contains(&key) || own(steps).contains(&key))?;
        }
        let on = class.map(|_| true);
        let (do_rescale, do_normalize) = (fields.step("do_rescale", on)?, fields.step("do_normalize", on)?);
        fields.not_null(if do_rescale { &["rescale_factor"] } else { &[] })?;
        fields.not_null(if do_normalize { &["image_mean", "image_std"] } else { &[] })?;
        let rescale = if do_rescale { fields.factor("rescale_factor", class.map(|_| 1.0 / 255.0))? } else { 1.0 };
        let mean = || fields.triple("image_mean", false, class.map(|class| class.mean));
        let std = || fields.triple("image_std", true, class.map(|class| class.std));
        let (resize, crop) = geometry(&fields, class)?;
        let pad = fields.flag("do_pad", Some(false))?;
        if pad && steps != Steps::Llava && fields.get("pad_size").is_some() {
            return Err(Error::mismatch(fields.at("pad_size"), "no padding of the result", "a size to pad to"));
        }
        let square = if pad && steps == Steps::Llava { Some(background(mean()?, &fields)?) } else { None };
        let converts = fields.flag("do_convert_rgb", Some(class.is_none_or(|class| class.converts)))?;
        let rescale_first = do_rescale && class.is_some_and(|class| class.fractions);
        let preprocessing = Self {
            source: MODEL.to_owned(),
            backend: Backend::Pil,
            orientation: Orientation::Honour,
            colour: if converts { Colour::Keyed } else { Colour::Dropped },
            square,
            image: side(&resize, crop, place)?,
            resize,
            filter: fields.filter("resample", class.map(|class| class.filter))?,
            crop,
            rescale,
            rescale_first,
            normalise: do_normalize,
            mean: if do_normalize { mean()? } else { [0.0; 3] },
            std: if do_normalize { std()? } else { [1.0; 3] },
        };
        if class.is_some_and(|class| class.fractions) {
            return preprocessing.with_backend(Backend::Torchvision).map_err(|source| Error::malformed(place, source));
        }
        Ok(preprocessing)
    }
}

impl Preprocessing {
    /// What [`Preprocessing::parse`] and `transformers` read, for one that resizes, crops and normalises as CLIP's does.
    pub fn to_json(&self) -> Value {
        let sides = |[height, width]: [usize; 2]| serde_json::json!({"height": height, "width": width});
        let size = self.resize.first().map(|resize| match *resize {
            Resize::Squash(size) => sides(size),
            Resize::ShortestEdge(edge) => serde_json::json!({"shortest_edge": edge}),
            Resize::LongestEdge(edge) | Resize::Within(edge) | Resize::MultipleOf(edge) => {
                serde_json::json!({"longest_edge": edge})
            }
            Resize::Patches { side, most } => serde_json::json!({"patch_size": side, "max_num_patches": most}),
        });
        let resample = match self.filter {
            Filter::Nearest => 0,
            Filter::Lanczos => 1,
            Filter::Bilinear => 2,
            Filter::Bicubic => 3,
            Filter::Box => 4,
            Filter::Hamming => 5,
        };
        serde_json::json!({
            "image_processor_type": "CLIPImageProcessor", "do_convert_rgb": true,
            "do_resize": size.is_some(), "size": size, "resample": resample,
            "do_center_crop": self.crop.is_some(), "crop_size": self.crop.map(|crop| sides(crop.size)),
            "do_rescale": true, "rescale_factor": self.rescale,
            "do_normalize": self.normalise, "image_mean": self.mean, "image_std": self.std,
        })
    }
}

/// The class that the file names, under any of its names; `None` where it names none.
fn class(fields: &Fields<'_>) -> Result<Option<&'static Class>> {
    for key in ["image_processor_type", "feature_extractor_type"] {
        if let Some(name) = fields.text(key)? {
            let stem = name.strip_suffix("Fast").or(name.strip_suffix("Pil")).unwrap_or(name);
            let stem = stem.strip_suffix("ImageProcessor").or(stem.strip_suffix("FeatureExtractor"));
            let class = CLASSES.iter().find(|class| Some(class.name) == stem);
            let names = CLASSES.map(|class| format!("{}ImageProcessor", class.name)).join(", ");
            let unknown = || Error::mismatch(fields.at(key), format!("one of {names}"), format!("`{name}`"));
            return class.ok_or_else(unknown).map(Some);
        }
    }
    Ok(None)
}

/// The keys that only these steps read; those of tiles have no effect on the whole.
fn own(steps: Steps) -> &'static [&'static str] {
    match steps {
        Steps::Plain | Steps::Llava => &[],
        Steps::LlavaNext => &["image_grid_pinpoints"],
        Steps::Idefics => &["do_image_splitting", "max_image_size", "return_row_col_info"],
        Steps::Patches => &["patch_size", "max_num_patches"],
    }
}

/// The resizes and the crop.
fn geometry(fields: &Fields<'_>, class: Option<&Class>) -> Result<(Vec<Resize>, Option<Crop>)> {
    let steps = class.map_or(Steps::Plain, |class| class.steps);
    let do_resize = fields.step("do_resize", class.map(|_| true))?;
    let mut resize = Vec::new();
    if steps == Steps::Patches {
        if !do_resize {
            let expected = "true, as pictures that are not resized are as many patches as they happen to have";
            return Err(Error::mismatch(fields.at("do_resize"), expected, false));
        }
        let length = |key: &str, default| fields.get(key).map_or(Ok(default), |value| fields.length(key, value));
        let (side, most) = (length("patch_size", 16)?, length("max_num_patches", 256)?);
        resize::check([side * side, most]).map_err(|source| Error::malformed(fields.at("max_num_patches"), source))?;
        return Ok((vec![Resize::Patches { side, most }], None));
    }
    fields.not_null(if do_resize { &["size", "resample"] } else { &[] })?;
    if do_resize || steps == Steps::LlavaNext {
        resize.push(match size(fields, class)? {
            Size::Shortest(edge) if steps == Steps::LlavaNext => Resize::Squash([edge; 2]),
            Size::Longest(edge) if steps == Steps::Idefics => Resize::LongestEdge(edge),
            Size::Shortest(edge) if steps != Steps::Idefics => Resize::ShortestEdge(edge),
            Size::Sides(sides) => Resize::Squash(sides),
            Size::Shortest(_) | Size::Longest(_) => {
                let expected = "another kind of size for this processor";
                return Err(Error::mismatch(fields.at("size"), expected, fields.get("size").unwrap_or(&Value::Null)));
            }
        });
    }
    if steps == Steps::Idefics {
        let tile = match fields.get("max_image_size") {
            None => 364,
            Some(value) => match sized(fields, "max_image_size", value)? {
                Size::Longest(tile) => tile,
                _ => return Err(Error::mismatch(fields.at("max_image_size"), "`longest_edge`", value)),
            },
        };
        if fields.flag("do_image_splitting", Some(true))? {
            resize.push(Resize::MultipleOf(tile));
        }
        resize.push(Resize::Squash([tile; 2]));
        return Ok((resize, None));
    }
    if !fields.step("do_center_crop", class.map(|class| class.crop))? {
        return Ok((resize, None));
    }
    fields.not_null(&["crop_size"])?;
    let size = match fields.get("crop_size") {
        None => fields.need("crop_size", class.filter(|class| class.crop).map(|_| [224; 2]))?,
        Some(value @ Value::Number(_)) => [fields.length("crop_size", value)?; 2],
        Some(value) => match sized(fields, "crop_size", value)? {
            Size::Sides(sides) => sides,
            _ => return Err(Error::mismatch(fields.at("crop_size"), "a number, or `height` and `width`", value)),
        },
    };
    Ok((resize, Some(Crop { size, rounding: Rounding::Down, fill: 0 })))
}

/// What `size` says, or the class's own.
fn size(fields: &Fields<'_>, class: Option<&Class>) -> Result<Size> {
    match fields.get("size") {
        None => fields.need("size", class.map(|class| class.size)),
        Some(value @ Value::Number(_)) => {
            let edge = fields.length("size", value)?;
            let square = fields.flag("default_to_square", class.map(|class| class.square))?;
            Ok(if square { Size::Sides([edge; 2]) } else { Size::Shortest(edge) })
        }
        Some(value) => sized(fields, "size", value),
    }
}

/// An object that says a size, or a list of height and width.
fn sized(fields: &Fields<'_>, key: &str, value: &Value) -> Result<Size> {
    let length = |value| fields.length(key, value);
    let pairs: Vec<(&str, &Value)> = match value {
        Value::Object(map) => map.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.as_str(), v)).collect(),
        Value::Array(list) => ["height", "width"].into_iter().zip(list).take(list.len()).collect(),
        _ => Vec::new(),
    };
    match pairs.as_slice() {
        [("shortest_edge", edge)] => Ok(Size::Shortest(length(edge)?)),
        [("longest_edge", edge)] => Ok(Size::Longest(length(edge)?)),
        [("height", height), ("width", width)] | [("width", width), ("height", height)] => {
            Ok(Size::Sides([length(height)?, length(width)?]))
        }
        _ => {
            let expected = "a number, `shortest_edge`, `longest_edge`, or `height` and `width`";
            Err(Error::mismatch(fields.at(key), expected, value))
        }
    }
}

/// What LLaVA pads with: `mean` in whole 255ths, rounded down.
fn background(mean: [f64; 3], fields: &Fields<'_>) -> Result<[u8; 3]> {
    if mean.iter().all(|x| (0.0..=1.0).contains(x)) {
        return Ok(mean.map(|x| (x * 255.0) as u8));
    }
    Err(Error::mismatch(fields.at("image_mean"), "0 to 1, as it is what `do_pad` pads with", format!("{mean:?}")))
}

/// The side of the result.
fn side(resize: &[Resize], crop: Option<Crop>, place: &str) -> Result<usize> {
    let result = crop.map(|crop| crop.size).or(match resize.last() {
        Some(Resize::Squash(sides)) => Some(*sides),
        Some(Resize::Patches { side, most }) => Some([side * most.isqrt(); 2]),
        _ => None,
    });
    match result {
        Some([height, width]) if height == width => Ok(height),
        other => {
            let got = other.map_or("any size".to_owned(), |[height, width]| format!("{height} x {width}"));
            Err(Error::mismatch(place, "a result that is square and always of one size", got))
        }
    }
}
