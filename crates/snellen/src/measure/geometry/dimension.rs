//! How many dimensions the activations of a site take up, beyond what the number of objects explains.
//!
//! The participation ratio (sum lambda)^2 / sum lambda^2 of the covariance S is tr(S)^2 / tr(S^2). From n images it cannot exceed n,
//! whatever the truth. With the covariances of two halves of the images, whose noises are independent,
//!
//! ```text
//! PR = tr(S_A) tr(S_B) / tr(S_A S_B),   tr(S_A S_B) = |X_A X_B^T|^2 / ((n_A - r_A) (n_B - r_B))
//! ```
//!
//! numerator and denominator are unbiased (r are the ranks of the number of objects), and the ratio hardly depends on the number of
//! images. k95 is the smallest number of principal components that hold 95 % of the variance; it does depend on it.

use crate::measure::half::Half;
use faer::Mat;

/// The participation ratio; `None` where nothing varies. `x` are the activations of each half, `[image, column]`.
pub(in crate::measure) fn participation_ratio(halves: &[Half; 2], x: &[Mat<f64>; 2]) -> Option<f64> {
    let free = [0, 1].map(|h: usize| (halves[h].images.len() - halves[h].count.rank()) as f64);
    let left = [0, 1].map(|h: usize| halves[h].beyond_count(x[h].clone()));
    let trace = |h: usize| left[h].squared_norm_l2() / free[h];
    let across = &left[0] * left[1].transpose();
    let square = across.squared_norm_l2() / (free[0] * free[1]);
    let ratio = trace(0) * trace(1) / square;
    (free.iter().all(|free| *free > 0.0) && ratio.is_finite()).then_some(ratio)
}

/// The smallest number of the largest `eigenvalues` (ascending) that hold `share` of their sum; `None` where that is 0.
pub(in crate::measure) fn leading(eigenvalues: &[f64], share: f64) -> Option<usize> {
    let sum: f64 = eigenvalues.iter().map(|value| value.max(0.0)).sum();
    let mut held = 0.0;
    let enough = eigenvalues.iter().rev().position(|value| {
        held += value.max(0.0);
        held >= share * sum
    });
    // Rounding may leave the last of them short of all.
    (sum > 0.0).then(|| enough.map_or(eigenvalues.len(), |last| last + 1))
}
