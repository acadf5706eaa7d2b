//! A small network as the non-linear reader: what is in the rows at all, if enough of them are seen.
//!
//! One hidden layer, minibatches, AdamW. A fifth of the training rows (clusters whole) says when to stop: the weights of least loss
//! there are kept. Several networks, each with its own first weights, order and fifth, and their probabilities averaged, vary
//! less than one (Lakshminarayanan et al. 2017, arXiv 1612.01474).

use super::network::{Layers, Network, Shape, Step};
use super::prepared::Prepared;
use super::{Task, split};
use crate::Result;
use crate::random;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// The fifth that says when to stop.
const PARTS: usize = 5;

/// How the network is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mlp {
    /// Hidden units.
    pub hidden: usize,
    /// Networks whose probabilities are averaged.
    pub members: usize,
    /// Passes over the training rows, at most.
    pub epochs: usize,
    /// Passes without a smaller loss after which training ends.
    pub patience: usize,
    /// Rows of a step.
    pub batch: usize,
    /// AdamW's step size.
    pub rate: f32,
    /// AdamW's weight decay.
    pub decay: f32,
    /// Components are divided by this power of their deviation: 0 leaves their scale, 1 whitens.
    pub whitening: f64,
}

impl Mlp {
    /// The exam's network.
    pub fn standard() -> Self {
        Self { hidden: 128, members: 3, epochs: 200, patience: 20, batch: 64, rate: 5e-3, decay: 3.0, whitening: 0.5 }
    }
}

/// Rows as networks see them.
struct Inputs {
    /// `[component, row]`, column after column.
    x: Vec<f32>,
    width: usize,
}

impl Inputs {
    fn new(prepared: &Prepared<'_>, rows: &[usize], whitening: f64) -> Self {
        let coordinates = prepared.coordinates();
        let (n, width) = (coordinates.nrows(), coordinates.ncols());
        let deviation = |j: usize| (coordinates.col(j).iter().map(|v| v * v).sum::<f64>() / n as f64).sqrt();
        let kept: Vec<f64> = (0..width).map(|j| deviation(j).max(1e-6).powf(-whitening)).collect();
        let total: f64 = kept.iter().enumerate().map(|(j, by)| (by * deviation(j)).powi(2)).sum();
        let unit = if total > 0.0 { (width as f64 / total).sqrt() } else { 1.0 };
        let value = |row: &usize| -> Vec<f32> {
            kept.iter().enumerate().map(|(j, by)| (coordinates[(*row, j)] * by * unit) as f32).collect()
        };
        Self { x: rows.iter().flat_map(value).collect(), width }
    }

    fn column(&self, k: usize) -> &[f32] {
        &self.x[k * self.width..][..self.width]
    }
}

/// Probabilities `[row asked, class]` by networks trained on `train`.
pub(super) fn read(
    prepared: &Prepared<'_>,
    task: &Task,
    train: &[usize],
    asked: &[usize],
    mlp: &Mlp,
    seed: u64,
) -> Result<super::Reading> {
    let inputs = Inputs::new(prepared, train, mlp.whitening);
    let questions = Inputs::new(prepared, asked, mlp.whitening);
    let mut probabilities = vec![0.0; asked.len() * task.classes()];
    for member in 0..mlp.members as u64 {
        let network = fit(&inputs, task, train, mlp, random::seed(seed, "network", member))?;
        let mut layers = Layers::default();
        network.forward(&questions.x, asked.len(), &mut layers);
        for (i, row) in asked.iter().enumerate() {
            let mut z: Vec<f64> =
                layers.outputs[i * task.classes()..][..task.classes()].iter().map(|z| f64::from(*z)).collect();
            super::softmax::softmax(&mut z, task.allowed(*row), 0);
            let into = &mut probabilities[i * task.classes()..][..task.classes()];
            into.iter_mut().zip(z).for_each(|(sum, p)| *sum += p / mlp.members as f64);
        }
    }
    Ok(super::Reading { probabilities, strength: None, gradient: None })
}

fn fit(inputs: &Inputs, task: &Task, train: &[usize], mlp: &Mlp, seed: u64) -> Result<Network> {
    let rng = &mut random::stream(seed, "training", 0);
    let fold = split::deal(task, train, PARTS, rng)?;
    let part = |last: bool| -> Vec<usize> { (0..train.len()).filter(|k| (fold[*k] == 0) == last).collect() };
    let (mut learnt, kept) = (part(false), part(true));
    let gather = |from: &[usize]| -> Vec<f32> { from.iter().flat_map(|k| inputs.column(*k)).copied().collect() };
    let held = gather(&kept);
    let shape = Shape { inputs: inputs.width, hidden: mlp.hidden, outputs: task.classes() };
    let mut network = Network::new(shape, rng);
    let mut layers = Layers::default();
    let mut best = (f64::INFINITY, network.weights.clone(), 0);
    for epoch in 0..mlp.epochs {
        learnt.shuffle(rng);
        for batch in learnt.chunks(mlp.batch) {
            let x = gather(batch);
            let step = Step { rate: mlp.rate, decay: mlp.decay };
            network.step(&x, batch.len(), &mut layers, step, |z| _ = losses(task, train, batch, z));
        }
        network.forward(&held, kept.len(), &mut layers);
        let loss = losses(task, train, &kept, &mut layers.outputs);
        if loss < best.0 {
            best = (loss, network.weights.clone(), epoch);
        } else if epoch - best.2 >= mlp.patience {
            break;
        }
    }
    network.weights = best.1;
    Ok(network)
}

/// Turns outputs `[class, row]` into derivatives of their mean loss, and gives that.
fn losses(task: &Task, train: &[usize], batch: &[usize], z: &mut [f32]) -> f64 {
    let share = 1.0 / batch.len() as f32;
    let mut sum = 0.0;
    let mut p = vec![0.0; task.classes()];
    for (k, z) in batch.iter().zip(z.chunks_mut(task.classes())) {
        let (row, label) = (train[*k], task.label(train[*k]));
        p.iter_mut().zip(&*z).for_each(|(p, z)| *p = f64::from(*z));
        sum += super::softmax::softmax(&mut p, task.allowed(row), label);
        for (class, (z, p)) in z.iter_mut().zip(&p).enumerate() {
            *z = (*p as f32 - f32::from(u8::from(class == label))) * share;
        }
    }
    sum / batch.len().max(1) as f64
}
