//! Attention of all heads, without keeping its pattern.

use crate::block::{Finish, Shared};
use crate::format::Precision;
use crate::packed::Packed;
use crate::product::{product_here, product_to};
use crate::rows::softmax;
use crate::{Level, View};
use rayon::prelude::*;
use std::cell::RefCell;

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
    // A task has some heads of a sequence: as many as leave every thread four tasks.
    let each = h.heads.div_ceil((4 * rayon::current_num_threads()).div_ceil(h.sequences)).max(1);
    let groups = h.heads.div_ceil(each);
    let shared = Shared(out.as_mut_ptr());
    (0..h.sequences * groups).into_par_iter().with_max_len(1).for_each(|task| {
        let (s, first) = (task / groups, task % groups * each);
        // Taken out and put back: a thread that waits may be given another task of this kind.
        let mut scratch = SCRATCH.take().filter(|s| (s.k.level, s.k.precision) == (level, precision));
        let scratch_here = scratch.get_or_insert_with(|| Scratch::new(level, precision));
        let last = h.heads.min(first + each);
        let of_head = |head: usize| {
            let of = |x: &'a [f32], tokens: usize| {
                View::new(&x[s * tokens * wide + head * h.units..], tokens, h.units, wide)
            };
            (of(q, h.queries), of(k, h.keys), of(v, h.keys))
        };
        for head in first..last {
            let (q, k, v) = of_head(head);
            // A head's rows are far apart: the next head's are fetched while there is something else to do.
            if head + 1 < last {
                let (q, k, v) = of_head(head + 1);
                [k, v, q].iter().for_each(View::prefetch);
            }
            // SAFETY: a head's columns of a sequence's rows are inside of the output, and no other head's.
            unsafe {
                let out = shared.pointer().add(s * h.queries * wide + head * h.units);
                scratch_here.head(h, (q, k, v), (out, wide));
            }
        }
        SCRATCH.set(scratch);
    });
}

thread_local! {
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

/// Memory of one head.
struct Scratch {
    k: Packed,
    v: Packed,
    pattern: Vec<f32>,
    /// What scores are multiplied by, once for every key.
    factors: Vec<f32>,
}

impl Scratch {
    fn new(level: Level, precision: Precision) -> Self {
        let empty = || Packed::empty(level, precision);
        Self { k: empty(), v: empty(), pattern: Vec::new(), factors: Vec::new() }
    }

    /// # Safety
    /// `out` has places for as many rows as there are queries, `stride` apart, which nobody else uses meanwhile.
    unsafe fn head(
        &mut self,
        h: Heads,
        (q, k, v): (View<'_, f32>, View<'_, f32>, View<'_, f32>),
        (out, stride): (*mut f32, usize),
    ) {
        let level = self.k.level;
        self.k.set(k.transposed(), false);
        self.v.set(v, false);
        // Whole vectors of scores: what the last lacks is packed as zeros, and nobody reads it.
        let columns = h.keys.next_multiple_of(self.k.shape.lanes);
        self.k.cols = columns;
        self.pattern.resize(self.pattern.len().max(QUERIES * columns), 0.0);
        self.factors.clear();
        self.factors.resize(columns, 1.0 / (h.units as f32).sqrt());
        let scaled = Finish { gain: Some(&self.factors), ..Finish::default() };
        for first in (0..h.queries).step_by(QUERIES) {
            let n = QUERIES.min(h.queries - first);
            let pattern = &mut self.pattern[..n * columns];
            product_here(pattern, columns, q.from_row(first, n), &self.k, scaled);
            if h.causal {
                for (i, row) in pattern.chunks_exact_mut(columns).enumerate() {
                    row[(first + i + 1).min(h.keys)..h.keys].fill(f32::NEG_INFINITY);
                }
            }
            softmax(level, pattern, h.keys, columns);
            let pattern = View::new(pattern, n, h.keys, columns);
            // SAFETY: the caller's.
            unsafe { product_to(out.add(first * stride), stride, pattern, &self.v, Finish::default()) };
        }
    }
}
