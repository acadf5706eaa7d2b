//! AdamW (Loshchilov and Hutter, arXiv 1711.05101).

use super::RecipeTraining;
use crate::engine::Tensor;
use crate::model::checkpoint::Weights;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Guards the division by the second moment's root.
const EPS: f32 = 1e-8;
/// CLIP's bound on the logit scale: `ln(100)`.
const LARGEST_SCALE: f32 = 4.605_17;

/// The running moments of every weight.
pub(crate) struct AdamW {
    pub(super) first: Weights,
    pub(super) second: Weights,
}

impl AdamW {
    pub(crate) fn new(weights: &Weights) -> Self {
        let zeros = || {
            let zero =
                |(name, t): (&String, &Tensor<f32>)| (name.clone(), Tensor::new(t.shape(), vec![0.0; t.data().len()]));
            weights.iter().map(zero).collect::<Weights>()
        };
        Self { first: zeros(), second: zeros() }
    }

    /// One update, the `step`-th (from 1), after scaling the gradient to at most `clip`. Returns its norm before that.
    pub(crate) fn update(
        &mut self,
        weights: &mut Weights,
        gradients: &BTreeMap<String, Vec<f32>>,
        (step, rate): (usize, f64),
        config: &RecipeTraining,
    ) -> f64 {
        let norm = gradients.values().map(|gradient| squares(gradient)).sum::<f64>().sqrt();
        let scale = (config.clip / norm).min(1.0) as f32;
        let [b1, b2] = config.betas;
        let (c1, c2) = (1.0 - b1.powi(step as i32), 1.0 - b2.powi(step as i32));
        let (b1, b2, length, corrected) = (b1 as f32, b2 as f32, (rate / c1) as f32, c2.sqrt() as f32);
        for (name, gradient) in gradients {
            let (Some(w), Some(m), Some(v)) =
                (weights.get_mut(name), self.first.get_mut(name), self.second.get_mut(name))
            else {
                continue;
            };
            let decay = if w.shape().len() > 1 { 1.0 - (rate * config.weight_decay) as f32 } else { 1.0 };
            let triples = w.data_mut().par_iter_mut().zip(m.data_mut()).zip(v.data_mut());
            triples.zip(gradient).with_min_len(1 << 12).for_each(|(((w, m), v), g)| {
                let g = g * scale;
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *w = *w * decay - length * *m / (v.sqrt() / corrected + EPS);
            });
        }
        if let Some(scale) = weights.get_mut("logit_scale") {
            scale.data_mut().iter_mut().for_each(|x| *x = x.min(LARGEST_SCALE));
        }
        norm
    }
}

/// The sum of the squares of `values`, in pieces of a fixed size.
fn squares(values: &[f32]) -> f64 {
    let of_piece = |piece: &[f32]| piece.iter().map(|g| (*g as f64).powi(2)).sum();
    let parts: Vec<f64> = values.par_chunks(1 << 14).map(of_piece).collect();
    parts.iter().sum()
}

/// The learning rate of update `step` (from 1).
pub(super) fn rate(config: &RecipeTraining, step: usize) -> f64 {
    let (step, warmup, steps) = (step as f64, config.warmup as f64, config.steps as f64);
    let shape = if step <= warmup {
        step / warmup
    } else {
        0.5 * (1.0 + (std::f64::consts::PI * (step - warmup) / (steps - warmup)).cos())
    };
    config.learning_rate * shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> RecipeTraining {
        RecipeTraining {
            steps: 100,
            batch: 2,
            learning_rate: 0.1,
            warmup: 10,
            weight_decay: 0.01,
            betas: [0.9, 0.98],
            clip: 1e9,
            evaluate_every: 1,
        }
    }

    /// `torch.optim.AdamW([w], lr=0.1, betas=(0.9, 0.98), weight_decay=0.01)` on `w = [[1, -2]]` with gradients `[0.5, -1]`, `[0.1, 3]`.
    #[test]
    fn two_updates_agree_with_pytorch() {
        let mut weights = Weights::from([("w".to_owned(), Tensor::new([1, 2], vec![1.0, -2.0]))]);
        let mut adam = AdamW::new(&weights);
        for (step, gradient) in [(1, vec![0.5, -1.0]), (2, vec![0.1, 3.0])] {
            adam.update(&mut weights, &BTreeMap::from([("w".to_owned(), gradient)]), (step, 0.1), &config());
        }
        let got = weights["w"].data();
        for (x, y) in got.iter().zip(TORCH) {
            assert!((x - y).abs() < 1e-6, "{got:?}");
        }
    }

    const TORCH: [f32; 2] = [0.817_438_5, -1.945_332_4];

    #[test]
    fn a_long_gradient_is_scaled_to_the_clip() {
        let clipped = RecipeTraining { clip: 1.0, ..config() };
        let run = |gradient: Vec<f32>, config: &RecipeTraining| {
            let mut weights = Weights::from([("w".to_owned(), Tensor::new([2], vec![0.0, 0.0]))]);
            let mut adam = AdamW::new(&weights);
            let norm = adam.update(&mut weights, &BTreeMap::from([("w".to_owned(), gradient)]), (1, 0.1), config);
            (norm, adam.first["w"].data().to_vec())
        };
        let (norm, first) = run(vec![3.0, 4.0], &clipped);
        assert!(
            (norm - 5.0).abs() < 1e-9 && (first[0] - 0.06).abs() < 1e-7 && (first[1] - 0.08).abs() < 1e-7,
            "{first:?}"
        );
        assert!((run(vec![3.0, 4.0], &config()).1[0] - 0.3).abs() < 1e-7);
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let c = config();
        assert!((rate(&c, 5) - 0.05).abs() < 1e-12 && (rate(&c, 10) - 0.1).abs() < 1e-12);
        assert!((rate(&c, 55) - 0.05).abs() < 1e-12 && rate(&c, 100) < 1e-12);
    }
}
