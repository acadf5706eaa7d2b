use super::{confidence, floats, gauss, known, near, number};
use proptest::prelude::*;
use rand::RngExt;
use snellen::measure::auroc::{Auroc, EXACT_BELOW, Flag, auroc};
use snellen::measure::normal::{two_sided, upper_tail};
use snellen::random::stream;

fn score(values: &[f32], present: &[bool], strata: &[usize], exact_below: usize) -> Option<Auroc> {
    auroc(values, present, strata, exact_below, confidence(0.95)).unwrap()
}

/// Positives first, in one stratum.
fn two_samples(positive: &[f64], negative: &[f64], exact_below: usize) -> Auroc {
    let values: Vec<f32> = positive.iter().chain(negative).map(|&x| x as f32).collect();
    let present: Vec<bool> = (0..values.len()).map(|i| i < positive.len()).collect();
    score(&values, &present, &vec![3; values.len()], exact_below).unwrap()
}

#[test]
fn normal_tails_are_those_of_scipy() {
    for case in known("normal") {
        let [x, sf] = [number(&case, "x"), number(&case, "sf")];
        assert!((upper_tail(x) / sf - 1.0).abs() < 1e-12, "{case}");
        near(upper_tail(-x), number(&case, "cdf"));
        assert!((two_sided(-x) / (2.0 * sf) - 1.0).abs() < 1e-12, "{case}");
    }
    near(confidence(0.95).z(), 1.959_963_984_540_054);
    near(confidence(0.5).z(), 0.674_489_750_196_081_7);
    for level in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(snellen::measure::Confidence::new(level).is_err());
    }
}

#[test]
fn two_samples_have_the_answers_of_scipy() {
    for case in known("mann_whitney") {
        let [positive, negative] = ["positive", "negative"].map(|key| floats(&case[key]));
        let exact = two_samples(&positive, &negative, EXACT_BELOW);
        near(exact.auroc, number(&case, "auc"));
        near(exact.p, number(&case, "p_exact"));
        let normal = two_samples(&positive, &negative, 0);
        near(normal.auroc, number(&case, "auc"));
        near(normal.p, number(&case, "p_asymptotic"));
    }
}

#[test]
fn strata_have_the_answers_of_scipy() {
    for case in known("stratified") {
        let values: Vec<f32> = floats(&case["values"]).iter().map(|&x| x as f32).collect();
        let present: Vec<bool> = floats(&case["labels"]).iter().map(|&label| label == 1.0).collect();
        let strata: Vec<usize> = floats(&case["strata"]).iter().map(|&stratum| stratum as usize).collect();
        let got = score(&values, &present, &strata, 0).unwrap();
        near(got.auroc, number(&case, "pooled_auc"));
        near(got.p, number(&case, "p"));
        let effective: f64 = case["per_stratum"].as_array().unwrap().iter().map(|s| number(s, "positives")).sum();
        assert!(effective <= present.iter().filter(|&&held| held).count() as f64);
    }
}

/// Every way to choose which images of each stratum hold the concept, by going through them: the share with U as high, and as
/// low, as observed.
fn enumerated_p(values: &[f32], present: &[bool], strata: &[usize]) -> f64 {
    let n = values.len();
    let held = |labels: u32, i: usize| labels >> i & 1 == 1;
    let observed = (0..n).fold(0, |labels, i| labels | u32::from(present[i]) << i);
    let doubled_u = |labels: u32| -> i32 {
        let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        let compared = pairs.filter(|&(i, j)| held(labels, i) && !held(labels, j) && strata[i] == strata[j]);
        compared.map(|(i, j)| 1 + values[i].total_cmp(&values[j]) as i32).sum()
    };
    let counts = |labels: u32| [0, 1, 2].map(|s| (0..n).filter(|&i| strata[i] == s && held(labels, i)).count());
    let mut tails = [0; 2];
    let mut all = 0;
    for labels in (0..1 << n).filter(|&labels| counts(labels) == counts(observed)) {
        all += 1;
        tails[0] += i32::from(doubled_u(labels) >= doubled_u(observed));
        tails[1] += i32::from(doubled_u(labels) <= doubled_u(observed));
    }
    (2.0 * f64::from(tails[0].min(tails[1])) / f64::from(all)).min(1.0)
}

fn images(most: usize, levels: i32) -> impl Strategy<Value = (Vec<f32>, Vec<bool>, Vec<usize>)> {
    let value = (0..levels).prop_map(|x| x as f32 * 0.5 - 1.0);
    prop::collection::vec((value, any::<bool>(), 0..3_usize), 2..most).prop_map(|rows| {
        let (values, rest): (Vec<_>, Vec<_>) = rows.into_iter().map(|(v, p, s)| (v, (p, s))).unzip();
        let (present, strata) = rest.into_iter().unzip();
        (values, present, strata)
    })
}

proptest! {
    #[test]
    fn exact_p_is_that_of_all_permutations((values, present, strata) in images(12, 5)) {
        if let Some(got) = score(&values, &present, &strata, EXACT_BELOW) {
            prop_assert!((got.p - enumerated_p(&values, &present, &strata)).abs() < 1e-12);
        }
    }

    #[test]
    fn exact_p_without_ties_is_that_of_all_permutations((values, present, strata) in images(12, 5)) {
        let values: Vec<f32> = values.iter().enumerate().map(|(i, v)| v + i as f32 / 64.0).collect();
        if let Some(got) = score(&values, &present, &strata, EXACT_BELOW) {
            prop_assert!((got.p - enumerated_p(&values, &present, &strata)).abs() < 1e-12);
        }
    }

    #[test]
    fn only_the_order_of_activations_counts((values, present, strata) in images(60, 30)) {
        let mapped: Vec<f32> = values.iter().map(|v| v.exp() * 3.0 - 2.0).collect();
        prop_assert_eq!(score(&values, &present, &strata, 4), score(&mapped, &present, &strata, 4));
    }

    #[test]
    fn the_order_of_images_does_not((values, present, strata) in images(60, 8), turn in 0..60_usize) {
        let turned = |n: usize| (0..n).map(move |i| (i + turn) % n);
        let n = values.len();
        let other = score(
            &turned(n).map(|i| values[i]).collect::<Vec<_>>(),
            &turned(n).map(|i| present[i]).collect::<Vec<_>>(),
            &turned(n).map(|i| strata[i]).collect::<Vec<_>>(),
            4,
        );
        prop_assert_eq!(score(&values, &present, &strata, 4), other);
    }

    #[test]
    fn negating_turns_the_effect_around((values, present, strata) in images(60, 8)) {
        let negated: Vec<f32> = values.iter().map(|v| -v).collect();
        let absent: Vec<bool> = present.iter().map(|held| !held).collect();
        let once = score(&values, &present, &strata, EXACT_BELOW);
        for other in [score(&negated, &present, &strata, EXACT_BELOW), score(&values, &absent, &strata, EXACT_BELOW)] {
            prop_assert_eq!(once.is_some(), other.is_some());
            let (Some(a), Some(b)) = (once, other) else { continue };
            prop_assert!((a.effect() + b.effect()).abs() < 1e-12);
            prop_assert!((a.p - b.p).abs() < 1e-9 && (a.lo + b.hi - 1.0).abs() < 1e-9 && (a.hi + b.lo - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn numbers_stay_in_their_ranges((values, present, strata) in images(80, 6), exact_below in 0..12_usize) {
        if let Some(got) = score(&values, &present, &strata, exact_below) {
            prop_assert!((0.0..=1.0).contains(&got.p));
            prop_assert!(0.0 <= got.lo && got.lo <= got.auroc && got.auroc <= got.hi && got.hi <= 1.0);
            prop_assert!(got.hi - got.lo > 1e-3);
        }
    }

    #[test]
    fn without_ties_the_interval_and_the_normal_test_agree((values, present, strata) in images(80, 6)) {
        let values: Vec<f32> = values.iter().enumerate().map(|(i, v)| v + i as f32 / 512.0).collect();
        if let Some(got) = score(&values, &present, &strata, 0) {
            prop_assert_eq!(got.p > 0.05, got.lo < 0.5 && 0.5 < got.hi);
        }
    }
}

#[test]
fn intervals_have_the_answers_of_an_independent_solver() {
    // U of 150 and of 10 pairs; scipy.optimize.brentq on the defining equation.
    let half = |n: usize| (0..n).map(|i| i as f64).collect::<Vec<_>>();
    let above = two_samples(&[100.0; 5], &half(7), EXACT_BELOW);
    near(above.lo, 0.682_789_748_174_357);
    assert_eq!(above.hi, 1.0);
    let below = two_samples(&[-1.0; 5], &half(7), EXACT_BELOW);
    assert_eq!(below.lo, 0.0);
    near(below.hi, 0.317_210_251_825_643);
    let mixed = two_samples(&[14.5; 10], &half(20), EXACT_BELOW);
    near(mixed.auroc, 0.75);
    near(mixed.lo, 0.527_656_470_119_155);
    near(mixed.hi, 0.883_561_451_763_481);
    // Two strata of 30 + 30 and 8 + 52 images, 1316 pairs.
    let place = |s: usize, held: usize, all: usize, won: f32| {
        (0..all).map(move |i| (s, i < held, if i < held { won } else { (i - held) as f32 }))
    };
    let rows: Vec<_> = place(0, 30, 60, 26.5).chain(place(1, 8, 60, 47.5)).collect();
    let values: Vec<f32> = rows.iter().map(|row| row.2).collect();
    let present: Vec<bool> = rows.iter().map(|row| row.1).collect();
    let strata: Vec<usize> = rows.iter().map(|row| row.0).collect();
    let got = score(&values, &present, &strata, EXACT_BELOW).unwrap();
    near(got.auroc, (30.0 * 27.0 + 8.0 * 48.0) / 1316.0);
    near(got.lo, STRATIFIED[0]);
    near(got.hi, STRATIFIED[1]);
}

const STRATIFIED: [f64; 2] = [0.817_483_792_072_135, 0.953_451_228_114_074];

#[test]
fn strata_without_both_classes_say_nothing() {
    let [yes, no] = [true, false];
    assert_eq!(score(&[1.0, 2.0, 3.0], &[yes, yes, no], &[1, 1, 2], EXACT_BELOW), None);
    assert_eq!(score(&[], &[], &[], EXACT_BELOW), None);
    let with = score(&[1.0, 2.0, 9.0, 0.0], &[no, yes, no, yes], &[1, 1, 2, 3], EXACT_BELOW);
    assert_eq!(with, score(&[1.0, 2.0], &[no, yes], &[1, 1], EXACT_BELOW));
    assert_eq!(with.unwrap().auroc, 1.0);
}

#[test]
fn a_unit_that_counts_objects_encodes_nothing() {
    let mut rng = stream(1, "count", 0);
    let strata: Vec<usize> = (0..600).map(|i| 1 + i % 4).collect();
    let present: Vec<bool> = strata.iter().map(|&count| rng.random_bool(count as f64 / 5.0)).collect();
    let values: Vec<f32> = strata.iter().map(|&count| (3.0 * count as f64 + gauss(&mut rng)) as f32).collect();
    let within = score(&values, &present, &strata, EXACT_BELOW).unwrap();
    let pooled = score(&values, &present, &[0; 600], EXACT_BELOW).unwrap();
    assert!(within.effect().abs() < 0.1 && within.p > 0.05, "{within:?}");
    assert!(pooled.effect() > 0.4 && pooled.p < 1e-6, "{pooled:?}");
}

#[test]
fn exact_and_normal_strata_add_up() {
    // A small exact stratum beside large ones: near the all-normal answer, and the same whichever way it is computed.
    let mut rng = stream(2, "mixed", 0);
    for repeat in 0..40 {
        let strata: Vec<usize> = (0..160).map(|i| usize::from(i >= 60)).collect();
        let present: Vec<bool> = (0..160).map(|i| i < 5 || (60..90).contains(&i)).collect();
        let values: Vec<f32> =
            present.iter().map(|&held| (gauss(&mut rng) + 0.3 * f64::from(u8::from(held))) as f32).collect();
        let mixed = score(&values, &present, &strata, EXACT_BELOW).unwrap();
        let normal = score(&values, &present, &strata, 0).unwrap();
        assert!((mixed.p - normal.p).abs() < 0.004, "{repeat}: {} {}", mixed.p, normal.p);
        assert_ne!(mixed.p, normal.p);
        // One tie far from the small stratum leaves nearly everything as it was, but takes the way for ties.
        let mut tied = values.clone();
        let top = (60..160).max_by(|&a, &b| tied[a].total_cmp(&tied[b])).unwrap();
        tied[top] = (60..160).filter(|&i| i != top).map(|i| values[i]).fold(f32::MIN, f32::max);
        let tied = score(&tied, &present, &strata, EXACT_BELOW).unwrap();
        assert!((mixed.p - tied.p).abs() < 0.01, "{repeat}: {} {}", mixed.p, tied.p);
    }
}

#[test]
fn large_strata_fall_back_in_bounded_time() {
    let mut rng = stream(3, "large", 0);
    let n = 20_000;
    let present: Vec<bool> = (0..n).map(|i| i < 9).collect();
    let values: Vec<f32> = (0..n).map(|_| (gauss(&mut rng) * 100.0).round() as f32).collect();
    let start = std::time::Instant::now();
    let got = score(&values, &present, &vec![0; n], EXACT_BELOW).unwrap();
    assert_eq!(got.p, score(&values, &present, &vec![0; n], 0).unwrap().p);
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn p_is_uniform_under_the_null() {
    let mut rng = stream(4, "uniform", 0);
    let strata: Vec<usize> = (0..90).map(|i| i % 3).collect();
    let mut below = [0; 3];
    for _ in 0..2_000 {
        // Stratum 0 is exact, often; values of stratum 2 tie.
        let present: Vec<bool> = strata.iter().map(|&s| rng.random_bool(if s == 0 { 0.2 } else { 0.5 })).collect();
        let value = |s: usize, x: f64| if s == 2 { (2.0 * x).round() } else { x };
        let values: Vec<f32> = strata.iter().map(|&s| value(s, gauss(&mut rng)) as f32).collect();
        let p = score(&values, &present, &strata, EXACT_BELOW).unwrap().p;
        [0.01, 0.05, 0.25].iter().zip(&mut below).for_each(|(&level, below)| *below += i32::from(p <= level));
    }
    // Within four standard errors.
    for (level, below) in [0.01, 0.05, 0.25].into_iter().zip(below) {
        let error = (level * (1.0 - level) / 2_000.0_f64).sqrt();
        assert!((f64::from(below) / 2_000.0 - level).abs() < 4.0 * error, "{level}: {below}");
    }
}

/// How often the interval holds the truth for normal activations that the concept raises by `delta`; strata are sizes with
/// and without.
fn coverage(delta: f64, strata: &[(usize, usize)], repeats: usize) -> f64 {
    let truth = 1.0 - upper_tail(delta / std::f64::consts::SQRT_2);
    let sizes = || strata.iter().enumerate();
    let present: Vec<bool> = sizes().flat_map(|(_, &(m, n))| (0..m + n).map(move |i| i < m)).collect();
    let stratum: Vec<usize> = sizes().flat_map(|(s, &(m, n))| vec![s; m + n]).collect();
    let mut rng = stream(5, "coverage", (delta * 100.0) as u64);
    let mut held = 0;
    for _ in 0..repeats {
        let value =
            |(&held, &s): (&bool, &usize)| (gauss(&mut rng) + 5.0 * s as f64 + if held { delta } else { 0.0 }) as f32;
        let values: Vec<f32> = present.iter().zip(&stratum).map(value).collect();
        let got = score(&values, &present, &stratum, 0).unwrap();
        held += usize::from(got.lo <= truth && truth <= got.hi);
    }
    held as f64 / repeats as f64
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let designs: [&[(usize, usize)]; 5] =
        [&[(10, 10)], &[(5, 45)], &[(40, 60)], &[(8, 92), (17, 83), (25, 75)], &[(3, 12), (20, 20), (4, 40), (9, 9)]];
    let repeats = std::env::var("COVERAGE_REPEATS").map_or(800, |text| text.parse().unwrap());
    for strata in designs {
        for delta in [0.0, 0.5, 1.0, 2.0, 3.0] {
            let share = coverage(delta, strata, repeats);
            eprintln!("coverage {strata:?} delta {delta}: {share:.4}");
            assert!(share > 0.925, "{strata:?} at {delta}: {share}");
        }
    }
}

#[test]
fn what_is_no_activation_is_flagged_or_refused() {
    assert_eq!(Flag::of(&[1.0, f32::NAN, f32::INFINITY]), Some(Flag::NonFinite { row: 1 }));
    assert_eq!(Flag::of(&[0.0, -0.0, 0.0]), Some(Flag::Constant));
    assert_eq!(Flag::of(&[0.0, 1e-40]), None);
    let said = |values: &[f32], present: &[bool], strata: &[usize]| {
        auroc(values, present, strata, EXACT_BELOW, confidence(0.95)).unwrap_err().to_string()
    };
    assert_eq!(
        said(&[1.0, f32::NAN], &[true, false], &[0, 0]),
        "auroc: image 1: expected a finite activation, got NaN"
    );
    assert_eq!(said(&[1.0], &[], &[0]), "auroc: concept: expected 1 images, got 0");
    assert_eq!(said(&[1.0], &[true], &[]), "auroc: strata: expected 1 images, got 0");
    let zeros = score(&[0.0, -0.0, 1.0], &[true, false, true], &[0; 3], EXACT_BELOW).unwrap();
    assert_eq!(zeros.auroc, 0.75);
}
