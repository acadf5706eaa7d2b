//! One update of a model's weights.

use super::RecipeTraining;
use super::adamw::AdamW;
use crate::engine::{Memory, Tape, Tensor, ops};
use crate::model::checkpoint::{self, Parameters, Weights};
use crate::model::tokenizer::Tokens;
use crate::model::{ModelConfig, Towers};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Forward of both towers, contrastive loss, backward, and update `step` (from 1) at learning rate `rate`; the loss, in nats.
/// Nothing is changed where it is not finite, which is an error. `memory` is that of the update before.
pub(crate) fn update(
    config: &ModelConfig,
    (weights, adam): (&mut Weights, &mut AdamW),
    (pixels, tokens): (&Tensor<f32>, &Tokens),
    (step, rate): (usize, f64),
    (training, memory): (&RecipeTraining, &Memory<f32>),
) -> Result<f64> {
    let mut tape = Tape::on_in(memory);
    let mut leaves = Leaves { weights, tape: &mut tape, by_name: BTreeMap::new() };
    let clip = Towers::new(config, &mut leaves)?;
    let leaves = leaves.by_name;
    let images = clip.embed_images(&mut tape, pixels, &mut ())?;
    let texts = clip.embed_texts(&mut tape, tokens, &mut ())?;
    let (images, texts) = (ops::unit_rows(&mut tape, &images), ops::unit_rows(&mut tape, &texts));
    let loss = ops::contrastive_loss(&mut tape, &images, &texts, clip.logit_scale().ok_or_else(no_scale)?);
    let value = loss.data()[0] as f64;
    if !value.is_finite() {
        let place = format!("training, step {step}");
        return Err(Error::mismatch(place, "a finite loss; lower the learning rate", value));
    }
    let gradients = tape.backward(&loss);
    let of = |(name, leaf): (&String, &Tensor<f32>)| gradients.of(leaf).map(|g| (name.clone(), g.to_vec()));
    let gradients = leaves.iter().filter_map(of).collect();
    drop((clip, leaves));
    adam.update(weights, &gradients, (step, rate), training);
    Ok(value)
}

fn no_scale() -> Error {
    Error::mismatch("training", "a model of pictures and texts", "one without a logit scale")
}

/// Weights as leaves of a tape.
struct Leaves<'a> {
    weights: &'a Weights,
    tape: &'a mut Tape<f32>,
    by_name: BTreeMap<String, Tensor<f32>>,
}

impl Parameters<f32> for Leaves<'_> {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<f32>> {
        let leaf = self.tape.leaf(&checkpoint::look_up(self.weights, name, shape)?);
        self.by_name.insert(name.to_owned(), leaf.clone());
        Ok(leaf)
    }
}
