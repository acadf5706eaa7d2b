//! Every activation of a model, by name and shape. Names and shapes are those of TransformerLens and ViT-Prisma.

use super::config::Positions;
use super::{ModelConfig, VisionPooling};
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
    /// `hook_pos_embed`: position embeddings, repeated for each row of the batch, `[row, token, unit]`; registers have none.
    PosEmbed,
    /// `hook_ln_pre`: after the layer norm before the first block, where the vision tower has one, `[image, token, unit]`.
    LnPre,
    /// `blocks.{l}.*`.
    Block(usize, BlockPoint),
    /// `ln_final.hook_normalized`: the last layer norm, gain and bias included, of every token, `[row, token, unit]`; where pooling
    /// comes before it, of the pooled one, `[image, unit]`.
    LnFinal,
    /// `head.*`: in SigLIP's head, whose one query attends to all tokens: a block with one token.
    Head(BlockPoint),
    /// `image_embeds` or `text.text_embeds`: pooled, projected where there is a projection, not normalised, `[row, unit]`.
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
    /// `attn.hook_rot_q`: queries turned by rotary positions, where there are any, `[row, token, head, unit]`.
    RotQ,
    /// `attn.hook_rot_k`: keys turned likewise, `[row, token, head, unit]`.
    RotK,
    /// `attn.hook_attn_scores`: scaled, `-inf` where masked, `[row, head, query, key]`.
    AttnScores,
    /// `attn.hook_pattern`: the softmax of the scores, `[row, head, query, key]`.
    Pattern,
    /// `attn.hook_z`: mixed values before the output map, `[row, token, head, unit]`.
    Z,
    /// `hook_attn_out`: what attention adds to the residual stream, layer scale included, `[row, token, unit]`.
    AttnOut,
    /// `hook_resid_mid`: the residual stream between attention and MLP, `[row, token, unit]`.
    ResidMid,
    /// `mlp.hook_pre`: hidden units before the activation function, `[row, token, unit]`.
    MlpPre,
    /// `mlp.hook_pre_linear`: what the activated units are multiplied by, in a gated MLP, `[row, token, unit]`.
    MlpPreLinear,
    /// `mlp.hook_post`: hidden units after it, `[row, token, unit]`.
    MlpPost,
    /// `hook_mlp_out`: what the MLP adds to the residual stream, layer scale included, `[row, token, unit]`.
    MlpOut,
    /// `hook_resid_post`: the residual stream on exit, `[row, token, unit]`.
    ResidPost,
}

/// What stands between the rows and the units of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAxis {
    /// Nothing, or one token: one row of units for each image or text.
    One,
    /// Heads, queries and keys.
    Attention,
    /// Tokens; of images the class token, then others that are no patches, then patches in reading order.
    Tokens {
        /// Whether there is a class token.
        class: bool,
        /// How many others: registers, or DeiT's distillation token.
        registers: usize,
    },
    /// Tokens of a text, special ones among them, with padding where texts differ in length.
    Text,
}

impl BlockPoint {
    /// In the order of the forward.
    pub const ALL: [Self; 16] = [
        Self::ResidPre,
        Self::Q,
        Self::K,
        Self::V,
        Self::RotQ,
        Self::RotK,
        Self::AttnScores,
        Self::Pattern,
        Self::Z,
        Self::AttnOut,
        Self::ResidMid,
        Self::MlpPre,
        Self::MlpPreLinear,
        Self::MlpPost,
        Self::MlpOut,
        Self::ResidPost,
    ];

    /// Whether its values are `[row, head, query, key]`.
    pub fn is_attention(self) -> bool {
        matches!(self, Self::AttnScores | Self::Pattern)
    }

    /// Whether its values are `[row, token, head, unit]`.
    pub fn is_by_head(self) -> bool {
        matches!(self, Self::Q | Self::K | Self::V | Self::RotQ | Self::RotK | Self::Z)
    }

    /// Whether SigLIP's head has it: all but what its residual stream, a gate and rotary positions would add.
    fn is_in_head(self) -> bool {
        let stream = matches!(self, Self::ResidPre | Self::ResidMid | Self::ResidPost);
        !stream && !matches!(self, Self::MlpPreLinear | Self::RotQ | Self::RotK)
    }

    fn name(self) -> &'static str {
        match self {
            Self::ResidPre => "hook_resid_pre",
            Self::Q => "attn.hook_q",
            Self::K => "attn.hook_k",
            Self::V => "attn.hook_v",
            Self::RotQ => "attn.hook_rot_q",
            Self::RotK => "attn.hook_rot_k",
            Self::AttnScores => "attn.hook_attn_scores",
            Self::Pattern => "attn.hook_pattern",
            Self::Z => "attn.hook_z",
            Self::AttnOut => "hook_attn_out",
            Self::ResidMid => "hook_resid_mid",
            Self::MlpPre => "mlp.hook_pre",
            Self::MlpPreLinear => "mlp.hook_pre_linear",
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

    /// Every site of a tower, in the order of the forward; none of a tower that the model lacks.
    pub fn all(config: &ModelConfig, tower: Tower) -> Vec<Self> {
        let (vision, text) = (&config.vision, config.text.as_ref());
        let shape = match (tower, text) {
            (Tower::Vision, _) => &vision.tower,
            (Tower::Text, Some(text)) => &text.tower,
            (Tower::Text, None) => return Vec::new(),
        };
        let of_vision = tower == Tower::Vision;
        let turned = of_vision && vision.rotary.is_some();
        let placed = !of_vision || vision.positions != Positions::None;
        let mut points = vec![Point::Embed];
        points.extend(placed.then_some(Point::PosEmbed));
        points.extend((of_vision && vision.norm_pre).then_some(Point::LnPre));
        let inside = BlockPoint::ALL.into_iter().filter(|point| match point {
            BlockPoint::MlpPreLinear => shape.gated,
            BlockPoint::RotQ | BlockPoint::RotK => turned,
            _ => true,
        });
        points.extend((0..shape.layers).flat_map(|l| inside.clone().map(move |p| Point::Block(l, p))));
        points.push(Point::LnFinal);
        if of_vision && vision.pooling == Some(VisionPooling::Attention) {
            points.extend(BlockPoint::ALL.into_iter().filter(|p| p.is_in_head()).map(Point::Head));
        }
        points.extend((!of_vision || vision.pooling.is_some()).then_some(Point::Embeds));
        points.into_iter().map(|point| Self { tower, point }).collect()
    }

    /// The documented shape for a batch of `rows` images, or of `rows` texts of `tokens` ids each (ignored for images). Meant for
    /// sites that the model has.
    pub fn shape(self, config: &ModelConfig, rows: usize, tokens: usize) -> Vec<usize> {
        let vision = &config.vision;
        let (tower, tokens) = match (self.tower, &config.text) {
            (Tower::Text, Some(text)) => (&text.tower, tokens),
            _ => (&vision.tower, vision.tokens()),
        };
        let (heads, d) = (tower.heads, tower.width);
        let by_head = |tokens: usize| vec![rows, tokens, heads, d / heads];
        match self.point {
            Point::Embed if self.tower == Tower::Vision => vec![rows, vision.patches(), d],
            Point::PosEmbed if self.tower == Tower::Vision => vec![rows, vision.placed() + vision.patches(), d],
            Point::LnFinal if self.tower == Tower::Vision && vision.norm_after_pooling => vec![rows, d],
            Point::Embed | Point::PosEmbed | Point::LnPre | Point::LnFinal => vec![rows, tokens, d],
            Point::Embeds => {
                let text = config.text.as_ref().filter(|_| self.tower == Tower::Text).map(|text| text.projection);
                vec![rows, text.or(vision.embedding()).unwrap_or(d)]
            }
            Point::Block(_, point) => match point {
                point if point.is_by_head() => by_head(tokens),
                BlockPoint::AttnScores | BlockPoint::Pattern => vec![rows, heads, tokens, tokens],
                BlockPoint::MlpPre | BlockPoint::MlpPreLinear | BlockPoint::MlpPost => vec![rows, tokens, tower.mlp],
                _ => vec![rows, tokens, d],
            },
            Point::Head(point) => {
                let head = vision.head_tower();
                let by_head = |tokens: usize| vec![rows, tokens, head.heads, d / head.heads];
                match point {
                    BlockPoint::Q | BlockPoint::Z => by_head(1),
                    BlockPoint::K | BlockPoint::V => by_head(tokens),
                    BlockPoint::AttnScores | BlockPoint::Pattern => vec![rows, head.heads, 1, tokens],
                    BlockPoint::MlpPre | BlockPoint::MlpPost => vec![rows, 1, head.mlp],
                    _ => vec![rows, 1, d],
                }
            }
        }
    }

    /// What the rows of one image or text are there.
    pub fn tokens(self, config: &ModelConfig) -> TokenAxis {
        let vision = &config.vision;
        let registers = vision.prefix() - usize::from(vision.class_token);
        let all = TokenAxis::Tokens { class: vision.class_token, registers };
        match self.point {
            Point::Embeds => TokenAxis::One,
            Point::Block(_, point) | Point::Head(point) if point.is_attention() => TokenAxis::Attention,
            _ if self.tower == Tower::Text => TokenAxis::Text,
            Point::LnFinal if vision.norm_after_pooling => TokenAxis::One,
            Point::Head(point) if !matches!(point, BlockPoint::K | BlockPoint::V) => TokenAxis::One,
            Point::Embed => TokenAxis::Tokens { class: false, registers: 0 },
            Point::PosEmbed => TokenAxis::Tokens {
                class: vision.class_token && vision.class_position,
                registers: usize::from(vision.distillation && vision.class_position),
            },
            _ => all,
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
            (Point::Head(point), _) => write!(f, "head.{}", point.name()),
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
            (_, Tower::Vision) if rest.starts_with("head.") => {
                let named = |p: &BlockPoint| p.is_in_head() && Some(p.name()) == rest.strip_prefix("head.");
                Point::Head(BlockPoint::ALL.into_iter().find(named).ok_or_else(unknown)?)
            }
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
