use super::{confidence, floats, gauss, known, near, number};
use proptest::prelude::*;
use rand::{Rng, RngExt};
use serde_json::Value;
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

fn stratified(case: &Value, exact_below: usize) -> Auroc {
    let values: Vec<f32> = floats(&case["values"]).iter().map(|&x| x as f32).collect();
    let present: Vec<bool> = floats(&case["labels"]).iter().map(|&label| label == 1.0).collect();
    let strata: Vec<usize> = floats(&case["strata"]).iter().map(|&stratum| stratum as usize).collect();
    score(&values, &present, &strata, exact_below).unwrap()
}

#[test]
fn strata_have_the_answers_of_scipy() {
    for case in known("stratified") {
        let got = stratified(&case, 0);
        near(got.auroc, number(&case, "pooled_auc"));
        near(got.p, number(&case, "p"));
        assert_ne!(stratified(&case, EXACT_BELOW).p, got.p);
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
    fn the_interval_holds_what_the_normal_test_does_not_reject((values, present, strata) in images(80, 6)) {
        let values: Vec<f32> = values.iter().enumerate().map(|(i, v)| v + i as f32 / 512.0).collect();
        if let Some(got) = score(&values, &present, &strata, 0) {
            prop_assert!(got.p <= 0.05 || (got.lo < 0.5 && 0.5 < got.hi));
        }
    }
}

/// The ends of the interval of each case of `mann_whitney` and `stratified`: numpy's placements, scipy's brentq on the
/// defining equation.
const INTERVALS: [[f64; 2]; 14] = [
    [0.142_806_352_788_248, 0.897_999_745_884_384],
    [0.427_460_891_448_936, 0.927_284_383_976_481],
    [f64::NAN, 1.0],
    [0.207_682_596_984_915, 0.956_778_945_245_221],
    [0.022_265_904_678_912_5, 0.977_734_095_321_087],
    [0.095_956_686_789_349_5, 0.768_757_737_104_701],
    [0.567_827_317_219_365, 0.970_431_886_237_085],
    [0.015_558_264_057_041_8, 0.460_927_905_234_944],
    [0.155_363_893_392_657, 0.844_636_106_607_343],
    [0.244_888_522_294_864, 0.921_534_466_950_611],
    [0.316_439_749_619_146, 0.921_715_858_636_13],
    [0.427_000_036_496_759, 0.887_615_375_322_827],
    [0.398_619_945_580_087, 0.836_923_995_390_076],
    [0.263_399_232_991_358, 0.622_635_614_456_675],
];

#[test]
fn intervals_have_the_answers_of_an_independent_solver() {
    let pairs = known("mann_whitney").into_iter().map(|case| {
        let [positive, negative] = ["positive", "negative"].map(|key| floats(&case[key]));
        two_samples(&positive, &negative, EXACT_BELOW)
    });
    let strata = known("stratified").into_iter().map(|case| stratified(&case, EXACT_BELOW));
    let mut checked = 0;
    for (got, [lo, hi]) in pairs.chain(strata).zip(INTERVALS) {
        near(got.hi, hi);
        if lo.is_finite() {
            near(got.lo, lo);
        }
        checked += 1;
    }
    assert_eq!(checked, 14);
    // Newcombe's method 5 alone: nothing varies in the data.
    let line: Vec<f64> = (0..7).map(f64::from).collect();
    let above = two_samples(&[100.0; 5], &line, EXACT_BELOW);
    near(above.lo, 0.682_789_748_174_357);
    assert_eq!([above.auroc, above.hi], [1.0; 2]);
    let below = two_samples(&[-1.0; 5], &line, EXACT_BELOW);
    near(below.hi, 0.317_210_251_825_643);
    assert_eq!([below.auroc, below.lo], [0.0; 2]);
}

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
fn exact_and_normal_strata_have_the_answers_of_an_enumeration() {
    // The choices of the second and third stratum gone through one by one, the first one normal by scipy.
    let first = |i: usize| (i * 37 % 101) as f32;
    let even = [3.0, 1.0, 4.0, 10.0, 5.0, 9.0, 2.0, 6.0, 55.0, 35.0, 8.0, 7.0];
    let skewed = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 5.0];
    for (coarse, second, held, expected) in [
        (false, even, [0, 3, 8], 0.646_980_109_997_826),
        (false, skewed, [0, 0, 8], 0.562_798_351_255_278),
        (true, even, [0, 3, 8], 0.661_261_095_273_32),
        (true, skewed, [0, 0, 8], 0.575_995_364_240_06),
    ] {
        let first = (0..64).map(|i| if coarse { (first(i) / 8.0).floor() } else { first(i) });
        let values: Vec<f32> = first.chain(second).chain([2.0, 1.0, 7.0, 4.0, 5.0]).collect();
        let strata: Vec<usize> = (0..81).map(|i| usize::from(i >= 64) + usize::from(i >= 76)).collect();
        let present: Vec<bool> = (0..81_usize)
            .map(|i| match strata[i] {
                0 => (i * i + i / 3).is_multiple_of(3),
                1 => held.contains(&(i - 64)),
                _ => i < 80,
            })
            .collect();
        near(score(&values, &present, &strata, EXACT_BELOW).unwrap().p, expected);
    }
}

#[test]
fn both_tails_of_a_skewed_null_are_seen() {
    // Twice U is 110 + 27; the normal stratum has mean 100 and sd 10, the exact one 27 in 28 of 40 cases and else 67.
    let value = |i: usize| f32::from(u8::from(i == 0 || (21..33).contains(&i)));
    let values: Vec<f32> = (0..60).map(value).collect();
    let present: Vec<bool> = (0..60).map(|i| i < 10 || i == 20).collect();
    let strata: Vec<usize> = (0..60).map(|i| usize::from(i >= 20)).collect();
    let got = score(&values, &present, &strata, EXACT_BELOW).unwrap().p;
    near(got, 2.0 * (0.7 * upper_tail(1.0) + 0.3 * upper_tail(-3.0)));
}

#[test]
fn far_tails_do_not_vanish() {
    // Everything in order, in a small and a large stratum, with and without a tie: p is tiny, alike on both sides, not 0.
    for tie in [0.0, 1.0] {
        let mut values: Vec<f32> = (0..212_u8).map(f32::from).collect();
        values[20] += tie;
        let strata: Vec<usize> = (0..212).map(|i| usize::from(i < 12)).collect();
        let present: Vec<bool> = (0..212).map(|i| if i < 12 { i >= 9 } else { i >= 112 }).collect();
        let negated: Vec<f32> = values.iter().map(|value| -value).collect();
        let [up, down] = [values, negated].map(|values| score(&values, &present, &strata, EXACT_BELOW).unwrap().p);
        assert!(up > 1e-40 && up < 1e-30, "{up}");
        assert!((up / down - 1.0).abs() < 1e-9, "{up} {down}");
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

/// How activations with and without a concept differ.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Raised by so much, of one spread.
    Raised(f64),
    /// Raised by so much, three times as spread.
    Spread(f64),
    /// Raised far on so many of the images with the concept, on the others not at all.
    Sometimes(f64),
}

impl Shape {
    fn draw(self, held: bool, rng: &mut impl Rng) -> f64 {
        match self {
            _ if !held => gauss(rng),
            Self::Raised(delta) => delta + gauss(rng),
            Self::Spread(delta) => delta + 3.0 * gauss(rng),
            Self::Sometimes(share) => 20.0 * f64::from(u8::from(rng.random_bool(share))) + gauss(rng),
        }
    }

    fn auroc(self) -> f64 {
        match self {
            Self::Raised(delta) => upper_tail(-delta / 2.0_f64.sqrt()),
            Self::Spread(delta) => upper_tail(-delta / 10.0_f64.sqrt()),
            Self::Sometimes(share) => 0.5 + share / 2.0,
        }
    }
}

/// How often the interval holds the truth; strata are numbers of images with and without the concept.
fn coverage(shape: Shape, strata: &[(usize, usize)], repeats: usize) -> f64 {
    let sizes = || strata.iter().enumerate();
    let present: Vec<bool> = sizes().flat_map(|(_, &(m, n))| (0..m + n).map(move |i| i < m)).collect();
    let stratum: Vec<usize> = sizes().flat_map(|(s, &(m, n))| vec![s; m + n]).collect();
    let mut rng = stream(5, &format!("{shape:?} {strata:?}"), 0);
    let holds = |_: &usize| {
        let images = present.iter().zip(&stratum);
        let values: Vec<f32> = images.map(|(&held, &s)| (shape.draw(held, &mut rng) + 5.0 * s as f64) as f32).collect();
        let got = score(&values, &present, &stratum, 0).unwrap();
        got.lo <= shape.auroc() && shape.auroc() <= got.hi
    };
    (0..repeats).filter(holds).count() as f64 / repeats as f64
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let enough: [&[(usize, usize)]; 4] =
        [&[(10, 10)], &[(40, 60)], &[(8, 92), (17, 83), (25, 75)], &[(3, 12), (20, 20), (4, 40), (9, 9)]];
    // Five to eight images with the concept: too few for what comes at times.
    let few: [&[(usize, usize)]; 3] = [&[(5, 45)], &[(1, 49), (2, 48), (4, 46)], &[(2, 20), (2, 20), (2, 20), (2, 20)]];
    let raised = [0.0, 0.5, 1.0, 2.0, 3.0].map(Shape::Raised);
    let spread = [0.0, 1.0, 3.0].map(Shape::Spread);
    let sometimes = [0.2, 0.5, 0.8].map(Shape::Sometimes);
    let repeats = std::env::var("COVERAGE_REPEATS").map_or(600, |text| text.parse().unwrap());
    for (strata, least) in enough.map(|strata| (strata, 0.93)).into_iter().chain(few.map(|strata| (strata, 0.88))) {
        for shape in raised.into_iter().chain(spread).chain(sometimes) {
            let share = coverage(shape, strata, repeats);
            eprintln!("coverage {strata:?} {shape:?}: {share:.4}");
            assert!(share > least, "{strata:?}, {shape:?}: {share}");
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
