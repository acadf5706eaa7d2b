//! Token policies: how `[token, unit]` activations of one image or text become one number per unit. [`reduce`](super::reduce) does it
//! of images, [`texts`](super::texts) of texts.

use crate::model::TokenAxis;
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// How the tokens of an image or a text become one number per unit.
///
/// Sums run in f64, token after token, and are rounded to f32 once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenPolicy {
    /// `cls`: the class token.
    Cls,
    /// `eos`: of texts, the token that the tower pools, whose last activation becomes the embedding.
    Eos,
    /// `mean`: the mean over the patches, without class token and registers; over the tokens of a text, special ones among them,
    /// without padding.
    Mean,
    /// `mean_all`: the mean over all tokens, class token and registers among them.
    MeanAll,
    /// `max`: the largest value over the patches, without class token and registers; over the tokens of a text, as for `mean`.
    Max,
    /// `max_all`: the largest value over all tokens, class token and registers among them.
    MaxAll,
    /// `object`: the mean over the patches, each weighted by the share of it that objects cover.
    Object,
    /// `background`: the mean over the patches, each weighted by the share of it that no object covers. Padding that
    /// preprocessing adds around a small picture is background.
    Background,
    /// `all`: every token as it is. Of texts there are as many as the longest has, or as the tower takes where it sees padding.
    All,
    /// `pooled`: what sites without tokens are stored under, whatever was asked for.
    Pooled,
}

impl TokenPolicy {
    /// Every policy.
    pub const ALL: [Self; 10] = [
        Self::Cls,
        Self::Eos,
        Self::Mean,
        Self::MeanAll,
        Self::Max,
        Self::MaxAll,
        Self::Object,
        Self::Background,
        Self::All,
        Self::Pooled,
    ];

    /// Whether masks are needed.
    pub fn needs_masks(self) -> bool {
        matches!(self, Self::Object | Self::Background)
    }

    /// Whether it leaves tokens as they are.
    pub fn keeps_tokens(self) -> bool {
        matches!(self, Self::All | Self::Pooled)
    }

    /// Whether it can be asked of a site with these `tokens`: where there is neither class token nor register `cls`, `mean_all` and
    /// `max_all` cannot, of attention scores and patterns only `all` can, and `pooled` only of what has no tokens, of which anything can be
    /// asked. `eos` is for texts, whose other policies are `mean`, `max` and `all`.
    pub fn applies_to(self, tokens: TokenAxis) -> bool {
        match tokens {
            TokenAxis::One => true,
            TokenAxis::Attention => self == Self::All,
            TokenAxis::Text => matches!(self, Self::Eos | Self::Mean | Self::Max | Self::All),
            TokenAxis::Tokens { class, registers } => match self {
                Self::Cls => class,
                Self::Eos => false,
                Self::MeanAll | Self::MaxAll => class || registers > 0,
                _ => self != Self::Pooled,
            },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::Eos => "eos",
            Self::Mean => "mean",
            Self::MeanAll => "mean_all",
            Self::Max => "max",
            Self::MaxAll => "max_all",
            Self::Object => "object",
            Self::Background => "background",
            Self::All => "all",
            Self::Pooled => "pooled",
        }
    }
}

impl fmt::Display for TokenPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TokenPolicy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|policy| policy.name() == name);
        found.ok_or_else(|| Error::mismatch("token policy", format!("one of {}", known()), format!("`{name}`")))
    }
}
