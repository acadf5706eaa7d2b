//! Normalisation of rows.

use crate::engine::product::{add_into, sum_rows};
use crate::engine::reduce::{sum_of, sum_of_two};
use crate::engine::{Real, Tape, Tensor};
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
    let d = x.width();
    let mut out = vec![F::zero(); x.data().len()];
    out.par_chunks_mut(PIECE * d).zip(x.data().par_chunks(PIECE * d)).for_each(|(out, x)| {
        for (out, x) in out.chunks_mut(d).zip(x.chunks(d)) {
            let (mean, scale) = moments(x, eps);
            for (((y, x), g), b) in out.iter_mut().zip(x).zip(gain.data()).zip(bias.data()) {
                *y = (*x - mean) * scale * *g + *b;
            }
        }
    });
    let (x, gain, bias_node) = (x.clone(), gain.clone(), bias.node);
    tape.push(Tensor::new(x.shape(), out), &[&x.clone(), &gain.clone(), bias], move |dy, gradients| {
        gradients.add(x.node, || {
            let mut dx = vec![F::zero(); dy.len()];
            dx.par_chunks_mut(PIECE * d).zip(x.data().par_chunks(PIECE * d)).zip(dy.par_chunks(PIECE * d)).for_each(
                |((dx, x), dy)| {
                    for ((dx, x), dy) in dx.chunks_mut(d).zip(x.chunks(d)).zip(dy.chunks(d)) {
                        row_gradient(dx, x, dy, gain.data(), eps);
                    }
                },
            );
            dx
        });
        if gain.node.is_some() || bias_node.is_some() {
            let parts = x.data().par_chunks(PIECE * d).zip(dy.par_chunks(PIECE * d)).map(|(x, dy)| {
                let mut part = vec![F::zero(); 2 * d];
                let (dgain, dbias) = part.split_at_mut(d);
                for (x, dy) in x.chunks(d).zip(dy.chunks(d)) {
                    let (mean, scale) = moments(x, eps);
                    for ((g, x), dy) in dgain.iter_mut().zip(x).zip(dy) {
                        *g += (*x - mean) * scale * *dy;
                    }
                    add_into(dbias, dy);
                }
                part
            });
            let sums = sum_rows(parts, 2 * d);
            gradients.add(gain.node, || sums[..d].to_vec());
            gradients.add(bias_node, || sums[d..].to_vec());
        }
    })
}

/// Mean and reciprocal standard deviation of a row.
fn moments<F: Real>(x: &[F], eps: f64) -> (F, F) {
    let n = F::of(x.len() as f64);
    let mean = sum_of(x, |x| x) / n;
    let variance = sum_of(x, |x| (x - mean) * (x - mean)) / n;
    (mean, F::one() / (variance + F::of(eps)).sqrt())
}

fn row_gradient<F: Real>(dx: &mut [F], x: &[F], dy: &[F], gain: &[F], eps: f64) {
    let n = F::of(x.len() as f64);
    let (mean, scale) = moments(x, eps);
    for ((dx, dy), g) in dx.iter_mut().zip(dy).zip(gain) {
        *dx = *dy * *g;
    }
    let sum = sum_of(dx, |g| g) / n;
    let dot = sum_of_two(dx, x, |g, x| g * (x - mean)) * scale / n;
    for (dx, x) in dx.iter_mut().zip(x) {
        *dx = scale * (*dx - sum - (*x - mean) * scale * dot);
    }
}

/// Rows divided by their Euclidean length.
pub fn unit_rows<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>) -> Tensor<F> {
    let d = x.width();
    let mut out = x.data().to_vec();
    for row in out.chunks_mut(d) {
        let length = sum_of(row, |x| x * x).sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
    let (x, y) = (x.clone(), Tensor::new(x.shape(), out));
    let unit = y.clone();
    tape.push(y, &[&x.clone()], move |dy, gradients| {
        gradients.add(x.node, || {
            let mut dx = dy.to_vec();
            for ((dx, x), y) in dx.chunks_mut(d).zip(x.data().chunks(d)).zip(unit.data().chunks(d)) {
                let length = sum_of(x, |x| x * x).sqrt();
                let along = sum_of_two(dx, y, |g, y| g * y);
                for (g, y) in dx.iter_mut().zip(y) {
                    *g = (*g - along * *y) / length;
                }
            }
            dx
        });
    })
}
