use super::super::{floats, known, near, number};
use super::{Data, some_data};
use proptest::prelude::*;
use snellen::measure::stream::{Batch, Measure, Moments, UnitMoments};

fn of(values: &[f32]) -> UnitMoments {
    let mut moments = Moments::new(1);
    moments.observe(Batch::new(0, 1, values).unwrap()).unwrap();
    moments.finish().remove(0)
}

#[test]
fn moments_have_the_answers_of_numpy() {
    for case in known("moments") {
        let values: Vec<f32> = floats(&case["values"]).iter().map(|&x| x as f32).collect();
        let got = of(&values);
        assert_eq!((got.count, got.non_finite), (values.len(), 0));
        let relative = |got: Option<f64>, key: &str| near(got.unwrap() / number(&case, key), 1.0);
        relative(got.mean, "mean");
        relative(got.variance, "variance");
        assert_eq!(got.min.unwrap(), number(&case, "min") as f32);
        assert_eq!(got.max.unwrap(), number(&case, "max") as f32);
    }
}

#[test]
fn few_values_and_odd_ones_are_counted() {
    let none = UnitMoments { count: 0, non_finite: 0, mean: None, variance: None, min: None, max: None };
    assert_eq!(of(&[]), none);
    assert_eq!(of(&[f32::NAN, f32::INFINITY]), UnitMoments { non_finite: 2, ..none });
    let one = of(&[f32::NEG_INFINITY, 2.5]);
    assert_eq!((one.count, one.non_finite, one.mean, one.variance), (1, 1, Some(2.5), None));
    assert_eq!((one.min, one.max), (Some(2.5), Some(2.5)));
    // A value whose sums no double holds exactly has no variance all the same.
    assert_eq!(of(&[0.1; 1_000]).variance, Some(0.0));
    assert_eq!(of(&[-0.0, 0.0]).min.unwrap().to_bits(), 0);
    let large = of(&[f32::MAX, f32::MIN, f32::MAX, f32::MIN]);
    assert_eq!(large.mean, Some(0.0));
    near(large.variance.unwrap() / (f64::from(f32::MAX).powi(2) * 4.0 / 3.0), 1.0);
}

/// The stated tolerance, of mean and of standard deviation, in terms of the root mean square.
fn assert_close(data: &Data, a: &[UnitMoments], b: &[UnitMoments]) {
    for (unit, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!((a.count, a.non_finite, a.min, a.max), (b.count, b.non_finite, b.min, b.max));
        let finite: Vec<f64> = data.column(unit).iter().filter(|x| x.is_finite()).map(|&x| f64::from(x)).collect();
        let rms = (finite.iter().map(|x| x * x).sum::<f64>() / finite.len() as f64).sqrt();
        let apart = |a: Option<f64>, b: Option<f64>| a.zip(b).map_or(0.0, |(a, b)| (a - b).abs());
        assert!(apart(a.mean, b.mean) <= 1e-15 * rms, "unit {unit}: {a:?}, {b:?}");
        assert!(
            apart(a.variance.map(f64::sqrt), b.variance.map(f64::sqrt)) <= 1e-15 * rms,
            "unit {unit}: {a:?}, {b:?}"
        );
    }
}

proptest! {
    #[test]
    fn moments_are_the_same_any_way(data in some_data(), seed: u64) {
        let empty = Moments::new(data.units);
        assert_close(&data, &data.split(&empty, seed), &data.once(empty));
    }
}
