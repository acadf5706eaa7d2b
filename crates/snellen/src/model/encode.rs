//! From pictures and texts to unit-length embeddings, in batches.

use super::{Hook, Model, Pixels, Point, Site};
use crate::engine::{Tape, Tensor, ops};
use crate::{Error, Result};
use image::RgbImage;
use rayon::prelude::*;

/// Pictures or texts of one forward. Fixed: results do not depend on it, memory does.
const BATCH: usize = 64;

impl Model {
    /// `pictures` as the model's input.
    pub fn pixels(&self, pictures: &[RgbImage]) -> Result<Pixels<f32>> {
        let rows: Vec<Vec<f32>> =
            pictures.par_iter().map(|p| self.preprocessing.apply(&p.into())).collect::<Result<_>>()?;
        let grids = pictures.iter().filter_map(|p| self.preprocessing.grid([p.height() as usize, p.width() as usize]));
        Ok(Pixels { values: self.preprocessing.tensor(rows.concat()), grids: grids.collect() })
    }

    /// Embeddings of `pictures`, `[picture, unit]`, each of length 1.
    pub fn encode_pictures(&self, pictures: &[RgbImage], hook: &mut dyn Hook) -> Result<Tensor<f32>> {
        let width = self.config.vision.embedding().ok_or_else(|| {
            let place = format!("a model of type `{}`", self.config.model_type);
            Error::mismatch(place, "image embeddings", "a tower that gives tokens only")
        })?;
        let mut out = Vec::with_capacity(pictures.len() * width);
        let mut tape = Tape::off();
        for batch in pictures.chunks(BATCH) {
            let embeds = self.towers.embed_images(&mut tape, &self.pixels(batch)?, hook)?;
            let first = out.len() / width;
            let place = |i: usize| format!("site `{}`, picture {}", Site::vision(Point::Embeds), first + i);
            out.extend(self.unit_rows(&embeds, place)?);
        }
        Ok(Tensor::new([pictures.len(), width], out))
    }

    /// Embeddings `[picture, unit]` of pictures that are the model's input already, each of length 1.
    pub fn encode_pixels(&self, pixels: &Pixels<f32>, hook: &mut dyn Hook) -> Result<Tensor<f32>> {
        let embeds = self.towers.embed_images(&mut Tape::off(), pixels, hook)?;
        let place = |i: usize| format!("site `{}`, picture {i}", Site::vision(Point::Embeds));
        let rows = self.unit_rows(&embeds, place)?;
        Ok(Tensor::new([embeds.dim(0), embeds.width()], rows))
    }

    /// Embeddings of `texts`, `[text, unit]`, each of length 1.
    pub fn encode_texts(&self, texts: &[impl AsRef<str>], hook: &mut dyn Hook) -> Result<Tensor<f32>> {
        let width = self.config.text()?.projection;
        let mut out = Vec::with_capacity(texts.len() * width);
        let mut tape = Tape::off();
        for batch in texts.chunks(BATCH) {
            let embeds = self.towers.embed_texts(&mut tape, &self.tokenizer()?.encode(batch)?, hook)?;
            let place = |i: usize| format!("site `{}`, the text {:?}", Site::text(Point::Embeds), batch[i].as_ref());
            out.extend(self.unit_rows(&embeds, place)?);
        }
        Ok(Tensor::new([texts.len(), width], out))
    }

    /// `embeds [row, unit]` at length 1; `place` names a row in the error for one that has no direction.
    fn unit_rows(&self, embeds: &Tensor<f32>, place: impl Fn(usize) -> String) -> Result<Vec<f32>> {
        let (unit, width) = (ops::unit_rows(&mut Tape::off(), embeds), embeds.width());
        for (i, row) in unit.data().chunks(width).enumerate() {
            let length = row.iter().map(|x| *x as f64 * *x as f64).sum::<f64>().sqrt();
            if !(0.5..2.0).contains(&length) {
                let raw = &embeds.data()[i * width..][..width];
                let raw = raw.iter().map(|x| *x as f64 * *x as f64).sum::<f64>().sqrt();
                let place = format!("{}: {}", self.folder.display(), place(i));
                return Err(Error::mismatch(
                    place,
                    "an embedding of finite length above 0",
                    format!("one of length {raw:e}"),
                ));
            }
        }
        Ok(unit.data().to_vec())
    }
}
