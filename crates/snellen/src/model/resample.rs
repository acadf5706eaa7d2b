//! Resampling of 8-bit pictures, to the digit as Pillow 13 does it.
//!
//! Models are sensitive to how a picture was resized, and resizing crates agree with Pillow only roughly: pass order,
//! intermediate rounding and fixed-point precision all show. Pillow (`src/libImaging/Resample.c`) resamples along rows, rounds to
//! 8 bits, then along columns; weights are normalised in f64 and rounded to 22 fractional bits. Since version 13 the passes change
//! places where the height shrinks by more than twice the pixels that the width does; earlier versions never exchange them.

use super::preprocess::Filter;

/// Fractional bits of a weight.
const BITS: u32 = 22;

/// The weights of one output pixel.
struct Window {
    start: usize,
    weights: Vec<i64>,
}

/// `pixels` (RGB, `from` rows and columns) -> RGB with `to` rows and columns.
pub(super) fn resample(pixels: &[u8], from: [usize; 2], to: [usize; 2], filter: Filter) -> Vec<u8> {
    let Some((support, kernel)) = kernel(filter) else { return nearest(pixels, from, to) };
    let lost = |axis: usize| from[axis] as i64 - to[axis] as i64;
    let vertical_first = lost(0) > 0 && lost(0) > 2 * lost(1);
    let windows = |axis: usize| windows(from[axis], to[axis], support, kernel);
    let mut out = pixels.to_vec();
    for axis in if vertical_first { [0, 1] } else { [1, 0] } {
        if from[axis] != to[axis] {
            out = match axis {
                1 => along_rows(&out, from[1], &windows(1)),
                _ => along_columns(&out, if vertical_first { from[1] } else { to[1] }, &windows(0)),
            };
        }
    }
    out
}

/// Rows of `width` pixels -> rows of as many as there are windows.
fn along_rows(pixels: &[u8], width: usize, windows: &[Window]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / width * windows.len());
    for row in pixels.chunks(width * 3) {
        for window in windows {
            out.extend((0..3).map(|channel| weigh(window, |i| row[i * 3 + channel])));
        }
    }
    out
}

/// Rows of `width` pixels -> as many of them as there are windows.
fn along_columns(pixels: &[u8], width: usize, windows: &[Window]) -> Vec<u8> {
    let stride = width * 3;
    let mut out = Vec::with_capacity(windows.len() * stride);
    for window in windows {
        out.extend((0..stride).map(|at| weigh(window, |i| pixels[i * stride + at])));
    }
    out
}

fn weigh(window: &Window, pixel: impl Fn(usize) -> u8) -> u8 {
    let sum: i64 = window.weights.iter().enumerate().map(|(i, w)| w * pixel(window.start + i) as i64).sum();
    ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
}

fn windows(from: usize, to: usize, support: f64, kernel: fn(f64) -> f64) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let reach = support * stretch;
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            let start = ((centre - reach + 0.5) as i64).max(0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(from);
            let weights: Vec<f64> = (start..end).map(|x| kernel((x as f64 - centre + 0.5) / stretch)).collect();
            let total: f64 = weights.iter().sum();
            let fixed = |w: &f64| (w / total * f64::from(1u32 << BITS)).round() as i64;
            Window { start, weights: weights.iter().map(fixed).collect() }
        })
        .collect()
}

fn kernel(filter: Filter) -> Option<(f64, fn(f64) -> f64)> {
    Some(match filter {
        Filter::Nearest => return None,
        Filter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
        Filter::Bicubic => (2.0, |x| {
            let (a, x) = (-0.5, x.abs());
            if x < 1.0 {
                ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
            } else if x < 2.0 {
                (((x - 5.0) * x + 8.0) * x - 4.0) * a
            } else {
                0.0
            }
        }),
        Filter::Lanczos => (3.0, |x| if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 }),
    })
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) }
}

fn nearest(pixels: &[u8], [rows, columns]: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let pick =
        |i: usize, have: usize, want: usize| (((i as f64 + 0.5) * have as f64 / want as f64) as usize).min(have - 1);
    let mut out = Vec::with_capacity(to[0] * to[1] * 3);
    for row in 0..to[0] {
        for column in 0..to[1] {
            let at = pick(row, rows, to[0]) * columns + pick(column, columns, to[1]);
            out.extend_from_slice(&pixels[at * 3..at * 3 + 3]);
        }
    }
    out
}
