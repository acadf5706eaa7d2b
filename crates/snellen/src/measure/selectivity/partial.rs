//! What a concept moves a unit by beyond the other concepts that move it.
//!
//! Concepts go together: where no value comes twice, red makes yellow less likely, and in pictures from life cats bring fur. So a
//! unit of one concept tells others apart as well, by the design of the images alone. Its partial effect of a concept c is the
//! coefficient b of c in the least-squares fit, on the images of one half,
//!
//! ```text
//! r = stratum + b [c present] + sum over s in S, s != c, of (b_s [s present] + levels of s) + e
//! ```
//!
//! of its ranks r = (2 rank - n - 1) / n within each stratum of n images, where S are the few concepts that the unit needs and the
//! levels of s say whether two, or three and more, objects have the value. Without S and in one stratum b is 2 AUROC - 1, whatever the
//! numbers of images; where S \ {c} is empty the partial effect is that stratified effect itself, with its exact test.
//!
//! S is found on the choosing half by orthogonal matching pursuit (Pati, Rezaiifar & Krishnaprasad 1993): the concept that explains most
//! of what is left joins while its p is at most .05 over the number of concepts, and leaves again if the others make it
//! superfluous. Among concepts that explain the same, one that raises the unit is taken. So where the others and the number of objects
//! determine a concept (the last colour, where every object has one and none comes twice), the fewest concepts that explain the
//! unit are those that it is said to encode, and of the one determined nothing is said.
//!
//! Tests and intervals are Student's with the variance of MacKinnon & White 1985 (J. Econometrics 29:305, HC3): a unit varies
//! less among images that have its concept than among the others.

use crate::measure::auroc::Plan;
use crate::measure::design::by_stratum;
use crate::measure::ranks::Ranks;
use crate::measure::{Confidence, Design};
use crate::{Error, Result};
use faer::Mat;
use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::checked_beta_reg;
use std::ops::Range;

/// The p that a concept may not exceed to join, over the number of concepts.
const JOINS: f64 = 0.05;
/// Concepts that a unit may need: more are not looked for.
const MOST: usize = 8;
/// What is left of a column, of its squares, below which the others determine it.
const LEFT: f64 = 1e-3;
/// Images that a level of a concept has to set apart.
const LEAST: usize = 4;

/// A coefficient with its p and interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartialEffect {
    /// On the scale of the effect, 2 AUROC - 1; beside others it may lie beyond -1 and 1.
    pub estimate: f64,
    /// Its interval.
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
    /// Two-sided.
    pub p: f64,
}

/// What the concept of index `concept` moves a unit by beyond the concepts `others`, on all images; `None` where strata and others
/// determine it.
///
/// # Errors
/// When there is not a finite value for every image.
pub fn partial_effect(
    values: &[f32],
    design: &Design,
    concept: usize,
    others: &[usize],
    confidence: Confidence,
) -> Result<Option<PartialEffect>> {
    if values.len() != design.images() || values.iter().any(|x| !x.is_finite()) {
        let expected = format!("{} finite values, one per image", design.images());
        return Err(Error::mismatch("partial effect", expected, format!("{} values", values.len())));
    }
    let images: Vec<usize> = (0..values.len()).collect();
    let ranked = Plan::new(design.strata(), &images, &[], 0);
    let mut ranks = ranked.ranks();
    ranked.rank(values, &mut ranks);
    let plan = PartialPlan::new(design, &images, confidence);
    let (mut scores, mut fit) = (Vec::new(), Fit::default());
    plan.scores(&ranks, &mut scores);
    fit.begin(&plan, &scores);
    others.iter().for_each(|other| fit.push(&plan, *other));
    let of = fit.of_another(&plan, concept);
    Ok(of.map(|of| {
        let [lo, hi] = plan.interval(&of);
        PartialEffect { estimate: of.estimate, lo, hi, p: of.p() }
    }))
}

/// The columns of some concepts over the images of one half.
pub(in crate::measure) struct PartialPlan {
    /// Ends of the strata, in the order of the plan.
    bounds: Vec<usize>,
    /// Of each image, the leverage of the strata alone.
    leverage: Vec<f64>,
    strata: usize,
    /// Of every concept its presence, then its levels, centred within strata.
    columns: Vec<Vec<f64>>,
    /// Where a concept's columns are; none where all images of every stratum agree.
    of: Vec<Range<usize>>,
    /// Inner products of columns.
    gram: Mat<f64>,
    /// Student's quantile by the number of columns beside the strata.
    quantiles: Vec<f64>,
}

/// The concepts that a unit needs.
pub(in crate::measure) type Needed = Vec<usize>;

/// A coefficient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::measure) struct Coefficient {
    pub estimate: f64,
    deviation: f64,
    /// Columns of its fit beside the strata.
    columns: usize,
    /// Images less all columns.
    freedom: f64,
}

impl PartialPlan {
    /// Of the `images` alone.
    pub(in crate::measure) fn new(design: &Design, images: &[usize], confidence: Confidence) -> Self {
        let groups = by_stratum(design.strata(), images.iter().copied());
        let mut bounds = vec![0];
        bounds.extend(groups.iter().scan(0, |end, group| {
            *end += group.len();
            Some(*end)
        }));
        let order: Vec<usize> = groups.into_iter().flatten().collect();
        let mut leverage = vec![0.0; order.len()];
        for window in bounds.windows(2) {
            leverage[window[0]..window[1]].fill(1.0 / (window[1] - window[0]) as f64);
        }
        let (mut columns, mut of) = (Vec::new(), Vec::new());
        for concept in 0..design.concepts().len() {
            let first = columns.len();
            columns.extend(columns_of(design, concept, &order, &bounds));
            of.push(first..columns.len());
        }
        let gram = Mat::from_fn(columns.len(), columns.len(), |i, j| dot(&columns[i], &columns[j]));
        let (strata, level) = (bounds.len() - 1, f64::midpoint(1.0, confidence.level()));
        let quantile = |columns: usize| {
            let freedom = order.len() as f64 - strata as f64 - columns as f64;
            StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(level))
        };
        let quantiles = (0..=3 * MOST + 1).map(quantile).collect();
        Self { bounds, leverage, strata, columns, of, gram, quantiles }
    }

    /// The ranks of a unit, from -1 to 1 and 0 in the mean of every stratum.
    pub(in crate::measure) fn scores(&self, ranks: &Ranks, into: &mut Vec<f64>) {
        into.clear();
        for window in self.bounds.windows(2) {
            let n = (window[1] - window[0]) as f64;
            let score = |doubled: &u32| (f64::from(*doubled) - n - 1.0) / n;
            into.extend(ranks.doubled[window[0]..window[1]].iter().map(score));
        }
    }

    /// The concepts that a unit with these `scores` needs; `p` is that of the rank test of each concept alone. `fit` is left with them.
    pub(in crate::measure) fn needed(
        &self,
        scores: &[f64],
        mut p: impl FnMut(usize) -> Option<f64>,
        fit: &mut Fit,
    ) -> Needed {
        let joins = JOINS / self.of.len() as f64;
        fit.begin(self, scores);
        while fit.concepts.len() < MOST {
            let Some(next) = fit.best(self) else { break };
            let p = if fit.concepts.is_empty() { p(next) } else { fit.of_another(self, next).map(|of| of.p()) };
            if p.is_none_or(|p| p > joins) {
                break;
            }
            fit.push(self, next);
        }
        while fit.concepts.len() > 1 {
            let p: Vec<f64> =
                (0..fit.concepts.len()).map(|k| fit.of_member(self, k).map_or(1.0, |of| of.p())).collect();
            let weakest = (0..p.len()).fold(0, |a, b| if p[b] > p[a] { b } else { a });
            if p[weakest] <= joins {
                break;
            }
            let kept: Vec<usize> =
                fit.concepts.iter().enumerate().filter(|(k, _)| *k != weakest).map(|(_, m)| m.0).collect();
            fit.begin(self, scores);
            kept.into_iter().for_each(|concept| fit.push(self, concept));
        }
        fit.concepts.iter().map(|(concept, _)| *concept).collect()
    }

    /// Those of every concept beside the others that are `needed`.
    pub(in crate::measure) fn coefficients(
        &self,
        scores: &[f64],
        needed: &[usize],
        fit: &mut Fit,
    ) -> Vec<Option<Coefficient>> {
        if !fit.concepts.iter().map(|(concept, _)| concept).eq(needed) || fit.scores != scores {
            fit.begin(self, scores);
            needed.iter().for_each(|concept| fit.push(self, *concept));
        }
        let member = |c: usize, fit: &Fit| fit.concepts.iter().position(|(concept, _)| *concept == c);
        (0..self.of.len())
            .map(|c| match member(c, fit) {
                Some(k) => fit.of_member(self, k),
                None => fit.of_another(self, c),
            })
            .collect()
    }

    /// The interval of a coefficient.
    pub(in crate::measure) fn interval(&self, of: &Coefficient) -> [f64; 2] {
        let quantile = self.quantiles.get(of.columns).copied().unwrap_or(f64::INFINITY);
        let half = quantile * of.deviation;
        [of.estimate - half, of.estimate + half]
    }
}

/// Whether an object, and whether two and three, have the value, for images in `order`; centred within strata.
fn columns_of(design: &Design, concept: usize, order: &[usize], bounds: &[usize]) -> Vec<Vec<f64>> {
    let numbers = design.numbers(concept);
    let at_least = |least: u8| {
        let mut column: Vec<f64> = order.iter().map(|image| f64::from(u8::from(numbers[*image] >= least))).collect();
        let with = column.iter().sum::<f64>() as usize;
        for window in bounds.windows(2) {
            let stratum = &mut column[window[0]..window[1]];
            let mean = stratum.iter().sum::<f64>() / stratum.len() as f64;
            stratum.iter_mut().for_each(|x| *x -= mean);
        }
        (with, column)
    };
    let varies = |column: &[f64]| dot(column, column) > 1e-9;
    let (_, present) = at_least(1);
    if !varies(&present) {
        return Vec::new();
    }
    let levels = [2, 3].into_iter().map(at_least).filter(|(with, column)| *with >= LEAST && varies(column));
    let levels: Vec<Vec<f64>> = levels.map(|(_, column)| column).collect();
    [vec![present], levels].concat()
}

/// A least-squares fit of one unit after another, on the columns of the concepts that were pushed.
#[derive(Default)]
pub(in crate::measure) struct Fit {
    scores: Vec<f64>,
    /// What the fit leaves of them.
    left: Vec<f64>,
    /// The leverage of strata and columns.
    leverage: Vec<f64>,
    /// The concepts, each with its columns' places in the basis.
    concepts: Vec<(usize, Range<usize>)>,
    /// The columns that are in.
    columns: Vec<usize>,
    /// Their Cholesky factor, row after row: a column is the sum of the basis with these weights.
    rows: Vec<Vec<f64>>,
    /// Orthonormal, one for each column.
    basis: Vec<Vec<f64>>,
    /// The scores along the basis.
    along: Vec<f64>,
    column: Vec<f64>,
}

impl Fit {
    /// Of strata alone.
    pub(in crate::measure) fn begin(&mut self, plan: &PartialPlan, scores: &[f64]) {
        self.scores.clear();
        self.scores.extend_from_slice(scores);
        self.left.clone_from(&self.scores);
        self.leverage.clone_from(&plan.leverage);
        self.concepts.clear();
        self.columns.clear();
        self.rows.clear();
        self.along.clear();
    }

    /// The weights of the basis in column `j`, and what is left of its squares.
    fn weights(&self, plan: &PartialPlan, j: usize) -> (Vec<f64>, f64) {
        let mut weights: Vec<f64> = Vec::with_capacity(self.columns.len() + 1);
        for (k, column) in self.columns.iter().enumerate() {
            let before: f64 = self.rows[k].iter().zip(&weights).map(|(a, b)| a * b).sum();
            weights.push((plan.gram[(*column, j)] - before) / self.rows[k][k]);
        }
        let squares = plan.gram[(j, j)] - weights.iter().map(|w| w * w).sum::<f64>();
        (weights, squares)
    }

    /// Adds the columns of a concept that the others do not determine.
    pub(in crate::measure) fn push(&mut self, plan: &PartialPlan, concept: usize) {
        let first = self.columns.len();
        for j in plan.of[concept].clone() {
            let (mut weights, squares) = self.weights(plan, j);
            if squares <= LEFT * plan.gram[(j, j)] {
                continue;
            }
            let (k, length) = (self.columns.len(), squares.sqrt());
            if self.basis.len() == k {
                self.basis.push(Vec::new());
            }
            let (before, rest) = self.basis.split_at_mut(k);
            let q = &mut rest[0];
            q.clone_from(&plan.columns[j]);
            before.iter().zip(&weights).for_each(|(other, weight)| take(q, *weight, other));
            q.iter_mut().for_each(|x| *x /= length);
            let along = dot(q, &self.left);
            take(&mut self.left, along, q);
            self.leverage.iter_mut().zip(q.iter()).for_each(|(h, q)| *h += q * q);
            weights.push(length);
            self.rows.push(weights);
            self.columns.push(j);
            self.along.push(along);
        }
        self.concepts.push((concept, first..self.columns.len()));
    }

    /// The concept that explains most of what is left.
    fn best(&self, plan: &PartialPlan) -> Option<usize> {
        let mut best: Option<(usize, f64, f64)> = None;
        for c in 0..plan.of.len() {
            if plan.of[c].is_empty() || self.concepts.iter().any(|(concept, _)| *concept == c) {
                continue;
            }
            let j = plan.of[c].start;
            let (_, squares) = self.weights(plan, j);
            if squares <= LEFT * plan.gram[(j, j)] {
                continue;
            }
            let along = dot(&plan.columns[j], &self.left);
            let explained = along * along / squares;
            let better = best.is_none_or(|(_, most, sign)| {
                explained > most * (1.0 + 1e-9) || (explained > most * (1.0 - 1e-9) && along > 0.0 && sign < 0.0)
            });
            if better {
                best = Some((c, explained, along));
            }
        }
        best.map(|(c, ..)| c)
    }

    /// The coefficient of a concept that was not pushed; `None` where the others determine it.
    fn of_another(&mut self, plan: &PartialPlan, c: usize) -> Option<Coefficient> {
        let j = plan.of[c].clone().next()?;
        let (weights, squares) = self.weights(plan, j);
        if squares <= LEFT * plan.gram[(j, j)] {
            return None;
        }
        self.column.clone_from(&plan.columns[j]);
        self.basis.iter().zip(&weights).for_each(|(q, weight)| take(&mut self.column, *weight, q));
        let estimate = dot(&self.column, &self.left) / squares;
        let mut variance = 0.0;
        for ((x, left), h) in self.column.iter().zip(&self.left).zip(&self.leverage) {
            variance += share(*x, left - estimate * x, h + x * x / squares);
        }
        self.coefficient(plan, estimate, variance.sqrt() / squares, self.columns.len() + 1)
    }

    /// That of member `k`, in the fit without its levels.
    fn of_member(&mut self, plan: &PartialPlan, k: usize) -> Option<Coefficient> {
        let own = self.concepts[k].1.clone();
        // In the coordinates of the basis: what the other concepts leave of the member's columns.
        let mut free: Vec<Vec<f64>> = Vec::new();
        for j in own.clone() {
            let mut column = self.dual(j);
            for _ in 0..2 {
                for other in &free {
                    let along = dot(other, &column);
                    take(&mut column, along, other);
                }
            }
            let length = dot(&column, &column).sqrt();
            column.iter_mut().for_each(|x| *x /= length);
            free.push(column);
        }
        let mut present = vec![0.0; self.columns.len()];
        let whole = &self.rows[own.start];
        for other in &free {
            let along: f64 = whole.iter().zip(other).map(|(a, b)| a * b).sum();
            present.iter_mut().zip(other).for_each(|(x, q)| *x += along * q);
        }
        let squares = dot(&present, &present);
        let j = self.columns[own.start];
        if squares <= LEFT * plan.gram[(j, j)] {
            return None;
        }
        let estimate = dot(&present, &self.along) / squares;
        self.span(&present);
        // What is left of the levels goes back into what is left, and out of the leverage.
        let levels = rest(&free, &present);
        let columns: Vec<(Vec<f64>, f64)> =
            levels.iter().map(|level| (self.spanned(level), dot(level, &self.along))).collect();
        let mut variance = 0.0;
        for (i, x) in self.column.iter().enumerate() {
            let (mut left, mut h) = (self.left[i], self.leverage[i]);
            for (column, along) in &columns {
                left += along * column[i];
                h -= column[i] * column[i];
            }
            variance += share(*x, left, h);
        }
        self.coefficient(plan, estimate, variance.sqrt() / squares, self.columns.len() - levels.len())
    }

    /// In the coordinates of the basis the direction that column `j` has to itself: orthogonal to all other columns.
    fn dual(&self, j: usize) -> Vec<f64> {
        let mut dual = vec![0.0; self.columns.len()];
        for k in j..dual.len() {
            let before: f64 = (j..k).map(|l| self.rows[k][l] * dual[l]).sum();
            dual[k] = (f64::from(u8::from(k == j)) - before) / self.rows[k][k];
        }
        dual
    }

    fn span(&mut self, weights: &[f64]) {
        self.column = self.spanned(weights);
    }

    fn spanned(&self, weights: &[f64]) -> Vec<f64> {
        let mut column = vec![0.0; self.scores.len()];
        self.basis.iter().zip(weights).filter(|(_, w)| **w != 0.0).for_each(|(q, w)| take(&mut column, -w, q));
        column
    }

    fn coefficient(&self, plan: &PartialPlan, estimate: f64, deviation: f64, columns: usize) -> Option<Coefficient> {
        let freedom = self.scores.len() as f64 - plan.strata as f64 - columns as f64;
        (freedom >= 1.0).then_some(Coefficient { estimate, deviation, columns, freedom })
    }
}

/// Of the span of the orthonormal `free` an orthonormal basis of what is orthogonal to `column`, which lies in it.
fn rest(free: &[Vec<f64>], column: &[f64]) -> Vec<Vec<f64>> {
    let length = dot(column, column).sqrt();
    let mut taken: Vec<Vec<f64>> = vec![column.iter().map(|x| x / length).collect()];
    for other in free {
        let mut left = other.clone();
        for _ in 0..2 {
            for q in &taken {
                let along = dot(q, &left);
                take(&mut left, along, q);
            }
        }
        let squares = dot(&left, &left);
        if taken.len() < free.len() && squares > 1e-12 {
            let length = squares.sqrt();
            left.iter_mut().for_each(|x| *x /= length);
            taken.push(left);
        }
    }
    taken.split_off(1)
}

/// What an image adds to the variance.
fn share(x: f64, left: f64, leverage: f64) -> f64 {
    let slack = 1.0 - leverage;
    // An image that a column is there for alone says nothing of others.
    if slack > 1e-9 { (x * left / slack).powi(2) } else { 0.0 }
}

impl Coefficient {
    /// Two-sided.
    pub(in crate::measure) fn p(&self) -> f64 {
        if self.deviation <= 0.0 {
            return if self.estimate == 0.0 { 1.0 } else { 0.0 };
        }
        let t = self.estimate / self.deviation;
        checked_beta_reg(self.freedom / 2.0, 0.5, self.freedom / (self.freedom + t * t)).unwrap_or(1.0)
    }
}

/// Subtracts `share` of `of`.
fn take(from: &mut [f64], share: f64, of: &[f64]) {
    from.iter_mut().zip(of).for_each(|(x, q)| *x -= share * q);
}

/// In eight sums, which the compiler makes vectors of.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    sums.iter().sum::<f64>() + rest
}
