//! How long the linear probes of a model take: `cargo run --release --example readers -- FILE [MATRIX...]`, for `scripts/peers/probes.py`.
//!
//! FILE (safetensors) holds matrices `[row, unit]` (F32), `labels.K` and `folds` (U8). Of each matrix every K is read, by logistic
//! regression at ten strengths; a line of JSON each, and one with the seconds that all took, reading the file left out.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use snellen::measure::Matrix;
use snellen::readers::{Prepared, Task, Validated, validate_logistic};
use snellen::{Error, Result};
use std::time::Instant;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or_else(|| Error::mismatch("readers", "a file", "none"))?;
    let asked: Vec<String> = arguments.collect();
    let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| Error::malformed(&path, error))?;
    let (mut matrices, mut labels, mut folds) = (Vec::new(), Vec::new(), Vec::new());
    let mut names = tensors.names();
    names.sort_unstable();
    for name in names {
        let tensor = tensors.tensor(name).map_err(|error| Error::malformed(&path, error))?;
        match (tensor.dtype(), tensor.shape()) {
            (Dtype::F32, [rows, units]) if asked.is_empty() || asked.iter().any(|one| one == name) => {
                let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                matrices.push((name.to_owned(), Matrix::new(*rows, *units, values.collect())?));
            }
            (Dtype::U8, _) if name == "folds" => folds = tensor.data().iter().map(|fold| usize::from(*fold)).collect(),
            (Dtype::U8, _) => labels.push(tensor.data().to_vec()),
            _ => {}
        }
    }
    let task = |labels: &Vec<u8>| {
        let classes = labels.iter().max().map_or(2, |last| usize::from(*last) + 1);
        let clusters = (0..labels.len() as u64).collect();
        Task::new(classes, labels.iter().map(|label| Some(usize::from(*label))).collect(), clusters)
    };
    let tasks = labels.iter().map(task).collect::<Result<Vec<Task>>>()?;
    let strengths: Vec<f64> = (-4..=5).map(|e| 10f64.powi(e)).collect();
    let rows: Vec<usize> = (0..folds.len()).collect();
    let begun = Instant::now();
    let found: Vec<Vec<Validated>> = matrices
        .par_iter()
        .map(|(name, matrix)| {
            let prepared = Prepared::new(name, matrix)?;
            tasks.par_iter().map(|task| validate_logistic(&prepared, task, &rows, &folds, &strengths, 1e-5)).collect()
        })
        .collect::<Result<_>>()?;
    let seconds = begun.elapsed().as_secs_f64();
    for ((name, _), found) in matrices.iter().zip(&found) {
        for (k, found) in found.iter().enumerate() {
            let line = json!({"matrix": name, "task": k, "losses": found.losses, "gradient": found.fit.gradient});
            println!("{line}");
        }
    }
    println!("{}", json!({"seconds": seconds}));
    Ok(())
}
