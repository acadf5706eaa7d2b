//! Ridge regression of every class's indicator on the rows (Hoerl & Kennard 1970), in closed form: the cheapest linear reader.
//!
//! Targets are 1 for the right class, less 1 / c for each of the row's c candidates. The penalty is chosen by the squared error of
//! clusters left out, which is exact: e_C = (I - H_CC)^-1 r_C for the rows C of a cluster, H the hat matrix (for one row
//! the e / (1 - h) of Allen 1974). Scores become probabilities through one factor, fitted to the scores of rows left out.

use super::Task;
use super::prepared::{Prepared, product};
use super::softmax::softmax;
use crate::measure::Matrix;
use crate::{Error, Result};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use std::collections::BTreeMap;

/// Eigenvalues below this share of the largest are taken for 0.
const RANK: f64 = 1e-12;

/// Ridge regression on some rows, for every penalty at once.
pub(super) struct Ridge {
    /// Mean of each component over the rows.
    means: Vec<f64>,
    /// `[row, k]`, orthonormal: the rows' principal directions.
    u: Mat<f64>,
    /// Its squares.
    squares: Mat<f64>,
    /// Their eigenvalues.
    values: Vec<f64>,
    /// `X^T U`, `[component, k]`.
    across: Mat<f64>,
    /// Means of the targets.
    centre: Vec<f64>,
    /// `U^T Y`, `[k, target]`.
    along: Mat<f64>,
    /// Targets, centred.
    targets: Mat<f64>,
}

impl Ridge {
    /// Of the rows `x` and their `targets`.
    pub fn new(x: &Mat<f64>, targets: &Mat<f64>) -> Result<Self> {
        let (n, d) = (x.nrows(), x.ncols());
        let mean = |of: &Mat<f64>, j: usize| of.col(j).iter().sum::<f64>() / n as f64;
        let means: Vec<f64> = (0..d).map(|j| mean(x, j)).collect();
        let centre: Vec<f64> = (0..targets.ncols()).map(|t| mean(targets, t)).collect();
        let x = Mat::from_fn(n, d, |i, j| x[(i, j)] - means[j]);
        let targets = Mat::from_fn(n, targets.ncols(), |i, t| targets[(i, t)] - centre[t]);
        let wide = d > n;
        let gram = if wide { product(x.as_ref(), x.transpose()) } else { product(x.transpose(), x.as_ref()) };
        let failed = |_| Error::mismatch("ridge regression", "inner products that can be decomposed", "others");
        let eigen = gram.self_adjoint_eigen(Side::Lower).map_err(failed)?;
        let (vectors, all) = (eigen.U(), eigen.S().column_vector());
        let largest = (0..gram.nrows()).map(|k| all[k]).fold(0.0, f64::max);
        let used: Vec<usize> = (0..gram.nrows()).filter(|k| all[*k] > RANK * largest && all[*k] > 0.0).collect();
        let values: Vec<f64> = used.iter().map(|k| all[*k]).collect();
        let picked = Mat::from_fn(gram.nrows(), used.len(), |i, k| vectors[(i, used[k])]);
        let (u, across) = if wide {
            let across = product(x.transpose(), picked.as_ref());
            (picked, across)
        } else {
            let scaled = Mat::from_fn(d, used.len(), |j, k| picked[(j, k)] / values[k].sqrt());
            let across = Mat::from_fn(d, used.len(), |j, k| picked[(j, k)] * values[k].sqrt());
            (product(x.as_ref(), scaled.as_ref()), across)
        };
        let along = product(u.transpose(), targets.as_ref());
        let squares = Mat::from_fn(u.nrows(), u.ncols(), |i, k| u[(i, k)] * u[(i, k)]);
        Ok(Self { means, u, squares, values, across, centre, along, targets })
    }

    /// The mean eigenvalue, the unit of penalties.
    pub fn unit(&self) -> f64 {
        if self.values.is_empty() { 1.0 } else { self.values.iter().sum::<f64>() / self.values.len() as f64 }
    }

    /// Predictions `[row, target]` for each row by a fit that left out its cluster.
    pub fn left_out(&self, penalty: f64, clusters: &[Vec<usize>]) -> Mat<f64> {
        let (n, targets) = (self.u.nrows(), self.targets.ncols());
        let kept: Vec<f64> = self.values.iter().map(|value| value / (value + penalty)).collect();
        let scaled = Mat::from_fn(kept.len(), targets, |k, t| kept[k] * self.along[(k, t)]);
        let fitted = product(self.u.as_ref(), scaled.as_ref());
        let kept_column = Mat::from_fn(kept.len(), 1, |k, _| kept[k]);
        let leverage = product(self.squares.as_ref(), kept_column.as_ref());
        let mut out = Mat::zeros(n, targets);
        for cluster in clusters {
            let hat = |i: usize, j: usize| {
                kept.iter().enumerate().map(|(k, kept)| kept * self.u[(i, k)] * self.u[(j, k)]).sum::<f64>()
                    + 1.0 / n as f64
            };
            let rest = |i: usize, t: usize| self.targets[(i, t)] - fitted[(i, t)];
            let errors = if let [i] = cluster[..] {
                let slack = (1.0 - leverage[(i, 0)] - 1.0 / n as f64).max(1e-13);
                Mat::from_fn(1, targets, |_, t| rest(i, t) / slack)
            } else {
                let size = cluster.len();
                let system = Mat::from_fn(size, size, |a, b| {
                    f64::from(u8::from(a == b)) * (1.0 + 1e-13) - hat(cluster[a], cluster[b])
                });
                system.partial_piv_lu().solve(Mat::from_fn(size, targets, |a, t| rest(cluster[a], t)))
            };
            for (a, i) in cluster.iter().enumerate() {
                (0..targets).for_each(|t| out[(*i, t)] = self.targets[(*i, t)] + self.centre[t] - errors[(a, t)]);
            }
        }
        out
    }

    /// Means of the targets.
    pub fn centre(&self) -> &[f64] {
        &self.centre
    }

    /// The squared error of [`left_out`](Self::left_out).
    pub fn error(&self, left_out: &Mat<f64>) -> f64 {
        let of = |i: usize, t: usize| (left_out[(i, t)] - self.targets[(i, t)] - self.centre[t]).powi(2);
        (0..left_out.nrows()).map(|i| (0..left_out.ncols()).map(|t| of(i, t)).sum::<f64>()).sum()
    }

    /// Weights `[component, target]`.
    pub fn weights(&self, penalty: f64) -> Mat<f64> {
        let scaled =
            Mat::from_fn(self.values.len(), self.along.ncols(), |k, t| self.along[(k, t)] / (self.values[k] + penalty));
        product(self.across.as_ref(), scaled.as_ref())
    }

    /// The penalty, of `shares` of the [`unit`](Self::unit), with the least error of clusters left out: its share, itself, and the
    /// predictions of those clusters.
    pub fn chosen(&self, shares: &[f64], clusters: &[Vec<usize>]) -> (f64, f64, Mat<f64>) {
        let mut best = (f64::INFINITY, (0.0, 0.0, Mat::zeros(0, 0)));
        for share in shares {
            let penalty = share * self.unit();
            let left_out = self.left_out(penalty, clusters);
            let error = self.error(&left_out);
            if error < best.0 || best.0.is_infinite() {
                best = (error, (*share, penalty, left_out));
            }
        }
        best.1
    }

    /// Predictions `[row, target]` for the rows `x`.
    pub fn predict(&self, x: &Mat<f64>, penalty: f64) -> Mat<f64> {
        let weights = self.weights(penalty);
        let centred = Mat::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] - self.means[j]);
        let mut out = product(centred.as_ref(), weights.as_ref());
        for t in 0..out.ncols() {
            (0..out.nrows()).for_each(|i| out[(i, t)] += self.centre[t]);
        }
        out
    }
}

/// A fitted ridge regression, in the units of its matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct RidgeFit {
    /// `[target]` vectors of one weight per unit.
    pub weights: Vec<Vec<f64>>,
    /// As many constants.
    pub constants: Vec<f64>,
    /// Mean squared error over rows and targets of clusters left out, by penalty.
    pub errors: Vec<f64>,
    /// The number of the penalty with the least.
    pub best: usize,
}

/// Ridge regression of `targets` `[row, target]` on `matrix`, constants free, at the one of `penalties` (added to the scatter of the
/// centred rows) under which clusters left out are foretold best.
///
/// # Errors
/// When rows disagree, a number is not finite, or a penalty is not positive.
///
/// ```
/// use snellen::measure::Matrix;
/// use snellen::readers::fit_ridge;
///
/// let x = Matrix::new(4, 1, vec![0.0, 1.0, 2.0, 3.0])?;
/// let y = Matrix::new(4, 1, vec![1.0, 3.0, 5.0, 7.0])?;
/// let fit = fit_ridge(&x, &y, &[0, 1, 2, 3], &[1e-9, 1.0])?;
/// assert!(fit.best == 0 && (fit.weights[0][0] - 2.0).abs() < 1e-6 && (fit.constants[0] - 1.0).abs() < 1e-6);
/// # Ok::<(), snellen::Error>(())
/// ```
pub fn fit_ridge(matrix: &Matrix, targets: &Matrix, of_clusters: &[u64], penalties: &[f64]) -> Result<RidgeFit> {
    let rows = matrix.images();
    if targets.images() != rows || of_clusters.len() != rows || rows == 0 {
        let got = format!("{} and {}", targets.images(), of_clusters.len());
        return Err(Error::mismatch("ridge regression", format!("targets and clusters of {rows} rows, not 0"), got));
    }
    if penalties.is_empty() || !penalties.iter().all(|penalty| *penalty > 0.0 && penalty.is_finite()) {
        return Err(Error::mismatch("ridge regression", "positive penalties", format!("{penalties:?}")));
    }
    if let Some(value) = matrix.values().iter().chain(targets.values()).find(|value| !value.is_finite()) {
        return Err(Error::mismatch("ridge regression", "finite numbers", value));
    }
    let dense = |m: &Matrix| Mat::from_fn(rows, m.units(), |i, j| f64::from(m.row(i)[j]));
    let ridge = Ridge::new(&dense(matrix), &dense(targets))?;
    let clusters = clusters(of_clusters, &(0..rows).collect::<Vec<_>>());
    let count = (rows * targets.units()).max(1) as f64;
    let errors: Vec<f64> =
        penalties.iter().map(|penalty| ridge.error(&ridge.left_out(*penalty, &clusters)) / count).collect();
    let best = (0..errors.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).unwrap_or_default();
    let weights = ridge.weights(penalties[best]);
    let constant = |t: usize| {
        ridge.centre[t] - ridge.means.iter().enumerate().map(|(j, mean)| mean * weights[(j, t)]).sum::<f64>()
    };
    Ok(RidgeFit {
        constants: (0..targets.units()).map(constant).collect(),
        weights: (0..targets.units()).map(|t| weights.col(t).iter().copied().collect()).collect(),
        errors,
        best,
    })
}

/// Numbers of the rows of each cluster, by place in `rows`.
pub(super) fn clusters(clusters: &[u64], rows: &[usize]) -> Vec<Vec<usize>> {
    let mut found: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    rows.iter().enumerate().for_each(|(place, row)| found.entry(clusters[*row]).or_default().push(place));
    found.into_values().collect()
}

/// Probabilities `[row asked, class]` by ridge regression on `train`.
pub(super) fn read(
    prepared: &Prepared<'_>,
    task: &Task,
    train: &[usize],
    asked: &[usize],
    shares: &[f64],
) -> Result<super::Reading> {
    let pick = |rows: &[usize]| {
        let coordinates = prepared.coordinates();
        Mat::from_fn(rows.len(), coordinates.ncols(), |i, j| coordinates[(rows[i], j)])
    };
    let target = |i: usize, k: usize| {
        let (row, allowed) = (train[i], task.allowed(train[i]));
        let share = if allowed.is_empty() || allowed[k] { 1.0 / task.choices(row) as f64 } else { 0.0 };
        f64::from(u8::from(task.label(row) == k)) - share
    };
    let targets = Mat::from_fn(train.len(), task.classes(), target);
    let ridge = Ridge::new(&pick(train), &targets)?;
    let (share, penalty, left_out) = ridge.chosen(shares, &clusters(task.clusters(), train));
    let sharpness = sharpness(task, train, &left_out);
    let scores = ridge.predict(&pick(asked), penalty);
    let mut probabilities = Vec::with_capacity(asked.len() * task.classes());
    for (i, row) in asked.iter().enumerate() {
        let mut z: Vec<f64> = (0..task.classes()).map(|k| sharpness * scores[(i, k)]).collect();
        softmax(&mut z, task.allowed(*row), 0);
        probabilities.extend(z);
    }
    Ok(super::Reading { probabilities, strength: Some(share), gradient: None })
}

/// The factor, from 0 on, under which a softmax of the scores of rows left out gives their answers the most probability. Its
/// logarithm's derivative is monotonous, so bisection finds it.
fn sharpness(task: &Task, rows: &[usize], scores: &Mat<f64>) -> f64 {
    let slope = |factor: f64| -> f64 {
        let of = |(i, row): (usize, &usize)| {
            let mut p: Vec<f64> = (0..task.classes()).map(|k| factor * scores[(i, k)]).collect();
            softmax(&mut p, task.allowed(*row), 0);
            let mean: f64 = p.iter().enumerate().map(|(k, p)| if *p > 0.0 { p * scores[(i, k)] } else { 0.0 }).sum();
            mean - scores[(i, task.label(*row))]
        };
        rows.iter().enumerate().map(of).sum()
    };
    let [mut low, mut high] = [1e-6, 1e4];
    if slope(low) >= 0.0 {
        return low;
    }
    for _ in 0..40 {
        let middle = f64::sqrt(low * high);
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    f64::sqrt(low * high)
}
