//! What families of `transformers` have in common.

use super::section::Section;
use super::{Layout, LeftAlone, ModelConfig, VisionConfig};
use crate::{Error, Result};
use serde_json::Value;

/// The configuration of an encoder of images alone.
pub(super) fn alone(model_type: &str, layout: Layout, vision: VisionConfig, assumed: Vec<String>) -> ModelConfig {
    ModelConfig {
        model_type: model_type.to_owned(),
        layout,
        vision,
        text: None,
        open_clip_tokenizer: None,
        logit_bias: false,
        assumed,
        left_alone: LeftAlone::default(),
    }
}

/// Refuses a file whose maths stands in code beside it, which is not run: `model_type` then says nothing of it.
pub(super) fn no_code(top: &Section) -> Result<()> {
    let of_model = |key: &&String| key.starts_with("AutoModel") || *key == "AutoConfig";
    let code = top.find("auto_map").and_then(Value::as_object);
    match code.and_then(|map| map.keys().find(of_model)) {
        Some(key) => {
            let expected = "no code of the model's own, which is not run (take the key away if the weights are for the \
                            library's class)";
            Err(Error::mismatch(top.key("auto_map"), expected, format!("{key:?}")))
        }
        None => Ok(()),
    }
}

/// Sides of image and patch.
pub(super) fn sides(section: &Section) -> Result<(usize, usize)> {
    let (image, patch) = (section.side("image_size")?, section.side("patch_size")?);
    if patch > image {
        return Err(Error::mismatch(section.key("patch_size"), format!("at most image_size ({image})"), patch));
    }
    Ok((image, patch))
}
