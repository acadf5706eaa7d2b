//! Coefficients, probabilities and chosen strengths of scikit-learn, and of plain Newton steps where it has no such model.

use super::matrix;
use serde_json::Value;
use snellen::readers::{ComparedPairs, Prepared, Task, fit_logistic, fit_ridge, tell_pairs, validate_logistic};
use std::path::Path;

fn fixture() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/readers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn table(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(floats).collect()
}

fn counts(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|value| value.as_u64().unwrap() as usize).collect()
}

fn task(case: &Value) -> Task {
    let labels: Vec<Option<usize>> = counts(&case["y"]).into_iter().map(Some).collect();
    let clusters = (0..labels.len() as u64).collect();
    Task::new(case["classes"].as_u64().unwrap() as usize, labels, clusters).unwrap()
}

/// Largest difference, beside the largest number expected.
fn apart(got: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().flatten().fold(0.0, |most: f64, value| most.max(value.abs()));
    let pairs = got.iter().flatten().zip(expected.iter().flatten());
    pairs.map(|(got, expected)| (got - expected).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn logistic_regressions_have_the_answers_of_scikit_learn() {
    for case in fixture()["logistic"].as_array().unwrap() {
        let (name, x, task) = (case["name"].as_str().unwrap(), table(&case["x"]), task(case));
        let rows: Vec<usize> = (0..x.len()).collect();
        let mut checked = 0;
        for expected in case["fits"].as_array().unwrap() {
            let c = expected["c"].as_f64().unwrap();
            let fit = fit_logistic(&matrix(&x), &task, &rows, c).unwrap();
            let far = apart(&fit.weights, &table(&expected["weights"]));
            assert!(far < 1e-6, "{name}, C {c}: weights {far:e} apart, gradient {:e}", fit.gradient);
            let far = apart(std::slice::from_ref(&fit.constants), &[floats(&expected["constants"])]);
            assert!(far < 1e-6, "{name}, C {c}: constants {far:e} apart");
            let objective = expected["objective"].as_f64().unwrap();
            assert!((fit.objective / objective - 1.0).abs() < 1e-10, "{name}, C {c}: {} {objective}", fit.objective);
            for (x, expected) in x.iter().zip(table(&expected["probabilities"])) {
                let dot = |w: &Vec<f64>| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
                let mut z: Vec<f64> = fit.weights.iter().zip(&fit.constants).map(|(w, b)| dot(w) + b).collect();
                if z.len() == 1 {
                    z.insert(0, 0.0);
                }
                let sum: f64 = z.iter().map(|z| z.exp()).sum();
                let p: Vec<f64> = z.iter().map(|z| z.exp() / sum).collect();
                assert!(apart(&[p], &[expected]) < 1e-6, "{name}, C {c}");
            }
            checked += 1;
        }
        assert_eq!(checked, 3);
    }
}

#[test]
fn strengths_are_chosen_as_scikit_learn_does() {
    for case in fixture()["logistic"].as_array().unwrap() {
        let (x, task, cv) = (matrix(&table(&case["x"])), task(case), &case["cv"]);
        let prepared = Prepared::new("x", &x).unwrap();
        let (folds, strengths) = (counts(&cv["folds"]), floats(&cv["strengths"]));
        let rows: Vec<usize> = (0..folds.len()).collect();
        let found = validate_logistic(&prepared, &task, &rows, &folds, &strengths, 1e-9).unwrap();
        for (got, expected) in found.losses.iter().zip(floats(&cv["losses"])) {
            assert!((got / expected - 1.0).abs() < 1e-4, "{}: {got} {expected}", case["name"]);
        }
        assert_eq!(strengths[found.best], cv["chosen"].as_f64().unwrap(), "{}", case["name"]);
        assert!(found.fit.gradient < 1e-6);
    }
}

#[test]
fn answers_among_candidates_have_the_minimum_of_newton() {
    for case in fixture()["among"].as_array().unwrap() {
        let x = table(&case["x"]);
        let candidates: Vec<Vec<usize>> = case["candidates"].as_array().unwrap().iter().map(counts).collect();
        let task = task(case).among(&candidates).unwrap();
        let rows: Vec<usize> = (0..x.len()).collect();
        let fit = fit_logistic(&matrix(&x), &task, &rows, case["c"].as_f64().unwrap()).unwrap();
        let far = apart(&fit.weights, &table(&case["weights"]));
        assert!(far < 1e-6, "weights {far:e} apart, gradient {:e}", fit.gradient);
        assert!((fit.objective / case["objective"].as_f64().unwrap() - 1.0).abs() < 1e-10);
    }
}

#[test]
fn ridge_leaves_clusters_out_as_fits_without_them_do() {
    for case in fixture()["ridge"].as_array().unwrap() {
        let clusters: Vec<u64> = counts(&case["clusters"]).into_iter().map(|cluster| cluster as u64).collect();
        let (x, y) = (matrix(&table(&case["x"])), matrix(&table(&case["y"])));
        let fit = fit_ridge(&x, &y, &clusters, &floats(&case["penalties"])).unwrap();
        for (got, expected) in fit.errors.iter().zip(floats(&case["errors"])) {
            assert!((got / expected - 1.0).abs() < 1e-6, "{got} {expected}");
        }
        assert_eq!(fit.best as u64, case["best"].as_u64().unwrap());
        assert!(apart(&fit.weights, &table(&case["weights"])) < 1e-8);
        assert!(apart(&[fit.constants], &[floats(&case["constants"])]) < 1e-8);
    }
}

#[test]
fn forms_of_pairs_have_the_answers_of_scikit_learn() {
    for case in fixture()["pairs"].as_array().unwrap() {
        let compared = |of: &Value| -> ComparedPairs {
            let rows = counts(of);
            ComparedPairs { same: [rows[0], rows[1]], other: [rows[2], rows[3]] }
        };
        let compared: Vec<ComparedPairs> = case["compared"].as_array().unwrap().iter().map(compared).collect();
        let clusters: Vec<u64> = counts(&case["clusters"]).into_iter().map(|cluster| cluster as u64).collect();
        let said = tell_pairs(&matrix(&table(&case["x"])), &compared, &clusters).unwrap();
        let far = apart(&[said], &[floats(&case["said"])]);
        assert!(far < 1e-9, "{far:e} apart");
    }
}
