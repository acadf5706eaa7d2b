//! Inner products of images: K = X X^T, units centred, accumulated over blocks of units.
//!
//! Whatever does not depend on the basis of a site - directions, probes, spectra, R^2 - follows from K alone, so a site of any
//! width needs but `[image, image]` numbers.

use crate::measure::Matrix;
use crate::measure::auroc::Flag;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

/// Images of a band.
const BAND: usize = 64;
/// Units that are multiplied at once.
const UNITS: usize = 256;

/// K so far.
pub struct Gram {
    rows: Vec<usize>,
    /// Below the diagonal, `[image from the band's first on, image of the band]`.
    bands: Vec<Mat<f64>>,
    units: usize,
}

impl Gram {
    /// Of the images `rows` of matrices to come.
    pub fn new(rows: Vec<usize>) -> Self {
        let band = |first: usize| Mat::zeros(rows.len() - first, BAND.min(rows.len() - first));
        let bands = (0..rows.len()).step_by(BAND).map(band).collect();
        Self { rows, bands, units: 0 }
    }

    /// Adds the units of `matrix`, but those that are not finite somewhere or the same on all images.
    ///
    /// # Panics
    /// When a row is none of the matrix.
    pub fn add(&mut self, matrix: &Matrix) {
        let mut columns = Vec::new();
        for first in (0..matrix.units()).step_by(UNITS) {
            matrix.columns(first..(first + UNITS).min(matrix.units()), &mut columns);
            let used: Vec<&[f32]> = columns.chunks(matrix.images()).filter(|unit| Flag::of(unit).is_none()).collect();
            let (rows, n) = (&self.rows, self.rows.len() as f64);
            let means: Vec<f64> =
                used.iter().map(|unit| rows.iter().map(|row| f64::from(unit[*row])).sum::<f64>() / n).collect();
            let x = Mat::from_fn(rows.len(), used.len(), |i, u| f64::from(used[u][rows[i]]) - means[u]);
            self.bands.par_iter_mut().enumerate().for_each(|(b, band)| {
                let (first, width) = (b * BAND, band.ncols());
                let (below, these) = (x.subrows(first, rows.len() - first), x.subrows(first, width));
                matmul(band.as_mut(), Accum::Add, below, these.transpose(), 1.0, Par::Seq);
            });
            self.units += used.len();
        }
    }

    /// Units that were added.
    pub fn units(&self) -> usize {
        self.units
    }

    /// K, `[image, image]`.
    pub fn finish(self) -> Mat<f64> {
        let at = |i: usize, j: usize| {
            let (high, low) = (i.max(j), i.min(j));
            let first = low / BAND * BAND;
            self.bands[low / BAND][(high - first, low - first)]
        };
        Mat::from_fn(self.rows.len(), self.rows.len(), at)
    }
}
