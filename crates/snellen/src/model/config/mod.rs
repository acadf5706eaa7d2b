//! What a model is made of, from its `config.json` or `open_clip_config.json`.
//!
//! Nothing that changes the maths is guessed. A key that the library's own class turns into other maths is used, or refused by name;
//! one that the class takes no notice of changes nothing here either, and stands in [`left_alone`](ModelConfig::left_alone). What a
//! file leaves out has the default of its class, which is part of the format, and stands in [`assumed`](ModelConfig::assumed).

mod classes;
mod dinov3;
mod open_clip;
mod section;
mod timm;
mod timm_folder;
mod transformers;
mod vit;
mod write;

use super::layout::Layout;
use crate::engine::Activation;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The shape of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// `model_type` of a `config.json`; `open_clip` for an OpenCLIP model, `timm` for one of timm.
    pub model_type: String,
    /// How the checkpoint names its weights.
    pub layout: Layout,
    /// The vision tower.
    pub vision: VisionConfig,
    /// The text tower, where there is one.
    pub text: Option<TextConfig>,
    /// What OpenCLIP's configuration says of the tokenizer; `None` for other files, which say it elsewhere.
    pub open_clip_tokenizer: Option<OpenClipTokenizer>,
    /// Whether logits have a bias beside their scale (SigLIP, arXiv 2303.15343).
    pub logit_bias: bool,
    /// What the file left out, as `key = value`, and its format gives a default for.
    pub assumed: Vec<String>,
    /// What is there and was not read.
    pub left_alone: LeftAlone,
}

/// What a model's files hold and its forward has no use for: nothing that the library which reads such files makes use of either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftAlone {
    /// Keys of the configuration that its class does not know, as `section.key`.
    pub keys: Vec<String>,
    /// Weights beside the towers, as `classifier.* (2 tensors)`.
    pub tensors: Vec<String>,
    /// Files that could have been read instead of those that were.
    pub files: Vec<String>,
}

impl LeftAlone {
    /// Names of a list that are listed; of more only their number is said.
    pub(super) const MOST: usize = 100;

    /// Adds what `names` are to `list`, up to [`LeftAlone::MOST`].
    pub(super) fn list(list: &mut Vec<String>, names: impl ExactSizeIterator<Item = String>) {
        let more = names.len().saturating_sub(Self::MOST);
        list.extend(names.take(Self::MOST));
        if more > 0 {
            list.push(format!("{more} more"));
        }
    }

    /// All of it in one list, for people.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        [&self.keys, &self.tensors, &self.files].into_iter().flatten().map(String::as_str)
    }
}

/// A name of a file, key or tensor as a message or a list shows it: in one line, and not longer than one.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

/// What the towers have in common.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "families differ in each of them by itself")]
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
    /// Which of a block's linear maps have biases.
    pub biases: Biases,
    /// Whether the hidden units of an MLP are products of a gate and a linear map (SwiGLU, arXiv 2002.05202).
    pub gated: bool,
    /// Whether what a block adds to the residual stream is scaled unit by unit (arXiv 2103.17239).
    pub layer_scale: bool,
    /// Whether a layer norm stands between what the heads give and the map that ends attention (EVA-02, arXiv 2303.11331).
    pub attention_norm: bool,
    /// Whether one stands before the last map of every MLP.
    pub mlp_norm: bool,
}

/// Which linear maps of a block have biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "families differ in each of them by itself")]
pub struct Biases {
    /// That of queries.
    pub query: bool,
    /// That of keys.
    pub key: bool,
    /// That of values.
    pub value: bool,
    /// That which ends attention.
    pub out: bool,
    /// Those of the MLP.
    pub mlp: bool,
}

impl Biases {
    /// All of them have.
    pub const ALL: Self = Self { query: true, key: true, value: true, out: true, mlp: true };

    /// All but perhaps those of queries, keys and values.
    pub(super) fn with_qkv(qkv: bool) -> Self {
        Self { query: qkv, key: qkv, value: qkv, ..Self::ALL }
    }
}

/// The vision tower.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "families differ in each of them by itself")]
pub struct VisionConfig {
    /// Blocks.
    pub tower: TowerConfig,
    /// Height and width of the input, in pixels.
    pub image: usize,
    /// Height and width of a patch, in pixels.
    pub patch: usize,
    /// Whether the patch embedding has a bias.
    pub patch_bias: bool,
    /// Whether a class token stands before the patches.
    pub class_token: bool,
    /// Whether tokens before the patches other than registers have a position too, if patches have.
    pub class_position: bool,
    /// Whether a distillation token, which has a position, stands behind the class token (DeiT, arXiv 2012.12877).
    pub distillation: bool,
    /// Register tokens between these and the patches (arXiv 2309.16588); they have no positions.
    pub registers: usize,
    /// Whether a layer norm stands before the first block.
    pub norm_pre: bool,
    /// The position embeddings.
    pub positions: Positions,
    /// What queries and keys of the patches are turned by in every block, if they are.
    pub rotary: Option<Rotary>,
    /// How tokens become one embedding; `None` where the tower gives tokens only, as inside many larger models.
    pub pooling: Option<VisionPooling>,
    /// Heads and hidden units of the attention that pools, where they are not those of the blocks.
    pub head: Option<HeadConfig>,
    /// Whether the last layer norm is of the pooled embedding rather than of every token.
    pub norm_after_pooling: bool,
    /// Width of the projected embedding; `None` where the pooled one is not projected.
    pub projection: Option<usize>,
    /// Whether the projection has a bias.
    pub projection_bias: bool,
}

/// Heads and hidden units of the attention that pools, where they are not those of the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadConfig {
    /// Attention heads.
    pub heads: usize,
    /// Hidden units of its MLP.
    pub mlp: usize,
}

/// Rotary positions (arXiv 2104.09864): a head's first pairs of units are turned by angles that grow with the patch's place along one
/// side of the picture, the others along the other side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rotary {
    /// DINOv3's (arXiv 2508.10104): places go from -1 to 1 over the picture, rows first; a pair are units half a head apart.
    Centred {
        /// What the slowest angle is slower by than the fastest, nearly (`rope_theta`).
        base: f64,
    },
    /// EVA-02's and PE-Core's, as timm has them: places are counted; a pair are neighbours. The base is 10,000.
    Indexed {
        /// The first place.
        first: f64,
        /// Places are scaled to those of a picture with so many patches along a side.
        reference: usize,
        /// Whether the first pairs go with the column.
        columns_first: bool,
    },
}

/// Where the position embeddings come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Positions {
    /// As the checkpoint has them.
    Learned,
    /// Those for pictures of `trained` pixels, interpolated where the input has another size: bicubic, a = -0.75, as
    /// `torch.nn.functional.interpolate` does it.
    Bicubic {
        /// Height and width, in pixels, of the pictures that the checkpoint's positions are for.
        trained: usize,
        /// Whether `antialias` is on: then a = -0.5, and the filter is stretched when shrinking.
        antialias: bool,
    },
    /// Those of a square of patches, interpolated for every picture by itself, which has its own rows and columns of patches
    /// (NaFlex, arXiv 2502.14786): bilinear, antialiased.
    Flexible {
        /// Rows and columns of the square.
        trained: usize,
        /// Patches that a picture has at most; what is missing is padding, which attention does not see.
        most: usize,
    },
    /// There are none.
    None,
}

/// How the vision tower's tokens become one embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisionPooling {
    /// The class token.
    Class,
    /// The mean of the patches.
    Mean,
    /// A learned query attends to all tokens, and an MLP follows (SigLIP's head).
    Attention,
}

impl VisionConfig {
    /// Patches along each side of the image; where pictures keep their aspect ratio, of a square one.
    pub fn grid(&self) -> usize {
        self.image / self.patch
    }

    /// Patches of an image, padding included.
    pub fn patches(&self) -> usize {
        match self.positions {
            Positions::Flexible { most, .. } => most,
            _ => self.grid() * self.grid(),
        }
    }

    /// Values of a patch: red, green and blue of its pixels.
    pub(super) fn values(&self) -> usize {
        3 * self.patch * self.patch
    }

    /// Whether pictures keep their aspect ratio, so that each has its own rows and columns of patches.
    pub fn is_flexible(&self) -> bool {
        matches!(self.positions, Positions::Flexible { .. })
    }

    /// Tokens before the patches that have a position embedding, if patches have: class token and distillation token.
    pub fn placed(&self) -> usize {
        if self.class_position { self.unregistered() } else { 0 }
    }

    /// Class token and distillation token.
    pub(super) fn unregistered(&self) -> usize {
        usize::from(self.class_token) + usize::from(self.distillation)
    }

    /// The attention that pools.
    pub(super) fn head_tower(&self) -> TowerConfig {
        let tower = TowerConfig { attention_norm: false, mlp_norm: false, ..self.tower.clone() };
        match self.head {
            Some(HeadConfig { heads, mlp }) => TowerConfig { heads, mlp, ..tower },
            None => tower,
        }
    }

    /// Tokens before the patches: class token, distillation token and registers.
    pub fn prefix(&self) -> usize {
        self.unregistered() + self.registers
    }

    /// Tokens of an image.
    pub fn tokens(&self) -> usize {
        self.prefix() + self.patches()
    }

    /// Width of the embedding, where there is one.
    pub fn embedding(&self) -> Option<usize> {
        self.pooling.map(|_| self.projection.unwrap_or(self.tower.width))
    }

    /// Takes pictures of `image` pixels, where the tower's positions allow it; or, of those that keep their aspect ratio, as many
    /// patches of that side as are given in `patches`.
    pub(super) fn resize(&mut self, image: usize, patches: Option<[usize; 2]>, place: &str) -> Result<()> {
        match (&mut self.positions, patches) {
            (Positions::Flexible { most, .. }, Some([side, allowed])) if side == self.patch => *most = allowed,
            (Positions::Flexible { .. }, other) => {
                let got = other
                    .map_or("one for squares".to_owned(), |[side, _]| format!("one that makes them of {side} pixels"));
                let expected =
                    format!("an image processor that makes patches of {} pixels (Siglip2ImageProcessor)", self.patch);
                return Err(Error::mismatch(place, expected, got));
            }
            (_, Some(_)) => {
                let expected = "an image processor for squares";
                return Err(Error::mismatch(place, expected, "one that makes patches of pictures of any shape"));
            }
            (_, None) => {}
        }
        if image != self.image && self.positions == Positions::Learned {
            let expected = format!("a result of {0} x {0} pixels, the model's image_size", self.image);
            return Err(Error::mismatch(place, expected, format!("{image} x {image}")));
        }
        if image < self.patch {
            let expected = format!("a result of at least one patch of {0} x {0} pixels", self.patch);
            return Err(Error::mismatch(place, expected, format!("{image} x {image}")));
        }
        self.image = image;
        Ok(())
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
    /// Whether a token sees only those before it.
    pub causal: bool,
    /// Which token the embedding is read at.
    pub pooling: TextPooling,
    /// Width of the embedding.
    pub projection: usize,
    /// Whether what is pooled is projected; else it is the embedding.
    pub projected: bool,
    /// Whether the projection has a bias.
    pub projection_bias: bool,
    /// How many position embeddings are those of the model that this one was made from; the others stand in a tensor of their own
    /// (Long-CLIP, arXiv 2403.15378). `None` where all stand in one.
    pub kept_positions: Option<usize>,
}

impl TextConfig {
    /// Whether what stands after a text's end can be seen in its embedding: then all texts are padded to
    /// [`positions`](Self::positions), as they were in training.
    pub fn sees_padding(&self) -> bool {
        !self.causal || self.pooling == TextPooling::Last
    }
}

/// The tokenizer of an OpenCLIP model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenClipTokenizer {
    /// The repository of a tokenizer of `transformers` (`hf_tokenizer_name`); `None` for CLIP's, which OpenCLIP carries itself.
    pub library: Option<String>,
    /// What is done to a text before.
    pub cleaning: Cleaning,
    /// Whether the token that ends a text becomes 0 (`strip_sep_token`, CLIPA).
    pub strip_separator: bool,
}

/// What OpenCLIP does to a text before its tokenizer sees it (`tokenizer_kwargs.clean`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleaning {
    /// Every run of white space becomes one space, and none is left at the ends.
    Whitespace,
    /// That, and lower case.
    Lower,
    /// Without ASCII punctuation, in lower case, with single spaces; `_` is a space.
    Canonicalize,
}

/// The token that a text embedding is read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPooling {
    /// The first token with this id (`eos_token_id`).
    First(u32),
    /// The first token with the largest id: what `eos_token_id: 2` of early checkpoints stands for.
    LargestId,
    /// The last token, padding or not.
    Last,
}

/// Widths beyond this are hostile, not large: no product of two of them overflows.
const LARGEST: u64 = 1 << 20;

impl ModelConfig {
    /// The configuration of an encoder of images alone.
    fn alone(model_type: &str, layout: Layout, vision: VisionConfig, assumed: Vec<String>) -> Self {
        Self {
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

    /// From a parsed `config.json`; `place` is the file's name for messages.
    pub fn parse(json: &Value, place: &str) -> Result<Self> {
        transformers::parse(json, place)
    }

    /// From a parsed `open_clip_config.json`; `place` is the file's name for messages.
    pub fn parse_open_clip(json: &Value, place: &str) -> Result<Self> {
        open_clip::parse(json, place)
    }

    /// From a parsed `config.json` of timm; `place` is the file's name for messages.
    pub fn parse_timm(json: &Value, place: &str) -> Result<Self> {
        timm_folder::parse(json, place)
    }

    /// The text tower, or an error that says that there is none.
    pub fn text(&self) -> Result<&TextConfig> {
        let none = || Error::mismatch(format!("a model of type `{}`", self.model_type), "a text tower", "none");
        self.text.as_ref().ok_or_else(none)
    }

    /// The JSON of a CLIP model that [`ModelConfig::parse`] and `transformers` read.
    pub fn to_json(&self) -> Result<Value> {
        write::to_json(&self.vision, self.text()?)
    }
}
