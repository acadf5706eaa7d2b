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
        let mut sums = vec![0f64; d];
        let mut most = vec![f32::NEG_INFINITY; d];
        rows::sums_and_largest(level, &x, &mut sums, &mut most);
        for j in 0..d {
            let column = || (0..n).map(|i| x[i * d + j]);
            assert_eq!(sums[j], column().map(f64::from).sum::<f64>());
            assert_eq!(most[j], column().fold(f32::NEG_INFINITY, f32::max));
        }
    }
    assert!(<f32 as Real>::of(0.5) == 0.5);
}
