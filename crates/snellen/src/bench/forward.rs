//! The forward of a batch of images.

use super::Copies;
use super::random::uniform;
use crate::Result;
use crate::engine::{Tape, Tensor};
use crate::model::{ModelConfig, Pixels, Site, Towers};
use std::hint::black_box;

/// A vision tower and the images that it is run on.
pub struct Forward<'a> {
    towers: &'a Towers<f32>,
    config: &'a ModelConfig,
    pixels: Pixels<f32>,
    sites: Vec<Site>,
    tape: Tape<f32>,
}

impl<'a> Forward<'a> {
    /// Of `batch` random images; what it computes at `sites` is kept as copies until the end of a run.
    pub fn new(
        towers: &'a Towers<f32>,
        config: &'a ModelConfig,
        (batch, seed): (usize, u64),
        sites: Vec<Site>,
    ) -> Self {
        Self { towers, config, pixels: pixels(config, batch, seed), sites, tape: Tape::off() }
    }

    /// Operations of a run, whichever sites are read; where none are, without those of the last block whose results nobody reads.
    pub fn flops(&self) -> u64 {
        let unread = if self.sites.is_empty() { self.config.vision.unread_flops() } else { 0 };
        self.pixels.values.dim(0) as u64 * (self.config.vision.flops() - unread)
    }

    /// Runs it once: to the end, or as far as the sites that are read.
    pub fn run(&mut self) -> Result<()> {
        if self.sites.is_empty() {
            black_box(self.towers.embed_images(&mut self.tape, &self.pixels, &mut ())?);
            return Ok(());
        }
        let mut copies = Copies::of(&self.sites);
        self.towers.observe_images(&mut self.tape, &self.pixels, &mut copies)?;
        black_box(copies);
        Ok(())
    }
}

/// Random images of the size that the model takes; square ones, where it takes any shape.
pub(super) fn pixels(config: &ModelConfig, batch: usize, seed: u64) -> Pixels<f32> {
    let vision = &config.vision;
    let random = |shape: &[usize]| Tensor::new(shape, uniform(seed, "pixels", shape.iter().product(), 1.0));
    if vision.is_flexible() {
        let values = random(&[batch, vision.patches(), 3 * vision.patch * vision.patch]);
        return Pixels { values, grids: vec![[vision.grid(); 2]; batch] };
    }
    random(&[batch, 3, vision.image, vision.image]).into()
}
