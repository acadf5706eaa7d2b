//! Multinomial logistic regression with an L2 penalty: the linear reader.
//!
//! ```text
//! minimise  sum_i -log p(y_i | x_i)  +  |W|^2 / (2 C),    p(k | x) = exp(w_k . x + b_k) / sum_j exp(w_j . x + b_j)
//! ```
//!
//! over weights W and constants b, which are free: the objective of scikit-learn's `LogisticRegression(C)`, with one vector of
//! log-odds where there are two classes. The sum of exponentials runs over the row's candidates. Minima are found to a gradient
//! that is reported. A strength is chosen by the loss of rows left out, fold by fold; all folds go through the same products,
//! and each strength starts where the one before it ended.

use super::minimise::{Minimum, minimise};
use super::prepared::Prepared;
use super::softmax::{NONE, Problem, Rows, outputs, softmax};
use super::{Task, split};
use crate::measure::Matrix;
use crate::random;
use crate::{Error, Result};
use faer::Mat;

/// Columns of products of one batch of problems, at most, beyond one problem's own.
const COLUMNS: usize = 256;
/// Evaluations of one search, at most.
const PASSES: usize = 3000;
/// Gradients end below this, per row that is learnt from, when strengths are compared,
const ROUGH: f64 = 1e-4;
/// and below this when they were chosen.
const FINE: f64 = 1e-7;
/// Weaker penalties are not tried after as many that were worse than the best: they take longest.
const WORSE: usize = 2;

/// A fitted model, in the units of its matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// `[class]` vectors of one weight per unit; one vector, that of the second class, where there are two.
    pub weights: Vec<Vec<f64>>,
    /// As many constants; of more than two classes their mean is 0.
    pub constants: Vec<f64>,
    /// The objective there.
    pub objective: f64,
    /// Length of its gradient per row, in coordinates whose total variance is 1.
    pub gradient: f64,
}

/// What cross-validation says of each strength, and the model of the best.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// Mean loss in nats of rows left out, by strength.
    pub losses: Vec<f64>,
    /// The number of the strength with the least.
    pub best: usize,
    /// The model of all rows at that strength.
    pub fit: Fit,
}

/// The minimum of the objective at `c` on the rows `train` of `matrix`, to a gradient of 1e-11 per row or as near as rounding lets it.
///
/// # Errors
/// When a number is not finite, rows are missing or unanswered, or `c` is not positive.
///
/// ```
/// use snellen::measure::Matrix;
/// use snellen::readers::{Task, fit_logistic};
///
/// let matrix = Matrix::new(4, 1, vec![-2.0, -1.0, 1.0, 2.0])?;
/// let task = Task::new(2, vec![Some(0), Some(0), Some(1), Some(1)], vec![0, 1, 2, 3])?;
/// let fit = fit_logistic(&matrix, &task, &[0, 1, 2, 3], 1.0)?;
/// assert!(fit.weights[0][0] > 0.0 && fit.constants[0].abs() < 1e-6 && fit.gradient < 1e-7);
/// # Ok::<(), snellen::Error>(())
/// ```
pub fn fit_logistic(matrix: &Matrix, task: &Task, train: &[usize], c: f64) -> Result<Fit> {
    let prepared = Prepared::new("logistic regression", matrix)?;
    super::check(&prepared, task, train)?;
    let c = scaled(&prepared, &[c])?[0];
    let rows = Rows::new(prepared.with_constant(train), train, task, vec![0; train.len()]);
    let problem = Problem { held: NONE, c };
    let found = solve(&rows, &[problem], vec![vec![0.0; rows.size()]], 1e-11).0.remove(0);
    Ok(in_units(&prepared, &rows, &found))
}

/// The strength, of `strengths` (ascending, as scikit-learn's for the matrix as it was given), under which rows left out lose least,
/// and the model of all rows `train` at it. `folds` numbers the fold of each of these from 0; their losses are added up. Strengths are
/// compared at minima with a gradient below `tolerance` per row, in coordinates whose total variance is 1.
///
/// # Errors
/// As [`fit_logistic`], and when there is not a fold for each row or a fold has none.
pub fn validate_logistic(
    prepared: &Prepared<'_>,
    task: &Task,
    train: &[usize],
    folds: &[usize],
    strengths: &[f64],
    tolerance: f64,
) -> Result<Validated> {
    super::check(prepared, task, train)?;
    let strengths = scaled(prepared, strengths)?;
    let count = folds.iter().max().map_or(0, |last| last + 1);
    if folds.len() != train.len() || count < 2 || (0..count).any(|fold| !folds.contains(&fold)) {
        let expected = format!("2 folds or more, none empty, of {} rows", train.len());
        return Err(Error::mismatch("folds", expected, format!("{count} of {}", folds.len())));
    }
    let rows = Rows::new(prepared.with_constant(train), train, task, folds.to_vec());
    let chosen = choose(&rows, count, &strengths, tolerance, usize::MAX);
    let problem = Problem { held: NONE, c: strengths[chosen.best] };
    let found = solve(&rows, &[problem], vec![chosen.start], FINE).0.remove(0);
    Ok(Validated { losses: chosen.losses, best: chosen.best, fit: in_units(prepared, &rows, &found) })
}

/// Strengths of a matrix as strengths of its rows divided by their scale.
fn scaled(prepared: &Prepared<'_>, strengths: &[f64]) -> Result<Vec<f64>> {
    let positive = strengths.iter().all(|c| *c > 0.0 && c.is_finite());
    if strengths.is_empty() || !positive || strengths.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(Error::mismatch("logistic regression", "positive strengths, ascending", format!("{strengths:?}")));
    }
    Ok(strengths.iter().map(|c| c * prepared.scale().powi(2)).collect())
}

fn in_units(prepared: &Prepared<'_>, rows: &Rows<'_>, found: &Minimum) -> Fit {
    let (d, o) = (rows.x.ncols(), rows.outputs());
    let (weights, at_mean) = prepared.original(&Mat::from_fn(d - 1, o, |j, k| found.at[k * d + j]));
    let mut constants: Vec<f64> = (0..o).map(|k| found.at[k * d + d - 1] - at_mean[k]).collect();
    if o > 1 {
        let mean = constants.iter().sum::<f64>() / o as f64;
        constants.iter_mut().for_each(|constant| *constant -= mean);
    }
    Fit {
        weights: (0..o).map(|k| weights.col(k).iter().copied().collect()).collect(),
        constants,
        objective: found.value,
        gradient: found.gradient / rows.places.len() as f64,
    }
}

/// What cross-validation says of each strength.
struct Chosen {
    losses: Vec<f64>,
    best: usize,
    /// Where the full search starts: the mean of the folds' minima there.
    start: Vec<f64>,
}

/// The loss of rows left out at `strengths`, ascending, for the `folds` of `rows`, until `worse` in a row were worse than the best.
fn choose(rows: &Rows<'_>, folds: usize, strengths: &[f64], tolerance: f64, worse: usize) -> Chosen {
    let mut ends: Vec<Vec<f64>> = vec![vec![0.0; rows.size()]; folds];
    let mut best = (f64::INFINITY, 0, vec![0.0; rows.size()]);
    let mut losses = Vec::with_capacity(strengths.len());
    for (k, c) in strengths.iter().enumerate() {
        let problems: Vec<Problem> = (0..folds).map(|held| Problem { held, c: *c }).collect();
        let (found, held) = solve(rows, &problems, ends, tolerance);
        ends = found.into_iter().map(|found| found.at).collect();
        let loss = held.iter().sum::<f64>() / rows.places.len() as f64;
        losses.push(loss);
        if loss < best.0 {
            let mean = |j: usize| ends.iter().map(|end| end[j]).sum::<f64>() / folds as f64;
            best = (loss, k, (0..rows.size()).map(mean).collect());
        }
        if k - best.1 >= worse {
            break;
        }
    }
    Chosen { losses, best: best.1, start: best.2 }
}

/// Minima of `problems` and the sums of losses of the rows that each holds back.
fn solve(rows: &Rows<'_>, problems: &[Problem], starts: Vec<Vec<f64>>, tolerance: f64) -> (Vec<Minimum>, Vec<f64>) {
    let at_once = (COLUMNS / rows.outputs()).max(1);
    let (mut minima, mut losses) = (Vec::new(), vec![0.0; problems.len()]);
    let mut starts = starts.into_iter();
    for first in (0..problems.len()).step_by(at_once) {
        let batch = &problems[first..(first + at_once).min(problems.len())];
        let of_batch = starts.by_ref().take(batch.len()).collect();
        minima.extend(minimise(of_batch, tolerance * rows.places.len() as f64, PASSES, |active, points| {
            let active_problems: Vec<Problem> = active.iter().map(|k| batch[*k]).collect();
            let (found, held) = rows.evaluate(&active_problems, points);
            active.iter().zip(held).for_each(|(k, held)| losses[first + k] = held);
            found
        }));
    }
    (minima, losses)
}

/// Probabilities `[row asked, class]` of a model that learnt from `train` with the strength that folds choose; the strength, and
/// the gradient that was left.
pub(super) fn read(
    prepared: &Prepared<'_>,
    task: &Task,
    train: &[usize],
    asked: &[usize],
    (strengths, folds): (&[f64], usize),
    seed: u64,
) -> Result<super::Reading> {
    let fold = split::deal(task, train, folds, &mut random::stream(seed, "inner folds", 0))?;
    let (x, questions) = prepared.within(train, asked)?;
    let rows = Rows::new(x, train, task, fold);
    let chosen = choose(&rows, folds, strengths, ROUGH, WORSE);
    let c = strengths[chosen.best];
    let found = solve(&rows, &[Problem { held: NONE, c }], vec![chosen.start], FINE).0.remove(0);
    let (d, o) = (rows.x.ncols(), outputs(task));
    let mut probabilities = Vec::with_capacity(asked.len() * task.classes());
    for (i, row) in asked.iter().enumerate() {
        let output = |k: usize| {
            let at = &found.at[k * d..][..d];
            (0..d).map(|j| questions[(i, j)] * at[j]).sum::<f64>()
        };
        let mut z: Vec<f64> = if o == 1 { vec![0.0, output(0)] } else { (0..o).map(output).collect() };
        softmax(&mut z, task.allowed(*row), 0);
        probabilities.extend(z);
    }
    Ok(super::Reading { probabilities, strength: Some(c), gradient: Some(found.gradient / train.len() as f64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read in the span of few rows is the minimum over all components, which scikit-learn's answers hold.
    #[test]
    fn few_rows_of_many_units_are_read_as_all_components_are() -> Result<()> {
        let (rows, units, classes) = (60, 90, 3);
        let mut rng = random::stream(3, "rows", 0);
        let value = |at: usize, noise: f64| noise + f64::from(u8::from(at % units == at / units % classes)) * 3.0 + 1.0;
        let values = (0..rows * units).map(|at| value(at, random::normal(&mut rng)) as f32).collect();
        let matrix = Matrix::new(rows, units, values)?;
        let task = Task::new(classes, (0..rows).map(|i| Some(i % classes)).collect(), (0..rows as u64).collect())?;
        let (train, asked): (Vec<usize>, Vec<usize>) = ((0..30).collect(), (30..rows).collect());
        let prepared = Prepared::new("rows", &matrix)?;
        assert!(prepared.components() > train.len());
        let found = read(&prepared, &task, &train, &asked, (&[1.0], 5), 1)?;
        let fit = fit_logistic(&matrix, &task, &train, 1.0 / prepared.scale().powi(2))?;
        for (row, found) in asked.iter().zip(found.probabilities.chunks(classes)) {
            let output = |k: usize| {
                let products = fit.weights[k].iter().zip(matrix.row(*row)).map(|(w, x)| w * f64::from(*x));
                fit.constants[k] + products.sum::<f64>()
            };
            let mut expected: Vec<f64> = (0..classes).map(output).collect();
            softmax(&mut expected, &[], 0);
            let apart = expected.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < 1e-5, "row {row}: {expected:?}, {found:?}");
        }
        Ok(())
    }
}
