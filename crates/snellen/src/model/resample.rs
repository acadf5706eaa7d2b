//! Resampling of pictures, to the digit as Pillow 13 does it.
//!
//! Models are sensitive to how a picture was resized, and resizing crates agree with Pillow only roughly: pass order,
//! intermediate rounding and fixed-point precision all show. Pillow (`src/libImaging/Resample.c`) resamples along rows, rounds to
//! 8 bits, then along columns; weights are normalised in f64 and rounded to 22 fractional bits. Since version 13 the passes change
//! places where the height shrinks by more than twice the pixels that the width does; earlier versions never exchange them.
//! 16-bit grey is weighed in f64.

use super::preprocess::Filter;

/// Fractional bits of a weight. Sums stay within 32 bits: what windows weigh, without sign, is less than 2.
const BITS: u32 = 22;

/// The weights of one output pixel.
struct Window<T> {
    start: usize,
    weights: Vec<T>,
}

/// `pixels` of `N` bytes, `from` rows and columns -> `to` rows and columns.
pub(super) fn resample<const N: usize>(pixels: &[u8], from: [usize; 2], to: [usize; 2], filter: Filter) -> Vec<u8> {
    let Some(kernel) = kernel(filter) else { return nearest(pixels, N, from, to) };
    let fixed = |axis: usize| -> Vec<Window<i32>> {
        let one = f64::from(1u32 << BITS);
        let round = |w: f64| (w * one + 0.5f64.copysign(w)) as i32;
        let whole = |w: Window<f64>| Window { start: w.start, weights: w.weights.into_iter().map(round).collect() };
        windows(from[axis], to[axis], kernel).into_iter().map(whole).collect()
    };
    let mut out: Option<Vec<u8>> = None;
    let columns_first = columns_first(from, to);
    for axis in if columns_first { [0, 1] } else { [1, 0] } {
        if from[axis] != to[axis] {
            let pixels = out.as_deref().unwrap_or(pixels);
            out = Some(match axis {
                1 => along_rows::<N>(pixels, from[1], &fixed(1)),
                _ => along_columns(pixels, N * if columns_first { from[1] } else { to[1] }, &fixed(0)),
            });
        }
    }
    out.unwrap_or_else(|| pixels.to_vec())
}

/// 16-bit grey, the low byte first; `from` rows and columns -> `to` rows and columns.
pub(super) fn grey16(pixels: &[u8], from: [usize; 2], to: [usize; 2], filter: Filter) -> Vec<u8> {
    let Some(kernel) = kernel(filter) else { return nearest(pixels, 2, from, to) };
    let (mut values, mut size): (Vec<f64>, [usize; 2]) =
        (pixels.chunks_exact(2).map(|p| f64::from(u16::from_le_bytes([p[0], p[1]]))).collect(), from);
    for axis in if columns_first(from, to) { [0, 1] } else { [1, 0] } {
        if from[axis] != to[axis] {
            let windows = windows(from[axis], to[axis], kernel);
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

/// Rows of `width` pixels of `N` bytes -> rows of as many as there are windows.
fn along_rows<const N: usize>(pixels: &[u8], width: usize, windows: &[Window<i32>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / width * windows.len());
    for row in pixels.chunks_exact(width * N) {
        for window in windows {
            let mut sums = [1i32 << (BITS - 1); N];
            let seen = row[window.start * N..].chunks_exact(N);
            for (pixel, weight) in seen.zip(&window.weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum = sum.wrapping_add(weight.wrapping_mul(*value as i32));
                }
            }
            out.extend(sums.map(byte));
        }
    }
    out
}

/// Rows of `stride` bytes -> as many of them as there are windows.
fn along_columns(pixels: &[u8], stride: usize, windows: &[Window<i32>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(windows.len() * stride);
    let mut sums = vec![0i32; stride];
    for window in windows {
        sums.fill(1 << (BITS - 1));
        let seen = pixels[window.start * stride..].chunks_exact(stride);
        for (row, weight) in seen.zip(&window.weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(weight.wrapping_mul(*value as i32));
            }
        }
        out.extend(sums.iter().copied().map(byte));
    }
    out
}

fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

fn windows(from: usize, to: usize, (support, kernel): (f64, fn(f64) -> f64)) -> Vec<Window<f64>> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let (reach, shrink) = (support * stretch, 1.0 / stretch);
    (0..to)
        .map(|i| {
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
mod tests {
    use super::*;

    fn row(values: &[u16], to: usize, filter: Filter) -> Vec<u16> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let out = grey16(&bytes, [1, values.len()], [1, to], filter);
        out.chunks_exact(2).map(|p| u16::from_le_bytes([p[0], p[1]])).collect()
    }

    #[test]
    fn grey_of_16_bits_is_rounded_and_cut_as_pillow_does_it() {
        // What Pillow 13 gives. The first sum is the largest number below a half; the second row overshoots both ends.
        assert_eq!(row(&[0, 1, 0, 2, 0], 2, Filter::Bilinear), [1, 1]);
        let overshoot = row(&[0, 0, 65535, 65535, 0, 0], 9, Filter::Bicubic);
        assert_eq!(overshoot, [0, 0, 7888, 57647, 65535, 57647, 7888, 0, 0]);
    }
}
