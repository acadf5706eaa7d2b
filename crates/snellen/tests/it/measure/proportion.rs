use super::{confidence, floats, known, near, number};
use rand::RngExt;
use snellen::measure::fdr::benjamini_hochberg;
use snellen::measure::proportion::Proportion;
use snellen::random::stream;

#[test]
fn wilson_has_the_answers_of_statsmodels() {
    for case in known("wilson") {
        let level = confidence(1.0 - number(&case, "alpha"));
        let got = Proportion::wilson(number(&case, "successes"), number(&case, "n") as usize, level).unwrap();
        near(got.lo, number(&case, "low"));
        near(got.hi, number(&case, "high"));
        near(got.estimate, number(&case, "successes") / number(&case, "n"));
    }
}

#[test]
fn differences_have_the_answers_of_statsmodels() {
    for case in known("newcombe") {
        let level = confidence(1.0 - number(&case, "alpha"));
        let share = |k: &str| {
            let [successes, n] = [format!("successes{k}"), format!("n{k}")].map(|key| number(&case, &key));
            Proportion::wilson(successes, n as usize, level).unwrap()
        };
        let got = share("1").minus(&share("2"));
        near(got.estimate, number(&case, "difference"));
        near(got.lo, number(&case, "low"));
        near(got.hi, number(&case, "high"));
    }
}

#[test]
fn adjusted_p_have_the_answers_of_statsmodels() {
    for case in known("benjamini_hochberg") {
        let p: Vec<_> = floats(&case["p"]).into_iter().map(Some).collect();
        let adjusted = benjamini_hochberg(&p).unwrap();
        adjusted.iter().zip(floats(&case["adjusted"])).for_each(|(got, expected)| near(got.unwrap(), expected));
        // Missing tests change nothing for the others.
        let sparse: Vec<_> = p.iter().flat_map(|&p| [None, p]).collect();
        let expected: Vec<_> = adjusted.iter().flat_map(|&q| [None, q]).collect();
        assert_eq!(benjamini_hochberg(&sparse).unwrap(), expected);
    }
    assert_eq!(benjamini_hochberg(&[None]).unwrap(), [None]);
    for p in [f64::NAN, -0.1, 1.1] {
        let said = benjamini_hochberg(&[Some(0.5), Some(p)]).unwrap_err().to_string();
        assert_eq!(said, format!("p-value 1: expected a number from 0 to 1, got {p}"));
    }
}

#[test]
fn false_discoveries_keep_to_their_share() {
    // 150 nulls and 50 true effects: the mean share of nulls among the rejected stays below 150/200 of q.
    let mut rng = stream(1, "fdr", 0);
    let mut shares = 0.0;
    for _ in 0..400 {
        let p: Vec<_> =
            (0..200).map(|test| rng.random::<f64>().powi(if test < 150 { 1 } else { 8 })).map(Some).collect();
        let q = benjamini_hochberg(&p).unwrap();
        let rejected = |tests: std::ops::Range<usize>| tests.filter(|&t| q[t].unwrap() <= 0.2).count() as f64;
        shares += rejected(0..150) / rejected(0..200).max(1.0);
    }
    assert!((0.13..0.17).contains(&(shares / 400.0)), "{}", shares / 400.0);
}

fn twins(pairs: &[[f64; 2]]) -> Proportion {
    let clusters: Vec<u64> = (0..pairs.len() as u64).flat_map(|c| [c, c]).collect();
    Proportion::clustered(&pairs.concat(), &clusters, confidence(0.95)).unwrap()
}

#[test]
fn clusters_are_worth_fewer_answers() {
    // Twins that always agree are one answer; those that always differ are not more than two.
    let alike: Vec<_> = (0..200).map(|c| [f64::from(c % 2), f64::from(c % 2)]).collect();
    assert!((twins(&alike).effective_n - 200.0).abs() < 3.0, "{:?}", twins(&alike));
    let unlike = vec![[0.0, 1.0]; 200];
    assert_eq!(twins(&unlike), Proportion::wilson(200.0, 400, confidence(0.95)).unwrap());
    // All right and all wrong: the clusters are counted.
    for score in [0.0, 1.0] {
        let same = twins(&vec![[score; 2]; 50]);
        assert!((same.effective_n - 50.0).abs() < 3.0, "{same:?}");
        assert!(same.hi - same.lo > 0.05);
    }
    // One wrong answer does not narrow the interval.
    let mut one = vec![[1.0; 2]; 50];
    one[7][0] = 0.0;
    assert!(twins(&one).lo < twins(&vec![[1.0; 2]; 50]).lo);
    // Clusters of one are independent answers.
    let scores: Vec<f64> = (0..40).map(|i| f64::from(i % 4).min(1.0)).collect();
    let single = Proportion::clustered(&scores, &(0..40).collect::<Vec<_>>(), confidence(0.95)).unwrap();
    assert!(single.effective_n > 38.0 && single.successes == 30.0, "{single:?}");
    assert_eq!(twins(&[[0.5, 0.5]]).estimate, 0.5);
}

#[test]
fn answers_that_are_none_are_refused() {
    let level = confidence(0.95);
    let said = |result: snellen::Result<Proportion>| result.unwrap_err().to_string();
    assert_eq!(said(Proportion::wilson(0.0, 0, level)), "proportion: expected at least one answer, got none");
    assert_eq!(said(Proportion::wilson(5.0, 4, level)), "proportion: expected 0 to 4 right answers, got 5");
    assert_eq!(said(Proportion::wilson(f64::NAN, 4, level)), "proportion: expected 0 to 4 right answers, got NaN");
    assert_eq!(
        said(Proportion::clustered(&[1.7], &[0], level)),
        "proportion: answer 0: expected a score from 0 to 1, got 1.7"
    );
    let uneven = said(Proportion::clustered(&[1.0], &[], level));
    assert_eq!(uneven, "proportion: expected 1 clusters, one per score, got 0");
    assert_eq!(said(Proportion::clustered(&[], &[], level)), "proportion: expected at least one answer, got none");
}

/// How often the interval holds `p` when the two answers of a pair are one with probability `alike`, or (below 0) opposite.
fn coverage(p: f64, alike: f64, clusters: usize, repeats: usize) -> f64 {
    let mut rng = stream(2, "clusters", (p * 1000.0) as u64);
    let mut held = 0;
    for _ in 0..repeats {
        let pair = |_| {
            let [a, b]: [f64; 2] = rng.random();
            let copied = rng.random_bool(alike.abs());
            let second = match alike < 0.0 {
                _ if !copied => b < p,
                true => 1.0 - a < p,
                false => a < p,
            };
            [f64::from(u8::from(a < p)), f64::from(u8::from(second))]
        };
        let got = twins(&(0..clusters).map(pair).collect::<Vec<_>>());
        held += usize::from(got.lo <= p && p <= got.hi);
    }
    held as f64 / repeats as f64
}

/// How often Wilson's interval on `n` independent answers holds `p`: less than it says near 0 and 1.
fn wilson_coverage(p: f64, n: usize) -> f64 {
    let chance =
        |k: usize| (0..k).fold((1.0 - p).powi(n as i32), |c, i| c * (n - i) as f64 / (i + 1) as f64 * p / (1.0 - p));
    let holds = |k: usize| {
        let got = Proportion::wilson(k as f64, n, confidence(0.95)).unwrap();
        got.lo <= p && p <= got.hi
    };
    (0..=n).filter(|&k| holds(k)).map(chance).sum()
}

#[test]
fn clustered_intervals_hold_the_truth_as_often_as_they_say() {
    let repeats = std::env::var("COVERAGE_REPEATS").map_or(1_000, |text| text.parse().unwrap());
    for clusters in [10, 30, 100] {
        for alike in [-1.0, 0.0, 0.5, 1.0] {
            for p in [0.5, 0.8, 0.95, 0.99] {
                let share = coverage(p, alike, clusters, repeats);
                let wilson = wilson_coverage(p, clusters);
                eprintln!("coverage {clusters} pairs, alike {alike}, p {p}: {share:.4}, Wilson's {wilson:.4}");
                assert!(share > wilson.min(0.95) - 0.025, "{clusters} pairs, alike {alike}, p {p}: {share}");
            }
        }
    }
}
