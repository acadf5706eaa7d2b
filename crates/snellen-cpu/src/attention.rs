//! Attention of all heads, without keeping its pattern.

use crate::block::Finish;
use crate::format::Precision;
use crate::packed::Packed;
use crate::product::product_here;
use crate::rows::{scale, softmax};
use crate::{Level, View};
use rayon::prelude::*;

/// Queries whose scores are kept at a time.
const QUERIES: usize = 48;

/// Extents of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Sequences.
    pub sequences: usize,
    /// Tokens that ask.
    pub queries: usize,
    /// Tokens that are asked.
    pub keys: usize,
    /// Heads.
    pub heads: usize,
    /// Units of a head.
    pub units: usize,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
}

/// `q [sequence, query, head, unit]`, `k` and `v [sequence, key, head, unit]` -> `softmax(q k^T / sqrt(units)) v` into `out`, laid out like `q`;
/// the same bytes as by the steps one at a time.
///
/// # Panics
/// If a slice is of another size, or there are queries but no keys.
pub fn attention<'a>(
    level: Level,
    precision: Precision,
    h: Heads,
    (q, k, v): (&'a [f32], &'a [f32], &'a [f32]),
    out: &mut [f32],
) {
    let wide = h.heads * h.units;
    assert_eq!([q.len(), out.len()], [h.sequences * h.queries * wide; 2], "queries and output");
    assert_eq!([k.len(), v.len()], [h.sequences * h.keys * wide; 2], "keys and values");
    if out.is_empty() {
        return;
    }
    assert!(h.keys > 0, "keys for {} queries", h.queries);
    // A task has some heads of a sequence, and puts their outputs side by side before they go to their places.
    let each = h.heads.div_ceil((4 * rayon::current_num_threads()).div_ceil(h.sequences.max(1)));
    let groups = h.heads.div_ceil(each.max(1));
    let parts: Vec<(usize, usize)> = (0..h.sequences).flat_map(|s| (0..groups).map(move |g| (s, g))).collect();
    let made: Vec<Vec<f32>> = parts
        .par_iter()
        .with_max_len(1)
        .map_init(Scratch::default, |scratch, &(s, g)| {
            let heads = g * each..h.heads.min((g + 1) * each);
            let mut z = vec![0.0; h.queries * heads.len() * h.units];
            let width = heads.len() * h.units;
            for (i, head) in heads.enumerate() {
                let of = |x: &'a [f32], tokens: usize| {
                    View::new(&x[s * tokens * wide + head * h.units..], tokens, h.units, wide)
                };
                let (q, k, v) = (of(q, h.queries), of(k, h.keys), of(v, h.keys));
                scratch.head(level, precision, h, (q, k, v), (&mut z[i * h.units..], width));
            }
            z
        })
        .collect();
    for ((s, g), z) in parts.into_iter().zip(made) {
        let width = z.len() / h.queries;
        let first = s * h.queries * wide + g * each * h.units;
        for (row, z) in z.chunks_exact(width).enumerate() {
            out[first + row * wide..][..width].copy_from_slice(z);
        }
    }
}

/// Memory of one head.
#[derive(Default)]
struct Scratch {
    k: Option<Packed>,
    v: Option<Packed>,
    pattern: Vec<f32>,
}

impl Scratch {
    fn head(
        &mut self,
        level: Level,
        precision: Precision,
        h: Heads,
        (q, k, v): (View<'_, f32>, View<'_, f32>, View<'_, f32>),
        (out, stride): (&mut [f32], usize),
    ) {
        let packed_k = self.k.get_or_insert_with(|| Packed::empty(level, precision));
        packed_k.set(k.transposed(), false);
        let packed_v = self.v.get_or_insert_with(|| Packed::empty(level, precision));
        packed_v.set(v, false);
        self.pattern.resize(QUERIES * h.keys, 0.0);
        let factor = 1.0 / (h.units as f32).sqrt();
        for first in (0..h.queries).step_by(QUERIES) {
            let n = QUERIES.min(h.queries - first);
            let pattern = &mut self.pattern[..n * h.keys];
            product_here(pattern, h.keys, q.from_row(first, n), packed_k, Finish::default());
            scale(level, pattern, factor);
            if h.causal {
                for (i, row) in pattern.chunks_exact_mut(h.keys).enumerate() {
                    row[(first + i + 1).min(h.keys)..].fill(f32::NEG_INFINITY);
                }
            }
            softmax(level, pattern, h.keys);
            let pattern = View::new(pattern, n, h.keys, h.keys);
            product_here(&mut out[first * stride..], stride, pattern, packed_v, Finish::default());
        }
    }
}
