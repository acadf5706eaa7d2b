//! Diseases that training does not make, made by changing one projection of a model that binds.
//!
//! Weights of the towers stay as they are: what is erased, turned or coded anew is folded into the linear map from a tower's last
//! layer norm to its embedding. How, stands in METHODS.md (the ward). Such a patient shows that an exam can tell its disease, not that
//! training makes it.

mod algebra;
mod shown;

use super::Origin;
use crate::engine::Tensor;
use crate::model::checkpoint::{self, Checkpoint, Weights};
use crate::output::{self, StagedDir};
use crate::random;
use crate::{Error, Result};
use algebra::{Kept, complement, inverse, leading, scatter};
use faer::Mat;
use serde::{Deserialize, Serialize};
use shown::{Shown, Side};
use std::path::Path;
use std::str::FromStr;

/// Of the directions that are no attribute's, how many in nine are taken from a linear reader of bindings.
const TAKEN: usize = 5;
/// Directions of the code that an entangled embedding holds, at most.
const CODE: usize = 40;
/// Added to a covariance before it is inverted, as a share of its mean variance.
const RIDGE: f64 = 1e-4;

/// What is done to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The image embedding keeps what says the attributes, and loses what swap twins differ in.
    EraseImage,
    /// The same of the text embedding.
    EraseText,
    /// The image embedding loses that too, and says instead which place has which colour and which place which shape: the binding is
    /// their product.
    Entangle,
    /// The text embedding is turned by a quarter where it is no attribute's: it holds what it held, and no longer where the image does.
    Turn,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::EraseImage, Self::EraseText, Self::Entangle, Self::Turn];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::EraseImage => "erase-image",
            Self::EraseText => "erase-text",
            Self::Entangle => "entangle",
            Self::Turn => "turn",
        }
    }
}

impl FromStr for Operation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let known = Self::ALL.into_iter().find(|operation| operation.name() == text);
        known.ok_or_else(|| Error::mismatch("operation", format!("one of: {}", names()), format!("`{text}`")))
    }
}

/// Changes the model of the lab in `from` into the new folder `out`; `seed` draws the scenes that directions are estimated on. What was
/// done is noted in the `recipe.toml` there.
///
/// # Errors
/// When `from` is no model of the lab, is one that was operated on, or its world has no factor whose values can be swapped;
/// [`Error::Exists`] if `out` is there.
pub fn operate(from: &Path, operation: Operation, seed: u64, out: &Path) -> Result<()> {
    let staged = StagedDir::begin(out)?;
    let place = from.display();
    let origin = Origin::read(from)?.ok_or_else(|| Error::mismatch(&place, "a model of the lab", "no recipe.toml"))?;
    if let Some(operation) = origin.operation {
        return Err(Error::mismatch(&place, "a model as it was trained", format!("one after `{}`", operation.name())));
    }
    let file = from.join("model.safetensors");
    let mut weights = Checkpoint::open(&file)?.into_weights()?;
    let subject = Subject { from, origin: &origin, seed };
    let side = if matches!(operation, Operation::EraseText | Operation::Turn) { Side::Text } else { Side::Image };
    let projection = projection(&weights, side)?;
    let changed = match operation {
        Operation::EraseImage | Operation::EraseText => subject.erased(&weights, side)?,
        Operation::Entangle => subject.entangled(&weights)?,
        Operation::Turn => subject.turned(&weights)?,
    };
    let values = (0..projection.nrows()).flat_map(|i| (0..projection.ncols()).map(move |j| (i, j)));
    let values = values.map(|at| changed[at] as f32).collect();
    weights.insert(side.projection().to_owned(), Tensor::new([projection.nrows(), projection.ncols()], values));
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"] {
        let path = from.join(name);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        output::write_file(&staged.path().join(name), &bytes)?;
    }
    checkpoint::write(&staged.path().join("model.safetensors"), &weights, ("format", "pt"))?;
    Origin { operation: Some(operation), ..origin }.write(staged.path())?;
    staged.publish().map(drop)
}

/// The matrix `[embedding, width]` that makes embeddings of a side.
fn projection(weights: &Weights, side: Side) -> Result<Mat<f64>> {
    let name = side.projection();
    let missing = || Error::mismatch(format!("weight `{name}`"), "a matrix", "none");
    let tensor = weights.get(name).filter(|tensor| tensor.shape().len() == 2).ok_or_else(missing)?;
    Ok(Mat::from_fn(tensor.dim(0), tensor.dim(1), |i, j| f64::from(tensor.data()[i * tensor.dim(1) + j])))
}

/// Who is operated on.
struct Subject<'a> {
    from: &'a Path,
    origin: &'a Origin,
    seed: u64,
}

impl Subject<'_> {
    fn shown(&self, weights: &Weights, side: Side) -> Result<Shown> {
        Shown::of(self.from, weights, &self.origin.recipe, side, self.seed)
    }

    /// The projection after what swap twins differ in was taken out, attributes kept.
    fn erased(&self, weights: &Weights, side: Side) -> Result<Mat<f64>> {
        let shown = self.shown(weights, side)?;
        Ok(&projection(weights, side)? * &Binding::of(&shown)?.attributes_alone()?)
    }

    /// That, and codes of places in what is left of the embedding.
    fn entangled(&self, weights: &Weights) -> Result<Mat<f64>> {
        let shown = self.shown(weights, Side::Image)?;
        let binding = Binding::of(&shown)?;
        let own = projection(weights, Side::Image)?;
        let plain = &own * &binding.attributes_alone()?;
        let free = complement(&(&own * &binding.attributes))?;
        let code = shown.code(&binding.forgotten(&shown)?, CODE.min(free.ncols()))?;
        // As much of the embedding as the attributes are.
        let size = |map: &Mat<f64>| {
            let rows = shown.beyond_mean(map);
            rows.norm_l2() / (rows.nrows() as f64).sqrt()
        };
        let scale = size(&plain) / size(&code).max(f64::MIN_POSITIVE);
        let rng = &mut random::stream(self.seed, "where a code stands", 0);
        let random = Mat::from_fn(free.ncols(), code.nrows(), |_, _| random::normal(rng));
        let stands = &free * leading(&random, code.nrows())?.0;
        Ok(&plain + faer::Scale(scale) * &(&stands * &code))
    }

    /// The text's projection, turned by a quarter where neither side has attributes.
    fn turned(&self, weights: &Weights) -> Result<Mat<f64>> {
        let own = projection(weights, Side::Text)?;
        let (texts, images) = (self.shown(weights, Side::Text)?, self.shown(weights, Side::Image)?);
        let [texts, images] = [
            (&own * &Binding::of(&texts)?.attributes),
            (&projection(weights, Side::Image)? * &Binding::of(&images)?.attributes),
        ];
        let both = Mat::from_fn(own.nrows(), texts.ncols() + images.ncols(), |i, j| {
            if j < texts.ncols() { texts[(i, j)] } else { images[(i, j - texts.ncols())] }
        });
        let free = complement(&leading(&both, usize::MAX)?.0)?;
        let even = free.ncols() / 2 * 2;
        let free = free.subcols(0, even);
        let quarter = Mat::from_fn(even, even, |i, j| match (i ^ 1 == j, i < j) {
            (true, true) => 1.0,
            (true, false) => -1.0,
            _ => 0.0,
        });
        let inside = free.transpose() * &own;
        Ok(&own + free * &(&quarter * &inside - &inside))
    }
}

/// Directions `[width, k]` in what a projection is given.
struct Binding {
    /// That say the attributes.
    attributes: Mat<f64>,
    /// The same and those that say bindings to a linear reader.
    both: Mat<f64>,
    /// The covariance of what twins differ in.
    differences: Mat<f64>,
}

impl Binding {
    fn of(shown: &Shown) -> Result<Self> {
        let attributes = shown.attributes()?;
        let differences = scatter(&shown.differences());
        let width = differences.nrows();
        let taken = width.saturating_sub(attributes.ncols()) * TAKEN / 9;
        let said = shown.said(&differences, RIDGE, taken)?;
        let both = Mat::from_fn(width, attributes.ncols() + said.ncols(), |i, j| {
            if j < attributes.ncols() { attributes[(i, j)] } else { said[(i, j - attributes.ncols())] }
        });
        Ok(Self { attributes, both, differences })
    }

    /// `[width, width]`: keeps attributes as they are, forgets what says bindings, and of all else lets through what twins differ in least.
    fn attributes_alone(&self) -> Result<Mat<f64>> {
        let kept = Kept { directions: &self.both, metric: &inverse(&self.differences, RIDGE)? };
        let weights = kept.coordinates()?;
        Ok(&self.attributes * weights.subrows(0, self.attributes.ncols()))
    }

    /// `[width, width]`: forgets both and keeps the rest.
    fn forgotten(&self, shown: &Shown) -> Result<Mat<f64>> {
        let metric = inverse(&scatter(&shown.beyond_counts()?), RIDGE)?;
        let kept = Kept { directions: &self.both, metric: &metric };
        let width = self.both.nrows();
        Ok(Mat::<f64>::identity(width, width) - &self.both * kept.coordinates()?)
    }
}
