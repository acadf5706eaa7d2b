//! The loss of a linear softmax and what its minimum needs of it, for several problems on the same rows at once.
//!
//! A problem is a set of weights `[component + 1, output]` (the last row is the constant), a fold that it does not learn from, and
//! a strength. Of two classes there is one output, the log-odds of the second; else one for each class. Outputs of classes that do
//! not come into question for a row count as minus infinity.

use super::Task;
use super::minimise::Evaluation;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

/// Rows that are worked on at once.
const LANES: usize = 8;
/// Sums of exponentials that are multiplied before a logarithm is taken: of up to 10^7 classes they stay finite.
const FACTORS: usize = 40;

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
    labels: Vec<usize>,
    /// Minus infinity where a class does not come into question, `[row, class]`, column after column.
    blocked: Option<Vec<f64>>,
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
        let labels = rows.iter().map(|row| task.label(*row)).collect();
        let blocked = |class: usize, row: usize| {
            let allowed = task.allowed(row);
            if allowed.is_empty() || allowed[class] { 0.0 } else { f64::NEG_INFINITY }
        };
        let limited = outputs(task) > 1 && rows.iter().any(|row| task.choices(*row) < task.classes());
        let blocked =
            limited.then(|| (0..task.classes()).flat_map(|k| rows.iter().map(move |row| blocked(k, *row))).collect());
        Self { x, rows, task, folds, squares, labels, blocked }
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

    /// Turns outputs `[row, output]` into the derivatives of the loss by them, eight rows at a time.
    fn residuals(&self, problem: Problem, z: &mut [f64]) -> Pass {
        let (n, o) = (self.rows.len(), self.outputs());
        let mut sums = Sums::new(o);
        let mut p = vec![[0.0; LANES]; o];
        for first in (0..n).step_by(LANES) {
            let many = LANES.min(n - first);
            let (mut learnt, mut labels) = ([0.0; LANES], [0; LANES]);
            for l in 0..many {
                learnt[l] = f64::from(u8::from(self.folds[first + l] != problem.held));
                labels[l] = self.labels[first + l];
            }
            for (k, p) in p.iter_mut().enumerate() {
                p[..many].copy_from_slice(&z[k * n + first..][..many]);
                if let Some(blocked) = &self.blocked {
                    p[..many].iter_mut().zip(&blocked[k * n + first..]).for_each(|(p, blocked)| *p += blocked);
                }
            }
            let block = Block { many, learnt, labels };
            if o == 1 {
                sums.two_classes(&mut p[0], &block)
            } else {
                sums.many_classes(&mut p, &block)
            }
            for (k, p) in p.iter().enumerate() {
                z[k * n + first..][..many].copy_from_slice(&p[..many]);
            }
        }
        sums.finish()
    }
}

/// Eight rows or fewer.
struct Block {
    many: usize,
    /// 1 for rows that are learnt from, 0 for those held back.
    learnt: [f64; LANES],
    labels: [usize; LANES],
}

/// Sums over blocks, lane by lane. Logarithms of sums of exponentials are taken of products of several.
struct Sums {
    pass: Pass,
    variance: Vec<[f64; LANES]>,
    /// Products of learnt rows and of rows held back.
    products: [[f64; LANES]; 2],
    factors: usize,
}

impl Sums {
    fn new(outputs: usize) -> Self {
        let pass = Pass { loss: 0.0, held: 0.0, variance: Vec::new() };
        Self { pass, variance: vec![[0.0; LANES]; outputs], products: [[1.0; LANES]; 2], factors: 0 }
    }

    fn two_classes(&mut self, z: &mut [f64; LANES], block: &Block) {
        let (mut falls, mut against) = ([0.0; LANES], [0.0; LANES]);
        for l in 0..LANES {
            falls[l] = exponential(-z[l].abs());
        }
        for l in 0..block.many {
            against[l] = if block.labels[l] == 1 { -z[l] } else { z[l] };
            against[l] = against[l].max(0.0);
        }
        for l in 0..LANES {
            let (small, learnt) = (falls[l], block.learnt[l]);
            let share = 1.0 / (1.0 + small);
            let p = if z[l] >= 0.0 { share } else { small * share };
            self.variance[0][l] += learnt * small * share * share;
            z[l] = learnt * (p - f64::from(u8::from(block.labels[l] == 1)));
        }
        self.count(&falls.map(|small| 1.0 + small), &against, block);
    }

    fn many_classes(&mut self, z: &mut [[f64; LANES]], block: &Block) {
        let mut largest = [f64::NEG_INFINITY; LANES];
        for z in z.iter() {
            (0..LANES).for_each(|l| largest[l] = if z[l] > largest[l] { z[l] } else { largest[l] });
        }
        let (mut against, mut sums) = ([0.0; LANES], [0.0; LANES]);
        for l in 0..block.many {
            against[l] = largest[l] - z[block.labels[l]][l];
        }
        for z in z.iter_mut() {
            for l in 0..LANES {
                z[l] = exponential(z[l] - largest[l]);
                sums[l] += z[l];
            }
        }
        let shares = sums.map(|sum| 1.0 / sum);
        for (z, variance) in z.iter_mut().zip(&mut self.variance) {
            for l in 0..LANES {
                let p = z[l] * shares[l];
                variance[l] += block.learnt[l] * p * (1.0 - p);
                z[l] = block.learnt[l] * p;
            }
        }
        for l in 0..block.many {
            z[block.labels[l]][l] -= block.learnt[l];
        }
        self.count(&sums, &against, block);
    }

    /// Losses ln `sums` + `against`.
    fn count(&mut self, sums: &[f64; LANES], against: &[f64; LANES], block: &Block) {
        for l in 0..block.many {
            let (to, loss) = if block.learnt[l] > 0.0 { (0, &mut self.pass.loss) } else { (1, &mut self.pass.held) };
            self.products[to][l] *= sums[l];
            *loss += against[l];
        }
        self.factors += 1;
        if self.factors == FACTORS {
            self.take();
        }
    }

    fn take(&mut self) {
        let [learnt, held] = self.products.map(|products| products.iter().map(|product| product.ln()).sum::<f64>());
        (self.pass.loss, self.pass.held) = (self.pass.loss + learnt, self.pass.held + held);
        (self.products, self.factors) = ([[1.0; LANES]; 2], 0);
    }

    fn finish(mut self) -> Pass {
        self.take();
        Pass { variance: self.variance.iter().map(|lanes| lanes.iter().sum()).collect(), ..self.pass }
    }
}

/// e^x of x from -708 to 0, to the last bits or so; e^-708 below. Without a call, so that loops over it become vector code.
pub(super) fn exponential(x: f64) -> f64 {
    /// 1.5 2^52: added to a number, its last bits are the nearest integer.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    const TERMS: [f64; 12] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
    ];
    let x = if x > -708.0 { x } else { -708.0 };
    let shifted = x * std::f64::consts::LOG2_E + SHIFT;
    let whole = shifted - SHIFT;
    let rest = x - whole * LN_2[0] - whole * LN_2[1];
    let mut sum = 1.0 / 6_227_020_800.0;
    for term in TERMS {
        sum = sum * rest + term;
    }
    (sum * rest + 1.0) * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52))
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
