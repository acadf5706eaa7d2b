//! A step of training.

use super::{forward, small_clip};
use crate::Result;
use crate::engine::{Memory, Tensor};
use crate::lab::RecipeTraining;
use crate::lab::adamw::AdamW;
use crate::lab::{init, step};
use crate::model::ModelConfig;
use crate::model::checkpoint::Weights;
use crate::model::tokenizer::Tokens;
use crate::random;
use rand::RngExt;

/// The small CLIP in training, always on the same pairs of images and texts.
pub struct Training {
    config: ModelConfig,
    recipe: RecipeTraining,
    weights: Weights,
    adam: AdamW,
    pixels: Tensor<f32>,
    tokens: Tokens,
    step: usize,
    memory: Memory<f32>,
}

impl Training {
    /// On `pairs` random pairs.
    pub fn new(pairs: usize, seed: u64) -> Result<Self> {
        let config = small_clip();
        let weights = init::weights(&config, seed)?;
        let text = config.text()?;
        let mut rng = random::stream(seed, "tokens", 0);
        let last = text.vocabulary as u32 - 1;
        let mut row = || {
            let mut ids: Vec<u32> = (1..text.positions).map(|_| rng.random_range(0..last)).collect();
            ids.push(last);
            ids
        };
        let rows: Vec<Vec<u32>> = (0..pairs).map(|_| row()).collect();
        let tokens = Tokens::new(&rows, text, "random texts")?;
        let recipe = RecipeTraining {
            steps: usize::MAX,
            batch: pairs,
            learning_rate: 1e-3,
            warmup: 0,
            weight_decay: 0.1,
            betas: [0.9, 0.999],
            clip: 1.0,
            evaluate_every: usize::MAX,
        };
        let pixels = forward::pixels(&config, pairs, seed).values;
        Ok(Self { adam: AdamW::new(&weights), config, recipe, weights, pixels, tokens, step: 0, memory: Memory::new() })
    }

    /// Operations of a step.
    pub fn flops(&self) -> u64 {
        self.config.training_flops(self.pixels.dim(0), self.tokens.length())
    }

    /// Forward of both towers, loss, backward and AdamW's update; the loss, in nats.
    pub fn run(&mut self) -> Result<f64> {
        self.step += 1;
        let batch = (&self.pixels, &self.tokens);
        let at = (self.step, self.recipe.learning_rate);
        step::update(&self.config, (&mut self.weights, &mut self.adam), batch, at, (&self.recipe, &self.memory))
    }
}
