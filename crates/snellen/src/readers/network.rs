//! A network of one hidden layer, and one step of its training.
//!
//! ```text
//! z = W2 relu(W1 x + b1) + b2,    loss = mean over rows of -log softmax(z)_y
//! ```
//!
//! in f32, by AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101).

use crate::random;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::Rng;

/// Decay rates of AdamW's two means.
const BETAS: [f32; 2] = [0.9, 0.999];

/// Widths of the layers.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub inputs: usize,
    pub hidden: usize,
    pub outputs: usize,
}

/// Weights and what training remembers of them.
pub(super) struct Network {
    shape: Shape,
    /// W1 `[hidden, input]`, W2 `[output, hidden]` (both column after column), b1, b2.
    pub weights: Vec<f32>,
    means: [Vec<f32>; 2],
    steps: i32,
}

/// How a step is made.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub rate: f32,
    pub decay: f32,
}

/// What the layers hold for some rows.
#[derive(Default)]
pub(super) struct Layers {
    /// `[hidden, row]`, column after column.
    hidden: Vec<f32>,
    /// `[output, row]`: outputs, and after [`Network::step`]'s loss the derivatives by them.
    pub outputs: Vec<f32>,
    back: Vec<f32>,
    gradient: Vec<f32>,
}

impl Shape {
    fn parts(self) -> [usize; 4] {
        [self.hidden * self.inputs, self.outputs * self.hidden, self.hidden, self.outputs]
    }
}

impl Network {
    /// Random weights (He et al. 2015, arXiv 1502.01852), constants 0.
    pub fn new(shape: Shape, rng: &mut impl Rng) -> Self {
        let [first, second, ..] = shape.parts();
        let mut weights = vec![0.0; shape.parts().iter().sum()];
        let deviations = [(2.0 / shape.inputs.max(1) as f64).sqrt(), (1.0 / shape.hidden as f64).sqrt()];
        for (k, weight) in weights.iter_mut().take(first + second).enumerate() {
            *weight = (random::normal(rng) * deviations[usize::from(k >= first)]) as f32;
        }
        let means = [vec![0.0; weights.len()], vec![0.0; weights.len()]];
        Self { shape, weights, means, steps: 0 }
    }

    /// Outputs for `rows` columns of `x` `[input, row]`.
    pub fn forward(&self, x: &[f32], rows: usize, layers: &mut Layers) {
        let Shape { inputs, hidden, outputs } = self.shape;
        let [w1, w2, b1, b2] = self.split();
        layers.hidden.resize(hidden * rows, 0.0);
        layers.outputs.resize(outputs * rows, 0.0);
        multiply(&mut layers.hidden, (w1, hidden, inputs), (x, inputs, rows));
        for column in layers.hidden.chunks_mut(hidden) {
            column.iter_mut().zip(b1).for_each(|(value, bias)| *value = (*value + bias).max(0.0));
        }
        multiply(&mut layers.outputs, (w2, outputs, hidden), (&layers.hidden, hidden, rows));
        for column in layers.outputs.chunks_mut(outputs) {
            column.iter_mut().zip(b2).for_each(|(value, bias)| *value += bias);
        }
    }

    /// One step of AdamW on `rows` columns of `x`; `derive` turns the outputs into the derivatives of the loss by them.
    pub fn step(&mut self, x: &[f32], rows: usize, layers: &mut Layers, step: Step, derive: impl FnOnce(&mut [f32])) {
        let Shape { inputs, hidden, outputs } = self.shape;
        self.forward(x, rows, layers);
        derive(&mut layers.outputs);
        let [first, second, third, _] = self.shape.parts();
        layers.gradient.resize(self.weights.len(), 0.0);
        layers.back.resize(hidden * rows, 0.0);
        let (g1, rest) = layers.gradient.split_at_mut(first);
        let (g2, rest) = rest.split_at_mut(second);
        let (gb1, gb2) = rest.split_at_mut(third);
        let [_, w2, ..] = self.split();
        let outer = |out: &mut [f32], left: &[f32], right: &[f32], tall: usize, wide: usize| {
            let out = MatMut::from_column_major_slice_mut(out, tall, wide);
            let left = MatRef::from_column_major_slice(left, tall, rows);
            let right = MatRef::from_column_major_slice(right, wide, rows);
            matmul(out, Accum::Replace, left, right.transpose(), 1.0, Par::Seq);
        };
        outer(g2, &layers.outputs, &layers.hidden, outputs, hidden);
        let back = MatMut::from_column_major_slice_mut(&mut layers.back, hidden, rows);
        let w2 = MatRef::from_column_major_slice(w2, outputs, hidden);
        let derivatives = MatRef::from_column_major_slice(&layers.outputs, outputs, rows);
        matmul(back, Accum::Replace, w2.transpose(), derivatives, 1.0, Par::Seq);
        for (back, active) in layers.back.iter_mut().zip(&layers.hidden) {
            *back = if *active > 0.0 { *back } else { 0.0 };
        }
        outer(g1, &layers.back, x, hidden, inputs);
        sum_columns(gb1, &layers.back);
        sum_columns(gb2, &layers.outputs);
        self.update(&layers.gradient, step);
    }

    fn update(&mut self, gradient: &[f32], step: Step) {
        self.steps += 1;
        let [first, second, ..] = self.shape.parts();
        let [one, two] = BETAS.map(|beta| 1.0 - beta.powi(self.steps));
        let [mean, square] = &mut self.means;
        for (k, weight) in self.weights.iter_mut().enumerate() {
            mean[k] = BETAS[0] * mean[k] + (1.0 - BETAS[0]) * gradient[k];
            square[k] = BETAS[1] * square[k] + (1.0 - BETAS[1]) * gradient[k] * gradient[k];
            let decay = if k < first + second { step.decay * *weight } else { 0.0 };
            *weight -= step.rate * (mean[k] / one / ((square[k] / two).sqrt() + 1e-8) + decay);
        }
    }

    fn split(&self) -> [&[f32]; 4] {
        let [first, second, third, _] = self.shape.parts();
        let (w1, rest) = self.weights.split_at(first);
        let (w2, rest) = rest.split_at(second);
        let (b1, b2) = rest.split_at(third);
        [w1, w2, b1, b2]
    }
}

fn multiply(out: &mut [f32], (a, tall, inner): (&[f32], usize, usize), (b, _, wide): (&[f32], usize, usize)) {
    let out = MatMut::from_column_major_slice_mut(out, tall, wide);
    let a = MatRef::from_column_major_slice(a, tall, inner);
    let b = MatRef::from_column_major_slice(b, inner, wide);
    matmul(out, Accum::Replace, a, b, 1.0, Par::Seq);
}

fn sum_columns(out: &mut [f32], columns: &[f32]) {
    out.fill(0.0);
    for column in columns.chunks(out.len()) {
        out.iter_mut().zip(column).for_each(|(sum, value)| *sum += value);
    }
}
