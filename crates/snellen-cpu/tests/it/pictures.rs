//! Kernels of pictures against their formulas in plain words, at every level, to the last bit.

use crate::{cases, levels};
use proptest::prelude::*;
use snellen_cpu::resample::{self, BITS, ROWS, Windows};

/// Bytes that look drawn.
fn bytes(n: usize, seed: u64) -> Vec<u8> {
    crate::values(n, seed).into_iter().map(|x| ((x + 1.0) * 128.0) as u8).collect()
}

/// What weights of `bits` fractional bits make of bytes: Pillow's `clip8`.
fn weighed(pairs: impl Iterator<Item = (u8, i32)>, bits: u32) -> u8 {
    let sum: i64 = pairs.map(|(byte, weight)| i64::from(byte) * i64::from(weight)).sum();
    ((sum + (1 << (bits - 1))) >> bits).clamp(0, 255) as u8
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sums_along_rows_and_columns_are_those_of_whole_numbers(
        seed in 1u64..1000, channels in 1usize..=4, width in 1usize..60, windows in 1usize..50, length in 1usize..12,
        bits in 10u32..=BITS,
    ) {
        let length = length.min(width);
        let starts: Vec<usize> = (0..windows).map(|i| i * (width - length) / windows).collect();
        let weights: Vec<i32> = crate::values(windows * length, seed)
            .into_iter().map(|x| (x * 1.5 / length as f32 * (1 << bits) as f32) as i32).collect();
        let row = width * channels;
        let pixels = bytes(ROWS * row, seed + 1);
        let seen = Windows { starts: &starts, weights: &weights, length, bits };
        for level in levels() {
            let (mut tile, mut sums) = (vec![[0; ROWS]; row], vec![[0; ROWS]; windows * channels]);
            resample::turn(level, std::array::from_fn(|i| &pixels[i * row..]), &mut tile);
            resample::along_rows(level, &tile, channels, seen, &mut sums);
            let stride = sums.len() + 3;
            let mut out = vec![7; (ROWS - 1) * stride];
            resample::turn_back(level, &sums, &mut out, stride);
            for (at, got) in out.iter().enumerate() {
                let (i, j) = (at / stride, at % stride);
                let (window, channel) = (j / channels, j % channels);
                let expected = if j >= sums.len() { 7 } else {
                    let byte = |t: usize| pixels[i * row + (starts[window] + t) * channels + channel];
                    weighed((0..length).map(|t| (byte(t), weights[window * length + t])), bits)
                };
                prop_assert_eq!(*got, expected, "{} {}", level, at);
            }

            let weights = &weights[..length.min(ROWS)];
            let mut out = vec![0; row];
            resample::down_columns(level, &pixels, row, weights, bits, &mut out);
            for (j, got) in out.iter().enumerate() {
                let expected = weighed(weights.iter().enumerate().map(|(t, weight)| (pixels[t * row + j], *weight)), bits);
                prop_assert_eq!(*got, expected, "{} {}", level, j);
            }
        }
    }
}
