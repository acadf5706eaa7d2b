//! Where a number of one more model would lie, going by those of a few.
//!
//! ```text
//! mean +- t(k - 1) s sqrt(1 + 1 / k)
//! ```
//!
//! with mean and standard deviation s of k models: Student's prediction interval (Hahn & Meeker 1991, Statistical Intervals, 4.7). It is
//! how a model is held against untrained ones of its shape: a number above the interval is more than another seed would give.

use crate::measure::Confidence;
use serde::{Deserialize, Deserializer, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A number of untrained models: their mean, and the interval in which that of another lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Of the models.
    pub mean: f64,
    /// Lower end; of a single model minus infinity, which JSON has as null.
    #[serde(deserialize_with = "lowest")]
    pub lo: f64,
    /// Upper end.
    #[serde(deserialize_with = "highest")]
    pub hi: f64,
}

fn lowest<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NEG_INFINITY))
}

fn highest<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
}

impl Spread {
    /// Of one number a model; `None` of no model.
    pub fn of(values: &[f64], confidence: Confidence) -> Option<Self> {
        Self::at_least(values, 0.0, confidence)
    }

    /// Of shares of what could be explained: at most all of it is; cross-validated ones may lie below 0.
    pub fn of_shares(values: &[f64], confidence: Confidence) -> Option<Self> {
        Self::of(values, confidence).map(|spread| Self { hi: spread.hi.min(1.0), ..spread })
    }

    /// Of counts out of `total`. They vary at least as counts of independent draws do, and by at least 1: where few models agree by chance,
    /// that says little.
    pub fn of_counts(values: &[usize], total: usize, confidence: Confidence) -> Option<Self> {
        let values: Vec<f64> = values.iter().map(|count| *count as f64).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let binomial = mean * (1.0 - mean / total.max(1) as f64);
        let spread = Self::at_least(&values, binomial.max(1.0), confidence)?;
        Some(Self { lo: spread.lo.max(0.0), hi: spread.hi.min(total as f64), ..spread })
    }

    fn at_least(values: &[f64], least: f64, confidence: Confidence) -> Option<Self> {
        let k = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / k;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (k - 1.0);
        let level = f64::midpoint(1.0, confidence.level());
        let quantile = StudentsT::new(0.0, 1.0, k - 1.0).map_or(f64::INFINITY, |t| t.inverse_cdf(level));
        let half =
            if values.len() > 1 { quantile * (variance.max(least) * (1.0 + 1.0 / k)).sqrt() } else { f64::INFINITY };
        Some(Self { mean, lo: mean - half, hi: mean + half })
    }
}
