//! Attention of all heads, without keeping its pattern.

use crate::block::{Last, Place, STEPS, Shared, Tile, by_size};
use crate::format::{Format, Precision, per_format};
use crate::left::pack_left;
use crate::level::set;
use crate::packed::{LINE, Line, Packed, Panels, WIDEST, fill_panels, flat};
use crate::product::{product_here, product_to};
use crate::rows::{LANES, softmax};
use crate::{Finish, Level, Real, View};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ptr::null;
use std::slice::from_raw_parts_mut;

/// The most vectors of queries whose scores are kept at a time: few, so that they stay in the nearest cache.
const VECTORS: usize = 2;
/// Queries whose scores are kept at a time where they are made by products of their own.
const QUERIES: usize = 64;

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
    assert!(level.is_supported(), "this processor cannot run {level}");
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
        let mut scratch = SCRATCH.replace(Scratch::empty());
        scratch.resize(Panels::at(level, precision), h.keys, h.units);
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
                let head = Head { q, k, v, causal: h.causal, out, stride: wide };
                if (level, precision) == (Level::AmxBf16, Precision::Bf16) {
                    attend_by_products(level, precision, &head, &mut scratch);
                } else {
                    run_head(level, precision, &head, &mut scratch);
                }
            }
        }
        SCRATCH.set(scratch);
    });
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::empty()) };
}

/// Memory of one head.
struct Scratch {
    /// The keys as a left operand.
    k: Vec<Line>,
    /// Some queries as a right operand.
    q: Vec<Line>,
    /// The values as a right operand.
    v: Vec<Line>,
    /// Scores of all keys (rows) and some queries (columns), and what becomes of them.
    pattern: Vec<Line>,
    /// Keys and values as operands of products of their own.
    packed: Option<[Packed; 2]>,
}

impl Scratch {
    const fn empty() -> Self {
        Self { k: Vec::new(), q: Vec::new(), v: Vec::new(), pattern: Vec::new(), packed: None }
    }

    /// Makes room for a head of `keys` keys.
    fn resize(&mut self, s: Panels, keys: usize, units: usize) {
        let queries = width(s);
        grow(&mut self.k, (keys.next_multiple_of(s.rows_of_tile) * s.steps(units)).div_ceil(LINE));
        grow(&mut self.q, s.lines(units, queries));
        grow(&mut self.v, s.lines(keys, units));
        grow(&mut self.pattern, keys * queries.next_multiple_of(LANES) / LINE);
    }
}

/// Makes room for `n` lines.
fn grow(lines: &mut Vec<Line>, n: usize) {
    lines.resize(lines.len().max(n), Line([0; LINE]));
}

/// Queries whose scores are kept at a time.
fn width(s: Panels) -> usize {
    s.lanes * s.vectors.min(VECTORS)
}

/// A head's queries, keys and values, and where its output is and how far its rows are apart.
struct Head<'a> {
    q: View<'a, f32>,
    k: View<'a, f32>,
    v: View<'a, f32>,
    causal: bool,
    out: *mut f32,
    stride: usize,
}

per_format! {
    /// Attention of a head.
    ///
    /// # Safety
    /// The processor can run this level, and there is room for the head; the output has places for as many rows as there are
    /// queries, which nobody else uses meanwhile.
    unsafe fn run_head(head: &Head<'_>, scratch: &mut Scratch) by attend;
}

/// Scores are made transposed, a row for each key and a column for each query. Then a softmax is made of whole vectors, without
/// any sum within one; and its output lies as a left operand does, so that it is multiplied by the values where it is.
#[inline(always)]
unsafe fn attend<F: Format>(head: &Head<'_>, scratch: &mut Scratch) {
    let Head { q, k, v, .. } = *head;
    let Scratch { k: left, q: right, v: values, pattern, .. } = scratch;
    let shape = Panels::of::<F>();
    let (keys, units) = (k.rows(), k.cols());
    let (steps, width) = (shape.steps(units), width(shape));
    pack_left::<F>(k, 0..keys, 0..units, flat(left));
    // SAFETY: the caller's.
    unsafe { fill_panels::<F>(v, 0, flat(values)) };
    let factors = [1.0 / (units as f32).sqrt(); WIDEST];
    let scaled = Last { bias: null(), activation: None, gain: factors.as_ptr(), add: null() };
    for first in (0..q.rows()).step_by(width) {
        let n = width.min(q.rows() - first);
        // SAFETY: the caller's.
        unsafe { fill_panels::<F>(q.from_row(first, n).transposed(), 0, flat(right)) };
        let cols = n.next_multiple_of(F::LANES);
        let stride = cols.next_multiple_of(LANES);
        let scores = &mut flat(pattern)[..keys * stride];
        // SAFETY: words and f32 are of one size, and any bits are either.
        let scores = unsafe { from_raw_parts_mut(scores.as_mut_ptr().cast::<f32>(), keys * stride) };
        let tile = Tile {
            steps,
            a: flat(left).as_ptr(),
            a_step: F::ROWS,
            b: flat(right).as_ptr(),
            place: Place { out: scores.as_mut_ptr(), stride, cols, first: true, last: Some(&scaled) },
            ahead: null(),
            pace: 0,
        };
        for row in (0..keys).step_by(F::ROWS) {
            // SAFETY: the keys have a tile for every such row, and the scores have its rows.
            unsafe {
                let (a, out) = (tile.a.add(row * steps), tile.place.out.add(row * stride));
                let place = Place { out, ..tile.place };
                tiles::<F>(F::ROWS.min(keys - row), cols / F::LANES, Tile { a, place, ..tile });
            }
        }
        if cols < stride || head.causal {
            for (key, row) in scores.chunks_exact_mut(stride).enumerate() {
                row[cols..].fill(0.0);
                if head.causal {
                    row[..key.saturating_sub(first).min(cols)].fill(f32::NEG_INFINITY);
                }
            }
        }
        for col in (0..stride).step_by(LANES) {
            // SAFETY: the caller's; `scores` has whole rows.
            unsafe { normalise::<F>(scores.as_mut_ptr().add(col), keys, stride) };
        }
        let tile = Tile { steps: keys.div_ceil(F::DEPTH), a: scores.as_ptr().cast(), a_step: stride, ..tile };
        for row in (0..n).step_by(F::ROWS) {
            for panel in 0..units.div_ceil(shape.width()) {
                let (start, vectors) = shape.panel(panel, keys, units);
                let col = panel * shape.width();
                // SAFETY: the caller's; a row of the pattern has `stride` words, of which these are some.
                unsafe {
                    let (a, b) = (tile.a.add(row), flat(values).as_ptr().add(start));
                    let out = head.out.add((first + row) * head.stride + col);
                    let cols = (vectors * F::LANES).min(units - col);
                    let place = Place { out, stride: head.stride, cols, first: true, last: None };
                    tiles::<F>(F::ROWS.min(n - row), vectors, Tile { a, b, place, ..tile });
                }
            }
        }
    }
}

/// The same by the steps one at a time. Tile registers add in an order of their own, in which the scores have to be added, too, and
/// read their left operand row after row. (On an Emerald Rapids this takes .5 to 1 of the time of [`run_head`] with pairs.)
///
/// # Safety
/// As of [`run_head`].
unsafe fn attend_by_products(level: Level, precision: Precision, head: &Head<'_>, scratch: &mut Scratch) {
    let Head { q, k, v, .. } = *head;
    let keys = k.rows();
    let kept = scratch.packed.take().filter(|[k, _]| (k.level(), k.precision()) == (level, precision));
    let empty = || [Packed::empty(level, precision), Packed::empty(level, precision)];
    let [packed_k, packed_v] = scratch.packed.insert(kept.unwrap_or_else(empty));
    packed_k.set(k.transposed(), false);
    packed_v.set(v, false);
    let factors = vec![1.0 / (k.cols() as f32).sqrt(); keys];
    let scaled = Finish { gain: Some(&factors), ..Finish::default() };
    grow(&mut scratch.pattern, QUERIES * keys / LINE);
    let words = flat(&mut scratch.pattern);
    for first in (0..q.rows()).step_by(QUERIES) {
        let n = QUERIES.min(q.rows() - first);
        let scores = &mut words[..n * keys];
        // SAFETY: words and f32 are of one size, and any bits are either.
        let scores = unsafe { from_raw_parts_mut(scores.as_mut_ptr().cast::<f32>(), n * keys) };
        product_here(scores, keys, q.from_row(first, n), packed_k, scaled);
        if head.causal {
            for (i, row) in scores.chunks_exact_mut(keys).enumerate() {
                row[keys.min(first + i + 1)..].fill(f32::NEG_INFINITY);
            }
        }
        softmax(level, scores, keys);
        let pattern = View::new(scores, n, keys, keys);
        // SAFETY: the caller's: a row of output for every query.
        unsafe {
            let out = head.out.add(first * head.stride);
            product_to(out, head.stride, pattern, packed_v, Finish::default());
        }
    }
}

/// Softmax of 16 columns, as words of a left operand: the operations of [`softmax`](crate::rows::softmax) of a row, in their order.
///
/// # Safety
/// The processor has the instructions of `F`, and `x` has 16 values at every `stride`, `keys` times.
#[inline(always)]
unsafe fn normalise<F: Format>(x: *mut f32, keys: usize, stride: usize) {
    let mut factors = [0f32; LANES];
    // Running sums, each of every sixteenth key.
    let mut sums = [[0f32; LANES]; LANES];
    // SAFETY: the caller's.
    unsafe {
        for lane in (0..LANES).step_by(F::LANES) {
            let mut most = F::load([f32::NEG_INFINITY; LANES].as_ptr());
            for key in 0..keys {
                most = F::larger(F::load(x.add(key * stride + lane)), most);
            }
            // A difference is the sum with what is negated.
            F::store(factors.as_mut_ptr().add(lane), F::scale(most, F::load([-1f32; LANES].as_ptr())));
        }
        for key in 0..keys {
            let row = x.add(key * stride);
            let sum = sums[key % LANES].as_mut_ptr();
            for lane in (0..LANES).step_by(F::LANES) {
                F::store(row.add(lane), F::add(F::load(row.add(lane)), F::load(factors.as_ptr().add(lane))));
            }
            let values = &mut *row.cast::<[f32; LANES]>();
            match F::SET {
                set::AVX512 => f32::powers_of_e::<{ set::AVX512 }>(values),
                set::FUSED => f32::powers_of_e::<{ set::FUSED }>(values),
                _ => f32::powers_of_e::<{ set::PLAIN }>(values),
            }
            for lane in (0..LANES).step_by(F::LANES) {
                F::store(sum.add(lane), F::add(F::load(sum.add(lane)), F::load(row.add(lane))));
            }
        }
        let mut n = LANES;
        while n > 1 {
            n /= 2;
            for i in 0..n {
                let (sum, other) = (sums[i].as_mut_ptr(), sums[i + n].as_ptr());
                for lane in (0..LANES).step_by(F::LANES) {
                    F::store(sum.add(lane), F::add(F::load(sum.add(lane)), F::load(other.add(lane))));
                }
            }
        }
        for (factor, sum) in factors.iter_mut().zip(&sums[0]) {
            *factor = 1.0 / *sum;
        }
        // A row of words takes the place of the row of values that it begins with, or of one before.
        for (step, key) in (0..keys).step_by(F::DEPTH).enumerate() {
            for lane in (0..LANES).step_by(F::LANES) {
                let factor = F::load(factors.as_ptr().add(lane));
                let from = x.add(key * stride + lane);
                let upper = F::scale(F::load(from), factor);
                let lower = if F::DEPTH == 2 && key + 1 < keys {
                    F::scale(F::load(from.add(stride)), factor)
                } else {
                    F::zero()
                };
                F::store(x.add(step * stride + lane), F::stacked(upper, lower));
            }
        }
    }
}

/// A tile of any number of steps: sums of [`STEPS`] are added to those before.
///
/// # Safety
/// As of a tile.
#[inline(always)]
unsafe fn tiles<F: Format>(rows: usize, vectors: usize, t: Tile<'_>) {
    let words = vectors * if F::HALVES { F::LANES / 2 } else { F::LANES };
    let mut step = 0;
    loop {
        let now = STEPS.min(t.steps - step);
        // SAFETY: the caller's.
        unsafe {
            let (a, b) = (t.a.add(step * t.a_step), t.b.add(step * words));
            let last = t.place.last.filter(|_| step + now == t.steps);
            let place = Place { first: step == 0, last, ..t.place };
            by_size::<F>(rows, vectors, &Tile { steps: now, a, b, place, ahead: b, ..t });
        }
        step += now;
        if step >= t.steps {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, Heads, Panels, Scratch, attend_by_products, attention};
    use crate::{Level, Precision, View};

    #[test]
    fn attention_by_products_is_the_same_at_every_level() {
        let values = |n: usize, seed: usize| -> Vec<f32> {
            (0..n).map(|i| ((i * 37 + seed) % 101) as f32 / 50.0 - 1.0).collect()
        };
        for (queries, keys, units, causal) in
            [(1, 1, 1, false), (70, 70, 17, true), (130, 33, 64, false), (5, 1_100, 3, false)]
        {
            let (q, k, v) = (values(queries * units, 1), values(keys * units, 2), values(keys * units, 3));
            let of = |x, tokens| View::new(x, tokens, units, units);
            for level in Level::ALL.into_iter().filter(|level| level.is_supported()) {
                for precision in Precision::ALL {
                    let h = Heads { sequences: 1, queries, keys, heads: 1, units, causal };
                    let (mut by_tiles, mut by_products) = (vec![7.0; q.len()], vec![7.0; q.len()]);
                    attention(level, precision, h, (&q, &k, &v), &mut by_tiles);
                    let mut scratch = Scratch::empty();
                    scratch.resize(Panels::at(level, precision), keys, units);
                    let (out, stride) = (by_products.as_mut_ptr(), units);
                    let head = Head { q: of(&q, queries), k: of(&k, keys), v: of(&v, keys), causal, out, stride };
                    // SAFETY: the level was asked for, and the output is as large as the queries.
                    unsafe { attend_by_products(level, precision, &head, &mut scratch) };
                    let bits = |x: &[f32]| -> Vec<u32> { x.iter().map(|x| x.to_bits()).collect() };
                    assert_eq!(bits(&by_tiles), bits(&by_products), "{level} {precision}, {h:?}");
                }
            }
        }
    }
}
