//! timm's own `config.json`: the name of an architecture, arguments that change it, and how its pictures were prepared.

use super::section::Section;
use super::timm::{Architecture, pool};
use super::{Layout, LeftAlone, ModelConfig};
use crate::{Error, Result};
use serde_json::Value;

/// Keys that have no effect on the embedding.
const INERT: &[&str] = &["num_classes", "num_features", "label_names", "label_descriptions", "global_pool"];

pub(super) fn parse(json: &Value, place: &str) -> Result<ModelConfig> {
    let top = Section::of(json, place)?;
    let mut left_alone = LeftAlone::default();
    let name = top.text("architecture")?;
    // As the library: older files have everything on one level.
    let data = if top.has("pretrained_cfg") { top.section("pretrained_cfg")? } else { top.clone() };
    if top.has("pretrained_cfg") {
        top.notice("", (&["architecture", "model_args", "pretrained_cfg"], INERT, &[]), &mut left_alone)?;
    }
    let mut architecture = Architecture::find(name, &top.key("architecture"))?;
    if data.find("fixed_input_size").is_some() && data.flag("fixed_input_size")? && data.find("input_size").is_some() {
        architecture.image = input_side(&data)?;
    }
    if data.find("global_pool").is_some() {
        architecture.pool = pool(&data, "global_pool")?;
    }
    if top.find("model_args").is_some() {
        architecture.change(&top.section("model_args")?)?;
    }
    if data.find("input_size").is_some() && input_side(&data)? != architecture.image {
        let expected = format!("{0} x {0} pixels, as the model's arguments say", architecture.image);
        return Err(Error::mismatch(data.key("input_size"), expected, data.get("input_size")?));
    }
    let (vision, names) = architecture.tower(&top.key("architecture"))?;
    Ok(ModelConfig {
        model_type: "timm".to_owned(),
        layout: Layout::Timm(names),
        vision,
        text: None,
        open_clip_tokenizer: None,
        logit_bias: false,
        assumed: Vec::new(),
        left_alone,
    })
}

/// The side of the input, from `[3, side, side]`.
fn input_side(data: &Section) -> Result<usize> {
    let value = data.get("input_size")?;
    let size = value.as_array().filter(|list| list.len() == 3 && list[0] == 3).map(|list| list[1..].to_vec());
    let wrong = || Error::mismatch(data.key("input_size"), "[3, side, side]", value);
    let side = Section::of(&serde_json::json!({"input_size": size.ok_or_else(wrong)?}), &data.place)?;
    side.side("input_size")
}
