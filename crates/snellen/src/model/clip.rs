//! A CLIP model: two towers and what stands before them.

use super::checkpoint::{Checkpoint, Parameters};
use super::text::TextTower;
use super::tokenizer::Tokens;
use super::vision::VisionTower;
use super::{ClipConfig, Hook, Preprocessing, Tokenizer};
use crate::engine::{Real, Tape, Tensor};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// The two towers (arXiv 2103.00020).
pub struct Clip<F> {
    vision: VisionTower<F>,
    text: TextTower<F>,
    logit_scale: Tensor<F>,
}

impl<F: Real> Clip<F> {
    /// Asks `parameters` for every weight, by its name in the Hugging Face layout.
    pub fn new(config: &ClipConfig, parameters: &mut dyn Parameters<F>) -> Result<Self> {
        Ok(Self {
            vision: VisionTower::new(parameters, config)?,
            text: TextTower::new(parameters, config)?,
            logit_scale: parameters.get("logit_scale", &[])?,
        })
    }

    /// `pixels [image, 3, row, column]`, preprocessed -> embeddings `[image, unit]`, not normalised.
    pub fn embed_images(&self, tape: &mut Tape<F>, pixels: &Tensor<F>, hook: &mut dyn Hook) -> Result<Tensor<F>> {
        self.vision.forward(tape, pixels, hook)
    }

    /// -> embeddings `[text, unit]`, not normalised.
    pub fn embed_texts(&self, tape: &mut Tape<F>, tokens: &Tokens, hook: &mut dyn Hook) -> Result<Tensor<F>> {
        self.text.forward(tape, tokens, hook)
    }

    /// Natural logarithm of the factor between cosine and logit, `[]`.
    pub fn logit_scale(&self) -> &Tensor<F> {
        &self.logit_scale
    }
}

/// A model as its folder describes it.
pub struct Model {
    /// Shapes.
    pub config: ClipConfig,
    /// Weights.
    pub clip: Clip<f32>,
    /// From pictures to pixels.
    pub preprocessing: Preprocessing,
    /// From texts to token ids.
    pub tokenizer: Tokenizer,
    /// Where it was read.
    pub folder: PathBuf,
    /// BLAKE3 of the weights' file, in hexadecimal.
    pub weights_hash: String,
    /// Number of weights.
    pub parameters: usize,
}

impl Model {
    /// Reads `config.json`, `preprocessor_config.json`, `tokenizer.json` and `model.safetensors` in `folder`.
    pub fn load(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::mismatch(
                folder.display(),
                "a folder with config.json and model.safetensors",
                "no such folder",
            ));
        }
        let config = ClipConfig::read(folder)?;
        let preprocessing = Preprocessing::read(folder, config.vision.image)?;
        let tokenizer = Tokenizer::read(folder, &config.text)?;
        let mut checkpoint = Checkpoint::read(&folder.join("model.safetensors"))?;
        let clip = Clip::new(&config, &mut checkpoint)?;
        let (weights_hash, parameters) = (checkpoint.hash.clone(), checkpoint.taken());
        checkpoint.finish()?;
        Ok(Self { config, clip, preprocessing, tokenizer, folder: folder.to_owned(), weights_hash, parameters })
    }
}
