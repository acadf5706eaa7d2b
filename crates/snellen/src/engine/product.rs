//! Products of matrices that are multiplied by once, and sums over rows.

use super::{Level, Memory, Precision, Real};
use rayon::prelude::*;
use snellen_cpu::{Threads, View};

/// Rows that a partial sum is made of.
const PIECE: usize = 96;

/// `rows x cols` values, row after row.
fn dense<F: Copy>(values: &[F], rows: usize, cols: usize) -> View<'_, F> {
    View::new(values, rows, cols, cols)
}

/// `a b`, dense.
fn product<F: Real>(memory: &Memory<F>, a: View<'_, F>, b: View<'_, F>) -> Vec<F> {
    let mut out = memory.take(a.rows() * b.cols());
    F::product_once(Level::current(), Precision::F32, Threads::All, (&mut out, b.cols()), a, b);
    out
}

/// `x [rows, k] @ w [n, k]^T`.
pub(super) fn by_rows<F: Real>(memory: &Memory<F>, x: &[F], w: &[F], k: usize, n: usize) -> Vec<F> {
    product(memory, dense(x, x.len() / k, k), dense(w, n, k).transposed())
}

/// `x [rows, k] @ w [k, n]`.
pub(super) fn plain<F: Real>(memory: &Memory<F>, x: &[F], w: &[F], k: usize, n: usize) -> Vec<F> {
    product(memory, dense(x, x.len() / k, k), dense(w, k, n))
}

/// `a [rows, m]^T @ b [rows, n]`: the gradient of a weight.
pub(super) fn transposed<F: Real>(memory: &Memory<F>, a: &[F], b: &[F], m: usize, n: usize) -> Vec<F> {
    let depth = a.len() / m;
    product(memory, dense(a, depth, m).transposed(), dense(b, depth, n))
}

/// Sums over rows, in pieces of a fixed size.
pub(super) fn column_sums<F: Real>(x: &[F], width: usize) -> Vec<F> {
    let level = Level::current();
    let of_piece = |piece: &[F]| {
        let mut sum = vec![F::zero(); width];
        piece.chunks(width).for_each(|row| F::add_into(level, &mut sum, row));
        sum
    };
    sum_rows(x.par_chunks(PIECE * width).map(of_piece), width)
}

/// Adds partial sums in order.
pub(super) fn sum_rows<F: Real>(parts: impl IndexedParallelIterator<Item = Vec<F>>, width: usize) -> Vec<F> {
    let parts: Vec<Vec<F>> = parts.collect();
    let mut sum = vec![F::zero(); width];
    parts.iter().for_each(|part| add_into(&mut sum, part));
    sum
}

/// `sum += x`.
pub(super) fn add_into<F: Real>(sum: &mut [F], x: &[F]) {
    F::add_into(Level::current(), sum, x);
}
