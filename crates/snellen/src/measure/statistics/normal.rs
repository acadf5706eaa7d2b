//! The standard normal distribution, and confidence levels in its units.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_1_SQRT_2;

/// P(Z >= x) of a standard normal Z, accurate relative to itself in the far tail; 0 beyond x = 38.
pub fn upper_tail(x: f64) -> f64 {
    0.5 * libm::erfc(x * FRAC_1_SQRT_2)
}

/// P(|Z| >= |z|) of a standard normal Z.
pub fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() * FRAC_1_SQRT_2)
}

/// How often an interval is meant to hold what it estimates, such as .95; in files the bare number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence {
    level: f64,
    z: f64,
}

impl Confidence {
    /// A level strictly between 0 and 1.
    ///
    /// # Errors
    /// When `level` is not, or so near to 1 that no double tells it from 1.
    pub fn new(level: f64) -> Result<Self> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::mismatch("confidence level", "a number between 0 and 1", level));
        }
        let [mut low, mut high] = [0.0, 38.0];
        for _ in 0..64 {
            let middle: f64 = f64::midpoint(low, high);
            if two_sided(middle) > 1.0 - level { low = middle } else { high = middle }
        }
        Ok(Self { level, z: f64::midpoint(low, high) })
    }

    /// The level.
    pub fn level(self) -> f64 {
        self.level
    }

    /// The z with P(|Z| < z) = level: 1.96 for .95.
    pub fn z(self) -> f64 {
        self.z
    }
}

impl TryFrom<f64> for Confidence {
    type Error = Error;

    fn try_from(level: f64) -> Result<Self> {
        Self::new(level)
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> Self {
        confidence.level
    }
}
