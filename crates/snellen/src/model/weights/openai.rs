//! Files that describe themselves: OpenAI's own, and those made from them.
//!
//! OpenAI published CLIP as TorchScript archives (`ViT-B-32.pt`), Long-CLIP (arXiv 2403.15378) as plain weights under the same names.
//! No configuration lies beside them: widths and depths are the shapes of the weights, heads are 64 units wide, and the
//! activation is QuickGELU. So they are read as the `open_clip_config.json` that OpenCLIP makes of such a file. Weights of these names
//! alone do not say which activation they were trained with, and are refused unless a configuration says it.

use crate::model::checkpoint::Checkpoint;
use crate::model::files::{Files, Format};
use crate::model::layout::Layout;
use crate::model::prefixes::Prefixes;
use crate::{Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Positions of Long-CLIP that are CLIP's own; those behind them were trained by it.
const KEPT: usize = 20;

/// Units of a head.
const HEAD: usize = 64;

/// What a file of weights says of itself.
pub(in crate::model) struct Described {
    pub(in crate::model) path: PathBuf,
    /// An `open_clip_config.json`.
    pub(in crate::model) config: Value,
    /// How many positions of the text tower stand in the usual tensor, where more stand in another.
    pub(in crate::model) kept_positions: Option<usize>,
}

/// What the file `weights` says of itself; `None` where a configuration beside it has to.
pub(in crate::model) fn describe(files: &dyn Files, weights: Option<&str>) -> Result<Option<Described>> {
    let Some(name) = weights.filter(|name| !has_ending(name, "json")) else { return Ok(None) };
    let configs = [Format::Transformers, Format::OpenClip].map(Format::config);
    let mut beside = false;
    for config in configs {
        beside |= files.file(config)?.is_some();
    }
    if beside && has_ending(name, "safetensors") {
        return Ok(None);
    }
    let Some(path) = files.file(name)? else { return Ok(None) };
    let checkpoint = Checkpoint::of_files(&path, std::slice::from_ref(&path))?;
    if beside && !checkpoint.script {
        return Ok(None);
    }
    let names: Vec<&str> = checkpoint.names().map(String::as_str).collect();
    if names.iter().any(|name| name.ends_with("visual.layer1.0.conv1.weight")) {
        let expected = "a vision transformer (convolutions have no sites here)";
        return Err(Error::mismatch(path.display(), expected, "a ResNet"));
    }
    let Some(outer) = names.iter().find_map(|name| name.strip_suffix("visual.conv1.weight")) else { return Ok(None) };
    let has = |name: &str| checkpoint.holds(&format!("{outer}{name}"));
    let long = has("positional_embedding_res");
    if !long && !checkpoint.script && !has("input_resolution") {
        let expected = "an open_clip_config.json beside it, which says which activation these weights are for";
        return Err(Error::mismatch(path.display(), expected, "neither that nor a file of OpenAI"));
    }
    let prefixes = Prefixes::find(&names, Layout::OpenClip, true, &path)?;
    let config = config(&checkpoint, &prefixes, &path)?;
    Ok(Some(Described { config, kept_positions: long.then_some(KEPT), path }))
}

fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|own| own == ending)
}

/// The `open_clip_config.json` of weights with OpenAI's names.
fn config(checkpoint: &Checkpoint, Prefixes { vision, text }: &Prefixes, path: &Path) -> Result<Value> {
    let axis = |prefix: &str, name: &str, axis: usize| {
        let name = format!("{prefix}{name}");
        let shape = checkpoint.shape(&name).unwrap_or_default();
        let size = shape.get(axis).copied().filter(|size| *size > 0);
        let at = || format!("{}: tensor `{name}`", path.display());
        size.ok_or_else(|| Error::mismatch(at(), format!("{} axes or more", axis + 1), format!("{shape:?}")))
    };
    let layers = |prefix: &str| {
        let blocks = format!("{prefix}transformer.resblocks.");
        checkpoint.names().filter(|name| name.starts_with(&blocks) && name.ends_with(".attn.in_proj_weight")).count()
    };
    let patch = axis(vision, "conv1.weight", 3)?;
    let positions = axis(vision, "positional_embedding", 0)? - 1;
    let grid = positions.isqrt();
    let place = || format!("{}: tensor `{vision}positional_embedding`", path.display());
    if grid == 0 || grid * grid != positions {
        return Err(Error::mismatch(place(), "a class token and a square of patches", positions + 1));
    }
    let heads = |width: usize| {
        let whole = width.is_multiple_of(HEAD).then_some(width / HEAD);
        whole.ok_or_else(|| Error::mismatch(path.display(), format!("widths of whole heads of {HEAD} units"), width))
    };
    let (width, text_width) = (axis(vision, "conv1.weight", 0)?, axis(text, "ln_final.weight", 0)?);
    heads(width)?;
    let long = checkpoint.holds(&format!("{text}positional_embedding_res"));
    let context = if long { "positional_embedding_res" } else { "positional_embedding" };
    Ok(json!({
        "model_cfg": {
            "embed_dim": axis(text, "text_projection", 1)?,
            "quick_gelu": true,
            "vision_cfg": {
                "image_size": patch.saturating_mul(grid),
                "layers": layers(vision),
                "width": width,
                "head_width": HEAD,
                "patch_size": patch,
            },
            "text_cfg": {
                "context_length": axis(text, context, 0)?,
                "vocab_size": axis(text, "token_embedding.weight", 0)?,
                "width": text_width,
                "heads": heads(text_width)?,
                "layers": layers(text),
            },
        },
        "preprocess_cfg": {},
    }))
}
