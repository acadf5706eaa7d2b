//! `config.json` of the Hugging Face CLIP layout.
//!
//! Nothing that changes the maths is guessed: a missing key, an unknown key or an unknown value is an error that names it.
//! Tower-level `projection_dim` has no effect in that layout (only the top-level one counts) and is ignored here as well.

use crate::engine::Activation;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// The shape of a CLIP model.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipConfig {
    /// The vision tower.
    pub vision: VisionConfig,
    /// The text tower.
    pub text: TextConfig,
    /// Width of both embeddings.
    pub projection: usize,
}

/// What the towers have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct TowerConfig {
    /// Width of the residual stream (`hidden_size`).
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Hidden units of each MLP (`intermediate_size`).
    pub mlp: usize,
    /// Of every MLP.
    pub activation: Activation,
    /// Of every layer norm.
    pub eps: f64,
}

/// The vision tower.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Blocks.
    pub tower: TowerConfig,
    /// Height and width of the input, in pixels.
    pub image: usize,
    /// Height and width of a patch, in pixels.
    pub patch: usize,
}

impl VisionConfig {
    /// Patches along each side of the image.
    pub fn grid(&self) -> usize {
        self.image / self.patch
    }

    /// Patches of an image.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }
}

/// The text tower.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Blocks.
    pub tower: TowerConfig,
    /// Token ids are below this.
    pub vocabulary: usize,
    /// The longest text, in tokens.
    pub positions: usize,
    /// Which token the embedding is read at.
    pub pooling: TextPooling,
}

/// The token that a text embedding is read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPooling {
    /// The first token with this id (`eos_token_id`).
    First(u32),
    /// The first token with the largest id: what `eos_token_id: 2` of early checkpoints stands for.
    LargestId,
}

/// Widths beyond this are hostile, not large: no product of two of them overflows.
const LARGEST: u64 = 1 << 20;

/// Keys that `transformers` writes and that have no effect on the forward.
const INERT: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "begin_suppress_tokens",
    "bad_words_ids",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "logit_scale_init_value",
    "max_length",
    "min_length",
    "model_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "projection_dim",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
];

/// Keys that change the forward unless they have this value.
const NEUTRAL: &[(&str, &str)] = &[
    ("add_cross_attention", "false"),
    ("is_decoder", "false"),
    ("pruned_heads", "{}"),
    ("tie_encoder_decoder", "false"),
    ("tie_word_embeddings", "true"),
    ("num_channels", "3"),
];

impl ClipConfig {
    /// Reads `config.json` in `folder`.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let json: Value = serde_json::from_slice(&bytes).map_err(|e| Error::malformed(path.display(), e))?;
        Self::parse(&json, &path.display().to_string())
    }

    /// From the parsed JSON; `place` is the file's name for messages.
    pub fn parse(json: &Value, place: &str) -> Result<Self> {
        let top = Section::of(json, place.to_owned())?;
        let family = top.text("model_type")?;
        if family != "clip" {
            return Err(Error::mismatch(top.key("model_type"), "\"clip\"", format!("\"{family}\"")));
        }
        let text = top.section("text_config")?;
        let vision = top.section("vision_config")?;
        top.only(&["text_config", "vision_config"])?;
        let towers = [
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "hidden_act",
            "layer_norm_eps",
        ];
        text.only(&[&towers[..], &["vocab_size", "max_position_embeddings", "eos_token_id"]].concat())?;
        vision.only(&[&towers[..], &["image_size", "patch_size"]].concat())?;
        let (image, patch) = (vision.size("image_size")?, vision.size("patch_size")?);
        if patch > image {
            return Err(Error::mismatch(vision.key("patch_size"), format!("at most image_size ({image})"), patch));
        }
        Ok(Self {
            vision: VisionConfig { tower: vision.tower()?, image, patch },
            text: TextConfig {
                tower: text.tower()?,
                vocabulary: text.size("vocab_size")?,
                positions: text.size("max_position_embeddings")?,
                pooling: text.pooling(&top)?,
            },
            projection: top.size("projection_dim")?,
        })
    }

    /// The JSON that [`ClipConfig::parse`] and `transformers` read.
    pub fn to_json(&self) -> Value {
        let tower = |t: &TowerConfig| {
            serde_json::json!({
                "hidden_size": t.width, "num_hidden_layers": t.layers, "num_attention_heads": t.heads,
                "intermediate_size": t.mlp, "hidden_act": t.activation, "layer_norm_eps": t.eps,
                "projection_dim": self.projection, "attention_dropout": 0.0,
            })
        };
        let merge = |mut a: Value, b: Value| {
            if let (Value::Object(a), Value::Object(b)) = (&mut a, b) {
                a.extend(b);
            }
            a
        };
        let eos = match self.text.pooling {
            TextPooling::First(id) => id,
            TextPooling::LargestId => 2,
        };
        serde_json::json!({
            "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": self.projection,
            "text_config": merge(tower(&self.text.tower), serde_json::json!({
                "model_type": "clip_text_model", "vocab_size": self.text.vocabulary,
                "max_position_embeddings": self.text.positions, "eos_token_id": eos,
            })),
            "vision_config": merge(tower(&self.vision.tower), serde_json::json!({
                "model_type": "clip_vision_model", "image_size": self.vision.image, "patch_size": self.vision.patch,
                "num_channels": 3,
            })),
        })
    }
}

/// An object of the JSON, with its place for messages.
struct Section<'a> {
    map: &'a Map<String, Value>,
    place: String,
}

impl<'a> Section<'a> {
    fn of(json: &'a Value, place: String) -> Result<Self> {
        match json {
            Value::Object(map) => Ok(Self { map, place }),
            other => Err(Error::mismatch(place, "an object", kind(other))),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}: `{key}`", self.place)
    }

    fn get(&self, key: &str) -> Result<&'a Value> {
        self.map.get(key).ok_or_else(|| Error::mismatch(&self.place, format!("the key `{key}`"), "no such key"))
    }

    fn section(&self, key: &str) -> Result<Self> {
        Self::of(self.get(key)?, format!("{}: {key}", self.place))
    }

    fn text(&self, key: &str) -> Result<&'a str> {
        let value = self.get(key)?;
        value.as_str().ok_or_else(|| Error::mismatch(self.key(key), "a string", kind(value)))
    }

    fn size(&self, key: &str) -> Result<usize> {
        let value = self.get(key)?;
        match value.as_u64() {
            Some(n) if (1..=LARGEST).contains(&n) => Ok(n as usize),
            _ => Err(Error::mismatch(self.key(key), format!("a whole number from 1 to {LARGEST}"), value)),
        }
    }

    fn tower(&self) -> Result<TowerConfig> {
        let (width, heads) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        if width % heads != 0 {
            let expected = format!("a divisor of hidden_size ({width})");
            return Err(Error::mismatch(self.key("num_attention_heads"), expected, heads));
        }
        let activation = match self.text("hidden_act")? {
            "gelu" => Activation::Gelu,
            "quick_gelu" => Activation::QuickGelu,
            other => {
                return Err(Error::mismatch(self.key("hidden_act"), "`gelu` or `quick_gelu`", format!("`{other}`")));
            }
        };
        let value = self.get("layer_norm_eps")?;
        let eps = value.as_f64().filter(|e| (0.0..1.0).contains(e));
        Ok(TowerConfig {
            width,
            layers: self.size("num_hidden_layers")?,
            heads,
            mlp: self.size("intermediate_size")?,
            activation,
            eps: eps.ok_or_else(|| Error::mismatch(self.key("layer_norm_eps"), "a number from 0 to 1", value))?,
        })
    }

    /// `transformers` 4 leaves `eos_token_id` out where it is the real CLIP tokenizer's, 49407: that is what absence means in a file
    /// written by `transformers`.
    fn pooling(&self, top: &Self) -> Result<TextPooling> {
        match self.map.get("eos_token_id") {
            None if top.map.contains_key("transformers_version") => Ok(TextPooling::First(49407)),
            _ => match self.get("eos_token_id")?.as_u64() {
                Some(2) => Ok(TextPooling::LargestId),
                id => match id.and_then(|id| u32::try_from(id).ok()) {
                    Some(id) => Ok(TextPooling::First(id)),
                    None => Err(Error::mismatch(self.key("eos_token_id"), "a token id", self.get("eos_token_id")?)),
                },
            },
        }
    }

    /// Refuses keys that might change the maths.
    fn only(&self, used: &[&str]) -> Result<()> {
        for (key, value) in self.map {
            let neutral = NEUTRAL.iter().find(|(name, _)| name == key);
            if let Some((_, neutral)) = neutral {
                let written = value.to_string();
                if written != *neutral && !value.is_null() {
                    return Err(Error::mismatch(self.key(key), neutral, value));
                }
            } else if !used.contains(&key.as_str()) && !INERT.contains(&key.as_str()) {
                return Err(Error::mismatch(&self.place, "only keys whose effect is known", format!("`{key}`")));
            }
        }
        Ok(())
    }
}

/// The JSON kind of a value, for messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
