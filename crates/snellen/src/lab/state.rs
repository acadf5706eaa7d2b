//! A training run between two evaluations: all that going on from there takes.

use super::adamw::AdamW;
use crate::model::checkpoint::{self, Checkpoint, Weights};
use crate::{Error, Result};
use std::path::Path;

/// Weights and moments after `step` updates.
pub(super) struct State {
    pub(super) step: usize,
    pub(super) weights: Weights,
    pub(super) adam: AdamW,
}

impl State {
    /// Writes all in one file, so that it is of one moment.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let parts = [("weights/", &self.weights), ("first/", &self.adam.first), ("second/", &self.adam.second)];
        let mut all = Weights::new();
        for (prefix, part) in parts {
            all.extend(part.iter().map(|(name, t)| (format!("{prefix}{name}"), t.clone())));
        }
        checkpoint::write(path, &all, ("step", &self.step.to_string()))
    }

    /// Reads what [`State::write`] wrote; `like` are weights of the shapes it must have.
    pub(super) fn read(path: &Path, like: &Weights) -> Result<Self> {
        let file = Checkpoint::open(path)?;
        let step = file.metadata.get("step").and_then(|step| step.parse().ok());
        let step = step.ok_or_else(|| Error::mismatch(path.display(), "the metadata `step`, a number", "none"))?;
        let mut all = file.into_weights()?;
        let mut part = |prefix: &str| -> Result<Weights> {
            let take = |(name, like): (&String, &crate::engine::Tensor<f32>)| {
                let place = || format!("{}: tensor `{prefix}{name}`", path.display());
                match all.remove(&format!("{prefix}{name}")) {
                    Some(t) if t.shape() == like.shape() => Ok((name.clone(), t)),
                    Some(t) => {
                        Err(Error::mismatch(place(), format!("shape {:?}", like.shape()), format!("{:?}", t.shape())))
                    }
                    None => Err(Error::mismatch(place(), "a tensor", "none")),
                }
            };
            like.iter().map(take).collect()
        };
        Ok(Self { step, weights: part("weights/")?, adam: AdamW { first: part("first/")?, second: part("second/")? } })
    }
}
