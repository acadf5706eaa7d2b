//! Random weights, fast.

use crate::engine::{Precision, Real, Tensor};
use crate::model::checkpoint::Parameters;
use crate::model::initial::{Start, start};
use crate::model::{ModelConfig, Towers};
use crate::{Result, random};
use rand::Rng;
use rayon::prelude::*;

/// Values that one stream of the seed gives: pieces are drawn in parallel.
const PIECE: usize = 1 << 16;

/// Fresh weights of a model of this shape.
struct Random<'a> {
    config: &'a ModelConfig,
    seed: u64,
}

/// The towers of a model of this shape, with random weights, packed for `precision`.
///
/// They are as spread as those that the lab begins with, so that activations stay in the range of a trained model's, but uniform
/// instead of normal: 300 million take about a second. The same seed gives the same weights at any number of threads.
pub fn towers(config: &ModelConfig, precision: Precision, seed: u64) -> Result<Towers<f32>> {
    Towers::packed(config, &mut Random { config, seed }, &[], precision)
}

impl<F: Real> Parameters<F> for Random<'_> {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<F>> {
        let n = shape.iter().product();
        let data = match start(self.config, name, shape) {
            Start::Constant(value) => vec![F::narrow(value); n],
            Start::Normal(deviation) => uniform(self.seed, name, n, deviation as f32),
        };
        Ok(Tensor::new(shape, data))
    }
}

/// `n` values between `-1` and `1` times the root of 3 deviations, so that this is their deviation.
pub(super) fn uniform<F: Real>(seed: u64, name: &str, n: usize, deviation: f32) -> Vec<F> {
    let scale = deviation * 3f32.sqrt() / (1u32 << 31) as f32;
    let mut values = vec![F::zero(); n];
    values.par_chunks_mut(PIECE).enumerate().for_each(|(piece, values)| {
        let mut rng = random::stream(seed, name, piece as u64);
        let mut bytes = vec![0; 4 * values.len()];
        rng.fill_bytes(&mut bytes);
        for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
            *value = F::narrow(i32::from_le_bytes(*bytes) as f32 * scale);
        }
    });
    values
}
