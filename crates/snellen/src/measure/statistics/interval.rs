//! A number and where it may lie.

use crate::measure::Confidence;
use serde::{Deserialize, Serialize};

/// A number and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The number.
    pub estimate: f64,
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl Interval {
    /// `estimate` -+ z `error`.
    pub fn normal(estimate: f64, error: f64, confidence: Confidence) -> Self {
        let half = confidence.z() * error;
        Self { estimate, lo: estimate - half, hi: estimate + half }
    }
}
