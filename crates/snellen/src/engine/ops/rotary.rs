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
}

/// `x [b, n, heads, d]` with each token's units `u` and `u + d / 2` turned, in every head, by the angle of pair `u`; of the same shape.
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
    let pairs = d / 2;
    x.par_chunks_mut(n * heads * d).for_each(|sequence| {
        let tokens = sequence[angles.first * heads * d..].chunks_mut(heads * d);
        let places = angles.cos.data().chunks(pairs).zip(angles.sin.data().chunks(pairs));
        for (token, (cos, sin)) in tokens.zip(places) {
            for head in token.chunks_mut(d) {
                let (low, high) = head.split_at_mut(pairs);
                for ((a, b), (c, s)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
                    let s = *s * sign;
                    (*a, *b) = (*a * *c - *b * s, *b * *c + *a * s);
                }
            }
        }
    });
}
