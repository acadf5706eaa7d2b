//! An interval for a stratified AUROC that stays inside [0, 1] and does not collapse at its ends.
//!
//! Newcombe 2006 (Statistics in Medicine 25:559-573), method 5: all theta with |AUC - theta| <= z sqrt(V(theta)), where
//! V(theta) = theta (1 - theta) [1 + n* ((1 - theta) / (2 - theta) + theta / (1 + theta))] / (n+ n-), n* = (n+ + n-) / 2 - 1: the variance of
//! Hanley & McNeil 1982 for exponential scores, with both classes given the mean of their sizes. Strata are independent
//! and weigh w_s = n+_s n-_s / sum n+ n-, so V(theta) = sum w_s^2 V_s(theta), which keeps the form
//! theta (1 - theta) [a + b (...)]. At theta = 1/2 it is the variance of the rank test without ties.
//!
//! That V supposes two classes of like spread. Where a concept excites a unit on some of its images only, as in a cell for a
//! conjunction, nominal 95 % intervals were measured to hold the truth 84 % of the time. So V is multiplied by
//! max(1, (1 + 2 / k) V_observed / V(AUC)). V_observed is the variance of DeLong, DeLong & Clarke-Pearson 1988 (Biometrics
//! 44:837-845), the variances of placements pooled over strata, sum_s w_s^2 (S10 / n+_s + S01 / n-_s); they have k degrees of
//! freedom, in the class with fewer, and 1 + 2 / k is about the variance of Student's t. The observed variance alone would
//! be 0 at AUC 0 and 1, and often too small near them.

use crate::measure::Confidence;
use crate::measure::rank_test::Classes;
use crate::measure::ranks::Ranks;
use std::ops::Range;

/// The variance of a stratified AUROC as a function of the true one.
pub(in crate::measure) struct Spread {
    a: f64,
    b: f64,
    strata: Vec<Share>,
    /// Per class: sum over strata of w^2 / n.
    weights: [f64; 2],
    /// Per class: sum over strata of n - 1.
    freedom: [f64; 2],
}

/// A stratum with both classes.
struct Share {
    classes: Classes,
    places: Range<usize>,
}

impl Spread {
    /// Of an AUROC over `strata`, at least one, each with both classes; `bounds` says which places belong to which.
    pub(in crate::measure) fn new(strata: &[Classes], bounds: &[usize]) -> Self {
        let pairs: f64 = strata.iter().map(|classes| classes.pairs() as f64).sum();
        let sum =
            |of: &dyn Fn(&Classes, f64) -> f64| strata.iter().map(|s| of(s, s.pairs() as f64 / pairs)).sum::<f64>();
        let b = sum(&|s, w| w / pairs * ((s.positives + s.negatives) as f64 / 2.0 - 1.0));
        let weights = [sum(&|s, w| w * w / s.positives as f64), sum(&|s, w| w * w / s.negatives as f64)];
        let freedom = [sum(&|s, _| s.positives as f64 - 1.0), sum(&|s, _| s.negatives as f64 - 1.0)];
        let share =
            |&classes: &Classes| Share { classes, places: bounds[classes.stratum]..bounds[classes.stratum + 1] };
        Self { a: 1.0 / pairs, b, strata: strata.iter().map(share).collect(), weights, freedom }
    }

    fn supposed(&self, theta: f64) -> f64 {
        let excess = (1.0 - theta) / (2.0 - theta) + theta / (1.0 + theta);
        theta * (1.0 - theta) * (self.a + self.b * excess)
    }

    /// The variance seen in the data, made larger for what so few of them may miss; 0 where a class has no second image in
    /// any stratum.
    fn observed(&self, held: &[bool], ranks: &Ranks) -> f64 {
        let mut squares = [0.0; 2];
        for share in &self.strata {
            share.placements(held, ranks).iter().zip(&mut squares).for_each(|(s, sum)| *sum += s);
        }
        let fewest = self.freedom[0].min(self.freedom[1]);
        if fewest <= 0.0 {
            return 0.0;
        }
        let class = |c: usize| self.weights[c] * squares[c] / self.freedom[c];
        (1.0 + 2.0 / fewest) * (class(0) + class(1))
    }

    /// The interval around an estimate of `auroc`, in [0, 1]; `held` says which places hold the concept.
    pub(in crate::measure) fn interval(
        &self,
        auroc: f64,
        held: &[bool],
        ranks: &Ranks,
        confidence: Confidence,
    ) -> [f64; 2] {
        let supposed = self.supposed(auroc);
        let wider = if supposed > 0.0 { (self.observed(held, ranks) / supposed).max(1.0) } else { 1.0 };
        let reach = wider * confidence.z().powi(2);
        let within = |theta: f64| (auroc - theta).powi(2) <= reach * self.supposed(theta);
        let bound = |end: f64| {
            let [mut outer, mut inner] = [end, auroc];
            for _ in 0..50 {
                let middle = f64::midpoint(outer, inner);
                if within(middle) { inner = middle } else { outer = middle }
            }
            inner
        };
        [bound(0.0), bound(1.0)]
    }
}

impl Share {
    /// Per class, the sum of squared deviations of its placements: for an image with the concept the share of those without
    /// that are lower, for an image without the share of those with that are higher; ties count half.
    fn placements(&self, held: &[bool], ranks: &Ranks) -> [f64; 2] {
        let [m, n] = [self.classes.positives, self.classes.negatives];
        let mut sums = [[0.0; 2]; 2];
        let [mut lower, mut higher] = [0, m];
        let mut sorted = &ranks.sorted[self.places.clone()];
        for &t in &ranks.strata[self.classes.stratum].groups {
            let (group, rest) = sorted.split_at(t as usize);
            let positives = group.iter().filter(|&&place| held[place as usize]).count();
            let negatives = group.len() - positives;
            higher -= positives;
            let doubled = [2 * lower + negatives, 2 * higher + positives].map(|placement| placement as f64);
            for ((sums, count), placement) in sums.iter_mut().zip([positives, negatives]).zip(doubled) {
                sums[0] += count as f64 * placement;
                sums[1] += count as f64 * placement * placement;
            }
            lower += negatives;
            sorted = rest;
        }
        let deviations = |[sum, square]: [f64; 2], own: usize, other: usize| {
            ((square - sum * sum / own as f64) / (4 * other * other) as f64).max(0.0)
        };
        [deviations(sums[0], m, n), deviations(sums[1], n, m)]
    }
}
