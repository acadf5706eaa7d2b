//! The same model without what it has learnt: what a number is worth stands beside what this gives.
//!
//! Random weights tell much of a plain picture apart, so a count of units that encode something says nothing of learning by
//! itself. Two controls bracket what "untrained" may mean: weights drawn anew, as its family begins training, and the weights as
//! they are with the values of each tensor in another order, which keeps every tensor's distribution and takes all that was learnt.

use crate::engine::Tensor;
use crate::model::ModelConfig;
use crate::model::checkpoint::Parameters;
use crate::model::initial::Fresh;
use crate::{Error, Result, random};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A control: `fresh:0`, `shuffled:3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrained {
    /// How its weights are made.
    pub kind: UntrainedKind,
    /// Of the draw.
    pub seed: u64,
}

/// How the weights of a control are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UntrainedKind {
    /// Drawn anew: matrices normal with variance 1 / inputs (divided by 2 layers where they write to the residual stream),
    /// embeddings with a deviation of 0.02, gains 1, biases 0.
    Fresh,
    /// The model's own, the values of each tensor in random order.
    Shuffled,
}

impl UntrainedKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fresh, Self::Shuffled];

    /// As reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Shuffled => "shuffled",
        }
    }
}

impl fmt::Display for Untrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.seed)
    }
}

impl FromStr for Untrained {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::mismatch("untrained model", "fresh:SEED or shuffled:SEED", format!("`{text}`"));
        let (name, seed) = text.split_once(':').ok_or_else(wrong)?;
        let kind = UntrainedKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(wrong)?;
        Ok(Self { kind, seed: seed.parse().map_err(|_| wrong())? })
    }
}

/// The weights of a control. The file's own are read in either case, so that it is checked as ever.
pub(in crate::model) struct Redrawn<'a> {
    pub(in crate::model) own: &'a mut dyn Parameters<f32>,
    pub(in crate::model) config: &'a ModelConfig,
    pub(in crate::model) of: Untrained,
}

impl Parameters<f32> for Redrawn<'_> {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<f32>> {
        let own = self.own.get(name, shape)?;
        match self.of.kind {
            UntrainedKind::Fresh => Fresh { seed: self.of.seed, config: self.config }.get(name, shape),
            UntrainedKind::Shuffled => {
                let mut values = own.data().to_vec();
                values.shuffle(&mut random::stream(self.of.seed, &format!("shuffled {name}"), 0));
                Ok(Tensor::new(shape, values))
            }
        }
    }
}
