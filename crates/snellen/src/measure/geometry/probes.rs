//! Linear probes of every concept, trained on one half of the images and asked of the other.
//!
//! Ridge regression of a concept's presence on the activations, both less what the number of objects explains of them
//! (Hoerl & Kennard 1970). The strength of the penalty is chosen in the training half, for each concept alone, by the squared error
//! of images left out, which is exact: e / (1 - h). Everything follows from inner products of images, so the basis of the site
//! does not matter. A score is w . x; scores are compared only within a half and a number of objects.

use crate::Result;
use crate::measure::gram::Components;
use crate::measure::half::Half;
use faer::Mat;

/// Penalties, in units of the mean eigenvalue of the training half.
const PENALTIES: [f64; 17] =
    [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 1e1, 3e1, 1e2, 3e2, 1e3];

/// Scores `[image of the asked half, target]` of probes for `targets` `[image of the trained half, target]`; `x` are the activations of
/// the trained half, `asked` those of the other, `[image, column]`.
///
/// # Errors
/// When the inner products are not finite.
pub(in crate::measure) fn probe_scores(
    trained: &Half,
    targets: Mat<f64>,
    x: &Mat<f64>,
    asked: &Mat<f64>,
) -> Result<Mat<f64>> {
    let n = x.nrows();
    let Components { u, values } = Components::of(trained.beyond_count(x.clone()).as_ref())?;
    let rank = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let targets = trained.beyond_count(targets);
    let along = u.transpose() * &targets;
    let squares = Mat::from_fn(n, rank, |i, k| u[(i, k)].powi(2));
    let count = &trained.count.basis;
    let of_count: Vec<f64> = (0..n).map(|i| (0..count.ncols()).map(|k| count[(i, k)].powi(2)).sum()).collect();
    let mut best = vec![(f64::INFINITY, 0.0); targets.ncols()];
    for penalty in PENALTIES.map(|share| share * mean).into_iter().filter(|penalty| *penalty > 0.0) {
        let kept = Mat::from_fn(rank, 1, |k, _| values[k] / (values[k] + penalty));
        let leverage = &squares * &kept;
        let fitted = &u * Mat::from_fn(rank, targets.ncols(), |k, t| kept[(k, 0)] * along[(k, t)]);
        for (t, best) in best.iter_mut().enumerate() {
            let error = |i: usize| {
                let slack = 1.0 - of_count[i] - leverage[(i, 0)];
                if slack > 1e-9 { ((targets[(i, t)] - fitted[(i, t)]) / slack).powi(2) } else { 0.0 }
            };
            let error = (0..n).map(error).sum::<f64>();
            if error < best.0 {
                *best = (error, penalty);
            }
        }
    }
    // Where nothing varies no penalty was tried, and every score is 0.
    let scaled = |k: usize, t: usize| {
        let penalty = best[t].1;
        if penalty > 0.0 { along[(k, t)] / (values[k] + penalty) } else { 0.0 }
    };
    let weights = &u * Mat::from_fn(rank, targets.ncols(), scaled);
    Ok(asked * (x.transpose() * trained.beyond_count(weights)))
}
