//! The rest of a forward behind a site: computed again for every edit, while what comes before is computed once.

use crate::engine::{Tape, Tensor, ops};
use crate::measure::Matrix;
use crate::model::tokenizer::Tokens;
use crate::model::{ActivationMut, BlockPoint, Hook, Inside, Model, Pixels, Point, Site, Tower};
use crate::{Error, Result, memory};
use std::ops::Range;

/// Rows of a batch. Even, so that twins are together.
pub(super) const BATCH: usize = 64;

/// A forward that goes on from a site, for the same rows again and again.
pub trait Rest {
    /// The site.
    fn site(&self) -> Site;

    /// Rows of each batch, of equal length but the last, which are even: rows 2 k and 2 k + 1 are twins.
    fn batches(&self) -> Vec<Range<usize>>;

    /// What the clean forward has at the site: shape as [`Site::shape`] documents, and values.
    fn values(&self, batch: usize) -> (&[usize], &[f32]);

    /// Embeddings `[row, unit]`, each of length 1, of the rows of `batch` with `values` at the site.
    ///
    /// # Errors
    /// When an embedding has no direction.
    fn go_on(&self, batch: usize, values: Vec<f32>) -> Result<Matrix>;
}

/// The rest of a model's forward.
pub struct ModelRest<'a> {
    model: &'a Model,
    site: Site,
    batches: Vec<Batch<'a>>,
}

/// What a batch needs to go on.
struct Batch<'a> {
    rows: Range<usize>,
    input: Input<'a>,
    shape: Vec<usize>,
    values: Vec<f32>,
    /// `[row, token, unit]`: the residual stream that the rest begins with, where it doesn't begin with the input.
    stream: Option<Tensor<f32>>,
}

enum Input<'a> {
    Images(&'a Pixels<f32>),
    Texts(Tokens),
}

/// What the rest of a forward begins with.
#[derive(Clone, Copy, PartialEq)]
enum Begins {
    /// The input.
    Input,
    /// The stream before a block.
    Before(usize),
    /// The stream between attention and MLP, for what the MLP makes of it.
    Mid(usize),
    /// The hidden units of the MLP.
    Post(usize),
    /// The heads' output.
    Z(usize),
}

impl Begins {
    fn of(site: Site, layers: usize) -> Self {
        match site.point {
            Point::Embed | Point::PosEmbed | Point::LnPre => Self::Input,
            Point::LnFinal | Point::Head(_) | Point::Embeds => Self::Before(layers),
            Point::Block(layer, point) => match point {
                BlockPoint::MlpPost => Self::Post(layer),
                BlockPoint::Z => Self::Z(layer),
                BlockPoint::MlpPre | BlockPoint::MlpPreLinear | BlockPoint::MlpOut | BlockPoint::ResidMid => {
                    Self::Mid(layer)
                }
                BlockPoint::ResidPost => Self::Before(layer + 1),
                _ => Self::Before(layer),
            },
        }
    }

    /// The site whose values are kept beside the edited site's.
    fn kept(self, tower: Tower, layers: usize) -> Option<Site> {
        let at = |layer: usize, point| Some(Site { tower, point: Point::Block(layer, point) });
        match self {
            Self::Input => None,
            Self::Before(0) => at(0, BlockPoint::ResidPre),
            Self::Before(layer) if layer == layers => at(layer - 1, BlockPoint::ResidPost),
            Self::Before(layer) | Self::Z(layer) => at(layer, BlockPoint::ResidPre),
            Self::Mid(layer) | Self::Post(layer) => at(layer, BlockPoint::ResidMid),
        }
    }
}

impl<'a> ModelRest<'a> {
    /// Of a forward over images, whose `pixels` come in batches of 64, which is run as far as is needed.
    ///
    /// # Errors
    /// When the model has no such site, or there is no memory for what is kept.
    pub fn of_images(model: &'a Model, site: Site, pixels: &'a [Pixels<f32>]) -> Result<Self> {
        let rows = pixels.iter().map(|pixels| pixels.values.dim(0)).collect();
        Self::new(model, site, rows, (0, &|batch, _| Input::Images(&pixels[batch])))
    }

    /// Of a forward over texts.
    ///
    /// # Errors
    /// As [`of_images`](Self::of_images).
    pub fn of_texts(model: &'a Model, site: Site, tokens: &Tokens) -> Result<Self> {
        let count = tokens.ends().len();
        let rows = (0..count).step_by(BATCH).map(|first| BATCH.min(count - first)).collect();
        Self::new(model, site, rows, (tokens.length(), &|_, rows| Input::Texts(tokens.rows(rows))))
    }

    fn new(
        model: &'a Model,
        site: Site,
        rows: Vec<usize>,
        (length, input): (usize, &dyn Fn(usize, &[usize]) -> Input<'a>),
    ) -> Result<Self> {
        if !Site::all(&model.config, site.tower).contains(&site) {
            return Err(Error::mismatch(format!("site `{site}`"), "a site of this model", "none of its sites"));
        }
        let from = Begins::of(site, Self::layers(model, site.tower));
        let kept = from.kept(site.tower, Self::layers(model, site.tower));
        let each = [Some(site), kept].into_iter().flatten();
        let values: usize = each.map(|site| site.shape(&model.config, 1, length).iter().product::<usize>()).sum();
        let count: usize = rows.iter().sum();
        let bytes = (count as u64).saturating_mul((values * size_of::<f32>()) as u64);
        memory::check("twins", &format!("activations of {count} rows at `{site}`"), bytes)?;
        let (mut batches, mut first): (Vec<Batch<'a>>, usize) = (Vec::new(), 0);
        for (number, count) in rows.into_iter().enumerate() {
            let rows = first..first + count;
            first = rows.end;
            let input = input(number, &rows.clone().collect::<Vec<_>>());
            let mut seen = Seen { sites: [Some(site), kept], values: [None, None] };
            let tape = &mut Tape::off();
            match &input {
                Input::Images(pixels) => model.towers.observe_images(tape, *pixels, &mut seen)?,
                Input::Texts(tokens) => model.towers.observe_texts(tape, tokens, &mut seen)?,
            }
            let [own, stream] = seen.values;
            let (shape, values) = own.unwrap_or_default();
            // The residual stream before a block may be the site itself.
            let stream = stream.or_else(|| kept.map(|_| (shape.clone(), values.clone())));
            let stream = stream.map(|(shape, values)| Tensor::new(shape, values));
            batches.push(Batch { rows, input, shape, values, stream });
        }
        Ok(Self { model, site, batches })
    }

    fn layers(model: &Model, tower: Tower) -> usize {
        match (tower, &model.config.text) {
            (Tower::Text, Some(text)) => text.tower.layers,
            _ => model.config.vision.tower.layers,
        }
    }

    /// From the stream before block `layer` on.
    fn resume(&self, batch: &Batch<'_>, layer: usize, stream: Tensor<f32>, hook: &mut dyn Hook) -> Result<Tensor<f32>> {
        let (towers, tape) = (&self.model.towers, &mut Tape::off());
        match &batch.input {
            Input::Images(pixels) => towers.resume_images(tape, (layer, stream), &pixels.grids, hook),
            Input::Texts(tokens) => towers.resume_texts(tape, (layer, stream), tokens, hook),
        }
    }

    /// From inside a block on.
    fn finish(&self, batch: &Batch<'_>, layer: usize, inside: Inside<f32>, hook: &mut dyn Hook) -> Result<Tensor<f32>> {
        let at = (self.site.tower, layer);
        let stream = self.model.towers.finish_block(&mut Tape::off(), at, inside, hook)?;
        self.resume(batch, layer + 1, stream, &mut ())
    }
}

impl Rest for ModelRest<'_> {
    fn site(&self) -> Site {
        self.site
    }

    fn batches(&self) -> Vec<Range<usize>> {
        self.batches.iter().map(|batch| batch.rows.clone()).collect()
    }

    fn values(&self, batch: usize) -> (&[usize], &[f32]) {
        (&self.batches[batch].shape, &self.batches[batch].values)
    }

    fn go_on(&self, batch: usize, values: Vec<f32>) -> Result<Matrix> {
        let (number, batch) = (batch, &self.batches[batch]);
        let tape = &mut Tape::off();
        let layers = Self::layers(self.model, self.site.tower);
        let mut put = Put { site: self.site, values: &values };
        let embeds = match (Begins::of(self.site, layers), batch.stream.clone()) {
            (Begins::Before(layer), Some(_)) if self.is_stream(layer) => {
                self.resume(batch, layer, Tensor::new(batch.shape.clone(), values), &mut ())?
            }
            (Begins::Before(layer), Some(stream)) => self.resume(batch, layer, stream, &mut put)?,
            (Begins::Post(layer), Some(mid)) => {
                let post = Tensor::new(batch.shape.clone(), values);
                self.finish(batch, layer, Inside::Post { post, mid }, &mut ())?
            }
            (Begins::Z(layer), Some(pre)) => {
                let z = Tensor::new(batch.shape.clone(), values);
                self.finish(batch, layer, Inside::Z { z, pre }, &mut ())?
            }
            (Begins::Mid(layer), Some(_)) if self.site.point == Point::Block(layer, BlockPoint::ResidMid) => {
                let mid = Tensor::new(batch.shape.clone(), values);
                self.finish(batch, layer, Inside::Mid(mid), &mut ())?
            }
            (Begins::Mid(layer), Some(mid)) => self.finish(batch, layer, Inside::Mid(mid), &mut put)?,
            (Begins::Input, _) | (_, None) => match &batch.input {
                Input::Images(pixels) => self.model.towers.embed_images(tape, *pixels, &mut put)?,
                Input::Texts(tokens) => self.model.towers.embed_texts(tape, tokens, &mut put)?,
            },
        };
        unit_rows(&embeds, self.site, number * BATCH)
    }
}

impl ModelRest<'_> {
    /// Whether the edited site is the residual stream before block `layer`.
    fn is_stream(&self, layer: usize) -> bool {
        match self.site.point {
            Point::Block(own, BlockPoint::ResidPre) => own == layer,
            Point::Block(own, BlockPoint::ResidPost) => own + 1 == layer,
            _ => false,
        }
    }
}

/// `embeds` at length 1.
fn unit_rows(embeds: &Tensor<f32>, site: Site, first: usize) -> Result<Matrix> {
    if embeds.shape().len() != 2 {
        return Err(Error::mismatch("model", "a tower that pools its tokens", "one that gives tokens only"));
    }
    let unit = ops::unit_rows(&mut Tape::off(), embeds);
    let width = embeds.width();
    for (row, values) in unit.data().chunks(width).enumerate() {
        let length = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        if !(0.5..2.0).contains(&length) {
            let place = format!("site `{site}`, edited: embedding of row {}", first + row);
            return Err(Error::mismatch(place, "one of finite length above 0", length));
        }
    }
    Matrix::new(embeds.dim(0), width, unit.data().to_vec())
}

/// Keeps the values at two sites, of shape and numbers.
struct Seen {
    sites: [Option<Site>; 2],
    values: [Option<(Vec<usize>, Vec<f32>)>; 2],
}

impl Hook for Seen {
    fn wants(&self, site: Site) -> bool {
        self.sites.contains(&Some(site))
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        // The first of two equal ones.
        if let Some(k) = self.sites.iter().position(|own| *own == Some(site)) {
            self.values[k] = Some((x.shape.to_vec(), x.data.to_vec()));
        }
        Ok(())
    }
}

/// Puts values at a site.
struct Put<'a> {
    site: Site,
    values: &'a [f32],
}

impl Hook for Put<'_> {
    fn wants(&self, site: Site) -> bool {
        site == self.site
    }

    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        if x.data.len() != self.values.len() {
            let place = format!("site `{}`", self.site);
            return Err(Error::mismatch(place, format!("{} values", self.values.len()), x.data.len()));
        }
        x.data.copy_from_slice(self.values);
        Ok(())
    }
}
