//! Blocks by tile registers. A register holds a tile: as many rows as a row has words, which are a cache line; one instruction
//! multiplies two tiles and adds what comes out to a third.
//!
//! Sixteen steps of a vector of the right operand are a tile as they lie, packed for dot products of pairs. The left operand is packed
//! into tiles, too. The sums of four are made at a time, of two of either operand, and go by way of memory to the vectors that finish
//! them.
//!
//! A sum is made of those of one tile after the other, which the processor makes by itself: even and odd values each in their order,
//! then both together. Subnormal operands, sums and results count as zero there, whatever MXCSR says.

use crate::View;
use crate::block::{Block, Last, Place, ROWS, STEPS, activate, pointer, store, store_some};
use crate::format::Format;
use crate::packed::{LINE, Line, WIDEST};
use std::ops::Range;
use std::ptr::null;

/// Rows and columns of the sums of four tiles.
pub(crate) const SIDE: usize = 2 * LINE;
/// Words of a tile.
pub(crate) const TILE: usize = LINE * LINE;
/// Values in a row of a tile.
const VALUES: usize = 2 * LINE;
// What memory there is for the left operand is enough for whole tiles.
const _: () = assert!(ROWS.is_multiple_of(SIDE) && STEPS.is_multiple_of(LINE));
/// The most vectors of the next panel that are asked for with a tile.
pub(crate) const AHEAD: usize = 6;

/// The sums of four tiles, row after row.
#[repr(align(64))]
pub(crate) struct Sums(pub(crate) [[f32; SIDE]; SIDE]);

/// What is multiplied to make [`Sums`].
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    /// Two tiles of the left operand, then two of the next steps.
    pub(crate) a: &'a [u32],
    /// Steps of the right operand, as many as make whole tiles.
    pub(crate) b: &'a [Line],
    /// One more tile of the right operand, laid out like those before, or nothing.
    pub(crate) end: &'a [Line],
    /// Vectors from a step to the next.
    pub(crate) step: usize,
    /// Vectors from the left one of the two that are multiplied to the right one: none where there is but one.
    pub(crate) right: usize,
    /// Whole tiles along the inner extent.
    pub(crate) tiles: usize,
    /// What is read of the right operand by the tiles that come next, and how many vectors of it go by with a tile.
    pub(crate) ahead: *const Line,
    pub(crate) pace: usize,
}

/// A format with tile registers.
///
/// # Safety
/// Every function needs the instructions of its level.
pub(crate) trait Tiles: Format {
    /// Shapes the registers of this thread.
    unsafe fn shape();
    /// Gives them back.
    unsafe fn release();
    /// The sums of all products, those of one tile after those of the other, whatever is in `sums`.
    ///
    /// # Safety
    /// The registers are shaped, and there are as many tiles as the operands say.
    unsafe fn multiply_tiles(operands: &Operands<'_>, sums: &mut Sums);
}

/// [`block()`](crate::block::block) by tile registers.
///
/// # Safety
/// As of that one.
#[inline(always)]
pub(crate) unsafe fn block_by_tiles<F: Tiles>(t: &Block<'_>, left: &mut [u32]) {
    let shape = t.b.shape;
    let steps = shape.steps(t.b.rows);
    let mut sums = Sums([[0.0; SIDE]; SIDE]);
    let mut end = [Line([0; LINE]); LINE * WIDEST / LINE];
    // SAFETY: the caller's.
    unsafe { F::shape() };
    let mut step = 0;
    loop {
        let now = STEPS.min(steps - step);
        let (tiles, rest) = (now / LINE, now % LINE);
        let words = 2 * TILE * now.div_ceil(LINE);
        pack::<F>(t.a, t.rows.clone(), step * F::DEPTH..t.b.rows.min((step + now) * F::DEPTH), left);
        for p in t.panels.clone() {
            let (start, vectors) = shape.panel(p, t.b.rows, t.b.cols);
            let b = &t.b.lines[start / LINE + step * vectors..][..now * vectors];
            // A tile would be read beyond the end of its panel.
            let last_steps = &b[tiles * LINE * vectors..];
            if rest > 0 {
                let (there, beyond) = end[..LINE * vectors].split_at_mut(last_steps.len());
                there.copy_from_slice(last_steps);
                beyond.fill(Line([0; LINE]));
            }
            // Meanwhile the panel that comes next is fetched, a part with every tile.
            let looks = t.rows.len().div_ceil(SIDE) * vectors.div_ceil(2) * tiles;
            let (pace, next) = if p + 1 < t.panels.end {
                (b.len().div_ceil(looks.max(1)).min(AHEAD), shape.panel_words(t.b.rows) / LINE)
            } else {
                (0, 0)
            };
            let mut ahead = b.as_ptr().wrapping_add(next);
            for row in t.rows.clone().step_by(SIDE) {
                let n = SIDE.min(t.rows.end - row);
                for first in (0..vectors).step_by(2) {
                    let operands = Operands {
                        a: &left[(row - t.rows.start) / SIDE * words..][..words],
                        b: &b[first.min(b.len())..],
                        end: if rest > 0 { &end[first..LINE * vectors] } else { &[] },
                        step: vectors,
                        right: usize::from(first + 1 < vectors),
                        tiles,
                        ahead,
                        pace,
                    };
                    ahead = ahead.wrapping_add(pace * tiles);
                    let col = p * shape.width() + first * LINE;
                    let offset = row * t.stride + col;
                    let last = Last {
                        bias: pointer(t.finish.bias, col),
                        activation: t.finish.activation,
                        gain: pointer(t.finish.gain, col),
                        add: pointer(t.finish.add, offset),
                    };
                    // SAFETY: the caller's: panels and columns are those of `b` and of the output.
                    unsafe {
                        let place = Place {
                            out: t.out.pointer().add(offset),
                            stride: t.stride,
                            cols: SIDE.min(t.b.cols - col),
                            first: step == 0,
                            last: (step + now == steps).then_some(&last),
                        };
                        ask_for::<F>(&place, n);
                        F::multiply_tiles(&operands, &mut sums);
                        finish::<F>(&place, &sums.0[..n]);
                    }
                }
            }
        }
        step += now;
        if step >= steps {
            break;
        }
    }
    // SAFETY: the caller's.
    unsafe { F::release() };
}

/// Packs `cols` of `rows` of `a` into pairs of tiles, filled up with zeros along the inner extent. What a last pair lacks in rows
/// nobody reads.
#[inline(always)]
fn pack<F: Format>(a: View<'_, f32>, rows: Range<usize>, cols: Range<usize>, left: &mut [u32]) {
    let words = 2 * TILE * cols.len().div_ceil(VALUES);
    for (i, row) in rows.enumerate() {
        let to = &mut left[i / SIDE * words..][..words];
        for (start, to) in cols.clone().step_by(VALUES).zip(to.chunks_exact_mut(2 * TILE)) {
            let n = VALUES.min(cols.end - start);
            let mut values = [0f32; VALUES];
            let from = match a.row(row, start, n) {
                Some(whole) if n == VALUES => whole,
                Some(some) => {
                    values[..n].copy_from_slice(some);
                    &values[..]
                }
                None => {
                    for (k, value) in values[..n].iter_mut().enumerate() {
                        *value = a.at(row, start + k);
                    }
                    &values[..]
                }
            };
            let to = &mut to[i % SIDE * LINE..][..LINE];
            // SAFETY: the caller has the instructions of `F`; there are as many values as make a line, and a line.
            unsafe { F::store(to.as_mut_ptr().cast(), F::words(from.as_ptr())) };
        }
    }
}

/// Asks for where the sums of `rows` will go, and for what will be added to them.
#[inline(always)]
fn ask_for<F: Format>(place: &Place<'_>, rows: usize) {
    for from in [place.out.cast_const(), place.last.map_or(null(), |last| last.add)] {
        if !from.is_null() {
            for i in 0..rows {
                let from = from.wrapping_add(i * place.stride);
                F::prefetch::<false>(from.cast());
                F::prefetch::<false>(from.wrapping_add(LINE).cast());
            }
        }
    }
}

/// Sums to their place.
///
/// # Safety
/// As of a tile.
#[inline(always)]
unsafe fn finish<F: Format>(place: &Place<'_>, sums: &[[f32; SIDE]]) {
    // SAFETY: the caller's.
    unsafe {
        // Apart from the others: what those need is made ready before a loop that may need it.
        if place.cols == SIDE {
            for (i, row) in sums.iter().enumerate() {
                let (left, right) = row.split_at(LINE);
                store::<F, 1, 2>(place, i, [[F::load(left.as_ptr()), F::load(right.as_ptr())]]);
            }
        } else {
            for (i, row) in sums.iter().enumerate() {
                let (left, right) = row[..place.cols].split_at(if place.cols < LINE { 0 } else { LINE });
                if left.len() == LINE {
                    store::<F, 1, 1>(place, i, [[F::load(left.as_ptr())]]);
                }
                store_some(place, i, left.len(), right);
            }
        }
        activate::<F>(place, sums.len());
    }
}
