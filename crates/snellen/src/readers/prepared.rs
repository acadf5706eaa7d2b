//! Rows in the basis of their own principal components, made once for all questions, folds, sizes and strengths.
//!
//! Readers with an L2 penalty and a free constant give the same answers in every orthonormal basis of the rows' span, and under any
//! shift. In this one the Hessian is near its diagonal, and rows of more units than there are rows shrink to their span.

use crate::measure::Matrix;
use crate::{Error, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};

/// Variances below this share of the largest are taken for 0.
const RANK: f64 = 1e-12;

/// A matrix `[row, unit]` that readers can read, under a name.
pub struct Prepared<'a> {
    name: String,
    matrix: &'a Matrix,
    /// Of each unit.
    means: Vec<f64>,
    /// Root of the total variance, by which rows are divided.
    scale: f64,
    /// `[row, component]`: centred, scaled, rotated.
    coordinates: Mat<f64>,
    /// `[unit, component]`: the components, divided by the scale; not kept where there are more units than rows.
    axes: Option<Mat<f64>>,
}

impl<'a> Prepared<'a> {
    /// `matrix` under `name`. Takes n d min(n, d) steps, n rows of d units.
    ///
    /// # Errors
    /// When there are no rows or a number is not finite.
    pub fn new(name: &str, matrix: &'a Matrix) -> Result<Self> {
        let (n, d) = (matrix.images(), matrix.units());
        if n == 0 {
            return Err(Error::mismatch(name, "at least one row", "none"));
        }
        if let Some(at) = matrix.values().iter().position(|value| !value.is_finite()) {
            let place = format!("{name}: row {}, unit {}", at / d, at % d);
            return Err(Error::mismatch(place, "a finite number", matrix.values()[at]));
        }
        let mut means = vec![0.0; d];
        for row in 0..n {
            matrix.row(row).iter().zip(&mut means).for_each(|(value, mean)| *mean += f64::from(*value) / n as f64);
        }
        let centred = Mat::from_fn(n, d, |i, j| f64::from(matrix.row(i)[j]) - means[j]);
        let wide = d > n;
        let gram = if wide {
            product(centred.as_ref(), centred.transpose())
        } else {
            product(centred.transpose(), centred.as_ref())
        };
        let total = (0..gram.nrows()).map(|k| gram[(k, k)]).sum::<f64>();
        let scale = if total > 0.0 { (total / n as f64).sqrt() } else { 1.0 };
        let (u, values) = spectrum(&gram, name)?;
        let (coordinates, axes) = if wide {
            (Mat::from_fn(n, values.len(), |i, k| u[(i, k)] * values[k].sqrt() / scale), None)
        } else {
            let axes = Mat::from_fn(d, values.len(), |j, k| u[(j, k)] / scale);
            (product(centred.as_ref(), axes.as_ref()), Some(axes))
        };
        Ok(Self { name: name.to_owned(), matrix, means, scale, coordinates, axes })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The coordinates along the `most` leading components, those of the largest variance, as a matrix of their own.
    ///
    /// # Errors
    /// Those of [`Matrix::new`].
    pub fn leading(&self, most: usize) -> Result<Matrix> {
        let (rows, columns) = (self.coordinates.nrows(), self.coordinates.ncols().min(most));
        let values = (0..rows).flat_map(|i| (0..columns).map(move |k| self.coordinates[(i, k)] as f32)).collect();
        Matrix::new(rows, columns, values)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.coordinates.nrows()
    }

    /// Number of components: the rank of the centred rows.
    pub fn components(&self) -> usize {
        self.coordinates.ncols()
    }

    /// Root of the total variance of the rows, by which they are divided before strengths apply.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// All rows.
    pub(super) fn coordinates(&self) -> &Mat<f64> {
        &self.coordinates
    }

    /// The coordinates of `rows`, and a last column of ones.
    pub(super) fn with_constant(&self, rows: &[usize]) -> Mat<f64> {
        let last = self.components();
        Mat::from_fn(rows.len(), last + 1, |i, j| if j == last { 1.0 } else { self.coordinates[(rows[i], j)] })
    }

    /// The rows `train`, and the rows `asked` beside them, each with a last column of ones: by their coordinates, or where these are more
    /// than there are rows `train`, along the principal components of those, about their mean. A penalised minimum over `train` lies in their
    /// span, whichever of them it leaves out.
    pub(super) fn within(&self, train: &[usize], asked: &[usize]) -> Result<(Mat<f64>, Mat<f64>)> {
        let (n, d) = (train.len(), self.components());
        if d < n {
            return Ok((self.with_constant(train), self.with_constant(asked)));
        }
        let mean = |j: usize| train.iter().map(|row| self.coordinates[(*row, j)]).sum::<f64>() / n as f64;
        let means: Vec<f64> = (0..d).map(mean).collect();
        let about = |rows: &[usize]| Mat::from_fn(rows.len(), d, |i, j| self.coordinates[(rows[i], j)] - means[j]);
        let x = about(train);
        let (u, values) = spectrum(&product(x.as_ref(), x.transpose()), &self.name)?;
        let rank = values.len();
        let along = product(x.transpose(), u.as_ref());
        let axes = Mat::from_fn(d, rank, |j, k| along[(j, k)] / values[k].sqrt());
        let seen = Mat::from_fn(n, rank + 1, |i, k| if k == rank { 1.0 } else { u[(i, k)] * values[k].sqrt() });
        let other = product(about(asked).as_ref(), axes.as_ref());
        let other = Mat::from_fn(asked.len(), rank + 1, |i, k| if k == rank { 1.0 } else { other[(i, k)] });
        Ok((seen, other))
    }

    /// Weights `[component, output]` of coordinates as weights `[unit, output]` of the matrix as it was given, and what they
    /// give its mean row.
    pub(super) fn original(&self, weights: &Mat<f64>) -> (Mat<f64>, Vec<f64>) {
        let of_units = if let Some(axes) = &self.axes {
            product(axes.as_ref(), weights.as_ref())
        } else {
            let squares = |k: usize| self.coordinates.col(k).iter().map(|value| value * value).sum::<f64>();
            let squares: Vec<f64> = (0..self.components()).map(squares).collect();
            let by = self.scale * self.scale;
            let along = Mat::from_fn(weights.nrows(), weights.ncols(), |k, o| weights[(k, o)] / squares[k] / by);
            let of_rows = product(self.coordinates.as_ref(), along.as_ref());
            let centred =
                Mat::from_fn(self.rows(), self.means.len(), |i, j| f64::from(self.matrix.row(i)[j]) - self.means[j]);
            product(centred.transpose(), of_rows.as_ref())
        };
        let at_mean = (0..of_units.ncols())
            .map(|o| self.means.iter().enumerate().map(|(j, mean)| mean * of_units[(j, o)]).sum())
            .collect();
        (of_units, at_mean)
    }
}

/// Eigenvectors `[row, k]` of the inner products `gram` of what is called `name`, and their eigenvalues, the largest first; without
/// those that are 0.
fn spectrum(gram: &Mat<f64>, name: &str) -> Result<(Mat<f64>, Vec<f64>)> {
    let failed = |_| Error::mismatch(name, "inner products that can be decomposed", "others");
    let eigen = gram.self_adjoint_eigen(Side::Lower).map_err(failed)?;
    let (u, values) = (eigen.U(), eigen.S().column_vector());
    // They ascend.
    let last = gram.nrows().saturating_sub(1);
    let largest = if gram.nrows() == 0 { 0.0 } else { values[last] };
    let rank = (0..gram.nrows()).filter(|k| values[*k] > RANK * largest && values[*k] > 0.0).count();
    let values = (0..rank).map(|k| values[last - k]).collect();
    Ok((Mat::from_fn(gram.nrows(), rank, |i, k| u[(i, last - k)]), values))
}

/// `a b`, on one thread: the same bytes at any number of them.
pub(super) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul(out.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    out
}
