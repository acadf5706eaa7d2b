//! Resampling of pictures, to the digit as Pillow 13 does it.
//!
//! Models are sensitive to how a picture was resized, and resizing crates agree with Pillow only roughly: pass order,
//! intermediate rounding and fixed-point precision all show. Pillow (`src/libImaging/Resample.c`) resamples along rows, rounds to
//! 8 bits, then along columns; weights are normalised in f64 and rounded to 22 fractional bits. Since version 13 the passes change
//! places where the height shrinks by more than twice the pixels that the width does; earlier versions never exchange them.
//! 16-bit grey is weighed in f64.

use super::picture::memory;
use super::preprocess::Filter;
use crate::engine::Level;
use snellen_cpu::resample::{self as kernels, BITS, ROWS};
use std::array::from_fn;
use std::ops::Range;

/// The weights of one output pixel.
struct Window {
    start: usize,
    weights: Vec<f64>,
}

/// `pixels` of `N` bytes, `from` rows and columns -> of the `to` rows and columns they are resized to, those of `part`.
pub(super) fn resample<const N: usize>(
    pixels: &[u8],
    from: [usize; 2],
    to: [usize; 2],
    part: [Range<usize>; 2],
    filter: Filter,
) -> Vec<u8> {
    let Some(kernel) = kernel(filter) else {
        return cut(&nearest(pixels, N, from, to), N, to[1], part);
    };
    let passes = [0, 1].map(|axis| Pass::new(from[axis], to[axis], part[axis].clone(), kernel));
    let [row, there, here] = [from[1], part[1].start, part[1].len()].map(|columns| N * columns);
    match passes {
        [None, None] => cut(pixels, N, from[1], part),
        [None, Some(columns)] => columns.along_rows::<N>(&pixels[row * part[0].start..row * part[0].end], row),
        [Some(rows), None] => rows.down_columns(&pixels[there..], row, here),
        [Some(rows), Some(columns)] => {
            let out;
            let between;
            if columns_first(from, to) {
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
}

impl Pass {
    /// The pixels of `part` of the `to` that `from` become; nothing where these are as many.
    fn new(from: usize, to: usize, part: Range<usize>, kernel: (f64, fn(f64) -> f64)) -> Option<Self> {
        if from == to {
            return None;
        }
        let one = f64::from(1u32 << BITS);
        let fixed = |w: f64| (w * one + 0.5f64.copysign(w)) as i32;
        let windows = windows(from, to, part, kernel);
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
        Some(Self { starts, weights, length })
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
        let windows = kernels::Windows { starts: &starts, weights: &self.weights, length: self.length };
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
            kernels::down_columns(level, &pixels[start * stride..], stride, weights, out);
        }
        out
    }
}

/// 16-bit grey, the low byte first; `from` rows and columns -> `to` rows and columns.
pub(super) fn grey16(pixels: &[u8], from: [usize; 2], to: [usize; 2], filter: Filter) -> Vec<u8> {
    let Some(kernel) = kernel(filter) else { return nearest(pixels, 2, from, to) };
    let (mut values, mut size): (Vec<f64>, [usize; 2]) =
        (pixels.chunks_exact(2).map(|p| f64::from(u16::from_le_bytes([p[0], p[1]]))).collect(), from);
    for axis in if columns_first(from, to) { [0, 1] } else { [1, 0] } {
        if from[axis] != to[axis] {
            let windows = windows(from[axis], to[axis], 0..to[axis], kernel);
            let (rows, columns) = if axis == 1 { (size[0], to[1]) } else { (to[0], size[1]) };
            let mut out = Vec::with_capacity(rows * columns);
            for row in 0..rows {
                for column in 0..columns {
                    let window = &windows[if axis == 1 { column } else { row }];
                    let at = |i: usize| if axis == 1 { row * size[1] + i } else { i * size[1] + column };
                    let sum: f64 =
                        window.weights.iter().enumerate().map(|(i, w)| values[at(window.start + i)] * w).sum();
                    out.push(two_bytes(sum));
                }
            }
            (values, size) = (out, [rows, columns]);
        }
    }
    values.into_iter().flat_map(|value| (value as u16).to_le_bytes()).collect()
}

/// Rounded as Pillow rounds, where what is just below a half goes up, and cut to 16 bits.
fn two_bytes(sum: f64) -> f64 {
    (sum + 0.5).floor().clamp(0.0, 65535.0)
}

fn columns_first(from: [usize; 2], to: [usize; 2]) -> bool {
    let lost = |axis: usize| from[axis] as i64 - to[axis] as i64;
    lost(0) > 0 && lost(0) > 2 * lost(1)
}

/// Where the pixels of `part` of the `to` see the `from`, and how.
fn windows(from: usize, to: usize, part: Range<usize>, (support, kernel): (f64, fn(f64) -> f64)) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let (reach, shrink) = (support * stretch, 1.0 / stretch);
    part.map(|i| {
        let centre = (i as f64 + 0.5) * scale;
        let start = ((centre - reach + 0.5) as i64).max(0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let mut weights: Vec<f64> = (start..end).map(|x| kernel((x as f64 - centre + 0.5) * shrink)).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        Window { start, weights }
    })
    .collect()
}

/// How far a kernel reaches at its natural size, and its values.
fn kernel(filter: Filter) -> Option<(f64, fn(f64) -> f64)> {
    Some(match filter {
        Filter::Nearest => return None,
        Filter::Box => (0.5, |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }),
        Filter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
        Filter::Hamming => (1.0, |x| {
            let (x, pi) = (x.abs(), std::f64::consts::PI);
            if x >= 1.0 { 0.0 } else { sinc(x) * (0.54 + 0.46 * (x * pi).cos()) }
        }),
        Filter::Bicubic => (2.0, |x| cubic(-0.5, x)),
        Filter::Lanczos => (3.0, |x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }),
    })
}

/// Keys' cubic convolution kernel (doi 10.1109/TASSP.1981.1163711).
pub(super) fn cubic(a: f64, x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) }
}

/// `pixels` of `bytes` each, those nearest to the centres of the new ones. Pillow adds up the steps between them.
pub(super) fn nearest(pixels: &[u8], bytes: usize, from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let places = |axis: usize| -> Vec<usize> {
        let step = from[axis] as f64 / to[axis] as f64;
        let steps = std::iter::successors(Some(step * 0.5), |at| Some(at + step));
        steps.take(to[axis]).map(|at| (at as usize).min(from[axis] - 1)).collect()
    };
    let columns = places(1);
    let mut out = Vec::with_capacity(to[0] * to[1] * bytes);
    for row in places(0) {
        for column in &columns {
            let at = (row * from[1] + column) * bytes;
            out.extend_from_slice(&pixels[at..at + bytes]);
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(values: &[u16], to: usize, filter: Filter) -> Vec<u16> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let out = grey16(&bytes, [1, values.len()], [1, to], filter);
        out.chunks_exact(2).map(|p| u16::from_le_bytes([p[0], p[1]])).collect()
    }

    /// Pillow's formula, pixel by pixel.
    fn plainly(pixels: &[u8], n: usize, from: [usize; 2], to: [usize; 2], filter: Filter) -> Vec<u8> {
        let (mut pixels, mut size) = (pixels.to_vec(), from);
        for axis in if columns_first(from, to) { [0, 1] } else { [1, 0] } {
            if from[axis] == to[axis] {
                continue;
            }
            let windows = windows(from[axis], to[axis], 0..to[axis], kernel(filter).unwrap());
            let mut after = size;
            after[axis] = to[axis];
            let mut out = Vec::new();
            for at in 0..after[0] * after[1] * n {
                let (row, column, channel) = (at / n / after[1], at / n % after[1], at % n);
                let Window { start, weights } = &windows[if axis == 1 { column } else { row }];
                let value = |i: usize| {
                    let (row, column) = if axis == 1 { (row, start + i) } else { (start + i, column) };
                    i64::from(pixels[(row * size[1] + column) * n + channel])
                };
                let weight = |w: f64| (w * f64::from(1 << BITS) + 0.5f64.copysign(w)) as i64;
                let sum: i64 = weights.iter().enumerate().map(|(i, w)| value(i) * weight(*w)).sum();
                out.push(((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8);
            }
            (pixels, size) = (out, after);
        }
        pixels
    }

    const FILTERS: [Filter; 5] = [Filter::Lanczos, Filter::Bilinear, Filter::Bicubic, Filter::Box, Filter::Hamming];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_part_of_any_size_is_that_of_pillows_formula(
            from in [1usize..70, 1usize..70], to in [1usize..50, 1usize..50], same in [0u8..4, 0u8..4],
            ends in [0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0f64], filter in 0usize..5, seed in any::<u32>(),
        ) {
            let to = [0, 1].map(|axis| if same[axis] == 0 { from[axis] } else { to[axis] });
            let part = [0, 1].map(|axis| {
                let place = |i: usize| (ends[2 * axis + i] * to[axis] as f64) as usize;
                place(0).min(place(1))..place(0).max(place(1)) + 1
            });
            let mut state = seed | 1;
            let mut drawn = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                // Mostly black and white, for sums beyond both.
                [0, 255, (state >> 8) as u8][(state >> 20) as usize % 3]
            };
            let pixels: Vec<u8> = (0..3 * from[0] * from[1]).map(|_| drawn()).collect();
            let got = resample::<3>(&pixels, from, to, part.clone(), FILTERS[filter]);
            let whole = plainly(&pixels, 3, from, to, FILTERS[filter]);
            prop_assert_eq!(got, cut(&whole, 3, to[1], part));
        }
    }

    #[test]
    fn grey_of_16_bits_is_rounded_and_cut_as_pillow_does_it() {
        // What Pillow 13 gives. The first sum is the largest number below a half; the second row overshoots both ends.
        assert_eq!(row(&[0, 1, 0, 2, 0], 2, Filter::Bilinear), [1, 1]);
        let overshoot = row(&[0, 0, 65535, 65535, 0, 0], 9, Filter::Bicubic);
        assert_eq!(overshoot, [0, 0, 7888, 57647, 65535, 57647, 7888, 0, 0]);
    }
}
