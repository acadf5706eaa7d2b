//! Resampling of pictures, to the digit as Pillow 13 and as torchvision .29 do it.
//!
//! Models are sensitive to how a picture was resized, and resizing crates agree with these libraries only roughly: pass order,
//! intermediate rounding and fixed-point precision all show. Both libraries see the same windows through the same filters, weights
//! normalised in f64, and round to 8 bits between the two passes. Pillow (`src/libImaging/Resample.c`) rounds weights to 22
//! fractional bits and resamples along rows first; since version 13 the passes change places where the height shrinks by more than
//! twice the pixels that the width does. torchvision resizes tensors by PyTorch (`UpSampleKernel.cpp`), always along rows first, and
//! rounds the weights of an axis to as many bits as the largest of them leaves in a signed 16-bit number.

mod backend;
mod deep;
mod filter;
mod floats;

use super::picture::memory;
use crate::engine::Level;
pub use backend::Backend;
pub(super) use deep::grey16;
pub use filter::Filter;
pub(super) use filter::cubic;
use filter::{Kernel, kernel, windows};
pub(super) use floats::FloatPass;
use snellen_cpu::resample::{self as kernels, BITS, ROWS};
use std::array::from_fn;
use std::ops::Range;

/// `pixels` of `N` bytes, `from` rows and columns -> of the `to` rows and columns they are resized to, those of `part`.
pub(super) fn resample<const N: usize>(
    pixels: &[u8],
    from: [usize; 2],
    to: [usize; 2],
    part: [Range<usize>; 2],
    (filter, backend): (Filter, Backend),
) -> Vec<u8> {
    let Some(kernel) = kernel(filter) else {
        let resized = match backend {
            Backend::Pil => nearest(pixels, N, from, to),
            Backend::Torchvision => nearest_exact(pixels, N, from, to),
        };
        return cut(&resized, N, to[1], part);
    };
    let passes = [0, 1].map(|axis| Pass::new(from[axis], to[axis], part[axis].clone(), kernel, backend));
    let [row, there, here] = [from[1], part[1].start, part[1].len()].map(|columns| N * columns);
    match passes {
        [None, None] => cut(pixels, N, from[1], part),
        [None, Some(columns)] => columns.along_rows::<N>(&pixels[row * part[0].start..row * part[0].end], row),
        [Some(rows), None] => rows.down_columns(&pixels[there..], row, here),
        [Some(rows), Some(columns)] => {
            let out;
            let between;
            if backend == Backend::Pil && columns_first(from, to) {
                let seen = columns.seen();
                between = rows.down_columns(&pixels[N * seen.start..], row, N * seen.len());
                out = columns.from(seen.start).along_rows::<N>(&between, N * seen.len());
            } else {
                let seen = rows.seen();
                between = columns.along_rows::<N>(&pixels[row * seen.start..row * seen.end], row);
                out = rows.from(seen.start).down_columns(&between, here, here);
            }
            memory::put(between);
            out
        }
    }
}

/// Of rows of `width` pixels of `bytes`, those of `part`.
fn cut(pixels: &[u8], bytes: usize, width: usize, [rows, columns]: [Range<usize>; 2]) -> Vec<u8> {
    let rows: Vec<&[u8]> =
        rows.map(|row| &pixels[(row * width + columns.start) * bytes..(row * width + columns.end) * bytes]).collect();
    rows.concat()
}

/// A pass in fixed point: windows of one length, each filled up with weights of zero where it may.
struct Pass {
    starts: Vec<usize>,
    weights: Vec<i32>,
    length: usize,
    /// Fractional bits of the weights.
    bits: u32,
}

impl Pass {
    /// The pixels of `part` of the `to` that `from` become; nothing where these are as many.
    fn new(from: usize, to: usize, part: Range<usize>, kernel: Kernel, backend: Backend) -> Option<Self> {
        if from == to {
            return None;
        }
        let (windows, bits) = match backend {
            Backend::Pil => (windows(from, to, part, kernel), BITS),
            Backend::Torchvision => {
                let mut all = windows(from, to, 0..to, kernel);
                let bits = short_bits(all.iter().flat_map(|window| window.weights.iter().copied()));
                all.truncate(part.end);
                (all.split_off(part.start), bits)
            }
        };
        let one = f64::from(1u32 << bits);
        let fixed = |w: f64| (w * one + 0.5f64.copysign(w)) as i32;
        let length = windows.iter().map(|window| window.weights.len()).max().unwrap_or(0);
        let (mut starts, mut weights) = (Vec::new(), Vec::new());
        for window in windows {
            let start = window.start.min(from - length);
            let end = weights.len() + length;
            weights.resize(weights.len() + window.start - start, 0);
            weights.extend(window.weights.into_iter().map(fixed));
            weights.resize(end, 0);
            starts.push(start);
        }
        Some(Self { starts, weights, length, bits })
    }

    /// What windows reach.
    fn seen(&self) -> Range<usize> {
        let start = self.starts.iter().copied().min().unwrap_or(0);
        let end = self.starts.iter().copied().max().unwrap_or(0) + self.length;
        start..end
    }

    /// The same, counted from `start` on.
    fn from(mut self, start: usize) -> Self {
        self.starts.iter_mut().for_each(|place| *place -= start);
        self
    }

    /// Rows of `stride` bytes, pixels of `N` -> rows of as many pixels as there are windows.
    fn along_rows<const N: usize>(&self, pixels: &[u8], stride: usize) -> Vec<u8> {
        let level = Level::current();
        let count = pixels.len() / stride;
        let seen = self.seen();
        let starts: Vec<usize> = self.starts.iter().map(|start| start - seen.start).collect();
        let windows =
            kernels::Windows { starts: &starts, weights: &self.weights, length: self.length, bits: self.bits };
        let mut tile = vec![[0; ROWS]; N * seen.len()];
        let mut sums = vec![[0; ROWS]; N * starts.len()];
        let mut out = memory::take(count * sums.len());
        let width = sums.len();
        for (first, out) in (0..count).step_by(ROWS).zip(out.chunks_mut(ROWS * width)) {
            // Where rows are missing the last is there again.
            let row = |i: usize| &pixels[(first + i).min(count - 1) * stride + N * seen.start..];
            kernels::turn(level, from_fn(row), &mut tile);
            kernels::along_rows(level, &tile, N, windows, &mut sums);
            kernels::turn_back(level, &sums, out, width);
        }
        out
    }

    /// Rows `stride` bytes apart -> as many rows of `width` bytes as there are windows.
    fn down_columns(&self, pixels: &[u8], stride: usize, width: usize) -> Vec<u8> {
        let level = Level::current();
        let mut out = memory::take(self.starts.len() * width);
        let windows = self.starts.iter().zip(self.weights.chunks_exact(self.length));
        for ((start, weights), out) in windows.zip(out.chunks_exact_mut(width)) {
            kernels::down_columns(level, &pixels[start * stride..], stride, weights, self.bits, out);
        }
        out
    }
}

/// Fractional bits that leave the largest of `weights` below 2^15.
fn short_bits(weights: impl Iterator<Item = f64>) -> u32 {
    let largest = weights.fold(0.0, f64::max);
    let fits = |bits: &u32| (largest * f64::from(1u32 << bits) + 0.5) as i64 >> 15 == 0;
    (1..=BITS).take_while(fits).last().unwrap_or(1)
}

/// Whether Pillow resizes the columns of a picture before its rows.
fn columns_first(from: [usize; 2], to: [usize; 2]) -> bool {
    let lost = |axis: usize| from[axis] as i64 - to[axis] as i64;
    lost(0) > 0 && lost(0) > 2 * lost(1)
}

/// `pixels` of `bytes` each, those nearest to the centres of the new ones. Pillow adds up the steps between them.
pub(super) fn nearest(pixels: &[u8], bytes: usize, from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let places = |axis: usize| -> Vec<usize> {
        let step = from[axis] as f64 / to[axis] as f64;
        let steps = std::iter::successors(Some(step * 0.5), |at| Some(at + step));
        steps.take(to[axis]).map(|at| (at as usize).min(from[axis] - 1)).collect()
    };
    picked(pixels, bytes, from[1], [places(0), places(1)])
}

/// The same as torchvision's `NEAREST_EXACT`, which is in f32.
fn nearest_exact(pixels: &[u8], bytes: usize, from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let places = |axis: usize| -> Vec<usize> {
        let step = from[axis] as f32 / to[axis] as f32;
        (0..to[axis]).map(|i| (((i as f32 + 0.5) * step) as usize).min(from[axis] - 1)).collect()
    };
    picked(pixels, bytes, from[1], [places(0), places(1)])
}

/// Of rows of `width` pixels of `bytes`, these.
fn picked(pixels: &[u8], bytes: usize, width: usize, [rows, columns]: [Vec<usize>; 2]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * columns.len() * bytes);
    for row in rows {
        for column in &columns {
            let at = (row * width + column) * bytes;
            out.extend_from_slice(&pixels[at..at + bytes]);
        }
    }
    out
}

#[cfg(test)]
mod tests;
