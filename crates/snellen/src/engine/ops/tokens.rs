//! From pictures and token ids to sequences, and from sequences to one token.

use crate::engine::product::{add_into, sum_rows};
use crate::engine::{Real, Tape, Tensor};
use rayon::prelude::*;

/// `pixels [b, c, h, w]` -> `[b, patches, c * size * size]`: patches in reading order, values in order channel, row, column. Pixels
/// beyond the last whole patch are dropped, as a strided convolution does.
pub fn patches<F: Real>(tape: &mut Tape<F>, pixels: &Tensor<F>, size: usize) -> Tensor<F> {
    let &[b, c, h, w] = pixels.shape() else { unreachable!("pixels are [batch, channel, row, column]") };
    let (down, across) = (h / size, w / size);
    let (patches, width) = (down * across, c * size * size);
    let mut out = tape.buffer(b * patches * width);
    out.par_chunks_mut(patches * width).zip(pixels.data().par_chunks(c * h * w)).for_each(|(out, picture)| {
        let mut rows = out.chunks_exact_mut(size);
        for_each_patch_row(c, (h, w), size, |from| {
            if let Some(row) = rows.next() {
                row.copy_from_slice(&picture[from..from + size]);
            }
        });
    });
    let out = tape.tensor([b, patches, width], out);
    let (node, len) = (pixels.node, pixels.data().len());
    tape.push(out, &[node], move |dy, gradients| {
        gradients.add(node, |_| {
            let mut dx = vec![F::zero(); len];
            for (dx, dy) in dx.chunks_mut(c * h * w).zip(dy.chunks(patches * width)) {
                let mut rows = dy.chunks(size);
                for_each_patch_row(c, (h, w), size, |to| {
                    if let Some(row) = rows.next() {
                        dx[to..to + size].copy_from_slice(row);
                    }
                });
            }
            dx
        });
    })
}

/// Calls `at` with the offset in a picture of every row of every patch, in the order of the output.
fn for_each_patch_row(c: usize, (h, w): (usize, usize), size: usize, mut at: impl FnMut(usize)) {
    for (top, left) in (0..h / size).flat_map(|i| (0..w / size).map(move |j| (i * size, j * size))) {
        for (channel, row) in (0..c).flat_map(|channel| (0..size).map(move |row| (channel, row))) {
            at((channel * h + top + row) * w + left);
        }
    }
}

/// `tokens [r, d]` into every sequence of `x [b, n, d]`, before its token `at` -> `[b, n + r, d]`.
pub fn insert<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, tokens: &Tensor<F>, at: usize) -> Tensor<F> {
    let &[b, n, d] = x.shape() else { unreachable!("sequences are [batch, token, unit]") };
    let (before, added) = (at * d, tokens.data().len());
    let long = n * d + added;
    let mut out = tape.buffer(b * long);
    for (out, sequence) in out.chunks_mut(long).zip(x.data().chunks(n * d)) {
        out[..before].copy_from_slice(&sequence[..before]);
        out[before..before + added].copy_from_slice(tokens.data());
        out[before + added..].copy_from_slice(&sequence[before..]);
    }
    let out = tape.tensor([b, long / d, d], out);
    let (tokens_node, x_node) = (tokens.node, x.node);
    tape.push(out, &[tokens_node, x_node], move |dy, gradients| {
        gradients
            .add(tokens_node, |_| sum_rows(dy.par_chunks(long).map(|s| s[before..before + added].to_vec()), added));
        gradients.add(x_node, |_| {
            dy.chunks(long).flat_map(|s| s[..before].iter().chain(&s[before + added..])).copied().collect()
        });
    })
}

/// The mean over the tokens from `first` on of `x [b, n, d]` -> `[b, d]`.
pub fn mean_tokens<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, first: usize) -> Tensor<F> {
    let &[b, n, d] = x.shape() else { unreachable!("sequences are [batch, token, unit]") };
    let share = F::one() / F::of((n - first) as f64);
    let mut out = vec![F::zero(); b * d];
    for (mean, sequence) in out.chunks_mut(d).zip(x.data().chunks(n * d)) {
        sequence[first * d..].chunks(d).for_each(|token| add_into(mean, token));
        mean.iter_mut().for_each(|x| *x *= share);
    }
    let node = x.node;
    tape.push(Tensor::new([b, d], out), &[node], move |dy, gradients| {
        gradients.add(node, |_| {
            let mut dx = vec![F::zero(); b * n * d];
            for (dx, dy) in dx.chunks_mut(n * d).zip(dy.chunks(d)) {
                for token in dx[first * d..].chunks_mut(d) {
                    token.iter_mut().zip(dy).for_each(|(x, y)| *x = *y * share);
                }
            }
            dx
        });
    })
}

/// The first `n` rows of `table [rows, d]`, for each of `b` sequences -> `[b, n, d]`.
pub fn repeat<F: Real>(tape: &mut Tape<F>, table: &Tensor<F>, b: usize, n: usize) -> Tensor<F> {
    let d = table.width();
    let mut out = tape.buffer(b * n * d);
    out.chunks_mut(n * d).for_each(|out| out.copy_from_slice(&table.data()[..n * d]));
    let out = tape.tensor([b, n, d], out);
    let (node, len) = (table.node, table.data().len());
    tape.push(out, &[node], move |dy, gradients| {
        gradients.add(node, |_| {
            let mut sum = sum_rows(dy.par_chunks(n * d).map(<[F]>::to_vec), n * d);
            sum.resize(len, F::zero());
            sum
        });
    })
}

/// Rows of `table [vocabulary, d]` by id -> `[b, n, d]`; `ids` are `b` sequences of `n`.
pub fn embed<F: Real>(tape: &mut Tape<F>, table: &Tensor<F>, ids: &[u32], n: usize) -> Tensor<F> {
    let d = table.width();
    let out = ids.iter().flat_map(|id| &table.data()[*id as usize * d..][..d]).copied().collect();
    let (node, len, ids_kept) = (table.node, table.data().len(), ids.to_vec());
    tape.push(Tensor::new([ids.len() / n, n, d], out), &[node], move |dy, gradients| {
        gradients.add(node, |_| {
            let mut sum = vec![F::zero(); len];
            for (id, row) in ids_kept.iter().zip(dy.chunks(d)) {
                add_into(&mut sum[*id as usize * d..][..d], row);
            }
            sum
        });
    })
}

/// Token `at[i]` of sequence `i` of `x [b, n, d]` -> `[b, d]`.
pub fn select<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, at: &[usize]) -> Tensor<F> {
    let &[b, n, d] = x.shape() else { unreachable!("sequences are [batch, token, unit]") };
    let out = at.iter().enumerate().flat_map(|(i, t)| &x.data()[(i * n + t) * d..][..d]).copied().collect();
    let (node, at) = (x.node, at.to_vec());
    tape.push(Tensor::new([b, d], out), &[node], move |dy, gradients| {
        gradients.add(node, |_| {
            let mut dx = vec![F::zero(); b * n * d];
            for ((i, t), row) in at.iter().enumerate().zip(dy.chunks(d)) {
                dx[(i * n + t) * d..][..d].copy_from_slice(row);
            }
            dx
        });
    })
}
