//! What an edit does, as numbers: a paired change in units of the spread between twins, beside sets that are alike.
//!
//! ```text
//! effect   = mean_i (m_i(edited) - m_i) / sd_i m_i          over twins i; Student's interval of the mean of the differences
//! p        = (1 + #{draws at least as far from the centre}) / (1 + draws)
//! restored = -mean_i (m_i(edited) - m_i) / mean_i 2 m_i     Fieller's interval, where the denominator's excludes 0
//! ```
//!
//! with the mean of the draws and of the set itself as the centre, since under the null the set is one of them. What is restored is
//! (patched - corrupt) / (clean - corrupt), which for the margin of a twin's run with the caption of the other is the same forward.

use crate::measure::{Confidence, Interval};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// What random sets that are alike do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Null {
    /// How many.
    pub draws: usize,
    /// Their mean effect.
    pub mean: f64,
    /// Where the middle share of them begins, as many as the confidence says.
    pub lo: f64,
    /// Where it ends.
    pub hi: f64,
}

/// How much of what a twin lacks its patch brings back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restored {
    /// A share, 0 none and 1 all, with its interval.
    Share(Interval),
    /// The clean margin is not above its own noise.
    NothingToRestore,
}

/// One edit of one set of units, and what it does to one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The site, with its head where one is meant.
    pub site: String,
    /// The token group.
    pub tokens: String,
    /// How the set was asked for.
    pub set: String,
    /// Units in it.
    pub size: usize,
    /// What became of them.
    pub edit: String,
    /// What was asked.
    pub target: String,
    /// The change of the margin, in spreads between twins.
    pub effect: Interval,
    /// The same of random sets that are alike.
    pub null: Null,
    /// Two-sided, against these.
    pub p: f64,
    /// p adjusted over the effects on this target that were asked for together.
    pub q: f64,
    /// Values that were changed.
    pub changed: u64,
    /// The largest change of one.
    pub largest: f32,
    /// Of patches, what they bring back of the swap margin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

/// The mean and the standard deviation of some numbers.
pub(super) fn mean_and_sd(values: &[f64]) -> [f64; 2] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    [mean, variance.sqrt()]
}

/// Student's two-sided quantile with `n - 1` degrees of freedom.
fn quantile(n: usize, confidence: Confidence) -> f64 {
    let level = f64::midpoint(1.0, confidence.level());
    StudentsT::new(0.0, 1.0, n as f64 - 1.0).map_or(f64::INFINITY, |t| t.inverse_cdf(level))
}

/// The mean of `differences`, one for each twin, in units of `spread`.
pub(super) fn paired(differences: &[f64], spread: f64, confidence: Confidence) -> Interval {
    let [mean, sd] = mean_and_sd(differences);
    let half = quantile(differences.len(), confidence) * sd / (differences.len() as f64).sqrt();
    Interval { estimate: mean / spread, lo: (mean - half) / spread, hi: (mean + half) / spread }
}

/// What patches bring back: `changes` of the margins of twins, whose `clean` margins are these.
///
/// Fieller 1954 (JRSS B 16:175-185) for a ratio of paired means; where its denominator's interval holds 0 or lies below, there is nothing.
pub(super) fn restored(changes: &[f64], clean: &[f64], confidence: Confidence) -> Restored {
    let n = changes.len() as f64;
    let (above, below): (Vec<f64>, Vec<f64>) = changes.iter().zip(clean).map(|(d, m)| (-d, 2.0 * m)).unzip();
    let ([x, sx], [y, sy]) = (mean_and_sd(&above), mean_and_sd(&below));
    let covariance = above.iter().zip(&below).map(|(a, b)| (a - x) * (b - y)).sum::<f64>() / (n - 1.0);
    let g = quantile(changes.len(), confidence).powi(2) / n;
    let (a, b, c) = (y * y - g * sy * sy, x * y - g * covariance, x * x - g * sx * sx);
    if y <= 0.0 || a <= 0.0 {
        return Restored::NothingToRestore;
    }
    let root = (b * b - a * c).max(0.0).sqrt();
    Restored::Share(Interval { estimate: x / y, lo: (b - root) / a, hi: (b + root) / a })
}

/// How likely an effect so far from those of `null` is, if the set is one like them.
pub(super) fn p_value(effect: f64, null: &[f64]) -> f64 {
    let centre = (null.iter().sum::<f64>() + effect) / (null.len() + 1) as f64;
    // Effects of sets with the same units differ by rounding.
    let far = (effect - centre).abs() * (1.0 - 1e-9);
    let as_far = null.iter().filter(|x| (*x - centre).abs() >= far).count();
    (1 + as_far) as f64 / (1 + null.len()) as f64
}

impl Null {
    /// Of the effects of random sets, at least one.
    pub(super) fn of(effects: &[f64], confidence: Confidence) -> Self {
        let mut sorted = effects.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - confidence.level()) / 2.0;
        let at = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let (below, part) = (place.floor() as usize, place.fract());
            let above = (below + 1).min(sorted.len() - 1);
            sorted[below] + part * (sorted[above] - sorted[below])
        };
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        Self { draws: effects.len(), mean, lo: at(tail), hi: at(1.0 - tail) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Null, Restored, p_value, paired, restored};
    use crate::measure::{Confidence, Interval};
    use crate::{Error, Result};
    use serde::Deserialize;
    use std::path::Path;

    #[derive(Deserialize)]
    struct Case {
        clean: Vec<f64>,
        changes: Vec<f64>,
        effect: [f64; 3],
        restored: Option<[f64; 3]>,
        null: Vec<f64>,
        null_mean: f64,
        null_lo: f64,
        null_hi: f64,
        p: f64,
    }

    #[test]
    fn effects_have_the_answers_of_scipy() -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cause.json");
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let cases: Vec<Case> = serde_json::from_slice(&bytes).map_err(|e| Error::malformed("cause.json", e))?;
        let confidence = Confidence::new(0.95)?;
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-8 * (1.0 + b.abs()), "{a} {b}");
        let alike = |a: &Interval, [estimate, lo, hi]: [f64; 3]| {
            near(a.estimate, estimate);
            near(a.lo, lo);
            near(a.hi, hi);
        };
        let mut nothing = 0;
        for case in &cases {
            let spread = super::mean_and_sd(&case.clean)[1];
            alike(&paired(&case.changes, spread, confidence), case.effect);
            match (restored(&case.changes, &case.clean, confidence), case.restored) {
                (Restored::Share(share), Some(expected)) => alike(&share, expected),
                (Restored::NothingToRestore, None) => nothing += 1,
                other => panic!("{other:?}"),
            }
            let null = Null::of(&case.null, confidence);
            near(null.mean, case.null_mean);
            near(null.lo, case.null_lo);
            near(null.hi, case.null_hi);
            near(p_value(case.effect[0], &case.null), case.p);
        }
        assert!(cases.len() == 6 && nothing == 3, "{nothing} of {}", cases.len());
        Ok(())
    }

    #[test]
    fn one_of_many_alike_is_no_exception() {
        // As good as the next of 20, beyond all of them, and the same as all of them.
        let null: Vec<f64> = (0..19).map(f64::from).collect();
        assert!((p_value(9.0, &null) - 1.0).abs() < 1e-12);
        assert!((p_value(100.0, &null) - 0.05).abs() < 1e-12);
        assert!((p_value(-100.0, &null) - 0.05).abs() < 1e-12);
        assert!((p_value(3.0, &[3.0; 19]) - 1.0).abs() < 1e-12);
    }
}
