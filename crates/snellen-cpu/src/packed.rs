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

/// A cache line of words.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u32; 16]);

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
        let lines_of_panel = shape.panel_words(b.rows()).div_ceil(16).max(1);
        let level = self.level;
        let empty = || [[0f32; WIDEST]; PIECE];
        let pack = |piece: &mut Piece, (p, lines): (usize, &mut [Line])| fill(level, shape, b, p, lines, piece);
        if parallel {
            self.lines.par_chunks_mut(lines_of_panel).enumerate().for_each_init(empty, pack);
        } else {
            let mut piece = empty();
            self.lines.chunks_mut(lines_of_panel).enumerate().for_each(|panel| pack(&mut piece, panel));
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
const WIDEST: usize = 64;
/// Rows of the operand that are read at a time, a multiple of every format's depth.
const PIECE: usize = 16;

/// Some rows of a panel.
type Piece = [[f32; WIDEST]; PIECE];

/// Writes panel `p` of `b`, by way of `piece`.
fn fill(level: Level, s: Panels, b: View<'_, f32>, p: usize, lines: &mut [Line], piece: &mut Piece) {
    let (rows, cols) = (b.rows(), b.cols());
    if p * s.width() >= cols {
        return;
    }
    let (_, vectors) = s.panel(p, rows, cols);
    let first = p * s.width();
    let present = (vectors * s.lanes).min(cols - first);
    let words_of_step = vectors * s.words;
    let words = flat(lines);
    piece.iter_mut().for_each(|row| row[present..vectors * s.lanes].fill(0.0));
    for row in (0..rows).step_by(PIECE) {
        let n = PIECE.min(rows - row);
        piece[n..].iter_mut().for_each(|row| row.fill(0.0));
        gather(level, b, row, n, first, present, piece);
        let to = &mut words[row / s.depth * words_of_step..][..n.div_ceil(s.depth) * words_of_step];
        write(level, s, piece, words_of_step, to);
    }
}

per_level! {
    /// Reads `n` rows of `b` from `row` on, `present` columns of each from `first` on.
    fn gather(
        b: View<'_, f32>,
        row: usize,
        n: usize,
        first: usize,
        present: usize,
        piece: &mut Piece,
    ) {
        for (k, to) in piece[..n].iter_mut().enumerate() {
            if let Some(from) = b.row(row + k, first, present) {
                to[..present].copy_from_slice(from);
            }
        }
        if b.row(row, first, present).is_some() {
            return;
        }
        for j in 0..present {
            match b.transposed().row(first + j, row, n) {
                Some(from) => from.iter().zip(piece.iter_mut()).for_each(|(x, to)| to[j] = *x),
                None => (0..n).for_each(|k| piece[k][j] = b.at(row + k, first + j)),
            }
        }
    }

    /// Writes the steps of a piece.
    fn write(s: Panels, piece: &Piece, words_of_step: usize, to: &mut [u32]) {
        for (k, to) in to.chunks_exact_mut(words_of_step).enumerate() {
            if s.depth == 2 {
                for (word, (a, b)) in to.iter_mut().zip(piece[2 * k].iter().zip(&piece[2 * k + 1])) {
                    *word = u32::from(to_bf16(*a)) | u32::from(to_bf16(*b)) << 16;
                }
            } else if s.halves {
                for (word, two) in to.iter_mut().zip(piece[k].as_chunks::<2>().0) {
                    *word = u32::from(to_bf16(two[0])) | u32::from(to_bf16(two[1])) << 16;
                }
            } else {
                for (word, x) in to.iter_mut().zip(&piece[k]) {
                    *word = x.to_bits();
                }
            }
        }
    }
}

/// Lines as the words in them.
pub(crate) fn flat(lines: &mut [Line]) -> &mut [u32] {
    let words = lines.len() * 16;
    // SAFETY: a line is 16 words and nothing else.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), words) }
}
