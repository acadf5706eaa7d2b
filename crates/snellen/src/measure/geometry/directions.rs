//! In which direction of a site each concept lies, and how much the directions of different concepts overlap.
//!
//! The direction d_c of a concept is the vector of its partial regression coefficients over units, all other concepts and the
//! number of objects (categorical) being in the model. Products of two estimates from the same images are too large, since they
//! share their noise; those of estimates from the two halves A and B of the images are not:
//!
//! ```text
//! <d_f, d_g> = (<d_f^A, d_g^B> + <d_g^A, d_f^B>) / 2
//! cos_cv(f, g) = <d_f, d_g> / sqrt(<d_f, d_f> <d_g, d_g>)
//! ```
//!
//! From them the dimensionality of a concept (Elhage et al. 2022, Toy Models of Superposition) and its interference with the
//! concepts of other factors:
//!
//! ```text
//! D_f = <d_f, d_f>^2 / sum_g <d_f, d_g>^2,   I_f = sum_g cos_cv(f, g)^2
//! ```
//!
//! squares being less the variance of what is squared, which would add to them. Variances are those of the jackknife over images
//! (Efron & Stein 1981), exact for least squares without a second fit. None of it depends on the basis of the site: everything
//! follows from inner products of images.

use crate::measure::half::Half;
use crate::measure::{Confidence, Interval};
use faer::Mat;

/// A direction has cosines where its squared length is this many of its standard errors above 0.
const RESOLVED: f64 = 3.0;

/// The directions of all concepts at one site.
pub(in crate::measure) struct Directions {
    /// <d_f, d_g>, `[concept, concept]`.
    products: Mat<f64>,
    /// What each image of both halves moves the coefficients by, in units of its residual, `[image, concept]`.
    influence: Mat<f64>,
    /// The product of its residual with the directions of the other half, `[image, concept]`.
    left: Mat<f64>,
    /// The squared lengths that stand out of their noise.
    resolved: Vec<bool>,
}

impl Directions {
    /// Of two halves with the activations `x`, `[image, column]`.
    pub(in crate::measure) fn of([a, b]: &[Half; 2], x: &[Mat<f64>; 2]) -> Self {
        let towards_b = &x[0] * (x[1].transpose() * b.map.transpose());
        let towards_a = &x[1] * (x[0].transpose() * a.map.transpose());
        let crossed = &a.map * &towards_b;
        let (concepts, n, all) = (crossed.nrows(), a.images.len(), a.images.len() + b.images.len());
        let [left_a, left_b] = [a.residual(towards_b), b.residual(towards_a)];
        let of_half = |i: usize, f: usize| if i < n { a.influence(f, i) } else { b.influence(f, i - n) };
        let mut found = Self {
            products: Mat::from_fn(concepts, concepts, |f, g| f64::midpoint(crossed[(f, g)], crossed[(g, f)])),
            influence: Mat::from_fn(all, concepts, of_half),
            left: Mat::from_fn(all, concepts, |i, f| if i < n { left_a[(i, f)] } else { left_b[(i - n, f)] }),
            resolved: vec![],
        };
        let known = |f: usize| found.products[(f, f)] > (RESOLVED * found.error(f, f)).max(0.0);
        found.resolved = (0..concepts).map(known).collect();
        found
    }

    /// <d_f, d_g> less what it would be without image `i`.
    fn moved(&self, i: usize, f: usize, g: usize) -> f64 {
        let (influence, left) = (&self.influence, &self.left);
        f64::midpoint(influence[(i, f)] * left[(i, g)], influence[(i, g)] * left[(i, f)])
    }

    /// The jackknife's standard error of <d_f, d_g>.
    fn error(&self, f: usize, g: usize) -> f64 {
        (0..self.left.nrows()).map(|i| self.moved(i, f, g).powi(2)).sum::<f64>().sqrt()
    }

    /// The noise-corrected cosine of two concepts; `None` where a direction does not stand out of its noise.
    pub(in crate::measure) fn cosine(&self, f: usize, g: usize, confidence: Confidence) -> Option<Interval> {
        let (estimate, error) = self.cosine_and_error(f, g)?;
        Some(Interval::normal(estimate, error, confidence))
    }

    fn cosine_and_error(&self, f: usize, g: usize) -> Option<(f64, f64)> {
        if !(self.resolved[f] && self.resolved[g]) {
            return None;
        }
        let pairs = [(f, g), (f, f), (g, g)];
        let cosine = |[fg, ff, gg]: [f64; 3]| fg / (ff * gg).sqrt();
        let products = pairs.map(|at| self.products[at]);
        let estimate = cosine(products);
        let square = |i: usize| {
            let without = [0, 1, 2].map(|k| products[k] - self.moved(i, pairs[k].0, pairs[k].1));
            (cosine(without) - estimate).powi(2)
        };
        let error = (0..self.left.nrows()).map(square).sum::<f64>().sqrt();
        // An image without which a direction would vanish leaves no number.
        error.is_finite().then_some((estimate, error))
    }

    /// I_f over the concepts `others`, and how many of them have a direction; `None` where the concept or all of them have none.
    pub(in crate::measure) fn interference(&self, f: usize, others: &[usize]) -> Option<(f64, usize)> {
        let cosines: Vec<(f64, f64)> = others.iter().filter_map(|g| self.cosine_and_error(f, *g)).collect();
        let sum = cosines.iter().map(|(cosine, error)| cosine * cosine - error * error).sum();
        (!cosines.is_empty()).then_some((sum, cosines.len()))
    }

    /// D_f, in (0, 1] up to noise; `None` where the concept has no direction.
    pub(in crate::measure) fn dimensionality(&self, f: usize) -> Option<f64> {
        self.resolved[f].then(|| {
            let own = self.products[(f, f)].powi(2);
            let other = |g: usize| self.products[(f, g)].powi(2) - self.error(f, g).powi(2);
            own / (own + (0..self.resolved.len()).filter(|g| *g != f).map(other).sum::<f64>())
        })
    }
}
