//! Measures of activations against labels: known answers, laws, and what they say of noise.
//!
//! Tests of coverage draw as many samples as `COVERAGE_REPEATS` says, or few, and print what they measure.

mod additive;
mod auroc;
mod design;
mod encodes;
mod factorial;
mod images;
mod pairs;
mod partial;
mod proportion;
mod spatial;
mod stream;
mod superposition;
mod unit_concepts_table;

use rand::{Rng, RngExt};
use serde_json::Value;
use snellen::measure::{Confidence, Matrix};
use snellen::scene::Concept;

/// The cases of one section of the answers from scipy and statsmodels.
fn known(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../fixtures/statistics.json")).unwrap();
    let cases = all[section].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{section}");
    cases
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap_or_else(|| panic!("{key} in {case}"))
}

/// Asserts that `got` is `expected` to 1e-10 of it, or of 1 where `expected` is small.
#[track_caller]
fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-10 * expected.abs().max(1.0), "expected {expected}, got {got}");
}

fn confidence(level: f64) -> Confidence {
    Confidence::new(level).unwrap()
}

/// A standard normal number (Box & Muller).
fn gauss(rng: &mut impl Rng) -> f64 {
    let [u, v]: [f64; 2] = [1.0 - rng.random::<f64>(), rng.random()];
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn concepts(count: usize) -> Vec<Concept> {
    (0..count).map(|c| Concept { factor: "color".into(), value: format!("c{c}") }).collect()
}

/// The matrix with `value(image, unit)` at each place.
fn matrix(images: usize, units: usize, mut value: impl FnMut(usize, usize) -> f64) -> Matrix {
    let places = (0..images).flat_map(|image| (0..units).map(move |unit| (image, unit)));
    Matrix::new(images, units, places.map(|(image, unit)| value(image, unit) as f32).collect()).unwrap()
}
