//! Simulated coverage of the intervals of differences and of whole curves.

use super::{confidence, matrix, noise};
use rand::RngExt;
use snellen::random::{normal, stream};
use snellen::readers::{
    Comparison, Curve, Ladder, Prepared, Reader, Task, against, curves, paired, paired_mean, scene_splits,
};

/// How often the interval holds the truth: two readers right with probabilities that rows and clusters share.
fn coverage(clusters: usize, alike: f64, gap: f64, repeats: u64) -> f64 {
    let chance = |u: f64, easy: f64| f64::from(u8::from(u < easy));
    let draw = |seed: u64, clusters: usize| {
        let rng = &mut stream(seed, "paired", 0);
        let (mut a, mut b, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for cluster in 0..clusters as u64 {
            let common = alike * normal(rng);
            for _ in 0..2 {
                let z = common + 0.5 * normal(rng);
                let [easy, hard] = [0.4 + z, 0.4 + z - gap].map(|z| 1.0 / (1.0 + (-2.0 * z).exp()));
                let (u, v): (f64, f64) = (rng.random(), rng.random());
                a.push(chance(u, easy));
                b.push(chance(if v < 0.5 { u } else { rng.random() }, hard));
                of.push(cluster);
            }
        }
        (a, b, of)
    };
    let (a, b, _) = draw(u64::MAX, 200_000);
    let truth = (a.iter().sum::<f64>() - b.iter().sum::<f64>()) / a.len() as f64;
    let holds = |seed: &u64| {
        let (a, b, of) = draw(*seed, clusters);
        let found = paired(&a, &b, &of, confidence()).unwrap();
        found.lo <= truth && truth <= found.hi
    };
    (0..repeats).filter(holds).count() as f64 / repeats as f64
}

#[test]
fn paired_intervals_hold_the_truth_as_often_as_they_say() {
    for (clusters, alike, gap) in [(30, 1.0, 0.4), (100, 0.0, 0.0), (100, 1.0, 0.2), (250, 2.0, 0.8)] {
        let share = coverage(clusters, alike, gap, 600);
        eprintln!("coverage {clusters} clusters, alike {alike}, gap {gap}: {share:.4}");
        assert!((0.92..=0.98).contains(&share), "{clusters} clusters, alike {alike}, gap {gap}: {share}");
    }
}

#[test]
fn paired_differences_by_hand() {
    // Cluster sums 1, 1, -1, 0 of size 2: mean 1/8.
    let (a, b) = ([1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.5, 0.5], [0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.5, 0.5]);
    let clusters = [0, 0, 1, 1, 2, 2, 3, 3];
    let found = paired_mean(&a, &b, &clusters, confidence()).unwrap();
    // t(3) = 3.182446; squares (3/4)^2 2 + (5/4)^2 + (1/4)^2 = 2.75; error sqrt(4/3 * 2.75) / 8.
    assert!((found.estimate - 0.125).abs() < 1e-15);
    assert!((found.hi - 0.125 - 3.182_446_305 * (4.0 / 3.0 * 2.75_f64).sqrt() / 8.0).abs() < 1e-8);
    let same = paired(&a, &a, &clusters, confidence()).unwrap();
    assert!(same.estimate == 0.0 && same.lo < -0.1 && same.hi > 0.1, "nothing differs among four: {same:?}");
}

/// Rows of two units, of which the first leans by the label, and the accuracy that a reader of `size` rows reaches on average.
#[test]
fn curves_hold_the_truth_as_often_as_they_say() {
    let draw = |rows: usize, seed: u64| {
        let mut x = noise(rows, 4, seed);
        let labels: Vec<Option<usize>> = (0..rows).map(|i| Some(i % 2)).collect();
        x.iter_mut().zip(&labels).for_each(|(row, label)| row[0] += if *label == Some(1) { 0.6 } else { -0.6 });
        let weaker = x.iter().map(|row| vec![row[0] + 0.8 * row[3], row[1], row[2]]).collect::<Vec<_>>();
        (matrix(&x), matrix(&weaker), Task::new(2, labels, (0..rows as u64).collect()).unwrap())
    };
    let reader = Reader::Ridge { penalties: vec![1e-2, 1e-1, 1.0] };
    let read = |seed: u64| {
        let (x, other, task) = draw(240, seed);
        let ladder = Ladder { sizes: vec![30, 70], draws: 4, null: false, confidence: confidence() };
        let prepared = [Prepared::new("x", &x).unwrap(), Prepared::new("weaker", &other).unwrap()];
        let splits = scene_splits(&task, 3, seed).unwrap();
        let mut found = curves(&prepared, &task, &splits, &ladder, &reader, seed).unwrap();
        let beside = against(&found[0], &[&found[1]], &task, confidence()).unwrap();
        (found.remove(0), beside)
    };
    let found: Vec<_> = (0..200).map(read).collect();
    for place in 0..3 {
        let size = found[0].0.points[place].size;
        let of_curve = |(curve, _): &(Curve, Vec<Comparison>)| {
            let p = curve.points[place].accuracy;
            [p.estimate, p.lo, p.hi]
        };
        let of_difference = |(_, beside): &(Curve, Vec<Comparison>)| {
            let d = beside[place].best().difference;
            [d.estimate, d.lo, d.hi]
        };
        let all: [(&str, Vec<[f64; 3]>); 2] = [
            ("accuracy", found.iter().map(of_curve).collect()),
            ("difference", found.iter().map(of_difference).collect()),
        ];
        for (what, intervals) in all {
            let truth = intervals.iter().map(|i| i[0]).sum::<f64>() / 200.0;
            let share = intervals.iter().filter(|i| i[1] <= truth && truth <= i[2]).count() as f64 / 200.0;
            eprintln!("coverage of the {what} at {size} rows: {share:.3}, truth {truth:.3}");
            assert!((0.92..=0.98).contains(&share), "{what} at {size} rows: {share}");
        }
    }
    let of_code = |(_, beside): &(Curve, Vec<Comparison>)| beside[3].best().difference;
    let truth = found.iter().map(|one| of_code(one).estimate).sum::<f64>() / 200.0;
    let holds = |one: &&(Curve, Vec<Comparison>)| of_code(one).lo <= truth && truth <= of_code(one).hi;
    let share = found.iter().filter(holds).count() as f64 / 200.0;
    eprintln!("coverage of the code's difference: {share:.3}, truth {truth:.3}");
    assert!((0.92..=0.98).contains(&share), "code: {share}");
}
