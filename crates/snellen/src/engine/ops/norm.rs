//! Normalisation of rows.

use crate::engine::product::sum_rows;
use crate::engine::{Level, Real, Tape, Tensor};
use rayon::prelude::*;

/// Rows that one task handles.
const PIECE: usize = 64;

/// `(x - mean) / sqrt(variance + eps) * gain + bias` over the last axis; biased variance (arXiv 1607.06450).
pub fn layer_norm<F: Real>(
    tape: &mut Tape<F>,
    x: &Tensor<F>,
    gain: &Tensor<F>,
    bias: &Tensor<F>,
    eps: f64,
) -> Tensor<F> {
    let (level, d) = (Level::current(), x.width());
    let piece = PIECE * d;
    let mut out = tape.buffer(x.data().len());
    let pieces = out.par_chunks_mut(piece).zip(x.data().par_chunks(piece));
    pieces.for_each(|(out, x)| F::layer_norm(level, x, gain.data(), bias.data(), eps, out));
    let out = tape.tensor(x.shape(), out);
    let (x, gain, bias_node) = (x.clone(), gain.clone(), bias.node);
    tape.push(out, &[x.node, gain.node, bias_node], move |dy, gradients| {
        gradients.add(x.node, |memory| {
            let mut dx = memory.take(dy.len());
            let pieces = dx.par_chunks_mut(piece).zip(x.data().par_chunks(piece)).zip(dy.par_chunks(piece));
            pieces.for_each(|((dx, x), dy)| F::layer_norm_gradient(level, x, gain.data(), eps, dy, dx));
            dx
        });
        if gain.node.is_some() || bias_node.is_some() {
            let parts = x.data().par_chunks(piece).zip(dy.par_chunks(piece)).map(|(x, dy)| {
                let mut part = vec![F::zero(); 2 * d];
                let (dgain, dbias) = part.split_at_mut(d);
                F::layer_norm_sums(level, x, eps, dy, dgain, dbias);
                part
            });
            let sums = sum_rows(parts, 2 * d);
            gradients.add(gain.node, |_| sums[..d].to_vec());
            gradients.add(bias_node, |_| sums[d..].to_vec());
        }
    })
}

/// Rows divided by their Euclidean length.
pub fn unit_rows<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>) -> Tensor<F> {
    let d = x.width();
    let mut out = x.data().to_vec();
    for row in out.chunks_mut(d) {
        let length = along(row, row).sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
    let (x, y) = (x.clone(), Tensor::new(x.shape(), out));
    let unit = y.clone();
    tape.push(y, &[x.node], move |dy, gradients| {
        gradients.add(x.node, |memory| {
            let mut dx = memory.copy(dy);
            for ((dx, x), y) in dx.chunks_mut(d).zip(x.data().chunks(d)).zip(unit.data().chunks(d)) {
                let (length, along) = (along(x, x).sqrt(), along(dx, y));
                for (g, y) in dx.iter_mut().zip(y) {
                    *g = (*g - along * *y) / length;
                }
            }
            dx
        });
    })
}

/// The inner product of two rows.
fn along<F: Real>(x: &[F], y: &[F]) -> F {
    F::inner(Level::current(), x, y)
}
