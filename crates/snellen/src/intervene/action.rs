//! What is done to the values that an edit is made to.

use crate::tensors::Tensors;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What becomes of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Action {
    /// `zero`: 0.
    Zero,
    /// `mean`: each unit's mean over the tokens of the group in the reference scenes.
    Mean,
    /// `resample:SEED`: what another scene with as many objects has there, drawn by the seed; token after token of its own group, from
    /// the first again where it has fewer. `resample` is `resample:0`.
    Resample(u64),
    /// `patch`: what the swap twin has at the same tokens.
    Patch,
    /// `add:SCALE:FILE`: SCALE times a direction is added.
    Add {
        /// What the direction is multiplied by.
        scale: f32,
        /// A .npy, .npz or safetensors file of one tensor, a vector `[unit]` (or a matrix of one row or column) with a number for each unit
        /// of the site, of one head where one is named.
        direction: PathBuf,
    },
    /// `project-out:FILE`: what lies along a direction is taken away.
    ProjectOut {
        /// As for `add`.
        direction: PathBuf,
    },
    /// `rescale:FACTOR`: multiplied.
    Rescale(f32),
}

impl Action {
    /// Whether values come from other scenes.
    pub fn needs_scenes(&self) -> bool {
        matches!(self, Self::Mean | Self::Resample(_) | Self::Patch)
    }

    /// The file of its direction.
    pub fn direction(&self) -> Option<&Path> {
        match self {
            Self::Add { direction, .. } | Self::ProjectOut { direction } => Some(direction),
            _ => None,
        }
    }
}

/// The direction in the file at `path`, of `width` numbers.
///
/// # Errors
/// When the file has no such matrix, or a number is not finite, or all are 0.
pub(super) fn read_direction(path: &Path, width: usize) -> Result<Vec<f32>> {
    let tensors = Tensors::open(path)?;
    let names: Vec<&str> = tensors.names().collect();
    let &[name] = names.as_slice() else {
        return Err(Error::mismatch(path.display(), "one tensor, the direction", format!("{} tensors", names.len())));
    };
    let length = tensors.length(name)?;
    if length != width {
        let expected = format!("a direction of {width} numbers, one for each unit");
        return Err(Error::mismatch(tensors.place(name), expected, length));
    }
    let values: Vec<f32> = tensors.numbers(name, |x| x as f32)?;
    if let Some(at) = values.iter().position(|x| !x.is_finite()) {
        return Err(Error::mismatch(format!("{}: number {at}", tensors.place(name)), "a finite number", values[at]));
    }
    if values.iter().all(|x| x.abs() <= 0.0) {
        return Err(Error::mismatch(tensors.place(name), "a direction", "0 everywhere"));
    }
    Ok(values)
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("zero"),
            Self::Mean => f.write_str("mean"),
            Self::Resample(seed) => write!(f, "resample:{seed}"),
            Self::Patch => f.write_str("patch"),
            Self::Add { scale, direction } => write!(f, "add:{scale}:{}", direction.display()),
            Self::ProjectOut { direction } => write!(f, "project-out:{}", direction.display()),
            Self::Rescale(factor) => write!(f, "rescale:{factor}"),
        }
    }
}

impl FromStr for Action {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            let expected =
                "zero, mean, resample[:SEED], patch, add:SCALE:FILE, project-out:FILE or rescale:FACTOR (not 1)";
            let shown: String = text.chars().take(100).collect();
            Error::mismatch("edit", expected, format!("`{shown}`"))
        };
        let number = |text: &str| text.parse::<f32>().ok().filter(|x| x.is_finite()).ok_or_else(malformed);
        let path = |text: &str| if text.is_empty() { Err(malformed()) } else { Ok(PathBuf::from(text)) };
        let (name, given) = text.split_once(':').map_or((text, None), |(name, given)| (name, Some(given)));
        match (name, given) {
            ("zero", None) => Ok(Self::Zero),
            ("mean", None) => Ok(Self::Mean),
            ("patch", None) => Ok(Self::Patch),
            ("resample", None) => Ok(Self::Resample(0)),
            ("resample", Some(seed)) => seed.parse().map(Self::Resample).map_err(|_| malformed()),
            ("rescale", Some(factor)) => {
                let factor = number(factor)?;
                if (factor - 1.0).abs() > 0.0 { Ok(Self::Rescale(factor)) } else { Err(malformed()) }
            }
            ("project-out", Some(file)) => Ok(Self::ProjectOut { direction: path(file)? }),
            ("add", Some(given)) => {
                let (scale, file) = given.split_once(':').ok_or_else(malformed)?;
                Ok(Self::Add { scale: number(scale)?, direction: path(file)? })
            }
            _ => Err(malformed()),
        }
    }
}

impl From<Action> for String {
    fn from(action: Action) -> Self {
        action.to_string()
    }
}

impl TryFrom<String> for Action {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}
