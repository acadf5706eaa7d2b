//! Every activation of a model, by name and shape. Names and shapes are those of TransformerLens and ViT-Prisma.

use super::ClipConfig;
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Which half of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tower {
    /// From pixels to the image embedding.
    Vision,
    /// From token ids to the text embedding; its sites are displayed with the prefix `text.`.
    Text,
}

/// One activation of one tower. Ordered as the forward meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The tower.
    pub tower: Tower,
    /// The place in it.
    pub point: Point,
}

/// A place in a tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// `hook_embed`: patch embeddings before the class token, `[image, patch, unit]`; token embeddings, `[text, token, unit]`.
    Embed,
    /// `hook_pos_embed`: position embeddings, repeated for each row of the batch, `[row, token, unit]`.
    PosEmbed,
    /// `hook_ln_pre`: after the vision tower's first layer norm, `[image, token, unit]`.
    LnPre,
    /// `blocks.{l}.*`.
    Block(usize, BlockPoint),
    /// `ln_final.hook_normalized`: the last layer norm, gain and bias included, of every token, `[row, token, unit]`.
    LnFinal,
    /// `image_embeds` or `text.text_embeds`: projected, not normalised, `[row, unit]`.
    Embeds,
}

/// A place in a transformer block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockPoint {
    /// `hook_resid_pre`: the residual stream on entry, `[row, token, unit]`.
    ResidPre,
    /// `attn.hook_q`: queries before scaling, `[row, token, head, unit]`.
    Q,
    /// `attn.hook_k`: keys, `[row, token, head, unit]`.
    K,
    /// `attn.hook_v`: values, `[row, token, head, unit]`.
    V,
    /// `attn.hook_attn_scores`: scaled, `-inf` where masked, `[row, head, query, key]`.
    AttnScores,
    /// `attn.hook_pattern`: the softmax of the scores, `[row, head, query, key]`.
    Pattern,
    /// `attn.hook_z`: mixed values before the output map, `[row, token, head, unit]`.
    Z,
    /// `hook_attn_out`: what attention adds to the residual stream, `[row, token, unit]`.
    AttnOut,
    /// `hook_resid_mid`: the residual stream between attention and MLP, `[row, token, unit]`.
    ResidMid,
    /// `mlp.hook_pre`: hidden units before the activation function, `[row, token, unit]`.
    MlpPre,
    /// `mlp.hook_post`: hidden units after it, `[row, token, unit]`.
    MlpPost,
    /// `hook_mlp_out`: what the MLP adds to the residual stream, `[row, token, unit]`.
    MlpOut,
    /// `hook_resid_post`: the residual stream on exit, `[row, token, unit]`.
    ResidPost,
}

impl BlockPoint {
    /// In the order of the forward.
    pub const ALL: [Self; 13] = [
        Self::ResidPre,
        Self::Q,
        Self::K,
        Self::V,
        Self::AttnScores,
        Self::Pattern,
        Self::Z,
        Self::AttnOut,
        Self::ResidMid,
        Self::MlpPre,
        Self::MlpPost,
        Self::MlpOut,
        Self::ResidPost,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ResidPre => "hook_resid_pre",
            Self::Q => "attn.hook_q",
            Self::K => "attn.hook_k",
            Self::V => "attn.hook_v",
            Self::AttnScores => "attn.hook_attn_scores",
            Self::Pattern => "attn.hook_pattern",
            Self::Z => "attn.hook_z",
            Self::AttnOut => "hook_attn_out",
            Self::ResidMid => "hook_resid_mid",
            Self::MlpPre => "mlp.hook_pre",
            Self::MlpPost => "mlp.hook_post",
            Self::MlpOut => "hook_mlp_out",
            Self::ResidPost => "hook_resid_post",
        }
    }
}

impl Site {
    /// A place in the vision tower.
    pub fn vision(point: Point) -> Self {
        Self { tower: Tower::Vision, point }
    }

    /// A place in the text tower.
    pub fn text(point: Point) -> Self {
        Self { tower: Tower::Text, point }
    }

    /// Every site of a tower, in the order of the forward.
    pub fn all(config: &ClipConfig, tower: Tower) -> Vec<Self> {
        let layers = match tower {
            Tower::Vision => config.vision.tower.layers,
            Tower::Text => config.text.tower.layers,
        };
        let first = [Point::Embed, Point::PosEmbed].into_iter().chain((tower == Tower::Vision).then_some(Point::LnPre));
        let blocks = (0..layers).flat_map(|l| BlockPoint::ALL.map(|p| Point::Block(l, p)));
        let last = [Point::LnFinal, Point::Embeds];
        first.chain(blocks).chain(last).map(|point| Self { tower, point }).collect()
    }

    /// The documented shape for a batch of `rows` images, or of `rows` texts of `tokens` ids each (ignored for images).
    pub fn shape(self, config: &ClipConfig, rows: usize, tokens: usize) -> Vec<usize> {
        let (tower, patches, tokens) = match self.tower {
            Tower::Vision => (&config.vision.tower, config.vision.patches(), config.vision.patches() + 1),
            Tower::Text => (&config.text.tower, tokens, tokens),
        };
        let (heads, d) = (tower.heads, tower.width);
        match self.point {
            Point::Embed => vec![rows, patches, d],
            Point::PosEmbed | Point::LnPre | Point::LnFinal => vec![rows, tokens, d],
            Point::Embeds => vec![rows, config.projection],
            Point::Block(_, point) => match point {
                BlockPoint::Q | BlockPoint::K | BlockPoint::V | BlockPoint::Z => vec![rows, tokens, heads, d / heads],
                BlockPoint::AttnScores | BlockPoint::Pattern => vec![rows, heads, tokens, tokens],
                BlockPoint::MlpPre | BlockPoint::MlpPost => vec![rows, tokens, tower.mlp],
                _ => vec![rows, tokens, d],
            },
        }
    }

    /// The layer, for sites inside a block.
    pub fn layer(self) -> Option<usize> {
        match self.point {
            Point::Block(layer, _) => Some(layer),
            _ => None,
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tower == Tower::Text {
            f.write_str("text.")?;
        }
        match (self.point, self.tower) {
            (Point::Embed, _) => f.write_str("hook_embed"),
            (Point::PosEmbed, _) => f.write_str("hook_pos_embed"),
            (Point::LnPre, _) => f.write_str("hook_ln_pre"),
            (Point::Block(layer, point), _) => write!(f, "blocks.{layer}.{}", point.name()),
            (Point::LnFinal, _) => f.write_str("ln_final.hook_normalized"),
            (Point::Embeds, Tower::Vision) => f.write_str("image_embeds"),
            (Point::Embeds, Tower::Text) => f.write_str("text_embeds"),
        }
    }
}

impl FromStr for Site {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let unknown = || Error::mismatch("site", "a name such as `blocks.3.mlp.hook_post`", format!("`{name}`"));
        let (tower, rest) = match name.strip_prefix("text.") {
            Some(rest) => (Tower::Text, rest),
            None => (Tower::Vision, name),
        };
        let point = match (rest, tower) {
            ("hook_embed", _) => Point::Embed,
            ("hook_pos_embed", _) => Point::PosEmbed,
            ("hook_ln_pre", Tower::Vision) => Point::LnPre,
            ("ln_final.hook_normalized", _) => Point::LnFinal,
            ("image_embeds", Tower::Vision) | ("text_embeds", Tower::Text) => Point::Embeds,
            _ => {
                let (layer, point) =
                    rest.strip_prefix("blocks.").and_then(|r| r.split_once('.')).ok_or_else(unknown)?;
                let number: usize = layer.parse().map_err(|_| unknown())?;
                if number.to_string() != layer {
                    return Err(unknown());
                }
                let point = BlockPoint::ALL.into_iter().find(|p| p.name() == point).ok_or_else(unknown)?;
                Point::Block(number, point)
            }
        };
        Ok(Self { tower, point })
    }
}
