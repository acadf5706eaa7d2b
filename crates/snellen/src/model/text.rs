//! The text tower: token ids to text embeddings.

use super::block::{Block, Norm};
use super::checkpoint::Parameters;
use super::hook::{Hook, visit};
use super::tokenizer::Tokens;
use super::{ClipConfig, Point, Site, Tower};
use crate::Result;
use crate::engine::{Real, Tape, Tensor, ops};

/// A causal transformer read out at the end-of-text token.
pub(super) struct TextTower<F> {
    table: Tensor<F>,
    positions: Tensor<F>,
    blocks: Vec<Block<F>>,
    ln_final: Norm<F>,
    projection: Tensor<F>,
}

impl<F: Real> TextTower<F> {
    pub(super) fn new(p: &mut dyn Parameters<F>, config: &ClipConfig) -> Result<Self> {
        let c = &config.text;
        let d = c.tower.width;
        Ok(Self {
            table: p.get("text_model.embeddings.token_embedding.weight", &[c.vocabulary, d])?,
            positions: p.get("text_model.embeddings.position_embedding.weight", &[c.positions, d])?,
            blocks: (0..c.tower.layers)
                .map(|l| Block::new(p, &format!("text_model.encoder.layers.{l}"), &c.tower))
                .collect::<Result<_>>()?,
            ln_final: Norm::new(p, "text_model.final_layer_norm", d, c.tower.eps)?,
            projection: p.get("text_projection.weight", &[config.projection, d])?,
        })
    }

    /// -> embeddings `[text, unit]`, not normalised.
    pub(super) fn forward(&self, tape: &mut Tape<F>, tokens: &Tokens, hook: &mut dyn Hook) -> Result<Tensor<F>> {
        let mut x = ops::embed(tape, &self.table, tokens.ids(), tokens.length());
        visit(hook, Site::text(Point::Embed), &mut x)?;
        let mut positions = ops::repeat(tape, &self.positions, x.dim(0), x.dim(1));
        visit(hook, Site::text(Point::PosEmbed), &mut positions)?;
        let mut x = ops::add(tape, &x, &positions);
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(tape, x, (Tower::Text, layer), hook)?;
        }
        let mut x = self.ln_final.forward(tape, &x);
        visit(hook, Site::text(Point::LnFinal), &mut x)?;
        let pooled = ops::select(tape, &x, tokens.ends());
        let mut embeds = ops::linear(tape, &pooled, &self.projection, None);
        visit(hook, Site::text(Point::Embeds), &mut embeds)?;
        Ok(embeds)
    }
}
