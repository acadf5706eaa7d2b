//! The study's link: whether features that share more low-entropy units lie closer together.
//!
//! The study plots the sum of ratios (y) against the distance of two features' means, or their misclassification (x), for the 55
//! pairs without positions, and draws the least-squares line. Here the same points get what a plot leaves open: correlations,
//! the p-value that takes the 55 points for independent (naive), the p-value of permuting the 11 features, which are all that
//! could have come out otherwise, and how much the correlation owes to any one of them.

use super::feature::{FEATURES, factor_index, pairs};
use crate::measure::correlation::{line, pearson, pearson_p, spearman};
use crate::measure::label_permutation::{PairTable, TABLES, label_permutation};
use serde::Serialize;

/// x of a link: a number for each of the 120 pairs, in the order of [`pairs`].
pub type OfPairs = Vec<f64>;

/// One scatter plot. What needs numbers that vary is `null` where they do not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    /// Pairs.
    pub n: usize,
    /// Pearson's r.
    pub pearson: Option<f64>,
    /// Spearman's rho.
    pub spearman: Option<f64>,
    /// Of the least-squares line of y on x.
    pub slope: Option<f64>,
    /// y of that line at x = 0.
    pub intercept: Option<f64>,
    /// Two-sided p of r, as if the pairs were independent. They are not.
    pub p_naive: Option<f64>,
    /// Two-sided p of r under permutations of the features' labels.
    pub p_label_permutation: Option<f64>,
    /// The smallest r without one of the features.
    pub leave_one_out_min: Option<f64>,
    /// The largest.
    pub leave_one_out_max: Option<f64>,
    /// Permutations behind `p_label_permutation`.
    pub permutations: u64,
    /// Its standard error where permutations were drawn; `null` where all were visited.
    pub p_label_permutation_error: Option<f64>,
    /// Two-sided p of r under all permutations of labels within their factor.
    pub p_within_factors: Option<f64>,
    /// r without each of the features.
    pub leave_one_out: Vec<Without>,
}

/// r without a feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Without {
    /// The feature.
    pub feature: &'static str,
    /// Pearson's r of the pairs that do not have it.
    pub pearson: Option<f64>,
}

/// The four plots: two measures of separability, on all coordinates and on principal components.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Links {
    /// Distance of the means.
    pub full_distance: Link,
    /// Share of images nearer to the other mean.
    pub full_misclassification: Link,
    /// Distance on principal components.
    pub pca_distance: Link,
    /// Misclassification on principal components.
    pub pca_misclassification: Link,
}

/// Each of `x` (in the order of [`Links`]) against `y`, among the pairs of `features`.
pub fn links(x: &[OfPairs; TABLES], y: &OfPairs, features: &[usize], seed: u64) -> Links {
    let table = |values: &OfPairs| PairTable::new(features.len(), |i, j| values[place([features[i], features[j]])]);
    let tables = x.each_ref().map(table);
    let factors: Vec<usize> = features.iter().map(|f| factor_index(*f)).collect();
    let all = label_permutation(&tables, &table(y), &vec![0; features.len()], seed);
    let within = label_permutation(&tables, &table(y), &factors, seed);
    let link = |k: usize| {
        let [xs, ys] = [&x[k], y].map(|values| among(values, features));
        let r = pearson(&xs, &ys);
        let fit = line(&xs, &ys);
        let leave_one_out: Vec<Without> = features
            .iter()
            .map(|left| {
                let others: Vec<usize> = features.iter().copied().filter(|f| f != left).collect();
                let pearson = pearson(&among(&x[k], &others), &among(y, &others));
                Without { feature: FEATURES[*left].name, pearson }
            })
            .collect();
        let of = |choose: fn(f64, f64) -> f64| leave_one_out.iter().filter_map(|w| w.pearson).reduce(choose);
        Link {
            n: xs.len(),
            pearson: r,
            spearman: spearman(&xs, &ys),
            slope: fit.map(|line| line.slope),
            intercept: fit.map(|line| line.intercept),
            p_naive: r.and_then(|r| pearson_p(r, xs.len())),
            p_label_permutation: r.map(|_| all[k].p),
            leave_one_out_min: of(f64::min),
            leave_one_out_max: of(f64::max),
            permutations: all[k].permutations,
            p_label_permutation_error: all[k].standard_error,
            p_within_factors: r.map(|_| within[k].p),
            leave_one_out,
        }
    };
    Links {
        full_distance: link(0),
        full_misclassification: link(1),
        pca_distance: link(2),
        pca_misclassification: link(3),
    }
}

/// The values of the pairs of `features`.
pub fn among(values: &OfPairs, features: &[usize]) -> Vec<f64> {
    let within = |pair: &[usize; 2]| pair.iter().all(|f| features.contains(f));
    pairs().zip(values).filter(|(pair, _)| within(pair)).map(|(_, value)| *value).collect()
}

/// Where the pair stands among [`pairs`].
pub fn place([a, b]: [usize; 2]) -> usize {
    let (a, b) = (a.min(b), a.max(b));
    // Before the pairs of `a` stand those of 0..a.
    a * (2 * FEATURES.len() - a - 1) / 2 + b - a - 1
}
