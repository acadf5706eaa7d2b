//! Shapes of models that are measured, by name.

use crate::engine::Activation;
use crate::model::config::{Biases, Positions, TextPooling};
use crate::model::{Layout, LeftAlone, ModelConfig, TextConfig, TowerConfig, VisionConfig, VisionPooling};

/// Names that [`named`] knows.
pub const NAMES: [&str; 4] = ["vit-l-14", "vit-b-32", "vit-b-16", "lab"];

/// The shape of a vision tower: OpenAI's CLIP ViT-L/14, B/32 and B/16 at 224 pixels, and a model of the lab of 0.7 million weights,
/// both towers counted. `None` for other names.
pub fn named(name: &str) -> Option<ModelConfig> {
    let clip = |vision| Some(clip(vision, None));
    match name {
        "vit-l-14" => clip(vision(tower(1024, 24, 16), (224, 14), 768)),
        "vit-b-32" => clip(vision(tower(768, 12, 12), (224, 32), 512)),
        "vit-b-16" => clip(vision(tower(768, 12, 12), (224, 16), 512)),
        "lab" => clip(vision(tower(96, 4, 4), (48, 8), 64)),
        _ => None,
    }
}

/// The small CLIP whose training is measured: two layers in either tower, 65 tokens of an image and 32 of a text.
pub fn small_clip() -> ModelConfig {
    let vocabulary = 1000;
    let text = TextConfig {
        tower: tower(256, 2, 4),
        vocabulary,
        positions: 32,
        causal: true,
        pooling: TextPooling::First(vocabulary as u32 - 1),
        projection: 128,
        projection_bias: false,
        projected: true,
        kept_positions: None,
    };
    clip(vision(tower(256, 2, 4), (64, 8), 128), Some(text))
}

fn tower(width: usize, layers: usize, heads: usize) -> TowerConfig {
    TowerConfig {
        width,
        layers,
        heads,
        mlp: 4 * width,
        activation: Activation::QuickGelu,
        eps: 1e-5,
        biases: Biases::ALL,
        gated: false,
        layer_scale: false,
        attention_norm: false,
        mlp_norm: false,
    }
}

fn vision(tower: TowerConfig, (image, patch): (usize, usize), projection: usize) -> VisionConfig {
    VisionConfig {
        tower,
        image,
        patch,
        patch_bias: false,
        class_token: true,
        class_position: true,
        distillation: false,
        registers: 0,
        norm_pre: true,
        positions: Positions::Learned,
        rotary: None,
        pooling: Some(VisionPooling::Class),
        head: None,
        norm_after_pooling: false,
        projection: Some(projection),
        projection_bias: false,
    }
}

fn clip(vision: VisionConfig, text: Option<TextConfig>) -> ModelConfig {
    ModelConfig {
        model_type: "clip".to_owned(),
        layout: Layout::Transformers { inside: false },
        vision,
        text,
        open_clip_tokenizer: None,
        logit_bias: false,
        assumed: Vec::new(),
        left_alone: LeftAlone::default(),
    }
}
