//! `config.json` of DINOv3's vision transformers (arXiv 2508.10104).
//!
//! Its positions are angles that follow from the number of patches, so that `image_size` says nothing but a default; what shifts and
//! stretches them in training does nothing here.

use super::classes::{INERT, TOWER, defaults, neutral_vision};
use super::section::Section;
use super::{Biases, Layout, LeftAlone, ModelConfig, Positions, Rotary, TowerConfig, VisionConfig, VisionPooling};
use crate::{Error, Result};

/// Keys that speak of training.
const OF_TRAINING: &[&str] = &["pos_embed_jitter", "pos_embed_rescale", "pos_embed_shift"];

const BIASES: [&str; 5] = ["query_bias", "key_bias", "value_bias", "proj_bias", "mlp_bias"];

pub(super) fn parse(mut top: Section) -> Result<ModelConfig> {
    let model_type = top.text("model_type")?.to_owned();
    let (mut assumed, mut left_alone) = (Vec::new(), LeftAlone::default());
    top.no_code()?;
    top.complete(&defaults(&model_type).unwrap_or_default(), "", &mut assumed);
    let own = ["image_size", "patch_size", "rope_theta", "use_gated_mlp", "num_register_tokens"];
    let used = [&TOWER[..], &own, &BIASES].concat();
    top.notice("", (&used, &[INERT, OF_TRAINING].concat(), &neutral_vision()), &mut left_alone)?;
    let tower = top.tower()?;
    let head = tower.width / tower.heads;
    if !head.is_multiple_of(4) {
        let expected = "heads whose width is a multiple of 4, as pairs of units turn with row and column";
        return Err(Error::mismatch(top.key("num_attention_heads"), expected, format!("a width of {head}")));
    }
    let [query, key, value, out, mlp] = BIASES.map(|name| top.flag(name));
    let biases = Biases { query: query?, key: key?, value: value?, out: out?, mlp: mlp? };
    let (image, patch) = top.sides()?;
    let vision = VisionConfig {
        tower: TowerConfig { biases, gated: top.flag("use_gated_mlp")?, layer_scale: true, ..tower },
        image,
        patch,
        patch_bias: true,
        class_token: true,
        class_position: true,
        distillation: false,
        registers: top.at_least("num_register_tokens", 0)?,
        norm_pre: false,
        positions: Positions::None,
        rotary: Some(Rotary::Centred { base: top.number("rope_theta", 1e-6..=1e12)? }),
        pooling: Some(VisionPooling::Class),
        head: None,
        norm_after_pooling: false,
        projection: None,
        projection_bias: false,
    };
    Ok(ModelConfig { left_alone, ..ModelConfig::alone(&model_type, Layout::Dinov3, vision, assumed) })
}
