//! What the top images of a unit show, what its activation says of a concept, and units that two concepts share.

use super::{concepts, near};
use rand::RngExt;
use rand::seq::SliceRandom;
use snellen::measure::Design;
use snellen::measure::co_encoding::{co_encoding, pair};
use snellen::measure::encodes::UnitConcept;
use snellen::measure::information::information;
use snellen::measure::lift::{Lifts, TOP};

/// 240 images in strata of 60, 120 and 60; the second concept is common in the last.
fn design(seed: u64) -> Design {
    let mut rng = snellen::random::stream(seed, "labels", 0);
    let strata: Vec<usize> = (0..240).map(|i| [1, 2, 2, 3][i % 4]).collect();
    let first = (0..240).map(|_| rng.random_range(0..10) < 3).collect();
    let second = strata.iter().map(|s| rng.random_range(0..10) < 3 * s).collect();
    Design::new(concepts(2), vec![first, second], strata).unwrap()
}

#[test]
fn lift_is_what_permutations_within_strata_give() {
    let design = design(1);
    let mut rng = snellen::random::stream(2, "values", 0);
    // A unit that likes the last stratum.
    let value = |i: usize, x: f64| x + design.strata()[i] as f64;
    let values: Vec<f32> = (0..240).map(|i| value(i, rng.random_range(0.0..1.5)) as f32).collect();
    let top = Lifts::top(&values);
    assert_eq!(top.len(), TOP);
    let smallest = values[*top.last().unwrap()];
    assert_eq!(values.iter().filter(|x| **x > smallest).count(), TOP - 1);
    let found = Lifts::new(&design).of(&top);
    for (c, found) in found.into_iter().enumerate() {
        let found = found.unwrap();
        let shown = |rows: &[bool]| top.iter().filter(|row| rows[**row]).count() as f64;
        let counts: Vec<f64> = (0..4000).map(|seed| shown(design.permuted(seed).present(c))).collect();
        let mean = counts.iter().sum::<f64>() / 4000.0;
        let deviation = (counts.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3999.0).sqrt();
        let got = shown(design.present(c));
        let z = (got - mean) / deviation;
        assert!((found.z - z).abs() < 0.08, "{found:?}, {z}");
        assert!((found.lift.unwrap() - (got / mean).log2()).abs() < 0.02, "{found:?}");
    }
    // Ties in the order of the images.
    assert_eq!(Lifts::top(&[1.0; 50]), (0..30).collect::<Vec<_>>());
    assert_eq!(Lifts::top(&[0.0, 2.0, -0.0]), [1, 0, 2]);
}

#[test]
fn lift_of_what_all_or_none_show_is_missing() {
    let strata = vec![1; 40];
    let present = vec![vec![true; 40], vec![false; 40], (0..40).map(|i| i == 39).collect()];
    let design = Design::new(concepts(3), present, strata).unwrap();
    let found = Lifts::new(&design).of(&(0..30).collect::<Vec<_>>());
    assert_eq!((found[0], found[1]), (None, None));
    let rare = found[2].unwrap();
    assert_eq!(rare.lift, None);
    near(rare.z, -0.75 / (0.75 * 0.25_f64).sqrt());
}

#[test]
fn information_goes_from_nothing_to_all() {
    let strata = vec![1; 400];
    let half: Vec<bool> = (0..400).map(|i| i % 2 == 0).collect();
    let design = Design::new(concepts(1), vec![half.clone()], strata).unwrap();
    // Bins of a hundred: the upper two hold the concept, all of its one bit less a bias of 3 / (800 ln 2).
    let all: Vec<f32> = (0..400).map(|i| if half[i] { 1000.0 } else { 0.0 } + i as f32).collect();
    near(information(&all, &design)[0].unwrap(), 1.0 - 3.0 / (800.0 * std::f64::consts::LN_2));
    let turned: Vec<f32> = all.iter().map(|x| -x).collect();
    near(information(&turned, &design)[0].unwrap(), information(&all, &design)[0].unwrap());
    // A quarter of noise in three: of 75 and 25 % in either half, 1 - H(1/4).
    let ends: Vec<f32> = (0..400).map(|i| ((i % 2 == 0) != (i / 2 % 4 == 0)) as u8 as f32).collect();
    let h = -(0.25 * 0.25_f64.log2() + 0.75 * 0.75_f64.log2());
    near(information(&ends, &design)[0].unwrap(), 1.0 - h - 1.0 / (800.0 * std::f64::consts::LN_2));
    let mut rng = snellen::random::stream(5, "noise", 0);
    let mut sum = 0.0;
    for _ in 0..2000 {
        let noise: Vec<f32> = (0..400).map(|_| rng.random_range(0.0..1.0)).collect();
        sum += information(&noise, &design)[0].unwrap();
    }
    // The mean of 2,000 values whose deviation is near .0055.
    assert!((sum / 2000.0).abs() < 0.0006, "{}", sum / 2000.0);
}

#[test]
fn counting_objects_is_no_information() {
    let design = design(3);
    let count: Vec<f32> = design.strata().iter().map(|s| *s as f32).collect();
    let found = information(&count, &design);
    // One bin in each stratum, and no bias of one bin.
    assert_eq!(found, [Some(0.0), Some(0.0)]);
    let none = Design::new(concepts(1), vec![vec![false; 240]], design.strata().to_vec()).unwrap();
    assert_eq!(information(&count, &none), [None]);
}

#[test]
fn shared_units_have_the_answers_of_fishers_exact_test() {
    // scipy.stats.fisher_exact of [[8, 2], [1, 5]], [[3, 1], [1, 3]] and [[100, 2], [1000, 5]].
    for (table, p) in
        [([8, 2, 1, 5], 0.034_965_034_965), ([3, 1, 1, 3], 0.485_714_285_714), ([100, 2, 1000, 5], 0.130_075_936_343)]
    {
        let [both, first, second, neither] = table;
        let got = pair([0, 1], both, [both + first, both + second], both + first + second + neither);
        assert!((got.p.unwrap() - p).abs() < 1e-9, "{table:?}: {got:?}");
        let half = table.map(|count| count as f64 + 0.5);
        near(got.log_odds, (half[0] * half[3] / (half[1] * half[2])).ln());
    }
    let none = pair([0, 1], 0, [0, 7], 20);
    assert_eq!((none.p, none.expected), (None, 0.0));
}

/// Cells of `units` units of which those say yes that `encodes` says.
fn cells(units: usize, concepts: usize, encodes: impl Fn(usize, usize) -> bool) -> Vec<UnitConcept> {
    let cell = |unit: usize, concept: usize| UnitConcept {
        unit: unit as u32,
        concept: concept as u32,
        chosen: None,
        held_out: None,
        partial: None,
        encodes: encodes(unit, concept),
        lift: None,
        mi: None,
    };
    (0..units).flat_map(|unit| (0..concepts).map(move |concept| (unit, concept))).map(|(u, c)| cell(u, c)).collect()
}

#[test]
fn a_doubled_count_is_found_and_chance_is_not() {
    let mut rng = snellen::random::stream(7, "units", 0);
    let (units, number, each) = (4096, 16, 250);
    let (mut found, mut wrong, repeats) = (0, 0, 60);
    for _ in 0..repeats {
        let mut sets: Vec<Vec<bool>> = (0..number)
            .map(|_| {
                let mut set: Vec<bool> = (0..units).map(|unit| unit < each).collect();
                set.shuffle(&mut rng);
                set
            })
            .collect();
        // Concepts 0 and 1 share twice as many as chance gives: 2 * 250^2 / 4096 = 31.
        let of_first: Vec<usize> = (0..units).filter(|unit| sets[0][*unit]).collect();
        let others: Vec<usize> = (0..units).filter(|unit| !sets[0][*unit]).collect();
        sets[1] = vec![false; units];
        of_first.iter().take(31).chain(others.iter().take(each - 31)).for_each(|unit| sets[1][*unit] = true);
        let pairs = co_encoding(&cells(units, number, |unit, concept| sets[concept][unit]), number).unwrap();
        assert_eq!((pairs.len(), pairs[0].shared), (120, 31));
        found += usize::from(pairs[0].q.unwrap() < 0.05 && pairs[0].log_odds > 0.0);
        wrong += pairs[1..].iter().filter(|pair| pair.q.unwrap() < 0.05).count();
    }
    assert!(found as f64 >= 0.9 * f64::from(repeats), "{found} of {repeats}");
    // False among all that is found: at most 5 % on average.
    assert!(wrong <= 8, "{wrong}");
}
