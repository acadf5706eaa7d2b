//! The vision tower: pixels to tokens, and to one embedding where the model has one.

use crate::Result;
use crate::engine::ops::{self, Angles};
use crate::engine::{Precision, Real, Tape, Tensor, Weight};
use crate::model::block::{Around, Attention, Block, Linear, Mlp, Norm, Sees};
use crate::model::checkpoint::Parameters;
use crate::model::config::Positions;
use crate::model::hook::{Step, Watch};
use crate::model::pixels::{self, PixelsRef};
use crate::model::positions::{angles, fit, of_pictures};
use crate::model::{BlockPoint, Point, Site, Tower, VisionConfig, VisionPooling};

/// A vision transformer, of any family.
pub(in crate::model) struct VisionTower<F: Real> {
    patch: Weight<F>,
    patch_bias: Option<Tensor<F>>,
    class: Option<Tensor<F>>,
    distillation: Option<Tensor<F>>,
    registers: Option<Tensor<F>>,
    pub(in crate::model) positions: Option<Tensor<F>>,
    angles: Option<Angles<F>>,
    ln_pre: Option<Norm<F>>,
    pub(in crate::model) blocks: Vec<Block<F>>,
    pub(in crate::model) ln_final: Norm<F>,
    pub(in crate::model) head: Option<Head<F>>,
    pub(in crate::model) projection: Option<Linear<F>>,
    config: VisionConfig,
}

impl<F: Real> VisionTower<F> {
    /// `done` is shown every block as soon as its weights are there.
    pub(in crate::model) fn new(
        p: &mut dyn Parameters<F>,
        config: &VisionConfig,
        done: &dyn Fn(&mut Block<F>),
    ) -> Result<Self> {
        let c = config;
        let (d, eps) = (c.tower.width, c.tower.eps);
        let convolution = [d, 3, c.patch, c.patch];
        let linear = [d, c.values()];
        let shape = if c.is_flexible() { &linear[..] } else { &convolution };
        let patch = p.get("vision_model.embeddings.patch_embedding.weight", shape)?;
        let mut optional = |there: bool, name: &str, shape: &[usize]| {
            there.then(|| p.get(&format!("vision_model.embeddings.{name}"), shape)).transpose()
        };
        let patch_bias = optional(c.patch_bias, "patch_embedding.bias", &[d])?;
        let class = optional(c.class_token, "class_embedding", &[d])?;
        let distillation = optional(c.distillation, "distillation_token", &[d])?;
        let registers = optional(c.registers > 0, "register_tokens", &[c.registers, d])?;
        Ok(Self {
            patch: patch.reshape(linear).into(),
            patch_bias,
            class,
            distillation,
            registers,
            positions: fit(p, config)?,
            angles: angles(config),
            // The misspelling is the format's.
            ln_pre: c.norm_pre.then(|| Norm::new(p, "vision_model.pre_layrnorm", d, eps)).transpose()?,
            blocks: Block::all(p, "vision_model.encoder.layers", &c.tower, done)?,
            ln_final: Norm::new(p, "vision_model.post_layernorm", d, eps)?,
            head: (c.pooling == Some(VisionPooling::Attention)).then(|| Head::new(p, config)).transpose()?,
            projection: c
                .projection
                .map(|to| Linear::new(p, "visual_projection", (d, to), c.projection_bias))
                .transpose()?,
            config: config.clone(),
        })
    }

    /// Its shape.
    pub(in crate::model) fn config(&self) -> &VisionConfig {
        &self.config
    }

    /// Packs the maps outside its blocks for `precision`.
    pub(in crate::model) fn pack_ends(&mut self, precision: Precision) {
        self.patch.pack(precision);
        self.projection.iter_mut().for_each(|map| map.weight.pack(precision));
        if let Some(head) = &mut self.head {
            head.attention.pack(precision);
            head.mlp.linears().into_iter().for_each(|map| map.weight.pack(precision));
        }
    }

    /// `pixels`, normalised -> embeddings `[image, unit]`, not normalised; all tokens where the tower does not pool them, `[image,
    /// token, unit]`.
    pub(in crate::model) fn forward(
        &self,
        tape: &mut Tape<F>,
        pixels: PixelsRef<'_, F>,
        watch: &mut Watch<'_>,
    ) -> Step<Tensor<F>> {
        let x = self.embed(tape, pixels, watch)?;
        self.resume(tape, (0, x), pixels.grids, watch)
    }

    /// The residual stream before the first block, `[image, token, unit]`.
    fn embed(&self, tape: &mut Tape<F>, pixels: PixelsRef<'_, F>, watch: &mut Watch<'_>) -> Step<Tensor<F>> {
        let patches = if self.config.is_flexible() {
            pixels.check(&self.config)?;
            pixels.values.clone()
        } else {
            ops::patches(tape, pixels.values, self.config.patch)
        };
        let mut x = ops::linear(&patches, &self.patch, self.patch_bias.as_ref()).make(tape);
        watch.visit(tape, Site::vision(Point::Embed), &mut x)?;
        if self.config.class_position {
            x = self.with_first_tokens(tape, x);
        }
        if let Some(positions) = &self.positions {
            let mut positions = match self.config.positions {
                Positions::Flexible { trained, .. } => of_pictures(positions, trained, pixels.grids, x.dim(1)),
                _ => ops::repeat(tape, positions, x.dim(0), x.dim(1)),
            };
            watch.visit(tape, Site::vision(Point::PosEmbed), &mut positions)?;
            x = ops::add(tape, &x, &positions);
        }
        if !self.config.class_position {
            x = self.with_first_tokens(tape, x);
        }
        if let Some(registers) = &self.registers {
            x = ops::insert(tape, &x, registers, self.config.unregistered());
        }
        if let Some(ln_pre) = &self.ln_pre {
            x = ln_pre.forward(tape, &x);
            watch.visit(tape, Site::vision(Point::LnPre), &mut x)?;
        }
        Ok(x)
    }

    /// From the residual stream `x [image, token, unit]` before block `layer` to what [`forward`](Self::forward) gives.
    pub(in crate::model) fn resume(
        &self,
        tape: &mut Tape<F>,
        (layer, mut x): (usize, Tensor<F>),
        grids: &[[usize; 2]],
        watch: &mut Watch<'_>,
    ) -> Step<Tensor<F>> {
        let seen = if self.config.is_flexible() { pixels::seen(grids, x.dim(1)) } else { Vec::new() };
        let sees = if seen.contains(&false) { Sees::Only(&seen) } else { Sees::All };
        let first = vec![0; x.dim(0)];
        let last = self.blocks.len();
        // Turned queries know their places.
        let reads_one = self.config.pooling == Some(VisionPooling::Class) && self.angles.is_none();
        let alone = reads_one && Block::is_unseen(tape, watch, Tower::Vision, last);
        for (layer, block) in self.blocks.iter().enumerate().skip(layer) {
            let only = (alone && layer + 1 == last).then_some(first.as_slice());
            let around = Around { sees, angles: self.angles.as_ref(), only };
            x = block.forward(tape, x, (Tower::Vision, layer, around), watch)?;
        }
        let last = |tape: &mut Tape<F>, x: &Tensor<F>, watch: &mut Watch<'_>| {
            let mut x = self.ln_final.forward(tape, x);
            watch.visit(tape, Site::vision(Point::LnFinal), &mut x).map(|()| x)
        };
        if !self.config.norm_after_pooling {
            x = last(tape, &x, watch)?;
        }
        let mut pooled = match (self.config.pooling, &self.head) {
            (None, _) => return Ok(x),
            (Some(VisionPooling::Mean), _) => ops::mean_tokens(tape, &x, self.config.prefix()),
            (Some(VisionPooling::Attention), Some(head)) => head.forward(tape, &x, sees, watch)?,
            (Some(_), _) => ops::select(tape, &x, &first),
        };
        if self.config.norm_after_pooling {
            pooled = last(tape, &pooled, watch)?;
        }
        let mut embeds = match &self.projection {
            Some(projection) => projection.of(&pooled).make(tape),
            None => pooled,
        };
        watch.visit(tape, Site::vision(Point::Embeds), &mut embeds)?;
        Ok(embeds)
    }
}

impl<F: Real> VisionTower<F> {
    /// `x [image, patch, unit]` behind the class token and what else stands there.
    fn with_first_tokens(&self, tape: &mut Tape<F>, mut x: Tensor<F>) -> Tensor<F> {
        if let Some(class) = &self.class {
            x = ops::insert(tape, &x, class, 0);
        }
        if let Some(token) = &self.distillation {
            x = ops::insert(tape, &x, token, usize::from(self.class.is_some()));
        }
        x
    }
}

/// SigLIP's head: a learned query attends to all tokens, and an MLP adds to what it finds (arXiv 2303.15343).
pub(in crate::model) struct Head<F: Real> {
    query: Tensor<F>,
    pub(in crate::model) attention: Attention<F>,
    pub(in crate::model) norm: Norm<F>,
    pub(in crate::model) mlp: Mlp<F>,
}

impl<F: Real> Head<F> {
    fn new(p: &mut dyn Parameters<F>, config: &VisionConfig) -> Result<Self> {
        let (name, tower) = ("vision_model.head", &config.head_tower());
        Ok(Self {
            query: p.get(&format!("{name}.probe"), &[1, tower.width])?,
            attention: Attention::new(p, &format!("{name}.attention"), tower)?,
            norm: Norm::new(p, &format!("{name}.layernorm"), tower.width, tower.eps)?,
            mlp: Mlp::new(p, &format!("{name}.mlp"), tower)?,
        })
    }

    /// `x [image, token, unit]` -> `[image, unit]`.
    fn forward(&self, tape: &mut Tape<F>, x: &Tensor<F>, sees: Sees<'_>, watch: &mut Watch<'_>) -> Step<Tensor<F>> {
        let site = |point| Site::vision(Point::Head(point));
        let query = ops::repeat(tape, &self.query, x.dim(0), 1);
        let mut attn_out = self.attention.forward(tape, (&query, x), sees.into(), &site, watch)?.make(tape);
        watch.visit(tape, site(BlockPoint::AttnOut), &mut attn_out)?;
        let normal = self.norm.forward(tape, &attn_out);
        let mlp_out = self.mlp.forward(tape, &normal, &site, watch)?;
        let out = watch.pass(tape, site(BlockPoint::MlpOut), mlp_out)?.add(tape, &attn_out).make(tape);
        let shape = [out.dim(0), out.dim(2)];
        Ok(out.reshape(shape))
    }
}
