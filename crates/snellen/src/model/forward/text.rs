//! The text tower: token ids to text embeddings.

use crate::Result;
use crate::engine::{Precision, Real, Tape, Tensor, ops};
use crate::model::block::{Around, Block, Linear, Norm, Sees};
use crate::model::checkpoint::Parameters;
use crate::model::hook::{Step, Watch};
use crate::model::tokenizer::Tokens;
use crate::model::{Point, Site, TextConfig, Tower};

/// A transformer read out at one token of each text.
pub(in crate::model) struct TextTower<F: Real> {
    table: Tensor<F>,
    pub(in crate::model) positions: Tensor<F>,
    pub(in crate::model) blocks: Vec<Block<F>>,
    pub(in crate::model) ln_final: Norm<F>,
    pub(in crate::model) projection: Option<Linear<F>>,
    causal: bool,
}

/// The position embeddings, `[token, unit]`.
fn positions<F: Real>(p: &mut dyn Parameters<F>, c: &TextConfig) -> Result<Tensor<F>> {
    let (name, shape) = ("text_model.embeddings.position_embedding", [c.positions, c.tower.width]);
    let first = p.get(&format!("{name}.weight"), &shape)?;
    let Some(kept) = c.kept_positions else { return Ok(first) };
    let rest = p.get(&format!("{name}_res.weight"), &shape)?;
    let kept = kept.min(c.positions) * c.tower.width;
    Ok(Tensor::new(shape, [&first.data()[..kept], &rest.data()[kept..]].concat()))
}

impl<F: Real> TextTower<F> {
    /// `done` is shown every block as soon as its weights are there.
    pub(in crate::model) fn new(
        p: &mut dyn Parameters<F>,
        c: &TextConfig,
        done: &dyn Fn(&mut Block<F>),
    ) -> Result<Self> {
        let d = c.tower.width;
        let projection = if c.projection_bias { "text_head" } else { "text_projection" };
        Ok(Self {
            table: p.get("text_model.embeddings.token_embedding.weight", &[c.vocabulary, d])?,
            positions: positions(p, c)?,
            blocks: Block::all(p, "text_model.encoder.layers", &c.tower, done)?,
            ln_final: Norm::new(p, "text_model.final_layer_norm", d, c.tower.eps)?,
            projection: c
                .projected
                .then(|| Linear::new(p, projection, (d, c.projection), c.projection_bias))
                .transpose()?,
            causal: c.causal,
        })
    }

    /// Packs the maps outside its blocks for `precision`.
    pub(in crate::model) fn pack_ends(&mut self, precision: Precision) {
        self.projection.iter_mut().for_each(|map| map.weight.pack(precision));
    }

    /// -> embeddings `[text, unit]`, not normalised.
    pub(in crate::model) fn forward(
        &self,
        tape: &mut Tape<F>,
        tokens: &Tokens,
        watch: &mut Watch<'_>,
    ) -> Step<Tensor<F>> {
        let x = self.embed(tape, tokens, watch)?;
        self.resume(tape, (0, x), tokens, watch)
    }

    /// The residual stream before the first block, `[text, token, unit]`.
    fn embed(&self, tape: &mut Tape<F>, tokens: &Tokens, watch: &mut Watch<'_>) -> Step<Tensor<F>> {
        let mut x = ops::embed(tape, &self.table, tokens.ids(), tokens.length());
        watch.visit(tape, Site::text(Point::Embed), &mut x)?;
        let mut positions = ops::repeat(tape, &self.positions, x.dim(0), x.dim(1));
        watch.visit(tape, Site::text(Point::PosEmbed), &mut positions)?;
        Ok(ops::add(tape, &x, &positions))
    }

    /// From the residual stream `x [text, token, unit]` before block `layer` to what [`forward`](Self::forward) gives.
    pub(in crate::model) fn resume(
        &self,
        tape: &mut Tape<F>,
        (layer, mut x): (usize, Tensor<F>),
        tokens: &Tokens,
        watch: &mut Watch<'_>,
    ) -> Step<Tensor<F>> {
        let sees = match tokens.mask() {
            Some(mask) => Sees::Only(mask),
            None if self.causal => Sees::Earlier,
            None => Sees::All,
        };
        let (last, length) = (self.blocks.len(), tokens.length());
        let alone = Block::is_unseen(tape, watch, Tower::Text, last);
        // One query that sees its sequence up to itself.
        let earlier: Vec<bool> = match sees {
            Sees::Earlier if alone => {
                tokens.ends().iter().flat_map(|end| (0..length).map(move |t| t <= *end)).collect()
            }
            _ => Vec::new(),
        };
        for (layer, block) in self.blocks.iter().enumerate().skip(layer) {
            let mut around = Around::from(sees);
            if alone && layer + 1 == last {
                around.only = Some(tokens.ends());
                around.sees = if earlier.is_empty() { sees } else { Sees::Only(&earlier) };
            }
            x = block.forward(tape, x, (Tower::Text, layer, around), watch)?;
        }
        let at = if x.dim(1) < length { vec![0; x.dim(0)] } else { tokens.ends().to_vec() };
        let mut x = self.ln_final.forward(tape, &x);
        watch.visit(tape, Site::text(Point::LnFinal), &mut x)?;
        let pooled = ops::select(tape, &x, &at);
        let mut embeds = match &self.projection {
            Some(projection) => projection.of(&pooled).make(tape),
            None => pooled,
        };
        watch.visit(tape, Site::text(Point::Embeds), &mut embeds)?;
        Ok(embeds)
    }
}
