//! Correlation, permutation of feature labels, least squares.

use super::{floats, known, near, number};
use proptest::prelude::*;
use rand::RngExt;
use snellen::measure::correlation::{line, midranks, pearson, pearson_p, spearman};
use snellen::measure::label_permutation::{PairTable, label_permutation};
use snellen::measure::least_squares::{cross_validated_r2, least_squares};

#[test]
fn correlations_have_the_answers_of_scipy() {
    for case in known("correlation") {
        let (x, y) = (floats(&case["x"]), floats(&case["y"]));
        let r = pearson(&x, &y).unwrap();
        near(r, number(&case, "pearson"));
        near(spearman(&x, &y).unwrap(), number(&case, "spearman"));
        let fit = line(&x, &y).unwrap();
        near(fit.slope, number(&case, "slope"));
        near(fit.intercept, number(&case, "intercept"));
        let (p, expected) = (pearson_p(r, x.len()).unwrap(), number(&case, "p"));
        // Relative to itself: p may be tiny. What r lost near 1 comes back in p.
        assert!((p - expected).abs() <= 1e-6 * expected + 1e-300, "{p} for {expected}");
    }
}

#[test]
fn what_does_not_vary_has_no_correlation() {
    let (x, same) = ([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]);
    assert_eq!(
        (pearson(&x, &same), pearson(&same, &x), spearman(&same, &x), line(&same, &x)),
        (None, None, None, None)
    );
    assert_eq!(line(&x, &same).map(|line| line.slope), Some(0.0));
    assert_eq!((pearson(&[], &[]), pearson(&[1.0], &[2.0])), (None, None));
    assert_eq!((pearson_p(0.5, 2), pearson_p(0.5, 0)), (None, None));
    assert_eq!(pearson_p(1.0, 5), Some(0.0));
    near(pearson_p(0.0, 5).unwrap(), 1.0);
    assert_eq!(midranks(&[3.0, 1.0, 3.0, 0.0]), [3.5, 2.0, 3.5, 1.0]);
}

/// Pairs i < j, row after row.
fn table(n: usize, values: &[f64]) -> PairTable {
    let mut values = values.iter();
    PairTable::new(n, |_, _| *values.next().unwrap())
}

#[test]
fn label_permutations_have_the_answers_of_brute_force() {
    for case in known("label_permutation") {
        let n = number(&case, "n") as usize;
        let [x, y] = ["x", "y"].map(|key| table(n, &floats(&case[key])));
        let groups: Vec<usize> = floats(&case["groups"]).into_iter().map(|group| group as usize).collect();
        // Tables that are tested together do not see one another.
        let other = table(n, &(0..n * (n - 1) / 2).map(|k| (k * k % 7) as f64).collect::<Vec<_>>());
        let got = label_permutation(&[x.clone(), other, x.clone(), x], &y, &groups, 3);
        let all = number(&case, "permutations");
        let p = (2.0 * number(&case, "at_least").min(number(&case, "at_most")) / all).min(1.0);
        for k in [0, 2, 3] {
            assert_eq!((got[k].permutations as f64, got[k].standard_error), (all, None));
            near(got[k].p, p);
        }
    }
}

#[test]
fn drawn_permutations_agree_with_all_of_them() {
    // Two groups of 9: 9! 9! are too many to visit. x and y hold nothing but a value per feature of the first group, so that the
    // permutations of that group decide, of which all can be visited.
    let share = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5, 8.0];
    let other = [2.0, 7.0, 1.0, 8.0, 2.8, 1.8, 4.5, 9.0, 0.4];
    let wide = |values: [f64; 9]| PairTable::new(18, move |i, j| if i < 9 && j >= 9 { values[i] } else { 0.0 });
    let groups: Vec<usize> = (0..18).map(|i| i / 9).collect();
    let x = wide(share);
    let drawn = label_permutation(&[x.clone(), x.clone(), x.clone(), x], &wide(other), &groups, 5)[0];
    let small = |values: [f64; 9]| PairTable::new(10, move |i, j| if j == 9 { values[i] } else { 0.0 });
    let x = small(share);
    let fixed: Vec<usize> = (0..10).map(|i| usize::from(i == 9)).collect();
    let exact = label_permutation(&[x.clone(), x.clone(), x.clone(), x], &small(other), &fixed, 5)[0];
    assert_eq!((exact.permutations, exact.standard_error), (362_880, None));
    let error = drawn.standard_error.unwrap();
    assert!(error > 0.0 && error < 0.004, "{error}");
    assert!((drawn.p - exact.p).abs() < 4.0 * error, "{} and {}", drawn.p, exact.p);
}

#[test]
fn independent_tables_are_seldom_called_related() {
    let mut rng = snellen::random::stream(8, "pairs", 0);
    let mut small = [0; 2];
    let repeats = 400;
    for _ in 0..repeats {
        // y is a sum of shares, as in the study: its pairs are anything but independent.
        let share: Vec<f64> = (0..7).map(|_| rng.random_range(0.0..1.0)).collect();
        let own: Vec<f64> = (0..7).map(|_| rng.random_range(0.0..1.0)).collect();
        let [x, y] = [&own, &share].map(|s| PairTable::new(7, |i, j| s[i] + s[j]));
        let p = label_permutation(&[x.clone(), x.clone(), x.clone(), x], &y, &[0; 7], 0)[0].p;
        let pairs = || (0..7).flat_map(|i| (i + 1..7).map(move |j| (i, j)));
        let [xs, ys] = [&own, &share].map(|s| pairs().map(|(i, j)| s[i] + s[j]).collect::<Vec<_>>());
        let naive = pearson_p(pearson(&xs, &ys).unwrap(), xs.len()).unwrap();
        small[0] += usize::from(p <= 0.05);
        small[1] += usize::from(naive <= 0.05);
    }
    // 20 are expected of a test that holds its level, with a deviation of 4.4.
    assert!(small[0] <= 34, "{small:?}");
    assert!(small[1] >= 60, "{small:?}: pairs that share features are not independent");
}

#[test]
fn least_squares_have_the_answers_of_numpy() {
    for case in known("least_squares") {
        let (images, columns) = (number(&case, "images") as usize, number(&case, "columns") as usize);
        let (design, targets) = (floats(&case["design"]), floats(&case["targets"]));
        let width = targets.len() / images;
        let design = faer::Mat::from_fn(images, columns, |i, j| design[i * columns + j]);
        let targets = faer::Mat::from_fn(images, width, |i, j| targets[i * width + j]);
        let got = least_squares(&design, &targets).unwrap();
        for (k, expected) in floats(&case["coefficients"]).into_iter().enumerate() {
            near(got[(k / width, k % width)], expected);
        }
    }
}

#[test]
fn explained_variance_is_that_of_images_that_were_not_fitted() {
    let mut rng = snellen::random::stream(3, "pairs", 0);
    let design = faer::Mat::from_fn(200, 20, |_, _| rng.random_range(-1.0..1.0));
    let noise = faer::Mat::from_fn(200, 8, |_, _| rng.random_range(-1.0..1.0));
    let exact = faer::Mat::from_fn(200, 8, |i, j| 3.0 + design[(i, j)] - 2.0 * design[(i, j + 4)]);
    near(cross_validated_r2(&design, &exact, 10, 0).unwrap(), 1.0);
    // In-sample, 20 columns explain a tenth of 200 images of noise; of other images they explain less than nothing.
    let r2 = cross_validated_r2(&design, &noise, 10, 0).unwrap();
    assert!((-0.25..0.0).contains(&r2), "{r2}");
    let half = faer::Mat::from_fn(200, 1, |i, _| design[(i, 0)] + noise[(i, 0)]);
    let r2 = cross_validated_r2(&design, &half, 10, 0).unwrap();
    assert!((0.3..0.6).contains(&r2), "{r2}");
    assert_eq!(cross_validated_r2(&design, &faer::Mat::full(200, 1, 2.0), 10, 0), None);
    assert_eq!(cross_validated_r2(&faer::Mat::zeros(5, 1), &faer::Mat::zeros(5, 1), 10, 0), None);
}

proptest! {
    #[test]
    fn correlation_keeps_its_laws(
        pairs in prop::collection::vec((-100.0..100.0_f64, -100.0..100.0_f64), 3..30),
        scale in 0.01..100.0_f64,
        shift in -10.0..10.0_f64,
    ) {
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let r = pearson(&x, &y).unwrap();
        prop_assert!((-1.0..=1.0).contains(&r));
        prop_assert_eq!(pearson(&y, &x).map(f64::to_bits), Some(r.to_bits()));
        let moved: Vec<f64> = x.iter().map(|x| -scale * x + shift).collect();
        prop_assert!((pearson(&moved, &y).unwrap() + r).abs() < 1e-9);
        let cubed: Vec<f64> = x.iter().map(|x| x * x * x).collect();
        prop_assert!((spearman(&cubed, &y).unwrap() - spearman(&x, &y).unwrap()).abs() < 1e-12);
    }

    #[test]
    fn names_of_features_do_not_matter(values in prop::collection::vec(0.0..1.0, 30), turn in 1_usize..6) {
        let x = table(6, &values[..15]);
        let y = table(6, &values[15..]);
        let place = |i: usize, j: usize| {
            let (i, j) = ((i + turn) % 6, (j + turn) % 6);
            let (i, j) = (i.min(j), i.max(j));
            i * (11 - i) / 2 + j - i - 1
        };
        let [xt, yt] = [&values[..15], &values[15..]].map(|v| PairTable::new(6, |i, j| v[place(i, j)]));
        let of = |x: PairTable, y: &PairTable| label_permutation(&[x.clone(), x.clone(), x.clone(), x], y, &[0; 6], 0)[0];
        prop_assert_eq!(of(x, &y), of(xt, &yt));
    }
}
