//! How much the presence of one concept moves the probe of another: functional interference.
//!
//! ```text
//! Delta_{f <- g} = E[w_f . (x(g) - x(not g))] / sigma_f
//! ```
//!
//! between images that differ in g alone. Few pairs of such images are in any set, so the difference is the partial coefficient of g in
//! the regression of the scores w_f . x on all concepts and the number of objects: that of matched images. w_f is a
//! [probe](crate::measure::probes) that was trained on the other half of the images. Where the values of g's factor always add up to the
//! number of objects, g can only come in the place of another value: the difference is to the mean of the other values, f not
//! being one of them. sigma_f is the deviation of the scores among images that agree in f and in the number of objects, so that
//! Delta_{f <- f} is the d' of the probe. Delta is the mean of both halves; its interval is that of the jackknife over images, for the
//! probes at hand, the errors of both halves being taken for independent where f and g differ and for the same where they don't.

use crate::measure::Confidence;
use crate::measure::Interval;
use crate::measure::half::Half;
use faer::{Mat, MatRef};

/// The factors, the factor of each concept, by index, and of each factor whether its values add up to the number of objects.
pub(in crate::measure) struct Factors {
    pub(in crate::measure) names: Vec<String>,
    pub(in crate::measure) of: Vec<usize>,
    pub(in crate::measure) adds_up: Vec<bool>,
}

impl Factors {
    /// The weights of the coefficients of all concepts that make up the effect of `g` on a probe of `f`; `None` where `g` has nothing
    /// to stand in place of.
    fn contrast(&self, f: usize, g: usize, used: &[bool]) -> Option<Vec<(usize, f64)>> {
        if !self.adds_up[self.of[g]] {
            return Some(vec![(g, 1.0)]);
        }
        let other = |h: &usize| self.of[*h] == self.of[g] && *h != g && *h != f && used[*h];
        let others: Vec<usize> = (0..used.len()).filter(other).collect();
        let share = -1.0 / others.len() as f64;
        (!others.is_empty()).then(|| [(g, 1.0)].into_iter().chain(others.into_iter().map(|h| (h, share))).collect())
    }
}

/// The scores of one half, regressed.
pub(in crate::measure) struct Probed<'a> {
    half: &'a Half,
    /// `[concept, probe]`, in units of sigma.
    coefficients: Mat<f64>,
    /// `[image, probe]`, likewise.
    left: Mat<f64>,
    /// Probes that have a sigma.
    known: Vec<bool>,
}

impl<'a> Probed<'a> {
    /// Of the `scores` `[image, probe]` of the images of `half`, `present` `[image, probe]` saying which hold the probes' concepts.
    pub(in crate::measure) fn of(half: &'a Half, scores: MatRef<'_, f64>, present: Mat<f64>) -> Self {
        let (beyond, held) = (half.beyond_count(scores.to_owned()), half.beyond_count(present));
        let free = (half.images.len() - half.count.rank()) as f64 - 1.0;
        let product =
            |a: &Mat<f64>, b: &Mat<f64>, f: usize| a.col(f).iter().zip(b.col(f).iter()).map(|(a, b)| a * b).sum();
        let sigma = |f: usize| {
            let [with, own, all]: [f64; 3] =
                [product(&beyond, &held, f), product(&held, &held, f), product(&beyond, &beyond, f)];
            let left = if own > 1e-9 { all - with * with / own } else { all };
            // What rounding leaves of a perfect probe is no spread.
            (free > 0.0 && left > 1e-18 * all).then(|| (left / free).sqrt())
        };
        let sigmas: Vec<Option<f64>> = (0..beyond.ncols()).map(sigma).collect();
        let scale = |m: Mat<f64>| Mat::from_fn(m.nrows(), m.ncols(), |i, f| m[(i, f)] / sigmas[f].unwrap_or(1.0));
        let coefficients = scale(&half.map * &beyond);
        let left = scale(half.residual(beyond));
        Self { half, coefficients, left, known: sigmas.iter().map(Option::is_some).collect() }
    }

    fn effect(&self, f: usize, contrast: &[(usize, f64)]) -> (f64, f64) {
        let sum = contrast.iter().map(|(h, weight)| weight * self.coefficients[(*h, f)]).sum();
        let moved = |i: usize| {
            let influence: f64 = contrast.iter().map(|(h, weight)| weight * self.half.influence(*h, i)).sum();
            (influence * self.left[(i, f)]).powi(2)
        };
        (sum, (0..self.left.nrows()).map(moved).sum())
    }
}

/// Delta_{f <- g} over both halves; `None` where a concept is not `used` or a probe's scores do not vary.
pub(in crate::measure) fn interference(
    halves: &[Probed<'_>; 2],
    [f, g]: [usize; 2],
    factors: &Factors,
    used: &[bool],
    confidence: Confidence,
) -> Option<Interval> {
    if !(used[f] && used[g] && halves.iter().all(|half| half.known[f])) {
        return None;
    }
    let contrast = factors.contrast(f, g, used)?;
    let [(first, a), (second, b)] = [0, 1].map(|half: usize| halves[half].effect(f, &contrast));
    // Each half's d' is a product of what either half takes for the direction of f, so that their errors go together.
    let error = if f == g { f64::midpoint(a.sqrt(), b.sqrt()) } else { (a + b).sqrt() / 2.0 };
    Some(Interval::normal(f64::midpoint(first, second), error, confidence))
}
