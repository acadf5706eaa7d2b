//! Least squares of many targets on one design, and how much of them it explains on images that it was not fitted to.
//!
//! The coefficients are those of least norm among the best, by the singular value decomposition of the design: columns that
//! add up to one another (presence of the five shapes, and the number of objects) are allowed.

use crate::random;
use faer::Mat;
use rand::seq::SliceRandom;

/// Singular values below this share of the largest are taken for 0.
const RANK: f64 = 1e-10;

/// The coefficients `[column, target]` of `targets` `[image, target]` on `design` `[image, column]`; `None` where a number is not
/// finite.
///
/// # Panics
/// If the numbers of images differ.
pub fn least_squares(design: &Mat<f64>, targets: &Mat<f64>) -> Option<Mat<f64>> {
    assert_eq!(design.nrows(), targets.nrows(), "a target for every image");
    let svd = design.thin_svd().ok()?;
    let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
    let largest = (0..s.nrows()).map(|k| s[k]).fold(0.0, f64::max);
    let mut scores = u.transpose() * targets;
    for k in 0..scores.nrows() {
        let inverse = if s[k] > RANK * largest { 1.0 / s[k] } else { 0.0 };
        (0..scores.ncols()).for_each(|target| scores[(k, target)] *= inverse);
    }
    Some(v * scores)
}

/// Cross-validated R^2 of all `targets` together: 1 - sum (y - fit)^2 / sum (y - mean)^2, where fit and mean are those of the
/// other `folds` - 1 parts of the images, which are dealt out in an order drawn from `seed`. `None` where targets do not vary,
/// a number is not finite, or there are fewer images than folds.
///
/// `design` needs no constant column: it gets one.
///
/// # Panics
/// If the numbers of images differ, or for fewer than two folds.
pub fn cross_validated_r2(design: &Mat<f64>, targets: &Mat<f64>, folds: usize, seed: u64) -> Option<f64> {
    assert!(folds > 1, "at least two folds");
    let images = design.nrows();
    if images < folds {
        return None;
    }
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut random::stream(seed, "folds of the images", 0));
    let rows = |picked: &[usize], with: &Mat<f64>, constant: bool| {
        let extra = usize::from(constant);
        Mat::from_fn(
            picked.len(),
            with.ncols() + extra,
            |i, j| {
                if j < extra { 1.0 } else { with[(picked[i], j - extra)] }
            },
        )
    };
    let (mut left, mut all) = (0.0, 0.0);
    for fold in 0..folds {
        let (held, used): (Vec<(usize, usize)>, Vec<(usize, usize)>) =
            order.iter().copied().enumerate().partition(|(place, _)| place % folds == fold);
        let [held, used] = [held, used].map(|part| part.into_iter().map(|(_, image)| image).collect::<Vec<_>>());
        let known = rows(&used, targets, false);
        let fit = rows(&held, design, true) * least_squares(&rows(&used, design, true), &known)?;
        for target in 0..targets.ncols() {
            let mean = known.col(target).iter().sum::<f64>() / used.len() as f64;
            for (i, image) in held.iter().enumerate() {
                let y = targets[(*image, target)];
                left += (y - fit[(i, target)]).powi(2);
                all += (y - mean).powi(2);
            }
        }
    }
    (all > 0.0).then(|| 1.0 - left / all)
}
