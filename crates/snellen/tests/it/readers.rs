//! Readers: known answers of scikit-learn and numpy, laws, planted codes and noise, intervals.

mod alignment;
mod intervals;
mod known;
mod laws;
mod planted;
mod refused;

use rand::seq::SliceRandom;
use snellen::measure::{Confidence, Matrix};
use snellen::random::{normal, stream};
use snellen::readers::Task;

fn confidence() -> Confidence {
    Confidence::new(0.95).unwrap()
}

/// Rows of independent normal numbers.
fn noise(rows: usize, units: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = stream(seed, "noise", 0);
    (0..rows).map(|_| (0..units).map(|_| normal(&mut rng)).collect()).collect()
}

fn matrix(rows: &[Vec<f64>]) -> Matrix {
    let values = rows.iter().flatten().map(|value| *value as f32).collect();
    Matrix::new(rows.len(), rows[0].len(), values).unwrap()
}

/// As many rows of each class, in random order, each a cluster of its own.
fn balanced(rows: usize, classes: usize, seed: u64) -> Task {
    let mut labels: Vec<Option<usize>> = (0..rows).map(|i| Some(i % classes)).collect();
    labels.shuffle(&mut stream(seed, "labels", 0));
    Task::new(classes, labels, (0..rows as u64).collect()).unwrap()
}
