//! From pictures and texts to unit-length embeddings, in batches.

use super::{Hook, Model};
use crate::Result;
use crate::engine::{Tape, Tensor, ops};
use image::RgbImage;
use rayon::prelude::*;

/// Pictures or texts of one forward. Fixed: results do not depend on it, memory does.
const BATCH: usize = 64;

impl Model {
    /// `pictures` as the model's input, `[picture, 3, row, column]`.
    pub fn pixels(&self, pictures: &[RgbImage]) -> Result<Tensor<f32>> {
        let side = self.preprocessing.image;
        let rows: Vec<Vec<f32>> = pictures.par_iter().map(|p| self.preprocessing.apply(p)).collect::<Result<_>>()?;
        Ok(Tensor::new([pictures.len(), 3, side, side], rows.concat()))
    }

    /// Embeddings of `pictures`, `[picture, unit]`, each of length 1.
    pub fn encode_pictures(&self, pictures: &[RgbImage], hook: &mut dyn Hook) -> Result<Tensor<f32>> {
        let mut out = Vec::with_capacity(pictures.len() * self.config.projection);
        for batch in pictures.chunks(BATCH) {
            let embeds = self.clip.embed_images(&mut Tape::off(), &self.pixels(batch)?, hook)?;
            out.extend_from_slice(ops::unit_rows(&mut Tape::off(), &embeds).data());
        }
        Ok(Tensor::new([pictures.len(), self.config.projection], out))
    }

    /// Embeddings of `texts`, `[text, unit]`, each of length 1.
    pub fn encode_texts(&self, texts: &[impl AsRef<str>], hook: &mut dyn Hook) -> Result<Tensor<f32>> {
        let mut out = Vec::with_capacity(texts.len() * self.config.projection);
        for batch in texts.chunks(BATCH) {
            let embeds = self.clip.embed_texts(&mut Tape::off(), &self.tokenizer.encode(batch)?, hook)?;
            out.extend_from_slice(ops::unit_rows(&mut Tape::off(), &embeds).data());
        }
        Ok(Tensor::new([texts.len(), self.config.projection], out))
    }
}
