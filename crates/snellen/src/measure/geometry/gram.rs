//! The images of a site, whose units come in blocks, by numbers that do not depend on its basis.
//!
//! Directions, probes, spectra and R^2 follow from the inner products of images K = X X^T alone, units centred. Of a site with no more
//! units than images X itself is kept; of a wider one K, so that a site of any width needs but `[image, image]` numbers. The
//! principal components are those of the smaller of X^T X and X X^T.

use crate::measure::Matrix;
use crate::measure::auroc::Flag;
use crate::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};
use rayon::prelude::*;

/// Images of a band.
const BAND: usize = 64;
/// Units that are multiplied at once.
const UNITS: usize = 256;
/// Eigenvalues below this share of the largest are what rounding leaves of 0.
const ROUNDING: f64 = 1e-14;

/// A site so far.
pub(in crate::measure) struct Gram {
    rows: Vec<usize>,
    held: Held,
}

enum Held {
    /// X, column after column.
    Units(Vec<f64>),
    /// K below the diagonal, `[image from the band's first on, image of the band]`.
    Bands(Vec<Mat<f64>>),
}

/// A site.
pub(in crate::measure) struct Images {
    /// `[image, column]`, of which K is the product with its transpose: units, or where there are more than images as many columns as
    /// these.
    pub(in crate::measure) x: Mat<f64>,
    /// The principal components of K.
    pub(in crate::measure) components: Components,
}

/// The principal components of rows x: eigenvectors of x x^T, the largest number of each above 0, without those whose eigenvalues are 0.
pub(in crate::measure) struct Components {
    /// `[row, component]`, orthonormal.
    pub(in crate::measure) u: Mat<f64>,
    /// Ascending, above 0.
    pub(in crate::measure) values: Vec<f64>,
}

impl Gram {
    /// Of the images `rows` of matrices to come, which have `units` units in all.
    pub(in crate::measure) fn new(rows: Vec<usize>, units: usize) -> Self {
        let band = |first: usize| Mat::zeros(rows.len() - first, BAND.min(rows.len() - first));
        let held = if units <= rows.len() {
            Held::Units(Vec::with_capacity(units * rows.len()))
        } else {
            Held::Bands((0..rows.len()).step_by(BAND).map(band).collect())
        };
        Self { rows, held }
    }

    /// Adds the units of `matrix`, but those that are not finite somewhere or the same on all images.
    ///
    /// # Panics
    /// When a row is none of the matrix.
    pub(in crate::measure) fn add(&mut self, matrix: &Matrix) {
        let mut columns = Vec::new();
        for first in (0..matrix.units()).step_by(UNITS) {
            matrix.columns(first..(first + UNITS).min(matrix.units()), &mut columns);
            let used: Vec<&[f32]> = columns.chunks(matrix.images()).filter(|unit| Flag::of(unit).is_none()).collect();
            let (rows, n) = (&self.rows, self.rows.len() as f64);
            let means: Vec<f64> =
                used.iter().map(|unit| rows.iter().map(|row| f64::from(unit[*row])).sum::<f64>() / n).collect();
            let centred = |i: usize, u: usize| f64::from(used[u][rows[i]]) - means[u];
            match &mut self.held {
                Held::Units(x) => {
                    let places = (0..used.len()).flat_map(|u| (0..rows.len()).map(move |i| (i, u)));
                    x.extend(places.map(|(i, u)| centred(i, u)));
                }
                Held::Bands(bands) => {
                    let x = Mat::from_fn(rows.len(), used.len(), centred);
                    bands.par_iter_mut().enumerate().for_each(|(b, band)| {
                        let (first, width) = (b * BAND, band.ncols());
                        let (below, these) = (x.subrows(first, rows.len() - first), x.subrows(first, width));
                        matmul(band.as_mut(), Accum::Add, below, these.transpose(), 1.0, Par::Seq);
                    });
                }
            }
        }
    }

    /// All that were added.
    ///
    /// # Errors
    /// When their products are too large to be decomposed.
    pub(in crate::measure) fn finish(self) -> Result<Images> {
        let n = self.rows.len();
        match self.held {
            Held::Units(x) => {
                let x = MatRef::from_column_major_slice(&x, n, x.len() / n.max(1)).to_owned();
                Ok(Images { components: Components::of(x.as_ref())?, x })
            }
            Held::Bands(bands) => {
                let at = |i: usize, j: usize| {
                    let (high, low) = (i.max(j), i.min(j));
                    let first = low / BAND * BAND;
                    bands[low / BAND][(high - first, low - first)]
                };
                let components = Components::of_products(&Mat::from_fn(n, n, at))?;
                Ok(Images { x: components.scaled(components.values.len()), components })
            }
        }
    }
}

impl Components {
    /// Of the rows `x`.
    ///
    /// # Errors
    /// When their products are too large to be decomposed.
    pub(in crate::measure) fn of(x: MatRef<'_, f64>) -> Result<Self> {
        if x.ncols() >= x.nrows() {
            return Self::of_products(&(x * x.transpose()));
        }
        let Self { u: axes, values } = Self::of_products(&(x.transpose() * x))?;
        let along = x * axes;
        let u = Mat::from_fn(along.nrows(), along.ncols(), |i, k| along[(i, k)] / values[k].sqrt());
        Ok(Self { u: signed(u), values })
    }

    /// Of the inner products of rows.
    fn of_products(products: &Mat<f64>) -> Result<Self> {
        let n = products.nrows();
        if n == 0 {
            return Ok(Self { u: Mat::zeros(0, 0), values: Vec::new() });
        }
        let eigen = products.self_adjoint_eigen(Side::Lower).map_err(failed)?;
        let (u, values) = (eigen.U(), eigen.S().column_vector());
        // Ascending, as eigenvalues come.
        let none = (0..n).take_while(|k| !above(values[*k], ROUNDING * values[n - 1])).count();
        Ok(Self { u: signed(u.subcols(none, n - none).to_owned()), values: (none..n).map(|k| values[k]).collect() })
    }

    /// The last `count`, `[row, component]`, each as long as the root of its eigenvalue.
    pub(in crate::measure) fn scaled(&self, count: usize) -> Mat<f64> {
        let first = self.values.len() - count;
        Mat::from_fn(self.u.nrows(), count, |i, k| self.u[(i, first + k)] * self.values[first + k].sqrt())
    }
}

/// Columns `u`, turned so that the largest number of each is above 0: a decomposition leaves their signs open.
fn signed(mut u: Mat<f64>) -> Mat<f64> {
    for k in 0..u.ncols() {
        let largest = u.col(k).iter().fold(0.0, |most: f64, x| if x.abs() > most.abs() { *x } else { most });
        if largest < 0.0 {
            u.col_mut(k).iter_mut().for_each(|x| *x = -*x);
        }
    }
    u
}

/// The eigenvalues of x x^T, ascending, of rows `x`; of those that are 0 some or none.
///
/// # Errors
/// When their products are too large to be decomposed.
pub(in crate::measure) fn eigenvalues(x: MatRef<'_, f64>) -> Result<Vec<f64>> {
    let products = if x.ncols() < x.nrows() { x.transpose() * x } else { x * x.transpose() };
    if products.nrows() == 0 {
        return Ok(Vec::new());
    }
    products.self_adjoint_eigenvalues(Side::Lower).map_err(failed)
}

/// Above `least` and above 0; what is not a number is neither.
fn above(value: f64, least: f64) -> bool {
    value > least && value > 0.0
}

fn failed<E>(_: E) -> Error {
    Error::mismatch("activations", "inner products that can be decomposed", "others")
}
