//! The left operand of a product, in the order in which a kernel reads it: of as many rows as a tile has, the words of the first
//! step, then those of the next. It is packed anew by every task, so this has to cost little beside the products.

use crate::View;
use crate::format::Format;
use crate::packed::LINE;
use crate::words::{VALUES, weave, word_of};
use std::array::from_fn;
use std::ops::Range;
use std::ptr::null;

/// Packs `cols` of `rows` of `a`. What a last tile lacks in rows nobody reads.
#[inline(always)]
pub(crate) fn pack_left<F: Format>(a: View<'_, f32>, rows: Range<usize>, cols: Range<usize>, left: &mut [u32]) {
    match F::ROWS {
        4 => pack_tiles::<F, 4>(a, rows, cols, left),
        6 => pack_tiles::<F, 6>(a, rows, cols, left),
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
            let (mut now, mut next): ([&[f32]; M], [&[f32]; M]) = ([&[]; M], [&[]; M]);
            for i in 0..M {
                now[i] = row(first + i).unwrap_or(&[]);
                next[i] = row(first + M + i).unwrap_or(&[]);
            }
            pack_rows::<F, M>(&now, &next, &mut tile[..steps * M]);
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
fn pack_rows<F: Format, const M: usize>(rows: &[&[f32]; M], next: &[&[f32]; M], to: &mut [u32]) {
    let each = LINE * F::DEPTH;
    let start = rows[0].len() / each * each;
    for (start, to) in (0..start).step_by(each).zip(to.chunks_exact_mut(LINE * M)) {
        let mut from = [null(); M];
        for i in 0..M {
            from[i] = rows[i][start..start + each].as_ptr();
            for line in 0..F::DEPTH {
                F::prefetch::<false>(next[i].as_ptr().wrapping_add(start + line * LINE).cast());
            }
        }
        // SAFETY: every row has a line's values from here on, and `to` M lines.
        unsafe { weave::<F, M>(from, to.as_mut_ptr(), M) };
    }
    if start < rows[0].len() {
        // Whole lines, of which only what is needed is kept.
        let mut values = [[0f32; VALUES]; M];
        for (values, row) in values.iter_mut().zip(rows) {
            values[..row.len() - start].copy_from_slice(&row[start..]);
        }
        let mut line = [[0; LINE]; M];
        let mut from = [null(); M];
        for i in 0..M {
            from[i] = values[i].as_ptr();
        }
        // SAFETY: there are as many values as make a line of any format, and M lines.
        unsafe { weave::<F, M>(from, line.as_mut_ptr().cast(), M) };
        let to = &mut to[start / F::DEPTH * M..];
        to.copy_from_slice(&line.as_flattened()[..to.len()]);
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
