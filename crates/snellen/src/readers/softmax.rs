//! The loss of a linear softmax and what its minimum needs of it, for several problems on the same rows at once.
//!
//! A problem is a set of weights `[component + 1, output]` (the last row is the constant), a fold that it does not learn from, and
//! a strength. Of two classes there is one output, the log-odds of the second; else one for each class. Outputs of classes that do
//! not come into question for a row count as minus infinity.

use super::Task;
use super::minimise::Evaluation;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

/// A fold of no row.
pub(super) const NONE: usize = usize::MAX;

/// The rows that problems share.
pub(super) struct Rows<'a> {
    /// `[row, component + 1]`, the last column ones.
    pub x: Mat<f64>,
    /// Which rows of the task these are.
    pub rows: &'a [usize],
    /// The task.
    pub task: &'a Task,
    /// The fold of each.
    pub folds: Vec<usize>,
    /// Mean square of each column.
    pub squares: Vec<f64>,
}

/// One problem.
#[derive(Clone, Copy)]
pub(super) struct Problem {
    /// The fold that is held back; [`NONE`] holds back nothing.
    pub held: usize,
    /// Inverse of the penalty: the sum of losses gains |W|^2 / (2 C), constants left out.
    pub c: f64,
}

/// What one problem makes of the rows.
struct Pass {
    loss: f64,
    /// Loss of the rows that are held back.
    held: f64,
    /// Sum of p (1 - p) of the rows that are learnt from, by output.
    variance: Vec<f64>,
}

impl<'a> Rows<'a> {
    pub fn new(x: Mat<f64>, rows: &'a [usize], task: &'a Task, folds: Vec<usize>) -> Self {
        let n = x.nrows().max(1) as f64;
        let squares = (0..x.ncols()).map(|j| x.col(j).iter().map(|v| v * v).sum::<f64>() / n).collect();
        Self { x, rows, task, folds, squares }
    }

    /// Outputs of a problem.
    pub fn outputs(&self) -> usize {
        outputs(self.task)
    }

    /// Numbers that a problem has.
    pub fn size(&self) -> usize {
        self.x.ncols() * self.outputs()
    }

    /// All problems at their points: value, gradient, curvature, and the loss of the rows held back (sum, in nats).
    pub fn evaluate(&self, problems: &[Problem], points: &[Vec<f64>]) -> (Vec<Evaluation>, Vec<f64>) {
        let (n, d, o) = (self.x.nrows(), self.x.ncols(), self.outputs());
        let columns = o * problems.len();
        let weights: Vec<f64> = points.iter().flatten().copied().collect();
        let mut z = vec![0.0; n * columns];
        let weights = MatRef::from_column_major_slice(&weights, d, columns);
        let out = faer::MatMut::from_column_major_slice_mut(&mut z, n, columns);
        matmul(out, Accum::Replace, self.x.as_ref(), weights, 1.0, Par::Seq);
        let passes: Vec<Pass> =
            problems.iter().zip(z.chunks_mut((n * o).max(1))).map(|(problem, z)| self.residuals(*problem, z)).collect();
        let mut gradients = vec![0.0; d * columns];
        let out = faer::MatMut::from_column_major_slice_mut(&mut gradients, d, columns);
        let residuals = MatRef::from_column_major_slice(&z, n, columns);
        matmul(out, Accum::Replace, self.x.transpose(), residuals, 1.0, Par::Seq);
        let held = passes.iter().map(|pass| pass.held).collect();
        let finish = |(k, pass): (usize, Pass)| {
            let mut gradient = gradients[k * d * o..][..d * o].to_vec();
            let (point, penalty) = (&points[k], 1.0 / problems[k].c);
            let (mut value, mut curvature) = (pass.loss, vec![0.0; d * o]);
            for j in 0..d * o {
                let free = j % d == d - 1;
                let stiff = if free { 0.0 } else { penalty };
                value += 0.5 * stiff * point[j] * point[j];
                gradient[j] += stiff * point[j];
                curvature[j] = pass.variance[j / d] * self.squares[j % d] + stiff.max(1e-9);
            }
            Evaluation { value, gradient, curvature }
        };
        (passes.into_iter().enumerate().map(finish).collect(), held)
    }

    /// Turns outputs `[row, output]` into the derivatives of the loss by them.
    fn residuals(&self, problem: Problem, z: &mut [f64]) -> Pass {
        if self.outputs() == 1 { self.two_classes(problem, z) } else { self.many_classes(problem, z) }
    }

    fn two_classes(&self, problem: Problem, z: &mut [f64]) -> Pass {
        let mut pass = Pass { loss: 0.0, held: 0.0, variance: vec![0.0] };
        for ((z, row), fold) in z.iter_mut().zip(self.rows).zip(&self.folds) {
            let second = self.task.label(*row) == 1;
            let small = (-z.abs()).exp();
            let against = if second { -*z } else { *z };
            let loss = against.max(0.0) + small.ln_1p();
            if *fold == problem.held {
                pass.held += loss;
                *z = 0.0;
            } else {
                let p = if *z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
                pass.loss += loss;
                pass.variance[0] += small / ((1.0 + small) * (1.0 + small));
                *z = p - f64::from(u8::from(second));
            }
        }
        pass
    }

    fn many_classes(&self, problem: Problem, z: &mut [f64]) -> Pass {
        let (n, o) = (self.rows.len(), self.outputs());
        let mut pass = Pass { loss: 0.0, held: 0.0, variance: vec![0.0; o] };
        let mut p = vec![0.0; o];
        for (i, (row, fold)) in self.rows.iter().zip(&self.folds).enumerate() {
            (0..o).for_each(|k| p[k] = z[k * n + i]);
            let label = self.task.label(*row);
            let loss = softmax(&mut p, self.task.allowed(*row), label);
            if *fold == problem.held {
                pass.held += loss;
                (0..o).for_each(|k| z[k * n + i] = 0.0);
                continue;
            }
            pass.loss += loss;
            for k in 0..o {
                pass.variance[k] += p[k] * (1.0 - p[k]);
                z[k * n + i] = p[k] - f64::from(u8::from(k == label));
            }
        }
        pass
    }
}

/// Outputs of a linear softmax for `task`.
pub(super) fn outputs(task: &Task) -> usize {
    if task.classes() == 2 { 1 } else { task.classes() }
}

/// Replaces outputs by probabilities among the classes `allowed` (all where empty); minus the log of that of `label`.
pub(super) fn softmax(z: &mut [f64], allowed: &[bool], label: usize) -> f64 {
    if !allowed.is_empty() {
        z.iter_mut().zip(allowed).filter(|(_, allowed)| !**allowed).for_each(|(z, _)| *z = f64::NEG_INFINITY);
    }
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let right = z[label] - largest;
    let mut sum = 0.0;
    for z in z.iter_mut() {
        *z = (*z - largest).exp();
        sum += *z;
    }
    z.iter_mut().for_each(|z| *z /= sum);
    sum.ln() - right
}
