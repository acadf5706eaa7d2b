//! Filters, and what every new pixel sees of the old ones through them.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A resampling filter of Pillow, antialiased when shrinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Pillow's 0.
    Nearest,
    /// Pillow's 1.
    Lanczos,
    /// Pillow's 2.
    Bilinear,
    /// Pillow's 3 (a = -0.5).
    Bicubic,
    /// Pillow's 4.
    Box,
    /// Pillow's 5.
    Hamming,
}

/// A filter: how far it reaches at its natural size, and its values.
pub(super) type Kernel = (f64, fn(f64) -> f64);

/// The weights of one new pixel.
pub(super) struct Window {
    pub(super) start: usize,
    pub(super) weights: Vec<f64>,
}

/// Where the pixels of `part` of the `to` see the `from`, and how.
pub(super) fn windows(from: usize, to: usize, part: Range<usize>, (support, kernel): Kernel) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let (reach, shrink) = (support * stretch, 1.0 / stretch);
    part.map(|i| {
        let centre = (i as f64 + 0.5) * scale;
        let start = ((centre - reach + 0.5) as i64).max(0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let mut weights: Vec<f64> = (start..end).map(|x| kernel((x as f64 - centre + 0.5) * shrink)).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        Window { start, weights }
    })
    .collect()
}

/// The kernel of `filter`; none where it takes the nearest pixel.
pub(super) fn kernel(filter: Filter) -> Option<Kernel> {
    Some(match filter {
        Filter::Nearest => return None,
        Filter::Box => (0.5, |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }),
        Filter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
        Filter::Hamming => (1.0, |x| {
            let (x, pi) = (x.abs(), std::f64::consts::PI);
            if x >= 1.0 { 0.0 } else { sinc(x) * (0.54 + 0.46 * (x * pi).cos()) }
        }),
        Filter::Bicubic => (2.0, |x| cubic(-0.5, x)),
        Filter::Lanczos => (3.0, |x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }),
    })
}

/// Keys' cubic convolution kernel (doi 10.1109/TASSP.1981.1163711).
pub(in super::super) fn cubic(a: f64, x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) }
}
