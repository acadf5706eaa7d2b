//! The `config.json` of a CLIP model, as the lab writes it.

use super::{TextConfig, TextPooling, TowerConfig, VisionConfig};
use crate::engine::Activation;
use crate::{Error, Result};
use serde_json::{Value, json};

/// The `config.json` of a CLIP model.
pub(super) fn to_json(vision: &VisionConfig, text: &TextConfig) -> Result<Value> {
    let name = |activation: Activation| match activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
        Activation::QuickGelu => "quick_gelu",
        Activation::Silu => "silu",
    };
    let tower = |t: &TowerConfig| {
        json!({
            "hidden_size": t.width, "num_hidden_layers": t.layers, "num_attention_heads": t.heads,
            "intermediate_size": t.mlp, "hidden_act": name(t.activation), "layer_norm_eps": t.eps,
            "projection_dim": text.projection, "attention_dropout": 0.0,
        })
    };
    let merge = |mut a: Value, b: Value| {
        if let (Value::Object(a), Value::Object(b)) = (&mut a, b) {
            a.extend(b);
        }
        a
    };
    let eos = match text.pooling {
        TextPooling::First(id) => id,
        TextPooling::LargestId => 2,
        TextPooling::Last => return Err(Error::mismatch("config.json", "a CLIP that is read at an end token", "none")),
    };
    Ok(json!({
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": text.projection,
        "text_config": merge(tower(&text.tower), json!({
            "model_type": "clip_text_model", "vocab_size": text.vocabulary,
            "max_position_embeddings": text.positions, "eos_token_id": eos,
        })),
        "vision_config": merge(tower(&vision.tower), json!({
            "model_type": "clip_vision_model", "image_size": vision.image, "patch_size": vision.patch,
            "num_channels": 3,
        })),
    }))
}
