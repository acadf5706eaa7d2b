//! Operations on rows against f64.

use crate::{levels, values};
use snellen_cpu::{Activation, Kernels, Real, rows};

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
