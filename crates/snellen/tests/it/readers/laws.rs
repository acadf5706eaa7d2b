//! What must not matter: the basis, the order of rows, a feature said twice, the number of threads.

use super::{balanced, confidence, matrix, noise};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rayon::ThreadPoolBuilder;
use snellen::measure::Matrix;
use snellen::random::{rotation, stream};
use snellen::readers::{
    Ladder, Mlp, Prepared, Reader, Task, block_splits, curves, fit_logistic, fit_ridge, object_split, scene_splits,
};
use std::collections::BTreeSet;

/// A linear rule under noise.
fn ruled(rows: usize, units: usize, classes: usize, seed: u64) -> (Vec<Vec<f64>>, Task) {
    let x = noise(rows, units, seed);
    let more = noise(rows, classes, seed + 1);
    let score = |i: usize, k: usize| 2.0 * x[i][k % units] * if k < units { 1.0 } else { -1.0 } + more[i][k];
    let best = |i: usize| (0..classes).max_by(|a, b| score(i, *a).total_cmp(&score(i, *b)));
    let labels: Vec<Option<usize>> = (0..rows).map(best).collect();
    let task = Task::new(classes, labels, (0..rows as u64).collect()).unwrap();
    (x, task)
}

fn turned(x: &[Vec<f64>], seed: u64) -> Vec<Vec<f64>> {
    let units = x[0].len();
    let turn = rotation(units, &mut stream(seed, "turn", 0));
    x.iter()
        .map(|row| (0..units).map(|j| (0..units).map(|k| row[k] * turn[(k, j)]).sum::<f64>() + 3.0).collect())
        .collect()
}

/// Scores `[row, output]`.
fn scores(weights: &[Vec<f64>], constants: &[f64], x: &Matrix) -> Vec<f64> {
    let of = |row: usize, (w, b): (&Vec<f64>, &f64)| {
        w.iter().zip(x.row(row)).map(|(w, x)| w * f64::from(*x)).sum::<f64>() + b
    };
    (0..x.images()).flat_map(|row| weights.iter().zip(constants).map(move |pair| of(row, pair))).collect()
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn neither_basis_nor_order_nor_place_matters(
        seed in 0_u64..1000, classes in 2_usize..4, units in 2_usize..6, wide in any::<bool>(), c in 0.01_f64..10.0,
    ) {
        let (rows, units) = (24, if wide { units + 26 } else { units });
        let (x, task) = ruled(rows, units, classes, seed);
        let all: Vec<usize> = (0..rows).collect();
        let (plain, other) = (matrix(&x), matrix(&turned(&x, seed)));
        let first = fit_logistic(&plain, &task, &all, c).unwrap();
        let second = fit_logistic(&other, &task, &all, c).unwrap();
        let far = apart(
            &scores(&first.weights, &first.constants, &plain),
            &scores(&second.weights, &second.constants, &other),
        );
        prop_assert!(far < 1e-4, "turned: {}", far);
        let mut order = all.clone();
        order.shuffle(&mut stream(seed, "order", 0));
        let third = fit_logistic(&plain, &task, &order, c).unwrap();
        prop_assert!(apart(&first.weights.concat(), &third.weights.concat()) < 1e-7);
        let targets = matrix(&noise(rows, 2, seed + 7));
        let clusters: Vec<u64> = (0..rows as u64).collect();
        let [first, second] = [&plain, &other].map(|x| {
            let fit = fit_ridge(x, &targets, &clusters, &[c]).unwrap();
            (scores(&fit.weights, &fit.constants, x), fit.errors)
        });
        prop_assert!(apart(&first.0, &second.0) < 1e-4 && apart(&first.1, &second.1) < 1e-4);
    }

    #[test]
    fn a_feature_said_twice_is_one_of_more_weight(seed in 0_u64..1000, c in 0.01_f64..10.0) {
        let (x, task) = ruled(40, 3, 2, seed);
        let all: Vec<usize> = (0..40).collect();
        let twice: Vec<Vec<f64>> = x.iter().map(|row| vec![row[0], row[1], row[2], row[0]]).collect();
        let once: Vec<Vec<f64>> = x.iter().map(|row| vec![row[0] * 2f64.sqrt(), row[1], row[2]]).collect();
        let twice = fit_logistic(&matrix(&twice), &task, &all, c).unwrap();
        let once = fit_logistic(&matrix(&once), &task, &all, c).unwrap();
        prop_assert!((twice.weights[0][0] - twice.weights[0][3]).abs() < 1e-6);
        prop_assert!((twice.weights[0][0] * 2f64.sqrt() - once.weights[0][0]).abs() < 1e-4);
        prop_assert!((twice.objective / once.objective - 1.0).abs() < 1e-6);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let (x, task) = ruled(90, 4, 3, 5);
    let (x, other) = (matrix(&x), matrix(&noise(90, 120, 6)));
    let splits = scene_splits(&task, 3, 2).unwrap();
    let mlp = Mlp { hidden: 8, members: 2, epochs: 5, ..Mlp::standard() };
    let ladder = Ladder { sizes: vec![20, 40], draws: 2, null: true, confidence: confidence() };
    for reader in [Reader::ridge(), Reader::logistic(), Reader::Mlp(mlp)] {
        let run = |threads: usize, seed: u64| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool.install(|| {
                let matrices = [Prepared::new("x", &x).unwrap(), Prepared::new("noise", &other).unwrap()];
                curves(&matrices, &task, &splits, &ladder, &reader, seed).unwrap()
            });
            serde_json::to_string(&found).unwrap()
        };
        let one = run(1, 9);
        assert!(run(3, 9) == one, "{}", reader.name());
        assert!(run(1, 10) != one, "{}: the seed decides nothing", reader.name());
    }
}

#[test]
fn splits_are_what_they_say() {
    let objects: Vec<Vec<(u64, u64)>> =
        (0..400_u64).map(|i| vec![(i % 5, i / 5 % 4), (i / 7 % 5, i / 3 % 4)]).collect();
    let labels = (0..400).map(|i| (i % 11 != 0).then_some(i % 3)).collect();
    let task = Task::new(3, labels, (0..400).map(|i| i / 2).collect()).unwrap();
    let splits = scene_splits(&task, 5, 3).unwrap();
    let mut asked: Vec<usize> = splits.iter().flat_map(|split| split.test.clone()).collect();
    asked.sort_unstable();
    assert_eq!(asked, task.asked());
    for split in &splits {
        let learnt: BTreeSet<usize> = split.train.iter().map(|row| row / 2).collect();
        assert!(split.test.iter().all(|row| !learnt.contains(&(row / 2))), "a cluster on both sides");
        for class in 0..3 {
            let of = |rows: &[usize]| rows.iter().filter(|row| task.labels()[**row] == Some(class)).count() as f64;
            let share = of(&split.test) / split.test.len() as f64;
            assert!((share - 1.0 / 3.0).abs() < 0.08, "class {class} is {share} of a fold");
        }
    }
    let blocks = block_splits(&task, &objects, 4, 3).unwrap();
    for split in &blocks {
        let held: BTreeSet<(u64, u64)> = split.test.iter().flat_map(|row| objects[*row].clone()).collect();
        assert!(split.train.iter().all(|row| objects[*row].iter().all(|object| !held.contains(object))));
        let values: BTreeSet<u64> = split.train.iter().flat_map(|row| &objects[*row]).map(|object| object.0).collect();
        assert_eq!(values.len(), 5, "a value that training never saw");
    }
    let held = BTreeSet::from([3, 4]);
    let numbered: Vec<Vec<u64>> = (0..400).map(|i| vec![i % 5, (i + i / 9) % 5]).collect();
    let split = object_split(&task, &numbered, &held).unwrap();
    assert!(split.test.iter().all(|row| numbered[*row].iter().all(|object| held.contains(object))));
    assert!(split.train.iter().all(|row| numbered[*row].iter().all(|object| !held.contains(object))));
    assert!(split.train.len() + split.test.len() < task.asked().len(), "mixed rows are in neither");
}

#[test]
fn shuffling_keeps_strata_and_candidates() {
    let task = balanced(120, 4, 3);
    let strata: Vec<u64> = (0..120).map(|i| i % 2).collect();
    let task = task.within(strata.clone()).unwrap();
    let other = task.shuffled(1);
    assert_ne!(task.labels(), other.labels());
    for stratum in 0..2 {
        let [mut a, mut b] = [&task, &other]
            .map(|task| (0..120).filter(|i| strata[*i] == stratum).map(|i| task.labels()[i]).collect::<Vec<_>>());
        a.sort_unstable();
        b.sort_unstable();
        assert_eq!(a, b);
    }
    let candidates: Vec<Vec<usize>> =
        task.labels().iter().map(|label| vec![label.unwrap() / 2 * 2, label.unwrap() / 2 * 2 + 1]).collect();
    let other = task.clone().among(&candidates).unwrap().shuffled(1);
    assert_ne!(task.labels(), other.labels());
    assert!(other.labels().iter().zip(candidates).all(|(label, allowed)| allowed.contains(&label.unwrap())));
}

#[test]
fn results_can_be_written_and_read() {
    let (x, task) = ruled(60, 3, 2, 1);
    let x = matrix(&x);
    let ladder = Ladder { sizes: vec![20], draws: 1, null: true, confidence: confidence() };
    let prepared = [Prepared::new("x", &x).unwrap()];
    let found = curves(&prepared, &task, &scene_splits(&task, 3, 1).unwrap(), &ladder, &Reader::ridge(), 1).unwrap();
    let text = serde_json::to_string(&found).unwrap();
    let back: Vec<snellen::readers::Curve> = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    assert_eq!(back[0].points.len(), 2);
}
