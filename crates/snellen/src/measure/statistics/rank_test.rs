//! The two-sided p-value of a stratified Mann-Whitney statistic.
//!
//! Under the null the U_s of the strata are independent. Strata with few images of one class have their exact permutation
//! distribution; the others are normal with mean n+ n- / 2 and variance n+ n- / 12 (n + 1 - sum (t^3 - t) / (n (n - 1)))
//! (Lehmann 1975, Nonparametrics, 1.2 and 1.4; van Elteren 1960 without weights). Together
//! P(U >= u) = sum_k P(U_exact = k) P(N >= u - k), and p is twice the smaller tail, at most 1; no continuity correction.
//!
//! Two bounds keep the cost of a cell in hand. Strata become exact in the order of their smaller class, smallest first, while
//! U in each of them, and in all of them together, has at most [`MAX_SUPPORT`] values, and its distribution takes at most
//! [`MAX_WORK`] additions; from then on they are normal like the large ones. Without ties that lets a stratum of 1,800 images be
//! exact with 9 of one class, with ties one of about 225.

use crate::measure::normal::{two_sided, upper_tail};
use crate::measure::permutation::{convolve, tied_work, untied};
use crate::measure::ranks::Ranks;

/// Whole values of U in an exact distribution, at most.
const MAX_SUPPORT: usize = 1 << 14;
/// Additions to compute an exact distribution, at most.
const MAX_WORK: usize = 1 << 23;
/// Entries of a table of normal tails, at most; beyond them they are computed as needed.
const MAX_TABLE: usize = 1 << 16;

/// A stratum that holds both classes.
#[derive(Clone, Copy)]
pub(in crate::measure) struct Classes {
    /// Its place among the strata of the plan.
    pub stratum: usize,
    /// Images that hold the concept.
    pub positives: usize,
    /// Images that do not.
    pub negatives: usize,
}

impl Classes {
    fn images(&self) -> usize {
        self.positives + self.negatives
    }

    fn fewer(&self) -> usize {
        self.positives.min(self.negatives)
    }

    pub(in crate::measure) fn pairs(&self) -> usize {
        self.positives * self.negatives
    }

    /// Of U, with `ties` the sum of t^3 - t.
    pub(in crate::measure) fn variance(&self, ties: f64) -> f64 {
        let n = self.images() as f64;
        // In the terms of `ties`, so that a stratum of one value has none at all.
        self.pairs() as f64 / 12.0 * (n * n * n - n - ties) / (n * (n - 1.0))
    }
}

/// The test of one concept, for any unit.
pub(in crate::measure) struct RankTest {
    /// Those that may be exact first, by the size of their smaller class; then the rest.
    strata: Vec<Classes>,
    /// How many may be exact.
    small: usize,
    exact_below: usize,
    /// The null where no unit ties: the same for all of them.
    distinct: Null,
    /// Tails of its normal part, where it pays; see [`RankTest::tabulate`].
    table: Vec<f64>,
    table_zero: usize,
}

/// 2 U = `step` * (exact part) + (normal part).
struct Null {
    step: usize,
    exact: Vec<f64>,
    mean: f64,
    sd: f64,
}

impl RankTest {
    /// `strata` have both classes; those with fewer than `exact_below` images of one class are exact if they can be.
    pub(in crate::measure) fn new(mut strata: Vec<Classes>, exact_below: usize) -> Self {
        strata.sort_by_key(|classes| (classes.fewer() >= exact_below, classes.fewer(), classes.stratum));
        let small = strata.iter().filter(|classes| classes.fewer() < exact_below).count();
        let pairs: usize = strata.iter().map(Classes::pairs).sum();
        let distribution =
            |classes: &Classes| (classes.pairs() < MAX_SUPPORT).then(|| untied(classes.images(), classes.fewer()));
        let mut distinct = Null { step: 2, exact: vec![1.0], mean: 0.0, sd: 0.0 };
        let exact =
            strata[..small].iter().take_while(|classes| distribution(classes).is_some_and(|d| distinct.add(&d)));
        let exact = exact.count();
        distinct.add_normal(&strata[exact..], |_| 0.0);
        let mut test = Self { strata, small, exact_below, distinct, table: Vec::new(), table_zero: 0 };
        test.tabulate(pairs);
        test
    }

    /// Lists the normal tails that units without ties may ask for: u from half of `pairs` on, less any value of the exact part.
    fn tabulate(&mut self, pairs: usize) {
        let points = self.distinct.exact.len();
        let lowest = pairs.div_ceil(2);
        let length = pairs - lowest + points;
        if points > 1 && self.distinct.sd > 0.0 && length <= MAX_TABLE {
            let u = |entry: usize| 2.0 * (entry as f64 + lowest as f64 - (points - 1) as f64);
            let Null { mean, sd, .. } = self.distinct;
            self.table = (0..length).map(|entry| upper_tail((u(entry) - mean) / sd)).collect();
            self.table_zero = lowest;
        }
    }

    /// The p-value of twice U, of a unit with these `ranks`; in (0, 1] but for rounding to 0.
    pub(in crate::measure) fn p(&self, doubled_u: usize, ranks: &mut Ranks) -> f64 {
        if self.strata.iter().any(|classes| ranks.strata[classes.stratum].ties > 0.0) {
            return self.null_with_ties(ranks).p(doubled_u);
        }
        if self.table.is_empty() {
            return self.distinct.p(doubled_u);
        }
        let pairs: usize = self.strata.iter().map(Classes::pairs).sum();
        let u = (doubled_u / 2).max(pairs - doubled_u / 2);
        let tails = &self.table[u - self.table_zero..][..self.distinct.exact.len()];
        let upper: f64 = self.distinct.exact.iter().zip(tails.iter().rev()).map(|(k, tail)| k * tail).sum();
        (2.0 * upper).min(1.0)
    }

    fn null_with_ties(&self, ranks: &mut Ranks) -> Null {
        let mut null = Null { step: 1, exact: vec![1.0], mean: 0.0, sd: 0.0 };
        let small = self.strata[..self.small].iter();
        let exact = small.take_while(|classes| self.doubled(classes, ranks).is_some_and(|d| null.add(&d))).count();
        null.add_normal(&self.strata[exact..], |stratum| ranks.strata[stratum].ties);
        null
    }

    /// P(2 U = i) of one stratum, where it can be had.
    fn doubled(&self, classes: &Classes, ranks: &mut Ranks) -> Option<Vec<f64>> {
        let stratum = &mut ranks.strata[classes.stratum];
        if classes.pairs() >= MAX_SUPPORT {
            return None;
        }
        if stratum.ties == 0.0 {
            return Some(untied(classes.images(), classes.fewer()).into_iter().flat_map(|p| [p, 0.0]).collect());
        }
        if tied_work(&stratum.groups, self.exact_below - 1) > MAX_WORK {
            return None;
        }
        let mut distribution = stratum.subsets(classes.fewer())[classes.fewer()].clone();
        if classes.positives > classes.negatives {
            distribution.reverse();
        }
        Some(distribution)
    }
}

impl Null {
    /// Adds an exact part, unless that would take too much.
    fn add(&mut self, exact: &[f64]) -> bool {
        let most = 2 * MAX_SUPPORT / self.step + 1;
        let fits = self.exact.len() + exact.len() <= most && self.exact.len().saturating_mul(exact.len()) <= MAX_WORK;
        if fits {
            self.exact = convolve(exact, &self.exact);
        }
        fits
    }

    fn add_normal(&mut self, strata: &[Classes], ties: impl Fn(usize) -> f64) {
        self.mean = strata.iter().map(|classes| classes.pairs() as f64).sum();
        let variance: f64 = strata.iter().map(|classes| classes.variance(ties(classes.stratum))).sum();
        self.sd = 2.0 * variance.sqrt();
    }

    fn p(&self, doubled_u: usize) -> f64 {
        let rest = doubled_u as f64 - self.mean;
        let points = || self.exact.iter().enumerate().map(|(i, &weight)| (rest - (i * self.step) as f64, weight));
        if self.sd == 0.0 {
            let tail = |inside: fn(f64) -> bool| points().filter(|&(d, _)| inside(d)).map(|(_, weight)| weight).sum();
            let [upper, lower]: [f64; 2] = [tail(|d| d <= 0.0), tail(|d| d >= 0.0)];
            return (2.0 * upper.min(lower)).min(1.0);
        }
        if self.exact.len() == 1 {
            return two_sided(rest / self.sd);
        }
        let center: f64 = points().map(|(d, weight)| d * weight).sum();
        let side = if center < 0.0 { -1.0 } else { 1.0 };
        let some = points().filter(|&(_, weight)| weight > 0.0);
        let tail: f64 = some.map(|(d, weight)| weight * upper_tail(side * d / self.sd)).sum();
        (2.0 * tail.min(1.0 - tail)).min(1.0)
    }
}
