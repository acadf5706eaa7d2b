//! Scaled dot-product attention: at once, or in three steps, so that scores and pattern can be read and changed between them.

use crate::engine::{Level, Memory, Precision, Real, Tape, Tensor};
use rayon::prelude::*;
use snellen_cpu::{Threads, View};

/// `q [b, query, heads, d]`, `k` and `v [b, key, heads, d]` -> `softmax(q k^T / sqrt(d)) v`, `[b, query, heads, d]`, for a tape that
/// does not record: neither scores nor pattern are kept. The bytes are those of [`scores`], [`softmax`] and [`mix`].
pub fn attention<F: Real>(
    tape: &Tape<F>,
    (q, k, v): (&Tensor<F>, &Tensor<F>, &Tensor<F>),
    causal: bool,
    precision: Precision,
) -> Tensor<F> {
    let (qs, ks) = (Heads::of(q), Heads::of(k));
    let heads = snellen_cpu::Heads { sequences: qs.b, queries: qs.n, keys: ks.n, heads: qs.h, units: qs.d, causal };
    let mut out = tape.buffer(q.data().len());
    F::attention(Level::current(), precision, heads, (q.data(), k.data(), v.data()), &mut out);
    tape.tensor(q.shape(), out)
}

/// `q [b, query, heads, d]`, `k [b, key, heads, d]` -> `q k^T / sqrt(d)` as `[b, heads, query, key]`; `-inf` where `causal` and the
/// key is later than the query.
pub fn scores<F: Real>(
    tape: &mut Tape<F>,
    q: &Tensor<F>,
    k: &Tensor<F>,
    causal: bool,
    precision: Precision,
) -> Tensor<F> {
    let (qs, ks) = (Heads::of(q), Heads::of(k));
    let (n, m) = (qs.n, ks.n);
    let factor = F::one() / F::of(qs.d as f64).sqrt();
    let mut out = tape.buffer(qs.b * qs.h * n * m);
    out.par_chunks_mut(n * m).enumerate().for_each(|(i, out)| {
        let (q, k) = (qs.head(q.data(), i), ks.head(k.data(), i));
        F::product_once(Level::current(), precision, Threads::This, (out, m), q, k.transposed());
        F::scale(Level::current(), out, factor);
        if causal {
            for (query, row) in out.chunks_mut(m).enumerate() {
                row[(query + 1).min(m)..].fill(F::neg_infinity());
            }
        }
    });
    let out = tape.tensor([qs.b, qs.h, n, m], out);
    let (q, k) = (q.clone(), k.clone());
    tape.push(out, &[q.node, k.node], move |dy, gradients| {
        let square = |i: usize| View::new(&dy[i * n * m..], n, m, m);
        let scaled = |mut gradient: Vec<F>| {
            F::scale(Level::current(), &mut gradient, factor);
            gradient
        };
        gradients.add(q.node, |memory| scaled(qs.by_head(memory, |i| (square(i), ks.head(k.data(), i)))));
        gradients.add(k.node, |memory| scaled(ks.by_head(memory, |i| (square(i).transposed(), qs.head(q.data(), i)))));
    })
}

/// `scores [b, heads, query, key]` with `-inf` where a key is not `seen [b, key]`. Of a sequence without any that is, all scores become 0:
/// attention is then the same for all.
pub fn hide<F: Real>(tape: &mut Tape<F>, scores: &Tensor<F>, seen: &[bool]) -> Tensor<F> {
    let (rows, m) = (scores.dim(1) * scores.dim(2), scores.dim(3));
    let mut out = tape.buffer(scores.data().len());
    out.copy_from_slice(scores.data());
    out.par_chunks_mut(rows * m).zip(seen.par_chunks(m)).for_each(|(out, seen)| {
        let instead = if seen.contains(&true) { F::neg_infinity() } else { F::zero() };
        let hidden = out.chunks_mut(m).flat_map(|row| row.iter_mut().zip(seen)).filter(|(_, seen)| !**seen);
        hidden.for_each(|(score, _)| *score = instead);
    });
    let out = tape.tensor(scores.shape(), out);
    let (node, seen) = (scores.node, seen.to_vec());
    tape.push(out, &[node], move |dy, gradients| {
        gradients.add(node, |memory| {
            let mut dx = memory.copy(dy);
            dx.par_chunks_mut(rows * m).zip(seen.par_chunks(m)).for_each(|(dx, seen)| {
                let hidden = dx.chunks_mut(m).flat_map(|row| row.iter_mut().zip(seen)).filter(|(_, seen)| !**seen);
                hidden.for_each(|(dx, _)| *dx = F::zero());
            });
            dx
        });
    })
}

/// Softmax over the last axis.
pub fn softmax<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>) -> Tensor<F> {
    let n = x.width();
    let piece = n * x.dim(x.shape().len() - 2);
    let mut out = tape.buffer(x.data().len());
    out.par_chunks_mut(piece).zip(x.data().par_chunks(piece)).for_each(|(out, x)| {
        out.copy_from_slice(x);
        F::softmax(Level::current(), out, n);
    });
    let y = tape.tensor(x.shape(), out);
    let (node, pattern) = (x.node, y.clone());
    tape.push(y, &[node], move |dy, gradients| {
        gradients.add(node, |memory| {
            let mut dx = memory.copy(dy);
            dx.par_chunks_mut(piece)
                .zip(pattern.data().par_chunks(piece))
                .for_each(|(dx, y)| F::softmax_gradient(Level::current(), y, dx, n));
            dx
        });
    })
}

/// `pattern [b, heads, query, key]` of `v [b, key, heads, d]` -> `[b, query, heads, d]`.
pub fn mix<F: Real>(tape: &mut Tape<F>, pattern: &Tensor<F>, v: &Tensor<F>, precision: Precision) -> Tensor<F> {
    let vs = Heads::of(v);
    let (n, m) = (pattern.dim(2), vs.n);
    let zs = Heads { n, ..vs };
    let square = n * m;
    let mut out = tape.buffer(zs.len());
    zs.write(&mut out, precision, |i| (View::new(&pattern.data()[i * square..], n, m, m), vs.head(v.data(), i)));
    let z = tape.tensor([zs.b, n, zs.h, zs.d], out);
    let (pattern, v) = (pattern.clone(), v.clone());
    tape.push(z, &[pattern.node, v.node], move |dy, gradients| {
        gradients.add(pattern.node, |memory| {
            let mut out = memory.take(vs.b * vs.h * square);
            out.par_chunks_mut(square).enumerate().for_each(|(i, out)| {
                let (dy, v) = (zs.head(dy, i), vs.head(v.data(), i).transposed());
                F::product_once(Level::current(), Precision::F32, Threads::This, (out, m), dy, v);
            });
            out
        });
        gradients.add(v.node, |memory| {
            vs.by_head(memory, |i| (View::new(&pattern.data()[i * square..], n, m, m).transposed(), zs.head(dy, i)))
        });
    })
}

/// The extents of a `[b, n, heads, d]` array.
#[derive(Clone, Copy)]
struct Heads {
    b: usize,
    n: usize,
    h: usize,
    d: usize,
}

impl Heads {
    fn of<F>(x: &Tensor<F>) -> Self {
        let &[b, n, h, d] = x.shape() else { unreachable!("heads are [batch, token, head, unit]") };
        Self { b, n, h, d }
    }

    fn len(self) -> usize {
        self.b * self.n * self.h * self.d
    }

    /// Head `i % h` of sequence `i / h`, `[n, d]`.
    fn head<F: Copy>(self, x: &[F], i: usize) -> View<'_, F> {
        let start = i / self.h * self.n * self.h * self.d + i % self.h * self.d;
        View::new(&x[start..], self.n, self.d, self.h * self.d)
    }

    /// Writes a `[b, n, heads, d]` array: a product `[n, m] @ [m, d]` for each head.
    fn write<'a, F: Real>(
        self,
        out: &mut [F],
        precision: Precision,
        of: impl Fn(usize) -> (View<'a, F>, View<'a, F>) + Sync,
    ) {
        let wide = self.h * self.d;
        out.par_chunks_mut(self.n * wide).enumerate().for_each(|(sequence, out)| {
            for head in 0..self.h {
                let (a, b) = of(sequence * self.h + head);
                F::product_once(Level::current(), precision, Threads::This, (&mut out[head * self.d..], wide), a, b);
            }
        });
    }

    /// The same for a gradient.
    fn by_head<'a, F: Real>(
        self,
        memory: &Memory<F>,
        of: impl Fn(usize) -> (View<'a, F>, View<'a, F>) + Sync,
    ) -> Vec<F> {
        let mut out = memory.take(self.len());
        self.write(&mut out, Precision::F32, of);
        out
    }
}
