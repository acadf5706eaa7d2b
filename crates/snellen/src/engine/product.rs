//! Matrix products over rows of slices: `faer` on pieces of a fixed size.

use super::Real;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Rows of the output that one task makes when the rows are many (activations).
const TALL: usize = 96;
/// Rows of the output that one task makes when they are few and the inner extent is large (gradients of weights).
const DEEP: usize = 16;

/// `rows x cols` values, `stride` apart from row to row.
pub(super) fn rows<F: Real>(data: &[F], rows: usize, cols: usize, stride: usize) -> MatRef<'_, F> {
    MatRef::from_row_major_slice_with_stride(data, rows, cols, stride)
}

/// `out = a b` (or `+=`) where `out` is `rows x cols` with `stride`; on this thread.
pub(super) fn product<F: Real>(
    out: &mut [F],
    (n_rows, n_cols, stride): (usize, usize, usize),
    accum: Accum,
    a: MatRef<'_, F>,
    b: MatRef<'_, F>,
    scale: F,
) {
    // faer 0.24's `from_row_major_slice_with_stride_mut` exchanges the strides; the column-major one is right.
    let out = MatMut::from_column_major_slice_with_stride_mut(out, n_cols, n_rows, stride).transpose_mut();
    matmul(out, accum, a, b, scale, Par::Seq);
}

/// `out = a b` (or `+=`) for the pieces of a forward, `out` densely `rows x cols`; a row comes out the same whatever rows are
/// beside it.
///
/// faer multiplies a single row by another kernel, which adds in another order: it gets a row of zeros beside it.
fn piece<F: Real>(out: &mut [F], x: &[F], (k, n): (usize, usize), accum: Accum, b: MatRef<'_, F>) {
    let m = x.len() / k;
    if m > 1 {
        return product(out, (m, n, n), accum, rows(x, m, k, k), b, F::one());
    }
    let (mut two, mut x) = (out.to_vec(), x.to_vec());
    two.resize(2 * n, F::zero());
    x.resize(2 * k, F::zero());
    product(&mut two, (2, n, n), accum, rows(&x, 2, k, k), b, F::one());
    out.copy_from_slice(&two[..n]);
}

/// `x [rows, k] @ w [n, k]^T + bias`.
pub(super) fn linear<F: Real>(x: &[F], w: &[F], bias: Option<&[F]>, k: usize, n: usize) -> Vec<F> {
    let mut out = vec![F::zero(); x.len() / k * n];
    out.par_chunks_mut(TALL * n).zip(x.par_chunks(TALL * k)).for_each(|(out, x)| {
        let accum = match bias {
            Some(bias) => {
                out.chunks_mut(n).for_each(|row| row.copy_from_slice(bias));
                Accum::Add
            }
            None => Accum::Replace,
        };
        piece(out, x, (k, n), accum, rows(w, n, k, k).transpose());
    });
    out
}

/// `x [rows, k] @ w [k, n]`.
pub(super) fn plain<F: Real>(x: &[F], w: &[F], k: usize, n: usize) -> Vec<F> {
    let mut out = vec![F::zero(); x.len() / k * n];
    out.par_chunks_mut(TALL * n).zip(x.par_chunks(TALL * k)).for_each(|(out, x)| {
        piece(out, x, (k, n), Accum::Replace, rows(w, k, n, n));
    });
    out
}

/// `a [rows, m]^T @ b [rows, n]`: the gradient of a weight.
pub(super) fn transposed<F: Real>(a: &[F], b: &[F], m: usize, n: usize) -> Vec<F> {
    let depth = a.len() / m;
    let mut out = vec![F::zero(); m * n];
    out.par_chunks_mut(DEEP * n).enumerate().for_each(|(i, out)| {
        let cols = out.len() / n;
        let a = rows(&a[i * DEEP..], depth, cols, m).transpose();
        product(out, (cols, n, n), Accum::Replace, a, rows(b, depth, n, n), F::one());
    });
    out
}

/// Sums over rows, in pieces of a fixed size.
pub(super) fn column_sums<F: Real>(x: &[F], width: usize) -> Vec<F> {
    sum_rows(
        x.par_chunks(TALL * width).map(|chunk| {
            let mut sum = vec![F::zero(); width];
            for row in chunk.chunks(width) {
                add_into(&mut sum, row);
            }
            sum
        }),
        width,
    )
}

/// Adds partial sums in order.
pub(super) fn sum_rows<F: Real>(parts: impl IndexedParallelIterator<Item = Vec<F>>, width: usize) -> Vec<F> {
    let parts: Vec<Vec<F>> = parts.collect();
    let mut sum = vec![F::zero(); width];
    for part in &parts {
        add_into(&mut sum, part);
    }
    sum
}

/// `sum += x`.
pub(super) fn add_into<F: Real>(sum: &mut [F], x: &[F]) {
    for (s, x) in sum.iter_mut().zip(x) {
        *s += *x;
    }
}
