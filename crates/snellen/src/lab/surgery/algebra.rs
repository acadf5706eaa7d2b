//! The few matrices that an operation is made of.

use crate::{Error, Result};
use faer::{Mat, Side};

/// Singular values below this share of the largest are taken for 0.
const RANK: f64 = 1e-9;

/// Directions, and how far apart points are.
pub(super) struct Kept<'a> {
    /// `[width, k]`.
    pub(super) directions: &'a Mat<f64>,
    /// `[width, width]`, symmetric.
    pub(super) metric: &'a Mat<f64>,
}

impl Kept<'_> {
    /// `[k, width]`: (K' M K)^-1 K' M, the coordinates of a point along the directions as generalised least squares has them (Aitken
    /// 1936).
    pub(super) fn coordinates(&self) -> Result<Mat<f64>> {
        let weighed = self.directions.transpose() * self.metric;
        let inner = &weighed * self.directions;
        Ok(inverse(&inner, 0.0)? * weighed)
    }
}

/// X' X / n of rows.
pub(super) fn scatter(rows: &Mat<f64>) -> Mat<f64> {
    faer::Scale(1.0 / rows.nrows().max(1) as f64) * (rows.transpose() * rows)
}

/// The inverse of a symmetric matrix to whose diagonal `ridge` of its mean is added; directions without variance have none.
pub(super) fn inverse(matrix: &Mat<f64>, ridge: f64) -> Result<Mat<f64>> {
    power(matrix, ridge, -1.0)
}

/// A power of the same.
pub(super) fn power(matrix: &Mat<f64>, ridge: f64, exponent: f64) -> Result<Mat<f64>> {
    let width = matrix.nrows();
    let mean = (0..width).map(|k| matrix[(k, k)]).sum::<f64>() / width.max(1) as f64;
    let eigen = matrix.self_adjoint_eigen(Side::Lower).map_err(failed)?;
    let (u, values) = (eigen.U(), eigen.S().column_vector());
    let largest = (0..width).map(|k| values[k]).fold(0.0, f64::max) + ridge * mean;
    let raised = |k: usize| {
        let value = values[k] + ridge * mean;
        if value > RANK * RANK * largest { value.powf(exponent) } else { 0.0 }
    };
    let scaled = Mat::from_fn(width, width, |i, k| u[(i, k)] * raised(k));
    Ok(scaled * u.transpose())
}

/// The left singular vectors `[row, k]` of the largest singular values, at most `most`, and these.
pub(super) fn leading(matrix: &Mat<f64>, most: usize) -> Result<(Mat<f64>, Vec<f64>)> {
    let svd = matrix.thin_svd().map_err(failed)?;
    let (u, s) = (svd.U(), svd.S().column_vector());
    let rank = (0..s.nrows()).filter(|k| s[*k] > RANK * s[0]).count().min(most);
    Ok((u.subcols(0, rank).to_owned(), (0..rank).map(|k| s[k]).collect()))
}

/// An orthonormal basis `[row, k]` of what is orthogonal to the columns.
pub(super) fn complement(columns: &Mat<f64>) -> Result<Mat<f64>> {
    let (inside, _) = leading(columns, usize::MAX)?;
    let rows = columns.nrows();
    let outside = Mat::<f64>::identity(rows, rows) - &inside * inside.transpose();
    let (basis, sizes) = leading(&outside, rows - inside.ncols())?;
    let whole = sizes.iter().filter(|size| **size > 0.5).count();
    Ok(basis.subcols(0, whole).to_owned())
}

fn failed<E>(_: E) -> Error {
    Error::mismatch("operation", "a matrix that can be decomposed", "another")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn near(a: &Mat<f64>, b: &Mat<f64>) -> bool {
        (a - b).norm_max() < 1e-9
    }

    #[test]
    fn coordinates_keep_the_directions_and_powers_multiply() {
        let metric = Mat::from_fn(4, 4, |i, j| if i == j { 2.0 + i as f64 } else { 0.3 });
        let directions = Mat::from_fn(4, 2, |i, j| ((i + 1) * (j + 2) % 5) as f64);
        let of = Kept { directions: &directions, metric: &metric }.coordinates().unwrap();
        assert!(near(&(&of * &directions), &Mat::identity(2, 2)));
        let root = power(&metric, 0.0, 0.5).unwrap();
        assert!(near(&(&root * &root), &metric));
        assert!(near(&(&inverse(&metric, 0.0).unwrap() * &metric), &Mat::identity(4, 4)));
        let rest = complement(&directions).unwrap();
        assert_eq!(rest.ncols(), 2);
        assert!((rest.transpose() * &directions).norm_max() < 1e-9);
    }
}
