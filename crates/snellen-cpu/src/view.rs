//! Matrices that are looked at where they lie.

/// A matrix in a slice, its rows and columns any distance apart.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, F> {
    data: &'a [F],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, F: Copy> View<'a, F> {
    /// `rows x cols` values, row after row, `stride` from one to the next.
    ///
    /// # Panics
    /// If `data` ends before the last of them.
    pub fn new(data: &'a [F], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            extent(rows, cols, stride, 1) <= data.len(),
            "{rows} x {cols} values, {stride} apart, in {}",
            data.len()
        );
        Self { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// Rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }

    /// `n` rows from `first` on.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn from_row(self, first: usize, n: usize) -> Self {
        assert!(first.checked_add(n).is_some_and(|end| end <= self.rows), "{n} rows from {first} on, of {}", self.rows);
        // Where there are none, the place of the first may be beyond the end.
        let start = first.saturating_mul(self.row_stride).min(self.data.len());
        Self { data: &self.data[start..], rows: n, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The value at `row` and `col`.
    #[inline(always)]
    pub fn at(&self, row: usize, col: usize) -> F {
        self.data[row * self.row_stride + col * self.col_stride]
    }

    /// Asks for all cache lines of rows whose values lie side by side, into the second cache.
    pub(crate) fn prefetch(&self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        for row in 0..self.rows {
            for value in self.row(row, 0, self.cols).unwrap_or(&[]).chunks(64 / size_of::<F>()) {
                use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
                // SAFETY: SSE is part of x86-64, and a prefetch changes nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(value.as_ptr().cast()) };
            }
        }
    }

    /// `row`'s values from `col` on, where they lie side by side.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize, col: usize, n: usize) -> Option<&'a [F]> {
        let there = || if n == 0 { &[] } else { &self.data[row * self.row_stride + col..][..n] };
        (self.col_stride == 1).then(there)
    }
}

/// How many values a slice must have to hold such a matrix; more than any has where that is beyond counting.
pub(crate) fn extent(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    if rows == 0 || cols == 0 {
        return 0;
    }
    let (down, along) = ((rows - 1).saturating_mul(row_stride), (cols - 1).saturating_mul(col_stride));
    down.saturating_add(along).saturating_add(1)
}
