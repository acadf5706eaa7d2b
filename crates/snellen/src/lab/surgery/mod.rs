//! Diseases made by changing one linear map of a model that binds.
//!
//! All other weights stay as they are: what is erased, turned or coded anew is folded into the map from a tower's last layer norm to its
//! embedding, a blur into that of patches. How, stands in METHODS.md (the ward). Such a patient shows that an exam can tell its disease, not that
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
use shown::{Shown, Side, spanned};
use std::path::Path;
use std::str::FromStr;

/// Of the directions that are no attribute's, how many in nine are taken from a linear reader of bindings.
const TAKEN: usize = 5;
/// Directions of the code that an entangled embedding holds, at most.
const CODE: usize = 40;
/// Of what both sides' attributes add, directions shorter than this share of the longest are turned.
const MAIN: f64 = 0.15;
/// Added to a covariance before it is inverted, as a share of its mean variance.
const RIDGE: f64 = 1e-4;

/// What is done to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Of every patch of the picture the average is seen.
    Blur,
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
    pub const ALL: [Self; 5] = [Self::Blur, Self::EraseImage, Self::EraseText, Self::Entangle, Self::Turn];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blur => "blur",
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
    let (name, changed) = match operation {
        Operation::Blur => blurred(&weights)?,
        Operation::EraseImage => Side::Image.projected(&subject.erased(&weights, Side::Image)?),
        Operation::EraseText => Side::Text.projected(&subject.erased(&weights, Side::Text)?),
        Operation::Entangle => Side::Image.projected(&subject.entangled(&weights)?),
        Operation::Turn => Side::Text.projected(&subject.turned(&weights)?),
    };
    weights.insert(name.to_owned(), changed);
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"] {
        let path = from.join(name);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        output::write_file(&staged.path().join(name), &bytes)?;
    }
    checkpoint::write(&staged.path().join("model.safetensors"), &weights, ("format", "pt"))?;
    Origin { operation: Some(operation), ..origin }.write(staged.path())?;
    staged.publish().map(drop)
}

/// The weights of patches, each replaced by the mean over its patch and channel.
fn blurred(weights: &Weights) -> Result<(&'static str, Tensor<f32>)> {
    const PATCHES: &str = "vision_model.embeddings.patch_embedding.weight";
    let missing = || Error::mismatch(format!("weight `{PATCHES}`"), "[width, channel, row, column]", "none");
    let own = weights.get(PATCHES).filter(|tensor| tensor.shape().len() == 4).ok_or_else(missing)?;
    let area = own.dim(2) * own.dim(3);
    let mean = |patch: &[f32]| (patch.iter().map(|x| f64::from(*x)).sum::<f64>() / area as f64) as f32;
    let values = own.data().chunks(area).flat_map(|patch| std::iter::repeat_n(mean(patch), area)).collect();
    Ok((PATCHES, Tensor::new(own.shape(), values)))
}

impl Side {
    /// The weight that makes its embeddings, given as a matrix.
    fn projected(self, matrix: &Mat<f64>) -> (&'static str, Tensor<f32>) {
        let shape = [matrix.nrows(), matrix.ncols()];
        let values = matrix.row_iter().flat_map(|row| row.iter().map(|x| *x as f32).collect::<Vec<_>>()).collect();
        (self.projection(), Tensor::new(shape, values))
    }
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
        some(free.ncols())?;
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
        let sides = [&own * texts.effects()?, &projection(weights, Side::Image)? * images.effects()?];
        // Every effect counts alike: what a few of them share is no attribute's direction of its own.
        let effects = sides.iter().flat_map(|side| side.col_iter().map(|column| column.to_owned()));
        let effects: Vec<faer::Col<f64>> = effects.filter(|column| column.norm_l2() > 0.0).collect();
        let both = Mat::from_fn(own.nrows(), effects.len(), |i, j| effects[j][i] / effects[j].norm_l2());
        let free = complement(&spanned(&both, MAIN)?)?;
        let even = free.ncols() / 2 * 2;
        some(even)?;
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

/// That directions of the embedding are left.
fn some(directions: usize) -> Result<()> {
    if directions > 0 {
        return Ok(());
    }
    Err(Error::mismatch("operation", "directions of the embedding that no attribute takes", "none"))
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
