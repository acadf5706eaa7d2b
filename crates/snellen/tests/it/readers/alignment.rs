//! Maps between two spaces made by formula: turned, without the binding, and nulls.

use super::{confidence, matrix, noise};
use rand::RngExt;
use rand::seq::SliceRandom;
use snellen::measure::Matrix;
use snellen::random::{rotation, stream};
use snellen::readers::alignment::{Alignment, Teaching, Twins, align};
use snellen::readers::{Split, Task, block_splits, scene_splits};

const PAIRS: usize = 300;
const VALUES: u64 = 6;
const UNITS: usize = 12;

/// Twins of two objects; an object's code is its shape's plus its colour's, and their product in dimensions of its own.
struct World {
    /// Shape and colour of both objects of each pair's first picture.
    pairs: Vec<[(u64, u64); 2]>,
    shapes: Vec<Vec<f64>>,
    colors: Vec<Vec<f64>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let rng = &mut stream(seed, "twins", 0);
        let pairs = (0..PAIRS).map(|_| {
            let mut two = || {
                let mut all: Vec<u64> = (0..VALUES).collect();
                all.shuffle(rng);
                [all[0], all[1]]
            };
            let [shapes, colors] = [two(), two()];
            [(shapes[0], colors[0]), (shapes[1], colors[1])]
        });
        Self { pairs: pairs.collect(), shapes: noise(6, 2, seed + 1), colors: noise(6, 2, seed + 2) }
    }

    /// Rows of pictures: the sum of objects, in which bindings weigh `bound`.
    fn rows(&self, bound: f64) -> Vec<Vec<f64>> {
        let object = |(shape, color): (u64, u64)| {
            let (s, c) = (&self.shapes[shape as usize], &self.colors[color as usize]);
            let mut code = vec![s[0], s[1], c[0], c[1], 1.0];
            code.extend(s.iter().flat_map(|s| c.iter().map(move |c| bound * s * c)));
            code.resize(UNITS, 0.0);
            code
        };
        let scene = |objects: [(u64, u64); 2]| -> Vec<f64> {
            object(objects[0]).iter().zip(object(objects[1])).map(|(a, b)| a + b).collect()
        };
        let twins = |[a, b]: &[(u64, u64); 2]| [scene([*a, *b]), scene([(a.0, b.1), (b.0, a.1)])];
        self.pairs.iter().flat_map(twins).collect()
    }

    fn objects(&self) -> Vec<Vec<(u64, u64)>> {
        self.pairs.iter().map(|[a, b]| vec![*a, *b, (a.0, b.1), (b.0, a.1)]).collect()
    }
}

fn noisy(rows: Vec<Vec<f64>>, seed: u64) -> Vec<Vec<f64>> {
    let more = noise(rows.len(), UNITS, seed);
    rows.into_iter().zip(more).map(|(row, more)| row.iter().zip(more).map(|(x, e)| x + 0.05 * e).collect()).collect()
}

/// Rows in another basis, with the sign of bindings turned as well.
fn turned(rows: &[Vec<f64>], seed: u64) -> Matrix {
    let turn = rotation(UNITS, &mut stream(seed, "turn", 0));
    let of = |row: &Vec<f64>| (0..UNITS).map(|j| (0..UNITS).map(|k| row[k] * turn[(k, j)]).sum()).collect();
    matrix(&rows.iter().map(of).collect::<Vec<_>>())
}

fn splits(world: &World, objects: bool, seed: u64) -> Vec<Split> {
    let task = Task::new(2, vec![Some(0); PAIRS], (0..PAIRS as u64).collect()).unwrap();
    if objects {
        block_splits(&task, &world.objects(), 3, seed).unwrap()
    } else {
        scene_splits(&task, 2, seed).unwrap()
    }
}

fn taught(pictures: &Matrix, captions: &Matrix, splits: &[Split], nulls: usize) -> Alignment {
    let teaching = Teaching { strengths: vec![1.0, 100.0], nulls, ..Teaching::standard(confidence()) };
    align(&Twins { pictures, captions }, splits, &teaching, 3).unwrap()
}

#[test]
fn a_turned_space_is_found_again_on_unseen_scenes_and_objects() {
    let seed = 1;
    let world = World::new(10 * seed);
    let pictures = matrix(&noisy(world.rows(1.0), seed));
    let captions = turned(&noisy(world.rows(1.0), seed + 50), seed);
    for objects in [false, true] {
        let found = taught(&pictures, &captions, &splits(&world, objects, seed), 3);
        let name = format!("objects {objects}: {found:?}");
        assert!(found.before.estimate < 0.7, "{name}");
        assert!(found.map.accuracy.estimate > 0.8 && found.map.gain.lo > 0.1, "{name}");
        assert!(found.ridge.gain.lo > 0.1, "{name}");
        assert!(found.gradient < 1e-3, "{name}");
        for null in [found.shuffled.unwrap(), found.random.unwrap()] {
            assert!((null.accuracy.estimate - 0.5).abs() < 0.2, "{name}");
        }
    }
}

#[test]
fn what_one_side_lacks_no_map_finds() {
    let world = World::new(3);
    let pictures = matrix(&noisy(world.rows(1.0), 1));
    let exact = turned(&world.rows(0.0), 2);
    let found = taught(&pictures, &exact, &splits(&world, false, 1), 0);
    // Captions of twins are equal but for rounding: ties, half right.
    assert_eq!(found.before.estimate, 0.5);
    let captions = turned(&noisy(world.rows(0.0), 7), 2);
    let found = taught(&pictures, &captions, &splits(&world, false, 1), 0);
    assert!(found.map.accuracy.lo < 0.5 && found.map.accuracy.hi > 0.5, "{:?}", found.map);
    let blind = matrix(&noisy(world.rows(0.0), 9));
    let captions = turned(&noisy(world.rows(1.0), 7), 2);
    let found = taught(&blind, &captions, &splits(&world, false, 1), 0);
    assert!(found.map.accuracy.lo < 0.5 && found.map.accuracy.hi > 0.5, "{:?}", found.map);
}

#[test]
fn without_strength_a_map_is_the_given_match() {
    let world = World::new(5);
    let rows = noisy(world.rows(0.4), 3);
    let pictures = matrix(&rows);
    let mut rng = stream(5, "captions", 0);
    let captions = matrix(
        &rows.iter().map(|row| row.iter().map(|x| x + 0.5 * (rng.random::<f64>() - 0.5)).collect()).collect::<Vec<_>>(),
    );
    let teaching = Teaching { strengths: vec![1e-9], tie: 0.0, nulls: 0, ..Teaching::standard(confidence()) };
    let twins = Twins { pictures: &pictures, captions: &captions };
    let found = align(&twins, &splits(&world, false, 1), &teaching, 1).unwrap();
    assert_eq!(found.map.accuracy.estimate, found.before.estimate);
    assert!(found.before.estimate > 0.6 && found.before.estimate < 1.0 && found.random.is_none());
}
