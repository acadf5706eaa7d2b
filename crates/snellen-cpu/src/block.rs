//! The innermost loops: a block of rows of the left operand times some panels of the right one.

use crate::View;
use crate::activation::{Activation, activate_row};
use crate::format::Format;
use crate::left::pack_left;
use crate::level::set;
use crate::packed::{LINE, Line, Packed, flat};
use std::cell::RefCell;
use std::ops::Range;
use std::ptr::null;
use std::slice::from_raw_parts_mut;

/// The most steps that are made before sums are added to those of the steps before.
pub(crate) const STEPS: usize = 1024;
/// The most rows of a block: a multiple of the rows of every format's tile.
pub(crate) const ROWS: usize = 192;
/// Steps that are made between two looks ahead.
const UNROLLED: usize = 4;
/// Words of the left operand that are asked for before they are needed.
const AHEAD: usize = 96;

/// What is done to the sums of a product, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finish<'a, F = f32> {
    /// One value a column, added.
    pub bias: Option<&'a [F]>,
    /// Applied then.
    pub activation: Option<Activation>,
    /// One value a column, multiplied by then.
    pub gain: Option<&'a [F]>,
    /// A matrix as large as the output and laid out like it, added at last.
    pub add: Option<&'a [F]>,
}

/// A pointer that tasks share, each for a part of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub(crate) *mut f32);

// SAFETY: whoever makes one sees to it that no two threads use the same part.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn pointer(self) -> *mut f32 {
        self.0
    }
}

/// One task of a product.
pub(crate) struct Block<'a> {
    pub(crate) a: View<'a, f32>,
    pub(crate) rows: Range<usize>,
    pub(crate) b: &'a Packed,
    pub(crate) panels: Range<usize>,
    /// The output's first value, and how far its rows are apart.
    pub(crate) out: Shared,
    pub(crate) stride: usize,
    pub(crate) finish: Finish<'a>,
}

thread_local! {
    static LEFT: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Memory for the packed left operand of a block: this thread's, for as long as `run` takes.
pub(crate) fn with_left(run: impl FnOnce(&mut [u32])) {
    let mut left = LEFT.take();
    left.resize(ROWS * STEPS / LINE, Line([0; LINE]));
    run(flat(&mut left));
    LEFT.set(left);
}

/// Where the sums of a tile go, and what becomes of them.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) out: *mut f32,
    pub(crate) stride: usize,
    /// Columns of the output that the tile covers.
    pub(crate) cols: usize,
    pub(crate) first: bool,
    pub(crate) last: Option<&'a Last>,
}

/// A tile's operands and place.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    pub(crate) steps: usize,
    /// The words of the left operand, and how far those of a step are from those of the next.
    pub(crate) a: *const u32,
    pub(crate) a_step: usize,
    pub(crate) b: *const u32,
    pub(crate) place: Place<'a>,
    /// What is read of the right operand by the tiles that come next, and how many words of it go by in [`UNROLLED`] steps.
    pub(crate) ahead: *const u32,
    pub(crate) pace: usize,
}

/// [`Finish`] at a tile's first column; null for nothing.
pub(crate) struct Last {
    pub(crate) bias: *const f32,
    pub(crate) activation: Option<Activation>,
    pub(crate) gain: *const f32,
    pub(crate) add: *const f32,
}

/// Makes the task `t`, with `left` from [`with_left`].
///
/// A closure would not be compiled for the instructions of its surroundings: there is none here.
///
/// # Safety
/// The processor has the instructions of `F`, for which `b` is packed; `a`'s columns are `b`'s rows; `rows` are at most [`ROWS`] of
/// `a`'s; the output and what `finish` holds have a place for every row and column of the block, and nobody else reads or
/// writes the output's meanwhile.
#[inline(always)]
pub(crate) unsafe fn block<F: Format>(t: &Block<'_>, left: &mut [u32]) {
    let (steps, depth) = (t.b.shape.steps(t.b.rows), F::DEPTH);
    let mut step = 0;
    loop {
        let now = STEPS.min(steps - step);
        let end = t.b.rows.min((step + now) * depth);
        pack_left::<F>(t.a, t.rows.clone(), step * depth..end, left);
        for p in t.panels.clone() {
            let (start, vectors) = t.b.shape.panel(p, t.b.rows, t.b.cols);
            let col = p * t.b.shape.width();
            let cols = (vectors * F::LANES).min(t.b.cols - col);
            // Meanwhile the panel that comes next is fetched, a part with every tile.
            let words = now * vectors * t.b.shape.words;
            let looks = t.rows.len().div_ceil(F::ROWS) * (now / UNROLLED);
            let (pace, next) = if p + 1 < t.panels.end {
                (words.div_ceil(looks.max(1)), t.b.shape.panel_words(t.b.rows))
            } else {
                (0, 0)
            };
            // SAFETY: the caller's: panels and columns are those of `b` and of the output.
            unsafe {
                let b = t.b.lines.as_ptr().cast::<u32>().add(start + step * vectors * t.b.shape.words);
                let mut ahead = b.wrapping_add(next);
                let mut row = t.rows.start;
                while row < t.rows.end {
                    let n = F::ROWS.min(t.rows.end - row);
                    let offset = row * t.stride;
                    let last = Last {
                        bias: pointer(t.finish.bias, col),
                        activation: t.finish.activation,
                        gain: pointer(t.finish.gain, col),
                        add: pointer(t.finish.add, offset + col),
                    };
                    let place = Place {
                        out: t.out.pointer().add(offset + col),
                        stride: t.stride,
                        cols,
                        first: step == 0,
                        last: (step + now == steps).then_some(&last),
                    };
                    let a = left.as_ptr().add((row - t.rows.start) * now);
                    by_size::<F>(n, vectors, &Tile { steps: now, a, a_step: F::ROWS, b, place, ahead, pace });
                    // Here and not in the tile, of which there are 24 kinds, for the sake of the compiler.
                    activate::<F>(&place, n);
                    ahead = ahead.wrapping_add(now / UNROLLED * pace);
                    row += n;
                }
            }
        }
        step += now;
        if step >= steps {
            break;
        }
    }
}

/// Where the value `at` is; null where there are none.
#[inline(always)]
pub(crate) fn pointer(values: Option<&[f32]>, at: usize) -> *const f32 {
    match values {
        Some(values) => values[at..].as_ptr(),
        None => null(),
    }
}

/// The kernel of a tile of `rows` and `vectors`.
#[inline(always)]
pub(crate) unsafe fn by_size<F: Format>(rows: usize, vectors: usize, t: &Tile<'_>) {
    macro_rules! kernels {
        ($($v:literal)*) => {
            // SAFETY: the caller's.
            unsafe {
                match (rows, vectors) {
                    $((1, $v) if $v <= F::VECTORS => F::tile::<1, $v>(t),
                    (2, $v) if $v <= F::VECTORS => F::tile::<2, $v>(t),
                    (3, $v) if $v <= F::VECTORS => F::tile::<3, $v>(t),
                    (4, $v) if $v <= F::VECTORS => F::tile::<4, $v>(t),
                    (5, $v) if $v <= F::VECTORS => F::tile::<5, $v>(t),
                    (6, $v) if $v <= F::VECTORS => F::tile::<6, $v>(t),)*
                    _ => unreachable!("a tile of {rows} rows and {vectors} vectors"),
                }
            }
        };
    }
    kernels!(1 2 3 4);
}

/// One step of a tile.
#[inline(always)]
unsafe fn step<F: Format, const M: usize, const V: usize>(a: *const u32, b: *const u32, sums: &mut [[F::V; V]; M]) {
    let words = if F::HALVES { F::LANES / 2 } else { F::LANES };
    // SAFETY: the caller's: M words of `a`, V vectors of `b`.
    unsafe {
        let mut right = [F::zero(); V];
        for (j, right) in right.iter_mut().enumerate() {
            *right = F::right(b.add(j * words));
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            let left = F::left(a.add(i));
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = F::multiply(left, right, *sum);
            }
        }
    }
}

/// Makes a tile: what [`Format::tile`] of every format is compiled from.
#[inline(always)]
pub(crate) unsafe fn tile<F: Format, const M: usize, const V: usize>(t: &Tile<'_>) {
    let words = if F::HALVES { F::LANES / 2 } else { F::LANES };
    // SAFETY: the caller's: `a` has `steps` times as many words as a tile has rows, `b` as many vectors, the output M rows.
    unsafe {
        // Where the sums will go, and what will be added to them.
        for from in [t.place.out.cast_const(), t.place.last.map_or(null(), |last| last.add)] {
            if !from.is_null() {
                for i in 0..M {
                    let from = from.wrapping_add(i * t.place.stride);
                    (0..V * F::LANES).step_by(LINE).for_each(|col| F::prefetch::<true>(from.wrapping_add(col).cast()));
                }
            }
        }
        let mut sums = [[F::zero(); V]; M];
        let (mut a, mut b, mut ahead) = (t.a, t.b, t.ahead);
        for _ in 0..t.steps / UNROLLED {
            F::prefetch::<true>(a.wrapping_add(AHEAD));
            F::prefetch::<true>(a.wrapping_add(AHEAD + LINE));
            F::prefetch::<false>(ahead);
            ahead = ahead.wrapping_add(t.pace);
            for u in 0..UNROLLED {
                step::<F, M, V>(a.add(u * t.a_step), b.add(u * V * words), &mut sums);
            }
            a = a.add(UNROLLED * t.a_step);
            b = b.add(UNROLLED * V * words);
        }
        for u in 0..t.steps % UNROLLED {
            step::<F, M, V>(a.add(u * t.a_step), b.add(u * V * words), &mut sums);
        }
        if t.place.cols == V * F::LANES {
            return store::<F, M, V>(&t.place, 0, sums);
        }
        // The loops over sums are short and of known lengths. A longer one would not be unrolled, and what is walked by a loop
        // cannot be a register: every sum would then be kept in memory, in the loop above, too.
        let mut rows = [[0f32; 64]; M];
        for (row, sums) in rows.iter_mut().zip(&sums) {
            for (j, sum) in sums.iter().enumerate() {
                F::store(row.as_mut_ptr().add(j * F::LANES), *sum);
            }
        }
        for (i, row) in rows.iter().enumerate() {
            store_some(&t.place, i, 0, &row[..t.place.cols]);
        }
    }
}

/// The sums of a tile, or of its rows from `row` on, to their place. One thing is done to all of them before the next, so that they
/// stay in registers.
#[inline(always)]
pub(crate) unsafe fn store<F: Format, const M: usize, const V: usize>(
    t: &Place<'_>,
    row: usize,
    mut sums: [[F::V; V]; M],
) {
    // SAFETY: the caller's.
    unsafe {
        let out = t.out.add(row * t.stride);
        if !t.first {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (j, v) in sums.iter_mut().enumerate() {
                    *v = F::add(F::load(out.add(i * t.stride + j * F::LANES)), *v);
                }
            }
        }
        if let Some(last) = t.last {
            if !last.bias.is_null() {
                for j in 0..V {
                    let bias = F::load(last.bias.add(j * F::LANES));
                    sums.iter_mut().for_each(|sums| sums[j] = F::add(sums[j], bias));
                }
            }
            if last.activation.is_none() && !last.gain.is_null() {
                for j in 0..V {
                    let gain = F::load(last.gain.add(j * F::LANES));
                    sums.iter_mut().for_each(|sums| sums[j] = F::scale(sums[j], gain));
                }
            }
            if last.activation.is_none() && !last.add.is_null() {
                for (i, sums) in sums.iter_mut().enumerate() {
                    for (j, v) in sums.iter_mut().enumerate() {
                        *v = F::add(F::load(last.add.add((row + i) * t.stride + j * F::LANES)), *v);
                    }
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (j, v) in sums.iter().enumerate() {
                F::store(out.add(i * t.stride + j * F::LANES), *v);
            }
        }
    }
}

/// What is left of a panel that is cut short, from column `first` of it on, value by value and in the same order.
#[inline(always)]
pub(crate) unsafe fn store_some(t: &Place<'_>, row: usize, first: usize, sums: &[f32]) {
    for (col, sum) in (first..).zip(sums) {
        // SAFETY: the caller's.
        unsafe {
            let out = t.out.add(row * t.stride + col);
            let mut v = *sum;
            if !t.first {
                v += out.read();
            }
            if let Some(last) = t.last {
                if !last.bias.is_null() {
                    v += last.bias.add(col).read();
                }
                if last.activation.is_none() {
                    if !last.gain.is_null() {
                        v *= last.gain.add(col).read();
                    }
                    if !last.add.is_null() {
                        v += last.add.add(row * t.stride + col).read();
                    }
                }
            }
            out.write(v);
        }
    }
}

/// The activation of some rows of a tile whose sums are in their place, and what follows it.
///
/// # Safety
/// As of a tile.
#[inline(always)]
pub(crate) unsafe fn activate<F: Format>(t: &Place<'_>, rows: usize) {
    let Some(last) = t.last else { return };
    let Some(activation) = last.activation else { return };
    for i in 0..rows {
        // SAFETY: the caller's.
        unsafe {
            let out = from_raw_parts_mut(t.out.add(i * t.stride), t.cols);
            match F::SET {
                set::AVX512 => activate_row::<f32, { set::AVX512 }>(activation, out),
                set::FUSED => activate_row::<f32, { set::FUSED }>(activation, out),
                _ => activate_row::<f32, { set::PLAIN }>(activation, out),
            }
            finish_activated(last, i * t.stride, out);
        }
    }
}

/// What follows an activation, in a row `offset` after the tile's first.
#[inline(always)]
unsafe fn finish_activated(last: &Last, offset: usize, out: &mut [f32]) {
    if last.gain.is_null() && last.add.is_null() {
        return;
    }
    for (col, v) in out.iter_mut().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            if !last.gain.is_null() {
                *v *= last.gain.add(col).read();
            }
            if !last.add.is_null() {
                *v += last.add.add(offset + col).read();
            }
        }
    }
}
