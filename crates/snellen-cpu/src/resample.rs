//! The two passes of resampling in fixed point: sums of bytes times whole weights, the same value in any order.
//!
//! Down columns neighbours in a row have the same weights and lie side by side. Along rows they do not, so [`ROWS`] rows are
//! turned into columns, whose values of one place lie side by side, and back.

use crate::level::per_level;

/// Rows that are turned at once.
pub const ROWS: usize = 16;

/// The most fractional bits of a weight. Sums stay within 32 bits: what windows weigh, without sign, is less than 2.
pub const BITS: u32 = 22;

/// Windows of one length over places of a row or column: what every output value is made of.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// Where each begins.
    pub starts: &'a [usize],
    /// `[window, place]`.
    pub weights: &'a [i32],
    /// Places of each.
    pub length: usize,
    /// Fractional bits of the weights: 1 to [`BITS`].
    pub bits: u32,
}

#[inline(always)]
fn byte(sum: i32, bits: u32) -> u8 {
    (sum >> bits).clamp(0, 255) as u8
}

/// Bytes of 8 rows -> for every place, a word of which the rows are the bytes.
#[inline(always)]
fn words<const N: usize>(rows: &[[u8; N]; 8]) -> [u64; N] {
    let (mut twos, mut fours, mut words) = ([[0u16; N]; 4], [[0u32; N]; 2], [0u64; N]);
    for (two, [low, high]) in twos.iter_mut().zip(rows.as_chunks::<2>().0) {
        for i in 0..N {
            two[i] = low[i] as u16 | (high[i] as u16) << 8;
        }
    }
    for (four, [low, high]) in fours.iter_mut().zip(twos.as_chunks::<2>().0) {
        for i in 0..N {
            four[i] = low[i] as u32 | (high[i] as u32) << 16;
        }
    }
    for i in 0..N {
        words[i] = fours[0][i] as u64 | (fours[1][i] as u64) << 32;
    }
    words
}

#[inline(always)]
fn along<const N: usize>(tile: &[[u8; ROWS]], windows: Windows<'_>, out: &mut [[u8; ROWS]]) {
    let weights = windows.weights.chunks_exact(windows.length);
    let bits = windows.bits.clamp(1, BITS);
    for ((out, weights), start) in out.chunks_exact_mut(N).zip(weights).zip(windows.starts) {
        let mut sums = [[1i32 << (bits - 1); ROWS]; N];
        let seen = tile[start * N..][..windows.length * N].chunks_exact(N);
        for (pixel, weight) in seen.zip(weights) {
            for (sums, values) in sums.iter_mut().zip(pixel) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = sum.wrapping_add(weight.wrapping_mul(*value as i32));
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(sums) {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = byte(sum, bits);
            }
        }
    }
}

per_level! {
    /// Rows as long as `tile` -> their bytes of one place side by side.
    pub fn turn(rows: [&[u8]; ROWS], tile: &mut [[u8; ROWS]]) {
        let (chunks, rest) = tile.as_chunks_mut::<16>();
        let turned = 16 * chunks.len();
        for (k, chunk) in chunks.iter_mut().enumerate() {
            let mut halves = [[[0; 16]; ROWS / 2]; 2];
            for (bytes, row) in halves.as_flattened_mut().iter_mut().zip(&rows) {
                bytes.copy_from_slice(&row[16 * k..16 * k + 16]);
            }
            let (low, high) = (words(&halves[0]), words(&halves[1]));
            for ((tile, low), high) in chunk.iter_mut().zip(low).zip(high) {
                *tile = (low as u128 | (high as u128) << 64).to_le_bytes();
            }
        }
        for (i, tile) in rest.iter_mut().enumerate() {
            for (byte, row) in tile.iter_mut().zip(&rows) {
                *byte = row[turned + i];
            }
        }
    }

    /// What [`turn`] turned -> the first of its rows, as many as there are in `out`, `stride` apart.
    pub fn turn_back(tile: &[[u8; ROWS]], out: &mut [u8], stride: usize) {
        let (chunks, rest) = tile.as_chunks::<8>();
        for (k, chunk) in chunks.iter().enumerate() {
            for (row, word) in out.chunks_mut(stride).zip(words(chunk)) {
                row[8 * k..8 * k + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
        for (i, values) in rest.iter().enumerate() {
            for (row, value) in out.chunks_mut(stride).zip(values) {
                row[8 * chunks.len() + i] = *value;
            }
        }
    }

    /// Rows of pixels of `channels` bytes (1 to 4), turned -> rows of a pixel for each window, turned.
    pub fn along_rows(tile: &[[u8; ROWS]], channels: usize, windows: Windows<'_>, out: &mut [[u8; ROWS]]) {
        match channels {
            1 => along::<1>(tile, windows, out),
            2 => along::<2>(tile, windows, out),
            3 => along::<3>(tile, windows, out),
            _ => along::<4>(tile, windows, out),
        }
    }

    /// Rows that begin `stride` apart, one for each of the `weights` of `bits` fractional bits (1 to [`BITS`]) -> their sum.
    pub fn down_columns(rows: &[u8], stride: usize, weights: &[i32], bits: u32, out: &mut [u8]) {
        const N: usize = 32;
        let bits = bits.clamp(1, BITS);
        let (chunks, rest) = out.as_chunks_mut::<N>();
        let summed = N * chunks.len();
        for (k, out) in chunks.iter_mut().enumerate() {
            let mut sums = [1i32 << (bits - 1); N];
            for (row, weight) in rows[N * k..].chunks(stride).zip(weights) {
                for (sum, value) in sums.iter_mut().zip(&row[..N]) {
                    *sum = sum.wrapping_add(weight.wrapping_mul(*value as i32));
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = byte(sum, bits);
            }
        }
        for (i, out) in rest.iter_mut().enumerate() {
            let sum = (rows[summed + i..].chunks(stride).zip(weights))
                .fold(1i32 << (bits - 1), |sum, (row, weight)| sum.wrapping_add(weight.wrapping_mul(row[0] as i32)));
            *out = byte(sum, bits);
        }
    }
}
