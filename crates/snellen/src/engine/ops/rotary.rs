//! Rotary positions (arXiv 2104.09864): pairs of units of queries and keys are turned by angles that depend on the token's place.

use crate::engine::{Real, Tape, Tensor};
use rayon::prelude::*;

/// What every token but the first few is turned by.
#[derive(Clone, Debug)]
pub struct Angles<F> {
    /// Cosines, `[token, pair]`.
    pub cos: Tensor<F>,
    /// Sines, `[token, pair]`.
    pub sin: Tensor<F>,
    /// Tokens before these, which stay as they are.
    pub first: usize,
    /// Whether a pair are neighbours, units `2 u` and `2 u + 1`, rather than `u` and `u + d / 2`.
    pub neighbours: bool,
}

/// `x [b, n, heads, d]` with each token's units turned pair by pair, in every head, by the pair's angle; of the same shape.
pub fn rotate<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, angles: &Angles<F>) -> Tensor<F> {
    let mut out = tape.buffer(x.data().len());
    out.copy_from_slice(x.data());
    turn(&mut out, x.shape(), angles, F::one());
    let out = tape.tensor(x.shape(), out);
    let (node, shape, angles) = (x.node, x.shape().to_vec(), angles.clone());
    tape.push(out, &[node], move |dy, gradients| {
        gradients.add(node, |memory| {
            let mut dx = memory.copy(dy);
            turn(&mut dx, &shape, &angles, -F::one());
            dx
        });
    })
}

/// Turns in place; back where `sign` is -1.
fn turn<F: Real>(x: &mut [F], shape: &[usize], angles: &Angles<F>, sign: F) {
    let &[_, n, heads, d] = shape else { unreachable!("heads are [batch, token, head, unit]") };
    let (pairs, neighbours) = (d / 2, angles.neighbours);
    x.par_chunks_mut(n * heads * d).for_each(|sequence| {
        let tokens = sequence[angles.first * heads * d..].chunks_mut(heads * d);
        let places = angles.cos.data().chunks(pairs).zip(angles.sin.data().chunks(pairs));
        for (token, (cos, sin)) in tokens.zip(places) {
            for head in token.chunks_mut(d) {
                let turns = cos.iter().zip(sin).map(|(c, s)| (*c, *s * sign));
                if neighbours {
                    for ([a, b], (c, s)) in head.as_chunks_mut().0.iter_mut().zip(turns) {
                        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
                    }
                    continue;
                }
                let (low, high) = head.split_at_mut(pairs);
                for ((a, b), (c, s)) in low.iter_mut().zip(high).zip(turns) {
                    (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
                }
            }
        }
    });
}
