//! `open_clip_config.json`: OpenCLIP's own transformers, or a vision tower of timm beside its text tower.
//!
//! The file holds what differs from the defaults of OpenCLIP's configuration classes, which are part of the format. Widths have
//! no key where they follow from others: heads from `head_width`, hidden units from `mlp_ratio`. The activation is `quick_gelu`'s
//! where the file says so, else GELU with the error function, or with `tanh` where `act_kwargs` asks for that; the epsilon is
//! PyTorch's default unless `norm_kwargs` has one. ResNets and text towers of `transformers` are refused by name.

use super::section::Section;
use super::timm::{Architecture, Pool, pool};
use super::{
    Biases, Cleaning, Layout, ModelConfig, OpenClipTokenizer, Positions, TextConfig, TextPooling, TowerConfig,
    VisionConfig, VisionPooling,
};
use crate::engine::Activation;
use crate::{Error, Result};
use serde_json::{Value, json};

/// Without effect on the forward.
const INERT: &[&str] = &[
    "attn_pooler_heads",
    "attn_pooler_queries",
    "block_type",
    "custom_text",
    "hf_model_pretrained",
    "hf_pooler_type",
    "hf_proj_type",
    "init_logit_scale",
    "nonscalar_logit_scale",
    "output_dict",
    "output_tokens",
    "pad_id",
    "patch_dropout",
    "timm_drop",
    "timm_drop_path",
    "timm_model_pretrained",
    "timm_pool",
    "timm_proj",
    "timm_proj_bias",
];

/// Neutral in both towers.
fn neutral() -> Vec<(&'static str, Value)> {
    let off = ["attentional_pool", "embed_cls", "qk_norm", "scale_attn", "scale_attn_inner", "scale_fc", "scale_heads"];
    let mut neutral: Vec<_> = off.iter().map(|key| (*key, json!(false))).collect();
    neutral.push(("scaled_cosine_attn", json!(false)));
    neutral.push(("pos_embed_type", json!("learnable")));
    neutral.push(("hf_model_name", Value::Null));
    neutral
}

pub(super) fn parse(json: &Value, place: &str) -> Result<ModelConfig> {
    let file = Section::of(json, place)?;
    // As the library: what is not inside `model_cfg` is it.
    let top = if file.has("model_cfg") { file.section("model_cfg")? } else { file };
    top.only(
        &["embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_bias"],
        INERT,
        &[("multimodal_cfg", Value::Null)],
    )?;
    let mut assumed = Vec::new();
    let quick = top.find("quick_gelu").is_some() && top.flag("quick_gelu")?;
    let projection = top.size("embed_dim")?;

    let vision = top.section("vision_cfg")?;
    let (layout, vision) = match vision.find("timm_model_name") {
        Some(_) => timm_tower(&vision, projection)?,
        None => (Layout::OpenClip, vision_tower(vision, projection, quick, &mut assumed)?),
    };
    let text_section = top.section("text_cfg")?;
    let tokenizer = tokenizer(&text_section)?;
    let text = text(text_section, projection, quick, &mut assumed)?;
    if vision.embedding() != Some(projection) {
        let expected = format!("the vision tower's width ({})", vision.tower.width);
        return Err(Error::mismatch(top.key("embed_dim"), expected, projection));
    }
    Ok(ModelConfig {
        model_type: "open_clip".to_owned(),
        layout,
        vision,
        text: Some(text),
        open_clip_tokenizer: Some(tokenizer),
        logit_bias: top.find("init_logit_bias").is_some(),
        assumed,
        left_alone: super::LeftAlone::default(),
    })
}

fn vision_tower(
    mut vision: Section,
    projection: usize,
    quick: bool,
    assumed: &mut Vec<String>,
) -> Result<VisionConfig> {
    vision.only(
        &[
            &["layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "ls_init_value", "no_ln_pre"],
            &["final_ln_after_pool", "pool_type", "act_kwargs", "norm_kwargs"][..],
        ]
        .concat(),
        INERT,
        &neutral(),
    )?;
    let ours = json!({"layers": 12, "width": 768, "head_width": 64, "mlp_ratio": 4.0, "patch_size": 16,
                      "image_size": 224, "no_ln_pre": false, "final_ln_after_pool": false, "pool_type": "tok"});
    vision.complete(&ours, "vision_cfg", assumed);
    let width = vision.size("width")?;
    let head_width = vision.size("head_width")?;
    if !width.is_multiple_of(head_width) {
        let expected = format!("a divisor of width ({width})");
        return Err(Error::mismatch(vision.key("head_width"), expected, head_width));
    }
    let (image, patch) = (vision.side("image_size")?, vision.side("patch_size")?);
    if patch > image {
        return Err(Error::mismatch(vision.key("patch_size"), format!("at most image_size ({image})"), patch));
    }
    let pooling = match vision.text("pool_type")? {
        "tok" => VisionPooling::Class,
        "avg" => VisionPooling::Mean,
        other => return Err(Error::mismatch(vision.key("pool_type"), "`tok` or `avg`", format!("`{other}`"))),
    };
    Ok(VisionConfig {
        tower: tower(&vision, width, width / head_width, quick)?,
        image,
        patch,
        patch_bias: false,
        class_token: true,
        class_position: true,
        distillation: false,
        registers: 0,
        norm_pre: !vision.flag("no_ln_pre")?,
        positions: Positions::Learned,
        rotary: None,
        pooling: Some(pooling),
        head: None,
        norm_after_pooling: vision.flag("final_ln_after_pool")?,
        projection: Some(projection),
        projection_bias: false,
    })
}

/// A tower of timm, whose sizes stand in its name only. Where `timm_proj` is not `none`, timm's classifier projects what was pooled.
fn timm_tower(section: &Section, projection: usize) -> Result<(Layout, VisionConfig)> {
    section.only(
        &["timm_model_name", "timm_pool", "timm_proj", "image_size"],
        &["timm_model_pretrained", "timm_drop", "timm_drop_path", "patch_dropout"],
        &[],
    )?;
    let place = section.key("timm_model_name");
    let name = section.text("timm_model_name")?;
    let mut architecture = Architecture::find(name, &place)?;
    architecture.pool = match section.find("timm_pool") {
        Some(_) => pool(section, "timm_pool")?,
        None => Pool::Average,
    };
    let projected = match section.find("timm_proj").map(|_| section.text("timm_proj")).transpose()? {
        None | Some("") => true,
        Some("none") => false,
        Some(other) => {
            let got = format!("`{}`", super::shown(other));
            return Err(Error::mismatch(section.key("timm_proj"), "`none` or null", got));
        }
    };
    let image = architecture.image;
    if section.find("image_size").is_some() && section.side("image_size")? != image {
        let expected = format!("{image}, as in {name}");
        return Err(Error::mismatch(section.key("image_size"), expected, section.side("image_size")?));
    }
    let (vision, names) = architecture.tower(&place)?;
    let projection = projected.then_some(projection);
    Ok((Layout::OpenClipTimm(names), VisionConfig { projection, projection_bias: true, ..vision }))
}

fn text(mut text: Section, projection: usize, quick: bool, assumed: &mut Vec<String>) -> Result<TextConfig> {
    text.only(
        &[
            &["context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "ls_init_value", "eos_id"],
            &["no_causal_mask", "pool_type", "proj_bias", "proj_type", "act_kwargs", "norm_kwargs"][..],
            &["hf_tokenizer_name", "tokenizer_kwargs"][..],
        ]
        .concat(),
        INERT,
        &[&neutral()[..], &[("final_ln_after_pool", json!(false)), ("tokenizer_mode", Value::Null)]].concat(),
    )?;
    let ours = json!({"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12,
                      "mlp_ratio": 4.0, "no_causal_mask": false, "pool_type": "argmax", "proj_bias": false,
                      "proj_type": "linear"});
    text.complete(&ours, "text_cfg", assumed);
    let width = text.size("width")?;
    let pooling = match text.text("pool_type")? {
        "argmax" => TextPooling::LargestId,
        "last" => TextPooling::Last,
        "eos" => {
            text.complete(&json!({"eos_id": 2}), "text_cfg", assumed);
            TextPooling::First(text.at_least("eos_id", 0)? as u32)
        }
        other => {
            return Err(Error::mismatch(text.key("pool_type"), "`argmax`, `last` or `eos`", format!("`{other}`")));
        }
    };
    let projected = match text.text("proj_type")? {
        "linear" => true,
        "none" if width == projection => false,
        "none" => {
            let got = format!("a text tower of {width} units");
            return Err(Error::mismatch(text.key("proj_type"), format!("a projection to {projection} units"), got));
        }
        other => {
            let got = format!("`{}`", super::shown(other));
            return Err(Error::mismatch(text.key("proj_type"), "`linear` or `none`", got));
        }
    };
    Ok(TextConfig {
        tower: tower(&text, width, text.heads("heads", width)?, quick)?,
        vocabulary: text.size("vocab_size")?,
        positions: text.size("context_length")?,
        causal: !text.flag("no_causal_mask")?,
        pooling,
        projection,
        projection_bias: projected && text.flag("proj_bias")?,
        projected,
        kept_positions: None,
    })
}

/// The tokenizer; as OpenCLIP's, that of `transformers` keeps case unless asked not to.
fn tokenizer(text: &Section) -> Result<OpenClipTokenizer> {
    let library = match text.find("hf_tokenizer_name") {
        Some(_) => Some(text.text("hf_tokenizer_name")?).filter(|name| !name.is_empty()).map(str::to_owned),
        None => None,
    };
    let usual = if library.is_some() { Cleaning::Whitespace } else { Cleaning::Lower };
    let Some(_) = text.find("tokenizer_kwargs") else {
        return Ok(OpenClipTokenizer { library, cleaning: usual, strip_separator: false });
    };
    let arguments = text.section("tokenizer_kwargs")?;
    let neutral = [
        ("reduction_mask", json!("")),
        ("language", Value::Null),
        ("additional_special_tokens", Value::Null),
        ("tokenizer_mode", Value::Null),
    ];
    arguments.only(&["clean", "strip_sep_token"], &[], &neutral)?;
    let strip_separator = arguments.find("strip_sep_token").is_some() && arguments.flag("strip_sep_token")?;
    if strip_separator && library.is_none() {
        let expected = "a tokenizer of `transformers` (`hf_tokenizer_name`)";
        return Err(Error::mismatch(arguments.key("strip_sep_token"), expected, "CLIP's, which has no such token"));
    }
    let cleaning = match arguments.find("clean").map(|_| arguments.text("clean")).transpose()? {
        None => usual,
        Some("whitespace") => Cleaning::Whitespace,
        Some("lower") => Cleaning::Lower,
        Some("canonicalize") => Cleaning::Canonicalize,
        Some(other) => {
            let expected = "`whitespace`, `lower` or `canonicalize`";
            return Err(Error::mismatch(arguments.key("clean"), expected, format!("`{other}`")));
        }
    };
    Ok(OpenClipTokenizer { library, cleaning, strip_separator })
}

fn tower(section: &Section, width: usize, heads: usize, quick: bool) -> Result<TowerConfig> {
    let mlp = (width as f64 * section.number("mlp_ratio", 0.01..=1000.0)?) as usize;
    if mlp == 0 {
        return Err(Error::mismatch(section.key("mlp_ratio"), "an MLP of at least one hidden unit", "none"));
    }
    Ok(TowerConfig {
        width,
        layers: section.size("layers")?,
        heads,
        mlp,
        activation: activation(section, quick)?,
        eps: epsilon(section)?,
        biases: Biases::ALL,
        gated: false,
        layer_scale: section.find("ls_init_value").is_some(),
        attention_norm: false,
        mlp_norm: false,
    })
}

fn activation(section: &Section, quick: bool) -> Result<Activation> {
    let Some(arguments) = section.find("act_kwargs") else {
        return Ok(if quick { Activation::QuickGelu } else { Activation::Gelu });
    };
    match (arguments.as_object().map(|map| map.iter().collect::<Vec<_>>()).as_deref(), quick) {
        (Some([]), true) => Ok(Activation::QuickGelu),
        (Some([]), false) => Ok(Activation::Gelu),
        (Some([(key, value)]), false) if *key == "approximate" && *value == "tanh" => Ok(Activation::GeluTanh),
        (Some([(key, value)]), false) if *key == "approximate" && *value == "none" => Ok(Activation::Gelu),
        _ => Err(Error::mismatch(section.key("act_kwargs"), "`approximate`: `tanh` or `none`, of GELU", arguments)),
    }
}

fn epsilon(section: &Section) -> Result<f64> {
    let Some(arguments) = section.find("norm_kwargs") else { return Ok(1e-5) };
    match arguments.as_object().map(|map| map.iter().collect::<Vec<_>>()).as_deref() {
        Some([]) => Ok(1e-5),
        Some([(key, _)]) if *key == "eps" => {
            Section::of(arguments, section.key("norm_kwargs"))?.number("eps", 0.0..=1.0)
        }
        _ => Err(Error::mismatch(section.key("norm_kwargs"), "only `eps`", arguments)),
    }
}
