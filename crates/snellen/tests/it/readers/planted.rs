//! Codes made by formula: what is linear every reader finds, what is a product the network alone, what is absent nobody.

use super::{balanced, confidence, matrix, noise};
use snellen::readers::{Curve, Ladder, Mlp, Prepared, Reader, Task, against, curves, scene_splits};

const ROWS: usize = 320;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Code {
    Linear,
    Product,
    Absent,
}

/// Six units of noise; the label is in the first, or in the product of the first two, or nowhere.
fn planted(code: Code, seed: u64) -> (Vec<Vec<f64>>, Task) {
    let task = balanced(ROWS, 2, seed);
    let mut x = noise(ROWS, 6, seed);
    let signs = noise(ROWS, 1, seed + 1000);
    for (row, (label, sign)) in x.iter_mut().zip(task.labels().iter().zip(&signs)) {
        let side = if *label == Some(1) { 2.0 } else { -2.0 };
        let sign = sign[0].signum();
        row.iter_mut().for_each(|value| *value *= 0.5);
        match code {
            Code::Linear => row[0] += side,
            Code::Product => (row[0], row[1]) = (row[0] + side * sign, row[1] + 2.0 * sign),
            Code::Absent => {}
        }
    }
    (x, task)
}

fn read(x: &[Vec<f64>], task: &Task, reader: &Reader, seed: u64) -> Curve {
    let x = matrix(x);
    let ladder = Ladder { null: false, ..Ladder::all(confidence()) };
    let splits = scene_splits(task, 2, seed).unwrap();
    curves(&[Prepared::new("planted", &x).unwrap()], task, &splits, &ladder, reader, seed).unwrap().remove(0)
}

/// Of `seeds`, in how many the reader is above chance and its answers cost less than a bit. (A half-plane that cuts off one of the four
/// corners of a product is right in three of them, so accuracy alone would not do; its answers still cost a bit.)
fn found(code: Code, reader: &Reader, seeds: u64) -> usize {
    let above = |seed: &u64| {
        let (x, task) = planted(code, 3 * seed);
        let curve = read(&x, &task, reader, *seed);
        curve.points[0].accuracy.lo > curve.chance && curve.points[0].bits.hi < 1.0
    };
    (0..seeds).filter(above).count()
}

fn network() -> Reader {
    Reader::Mlp(Mlp {
        hidden: 12,
        members: 2,
        epochs: 60,
        patience: 15,
        batch: 16,
        rate: 1e-2,
        decay: 0.1,
        whitening: 0.5,
    })
}

#[test]
fn linear_readers_find_linear_codes_only() {
    let logistic = Reader::Logistic { strengths: vec![0.1, 1.0, 10.0], folds: 3 };
    for reader in [Reader::ridge(), logistic] {
        let counts = [Code::Linear, Code::Product, Code::Absent].map(|code| found(code, &reader, 40));
        eprintln!("{}: {counts:?} of 40", reader.name());
        assert!(counts[0] == 40 && counts[1] <= 2 && counts[2] <= 2, "{}: {counts:?}", reader.name());
    }
}

#[test]
fn networks_find_products_too_and_nothing_in_noise() {
    let counts = [Code::Linear, Code::Product, Code::Absent].map(|code| found(code, &network(), 20));
    eprintln!("mlp: {counts:?} of 20");
    assert!(counts[0] >= 19 && counts[1] >= 19 && counts[2] <= 1, "{counts:?}");
}

#[test]
fn curves_rise_codes_shrink_and_nulls_stay_at_chance() {
    let (mut x, task) = planted(Code::Linear, 4);
    x.iter_mut().zip(noise(ROWS, 30, 5)).for_each(|(row, more)| {
        row[0] += 2.0 * more[0];
        row.extend(more);
    });
    let x = matrix(&x);
    let other = matrix(&noise(ROWS, 6, 77));
    let matrices = [Prepared::new("planted", &x).unwrap(), Prepared::new("noise", &other).unwrap()];
    let ladder = Ladder { sizes: vec![24, 60, 120], draws: 4, null: true, confidence: confidence() };
    let splits = scene_splits(&task, 4, 1).unwrap();
    let found = curves(&matrices, &task, &splits, &ladder, &Reader::logistic(), 1).unwrap();
    let [planted, noise] = &found[..] else { panic!() };
    assert_eq!(
        planted.points.iter().map(|point| (point.size, point.sets)).collect::<Vec<_>>(),
        [(24, 16), (60, 16), (120, 8), (240, 4)]
    );
    assert!(planted.points[3].accuracy.estimate > planted.points[0].accuracy.estimate);
    assert!(planted.points[3].bits.estimate < planted.points[0].bits.estimate);
    assert!(planted.code.compression > 1.3 && planted.code.bits.hi < planted.code.uniform, "{:?}", planted.code.bits);
    assert!(noise.code.compression < 1.02, "{}", noise.code.compression);
    for curve in &found {
        for point in &curve.points {
            let null = point.null.unwrap();
            assert!(null.lo < 0.5 && null.hi > 0.5, "{}, {}: {null:?}", curve.name, point.size);
            assert!(point.gradient.unwrap() < 1e-6);
        }
    }
    let beside = against(planted, &[noise], &task, confidence()).unwrap();
    assert_eq!(beside.len(), 5);
    assert!(beside.iter().all(|size| size.best().name == "noise" && size.best().difference.lo > 0.0), "{beside:?}");
    let turned = against(noise, &[planted, noise], &task, confidence()).unwrap();
    assert!(turned.iter().all(|size| size.best == 0 && size.best().difference.hi < 0.0));
    assert!(turned.iter().all(|size| size.controls[1].difference.estimate == 0.0));
}

#[test]
fn who_knows_the_candidates_alone_is_at_chance() {
    // Rows show which two of six classes come into question, not which of them is right.
    let rows = 300;
    let pairs = noise(rows, 6, 3);
    let two = |row: &Vec<f64>| {
        let mut order: Vec<usize> = (0..6).collect();
        order.sort_by(|a, b| row[*a].total_cmp(&row[*b]));
        vec![order[0], order[1]]
    };
    let candidates: Vec<Vec<usize>> = pairs.iter().map(two).collect();
    let coin = noise(rows, 1, 4);
    let label = |i: usize| Some(candidates[i][usize::from(coin[i][0] > 0.0)]);
    let task = Task::new(6, (0..rows).map(label).collect(), (0..rows as u64).collect()).unwrap();
    let task = task.among(&candidates).unwrap();
    let flags = |bound: f64| -> Vec<Vec<f64>> {
        let of = |i: usize, class: usize| {
            let shown = candidates[i].contains(&class);
            f64::from(u8::from(shown)) + if label(i) == Some(class) { bound } else { 0.0 }
        };
        (0..rows).map(|i| (0..6).map(|class| of(i, class)).collect()).collect()
    };
    for reader in [Reader::ridge(), Reader::logistic(), network()] {
        let bag = read(&flags(0.0), &task, &reader, 1);
        assert_eq!(bag.chance, 0.5);
        let accuracy = bag.points[0].accuracy;
        assert!(accuracy.lo < 0.5 && accuracy.hi > 0.5, "{}: {accuracy:?}", reader.name());
        let bound = read(&flags(0.5), &task, &reader, 1).points[0].accuracy;
        // Least squares spend themselves on which classes come into question.
        let least = if reader == Reader::ridge() { 0.55 } else { 0.9 };
        assert!(bound.lo > least, "{}: {bound:?}", reader.name());
    }
}

#[test]
fn chance_is_that_of_the_most_frequent_class() {
    let labels: Vec<Option<usize>> = (0..200).map(|i| Some(usize::from(i % 5 == 0))).collect();
    let task = Task::new(2, labels, (0..200).collect()).unwrap();
    let curve = read(&noise(200, 3, 1), &task, &Reader::ridge(), 1);
    assert!((curve.chance - 0.8).abs() < 1e-12);
    assert!(curve.points[0].accuracy.hi > 0.8 && curve.points[0].accuracy.lo < 0.8);
}
