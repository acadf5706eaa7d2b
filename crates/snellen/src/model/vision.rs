//! The vision tower: pixels to image embeddings.

use super::block::{Block, Norm};
use super::checkpoint::Parameters;
use super::hook::{Hook, visit};
use super::{ClipConfig, Point, Site, Tower};
use crate::Result;
use crate::engine::{Real, Tape, Tensor, ops};

/// A vision transformer with a class token and CLIP's layer norm before the first block.
pub(super) struct VisionTower<F> {
    patch: Tensor<F>,
    class: Tensor<F>,
    positions: Tensor<F>,
    ln_pre: Norm<F>,
    blocks: Vec<Block<F>>,
    ln_final: Norm<F>,
    projection: Tensor<F>,
    patch_size: usize,
}

impl<F: Real> VisionTower<F> {
    pub(super) fn new(p: &mut dyn Parameters<F>, config: &ClipConfig) -> Result<Self> {
        let c = &config.vision;
        let (d, eps) = (c.tower.width, c.tower.eps);
        let patch = p.get("vision_model.embeddings.patch_embedding.weight", &[d, 3, c.patch, c.patch])?;
        Ok(Self {
            patch: patch.reshape([d, 3 * c.patch * c.patch]),
            class: p.get("vision_model.embeddings.class_embedding", &[d])?,
            positions: p.get("vision_model.embeddings.position_embedding.weight", &[c.patches() + 1, d])?,
            // The misspelling is the format's.
            ln_pre: Norm::new(p, "vision_model.pre_layrnorm", d, eps)?,
            blocks: (0..c.tower.layers)
                .map(|l| Block::new(p, &format!("vision_model.encoder.layers.{l}"), &c.tower))
                .collect::<Result<_>>()?,
            ln_final: Norm::new(p, "vision_model.post_layernorm", d, eps)?,
            projection: p.get("visual_projection.weight", &[config.projection, d])?,
            patch_size: c.patch,
        })
    }

    /// `pixels [image, 3, row, column]`, normalised -> embeddings `[image, unit]`, not normalised.
    pub(super) fn forward(&self, tape: &mut Tape<F>, pixels: &Tensor<F>, hook: &mut dyn Hook) -> Result<Tensor<F>> {
        let patches = ops::patches(tape, pixels, self.patch_size);
        let mut x = ops::linear(tape, &patches, &self.patch, None);
        visit(hook, Site::vision(Point::Embed), &mut x)?;
        let x = ops::prepend(tape, &self.class, &x);
        let mut positions = ops::repeat(tape, &self.positions, x.dim(0), x.dim(1));
        visit(hook, Site::vision(Point::PosEmbed), &mut positions)?;
        let x = ops::add(tape, &x, &positions);
        let mut x = self.ln_pre.forward(tape, &x);
        visit(hook, Site::vision(Point::LnPre), &mut x)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(tape, x, (Tower::Vision, layer), hook)?;
        }
        let mut x = self.ln_final.forward(tape, &x);
        visit(hook, Site::vision(Point::LnFinal), &mut x)?;
        let pooled = ops::select(tape, &x, &vec![0; x.dim(0)]);
        let mut embeds = ops::linear(tape, &pooled, &self.projection, None);
        visit(hook, Site::vision(Point::Embeds), &mut embeds)?;
        Ok(embeds)
    }
}
