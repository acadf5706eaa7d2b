//! The two towers of a model, with their weights.

use crate::engine::{Precision, Real, Tape, Tensor};
use crate::model::block::Block;
use crate::model::checkpoint::Parameters;
use crate::model::hook::{End, Step, Watch};
use crate::model::resume::check_stream;
use crate::model::text::TextTower;
use crate::model::tokenizer::Tokens;
use crate::model::vision::VisionTower;
use crate::model::{BlockPoint, Hook, Inside, ModelConfig, PixelsRef, Point, Site, Tower, Transform};
use crate::{Error, Result};

/// A vision tower, and a text tower where the model has one (arXiv 2103.00020).
pub struct Towers<F: Real> {
    pub(in crate::model) vision: VisionTower<F>,
    pub(in crate::model) text: Option<TextTower<F>>,
    logit_scale: Option<Tensor<F>>,
    logit_bias: Option<Tensor<F>>,
    /// Each tower's, in the order of the forward.
    sites: [Vec<Site>; 2],
}

impl<F: Real> Towers<F> {
    /// Asks `parameters` for every weight, by its name in CLIP's layout, and leaves them as they are: to be trained or changed.
    pub fn new(config: &ModelConfig, parameters: &mut dyn Parameters<F>) -> Result<Self> {
        Self::read(config, parameters, &|_| {})
    }

    /// The same to be run: `transforms` are made, in this order, and the weights of all linear maps packed for this processor. From
    /// then on they can be multiplied by, but not changed or trained.
    /// With [`Precision::Bf16`] both operands of every product are rounded to bf16 first, those of attention too; sums, the residual
    /// stream and all else stay f32.
    ///
    /// A block is packed before the next is asked for, so that only one is ever in memory as it was read.
    pub fn packed(
        config: &ModelConfig,
        parameters: &mut dyn Parameters<F>,
        transforms: &[Transform],
        precision: Precision,
    ) -> Result<Self> {
        let block = |block: &mut Block<F>| {
            transforms.iter().for_each(|transform| block.transform(*transform));
            block.pack(precision);
        };
        let mut towers = Self::read(config, parameters, &block)?;
        transforms.iter().for_each(|transform| towers.transform_ends(*transform));
        towers.vision.pack_ends(precision);
        towers.text.iter_mut().for_each(|text| text.pack_ends(precision));
        Ok(towers)
    }

    /// Asks for every weight; `done` is shown every block as soon as its weights are there.
    fn read(config: &ModelConfig, parameters: &mut dyn Parameters<F>, done: &dyn Fn(&mut Block<F>)) -> Result<Self> {
        let text = config.text.as_ref();
        Ok(Self {
            vision: VisionTower::new(parameters, &config.vision, done)?,
            text: text.map(|text| TextTower::new(parameters, text, done)).transpose()?,
            logit_scale: text.map(|_| parameters.get("logit_scale", &[])).transpose()?,
            logit_bias: config.logit_bias.then(|| parameters.get("logit_bias", &[])).transpose()?,
            sites: [Tower::Vision, Tower::Text].map(|tower| Site::all(config, tower)),
        })
    }

    /// `pixels`, preprocessed: `[image, 3, row, column]`, or patches of pictures that keep their aspect ratio -> embeddings `[image,
    /// unit]`, not normalised; all tokens, `[image, token, unit]`, where the tower does not pool them.
    pub fn embed_images<'a>(
        &self,
        tape: &mut Tape<F>,
        pixels: impl Into<PixelsRef<'a, F>>,
        hook: &mut dyn Hook,
    ) -> Result<Tensor<F>> {
        whole(self.vision.forward(tape, pixels.into(), &mut Watch::whole(hook)))
    }

    /// The same as far as `hook` wants to see: the forward ends at the last site that it wants.
    pub fn observe_images<'a>(
        &self,
        tape: &mut Tape<F>,
        pixels: impl Into<PixelsRef<'a, F>>,
        hook: &mut dyn Hook,
    ) -> Result<()> {
        let Some(last) = self.sites[0].iter().rev().find(|site| hook.wants(**site)) else { return Ok(()) };
        seen(self.vision.forward(tape, pixels.into(), &mut Watch::until(hook, *last)))
    }

    /// -> embeddings `[text, unit]`, not normalised.
    ///
    /// # Errors
    /// When there is no text tower.
    pub fn embed_texts(&self, tape: &mut Tape<F>, tokens: &Tokens, hook: &mut dyn Hook) -> Result<Tensor<F>> {
        whole(self.text()?.forward(tape, tokens, &mut Watch::whole(hook)))
    }

    /// The same as far as `hook` wants to see: the forward ends at the last site that it wants.
    ///
    /// # Errors
    /// When there is no text tower.
    pub fn observe_texts(&self, tape: &mut Tape<F>, tokens: &Tokens, hook: &mut dyn Hook) -> Result<()> {
        let Some(last) = self.sites[1].iter().rev().find(|site| hook.wants(**site)) else { return Ok(()) };
        seen(self.text()?.forward(tape, tokens, &mut Watch::until(hook, *last)))
    }

    /// The rest of [`embed_images`](Self::embed_images): from the residual stream `[image, token, unit]` before block `layer`
    /// ([`BlockPoint::ResidPre`]; the number of blocks stands for what is behind the last), with the bytes that a whole forward gives.
    /// `grids` are those of the pixels; none where all pictures have the tower's.
    ///
    /// # Errors
    /// When the tower has no such place, or the stream another shape.
    pub fn resume_images(
        &self,
        tape: &mut Tape<F>,
        (layer, stream): (usize, Tensor<F>),
        grids: &[[usize; 2]],
        hook: &mut dyn Hook,
    ) -> Result<Tensor<F>> {
        self.vision.check_stream(layer, &stream, grids)?;
        whole(self.vision.resume(tape, (layer, stream), grids, &mut Watch::whole(hook)))
    }

    /// The rest of [`embed_texts`](Self::embed_texts), likewise; of `tokens` it takes which of them are seen and where texts end.
    ///
    /// # Errors
    /// When there is no text tower, it has no such place, or the stream another shape.
    pub fn resume_texts(
        &self,
        tape: &mut Tape<F>,
        (layer, stream): (usize, Tensor<F>),
        tokens: &Tokens,
        hook: &mut dyn Hook,
    ) -> Result<Tensor<F>> {
        let text = self.text()?;
        check_stream((layer, text.blocks.len()), &stream, [tokens.ends().len(), tokens.length(), text.width()])?;
        whole(text.resume(tape, (layer, stream), tokens, &mut Watch::whole(hook)))
    }

    /// From inside block `layer` of a tower to its end, [`BlockPoint::ResidPost`]: `[row, token, unit]`.
    ///
    /// # Errors
    /// When there is no such block. Shapes are the caller's to keep.
    pub(crate) fn finish_block(
        &self,
        tape: &mut Tape<F>,
        (tower, layer): (Tower, usize),
        from: Inside<F>,
        hook: &mut dyn Hook,
    ) -> Result<Tensor<F>> {
        let blocks = match tower {
            Tower::Vision => &self.vision.blocks,
            Tower::Text => &self.text()?.blocks,
        };
        let none = || Error::mismatch("block", format!("one of {}", blocks.len()), layer);
        let block = blocks.get(layer).ok_or_else(none)?;
        let site = |point: BlockPoint| Site { tower, point: Point::Block(layer, point) };
        whole(block.rest(tape, from, &site, &mut Watch::whole(hook)))
    }

    fn text(&self) -> Result<&TextTower<F>> {
        self.text.as_ref().ok_or_else(|| Error::mismatch("model", "a text tower", "none"))
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

/// The result of a forward that may have ended early.
fn seen<T>(step: Step<T>) -> Result<()> {
    match step {
        Ok(_) | Err(End::Seen) => Ok(()),
        Err(End::Failed(error)) => Err(error),
    }
}

/// The result of a forward to its end.
fn whole<T>(step: Step<T>) -> Result<T> {
    step.map_err(|end| match end {
        End::Failed(error) => error,
        End::Seen => unreachable!("a forward without a last site ends early"),
    })
}
