//! Differences of two readers, or of two representations, that were asked the same rows.
//!
//! Row by row the second is taken from the first, so that what is hard for both cancels. The mean's error is that of whole clusters
//! (the ratio estimator, Cochran 1977, Sampling Techniques, 6.3), its quantile Student's.

use crate::measure::Confidence;
use crate::measure::proportion::Difference;
use crate::{Error, Result};
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::collections::BTreeMap;

/// Mean of `first` less `second`, scores from 0 to 1 of the same rows; rows with one number in `clusters` may depend on one another.
///
/// The error counts two clusters of mean size more, one won by either side (after Agresti & Min 2005, Statistics in Medicine
/// 24:729-740): where no row differs there is no variance to see.
///
/// # Errors
/// When lengths disagree, there is no row, or a score is not from 0 to 1.
pub fn paired(first: &[f64], second: &[f64], clusters: &[u64], confidence: Confidence) -> Result<Difference> {
    if let Some(score) = first.iter().chain(second).find(|score| !(0.0..=1.0).contains(*score)) {
        return Err(Error::mismatch("paired difference", "scores from 0 to 1", score));
    }
    let found = difference(first, second, (clusters, &vec![1.0; clusters.len()]), true, confidence)?;
    Ok(Difference { lo: found.lo.max(-1.0), hi: found.hi.min(1.0), ..found })
}

/// `found` with `variance` more.
pub(super) fn widened(found: Difference, variance: f64, confidence: Confidence) -> Difference {
    let more = confidence.z() * variance.sqrt();
    let [below, above] = [found.estimate - found.lo, found.hi - found.estimate].map(|half| half.hypot(more));
    Difference { lo: found.estimate - below, hi: found.estimate + above, ..found }
}

/// The same of any numbers, such as bits, with the clusters' own variance alone; one cluster has no interval but infinity.
///
/// # Errors
/// When lengths disagree, there is no row, or a number is not finite.
pub fn paired_mean(first: &[f64], second: &[f64], clusters: &[u64], confidence: Confidence) -> Result<Difference> {
    if let Some(number) = first.iter().chain(second).find(|number| !number.is_finite()) {
        return Err(Error::mismatch("paired difference", "finite numbers", number));
    }
    difference(first, second, (clusters, &vec![1.0; clusters.len()]), false, confidence)
}

/// The same, rows counting by their weights.
pub(super) fn weighted(
    first: &[f64],
    second: &[f64],
    of_rows: (&[u64], &[f64]),
    confidence: Confidence,
) -> Result<Difference> {
    difference(first, second, of_rows, false, confidence)
}

/// What training sets add, by size, to the variance of a mean over them: the variance s^2 among draws that were asked the same rows, over
/// the number of sets. `rungs` are sizes and draws, `by_set` a number for each set, the draws of a split side by side. Where one draw is
/// all, the variance is that of the size before, times the ratio of sizes.
///
/// Codes are asked of the `total` rows that sets were drawn from, and no others speak for those that might have been drawn. So there sets of
/// m fresh rows are taken to vary by s^2 / (1 - m / N), N being the rows of a split, and no more than `total` / m to be independent.
pub(super) fn between_sets(rungs: &[(usize, usize)], by_set: &[&[f64]], total: Option<usize>) -> Vec<f64> {
    let pool = rungs.last().map_or(1, |(size, _)| *size) as f64;
    let mut last = None;
    let of = |((size, draws), by_set): (&(usize, usize), &&[f64])| {
        if *draws > 1 {
            let spread = |split: &[f64]| {
                let mean = split.iter().sum::<f64>() / split.len() as f64;
                split.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (split.len() - 1) as f64
            };
            let splits = by_set.chunks(*draws);
            let count = splits.len() as f64;
            let fresh = if total.is_some() { 1.0 - *size as f64 / pool } else { 1.0 };
            last = Some((*size, splits.map(spread).sum::<f64>() / count / fresh));
        }
        let times = total.map_or(f64::INFINITY, |total| total as f64 / *size as f64);
        let sets = (by_set.len() as f64).min(times).max(1.0);
        last.map_or(0.0, |(from, variance)| variance * from as f64 / *size as f64 / sets)
    };
    rungs.iter().zip(by_set).map(of).collect()
}

/// Mean of `values`, with the interval of [`paired_mean`].
pub(super) fn mean(values: &[f64], clusters: &[u64], confidence: Confidence) -> Result<Difference> {
    paired_mean(values, &vec![0.0; values.len()], clusters, confidence)
}

fn difference(
    first: &[f64],
    second: &[f64],
    (clusters, weights): (&[u64], &[f64]),
    bounded: bool,
    confidence: Confidence,
) -> Result<Difference> {
    let n = first.len();
    if n == 0 || second.len() != n || clusters.len() != n {
        let got = format!("{n}, {} and {}", second.len(), clusters.len());
        return Err(Error::mismatch("paired difference", "as many rows, scores and clusters, and some", got));
    }
    let mut sums: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
    for ((a, b), (cluster, weight)) in first.iter().zip(second).zip(clusters.iter().zip(weights)) {
        let [sum, size] = sums.entry(*cluster).or_default();
        (*sum, *size) = (*sum + weight * (a - b), *size + weight);
    }
    let weight: f64 = weights.iter().sum();
    let estimate = sums.values().map(|[sum, _]| sum).sum::<f64>() / weight;
    let size = weight / sums.len() as f64;
    let more: &[[f64; 2]] = if bounded { &[[size, size], [-size, size]] } else { &[] };
    let all: Vec<[f64; 2]> = sums.into_values().chain(more.iter().copied()).collect();
    let (count, total) = (all.len() as f64, all.iter().map(|[_, size]| size).sum::<f64>());
    let centre = all.iter().map(|[sum, _]| sum).sum::<f64>() / total;
    let squares: f64 = all.iter().map(|[sum, size]| (sum - centre * size).powi(2)).sum();
    let half = if count > 1.0 {
        let failed = |_| Error::mismatch("paired difference", "clusters", count);
        let student = StudentsT::new(0.0, 1.0, count - 1.0).map_err(failed)?;
        student.inverse_cdf(f64::midpoint(1.0, confidence.level())) * (count / (count - 1.0) * squares).sqrt() / total
    } else {
        f64::INFINITY
    };
    Ok(Difference { estimate, lo: estimate - half, hi: estimate + half })
}
