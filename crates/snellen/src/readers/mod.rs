//! What readers find in rows of numbers: is it there, how few examples show it, and does it beat the controls?
//!
//! Nothing here knows a model, a site or a scene. A [`Task`] asks one question of every row of a matrix; a [`Reader`] (linear,
//! logistic, or a small network) learns from some rows and answers for others, for a [`Ladder`] of training sizes. [`curves`] gives
//! the learning [`Curve`] of each matrix, with its code length; [`against`] compares one with its controls on the same rows. Controls
//! are but other matrices of the same rows. [`alignment`] asks whether a linear map between two spaces finds which of two
//! twins a caption means.
//!
//! The formulas, their sources and limits stand in METHODS.md.

pub mod alignment;
mod bilinear;
mod code;
mod compare;
mod curve;
mod ladder;
mod logistic;
mod minimise;
mod mlp;
mod network;
mod paired;
mod pairs;
mod prepared;
mod ridge;
mod softmax;
mod split;
mod task;

pub use code::{Code, Coded};
pub use compare::{Against, Comparison, against};
pub use curve::{Answers, Curve, Point, curves};
pub use ladder::Ladder;
pub use logistic::{Fit, Validated, fit_logistic, validate_logistic};
pub use mlp::Mlp;
pub use paired::{paired, paired_mean};
pub use pairs::{ComparedPairs, tell_pairs};
pub use prepared::Prepared;
pub use ridge::{RidgeFit, fit_ridge};
pub use split::{Split, block_splits, object_split, scene_splits};
pub use task::Task;

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Who reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// Ridge regression in closed form.
    Ridge {
        /// Penalties to choose from, in units of the mean eigenvalue of the training rows' scatter.
        penalties: Vec<f64>,
    },
    /// Multinomial logistic regression.
    Logistic {
        /// Strengths C to choose from, ascending, as scikit-learn's for rows whose total variance is 1.
        strengths: Vec<f64>,
        /// Inner folds by which one is chosen.
        folds: usize,
    },
    /// A small network.
    Mlp(Mlp),
}

impl Reader {
    /// Ridge with the penalties of `measure`'s probes.
    pub fn ridge() -> Self {
        let penalties = (-5..=3).flat_map(|e| [1.0, 3.0].map(|m| m * 10f64.powi(e))).take(17).collect();
        Self::Ridge { penalties }
    }

    /// Logistic with 9 strengths from .01 to 10^6 and 5 folds.
    pub fn logistic() -> Self {
        Self::Logistic { strengths: (-2..=6).map(|e| 10f64.powi(e)).collect(), folds: 5 }
    }

    /// The network of [`Mlp::standard`].
    pub fn mlp() -> Self {
        Self::Mlp(Mlp::standard())
    }

    /// What it is called: `ridge`, `logistic` or `mlp`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ridge { .. } => "ridge",
            Self::Logistic { .. } => "logistic",
            Self::Mlp(_) => "mlp",
        }
    }

    fn read(
        &self,
        prepared: &Prepared<'_>,
        task: &Task,
        train: &[usize],
        asked: &[usize],
        seed: u64,
    ) -> Result<Reading> {
        match self {
            Self::Ridge { penalties } => ridge::read(prepared, task, train, asked, penalties),
            Self::Logistic { strengths, folds } => {
                logistic::read(prepared, task, train, asked, (strengths, *folds), seed)
            }
            Self::Mlp(mlp) => mlp::read(prepared, task, train, asked, mlp, seed),
        }
    }

    /// The fewest clusters that it can learn from.
    fn fewest(&self) -> usize {
        match self {
            Self::Ridge { .. } => 2,
            Self::Logistic { folds, .. } => *folds,
            Self::Mlp(_) => 5,
        }
    }

    fn check(&self) -> Result<()> {
        let positive = |place: &str, values: &[f64]| {
            if !values.is_empty() && values.iter().all(|value| *value > 0.0 && value.is_finite()) {
                return Ok(());
            }
            Err(Error::mismatch(place, "positive numbers", format!("{values:?}")))
        };
        match self {
            Self::Ridge { penalties } => positive("ridge: penalties", penalties),
            Self::Logistic { strengths, folds } => {
                positive("logistic: strengths", strengths)?;
                let ascending = strengths.windows(2).all(|pair| pair[0] < pair[1]);
                if !ascending || *folds < 2 {
                    let got = format!("{strengths:?} and {folds} folds");
                    return Err(Error::mismatch("logistic", "ascending strengths and 2 folds or more", got));
                }
                Ok(())
            }
            Self::Mlp(mlp) => {
                let counts = [mlp.hidden, mlp.members, mlp.epochs, mlp.batch];
                let rates = mlp.rate > 0.0 && mlp.decay >= 0.0 && (0.0..=1.0).contains(&mlp.whitening);
                if counts.contains(&0) || !rates {
                    return Err(Error::mismatch("mlp", "positive sizes and rates", format!("{mlp:?}")));
                }
                Ok(())
            }
        }
    }
}

/// What a reader says of the rows that it was asked.
struct Reading {
    /// `[row asked, class]`; 0 for classes that do not come into question.
    probabilities: Vec<f64>,
    /// The strength or penalty that was chosen, in the reader's units.
    strength: Option<f64>,
    /// The gradient per row that was left, where one was searched to its end.
    gradient: Option<f64>,
}

/// That `rows` can be read.
fn check(prepared: &Prepared<'_>, task: &Task, rows: &[usize]) -> Result<()> {
    if prepared.rows() != task.rows() {
        let expected = format!("{} rows, as the task has", task.rows());
        return Err(Error::mismatch(prepared.name(), expected, prepared.rows()));
    }
    if rows.is_empty() {
        return Err(Error::mismatch("task", "rows to read", "none"));
    }
    if let Some(row) = rows.iter().find(|row| task.labels().get(**row).is_none_or(Option::is_none)) {
        return Err(Error::mismatch("task", "rows that have an answer", format!("row {row}")));
    }
    Ok(())
}
