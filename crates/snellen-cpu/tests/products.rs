//! Products and attention at every level that this processor can run, against sums in f64.

use proptest::prelude::*;
use snellen_cpu::{Activation, Finish, Heads, Kernels, Level, Packed, Precision, Real, View, attention, product, rows};

/// The levels that can be run here; the others cannot be tested here.
fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| level.is_supported())
}

/// Values between -1 and 1 that look drawn.
fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

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
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products_agree_with_sums_in_f64(
        n in 1usize..120, k in prop_oneof![1usize..70, 500usize..1100], m in 1usize..150,
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
        let (bias, gain, add) = (values(m, seed + 2), values(m, seed + 3), values(n * stride, seed + 4));
        for (level, precision) in levels().flat_map(|l| [(l, Precision::F32), (l, Precision::Bf16)]) {
            let packed = Packed::new(level, precision, b_view);
            for (l, j) in [(0, 0), (k - 1, m - 1), (k / 2, m / 3)] {
                prop_assert_eq!(packed.at(l, j) as f64, rounded(&[b[l * m + j]], precision)[0]);
            }
            let expected = reference(&rounded(&a, precision), &rounded(&b, precision), (n, k, m));
            for kind in [None, Some(Activation::Gelu), Some(Activation::QuickGelu)] {
                let finish = Finish { bias: Some(&bias), activation: kind, gain: Some(&gain), add: Some(&add) };
                let mut out = vec![7f32; n * stride];
                product(&mut out, stride, a_view, &packed, finish);
                let mut plain = vec![7f32; n * stride];
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
                    for j in m..stride.min(n * stride - i * stride) {
                        prop_assert_eq!(out[i * stride + j], 7.0, "between rows");
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_is_the_same_in_any_company(n in 2usize..200, k in 1usize..600, m in 1usize..90, seed in 0u64..1_000_000) {
        let (a, b) = (values(n * k, seed), values(k * m, seed + 1));
        for (level, precision) in levels().flat_map(|l| [(l, Precision::F32), (l, Precision::Bf16)]) {
            let packed = Packed::new(level, precision, View::new(&b, k, m, m));
            let mut whole = vec![0f32; n * m];
            product(&mut whole, m, View::new(&a, n, k, k), &packed, Finish::default());
            let i = seed as usize % n;
            let mut alone = vec![0f32; m];
            product(&mut alone, m, View::new(&a[i * k..], 1, k, k), &packed, Finish::default());
            prop_assert_eq!(&whole[i * m..][..m], &alone[..]);
        }
    }

    #[test]
    fn attention_is_the_same_as_by_its_steps(
        sequences in 1usize..3, queries in 1usize..70, more in 0usize..40, heads in 1usize..5, units in 1usize..70,
        causal: bool, seed in 0u64..1_000_000,
    ) {
        let keys = if causal { queries } else { queries + more };
        let wide = heads * units;
        let h = Heads { sequences, queries, keys, heads, units, causal };
        let q = values(sequences * queries * wide, seed);
        let (k, v) = (values(sequences * keys * wide, seed + 1), values(sequences * keys * wide, seed + 2));
        for (level, precision) in levels().flat_map(|l| [(l, Precision::F32), (l, Precision::Bf16)]) {
            let mut z = vec![0f32; q.len()];
            attention(level, precision, h, (&q, &k, &v), &mut z);
            for s in 0..sequences {
                for head in 0..heads {
                    let of = |x: &'_ [f32], tokens: usize| -> Vec<f32> {
                        (0..tokens).flat_map(|t| x[(s * tokens + t) * wide + head * units..][..units].to_vec()).collect()
                    };
                    let (q, k, v, z) = (of(&q, queries), of(&k, keys), of(&v, keys), of(&z, queries));
                    let mut pattern = vec![0f32; queries * keys];
                    let (qs, ks) = (View::new(&q, queries, units, units), View::new(&k, keys, units, units));
                    f32::small_product(level, precision, &mut pattern, keys, qs, ks.transposed());
                    rows::scale(level, &mut pattern, 1.0 / (units as f32).sqrt());
                    for (i, row) in pattern.chunks_mut(keys).enumerate().filter(|_| causal) {
                        row[i + 1..].fill(f32::NEG_INFINITY);
                    }
                    f32::softmax(level, &mut pattern, keys);
                    prop_assert!(pattern.chunks(keys).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
                    let mut steps = vec![0f32; queries * units];
                    let (ps, vs) = (View::new(&pattern, queries, keys, keys), View::new(&v, keys, units, units));
                    f32::small_product(level, precision, &mut steps, units, ps, vs);
                    prop_assert_eq!(&z, &steps);
                    if precision == Precision::F32 {
                        let wanted = slow_attention(&q, &k, &v, (keys, units), causal);
                        prop_assert!(z.iter().zip(&wanted).all(|(x, y)| (*x as f64 - y).abs() < 1e-5));
                    }
                }
            }
        }
    }
}

fn slow_attention(q: &[f32], k: &[f32], v: &[f32], (keys, units): (usize, usize), causal: bool) -> Vec<f64> {
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|x| *x as f64).collect() };
    let (q, k, v) = (wide(q), wide(k), wide(v));
    let mut out = Vec::new();
    for (i, q) in q.chunks(units).enumerate() {
        let seen = if causal { i + 1 } else { keys };
        let weights: Vec<f64> = k
            .chunks(units)
            .take(seen)
            .map(|k| (q.iter().zip(k).map(|(a, b)| a * b).sum::<f64>() / (units as f64).sqrt()).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        let mean = |u: usize| weights.iter().enumerate().map(|(j, w)| w * v[j * units + u]).sum::<f64>() / total;
        out.extend((0..units).map(mean));
    }
    out
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let (n, k, m) = (257, 130, 300);
    let (a, b) = (values(n * k, 1), values(k * m, 2));
    for (level, precision) in levels().flat_map(|l| [(l, Precision::F32), (l, Precision::Bf16)]) {
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
    for (level, precision) in levels().flat_map(|l| [(l, Precision::F32), (l, Precision::Bf16)]) {
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

#[test]
fn operations_on_rows_agree_with_f64_at_every_level() {
    let (n, d) = (9, 83);
    let (x, gain, bias) = (values(n * d, 5), values(d, 6), values(d, 7));
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|x| *x as f64).collect() };
    let close = |got: &[f32], expected: &[f64], what: &str| {
        assert!(got.iter().zip(expected).all(|(a, b)| (*a as f64 - b).abs() < 4e-6), "{what}");
    };
    for level in levels() {
        let (mut norm, mut norm64) = (vec![0f32; n * d], vec![0f64; n * d]);
        f32::layer_norm(level, &x, &gain, &bias, 1e-5, &mut norm);
        f64::layer_norm(level, &wide(&x), &wide(&gain), &wide(&bias), 1e-5, &mut norm64);
        close(&norm, &norm64, "layer norm");
        let (mut soft, mut soft64) = (x.clone(), wide(&x));
        f32::softmax(level, &mut soft, d);
        f64::softmax(level, &mut soft64, d);
        close(&soft, &soft64, "softmax");
        for kind in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu] {
            let scaled: Vec<f32> = x.iter().map(|x| x * 9.0).collect();
            let (mut y, mut y64) = (vec![0f32; n * d], vec![0f64; n * d]);
            f32::activate(level, kind, &scaled, &mut y);
            f64::activate(level, kind, &wide(&scaled), &mut y64);
            close(&y, &y64, "activation");
        }
        let weights: Vec<f64> = (0..n).map(|i| 0.1 * i as f64).collect();
        for columns in [0..d, d / 3..d, d / 3..d / 2] {
            let (mut sums, mut weighted) = (vec![0f64; columns.len()], vec![0f64; columns.len()]);
            let mut most = vec![f32::NEG_INFINITY; columns.len()];
            rows::sums_and_largest(level, &x[columns.start..], d, &mut sums, &mut most);
            rows::weighted_sums(level, &x[columns.start..], d, &weights, &mut weighted);
            for (at, j) in columns.enumerate() {
                let column = || (0..n).map(|i| x[i * d + j]);
                assert_eq!(sums[at], column().fold(0.0, |sum, x| sum + f64::from(x)));
                assert_eq!(weighted[at], column().zip(&weights).fold(0.0, |sum, (x, w)| sum + w * f64::from(x)));
                assert_eq!(most[at], column().fold(f32::NEG_INFINITY, f32::max));
            }
        }
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, x.len() / 2, x.len() - 1] {
                let mut x = x.clone();
                assert!(rows::are_finite(level, &x));
                x[at] = wrong;
                assert!(!rows::are_finite(level, &x));
                let mut sums = vec![0f64; d];
                rows::sums_and_largest(level, &x, d, &mut sums, &mut []);
                assert!(!sums[at % d].is_finite());
            }
        }
    }
    assert!(<f32 as Real>::of(0.5) == 0.5);
}

#[test]
#[should_panic(expected = "inner extents")]
fn extents_that_do_not_fit_are_refused() {
    let packed = Packed::new(Level::Portable, Precision::F32, View::new(&[1.0; 6], 3, 2, 2));
    product(&mut [0.0; 4], 2, View::new(&[1.0; 4], 2, 2, 2), &packed, Finish::default());
}
