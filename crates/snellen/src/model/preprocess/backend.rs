//! Whose arithmetic pictures go through: the same processor of `transformers` gives other pixels with each of its backends.

use super::{Colour, Preprocessing, STUDY};
use crate::model::picture::Decoded;
use crate::model::resample::{Backend, Filter};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// What is done where a file says that its picture is not upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// It is turned: what `transformers` does with a file's name or address, and `datasets` with a picture.
    #[default]
    Honour,
    /// It stays as it is stored: Pillow's `Image.open` alone, so OpenCLIP's and OpenAI's examples. Pillow turns TIFF even so.
    Ignore,
}

impl Display for Orientation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Honour => "honour",
            Self::Ignore => "ignore",
        })
    }
}

impl FromStr for Orientation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "honour" => Ok(Self::Honour),
            "ignore" => Ok(Self::Ignore),
            _ => Err(Error::mismatch("orientation", "honour or ignore", format!("`{name}`"))),
        }
    }
}

/// How far the pixels of a backend are from those that somebody else made of the same pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The backend.
    pub backend: Backend,
    /// Values that were compared.
    pub values: usize,
    /// Values that are the same, to the last bit.
    pub same: usize,
    /// The largest difference, in steps of the picture's 255.
    pub max_steps: f64,
}

impl Preprocessing {
    /// The same with another backend.
    ///
    /// # Errors
    /// When torchvision has no counterpart of it.
    pub fn with_backend(self, backend: Backend) -> Result<Self> {
        let refuse =
            |got: &str| Err(Error::mismatch("preprocessing", "one that torchvision has a counterpart of", got));
        if backend == Backend::Pil && self.rescale_first {
            let expected = "one that Pillow has a counterpart of";
            return Err(Error::mismatch(
                "preprocessing",
                expected,
                "DINOv3's, which torchvision alone resizes fractions for",
            ));
        }
        if backend == Backend::Torchvision {
            if self.source == STUDY {
                return refuse("`study`, which was made with Pillow");
            }
            if self.colour == Colour::Last {
                return refuse("OpenCLIP's transform, which works on Pillow's pictures");
            }
            if matches!(self.filter, Filter::Box | Filter::Hamming) {
                return refuse("a resampling filter (box or Hamming) that only Pillow has");
            }
        }
        Ok(Self { backend, ..self })
    }

    /// Compares what each backend that this has makes of `picture` with `pixels`, which are as [`apply`](Self::apply) gives them.
    /// A picture without transparency: there backends also differ in how they read a file.
    ///
    /// # Errors
    /// When `pixels` are not as many as a picture has, or [`apply`](Self::apply) refuses the picture.
    pub fn agreements(&self, picture: &Decoded, pixels: &[f32]) -> Result<Vec<Agreement>> {
        if pixels.len() != self.values() {
            return Err(Error::mismatch("pixels", self.values(), pixels.len()));
        }
        let backends = Backend::ALL.into_iter().filter_map(|backend| self.clone().with_backend(backend).ok());
        backends.map(|other| Ok(other.agreement(&other.apply(picture)?, pixels))).collect()
    }

    fn agreement(&self, ours: &[f32], theirs: &[f32]) -> Agreement {
        let (mut same, mut max_steps) = (0, 0.0_f64);
        for (i, (x, y)) in ours.iter().zip(theirs).enumerate() {
            same += usize::from(x.to_bits() == y.to_bits() || (x - y).abs() <= 0.0);
            let steps = ((x - y).abs() as f64 * self.std[self.channel(i)] / self.rescale).abs();
            max_steps = if steps.is_nan() { f64::INFINITY } else { max_steps.max(steps) };
        }
        Agreement { backend: self.backend, values: ours.len(), same, max_steps }
    }
}

impl Agreement {
    /// What holds of the pictures of both, the same backend's.
    pub fn and(self, other: Self) -> Self {
        let (values, same) = (self.values + other.values, self.same + other.same);
        Self { values, same, max_steps: self.max_steps.max(other.max_steps), ..self }
    }

    /// The backend that made the pixels: of which more values are the same to the last bit, if there is one such.
    pub fn made_by(agreements: &[Self]) -> Option<Backend> {
        let most = agreements.iter().map(|agreement| agreement.same).max()?;
        let mut of_most = agreements.iter().filter(|agreement| agreement.same == most && most > 0);
        let found = of_most.next()?;
        of_most.next().is_none().then_some(found.backend)
    }
}
