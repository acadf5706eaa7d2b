//! An interval for a stratified AUROC that stays inside [0, 1] and does not collapse at its ends.
//!
//! Newcombe 2006 (Statistics in Medicine 25:559-573), method 5: all theta with |AUC - theta| <= z sqrt(V(theta)), where
//! V(theta) = theta (1 - theta) [1 + n* ((1 - theta) / (2 - theta) + theta / (1 + theta))] / (n+ n-), n* = (n+ + n-) / 2 - 1: the variance of
//! Hanley & McNeil 1982 for exponential scores, with both classes given the mean of their sizes. Strata are independent
//! and weigh w_s = n+_s n-_s / sum n+ n-, so V(theta) = sum w_s^2 V_s(theta), which keeps the form
//! theta (1 - theta) [a + b (...)]. At theta = 1/2 it is the variance of the rank test without ties, so that the interval holds
//! 1/2 just when the normal p is above 1 - confidence.

use super::Confidence;
use super::rank_test::Classes;

/// The variance of a stratified AUROC as a function of the true one.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    a: f64,
    b: f64,
}

impl Spread {
    /// Of an AUROC over `strata`, each with both classes; at least one.
    pub(super) fn new(strata: &[Classes]) -> Self {
        let pairs: f64 = strata.iter().map(|classes| classes.pairs() as f64).sum();
        let b: f64 = strata
            .iter()
            .map(|classes| classes.pairs() as f64 * ((classes.positives + classes.negatives) as f64 / 2.0 - 1.0))
            .sum();
        Self { a: 1.0 / pairs, b: b / (pairs * pairs) }
    }

    fn variance(self, theta: f64) -> f64 {
        let excess = (1.0 - theta) / (2.0 - theta) + theta / (1.0 + theta);
        theta * (1.0 - theta) * (self.a + self.b * excess)
    }

    /// The interval around an estimate of `auroc`, in [0, 1].
    pub(super) fn interval(self, auroc: f64, confidence: Confidence) -> [f64; 2] {
        let within = |theta: f64| (auroc - theta).powi(2) <= confidence.z().powi(2) * self.variance(theta);
        let bound = |outer: f64| {
            let [mut outer, mut inner] = [outer, auroc];
            // The ends 0 and 1 have no variance: they are outside unless they are the estimate.
            for _ in 0..50 {
                let middle = f64::midpoint(outer, inner);
                if within(middle) { inner = middle } else { outer = middle }
            }
            inner
        };
        [bound(0.0), bound(1.0)]
    }
}
