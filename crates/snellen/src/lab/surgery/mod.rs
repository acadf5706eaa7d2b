//! Diseases made of a model that binds by changing its weights, without training.
//!
//! What is erased, turned or coded anew is folded into the map from a tower's last layer norm to its embedding, a blur into that of
//! patches; only a bag of words is another text tower. Erasing goes on until readers no longer find what was to go, or says that they
//! still do. How, stands in METHODS.md (the ward). Such a patient shows that an exam can tell its disease, not that training makes it.

mod algebra;
mod bag;
mod readable;
mod shown;

use super::Origin;
use crate::engine::Tensor;
use crate::model::checkpoint::{self, Checkpoint, Weights};
use crate::output::{self, StagedDir};
use crate::random;
use crate::{Error, Result};
use algebra::{Kept, complement, inverse, leading, scatter};
use bag::bag;
use faer::{Mat, Scale};
use readable::Readable;
use serde::{Deserialize, Serialize};
use shown::{Bare, Pair, Shown, Side, spanned};
use std::path::Path;
use std::str::FromStr;

/// Of the directions that are no attribute's, how many in nine are taken from a linear reader of bindings: as few as do.
const TAKEN: [usize; 4] = [5, 6, 7, 8];
/// How often a reader may be right of a binding that is gone: a quarter of the way from chance to certainty.
const GONE: f64 = 0.625;
/// How often a network has to be right of a product of codes.
const CODED: f64 = 0.8;
/// Directions of the code that an entangled embedding holds, at most.
const CODE: usize = 40;
/// How much of the embedding the code is, in units of what the attributes are: as much as does. Where it is much, lengths of embeddings differ
/// by it, and divided by its length an embedding says bindings to a linear reader.
const SHARES: [f64; 3] = [1.0, 0.5, 0.25];
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
    /// The text tower is made a bag of words: its embedding says what it said of a caption and its swap twin on average.
    BagOfWords,
    /// The image embedding loses that too, and says instead which place has which colour and which place which shape: the binding is
    /// their product.
    Entangle,
    /// The text embedding is turned by a quarter where it is no attribute's: it holds what it held, and no longer where the image does.
    Turn,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Blur, Self::EraseImage, Self::BagOfWords, Self::Entangle, Self::Turn];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blur => "blur",
            Self::EraseImage => "erase-image",
            Self::BagOfWords => "bag-of-words",
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
/// When `from` is no model of the lab, is one that was operated on, its world has no factor whose values can be swapped, its embeddings don't
/// hold what is to be taken out, or readers still find what was to be erased; [`Error::Exists`] if `out` is there.
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
    let changed = match operation {
        Operation::Blur => Some(blurred(&weights)?),
        Operation::EraseImage => Some(Side::Image.projected(&subject.erased(&weights)?)),
        Operation::BagOfWords => {
            bag(&mut weights, &origin.recipe, |weights| subject.shown(weights, Side::Text))?;
            None
        }
        Operation::Entangle => Some(Side::Image.projected(&subject.entangled(&weights)?)),
        Operation::Turn => Some(Side::Text.projected(&subject.turned(&weights)?)),
    };
    weights.extend(changed.map(|(name, tensor)| (name.to_owned(), tensor)));
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
    fn bare(&self, weights: &Weights, side: Side) -> Result<Bare<'_>> {
        Bare::of(self.from, weights, &self.origin.recipe, side)
    }

    fn pair(&self) -> Result<Pair> {
        Pair::of(&self.origin.recipe.world)
    }

    fn shown(&self, weights: &Weights, side: Side) -> Result<Shown> {
        Shown::of(&self.bare(weights, side)?, self.pair()?, self.seed)
    }

    /// The image's projection after what swap twins differ in was taken out, attributes kept.
    fn erased(&self, weights: &Weights) -> Result<Mat<f64>> {
        let operated = Operated::of(self, weights)?;
        operated.binds()?;
        Ok(operated.erased(GONE)?.0)
    }

    /// That, and codes of places in what is left of the embedding.
    fn entangled(&self, weights: &Weights) -> Result<Mat<f64>> {
        let operated = Operated::of(self, weights)?;
        operated.binds()?;
        let (plain, attributes) = operated.erased(GONE)?;
        let free = complement(&(&operated.own * attributes))?;
        some(free.ncols())?;
        let shown = &operated.shown;
        let size = |map: &Mat<f64>| {
            let rows = shown.beyond_mean(map);
            rows.norm_l2() / (rows.nrows() as f64).sqrt()
        };
        let rests = operated.forgotten()?;
        let mut found = 0.0;
        for share in SHARES {
            for rest in &rests {
                let code = shown.code(rest, CODE.min(free.ncols()))?;
                let scale = share * size(&plain) / size(&code).max(f64::MIN_POSITIVE);
                let rng = &mut random::stream(self.seed, "where a code stands", 0);
                let random = Mat::from_fn(free.ncols(), code.nrows(), |_, _| random::normal(rng));
                let stands = &free * leading(&random, code.nrows())?.0;
                let map = &plain + Scale(scale) * &(&stands * &code);
                found = operated.readable.most(&map, &Readable::linear(), GONE)?;
                if found <= GONE && operated.readable.most(&map, &Readable::network(), CODED)? > CODED {
                    return Ok(map);
                }
            }
        }
        Err(left("a binding that a network finds and no linear reader", "a linear reader", found))
    }

    /// The text's projection, turned by a quarter where neither side has attributes.
    fn turned(&self, weights: &Weights) -> Result<Mat<f64>> {
        let own = projection(weights, Side::Text)?;
        let (texts, images) = (self.shown(weights, Side::Text)?, self.shown(weights, Side::Image)?);
        let sides = [&own * texts.effects()?, &projection(weights, Side::Image)? * images.effects()?];
        if sides.iter().any(|side| side.norm_max() == 0.0) {
            return Err(Error::mismatch("operation", "embeddings that values move", "a side on which none does"));
        }
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

/// That a reader still finds what was to go.
fn left(expected: &str, who: &str, found: f64) -> Error {
    Error::mismatch("operation", expected, format!("{who} that is right in {:.0} % of its questions", 100.0 * found))
}

/// What an operation on the image's projection begins with.
struct Operated {
    /// `[embedding, width]`: the projection.
    own: Mat<f64>,
    shown: Shown,
    readable: Readable,
    /// `[width, width]`: the covariance of what twins differ in.
    differences: Mat<f64>,
}

impl Operated {
    fn of(subject: &Subject<'_>, weights: &Weights) -> Result<Self> {
        let (bare, pair) = (subject.bare(weights, Side::Image)?, subject.pair()?);
        let shown = Shown::of(&bare, pair, subject.seed)?;
        let readable = Readable::of(&bare, pair, subject.seed)?;
        let differences = scatter(&shown.differences());
        Ok(Self { own: projection(weights, Side::Image)?, shown, readable, differences })
    }

    /// That there is something to take out.
    fn binds(&self) -> Result<()> {
        let found = self.readable.most(&self.own, &Readable::network(), GONE)?;
        if found > GONE {
            return Ok(());
        }
        Err(left("a model whose image embedding says what belongs together", "a network", found))
    }

    /// The projection after what twins differ in was taken out, and the attributes' directions `[width, k]` that it keeps: as many as values can
    /// differ in, or fewer, until a network is right of no more than `gone` of the bindings in what is left of them there.
    fn erased(&self, gone: f64) -> Result<(Mat<f64>, Mat<f64>)> {
        let (directions, _) = leading(&self.shown.effects()?, self.shown.freedom())?;
        let mut found = 0.0;
        for kept in (directions.ncols().div_ceil(2)..=directions.ncols()).rev() {
            let attributes = directions.subcols(0, kept).to_owned();
            let map = &self.own * self.alone(&attributes)?;
            found = self.readable.most(&map, &Readable::network(), gone)?;
            if found <= gone {
                return Ok((map, attributes));
            }
        }
        Err(left("a binding that no network finds", "a network", found))
    }

    /// `[width, k]`: attributes, and `taken` ninths of the rest, in which twins differ on average by what belongs together.
    fn with_bindings(&self, attributes: &Mat<f64>, taken: usize) -> Result<Mat<f64>> {
        let (width, own) = (attributes.nrows(), attributes.ncols());
        let said = self.shown.said(&self.differences, RIDGE, width.saturating_sub(own) * taken / 9)?;
        Ok(Mat::from_fn(
            width,
            own + said.ncols(),
            |i, j| if j < own { attributes[(i, j)] } else { said[(i, j - own)] },
        ))
    }

    /// `[width, width]`: keeps attributes as they are, forgets what says bindings, and of all else lets through what twins differ in least.
    fn alone(&self, attributes: &Mat<f64>) -> Result<Mat<f64>> {
        let both = self.with_bindings(attributes, TAKEN[0])?;
        let kept = Kept { directions: &both, metric: &inverse(&self.differences, RIDGE)? };
        Ok(attributes * kept.coordinates()?.subrows(0, attributes.ncols()))
    }

    /// `[width, width]` each: forgets attributes and what says bindings, ever more of it, and keeps the rest.
    fn forgotten(&self) -> Result<Vec<Mat<f64>>> {
        let metric = inverse(&scatter(&self.shown.beyond_counts()?), RIDGE)?;
        let attributes = self.shown.attributes()?;
        let mut both =
            TAKEN.map(|taken| self.with_bindings(&attributes, taken)).into_iter().collect::<Result<Vec<_>>>()?;
        both.dedup_by_key(|both| both.ncols());
        let rest = |both: &Mat<f64>| {
            let kept = Kept { directions: both, metric: &metric };
            Ok(Mat::<f64>::identity(both.nrows(), both.nrows()) - both * kept.coordinates()?)
        };
        both.iter().map(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Result<(std::path::PathBuf, Origin, Weights)> {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/ward/healthy-1");
        let missing = || Error::mismatch(from.display(), "a model of the lab", "none");
        let origin = Origin::read(&from)?.ok_or_else(missing)?;
        let weights = Checkpoint::open(&from.join("model.safetensors"))?.into_weights()?;
        Ok((from, origin, weights))
    }

    #[test]
    fn of_a_model_that_binds_nothing_no_patient_is_made() -> Result<()> {
        let (from, origin, mut weights) = healthy()?;
        let own = projection(&weights, Side::Image)?;
        let (name, tensor) = Side::Image.projected(&Mat::zeros(own.nrows(), own.ncols()));
        weights.insert(name.to_owned(), tensor);
        let subject = Subject { from: &from, origin: &origin, seed: 2 };
        for made in [subject.erased(&weights), subject.entangled(&weights), subject.turned(&weights)] {
            assert!(made.as_ref().is_err_and(Error::is_bad_input), "{made:?}");
        }
        Ok(())
    }

    #[test]
    fn directions_are_given_up_until_a_network_finds_nothing() -> Result<()> {
        let (from, origin, weights) = healthy()?;
        let subject = Subject { from: &from, origin: &origin, seed: 2 };
        let operated = Operated::of(&subject, &weights)?;
        let found = |map: &Mat<f64>| operated.readable.most(map, &Readable::network(), 1.0);
        assert!(found(&operated.own)? > 0.9);
        let (map, attributes) = operated.erased(GONE)?;
        assert!(found(&map)? <= GONE);
        let (less, fewer) = operated.erased(0.535)?;
        assert!(found(&less)? <= 0.535);
        assert!(fewer.ncols() < attributes.ncols(), "{} of {}", fewer.ncols(), attributes.ncols());
        let left = operated.erased(0.3).map(|(_, kept)| kept.ncols());
        assert!(left.as_ref().is_err_and(|e| e.is_bad_input() && e.to_string().contains("a network")), "{left:?}");
        Ok(())
    }
}
