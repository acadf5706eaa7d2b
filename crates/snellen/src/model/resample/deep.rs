//! 16-bit grey, which Pillow weighs in f64.

use super::filter::{Filter, kernel, windows};
use super::{columns_first, nearest};

/// 16-bit grey, the low byte first; `from` rows and columns -> `to` rows and columns.
pub(in super::super) fn grey16(pixels: &[u8], from: [usize; 2], to: [usize; 2], filter: Filter) -> Vec<u8> {
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
