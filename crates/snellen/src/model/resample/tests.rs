//! The two libraries' formulas, pixel by pixel.

use super::filter::Window;
use super::*;
use proptest::prelude::*;

fn plainly(pixels: &[u8], n: usize, from: [usize; 2], to: [usize; 2], kernel: Kernel, backend: Backend) -> Vec<u8> {
    let (mut pixels, mut size) = (pixels.to_vec(), from);
    for axis in if backend == Backend::Pil && columns_first(from, to) { [0, 1] } else { [1, 0] } {
        if from[axis] == to[axis] {
            continue;
        }
        let windows = windows(from[axis], to[axis], 0..to[axis], kernel);
        let bits = match backend {
            Backend::Pil => BITS,
            Backend::Torchvision => {
                let largest = windows.iter().flat_map(|w| w.weights.clone()).fold(0.0, f64::max);
                let mut bits = 0;
                while bits < 22 && (0.5 + largest * f64::from(1 << (bits + 1))) as i64 <= 32767 {
                    bits += 1;
                }
                bits
            }
        };
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
            let weight = |w: f64| (w * f64::from(1 << bits) + 0.5f64.copysign(w)) as i64;
            let sum: i64 = weights.iter().enumerate().map(|(i, w)| value(i) * weight(*w)).sum();
            out.push(((sum + (1 << (bits - 1))) >> bits).clamp(0, 255) as u8);
        }
        (pixels, size) = (out, after);
    }
    pixels
}

const FILTERS: [Filter; 5] = [Filter::Lanczos, Filter::Bilinear, Filter::Bicubic, Filter::Box, Filter::Hamming];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_part_of_any_size_is_that_of_the_formula(
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
        for backend in Backend::ALL {
            let got = resample::<3>(&pixels, from, to, part.clone(), (FILTERS[filter], backend));
            let Some(kernel) = kernel(FILTERS[filter]) else { continue };
            let whole = plainly(&pixels, 3, from, to, kernel, backend);
            prop_assert_eq!(got, cut(&whole, 3, to[1], part.clone()), "{}", backend);
        }
    }
}
