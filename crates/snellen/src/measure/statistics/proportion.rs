//! Shares of right answers, with intervals that stay inside [0, 1] and open at its ends.
//!
//! Wilson 1927 (JASA 22:209-212): all P with |p - P| <= z sqrt(P (1 - P) / n). Differences: Newcombe 1998 (Statistics in Medicine
//! 17:873-890), method 10, from the two intervals. Answers that come in clusters (the two twins of a pair) are worth
//! n / deff independent ones (Kish 1965, Survey Sampling, 8.2; the ratio estimator's variance, Cochran 1977, 6.3).

use crate::measure::Confidence;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A share of answers that were right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Right answers; a tie counts one half.
    pub successes: f64,
    /// Answers.
    pub n: usize,
    /// How many independent answers the interval stands on, from 1 to `n`.
    pub effective_n: f64,
    /// `successes / n`.
    pub estimate: f64,
    /// Interval of the share, in [0, 1].
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
}

/// A difference of two shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// First less second, in [-1, 1].
    pub estimate: f64,
    /// Interval of the difference, in [-1, 1].
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
}

impl Proportion {
    /// Whether answers depend on one another so much that more of the same clusters would add little: they are worth less than half of
    /// their number.
    pub fn repeats(&self) -> bool {
        self.effective_n < 0.5 * self.n as f64
    }

    /// Of `n` independent answers, `successes` of them right, with Wilson's interval.
    ///
    /// # Errors
    /// When there is no answer, or `successes` is not from 0 to `n`.
    pub fn wilson(successes: f64, n: usize, confidence: Confidence) -> Result<Self> {
        if n == 0 {
            return Err(Error::mismatch("proportion", "at least one answer", "none"));
        }
        if !(0.0..=n as f64).contains(&successes) {
            return Err(Error::mismatch("proportion", format!("0 to {n} right answers"), successes));
        }
        Ok(Self::on(successes, n, n as f64, confidence))
    }

    /// Of the answers `scores` (0 wrong, 1 right, between them at a tie), of which those with one number in `clusters` may depend on one
    /// another.
    ///
    /// Wilson's interval on n / deff answers. The design effect deff is the variance of the share under whole clusters,
    /// C / (C - 1) sum_c (s_c - p n_c)^2 / n^2 for the C cluster sums s_c, over the binomial p (1 - p) / n, both after adding one
    /// cluster all right and one all wrong of the mean size. Those two speak where the data cannot: with every answer right or
    /// every answer wrong there is no variance to see, and the clusters themselves are then what is counted. deff is held to
    /// at least 1: answers that repel one another, as those of a model blind to binding do, and ties, are never worth
    /// more than independent ones.
    ///
    /// # Errors
    /// When lengths disagree, there is no answer, or a score is not from 0 to 1.
    pub fn clustered(scores: &[f64], clusters: &[u64], confidence: Confidence) -> Result<Self> {
        if scores.len() != clusters.len() {
            let expected = format!("{} clusters, one per score", scores.len());
            return Err(Error::mismatch("proportion", expected, clusters.len()));
        }
        if let Some(answer) = scores.iter().position(|score| !(0.0..=1.0).contains(score)) {
            return Err(Error::mismatch(format!("proportion: answer {answer}"), "a score from 0 to 1", scores[answer]));
        }
        let plain = Self::wilson(scores.iter().sum(), scores.len(), confidence)?;
        let mut sums: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
        for (&score, &cluster) in scores.iter().zip(clusters) {
            let [sum, size] = sums.entry(cluster).or_default();
            (*sum, *size) = (*sum + score, *size + 1.0);
        }
        let size = plain.n as f64 / sums.len() as f64;
        let sums: Vec<_> = sums.into_values().chain([[size, size], [0.0, size]]).collect();
        let [count, n] = [sums.len() as f64, plain.n as f64 + 2.0 * size];
        let p = (plain.successes + size) / n;
        let squares: f64 = sums.iter().map(|[sum, size]| (sum - p * size).powi(2)).sum();
        let deff = (count / (count - 1.0) * squares / (n * p * (1.0 - p))).max(1.0);
        Ok(Self::on(plain.successes, plain.n, (plain.n as f64 / deff).max(1.0), confidence))
    }

    /// The same answers, whose share varies by `variance` more than they show: by who was taught, say.
    pub fn widened(self, variance: f64, confidence: Confidence) -> Self {
        let own = self.estimate * (1.0 - self.estimate);
        if own <= 0.0 {
            return self;
        }
        let effective_n = 1.0 / (1.0 / self.effective_n + variance / own);
        Self::on(self.successes, self.n, effective_n.max(1.0), confidence)
    }

    /// This share less `other`, of independent answers, with Newcombe's hybrid interval. Both intervals have one confidence.
    pub fn minus(&self, other: &Self) -> Difference {
        let estimate = self.estimate - other.estimate;
        let lo = estimate - f64::hypot(self.estimate - self.lo, other.hi - other.estimate);
        let hi = estimate + f64::hypot(self.hi - self.estimate, other.estimate - other.lo);
        Difference { estimate, lo, hi }
    }

    fn on(successes: f64, n: usize, effective_n: f64, confidence: Confidence) -> Self {
        let p = successes / n as f64;
        let share = confidence.z().powi(2) / effective_n;
        let center = (p + share / 2.0) / (1.0 + share);
        let half = (share * p * (1.0 - p) + share * share / 4.0).sqrt() / (1.0 + share);
        // The ends are exact where rounding might miss them.
        let lo = if p <= 0.0 { 0.0 } else { (center - half).max(0.0) };
        let hi = if p >= 1.0 { 1.0 } else { (center + half).min(1.0) };
        Self { successes, n, effective_n, estimate: p, lo, hi }
    }
}
