//! Products against sums in f64.

use crate::{cases, formats, values};
use proptest::prelude::*;
use snellen_cpu::{Activation, Finish, Job, Kernels, Packed, Precision, View, product, products};

/// To the nearest bf16, ties to even, by arithmetic instead of bits.
fn to_bf16(x: f32) -> f32 {
    if x == 0.0 {
        return x;
    }
    let unit = 2f64.powi((x.abs() as f64).log2().floor() as i32 - 7);
    ((x as f64 / unit).round_ties_even() * unit) as f32
}

fn rounded(x: &[f32], precision: Precision) -> Vec<f64> {
    let of = |x: &f32| if precision == Precision::Bf16 { to_bf16(*x) as f64 } else { *x as f64 };
    x.iter().map(of).collect()
}

/// `n x k` times `k x m`, and the sum of the products' sizes, which bounds the rounding of any order.
fn reference(a: &[f64], b: &[f64], (n, k, m): (usize, usize, usize)) -> Vec<(f64, f64)> {
    let cell = |i: usize, j: usize| {
        (0..k).fold((0.0, 0.0), |(sum, size), l| {
            let x = a[i * k + l] * b[l * m + j];
            (sum + x, size + x.abs())
        })
    };
    (0..n).flat_map(|i| (0..m).map(move |j| (i, j))).map(|(i, j)| cell(i, j)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products_agree_with_sums_in_f64(
        n in prop_oneof![4 => 1usize..120, 1 => 180usize..260], k in prop_oneof![4 => 1usize..70, 1 => 1000usize..2200], m in 1usize..150,
        pad in 0usize..5, seed in 0u64..1_000_000, transposed: [bool; 2],
    ) {
        let (a, b) = (values(n * k, seed), values(k * m, seed + 1));
        let flip = |x: &[f32], rows: usize, cols: usize| -> Vec<f32> {
            (0..cols).flat_map(|j| (0..rows).map(move |i| x[i * cols + j])).collect()
        };
        let (a_flipped, b_flipped) = (flip(&a, n, k), flip(&b, k, m));
        let a_view = if transposed[0] { View::new(&a_flipped, k, n, n).transposed() } else { View::new(&a, n, k, k) };
        let b_view = if transposed[1] { View::new(&b_flipped, m, k, k).transposed() } else { View::new(&b, k, m, m) };
        let stride = m + pad;
        // Memory ends with the last value.
        let end = (n - 1) * stride + m;
        let (bias, gain, add) = (values(m, seed + 2), values(m, seed + 3), values(end, seed + 4));
        for (level, precision) in formats() {
            let packed = Packed::new(level, precision, b_view);
            for (l, j) in [(0, 0), (k - 1, m - 1), (k / 2, m / 3)] {
                prop_assert_eq!(packed.at(l, j) as f64, rounded(&[b[l * m + j]], precision)[0]);
            }
            let expected = reference(&rounded(&a, precision), &rounded(&b, precision), (n, k, m));
            for kind in [None, Some(Activation::Gelu), Some(Activation::QuickGelu)] {
                let finish = Finish { bias: Some(&bias), activation: kind, gain: Some(&gain), add: Some(&add) };
                let mut out = vec![7f32; end];
                product(&mut out, stride, a_view, &packed, finish);
                let mut plain = vec![7f32; end];
                product(&mut plain, stride, a_view, &packed, Finish::default());
                for i in 0..n {
                    for j in 0..m {
                        let (sum, size) = expected[i * m + j];
                        let bound = 1e-6 * (size + 1.0);
                        prop_assert!((plain[i * stride + j] as f64 - sum).abs() <= bound, "{level} {precision:?}");
                        // What follows the sum is made step by step from the sum itself.
                        let mut y = [plain[i * stride + j] + bias[j]];
                        if let Some(kind) = kind {
                            let x = y;
                            f32::activate(level, kind, &x, &mut y);
                        }
                        let y = y[0] * gain[j] + add[i * stride + j];
                        prop_assert_eq!(out[i * stride + j].to_bits(), y.to_bits());
                    }
                    for j in m..stride.min(end - i * stride) {
                        prop_assert_eq!(out[i * stride + j], 7.0, "between rows");
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_is_the_same_in_any_company(n in 2usize..200, k in prop_oneof![3 => 1usize..300, 1 => 1000usize..1300], m in 1usize..90, seed in 0u64..1_000_000) {
        let (a, b) = (values(n * k, seed), values(k * m, seed + 1));
        for (level, precision) in formats() {
            let packed = Packed::new(level, precision, View::new(&b, k, m, m));
            let mut whole = vec![0f32; n * m];
            product(&mut whole, m, View::new(&a, n, k, k), &packed, Finish::default());
            let i = seed as usize % n;
            let mut alone = vec![0f32; m];
            product(&mut alone, m, View::new(&a[i * k..], 1, k, k), &packed, Finish::default());
            prop_assert_eq!(&whole[i * m..][..m], &alone[..]);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let (n, k, m) = (257, 130, 300);
    let (a, b) = (values(n * k, 1), values(k * m, 2));
    for (level, precision) in formats() {
        let made = [1, 2, 7].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| {
                let packed = Packed::new(level, precision, View::new(&b, k, m, m));
                let mut out = vec![0f32; n * m];
                product(&mut out, m, View::new(&a, n, k, k), &packed, Finish::default());
                out
            })
        });
        assert!(made[0] == made[1] && made[1] == made[2]);
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for (level, precision) in formats() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut a = values(7 * 40, 3);
            a[40 * 5 + 17] = bad;
            let packed = Packed::new(level, precision, View::new(&values(40 * 9, 4), 40, 9, 9));
            let mut out = vec![0f32; 63];
            product(&mut out, 9, View::new(&a, 7, 40, 40), &packed, Finish::default());
            let of = |row: usize| out[row * 9..][..9].iter().all(|x| x.is_finite());
            assert!((0..7).all(|row| of(row) == (row != 5)), "{level} {precision:?} {bad}");
        }
    }
}

/// Of different extents, one of them without rows.
#[test]
fn products_at_once_give_the_bytes_of_one_after_the_other() {
    let extents = [(257, 33, 70), (40, 33, 129), (0, 33, 16), (5, 1_100, 3)];
    for (level, precision) in formats() {
        let operands = extents.map(|(n, k, m)| (values(n * k, 1), values(k * m, 2), values(m, 3)));
        let packed: Vec<Packed> = extents
            .iter()
            .zip(&operands)
            .map(|((_, k, m), (_, b, _))| Packed::new(level, precision, View::new(b, *k, *m, *m)))
            .collect();
        let mut outs = extents.map(|(n, _, m)| vec![7f32; n * m]);
        let mut single = outs.clone();
        let (mut jobs, mut alone) = (Vec::new(), Vec::new());
        for (i, (out, one)) in outs.iter_mut().zip(&mut single).enumerate() {
            let ((n, k, m), (a, _, bias)) = (extents[i], &operands[i]);
            let (a, finish) = (View::new(a, n, k, k), Finish { bias: Some(&bias[..]), ..Finish::default() });
            jobs.push(Job { out, stride: m, a, b: &packed[i], finish });
            alone.push(Job { out: one, stride: m, a, b: &packed[i], finish });
        }
        products(&mut jobs);
        alone.into_iter().for_each(|Job { out, stride, a, b, finish }| product(out, stride, a, b, finish));
        assert!(outs == single, "{level}, {precision}");
    }
}
