//! `config.json` as `transformers` writes it: CLIP, SigLIP, DINOv2, and larger models with one of these inside. Others have files of
//! their own beside this one.
//!
//! What a file leaves out, or says to be null, has the default of its class, and is noted as assumed: newer releases leave out what
//! equals it. Keys that the class does not know are noted as left alone: older releases wrote dozens of them. Tower-level
//! `projection_dim` has no effect in CLIP's layout; only the top-level one counts.

use super::classes::{INERT, OF_LARGER, TOWER, defaults, neutral, neutral_vision};
use super::section::Section;
use super::{
    Biases, Layout, LeftAlone, ModelConfig, Positions, TextConfig, TextPooling, TowerConfig, VisionConfig,
    VisionPooling, dinov3, vit,
};
use crate::engine::Activation;
use crate::{Error, Result};
use serde_json::{Value, json};

pub(super) fn parse(json: &Value, place: &str) -> Result<ModelConfig> {
    let top = Section::of(json, place)?;
    match top.text("model_type")? {
        "clip" => clip(top, ["clip", "clip_text_model", "clip_vision_model"]),
        "metaclip_2" => clip(top, ["metaclip_2", "metaclip_2_text_model", "metaclip_2_vision_model"]),
        "siglip" => siglip(&top, ["siglip", "siglip_text_model", "siglip_vision_model"]),
        "siglip2" => siglip(&top, ["siglip2", "siglip2_text_model", "siglip2_vision_model"]),
        kind @ ("clip_vision_model" | "metaclip_2_vision_model" | "siglip_vision_model" | "siglip2_vision_model") => {
            tower(&top, kind)
        }
        "dinov2" | "dinov2_with_registers" => dinov2(top),
        "dinov3_vit" => dinov3::parse(top),
        "vit" | "deit" => vit::parse(top),
        kind @ ("clip_text_model" | "metaclip_2_text_model" | "siglip_text_model" | "siglip2_text_model") => {
            Err(Error::mismatch(top.key("model_type"), "a model of pictures, or of pictures and texts", quoted(kind)))
        }
        _ if top.find("vision_config").is_some_and(Value::is_object) => larger(&top),
        other => {
            let expected = "a type of model that is known (clip, clip_vision_model, metaclip_2, metaclip_2_vision_model, siglip, \
                            siglip_vision_model, siglip2, siglip2_vision_model, dinov2, dinov2_with_registers, dinov3_vit, vit, \
                            deit, or a larger one with a `vision_config` of one of these)";
            Err(Error::mismatch(top.key("model_type"), expected, quoted(other)))
        }
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// The section `name` of `top`, which is of `class`.
fn section(top: &Section, name: &str, class: &str, assumed: &mut Vec<String>) -> Result<Section> {
    let mut section = match top.find(name) {
        Some(_) => top.section(name)?,
        None => Section::of(&json!({}), format!("{}: {name}", top.place))?,
    };
    // Idefics3's tower was first published under the name of the whole.
    let own = |kind: &Value| kind == class || kind == "" || kind == "idefics3" && class == "idefics3_vision";
    if section.find("model_type").is_some_and(|kind| !own(kind)) {
        return Err(Error::mismatch(section.key("model_type"), quoted(class), section.get("model_type")?));
    }
    if let Some(defaults) = defaults(class) {
        section.complete(&defaults, name, assumed);
    }
    Ok(section)
}

/// The section `name` of a CLIP, or what takes its place: of `<name>_dict`, the way of early releases, the library makes a whole
/// section, defaults included, and goes by that in everything that the class knows.
fn section_or_dict(top: &Section, name: &str, class: &str, assumed: &mut Vec<String>) -> Result<Section> {
    let twice = format!("{name}_dict");
    let Some(dict) = top.find(&twice) else { return section(top, name, class, assumed) };
    let mut dict = Section::of(dict, format!("{}: {twice}", top.place))?;
    dict.complete(&defaults(class).unwrap_or_default(), &twice, assumed);
    let mut section = section(top, name, class, &mut Vec::new())?;
    section.overwrite(dict);
    Ok(section)
}

/// CLIP, or MetaCLIP 2, whose classes are CLIP's but for the end token; `kinds` are the types of whole, text and vision tower.
fn clip(mut top: Section, [kind, of_text, of_vision]: [&str; 3]) -> Result<ModelConfig> {
    let (mut assumed, mut left_alone) = (Vec::new(), LeftAlone::default());
    top.no_code()?;
    top.complete(&json!({"projection_dim": 512}), "", &mut assumed);
    let sections = ["text_config", "vision_config", "text_config_dict", "vision_config_dict"];
    top.notice("", (&sections, INERT, &neutral()), &mut left_alone)?;
    let text = section_or_dict(&top, "text_config", of_text, &mut assumed)?;
    let used = [&TOWER[..], &["vocab_size", "max_position_embeddings", "eos_token_id"]].concat();
    let neutral = [neutral(), vec![("is_causal", json!(true))]].concat();
    text.notice("text_config", (&used, INERT, &neutral), &mut left_alone)?;
    let projection = top.size("projection_dim")?;
    let vision = section_or_dict(&top, "vision_config", of_vision, &mut assumed)?;
    let vision = tower_of(&vision, "vision_config", of_vision, &mut left_alone)?;
    let vision = VisionConfig { projection: Some(projection), ..vision };
    let text = TextConfig {
        tower: text.tower()?,
        vocabulary: text.size("vocab_size")?,
        positions: text.size("max_position_embeddings")?,
        causal: true,
        pooling: pooling(&text, kind == "clip")?,
        projection,
        projection_bias: false,
        projected: true,
        kept_positions: None,
    };
    let layout = Layout::Transformers { inside: false };
    Ok(ModelConfig { text: Some(text), left_alone, ..ModelConfig::alone(kind, layout, vision, assumed) })
}

/// Which token a text is read at; in a CLIP of `early` releases the end token is 2 by mistake.
fn pooling(text: &Section, early: bool) -> Result<TextPooling> {
    let id = text.get("eos_token_id")?;
    match id.as_u64().map(u32::try_from) {
        Some(Ok(2)) if early => Ok(TextPooling::LargestId),
        Some(Ok(id)) => Ok(TextPooling::First(id)),
        _ => Err(Error::mismatch(text.key("eos_token_id"), "a token id", id)),
    }
}

/// Whether this is the name of a class that classifies images.
fn is_classifier(architecture: &Value) -> bool {
    architecture.as_str().is_some_and(|name| name.ends_with("ForImageClassification"))
}

/// SigLIP, or SigLIP 2 NaFlex; `kinds` are the types of whole, text and vision tower.
fn siglip(top: &Section, [kind, of_text, of_vision]: [&str; 3]) -> Result<ModelConfig> {
    let (mut assumed, mut left_alone) = (Vec::new(), LeftAlone::default());
    top.no_code()?;
    top.notice("", (&["text_config", "vision_config"], INERT, &neutral()), &mut left_alone)?;
    let mut text = section(top, "text_config", of_text, &mut assumed)?;
    let used = [&TOWER[..], &["vocab_size", "max_position_embeddings", "eos_token_id", "projection_size"]].concat();
    text.notice("text_config", (&used, INERT, &neutral()), &mut left_alone)?;
    let tower = text.tower()?;
    text.complete(&json!({"projection_size": tower.width}), "text_config", &mut assumed);
    let vision = section(top, "vision_config", of_vision, &mut assumed)?;
    let vision = tower_of(&vision, "vision_config", of_vision, &mut left_alone)?;
    let text = TextConfig {
        tower,
        vocabulary: text.size("vocab_size")?,
        positions: text.size("max_position_embeddings")?,
        causal: false,
        pooling: TextPooling::Last,
        projection: text.size("projection_size")?,
        projection_bias: true,
        projected: true,
        kept_positions: None,
    };
    if top.find("text_config").is_some() && vision.embedding() != Some(text.projection) {
        // Of a classifier its own class makes the vision tower alone, whatever is said of texts.
        let names = |value: &Value| value.as_array().is_some_and(|all| all.iter().any(is_classifier));
        if top.find("architectures").is_some_and(names) {
            left_alone.keys.push("text_config".to_owned());
            let layout = Layout::Transformers { inside: false };
            return Ok(ModelConfig { left_alone, ..ModelConfig::alone(kind, layout, vision, assumed) });
        }
        let (expected, got) = (format!("the vision tower's width ({})", vision.tower.width), text.projection);
        return Err(Error::mismatch(format!("{}: text_config: `projection_size`", top.place), expected, got));
    }
    let layout = Layout::Transformers { inside: false };
    Ok(ModelConfig {
        text: Some(text),
        logit_bias: true,
        left_alone,
        ..ModelConfig::alone(kind, layout, vision, assumed)
    })
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
    top.notice("", (&[], &[], &neutral()), &mut LeftAlone::default())?;
    let (mut assumed, mut left_alone) = (Vec::new(), LeftAlone::default());
    let section = section(top, "vision_config", &kind, &mut assumed)?;
    let vision = tower_of(&section, "vision_config", &kind, &mut left_alone)?;
    Ok(ModelConfig {
        left_alone,
        ..ModelConfig::alone(&model_type, Layout::Transformers { inside: true }, vision, assumed)
    })
}

/// A vision tower by itself, which the whole file describes.
fn tower(top: &Section, kind: &str) -> Result<ModelConfig> {
    let (mut assumed, mut left_alone) = (Vec::new(), LeftAlone::default());
    top.no_code()?;
    let mut section = top.clone();
    section.complete(&defaults(kind).unwrap_or_default(), "", &mut assumed);
    let mut vision = tower_of(&section, "", kind, &mut left_alone)?;
    if kind == "clip_vision_model" || kind == "metaclip_2_vision_model" {
        // Whether there is a projection stands in the checkpoint, not in its configuration.
        section.complete(&json!({"projection_dim": 512}), "", &mut Vec::new());
        vision.projection = Some(section.size("projection_dim")?);
    }
    let layout = Layout::Transformers { inside: false };
    Ok(ModelConfig { left_alone, ..ModelConfig::alone(kind, layout, vision, assumed) })
}

fn tower_of(section: &Section, name: &str, kind: &str, left_alone: &mut LeftAlone) -> Result<VisionConfig> {
    let (siglip, flexible) = (kind == "siglip_vision_model", kind == "siglip2_vision_model");
    let head: &[&str] = if siglip || flexible { &["vision_use_head"] } else { &[] };
    let used = [&TOWER[..], &["patch_size", if flexible { "num_patches" } else { "image_size" }], head].concat();
    section.notice(name, (&used, &[INERT, OF_LARGER].concat(), &neutral_vision()), left_alone)?;
    let clip = match kind {
        "clip_vision_model" | "metaclip_2_vision_model" => true,
        "siglip_vision_model" | "siglip2_vision_model" | "idefics3_vision" | "smolvlm_vision" => false,
        other => {
            let expected = "a vision tower that is known (clip_vision_model, metaclip_2_vision_model, siglip_vision_model, \
                            siglip2_vision_model, idefics3_vision or smolvlm_vision)";
            return Err(Error::mismatch(section.key("model_type"), expected, format!("\"{other}\"")));
        }
    };
    let head = (siglip || flexible) && section.flag("vision_use_head")?;
    let (image, patch, positions) = if flexible {
        let (patch, most) = (section.side("patch_size")?, section.size("num_patches")?);
        let trained = most.isqrt();
        if trained * trained != most {
            return Err(Error::mismatch(section.key("num_patches"), "the square of a whole number", most));
        }
        (patch * trained, patch, Positions::Flexible { trained, most })
    } else {
        let (image, patch) = section.sides()?;
        (image, patch, Positions::Learned)
    };
    Ok(VisionConfig {
        tower: section.tower()?,
        image,
        patch,
        patch_bias: !clip,
        class_token: clip,
        class_position: true,
        distillation: false,
        registers: 0,
        norm_pre: clip,
        positions,
        rotary: None,
        pooling: match (clip, head) {
            (true, _) => Some(VisionPooling::Class),
            (false, true) => Some(VisionPooling::Attention),
            (false, false) => None,
        },
        head: None,
        norm_after_pooling: false,
        projection: None,
        projection_bias: false,
    })
}

fn dinov2(mut top: Section) -> Result<ModelConfig> {
    let model_type = top.text("model_type")?.to_owned();
    let (mut assumed, mut left_alone) = (Vec::new(), LeftAlone::default());
    top.no_code()?;
    top.complete(&defaults(&model_type).unwrap_or_default(), "", &mut assumed);
    let with_registers = model_type != "dinov2";
    let mut used = vec!["mlp_ratio", "image_size", "patch_size", "qkv_bias", "use_swiglu_ffn"];
    used.extend(["hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps"]);
    used.extend(with_registers.then_some("num_register_tokens"));
    top.notice("", (&used, INERT, &neutral_vision()), &mut left_alone)?;
    let (image, patch) = top.sides()?;
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
        biases: Biases::with_qkv(top.flag("qkv_bias")?),
        gated,
        layer_scale: true,
        attention_norm: false,
        mlp_norm: false,
    };
    let vision = VisionConfig {
        tower,
        image,
        patch,
        patch_bias: true,
        class_token: true,
        class_position: true,
        distillation: false,
        registers: if with_registers { top.at_least("num_register_tokens", 0)? } else { 0 },
        norm_pre: false,
        positions: Positions::Bicubic { trained: image, antialias: with_registers },
        rotary: None,
        pooling: Some(VisionPooling::Class),
        head: None,
        norm_after_pooling: false,
        projection: None,
        projection_bias: false,
    };
    Ok(ModelConfig { left_alone, ..ModelConfig::alone(&model_type, Layout::Dinov2, vision, assumed) })
}
