//! The two towers of a model, with their weights.

use super::checkpoint::Parameters;
use super::text::TextTower;
use super::tokenizer::Tokens;
use super::vision::VisionTower;
use super::{Hook, ModelConfig};
use crate::engine::{Real, Tape, Tensor};
use crate::{Error, Result};

/// A vision tower, and a text tower where the model has one (arXiv 2103.00020).
pub struct Towers<F> {
    pub(super) vision: VisionTower<F>,
    pub(super) text: Option<TextTower<F>>,
    logit_scale: Option<Tensor<F>>,
    logit_bias: Option<Tensor<F>>,
}

impl<F: Real> Towers<F> {
    /// Asks `parameters` for every weight, by its name in CLIP's layout.
    pub fn new(config: &ModelConfig, parameters: &mut dyn Parameters<F>) -> Result<Self> {
        let text = config.text.as_ref();
        Ok(Self {
            vision: VisionTower::new(parameters, &config.vision)?,
            text: text.map(|text| TextTower::new(parameters, text)).transpose()?,
            logit_scale: text.map(|_| parameters.get("logit_scale", &[])).transpose()?,
            logit_bias: config.logit_bias.then(|| parameters.get("logit_bias", &[])).transpose()?,
        })
    }

    /// `pixels [image, 3, row, column]`, preprocessed -> embeddings `[image, unit]`, not normalised; all tokens, `[image, token, unit]`,
    /// where the tower does not pool them.
    pub fn embed_images(&self, tape: &mut Tape<F>, pixels: &Tensor<F>, hook: &mut dyn Hook) -> Result<Tensor<F>> {
        self.vision.forward(tape, pixels, hook)
    }

    /// -> embeddings `[text, unit]`, not normalised.
    ///
    /// # Errors
    /// When there is no text tower.
    pub fn embed_texts(&self, tape: &mut Tape<F>, tokens: &Tokens, hook: &mut dyn Hook) -> Result<Tensor<F>> {
        let none = || Error::mismatch("model", "a text tower", "none");
        self.text.as_ref().ok_or_else(none)?.forward(tape, tokens, hook)
    }

    /// Natural logarithm of the factor between cosine and logit, `[]`.
    pub fn logit_scale(&self) -> Option<&Tensor<F>> {
        self.logit_scale.as_ref()
    }

    /// What is added to every logit, `[]`.
    pub fn logit_bias(&self) -> Option<&Tensor<F>> {
        self.logit_bias.as_ref()
    }
}
