//! The right operand of a product, in the order in which a kernel reads it.
//!
//! Columns are cut into panels of as many vectors as a tile is wide (the last has only the vectors it needs); a panel's values lie
//! step after step. What a last vector or step lacks is zero.

#[cfg(target_arch = "x86_64")]
use crate::format::{Avx2, Avx512, Avx512Pairs};
use crate::format::{Format, Portable, Precision, to_bf16};
use crate::level::per_level;
use crate::{Level, View};
use rayon::prelude::*;
use std::array::from_fn;
use std::ops::Range;

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

    pub(crate) fn at(level: Level, precision: Precision) -> Self {
        match (level, precision) {
            (Level::Portable, Precision::F32) => Self::of::<Portable<false>>(),
            (Level::Portable, Precision::Bf16) => Self::of::<Portable<true>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, Precision::F32) => Self::of::<Avx2<false>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx2, Precision::Bf16) => Self::of::<Avx2<true>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512 | Level::Avx512Bf16, Precision::F32) => Self::of::<Avx512<false>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512, Precision::Bf16) => Self::of::<Avx512<true>>(),
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512Bf16, Precision::Bf16) => Self::of::<Avx512Pairs>(),
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
        (self.steps(rows) * self.vectors * self.words).next_multiple_of(16)
    }

    fn total_words(self, rows: usize, cols: usize) -> usize {
        let last = cols.div_ceil(self.width()).saturating_sub(1);
        let (start, vectors) = self.panel(last, rows, cols);
        start + self.steps(rows) * vectors * self.words
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
        let shape = self.shape;
        // A view may repeat its rows, and so be larger than memory; below, extents are multiplied without a look.
        let most = b.rows().saturating_add(16).saturating_mul(b.cols().saturating_add(WIDEST));
        assert!(most <= isize::MAX as usize / 4, "{} x {} values are too many to pack", b.rows(), b.cols());
        (self.rows, self.cols) = (b.rows(), b.cols());
        self.lines.resize(shape.total_words(b.rows(), b.cols()).div_ceil(16), Line([0; 16]));
        let lines_of_group = shape.panels_of_group() * shape.panel_words(b.rows()).div_ceil(16).max(1);
        let level = self.level;
        let pack = |(group, lines): (usize, &mut [Line])| fill(level, shape, b, group * shape.panels_of_group(), lines);
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
/// Rows of the operand that are rounded at a time, a multiple of every format's depth.
const PIECE: usize = 16;
/// Values that are copied at once: every panel's columns are a multiple.
const EIGHT: usize = 8;
/// Rows and columns that are exchanged at once.
const SIDE: usize = 4;

per_level! {
    /// Writes the panels of `b` from `first` on that `lines` are for.
    fn fill(s: Panels, b: View<'_, f32>, first: usize, lines: &mut [Line]) {
        let words = flat(lines);
        let mut done = 0;
        if s.depth == 1 && !s.halves && b.row(0, 0, b.cols()).is_some() {
            done = fill_together(s, b, first, words);
        }
        let of_panel = s.panel_words(b.rows()).max(1);
        let rest = words.get_mut(done * of_panel..).unwrap_or_default();
        for (p, words) in rest.chunks_mut(of_panel).enumerate() {
            fill_one(s, b, first + done + p, words);
        }
    }
}

/// Writes panels that are full, as many as a group has, row after row; how many.
#[inline(always)]
fn fill_together(s: Panels, b: View<'_, f32>, first: usize, words: &mut [u32]) -> usize {
    let (from, of_panel) = (first * s.width(), s.panel_words(b.rows()));
    let full = (b.cols().saturating_sub(from) / s.width()).min(s.panels_of_group());
    for k in 0..b.rows() {
        let row = b.row(k, from, full * s.width()).unwrap_or(&[]);
        for (p, values) in row.chunks_exact(s.width()).enumerate() {
            let to = &mut words[p * of_panel + k * s.width()..][..s.width()];
            for (to, from) in to.as_chunks_mut::<EIGHT>().0.iter_mut().zip(values.as_chunks::<EIGHT>().0) {
                *to = from.map(f32::to_bits);
            }
        }
    }
    full
}

/// Writes panel `p`.
#[inline(always)]
fn fill_one(s: Panels, b: View<'_, f32>, p: usize, words: &mut [u32]) {
    let (rows, cols, first) = (b.rows(), b.cols(), p * s.width());
    if first >= cols {
        return;
    }
    let (_, vectors) = s.panel(p, rows, cols);
    let (full, step) = (vectors * s.lanes, vectors * s.words);
    let present = full.min(cols - first);
    if s.depth == 1 && !s.halves {
        return gather(b, 0..rows, first, present, &mut words[..rows * step], step);
    }
    // Values are rounded a piece at a time.
    let mut piece = [0; WIDEST * PIECE];
    for row in (0..rows).step_by(PIECE) {
        let n = PIECE.min(rows - row);
        piece[n * full..n.next_multiple_of(s.depth) * full].fill(0);
        gather(b, row..row + n, first, present, &mut piece[..n * full], full);
        write(s, &piece, full, &mut words[row / s.depth * step..][..n.div_ceil(s.depth) * step]);
    }
}

/// Reads `rows` of `b`, `present` columns of each from `first` on, and as many zeros as `to` has places for in rows of `width`.
#[inline(always)]
fn gather(b: View<'_, f32>, rows: Range<usize>, first: usize, present: usize, to: &mut [u32], width: usize) {
    if present < width {
        to.chunks_exact_mut(width).for_each(|to| to[present..].fill(0));
    }
    if b.row(rows.start, first, present).is_some() {
        for (k, to) in rows.zip(to.chunks_exact_mut(width)) {
            let (eights, rest) = b.row(k, first, present).unwrap_or(&[]).as_chunks::<EIGHT>();
            for (to, from) in to.as_chunks_mut::<EIGHT>().0.iter_mut().zip(eights) {
                *to = from.map(f32::to_bits);
            }
            to[eights.len() * EIGHT..].iter_mut().zip(rest).for_each(|(to, from)| *to = from.to_bits());
        }
        return;
    }
    let columns = b.transposed();
    let (mut wide, mut long) = (0, 0);
    if columns.row(first, rows.start, rows.len()).is_some() {
        (wide, long) = (present / SIDE * SIDE, rows.len() / SIDE * SIDE);
        for j in (0..wide).step_by(SIDE) {
            let four: [&[f32]; SIDE] = from_fn(|i| columns.row(first + j + i, rows.start, long).unwrap_or(&[]));
            for k in (0..long).step_by(SIDE) {
                exchange(four, k, &mut to[k * width + j..], width);
            }
        }
    }
    for (k, to) in to.chunks_exact_mut(width).enumerate() {
        for (j, to) in to.iter_mut().enumerate().take(present).skip(if k < long { wide } else { 0 }) {
            *to = b.at(rows.start + k, first + j).to_bits();
        }
    }
}

/// Four values of each column from `k` on, as rows of `to` that begin every `width` places.
#[inline(always)]
fn exchange(columns: [&[f32]; SIDE], k: usize, to: &mut [u32], width: usize) {
    let four = columns.map(|column| &column[k..k + SIDE]);
    let to = &mut to[..(SIDE - 1) * width + SIDE];
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{
            _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
        };
        // SAFETY: SSE is part of x86-64; the slices above have four values each, and places for the last of four rows.
        unsafe {
            let [a, b, c, d] = four.map(|column| _mm_loadu_ps(column.as_ptr()));
            let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
            let (ab_after, cd_after) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
            let to = to.as_mut_ptr().cast::<f32>();
            _mm_storeu_ps(to, _mm_movelh_ps(ab, cd));
            _mm_storeu_ps(to.add(width), _mm_movehl_ps(cd, ab));
            _mm_storeu_ps(to.add(2 * width), _mm_movelh_ps(ab_after, cd_after));
            _mm_storeu_ps(to.add(3 * width), _mm_movehl_ps(cd_after, ab_after));
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    for (j, column) in four.into_iter().enumerate() {
        column.iter().enumerate().for_each(|(k, x)| to[k * width + j] = x.to_bits());
    }
}

/// Writes the steps of a piece, whose rows begin every `width` words.
#[inline(always)]
fn write(s: Panels, piece: &[u32], width: usize, to: &mut [u32]) {
    let bf16 = |word: u32| u32::from(to_bf16(f32::from_bits(word)));
    let words_of_step = width / s.lanes * s.words;
    for (to, rows) in to.chunks_exact_mut(words_of_step).zip(piece.chunks_exact(s.depth * width)) {
        if s.depth == 2 {
            let (even, odd) = rows.split_at(width);
            to.iter_mut().zip(even.iter().zip(odd)).for_each(|(to, (a, b))| *to = bf16(*a) | bf16(*b) << 16);
        } else {
            to.iter_mut().zip(rows.as_chunks::<2>().0).for_each(|(to, [a, b])| *to = bf16(*a) | bf16(*b) << 16);
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
