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
    let found = difference(first, second, clusters, true, confidence)?;
    Ok(Difference { lo: found.lo.max(-1.0), hi: found.hi.min(1.0), ..found })
}

/// The same of any numbers, such as bits, with the clusters' own variance alone; one cluster has no interval but infinity.
///
/// # Errors
/// When lengths disagree, there is no row, or a number is not finite.
pub fn paired_mean(first: &[f64], second: &[f64], clusters: &[u64], confidence: Confidence) -> Result<Difference> {
    if let Some(number) = first.iter().chain(second).find(|number| !number.is_finite()) {
        return Err(Error::mismatch("paired difference", "finite numbers", number));
    }
    difference(first, second, clusters, false, confidence)
}

/// Mean of `values`, with the interval of [`paired_mean`].
pub(super) fn mean(values: &[f64], clusters: &[u64], confidence: Confidence) -> Result<Difference> {
    paired_mean(values, &vec![0.0; values.len()], clusters, confidence)
}

fn difference(
    first: &[f64],
    second: &[f64],
    clusters: &[u64],
    bounded: bool,
    confidence: Confidence,
) -> Result<Difference> {
    let n = first.len();
    if n == 0 || second.len() != n || clusters.len() != n {
        let got = format!("{n}, {} and {}", second.len(), clusters.len());
        return Err(Error::mismatch("paired difference", "as many rows, scores and clusters, and some", got));
    }
    let mut sums: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
    for ((a, b), cluster) in first.iter().zip(second).zip(clusters) {
        let [sum, size] = sums.entry(*cluster).or_default();
        (*sum, *size) = (*sum + a - b, *size + 1.0);
    }
    let estimate = sums.values().map(|[sum, _]| sum).sum::<f64>() / n as f64;
    let size = n as f64 / sums.len() as f64;
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
