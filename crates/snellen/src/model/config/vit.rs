//! `config.json` of plain vision transformers: ViT (arXiv 2010.11929) and DeiT (arXiv 2012.12877).
//!
//! The embedding is the class token behind the last layer norm, which classifiers read. `ViTModel` has a `pooler` behind it, which
//! many published files lack and the library then fills with random numbers: it is left alone, and listed.

use super::classes::{INERT, TOWER, defaults, neutral_vision};
use super::section::Section;
use super::{Biases, Layout, LeftAlone, ModelConfig, Positions, TowerConfig, VisionConfig, VisionPooling};
use crate::{Error, Result};

/// Keys of the pooler, and of the decoder of masked patches.
const BESIDE: &[&str] = &["encoder_stride", "pooler_act", "pooler_output_size"];

pub(super) fn parse(mut top: Section) -> Result<ModelConfig> {
    let model_type = top.text("model_type")?.to_owned();
    let (mut assumed, mut left_alone) = (Vec::new(), LeftAlone::default());
    top.no_code()?;
    top.complete(&defaults(&model_type).unwrap_or_default(), "", &mut assumed);
    let used = [&TOWER[..], &["image_size", "patch_size", "qkv_bias", "head_dim"]].concat();
    top.notice("", (&used, &[INERT, BESIDE].concat(), &neutral_vision()), &mut left_alone)?;
    let tower = top.tower()?;
    let head = tower.width / tower.heads;
    if top.find("head_dim").is_some() && top.size("head_dim")? != head {
        let expected = format!("hidden_size / num_attention_heads ({head})");
        return Err(Error::mismatch(top.key("head_dim"), expected, top.get("head_dim")?));
    }
    let (image, patch) = top.sides()?;
    let vision = VisionConfig {
        tower: TowerConfig { biases: Biases::with_qkv(top.flag("qkv_bias")?), ..tower },
        image,
        patch,
        patch_bias: true,
        class_token: true,
        class_position: true,
        distillation: model_type == "deit",
        registers: 0,
        norm_pre: false,
        positions: Positions::Learned,
        rotary: None,
        pooling: Some(VisionPooling::Class),
        head: None,
        norm_after_pooling: false,
        projection: None,
        projection_bias: false,
    };
    Ok(ModelConfig { left_alone, ..ModelConfig::alone(&model_type, Layout::Vit, vision, assumed) })
}
