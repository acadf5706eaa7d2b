//! The innermost loops: a block of rows of the left operand times some panels of the right one.

use crate::View;
use crate::activation::{Activation, activate_row};
use crate::format::{Format, to_bf16};
use crate::packed::{Line, Packed, flat};
use std::cell::RefCell;
use std::ops::Range;

/// The most steps that are made before sums are added to those of the steps before.
pub(crate) const STEPS: usize = 1024;
/// Words from one row of the packed left operand to the next: a little more than its steps, lest rows compete for cache lines.
pub(crate) const STRIDE: usize = STEPS + 16;
/// The most rows of a block.
pub(crate) const ROWS: usize = 192;

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
    /// Whether the left operand's rows lie packed already; only where all steps are made at once.
    pub(crate) ready: bool,
}

thread_local! {
    static LEFT: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Memory for the packed left operand of a block: this thread's, for as long as `run` takes.
pub(crate) fn with_left(run: impl FnOnce(&mut [u32])) {
    let mut left = LEFT.take();
    left.resize(ROWS * STRIDE / 16, Line([0; 16]));
    run(flat(&mut left));
    LEFT.set(left);
}

/// A tile's place and operands.
struct Tile<'a> {
    steps: usize,
    a: *const u32,
    b: *const u32,
    out: *mut f32,
    stride: usize,
    /// Columns of the output that the tile covers.
    cols: usize,
    first: bool,
    last: Option<&'a Last>,
}

/// [`Finish`] at a tile's first column; null for nothing.
struct Last {
    bias: *const f32,
    activation: Option<Activation>,
    gain: *const f32,
    add: *const f32,
}

/// Makes the task `t`, with `left` from [`with_left`], or with its rows packed where it is `ready`.
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
        if !t.ready {
            pack_left::<F>(t.a, t.rows.clone(), step * depth..end, left);
        }
        for p in t.panels.clone() {
            let (start, vectors) = t.b.shape.panel(p, t.b.rows, t.b.cols);
            let col = p * t.b.shape.width();
            let cols = (vectors * F::LANES).min(t.b.cols - col);
            // Meanwhile the panel that comes next is fetched, a part with every tile.
            let words = now * vectors * t.b.shape.words;
            let part = words.div_ceil(t.rows.len().div_ceil(F::ROWS)).next_multiple_of(16);
            let mut ahead = t.b.lines.as_ptr().cast::<u32>().wrapping_add(start + step * vectors * t.b.shape.words);
            ahead = ahead.wrapping_add(t.b.shape.panel_words(t.b.rows));
            // SAFETY: the caller's: panels and columns are those of `b` and of the output.
            unsafe {
                let b = t.b.lines.as_ptr().cast::<u32>().add(start + step * vectors * t.b.shape.words);
                let mut row = t.rows.start;
                while row < t.rows.end {
                    if p + 1 < t.panels.end {
                        (0..part).step_by(16).for_each(|word| F::prefetch(ahead.wrapping_add(word)));
                        ahead = ahead.wrapping_add(part);
                    }
                    let n = F::ROWS.min(t.rows.end - row);
                    let offset = row * t.stride;
                    let last = Last {
                        bias: pointer(t.finish.bias, col),
                        activation: t.finish.activation,
                        gain: pointer(t.finish.gain, col),
                        add: pointer(t.finish.add, offset + col),
                    };
                    let place = Tile {
                        steps: now,
                        a: left.as_ptr().add((row - t.rows.start) * STRIDE),
                        b,
                        out: t.out.pointer().add(offset + col),
                        stride: t.stride,
                        cols,
                        first: step == 0,
                        last: (step + now == steps).then_some(&last),
                    };
                    by_size::<F>(n, vectors, &place);
                    // Here and not in the tile, of which there are 24 kinds, for the sake of the compiler.
                    if place.last.is_some()
                        && let Some(activation) = last.activation
                    {
                        for i in 0..n {
                            let out = std::slice::from_raw_parts_mut(place.out.add(i * t.stride), cols);
                            if F::FUSED {
                                activate_row::<f32, true>(activation, out);
                            } else {
                                activate_row::<f32, false>(activation, out);
                            }
                            finish_activated(&last, i * t.stride, out);
                        }
                    }
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
fn pointer(values: Option<&[f32]>, at: usize) -> *const f32 {
    match values {
        Some(values) => values[at..].as_ptr(),
        None => std::ptr::null(),
    }
}

/// Rows of the left operand, each as words, [`STRIDE`] apart.
#[inline(always)]
fn pack_left<F: Format>(a: View<'_, f32>, rows: Range<usize>, cols: Range<usize>, left: &mut [u32]) {
    if cols.is_empty() {
        return;
    }
    let lying = a.row(rows.start, cols.start, cols.len()).is_some();
    if !lying && a.transposed().row(cols.start, rows.start, rows.len()).is_some() {
        return pack_left_columns::<F>(a.transposed(), rows, cols, left);
    }
    for (row, words) in rows.zip(left.chunks_mut(STRIDE)) {
        match a.row(row, cols.start, cols.len()) {
            Some(from) => {
                let (whole, rest) = from.as_chunks::<2>();
                if F::DEPTH == 2 {
                    words.iter_mut().zip(whole).for_each(|(word, [x, y])| *word = word_of::<F>(*x, *y));
                    if let [x] = rest {
                        words[whole.len()] = word_of::<F>(*x, 0.0);
                    }
                } else {
                    words.iter_mut().zip(from).for_each(|(word, x)| *word = word_of::<F>(*x, 0.0));
                }
            }
            None => {
                for (col, word) in cols.clone().step_by(F::DEPTH).zip(words) {
                    let next = if F::DEPTH == 2 && col + 1 < cols.end { a.at(row, col + 1) } else { 0.0 };
                    *word = word_of::<F>(a.at(row, col), next);
                }
            }
        }
    }
}

/// The same where the values of a column lie side by side, as rows of `a`: a cache line of words at a time.
#[inline(always)]
fn pack_left_columns<F: Format>(a: View<'_, f32>, rows: Range<usize>, cols: Range<usize>, left: &mut [u32]) {
    const LINE: usize = 16;
    const EMPTY: &[f32] = &[];
    for (line, first) in cols.clone().step_by(LINE * F::DEPTH).enumerate() {
        let mut columns = [EMPTY; 2 * LINE];
        let n = (LINE * F::DEPTH).min(cols.end - first);
        for (column, col) in columns.iter_mut().zip(first..first + n) {
            *column = a.row(col, rows.start, rows.len()).unwrap_or(EMPTY);
        }
        for (i, words) in left.chunks_mut(STRIDE).take(rows.len()).enumerate() {
            let words = &mut words[line * LINE..][..n.div_ceil(F::DEPTH)];
            for (word, pair) in words.iter_mut().zip(columns.chunks_exact(F::DEPTH)) {
                let next = if F::DEPTH == 2 { pair[1].get(i).copied().unwrap_or(0.0) } else { 0.0 };
                *word = word_of::<F>(pair[0][i], next);
            }
        }
    }
}

/// A word of the left operand: a value, or two where a step takes two.
#[inline(always)]
fn word_of<F: Format>(x: f32, next: f32) -> u32 {
    if F::DEPTH == 2 {
        u32::from(to_bf16(x)) | u32::from(to_bf16(next)) << 16
    } else if F::ROUNDS {
        u32::from(to_bf16(x)) << 16
    } else {
        x.to_bits()
    }
}

/// The kernel of a tile of `rows` and `vectors`.
#[inline(always)]
unsafe fn by_size<F: Format>(rows: usize, vectors: usize, t: &Tile<'_>) {
    macro_rules! kernels {
        ($($v:literal)*) => {
            // SAFETY: the caller's.
            unsafe {
                match (rows, vectors) {
                    $((1, $v) if $v <= F::VECTORS => tile::<F, 1, $v>(t),
                    (2, $v) if $v <= F::VECTORS => tile::<F, 2, $v>(t),
                    (3, $v) if $v <= F::VECTORS => tile::<F, 3, $v>(t),
                    (4, $v) if $v <= F::VECTORS => tile::<F, 4, $v>(t),
                    (5, $v) if $v <= F::VECTORS => tile::<F, 5, $v>(t),
                    (6, $v) if $v <= F::VECTORS => tile::<F, 6, $v>(t),)*
                    _ => unreachable!("a tile of {rows} rows and {vectors} vectors"),
                }
            }
        };
    }
    kernels!(1 2 3 4);
}

#[inline(always)]
unsafe fn tile<F: Format, const M: usize, const V: usize>(t: &Tile<'_>) {
    let words = if F::HALVES { F::LANES / 2 } else { F::LANES };
    // SAFETY: the caller's: `a` has `steps` words in each of M rows, `b` as many vectors, the output M rows.
    unsafe {
        let mut sums = [[F::zero(); V]; M];
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.steps {
            let mut right = [F::zero(); V];
            for (j, right) in right.iter_mut().enumerate() {
                *right = F::right(b.add(j * words));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let left = F::left(a.add(i * STRIDE));
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = F::multiply(left, right, *sum);
                }
            }
            a = a.add(1);
            b = b.add(V * words);
        }
        for (i, sums) in sums.iter().enumerate() {
            let out = t.out.add(i * t.stride);
            if t.cols == V * F::LANES {
                for (j, sum) in sums.iter().enumerate() {
                    store::<F>(t, i, j * F::LANES, *sum, out);
                }
            } else {
                let mut row = [0f32; 64];
                for (j, sum) in sums.iter().enumerate() {
                    F::store(row.as_mut_ptr().add(j * F::LANES), *sum);
                }
                store_some(t, i, &row[..t.cols], out);
            }
        }
    }
}

/// A vector of sums to its place.
#[inline(always)]
unsafe fn store<F: Format>(t: &Tile<'_>, row: usize, col: usize, mut v: F::V, out: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        if !t.first {
            v = F::add(F::load(out.add(col)), v);
        }
        if let Some(last) = t.last {
            if !last.bias.is_null() {
                v = F::add(v, F::load(last.bias.add(col)));
            }
            if last.activation.is_none() {
                if !last.gain.is_null() {
                    v = F::scale(v, F::load(last.gain.add(col)));
                }
                if !last.add.is_null() {
                    v = F::add(F::load(last.add.add(row * t.stride + col)), v);
                }
            }
        }
        F::store(out.add(col), v);
    }
}

/// What is left of a panel that is cut short, value by value and in the same order.
#[inline(always)]
unsafe fn store_some(t: &Tile<'_>, row: usize, sums: &[f32], out: *mut f32) {
    for (col, sum) in sums.iter().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let mut v = *sum;
            if !t.first {
                v += out.add(col).read();
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
            out.add(col).write(v);
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
