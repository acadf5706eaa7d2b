//! How much of a site is a sum of the concepts that an image shows, and how much more a linear reader could know of their binding.
//!
//! ```text
//! x^_i = sum_c d_c y_ic + count,   R^2 = 1 - sum_i |x_i - x^_i|^2 / sum_i |x_i - mean|^2
//! ```
//!
//! (Trager et al. 2023, arXiv 2302.14383; compare arXiv 2602.24264), the image itself being left out of x^_i and of the mean, which is exact for least squares: e / (1 - h). Whitened, every
//! principal direction of the site counts the same. The gain of a conjunction is the R^2 with the values of two factors in one
//! object as further terms, less that without. Intervals are those of a ratio of sums over images (Cochran 1977, 6.4), for the
//! terms at hand. What is asked are inner products of images.

use crate::measure::Confidence;
use crate::measure::Interval;
use crate::measure::terms::{Space, Terms};
use faer::MatRef;

/// The parts of a site, in order.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::measure) struct Factorisation {
    /// R^2 of the number of objects alone.
    pub(in crate::measure) count: Interval,
    /// Of that and all concepts.
    pub(in crate::measure) linear: Interval,
    /// What the best conjunction of two factors adds, and which; `None` where none can be tried.
    pub(in crate::measure) gain: Option<(Interval, [usize; 2])>,
}

/// Per image the squared length of what is left of it by a regression on the others.
fn left_out(space: &Space, x: MatRef<'_, f64>) -> Vec<f64> {
    let basis = &space.basis;
    let along = x * (x.transpose() * basis);
    let core = basis.transpose() * &along;
    let fitted = basis * core;
    let of = |i: usize| {
        let left: f64 = (0..basis.ncols()).map(|k| (fitted[(i, k)] - 2.0 * along[(i, k)]) * basis[(i, k)]).sum();
        let slack = space.slack[i];
        if slack > 1e-9 { (x.row(i).squared_norm_l2() + left).max(0.0) / (slack * slack) } else { 0.0 }
    };
    (0..x.nrows()).map(of).collect()
}

/// Of the activations `x` of a site, `[image, column]`; `None` where nothing varies.
pub(in crate::measure) fn factorisation(
    x: MatRef<'_, f64>,
    terms: &Terms,
    confidence: Confidence,
) -> Option<Factorisation> {
    let all = left_out(&terms.constant, x);
    let total: f64 = all.iter().sum();
    if total.is_nan() || total <= 0.0 {
        return None;
    }
    // (sum less - sum more) / sum all.
    let share = |less: &[f64], more: &[f64]| {
        let estimate = less.iter().zip(more).map(|(a, b)| a - b).sum::<f64>() / total;
        let n = all.len() as f64;
        let square = |i: usize| (less[i] - more[i] - estimate * all[i]).powi(2);
        let error = ((0..all.len()).map(square).sum::<f64>() * n / (n - 1.0)).sqrt() / total;
        Interval::normal(estimate, error, confidence)
    };
    let (count, main) = (left_out(&terms.count, x), left_out(&terms.main, x));
    let gains = terms.with.iter().filter_map(|pair| {
        let with = left_out(pair.space.as_ref()?, x);
        Some((share(&main, &with), pair.factors))
    });
    Some(Factorisation {
        count: share(&all, &count),
        linear: share(&all, &main),
        gain: gains.reduce(|a, b| if b.0.estimate > a.0.estimate { b } else { a }),
    })
}
