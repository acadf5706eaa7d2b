//! The left operand of a product, in the order in which a kernel reads it: of as many rows as a tile has, the words of the first
//! step, then those of the next. It is packed anew by every task, so this has to cost little beside the products.

use crate::View;
use crate::format::{Format, to_bf16};
use crate::packed::LINE;
use std::array::from_fn;
use std::ops::Range;

/// The most values that make a line of words.
const VALUES: usize = 2 * LINE;

/// Packs `cols` of `rows` of `a`. What a last tile lacks in rows nobody reads.
#[inline(always)]
pub(crate) fn pack_left<F: Format>(a: View<'_, f32>, rows: Range<usize>, cols: Range<usize>, left: &mut [u32]) {
    match F::ROWS {
        4 => pack_tiles::<F, 4>(a, rows, cols, left),
        6 => pack_tiles::<F, 6>(a, rows, cols, left),
        12 => pack_tiles::<F, 12>(a, rows, cols, left),
        other => unreachable!("tiles of {other} rows"),
    }
}

#[inline(always)]
fn pack_tiles<F: Format, const M: usize>(a: View<'_, f32>, rows: Range<usize>, cols: Range<usize>, left: &mut [u32]) {
    if cols.is_empty() {
        return;
    }
    let steps = cols.len().div_ceil(F::DEPTH);
    let tiles = rows.clone().step_by(M).zip(left.chunks_mut(steps * M));
    let row = |row: usize| a.row(row.min(rows.end - 1), cols.start, cols.len());
    if row(rows.start).is_some() {
        // One tile after the other: its rows are read from end to end, which the processor sees coming, and meanwhile those of
        // the next tile are asked for.
        for (first, tile) in tiles {
            let [now, next] = [first, first + M].map(|first| from_fn(|i| row(first + i).unwrap_or(&[])));
            pack_rows::<F, M>(now, next, &mut tile[..steps * M]);
        }
        return;
    }
    let columns = a.transposed();
    let upright = columns.row(cols.start, rows.start, rows.len()).is_some();
    // A line of steps of all tiles after the other, since neighbours of a column are near.
    for start in (0..steps).step_by(LINE) {
        let value = |k: usize| cols.start + start * F::DEPTH + k;
        for (first, tile) in rows.clone().step_by(M).zip(left.chunks_mut(steps * M)) {
            let to = &mut tile[start * M..steps.min(start + LINE) * M];
            let here = M.min(rows.end - first);
            if upright && here == M {
                let column = |k: usize| {
                    if value(k) < cols.end { columns.row(value(k), first, M) } else { None }
                };
                pack_columns::<F, M>(column, to);
            } else {
                let at = |i: usize, k: usize| if value(k) < cols.end { a.at(first + i, value(k)) } else { 0.0 };
                for (k, to) in to.chunks_exact_mut(M).enumerate() {
                    for (i, word) in to.iter_mut().enumerate().take(here) {
                        let next = if F::DEPTH == 2 { at(i, 2 * k + 1) } else { 0.0 };
                        *word = word_of::<F>(at(i, k * F::DEPTH), next);
                    }
                }
            }
        }
    }
}

/// Rows whose values lie side by side, all of one length; `next` will be packed next.
#[inline(always)]
fn pack_rows<F: Format, const M: usize>(rows: [&[f32]; M], next: [&[f32]; M], to: &mut [u32]) {
    let each = LINE * F::DEPTH;
    let start = rows[0].len() / each * each;
    for (start, to) in (0..start).step_by(each).zip(to.chunks_exact_mut(LINE * M)) {
        next.iter().for_each(|next| {
            let next = next.as_ptr().wrapping_add(start);
            (0..F::DEPTH).for_each(|line| F::prefetch::<false>(next.wrapping_add(line * LINE).cast()));
        });
        pack_line::<F, M>(rows.map(|row| &row[start..start + each]), to);
    }
    if start < rows[0].len() {
        // Whole lines, of which only what is needed is kept.
        let mut values = [[0f32; VALUES]; M];
        for (values, row) in values.iter_mut().zip(rows) {
            values[..row.len() - start].copy_from_slice(&row[start..]);
        }
        let mut line = [[0; LINE]; M];
        pack_line::<F, M>(values.each_ref().map(|values| &values[..each]), line.as_flattened_mut());
        let to = &mut to[start / F::DEPTH * M..];
        to.copy_from_slice(&line.as_flattened()[..to.len()]);
    }
}

/// A line of words of every row.
#[inline(always)]
fn pack_line<F: Format, const M: usize>(rows: [&[f32]; M], to: &mut [u32]) {
    assert!(to.len() == LINE * M && rows.iter().all(|row| row.len() == LINE * F::DEPTH), "a line");
    // SAFETY: asserted above; formats of a processor run where it has their instructions.
    unsafe {
        if F::DEPTH == 1 && !F::ROUNDS {
            return interleave(rows.map(|row| row.as_ptr().cast()), to);
        }
        let mut words = [[0u32; LINE]; M];
        for (words, row) in words.iter_mut().zip(rows) {
            for i in (0..LINE).step_by(F::LANES) {
                F::store(words.as_mut_ptr().add(i).cast(), F::words(row.as_ptr().add(i * F::DEPTH)));
            }
        }
        interleave(words.each_ref().map(|words| words.as_ptr()), to);
    }
}

/// Columns whose values lie side by side, M of each.
#[inline(always)]
fn pack_columns<'a, F: Format, const M: usize>(column: impl Fn(usize) -> Option<&'a [f32]>, to: &mut [u32]) {
    let column = |k: usize| column(k).and_then(|column| column.first_chunk::<M>().copied()).unwrap_or([0.0; M]);
    for (k, to) in to.as_chunks_mut::<M>().0.iter_mut().enumerate() {
        let (x, y) = (column(k * F::DEPTH), if F::DEPTH == 2 { column(2 * k + 1) } else { [0.0; M] });
        *to = from_fn(|i| word_of::<F>(x[i], y[i]));
    }
}

/// A line of words of M rows: the first of all rows, then the second of all.
///
/// # Safety
/// There is a line at every pointer, and M of them in `to`.
#[inline(always)]
unsafe fn interleave<const M: usize>(rows: [*const u32; M], to: &mut [u32]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: SSE is part of x86-64; the caller's.
    unsafe {
        use std::arch::x86_64::{
            _mm_castps_si128, _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storel_epi64, _mm_storeu_ps,
            _mm_unpackhi_ps, _mm_unpacklo_ps,
        };
        for k in (0..LINE).step_by(4) {
            let r = rows.map(|row| _mm_loadu_ps(row.add(k).cast()));
            let place = |step: usize, row: usize| to.as_ptr().cast_mut().add((k + step) * M + row).cast::<f32>();
            // Pairs of rows: of the first two steps, and of the last two.
            for i in (0..M - 1).step_by(4) {
                let (low, high) = (_mm_unpacklo_ps(r[i], r[i + 1]), _mm_unpackhi_ps(r[i], r[i + 1]));
                if i + 3 < M {
                    let (low_2, high_2) = (_mm_unpacklo_ps(r[i + 2], r[i + 3]), _mm_unpackhi_ps(r[i + 2], r[i + 3]));
                    _mm_storeu_ps(place(0, i), _mm_movelh_ps(low, low_2));
                    _mm_storeu_ps(place(1, i), _mm_movehl_ps(low_2, low));
                    _mm_storeu_ps(place(2, i), _mm_movelh_ps(high, high_2));
                    _mm_storeu_ps(place(3, i), _mm_movehl_ps(high_2, high));
                } else {
                    _mm_storel_epi64(place(0, i).cast(), _mm_castps_si128(low));
                    _mm_storel_epi64(place(1, i).cast(), _mm_castps_si128(_mm_movehl_ps(low, low)));
                    _mm_storel_epi64(place(2, i).cast(), _mm_castps_si128(high));
                    _mm_storel_epi64(place(3, i).cast(), _mm_castps_si128(_mm_movehl_ps(high, high)));
                }
            }
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    for (k, to) in to.as_chunks_mut::<M>().0.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *to = from_fn(|i| unsafe { rows[i].add(k).read() });
    }
}

/// A word: a value, or two where a step takes two.
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
