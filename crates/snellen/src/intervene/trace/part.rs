//! What of a layer is patched, and which way.

use crate::model::{BlockPoint, Point, Site, Tower};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What of a layer is patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Part {
    /// `resid_post`: the residual stream on exit, [`BlockPoint::ResidPost`].
    ResidPost,
    /// `attn_out`: what all heads add to it, [`BlockPoint::AttnOut`].
    AttnOut,
    /// `mlp_out`: what the MLP adds to it, [`BlockPoint::MlpOut`].
    MlpOut,
    /// `head:H`: one head's part of [`BlockPoint::Z`].
    Head(usize),
}

/// A kind of [`Part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// `resid_post`.
    ResidPost,
    /// `attn_out`.
    AttnOut,
    /// `mlp_out`.
    MlpOut,
    /// `heads`: each head by itself.
    Heads,
}

impl PartKind {
    /// In the order in which maps show them.
    pub const ALL: [Self; 4] = [Self::ResidPost, Self::AttnOut, Self::MlpOut, Self::Heads];

    /// The parts of this kind of a layer of `heads` heads.
    pub fn parts(self, heads: usize) -> Vec<Part> {
        match self {
            Self::ResidPost => vec![Part::ResidPost],
            Self::AttnOut => vec![Part::AttnOut],
            Self::MlpOut => vec![Part::MlpOut],
            Self::Heads => (0..heads).map(Part::Head).collect(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ResidPost => "resid_post",
            Self::AttnOut => "attn_out",
            Self::MlpOut => "mlp_out",
            Self::Heads => "heads",
        }
    }
}

impl Part {
    /// The site that is patched, all of it or one head.
    pub fn site(self, tower: Tower, layer: usize) -> Site {
        let point = match self {
            Self::ResidPost => BlockPoint::ResidPost,
            Self::AttnOut => BlockPoint::AttnOut,
            Self::MlpOut => BlockPoint::MlpOut,
            Self::Head(_) => BlockPoint::Z,
        };
        Site { tower, point: Point::Block(layer, point) }
    }
}

/// Which of the twins is patched with what the other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Clean values into the corrupt run: is this enough to restore the binding?
    Denoise,
    /// Corrupt values into the clean run: is this needed?
    Noise,
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PartKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::mismatch("parts", "resid_post, attn_out, mlp_out or heads", format!("`{text}`"));
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(unknown)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResidPost => f.write_str("resid_post"),
            Self::AttnOut => f.write_str("attn_out"),
            Self::MlpOut => f.write_str("mlp_out"),
            Self::Head(head) => write!(f, "head:{head}"),
        }
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = [Self::ResidPost, Self::AttnOut, Self::MlpOut].into_iter().find(|part| part.to_string() == text);
        let head = || text.strip_prefix("head:")?.parse().ok().map(Self::Head);
        let unknown =
            || Error::mismatch("part", "resid_post, attn_out, mlp_out or head:H, H from 0", format!("`{text}`"));
        plain.or_else(head).filter(|part| part.to_string() == text).ok_or_else(unknown)
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        part.to_string()
    }
}

impl TryFrom<String> for Part {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denoise => "denoise",
            Self::Noise => "noise",
        })
    }
}

impl FromStr for Direction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "denoise" => Ok(Self::Denoise),
            "noise" => Ok(Self::Noise),
            _ => Err(Error::mismatch("direction", "denoise or noise", format!("`{text}`"))),
        }
    }
}
