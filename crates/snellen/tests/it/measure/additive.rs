//! Edits that move rows by one vector, by one each, and by something between.

use rand::RngExt;
use snellen::measure::additive::{Additivity, additivity};
use snellen::measure::{Confidence, Matrix};
use snellen::random;

fn confidence() -> Confidence {
    super::confidence(0.95)
}

fn matrix_of(rows: &[Vec<f32>]) -> Matrix {
    Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap()
}

const VALUES: usize = 5;
const UNITS: usize = 12;

/// `families` in which an edit is `same` times the value's own vector and `other` times one of its family and value.
fn planted(families: usize, same: f64, other: f64, seed: u64) -> Vec<Matrix> {
    let rng = &mut random::stream(seed, "planted", 0);
    let mut normal = || (0..UNITS).map(|_| random::normal(rng)).collect::<Vec<f64>>();
    let values: Vec<Vec<f64>> = (0..VALUES).map(|_| normal()).collect();
    let family = |_| {
        let scene = normal();
        let row = |v: usize| {
            let own = normal();
            (0..UNITS).map(|k| (scene[k] + same * values[v][k] + other * own[k]) as f32).collect::<Vec<f32>>()
        };
        matrix_of(&(0..VALUES).map(row).collect::<Vec<_>>())
    };
    (0..families).map(family).collect()
}

fn found(families: &[Matrix]) -> Additivity {
    additivity(families, true, confidence(), 1).unwrap().unwrap()
}

#[test]
fn sums_are_additive_and_noise_is_not() {
    let sums = found(&planted(20, 1.0, 0.0, 3));
    assert!((sums.share - 1.0).abs() < 1e-6 && sums.lo > 0.999 && sums.by_chance < 0.2, "{sums:?}");
    let noise = found(&planted(40, 0.0, 1.0, 4));
    assert!(noise.lo < 0.0 && noise.hi > 0.0 && noise.share.abs() < 0.05, "{noise:?}");
    assert!((noise.dimensions - UNITS as f64).abs() < 2.5, "{noise:?}");
    // Values of equal length at right angles differ in one dimension fewer than there are.
    let one = |scene: usize| {
        let row = |v: usize| (0..UNITS).map(|k| scene as f32 + f32::from(u8::from(k == v))).collect::<Vec<f32>>();
        matrix_of(&(0..VALUES).map(row).collect::<Vec<_>>())
    };
    let orthogonal = found(&(0..6).map(one).collect::<Vec<_>>());
    assert!((orthogonal.dimensions - (VALUES - 1) as f64).abs() < 1e-5, "{orthogonal:?}");
    // Nothing changes: nothing is said.
    let still = vec![matrix_of(&std::iter::repeat_n(vec![1.0; UNITS], VALUES).collect::<Vec<_>>()); 6];
    assert_eq!(additivity(&still, true, confidence(), 1).unwrap(), None);
}

#[test]
fn what_all_values_share_counts_only_as_a_difference() {
    // Whatever is added moves the row by the same vector: all of the change, and nothing of it beyond the mean of the family.
    let rng = &mut random::stream(5, "common", 0);
    let mut family = |_| {
        let row = |v: usize| -> Vec<f32> {
            (0..UNITS).map(|k| if k == 0 { 3.0 } else { (v * k % 3) as f32 * 1e-3 }).collect()
        };
        let mut rows: Vec<Vec<f32>> = (0..VALUES).map(row).collect();
        rows.iter_mut().flatten().for_each(|x| *x += 1e-3 * rng.random_range(-1.0..1.0_f32));
        matrix_of(&rows)
    };
    let families: Vec<Matrix> = (0..8).map(&mut family).collect();
    let whole = additivity(&families, false, confidence(), 1).unwrap().unwrap();
    assert!(whole.share > 0.999 && whole.by_chance > 0.999, "shuffling values changes nothing of it: {whole:?}");
    assert!(found(&families).share < 0.9);
}

#[test]
fn the_interval_is_that_of_leaving_families_out() {
    let families = planted(9, 1.0, 0.7, 6);
    let all = found(&families);
    for b in 0..families.len() {
        let rest: Vec<Matrix> =
            families.iter().enumerate().filter(|(c, _)| *c != b).map(|(_, of)| of.clone()).collect();
        let n = families.len() as f64;
        let pseudo = n * all.share - (n - 1.0) * found(&rest).share;
        assert!((pseudo - all.pseudo[b]).abs() < 1e-9, "{b}: {pseudo} {}", all.pseudo[b]);
    }
    let own = all.less(&all, confidence()).unwrap();
    assert!(own.iter().all(|x| x.abs() < 1e-12), "{own:?}");
}

#[test]
fn half_a_sum_is_half_and_intervals_hold_it() {
    let repeats = std::env::var("COVERAGE_REPEATS").map_or(200, |text| text.parse().unwrap());
    let (mut held, mut sum) = (0_u64, 0.0);
    // The values' own vectors vary from draw to draw; of very many families there is one truth for each.
    for seed in 0..repeats {
        let truth = {
            let rng = &mut random::stream(seed, "planted", 0);
            let values: Vec<Vec<f64>> =
                (0..VALUES).map(|_| (0..UNITS).map(|_| random::normal(rng)).collect()).collect();
            let mean: Vec<f64> = (0..UNITS).map(|k| values.iter().map(|v| v[k]).sum::<f64>() / VALUES as f64).collect();
            let own: f64 = values.iter().map(|v| v.iter().zip(&mean).map(|(x, m)| (x - m).powi(2)).sum::<f64>()).sum();
            own / (own + ((VALUES - 1) * UNITS) as f64)
        };
        let of = found(&planted(24, 1.0, 1.0, seed));
        held += u64::from(of.lo <= truth && truth <= of.hi);
        sum += (of.share - truth) / repeats as f64;
    }
    let share = held as f64 / repeats as f64;
    println!("the interval holds the share in {share}, bias {sum}");
    assert!(sum.abs() < 0.01 && (0.89..=0.99).contains(&share), "{share} {sum}");
}

#[test]
fn families_that_are_no_families_are_refused() {
    let refused = |families: &[Matrix]| additivity(families, true, confidence(), 1).unwrap_err().to_string();
    assert!(refused(&planted(3, 1.0, 1.0, 1)).contains("4 families or more"));
    let mut uneven = planted(6, 1.0, 1.0, 1);
    uneven[2] = uneven[2].rows(0..2);
    assert!(refused(&uneven).contains("of the same two values or more"));
}
