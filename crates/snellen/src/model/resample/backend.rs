//! Whose arithmetic it is.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// A library that resizes, crops and normalises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Pillow and numpy: published scores, OpenAI's code, OpenCLIP, `transformers` before version 5, and its `...Pil` classes since.
    #[default]
    Pil,
    /// torchvision, on tensors: what `transformers` 5 uses wherever torchvision is installed.
    Torchvision,
}

impl Backend {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Pil, Self::Torchvision];
}

impl Display for Backend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pil => "pil",
            Self::Torchvision => "torchvision",
        })
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|backend| backend.to_string() == name);
        known.ok_or_else(|| Error::mismatch("preprocessing backend", "pil or torchvision", format!("`{name}`")))
    }
}
