//! `config.json` as `transformers` writes it: CLIP, SigLIP, DINOv2, and larger models with one of these inside.
//!
//! `transformers` leaves out of nested sections what equals the default of the section's class. Where a file says that it was
//! written by it (`transformers_version`), such keys are filled in with the defaults of its configuration classes, which are part
//! of the format, and noted as assumed. Tower-level `projection_dim` has no effect in CLIP's layout; only the top-level one counts.

use super::section::Section;
use super::{Layout, ModelConfig, Positions, TextConfig, TextPooling, TowerConfig, VisionConfig, VisionPooling};
use crate::engine::Activation;
use crate::{Error, Result};
use serde_json::{Map, Value, json};

/// Keys that `transformers` writes and that have no effect on the forward.
const INERT: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "apply_layernorm",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "drop_path_rate",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "hidden_dropout_prob",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "is_composition",
    "is_encoder_decoder",
    "label2id",
    "layerscale_value",
    "length_penalty",
    "logit_scale_init_value",
    "max_length",
    "min_length",
    "model_type",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "out_features",
    "out_indices",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "projection_dim",
    "remove_invalid_values",
    "repetition_penalty",
    "reshape_hidden_states",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "stage_names",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
    "use_mask_token",
];

/// Keys of a vision section that speak of the larger model around it.
const OF_LARGER: &[&str] =
    &["max_image_size", "num_image_tokens", "projector_hidden_act", "size", "use_base_siglip", "vocab_size"];

const TOWER: [&str; 6] =
    ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps"];

fn neutral() -> [(&'static str, Value); 5] {
    [
        ("add_cross_attention", json!(false)),
        ("is_decoder", json!(false)),
        ("pruned_heads", json!({})),
        ("tie_encoder_decoder", json!(false)),
        ("num_channels", json!(3)),
    ]
}

pub(super) fn parse(json: &Value, place: &str) -> Result<ModelConfig> {
    let top = Section::of(json, place)?;
    match top.text("model_type")? {
        "clip" => clip(top),
        "siglip" => siglip(&top),
        kind @ ("clip_vision_model" | "siglip_vision_model") => {
            let kind = kind.to_owned();
            let mut assumed = Vec::new();
            let vision = tower(top, "", &kind, false, &mut assumed)?;
            Ok(alone(&kind, Layout::Transformers { inside: false }, vision, assumed))
        }
        "dinov2" | "dinov2_with_registers" => dinov2(top),
        "siglip2" => {
            let expected =
                "a model of fixed resolution (`siglip`, which published SigLIP 2 models of fixed resolution are)";
            Err(Error::mismatch(top.key("model_type"), expected, "\"siglip2\", which is NaFlex"))
        }
        _ if top.find("vision_config").is_some_and(Value::is_object) => larger(&top),
        other => {
            let expected = "a type of model that is known (clip, clip_vision_model, siglip, siglip_vision_model, dinov2, \
                            dinov2_with_registers, or a larger one with a `vision_config` of one of these)";
            Err(Error::mismatch(top.key("model_type"), expected, format!("\"{other}\"")))
        }
    }
}

fn alone(model_type: &str, layout: Layout, vision: VisionConfig, assumed: Vec<String>) -> ModelConfig {
    ModelConfig {
        model_type: model_type.to_owned(),
        layout,
        vision,
        text: None,
        open_clip_tokenizer: None,
        logit_bias: false,
        assumed,
    }
}

/// The defaults of the class that a section is of.
fn defaults(model_type: &str) -> Option<Value> {
    let tower = |width: u64, mlp: u64, layers: u64, heads: u64, activation: &str, eps: f64| {
        json!({"hidden_size": width, "intermediate_size": mlp, "num_hidden_layers": layers,
               "num_attention_heads": heads, "hidden_act": activation, "layer_norm_eps": eps})
    };
    let (base, more) = match model_type {
        "clip_text_model" => (
            tower(512, 2048, 12, 8, "quick_gelu", 1e-5),
            json!({"vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407}),
        ),
        "clip_vision_model" => {
            (tower(768, 3072, 12, 12, "quick_gelu", 1e-5), json!({"image_size": 224, "patch_size": 32}))
        }
        "siglip_text_model" => (
            tower(768, 3072, 12, 12, "gelu_pytorch_tanh", 1e-6),
            json!({"vocab_size": 32000, "max_position_embeddings": 64}),
        ),
        "siglip_vision_model" => (
            tower(768, 3072, 12, 12, "gelu_pytorch_tanh", 1e-6),
            json!({"image_size": 224, "patch_size": 16, "vision_use_head": true}),
        ),
        "idefics3_vision" | "smolvlm_vision" => {
            (tower(1152, 3072, 12, 16, "gelu_pytorch_tanh", 1e-6), json!({"image_size": 224, "patch_size": 32}))
        }
        "dinov2" | "dinov2_with_registers" => (
            json!({"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_act": "gelu",
                   "layer_norm_eps": 1e-6, "mlp_ratio": 4, "image_size": 224, "patch_size": 14, "qkv_bias": true,
                   "use_swiglu_ffn": false}),
            if model_type == "dinov2" { json!({}) } else { json!({"num_register_tokens": 4}) },
        ),
        _ => return None,
    };
    let both = [base, more].into_iter().filter_map(|value| value.as_object().cloned());
    Some(Value::Object(both.flatten().collect::<Map<_, _>>()))
}

fn written_by_transformers(section: &Section) -> bool {
    section.find("transformers_version").is_some()
}

/// The section `name` of `top`, which is of `class`; what `<name>_dict` of early files says must be the same.
fn section(top: &Section, name: &str, class: &str, assumed: &mut Vec<String>) -> Result<Section> {
    let mut section = top.section(name)?;
    // Idefics3's tower was first published under the name of the whole.
    let own = |kind: &Value| kind == class || kind == "" || kind == "idefics3" && class == "idefics3_vision";
    if section.find("model_type").is_some_and(|kind| !own(kind)) {
        return Err(Error::mismatch(section.key("model_type"), format!("\"{class}\""), section.get("model_type")?));
    }
    if written_by_transformers(top)
        && let Some(defaults) = defaults(class)
    {
        section.complete(&defaults, name, assumed);
    }
    if let Some(twice) = top.find(&format!("{name}_dict")) {
        let twice = Section::of(twice, format!("{}: {name}_dict", top.place))?;
        for (key, value) in twice.keys().filter(|(key, value)| !INERT.contains(&key.as_str()) && !value.is_null()) {
            if section.find(key).is_some_and(|first| first != value) {
                let expected = format!("the value of {name} ({})", section.get(key)?);
                return Err(Error::mismatch(twice.key(key), expected, value));
            }
        }
    }
    Ok(section)
}

fn clip(mut top: Section) -> Result<ModelConfig> {
    let mut assumed = Vec::new();
    if written_by_transformers(&top) {
        top.complete(&json!({"projection_dim": 512}), "", &mut assumed);
    }
    top.only(&["text_config", "vision_config", "text_config_dict", "vision_config_dict"], INERT, &neutral())?;
    let text = section(&top, "text_config", "clip_text_model", &mut assumed)?;
    text.only(&[&TOWER[..], &["vocab_size", "max_position_embeddings", "eos_token_id"]].concat(), INERT, &neutral())?;
    let projection = top.size("projection_dim")?;
    let vision = section(&top, "vision_config", "clip_vision_model", &mut assumed)?;
    let vision = VisionConfig { projection: Some(projection), ..tower_of(&vision, "clip_vision_model")? };
    let text = TextConfig {
        tower: text.tower()?,
        vocabulary: text.size("vocab_size")?,
        positions: text.size("max_position_embeddings")?,
        causal: true,
        pooling: pooling(&text)?,
        projection,
        projection_bias: false,
    };
    let layout = Layout::Transformers { inside: false };
    Ok(ModelConfig { text: Some(text), ..alone("clip", layout, vision, assumed) })
}

fn pooling(text: &Section) -> Result<TextPooling> {
    let id = text.get("eos_token_id")?;
    match id.as_u64().map(u32::try_from) {
        Some(Ok(2)) => Ok(TextPooling::LargestId),
        Some(Ok(id)) => Ok(TextPooling::First(id)),
        _ => Err(Error::mismatch(text.key("eos_token_id"), "a token id", id)),
    }
}

fn siglip(top: &Section) -> Result<ModelConfig> {
    let mut assumed = Vec::new();
    top.only(&["text_config", "vision_config"], INERT, &neutral())?;
    let mut text = section(top, "text_config", "siglip_text_model", &mut assumed)?;
    text.only(
        &[&TOWER[..], &["vocab_size", "max_position_embeddings", "eos_token_id", "projection_size"]].concat(),
        INERT,
        &neutral(),
    )?;
    let tower = text.tower()?;
    if written_by_transformers(top) {
        text.complete(&json!({"projection_size": tower.width}), "text_config", &mut assumed);
    }
    let vision = section(top, "vision_config", "siglip_vision_model", &mut assumed)?;
    let vision = tower_of(&vision, "siglip_vision_model")?;
    let text = TextConfig {
        tower,
        vocabulary: text.size("vocab_size")?,
        positions: text.size("max_position_embeddings")?,
        causal: false,
        pooling: TextPooling::Last,
        projection: text.size("projection_size")?,
        projection_bias: true,
    };
    if vision.embedding() != Some(text.projection) {
        let (expected, got) = (format!("the vision tower's width ({})", vision.tower.width), text.projection);
        return Err(Error::mismatch(format!("{}: text_config: `projection_size`", top.place), expected, got));
    }
    let layout = Layout::Transformers { inside: false };
    Ok(ModelConfig { text: Some(text), logit_bias: true, ..alone("siglip", layout, vision, assumed) })
}

/// A model with one of the vision towers inside.
fn larger(top: &Section) -> Result<ModelConfig> {
    let model_type = top.text("model_type")?.to_owned();
    let vision = top.section("vision_config")?;
    let kind = match (vision.find("model_type").and_then(Value::as_str), model_type.as_str()) {
        (Some(kind), _) if !kind.is_empty() => kind.to_owned(),
        (_, "llava" | "llava_next") => "clip_vision_model".to_owned(),
        (_, "paligemma") => "siglip_vision_model".to_owned(),
        (_, "idefics3") => "idefics3_vision".to_owned(),
        (_, "smolvlm") => "smolvlm_vision".to_owned(),
        _ => return Err(Error::mismatch(&vision.place, "the key `model_type`", "no such key")),
    };
    let kind = if kind == "idefics3" { "idefics3_vision".to_owned() } else { kind };
    let mut assumed = Vec::new();
    let section = section(top, "vision_config", &kind, &mut assumed)?;
    let vision = tower_of(&section, &kind)?;
    Ok(alone(&model_type, Layout::Transformers { inside: true }, vision, assumed))
}

/// The vision tower that is described by the whole of `section`.
fn tower(
    mut section: Section,
    name: &str,
    kind: &str,
    inside: bool,
    assumed: &mut Vec<String>,
) -> Result<VisionConfig> {
    if (inside || written_by_transformers(&section))
        && let Some(defaults) = defaults(kind)
    {
        section.complete(&defaults, name, assumed);
    }
    let config = tower_of(&section, kind)?;
    // Whether a tower by itself has a projection stands in the checkpoint, not in its configuration.
    let projection = (kind == "clip_vision_model").then(|| section.size("projection_dim")).transpose();
    Ok(VisionConfig { projection: projection.unwrap_or_default(), ..config })
}

fn tower_of(section: &Section, kind: &str) -> Result<VisionConfig> {
    section.only(
        &[&TOWER[..], &["image_size", "patch_size", "vision_use_head", "projection_size"]].concat(),
        &[INERT, OF_LARGER].concat(),
        &neutral(),
    )?;
    let clip = match kind {
        "clip_vision_model" => true,
        "siglip_vision_model" | "idefics3_vision" | "smolvlm_vision" => false,
        other => {
            let expected = "a vision tower that is known (clip_vision_model, siglip_vision_model, idefics3_vision or \
                            smolvlm_vision)";
            return Err(Error::mismatch(section.key("model_type"), expected, format!("\"{other}\"")));
        }
    };
    let head = kind == "siglip_vision_model" && section.flag("vision_use_head")?;
    let (image, patch) = sides(section)?;
    Ok(VisionConfig {
        tower: section.tower()?,
        image,
        patch,
        patch_bias: !clip,
        class_token: clip,
        registers: 0,
        norm_pre: clip,
        positions: Positions::Learned,
        pooling: match (clip, head) {
            (true, _) => Some(VisionPooling::Class),
            (false, true) => Some(VisionPooling::Attention),
            (false, false) => None,
        },
        norm_after_pooling: false,
        projection: None,
    })
}

fn sides(section: &Section) -> Result<(usize, usize)> {
    let (image, patch) = (section.side("image_size")?, section.side("patch_size")?);
    if patch > image {
        return Err(Error::mismatch(section.key("patch_size"), format!("at most image_size ({image})"), patch));
    }
    Ok((image, patch))
}

fn dinov2(mut top: Section) -> Result<ModelConfig> {
    let model_type = top.text("model_type")?.to_owned();
    let mut assumed = Vec::new();
    if written_by_transformers(&top)
        && let Some(defaults) = defaults(&model_type)
    {
        top.complete(&defaults, "", &mut assumed);
    }
    let with_registers = model_type != "dinov2";
    let mut used = vec!["mlp_ratio", "image_size", "patch_size", "qkv_bias", "use_swiglu_ffn"];
    used.extend(["hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps"]);
    used.extend(with_registers.then_some("num_register_tokens"));
    top.only(&used, INERT, &neutral())?;
    let (image, patch) = sides(&top)?;
    let width = top.size("hidden_size")?;
    let gated = top.flag("use_swiglu_ffn")?;
    let hidden = (width as f64 * top.number("mlp_ratio", 0.01..=1000.0)?) as usize;
    let mlp = if gated { ((hidden as f64 * 2.0 / 3.0) as usize).next_multiple_of(8) } else { hidden };
    if mlp == 0 {
        return Err(Error::mismatch(top.key("mlp_ratio"), "an MLP of at least one hidden unit", "none"));
    }
    let tower = TowerConfig {
        width,
        layers: top.size("num_hidden_layers")?,
        heads: top.heads("num_attention_heads", width)?,
        mlp,
        activation: if gated { Activation::Silu } else { top.activation("hidden_act")? },
        eps: top.number("layer_norm_eps", 0.0..=1.0)?,
        qkv_bias: top.flag("qkv_bias")?,
        gated,
        layer_scale: true,
    };
    let vision = VisionConfig {
        tower,
        image,
        patch,
        patch_bias: true,
        class_token: true,
        registers: if with_registers { top.at_least("num_register_tokens", 0)? } else { 0 },
        norm_pre: false,
        positions: Positions::Bicubic { trained: image, antialias: with_registers },
        pooling: Some(VisionPooling::Class),
        norm_after_pooling: false,
        projection: None,
    };
    Ok(alone(&model_type, Layout::Dinov2, vision, assumed))
}

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
