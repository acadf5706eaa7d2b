//! Operations that act on each value by itself.

use crate::engine::product::column_sums;
use crate::engine::{Activation, Level, Memory, Real, Tape, Tensor};
use rayon::prelude::*;

/// Values that one task handles.
const PIECE: usize = 1 << 14;

/// `kind` of every value.
pub fn activate<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, kind: Activation) -> Tensor<F> {
    let level = Level::current();
    let mut out = tape.buffer(x.data().len());
    let pieces = out.par_chunks_mut(PIECE).zip(x.data().par_chunks(PIECE));
    pieces.for_each(|(y, x)| F::activate(level, kind, x, y));
    let out = tape.tensor(x.shape(), out);
    let x = x.clone();
    tape.push(out, &[x.node], move |dy, gradients| {
        gradients.add(x.node, |memory| {
            let mut dx = memory.copy(dy);
            let pieces = dx.par_chunks_mut(PIECE).zip(x.data().par_chunks(PIECE));
            pieces.for_each(|(dx, x)| F::activation_gradient(level, kind, x, dx));
            dx
        });
    })
}

/// `x + y`, of one shape.
pub fn add<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, y: &Tensor<F>) -> Tensor<F> {
    let mut out = tape.buffer(x.data().len());
    by_two(&mut out, x.data(), y.data(), |x, y| x + y);
    let out = tape.tensor(x.shape(), out);
    let (a, b) = (x.node, y.node);
    tape.push(out, &[a, b], move |dy, gradients| {
        gradients.add(a, |memory| memory.copy(dy));
        gradients.add(b, |memory| memory.copy(dy));
    })
}

/// `x * y`, of one shape.
pub fn multiply<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, y: &Tensor<F>) -> Tensor<F> {
    let mut out = tape.buffer(x.data().len());
    by_two(&mut out, x.data(), y.data(), |x, y| x * y);
    let out = tape.tensor(x.shape(), out);
    let (x, y) = (x.clone(), y.clone());
    tape.push(out, &[x.node, y.node], move |dy, gradients| {
        let times = |memory: &Memory<F>, other: &[F]| {
            let mut out = memory.take(dy.len());
            by_two(&mut out, dy, other, |a, b| a * b);
            out
        };
        gradients.add(x.node, |memory| times(memory, y.data()));
        gradients.add(y.node, |memory| times(memory, x.data()));
    })
}

/// Every row of `x [.., d]` times `gain [d]`.
pub fn scale<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, gain: &Tensor<F>) -> Tensor<F> {
    let d = x.width();
    let by_gain = move |out: &mut [F], values: &[F], gain: &[F]| {
        let rows = PIECE.div_ceil(d) * d;
        out.par_chunks_mut(rows).zip(values.par_chunks(rows)).for_each(|(out, x)| {
            for (out, x) in out.chunks_mut(d).zip(x.chunks(d)) {
                out.iter_mut().zip(x).zip(gain).for_each(|((y, x), g)| *y = *x * *g);
            }
        });
    };
    let mut out = tape.buffer(x.data().len());
    by_gain(&mut out, x.data(), gain.data());
    let out = tape.tensor(x.shape(), out);
    let (x, gain) = (x.clone(), gain.clone());
    tape.push(out, &[x.node, gain.node], move |dy, gradients| {
        gradients.add(x.node, |memory| {
            let mut dx = memory.take(dy.len());
            by_gain(&mut dx, dy, gain.data());
            dx
        });
        gradients.add(gain.node, |_| {
            let products: Vec<F> = dy.iter().zip(x.data()).map(|(g, x)| *g * *x).collect();
            column_sums(&products, d)
        });
    })
}

/// `out = f(x, y)`, value by value.
fn by_two<F: Real>(out: &mut [F], x: &[F], y: &[F], f: impl Fn(F, F) -> F + Sync) {
    let pieces = out.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).zip(y.par_chunks(PIECE));
    pieces.for_each(|((out, x), y)| out.iter_mut().zip(x).zip(y).for_each(|((out, x), y)| *out = f(*x, *y)));
}
