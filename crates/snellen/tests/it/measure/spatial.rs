//! Units on patches against masks.

use super::{gauss, near};
use snellen::measure::spatial::{TOP, spatial};
use snellen::random::stream;

#[test]
fn overlaps_have_the_answers_of_counting() {
    // 400 patches: two are active. One lies on the object in half, one beside it; the object covers 3 patches' area.
    let mut values = vec![0.0_f32; 400];
    (values[7], values[9]) = (2.0, 3.0);
    let mut covered = vec![0.0; 400];
    (covered[7], covered[100], covered[101], covered[102]) = (0.5, 1.0, 1.0, 0.5);
    let found = spatial(&values, &covered).unwrap();
    near(found.iou, 0.5 / (3.0 + 2.0 - 0.5));
    let shared = 2.0 * 3.0 / 400.0;
    near(found.by_chance, shared / (5.0 - shared));
    // On the very patches of the object and no others.
    let on: Vec<f64> = values.iter().map(|x| f64::from(u8::from(*x > 0.0))).collect();
    near(spatial(&values, &on).unwrap().iou, 1.0);
}

#[test]
fn noise_is_anywhere() {
    let mut rng = stream(1, "patches", 0);
    let (mut sum, mut by_chance) = (0.0, 0.0);
    for _ in 0..40 {
        let values: Vec<f32> = (0..20_000).map(|_| gauss(&mut rng) as f32).collect();
        let covered: Vec<f64> = (0..20_000).map(|i| if i % 10 < 3 { 0.6 } else { 0.0 }).collect();
        let found = spatial(&values, &covered).unwrap();
        (sum, by_chance) = (sum + found.iou, by_chance + found.by_chance);
    }
    assert!((sum / by_chance - 1.0).abs() < 0.05, "{sum} {by_chance}");
}

#[test]
fn what_has_no_place_has_no_overlap() {
    let ramp: Vec<f32> = (0..400).map(|i| i as f32).collect();
    assert_eq!(spatial(&ramp, &[0.0; 400]), None);
    assert_eq!(spatial(&[1.0; 400], &[0.5; 400]), None);
    assert_eq!(spatial(&[f32::NAN; 4], &[0.5; 4]), None);
    assert_eq!(spatial(&[], &[]), None);
    // So few patches that none is in the top.
    assert!(TOP < 0.01 && spatial(&ramp[..100], &[0.5; 100]).is_none());
    // Ties at the threshold are not above it.
    let mut values = vec![0.0_f32; 1000];
    values[..50].fill(1.0);
    assert_eq!(spatial(&values, &[0.5; 1000]), None);
}
