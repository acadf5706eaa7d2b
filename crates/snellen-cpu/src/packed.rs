//! The right operand of a product, in the order in which a kernel reads it.
//!
//! Columns are cut into panels of as many vectors as a tile is wide (the last has only the vectors it needs); a panel's values lie
//! step after step. What a last vector or step lacks is zero.

#[cfg(target_arch = "x86_64")]
use crate::format::{Avx2, Avx512, Avx512Pairs};
use crate::format::{Format, Portable, Precision, per_format, to_bf16};
#[cfg(any(target_arch = "x86_64", test))]
use crate::tiles::{SIDE as SIDE_OF_TILES, Tiles};
use crate::words::{VALUES, weave, word_of};
use crate::{Level, View};
use rayon::prelude::*;
use std::ptr::null;

/// Words of a cache line.
pub(crate) const LINE: usize = 16;

/// A cache line of words.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u32; LINE]);

/// The right operand of [`product`](crate::product), packed for a level.
#[derive(Clone, Debug)]
pub struct Packed {
    pub(crate) level: Level,
    pub(crate) precision: Precision,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) lines: Vec<Line>,
    pub(crate) shape: Panels,
}

/// How the panels of a packed operand lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panels {
    pub(crate) lanes: usize,
    pub(crate) vectors: usize,
    pub(crate) depth: usize,
    /// Words of a vector in one step.
    pub(crate) words: usize,
    pub(crate) halves: bool,
    pub(crate) rows_of_tile: usize,
}

impl Panels {
    pub(crate) fn of<F: Format>() -> Self {
        let words = if F::HALVES { F::LANES / 2 } else { F::LANES };
        Self { lanes: F::LANES, vectors: F::VECTORS, depth: F::DEPTH, words, halves: F::HALVES, rows_of_tile: F::ROWS }
    }

    /// Of a format with tile registers.
    #[cfg(any(target_arch = "x86_64", test))]
    pub(crate) fn of_tiles<F: Tiles>() -> Self {
        Self { rows_of_tile: SIDE_OF_TILES, ..Self::of::<F>() }
    }

    pub(crate) fn at(level: Level, precision: Precision) -> Self {
        match (level, precision) {
            (Level::Portable, Precision::F32) => Self::of::<Portable<false>>(),
            (Level::Portable, Precision::Bf16) => Self::of::<Portable<true>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, Precision::F32) => Self::of::<Avx2<false>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, Precision::Bf16) => Self::of::<Avx2<true>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512 | Level::Avx512Bf16 | Level::AmxBf16, Precision::F32) => Self::of::<Avx512<false>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, Precision::Bf16) => Self::of::<Avx512<true>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512Bf16, Precision::Bf16) => Self::of::<Avx512Pairs>(),
            #[cfg(target_arch = "x86_64")]
            (Level::AmxBf16, Precision::Bf16) => Self::of_tiles::<Avx512Pairs>(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("a level of another processor"),
        }
    }

    /// Columns of a full panel.
    pub(crate) fn width(self) -> usize {
        self.lanes * self.vectors
    }

    /// Panels that are packed together: their rows are a few cache lines that lie side by side.
    fn panels_of_group(self) -> usize {
        WIDEST / self.width()
    }

    /// Steps along an inner extent of `rows`.
    pub(crate) fn steps(self, rows: usize) -> usize {
        rows.div_ceil(self.depth)
    }

    /// Words of a full panel, in whole lines.
    pub(crate) fn panel_words(self, rows: usize) -> usize {
        (self.steps(rows) * self.vectors * self.words).next_multiple_of(LINE)
    }

    /// Lines of an operand.
    pub(crate) fn lines(self, rows: usize, cols: usize) -> usize {
        let last = cols.div_ceil(self.width()).saturating_sub(1);
        let (start, vectors) = self.panel(last, rows, cols);
        (start + self.steps(rows) * vectors * self.words).div_ceil(LINE)
    }

    /// Where panel `p` begins, in words, and how many vectors it has.
    pub(crate) fn panel(self, p: usize, rows: usize, cols: usize) -> (usize, usize) {
        let vectors = cols.saturating_sub(p * self.width()).div_ceil(self.lanes).min(self.vectors);
        (p * self.panel_words(rows), vectors)
    }
}

impl Packed {
    /// Packs `b` for `level`, in parallel.
    ///
    /// # Panics
    /// If this processor cannot run `level`, or memory cannot hold so much.
    pub fn new(level: Level, precision: Precision, b: View<'_, f32>) -> Self {
        let mut packed = Self::empty(level, precision);
        packed.set(b, true);
        packed
    }

    /// For [`Packed::set`] to fill.
    pub(crate) fn empty(level: Level, precision: Precision) -> Self {
        assert!(level.is_supported(), "this processor cannot run {level}");
        let shape = Panels::at(level, precision);
        Self { level, precision, rows: 0, cols: 0, lines: Vec::new(), shape }
    }

    /// Packs `b` into the memory that is there.
    pub(crate) fn set(&mut self, b: View<'_, f32>, parallel: bool) {
        // SAFETY: `fill` has the format that is packed for, on a processor that was asked for it.
        unsafe { self.set_by(fill, b, parallel) };
    }

    /// The same by way of `fill`, so that tests can put a format of their own in its place.
    ///
    /// # Safety
    /// `fill` packs as `shape` says.
    pub(crate) unsafe fn set_by(
        &mut self,
        fill: unsafe fn(Level, Precision, View<'_, f32>, usize, &mut [u32]),
        b: View<'_, f32>,
        parallel: bool,
    ) {
        let shape = self.shape;
        // A view may repeat its rows, and so be larger than memory; below, extents are multiplied without a look.
        let most = b.rows().saturating_add(16).saturating_mul(b.cols().saturating_add(WIDEST));
        assert!(most <= isize::MAX as usize / 4, "{} x {} values are too many to pack", b.rows(), b.cols());
        (self.rows, self.cols) = (b.rows(), b.cols());
        self.lines.resize(shape.lines(b.rows(), b.cols()), Line([0; LINE]));
        let group = shape.panels_of_group();
        let lines_of_group = (group * shape.panel_words(b.rows()) / LINE).max(1);
        let (level, precision) = (self.level, self.precision);
        // SAFETY: the caller's.
        let pack = |(i, lines): (usize, &mut [Line])| unsafe { fill(level, precision, b, i * group, flat(lines)) };
        if parallel {
            self.lines.par_chunks_mut(lines_of_group).enumerate().for_each(pack);
        } else {
            self.lines.chunks_mut(lines_of_group).enumerate().for_each(pack);
        }
    }

    /// The inner extent of a product with it.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns of a product with it.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }

    /// What its values are rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The level that it is packed for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The value at `row` and `col`, as it is multiplied.
    pub fn at(&self, row: usize, col: usize) -> f32 {
        let s = self.shape;
        let (panel, inside) = (col / s.width(), col % s.width());
        let (start, vectors) = s.panel(panel, self.rows, self.cols);
        let (step, part) = (row / s.depth, row % s.depth);
        let word = start + (step * vectors + inside / s.lanes) * s.words;
        let lane = inside % s.lanes;
        let word_at = |i: usize| self.lines[i / 16].0[i % 16];
        if s.depth == 2 {
            f32::from_bits(word_at(word + lane) >> (16 * part) << 16)
        } else if s.halves {
            f32::from_bits(word_at(word + lane / 2) >> (16 * (lane % 2)) << 16)
        } else {
            f32::from_bits(word_at(word + lane))
        }
    }
}

/// The most columns of a panel.
pub(crate) const WIDEST: usize = 64;
/// Columns that are woven at a time.
const SIDE: usize = 4;

per_format! {
    /// Writes the panels of `b` from `first` on that `words` have places for.
    ///
    /// # Safety
    /// The processor can run this level.
    unsafe fn fill(b: View<'_, f32>, first: usize, words: &mut [u32]) by fill_panels;
}

/// [`fill`] in a format.
///
/// # Safety
/// The processor has the instructions of `F`.
#[inline(always)]
pub(crate) unsafe fn fill_panels<F: Format>(b: View<'_, f32>, first: usize, words: &mut [u32]) {
    let shape = Panels::of::<F>();
    let (rows, cols) = (b.rows(), b.cols());
    let (of_panel, steps) = (shape.panel_words(rows).max(1), shape.steps(rows));
    let lying = b.row(0, 0, cols).is_some();
    let upright = b.transposed().row(0, 0, rows).is_some();
    if rows == 0 {
        return;
    }
    for (i, words) in words.chunks_mut(of_panel).enumerate() {
        let (col, (_, vectors)) = ((first + i) * shape.width(), shape.panel(first + i, rows, cols));
        let step = vectors * shape.words;
        if step == 0 {
            break;
        }
        let words = &mut words[..steps * step];
        // SAFETY: the caller's.
        unsafe {
            if lying {
                fill_lying::<F>(b, col, words, step);
            } else if upright && !F::HALVES {
                fill_upright::<F>(b.transposed(), col, words, step);
            } else {
                fill_any::<F>(b, col, words, step);
            }
        }
    }
}

/// A panel from `col` on whose rows lie side by side.
#[inline(always)]
unsafe fn fill_lying<F: Format>(b: View<'_, f32>, col: usize, words: &mut [u32], step: usize) {
    let present = (b.cols() - col).min(WIDEST);
    let (whole, each) = (present / F::LANES * F::LANES, Panels::of::<F>().words);
    let zeros = [0f32; WIDEST];
    for (k, to) in words.chunks_exact_mut(step).enumerate() {
        let upper = b.row(k * F::DEPTH, col, present).unwrap_or(&zeros);
        let lower = if F::DEPTH == 2 && 2 * k + 1 < b.rows() { b.row(2 * k + 1, col, present) } else { None };
        let lower = lower.unwrap_or(&zeros);
        let (to, last) = to.split_at_mut(to.len().min(whole / F::LANES * each));
        // SAFETY: the caller's; all are as long as a vector.
        unsafe {
            for (j, to) in to.chunks_exact_mut(each).enumerate() {
                let (upper, lower) = (&upper[j * F::LANES..][..F::LANES], &lower[j * F::LANES..][..F::LANES]);
                write::<F>(upper.as_ptr(), lower.as_ptr(), to);
            }
            if !last.is_empty() {
                let mut ends = [[0f32; WIDEST]; 2];
                for (end, from) in ends.iter_mut().zip([upper, lower]) {
                    end[..present - whole].copy_from_slice(&from[whole..present]);
                }
                write::<F>(ends[0].as_ptr(), ends[1].as_ptr(), last);
            }
        }
    }
}

/// A vector of words from rows that lie one under another.
///
/// # Safety
/// The processor has the instructions of `F`; there are a vector's values at both pointers, and places for its words.
#[inline(always)]
unsafe fn write<F: Format>(upper: *const f32, lower: *const f32, to: &mut [u32]) {
    // SAFETY: the caller's.
    unsafe {
        if F::HALVES {
            for (i, to) in to.iter_mut().enumerate() {
                let pair = upper.cast::<[f32; 2]>().add(i).read_unaligned();
                *to = u32::from(to_bf16(pair[0])) | u32::from(to_bf16(pair[1])) << 16;
            }
        } else {
            F::store(to.as_mut_ptr().cast(), F::stacked(F::load(upper), F::load(lower)));
        }
    }
}

/// A panel from `row` on of an operand that is the transpose of `b`, whose rows lie side by side.
#[inline(always)]
unsafe fn fill_upright<F: Format>(b: View<'_, f32>, row: usize, words: &mut [u32], step: usize) {
    let each = LINE * F::DEPTH;
    for (start, to) in (0..b.cols()).step_by(each).zip(words.chunks_mut(LINE * step)) {
        let n = each.min(b.cols() - start);
        for j in (0..step).step_by(SIDE) {
            let there = b.rows().saturating_sub(row + j).min(SIDE);
            // SAFETY: the caller's; a line's values are at every pointer, and places for a line of words.
            unsafe {
                if there == SIDE && n == each {
                    let mut from = [null(); SIDE];
                    for (i, from) in from.iter_mut().enumerate() {
                        *from = b.row(row + j + i, start, n).unwrap_or(&[]).as_ptr();
                    }
                    weave::<F, SIDE>(from, to[j..][..(LINE - 1) * step + SIDE].as_mut_ptr(), step);
                    continue;
                }
                let mut values = [[0f32; VALUES]; SIDE];
                for (i, values) in values.iter_mut().enumerate().take(there) {
                    values[..n].copy_from_slice(b.row(row + j + i, start, n).unwrap_or(&[]));
                }
                let mut line = [[0u32; SIDE]; LINE];
                let from = [values[0].as_ptr(), values[1].as_ptr(), values[2].as_ptr(), values[3].as_ptr()];
                weave::<F, SIDE>(from, line.as_mut_ptr().cast(), SIDE);
                for (to, from) in to.chunks_exact_mut(step).zip(&line) {
                    to[j..j + SIDE].copy_from_slice(from);
                }
            }
        }
    }
}

/// A panel from `col` on, value by value.
#[inline(always)]
fn fill_any<F: Format>(b: View<'_, f32>, col: usize, words: &mut [u32], step: usize) {
    for (k, to) in words.chunks_exact_mut(step).enumerate() {
        for (j, to) in to.iter_mut().enumerate() {
            let at = |row: usize, col: usize| if row < b.rows() && col < b.cols() { b.at(row, col) } else { 0.0 };
            *to = if F::HALVES {
                word_of::<F>(at(k, col + 2 * j), 0.0) >> 16 | word_of::<F>(at(k, col + 2 * j + 1), 0.0)
            } else {
                let next = if F::DEPTH == 2 { at(2 * k + 1, col + j) } else { 0.0 };
                word_of::<F>(at(k * F::DEPTH, col + j), next)
            };
        }
    }
}

/// Lines as the words in them.
pub(crate) fn flat(lines: &mut [Line]) -> &mut [u32] {
    let words = lines.len() * 16;
    // SAFETY: a line is 16 words and nothing else.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), words) }
}

#[cfg(test)]
mod tests {
    use super::{Line, Packed};
    use crate::{Level, Precision, View};

    /// Sums of what fills a vector up are not stored, but subnormal numbers that lie there would take time.
    #[test]
    fn what_a_last_vector_lacks_is_zero() {
        let values: Vec<f32> = (0..41 * 70).map(|i| 1.0 + i as f32).collect();
        for level in Level::ALL.into_iter().filter(|level| level.is_supported()) {
            for precision in Precision::ALL {
                for (rows, cols) in [(1, 1), (7, 9), (41, 33), (40, 69)] {
                    for b in [View::new(&values, rows, cols, 70), View::new(&values, cols, rows, 41).transposed()] {
                        let mut packed = Packed::empty(level, precision);
                        packed.lines = vec![Line([u32::MAX; 16]); 400];
                        packed.set(b, false);
                        let filled = cols..cols.next_multiple_of(packed.shape.lanes);
                        let all_zero = (0..rows).all(|row| filled.clone().all(|col| packed.at(row, col) == 0.0));
                        assert!(all_zero, "{level} {precision} {rows} x {cols}");
                        assert!(packed.at(rows - 1, cols - 1) >= 1.0);
                    }
                }
            }
        }
    }
}
