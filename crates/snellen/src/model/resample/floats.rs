//! Resizing of values that are no bytes, as PyTorch does it (`UpSampleKernel.cpp`, antialiased): weights in f32, and the sum rounded to
//! f32 after every term, which is multiplied and added at once.

use super::filter::{Filter, cubic, kernel};
use rayon::prelude::*;

/// A pass along one axis.
pub(in super::super) struct FloatPass {
    windows: Vec<Window>,
}

/// What one new value is made of.
struct Window {
    start: usize,
    weights: Vec<f32>,
}

impl FloatPass {
    /// From `from` values to `to`; `None` where the filter takes the nearest.
    pub(in super::super) fn new(from: usize, to: usize, filter: Filter) -> Option<Self> {
        let (reach, wide) = kernel(filter)?;
        let scale = from as f32 / to as f32;
        let support = if scale >= 1.0 { reach as f32 * scale } else { reach as f32 };
        let shrink = if scale >= 1.0 { (1.0 / f64::from(scale)) as f32 } else { 1.0 };
        let weigh = |x: f64| match filter {
            Filter::Bilinear => (1.0 - f64::from((x as f32).abs())).max(0.0) as f32,
            Filter::Bicubic => cubic(-0.5, f64::from(x as f32)) as f32,
            _ => wide(f64::from(x as f32)) as f32,
        };
        let window = |i: usize| {
            let centre = (f64::from(scale) * (i as f64 + 0.5)) as f32;
            let edge = |at: f32| (f64::from(at) + 0.5) as i64;
            let start = edge(centre - support).max(0) as usize;
            let end = (edge(centre + support).max(0) as usize).min(from);
            let place = |x: usize| (f64::from(x as f32 - centre) + 0.5) * f64::from(shrink);
            let mut weights: Vec<f32> = (start..end).map(|x| weigh(place(x))).collect();
            let total: f32 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= total);
            Window { start, weights }
        };
        Some(Self { windows: (0..to).map(window).collect() })
    }

    /// Pixels of three bytes, in rows of `width`, each byte worth what `values` has for it -> three planes of the new width.
    pub(in super::super) fn along_rows(&self, rgb: &[u8], width: usize, values: &[f32; 256]) -> Vec<f32> {
        let (rows, new) = (rgb.len() / (3 * width), self.windows.len());
        let mut out = vec![0.0; 3 * rows * new];
        for (channel, plane) in out.chunks_mut(rows * new).enumerate() {
            plane.par_chunks_mut(new).zip(rgb.par_chunks(3 * width)).for_each(|(out, row)| {
                for (out, window) in out.iter_mut().zip(&self.windows) {
                    let pixels = row[3 * window.start..].as_chunks::<3>().0;
                    let terms =
                        window.weights.iter().zip(pixels).map(|(w, pixel)| (*w, values[pixel[channel] as usize]));
                    *out = sum(terms);
                }
            });
        }
        out
    }

    /// Planes of `rows` rows of `width` -> the same of the new number of rows.
    pub(in super::super) fn down_columns(&self, planes: &[f32], rows: usize, width: usize) -> Vec<f32> {
        let mut out = vec![0.0; planes.len() / rows * self.windows.len()];
        for (out, plane) in out.chunks_mut(self.windows.len() * width).zip(planes.chunks(rows * width)) {
            out.par_chunks_mut(width).zip(&self.windows).for_each(|(out, window)| {
                for (term, w) in window.weights.iter().enumerate() {
                    let row = &plane[(window.start + term) * width..][..width];
                    for (sum, x) in out.iter_mut().zip(row) {
                        *sum = if term == 0 { *x * *w } else { multiply_add(*w, *x, *sum) };
                    }
                }
            });
        }
        out
    }
}

fn sum(mut terms: impl Iterator<Item = (f32, f32)>) -> f32 {
    let first = terms.next().map_or(0.0, |(w, x)| w * x);
    terms.fold(first, |sum, (w, x)| multiply_add(w, x, sum))
}

/// `w * x + sum`, rounded once but for what is lost beyond f64; without calling the C library where a processor has no such instruction.
fn multiply_add(w: f32, x: f32, sum: f32) -> f32 {
    (f64::from(w) * f64::from(x) + f64::from(sum)) as f32
}
