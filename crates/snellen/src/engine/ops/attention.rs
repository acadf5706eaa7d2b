//! Scaled dot-product attention in three steps, so that scores and pattern can be read and changed between them.

use crate::engine::product::{product, rows};
use crate::engine::reduce::{sum_of, sum_of_two};
use crate::engine::{Real, Tape, Tensor};
use faer::Accum;
use rayon::prelude::*;

/// `q [b, query, heads, d]`, `k [b, key, heads, d]` -> `q k^T / sqrt(d)` as `[b, heads, query, key]`; `-inf` where `causal` and the
/// key is later than the query.
pub fn scores<F: Real>(tape: &mut Tape<F>, q: &Tensor<F>, k: &Tensor<F>, causal: bool) -> Tensor<F> {
    let (qs, ks) = (Heads::of(q), Heads::of(k));
    let (n, m) = (qs.n, ks.n);
    let scale = F::one() / F::of(qs.d as f64).sqrt();
    let mut out = vec![F::zero(); qs.b * qs.h * n * m];
    out.par_chunks_mut(n * m).enumerate().for_each(|(i, out)| {
        let (q, k) = (qs.head(q.data(), i), ks.head(k.data(), i));
        product(out, (n, m, m), Accum::Replace, q, k.transpose(), scale);
        if causal {
            for (query, row) in out.chunks_mut(m).enumerate() {
                row[query + 1..].fill(F::neg_infinity());
            }
        }
    });
    let (q, k) = (q.clone(), k.clone());
    tape.push(Tensor::new([qs.b, qs.h, n, m], out), &[&q.clone(), &k.clone()], move |dy, gradients| {
        let square = |i: usize| rows(&dy[i * n * m..], n, m, m);
        gradients.add(q.node, || qs.by_head(|i| (square(i), ks.head(k.data(), i), scale)));
        gradients.add(k.node, || ks.by_head(|i| (square(i).transpose(), qs.head(q.data(), i), scale)));
    })
}

/// Softmax over the last axis.
pub fn softmax<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>) -> Tensor<F> {
    let n = x.width();
    let piece = n * x.dim(x.shape().len() - 2);
    let mut out = x.data().to_vec();
    out.par_chunks_mut(piece).for_each(|rows| {
        for row in rows.chunks_mut(n) {
            let max = row.iter().copied().fold(F::neg_infinity(), F::max);
            row.iter_mut().for_each(|x| *x = (*x - max).power_of_e());
            let scale = F::one() / sum_of(row, |x| x);
            row.iter_mut().for_each(|x| *x *= scale);
        }
    });
    let (node, y) = (x.node, Tensor::new(x.shape(), out));
    let pattern = y.clone();
    tape.push(y, &[x], move |dy, gradients| {
        gradients.add(node, || {
            let mut dx = dy.to_vec();
            dx.par_chunks_mut(piece).zip(pattern.data().par_chunks(piece)).for_each(|(dx, y)| {
                for (dx, y) in dx.chunks_mut(n).zip(y.chunks(n)) {
                    let along = sum_of_two(dx, y, |g, y| g * y);
                    for (g, y) in dx.iter_mut().zip(y) {
                        *g = (*g - along) * *y;
                    }
                }
            });
            dx
        });
    })
}

/// `pattern [b, heads, query, key]` of `v [b, key, heads, d]` -> `[b, query, heads, d]`.
pub fn mix<F: Real>(tape: &mut Tape<F>, pattern: &Tensor<F>, v: &Tensor<F>) -> Tensor<F> {
    let vs = Heads::of(v);
    let (n, m) = (pattern.dim(2), vs.n);
    let zs = Heads { n, ..vs };
    let square = n * m;
    let out = zs.by_head(|i| (rows(&pattern.data()[i * square..], n, m, m), vs.head(v.data(), i), F::one()));
    let (pattern, v) = (pattern.clone(), v.clone());
    let z = Tensor::new([zs.b, n, zs.h, zs.d], out);
    tape.push(z, &[&pattern.clone(), &v.clone()], move |dy, gradients| {
        gradients.add(pattern.node, || {
            let mut out = vec![F::zero(); vs.b * vs.h * square];
            out.par_chunks_mut(square).enumerate().for_each(|(i, out)| {
                product(out, (n, m, m), Accum::Replace, zs.head(dy, i), vs.head(v.data(), i).transpose(), F::one());
            });
            out
        });
        gradients.add(v.node, || {
            vs.by_head(|i| (rows(&pattern.data()[i * square..], n, m, m).transpose(), zs.head(dy, i), F::one()))
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
    fn of<F: Real>(x: &Tensor<F>) -> Self {
        let &[b, n, h, d] = x.shape() else { unreachable!("heads are [batch, token, head, unit]") };
        Self { b, n, h, d }
    }

    /// Head `i % h` of sequence `i / h`, `[n, d]`.
    fn head<F: Real>(self, x: &[F], i: usize) -> faer::MatRef<'_, F> {
        let start = i / self.h * self.n * self.h * self.d + i % self.h * self.d;
        rows(&x[start..], self.n, self.d, self.h * self.d)
    }

    /// A `[b, n, heads, d]` array from a product `[n, m] @ [m, d]` for each head.
    fn by_head<'a, F: Real>(
        self,
        of: impl Fn(usize) -> (faer::MatRef<'a, F>, faer::MatRef<'a, F>, F) + Sync,
    ) -> Vec<F> {
        let wide = self.h * self.d;
        let mut out = vec![F::zero(); self.b * self.n * wide];
        out.par_chunks_mut(self.n * wide).enumerate().for_each(|(sequence, out)| {
            for head in 0..self.h {
                let (a, b, scale) = of(sequence * self.h + head);
                product(&mut out[head * self.d..], (self.n, self.d, wide), Accum::Replace, a, b, scale);
            }
        });
        out
    }
}
