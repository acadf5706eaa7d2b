//! What an exam found: plain structs with a schema number, written as JSON, and a page that shows them.
//!
//! The page shows nothing but what `report.json` says and pictures: it is rendered from the JSON.

pub(crate) mod html;
pub mod verdict;

pub use html::{Gallery, Picture, write_html};

use crate::intervene::Cost;
use crate::measure::control::SiteControl;
use crate::measure::encodes::Counts;
use crate::measure::factorial::UnitClass;
use crate::measure::proportion::{Difference, Proportion};
use crate::measure::spatial::Spatial;
use crate::measure::spread::Spread;
use crate::measure::superposition::Together;
use crate::measure::{Confidence, Interval};
use crate::model::Preprocessing;
use crate::{Error, Result, output};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The `schema` that is written.
pub const SCHEMA: u32 = 6;

/// The largest `report.json` that is read, in bytes.
const MAX_BYTES: u64 = 1 << 28;

/// The contents of `report.json`. Accuracies are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of snellen that made it.
    pub snellen: String,
    /// Seed of scenes, halves and nulls.
    pub seed: u64,
    /// Of every interval.
    pub confidence: Confidence,
    /// Who was examined: the name of a model's folder, of the bundled model, or what the caller says.
    pub name: String,
    /// The model, where it is one whose activations can be recorded.
    pub model: Option<ModelCard>,
    /// How it was trained, where that is known.
    pub training: Option<TrainingCard>,
    /// The world that scenes were made of, where it is one that comes with the program; `None` of any other, and of images that were given.
    #[serde(default)]
    pub world: Option<String>,
    /// What was shown.
    pub scenes: Vec<SceneSet>,
    /// Captions around the objects, `{}` standing for them: all that the model was asked in.
    pub templates: Vec<String>,
    /// Which link of the chain from picture to answer fails; `None` where it was not asked.
    pub verdict: Option<verdict::Verdict>,
    /// What the questions gave, in the order in which they were asked.
    pub questions: Vec<QuestionCard>,
    /// Which units stand for what; `None` of an examinee without activations.
    pub units: Option<Units>,
    /// Whether concepts that interfere with one another for a linear reader are those that the model's own answers confuse.
    pub confusions: Vec<Confusions>,
    /// Whether the units that concepts share help or hinder binding; `None` where that was not asked.
    pub cause: Option<Cost>,
    /// What the numbers say, in sentences, and what they do not.
    pub findings: Vec<String>,
}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// BLAKE3 of the weights' file.
    pub weights_hash: String,
    /// Number of weights.
    pub parameters: usize,
    /// The vision tower.
    pub vision: TowerCard,
    /// The text tower, where there is one.
    pub text: Option<TowerCard>,
    /// Height and width of the input, in pixels.
    pub image: usize,
    /// Height and width of a patch, in pixels.
    pub patch: usize,
    /// Width of the embeddings.
    pub embedding: usize,
    /// How pictures become pixels.
    pub preprocessing: Preprocessing,
}

/// A tower's sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TowerCard {
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Hidden units of every MLP.
    pub mlp: usize,
}

/// How an examinee was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingCard {
    /// What for.
    pub purpose: String,
    /// Its seed.
    pub seed: u64,
    /// Updates.
    pub steps: usize,
    /// Pictures that it saw.
    pub images: usize,
    /// Combinations that it never saw.
    pub held_out: Vec<String>,
}

/// Some of the scenes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SceneSet {
    /// `single objects`, `swap twins`, ...
    pub name: String,
    /// What for.
    pub purpose: String,
    /// How many.
    pub images: usize,
}

/// An accuracy beside what guessing would give.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The accuracy and its interval.
    #[serde(flatten)]
    pub accuracy: Proportion,
    /// That of guessing.
    pub chance: f64,
}

/// What a question gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionCard {
    /// Its name, such as `recognition`.
    pub id: String,
    /// Its heading: what is shown.
    pub title: String,
    /// What for.
    pub purpose: String,
    /// What is asked and how.
    pub about: String,
    /// Images that were shown.
    pub images: usize,
    /// Why it was not asked, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// Parts of it that were not asked, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out_parts: Vec<String>,
    /// Accuracies.
    pub rates: Vec<NamedRate>,
    /// Differences of accuracies.
    pub contrasts: Vec<Contrast>,
    /// Other numbers.
    pub numbers: Vec<NamedNumber>,
    /// Accuracies by the values of two factors.
    pub grid: Option<Grid>,
    /// By factor: what was shown against what was said.
    pub said: Vec<SaidOf>,
}

/// What was said of each value of a factor: its confusion matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaidOf {
    /// The factor.
    pub factor: String,
    /// Its values.
    pub values: Vec<String>,
    /// `[shown][said]`: shares of the images of a value, ties shared out; a row sums to 1.
    pub shares: Vec<Vec<f64>>,
}

/// An accuracy with its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedRate {
    /// Its name, such as `swap`.
    pub id: String,
    /// Its name for readers.
    pub title: String,
    /// The accuracy.
    #[serde(flatten)]
    pub rate: Rate,
}

/// A difference of accuracies with its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// Its name, such as `generalisation_gap`.
    pub id: String,
    /// Its name for readers.
    pub title: String,
    /// The difference, from -1 to 1.
    #[serde(flatten)]
    pub difference: Difference,
}

/// A number with its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedNumber {
    /// Its name, such as `ties`.
    pub id: String,
    /// Its name for readers.
    pub title: String,
    /// The number.
    pub value: f64,
    /// Whether it is a share, from 0 to 1.
    pub share: bool,
}

/// Accuracies by the values of two factors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// The factor of the rows.
    pub rows: String,
    /// The factor of the columns.
    pub columns: String,
    /// Row after row.
    pub cells: Vec<GridCell>,
}

/// One combination of two values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridCell {
    /// The value of the rows' factor.
    pub row: String,
    /// The value of the columns' factor.
    pub column: String,
    /// Whether training showed the combination; `None` where that is not known.
    pub seen: Option<bool>,
    /// Share of its images that were answered right; ties count in part.
    pub accuracy: f64,
    /// Its images.
    pub n: usize,
}

impl QuestionCard {
    /// The accuracy called `id`.
    pub fn rate(&self, id: &str) -> Option<&Rate> {
        self.rates.iter().find(|rate| rate.id == id).map(|named| &named.rate)
    }

    /// The difference called `id`.
    pub fn contrast(&self, id: &str) -> Option<&Difference> {
        self.contrasts.iter().find(|contrast| contrast.id == id).map(|named| &named.difference)
    }

    /// The number called `id`.
    pub fn number(&self, id: &str) -> Option<f64> {
        self.numbers.iter().find(|number| number.id == id).map(|named| named.value)
    }
}

impl Report {
    /// What the question `id` gave.
    pub fn question(&self, id: &str) -> Option<&QuestionCard> {
        self.questions.iter().find(|question| question.id == id)
    }

    /// The accuracy `id` of the question `question`.
    pub fn rate(&self, question: &str, id: &str) -> Option<&Rate> {
        self.question(question)?.rate(id)
    }
}

/// The unit measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Units {
    /// Concepts, in the order of the counts.
    pub concepts: Vec<String>,
    /// The adjusted p that a unit's choosing half may not exceed.
    pub q: f64,
    /// The effect that its held-out half must reach.
    pub min_effect: f64,
    /// Images.
    pub images: usize,
    /// By site.
    pub sites: Vec<SiteUnits>,
    /// The strongest unit of each concept, of the sites that have patches.
    pub strongest: Vec<UnitCard>,
    /// The clearest unit of each class, by what makes it of its class (`eta2_count`, `eta2_main` or `eta2_interaction`), of the same sites.
    pub clearest: Vec<ClassCard>,
    /// The concepts that move the probe of another most, their functional interference, for a linear reader of the last site.
    pub interference: Vec<PairCard>,
    /// What untrained models of the same shape give, all sites together; none where there was no control.
    pub controls: Vec<UnitsControl>,
    /// What the leading principal components of the raw pixels give, as units of a site; `None` where they were not asked.
    pub pixels: Option<SiteUnits>,
}

/// What the units of untrained models give, all sites together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitsControl {
    /// How they were made: `fresh`, `shuffled`, or what the caller says.
    pub name: String,
    /// Models of this kind.
    pub models: usize,
    /// Units that encode at least one concept.
    pub encoding: Spread,
    /// Units of each class.
    pub classes: BTreeMap<UnitClass, Spread>,
}

/// The units of one site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteUnits {
    /// Its name.
    pub site: String,
    /// The token policy.
    pub tokens: String,
    /// How many units it has.
    pub units: usize,
    /// Units without a score: constant.
    pub flagged: usize,
    /// Units that encode each concept, and at least one.
    pub encoding: Counts,
    /// The same with labels permuted within strata.
    pub null: Counts,
    /// How many units are of each class; classes that no unit is of are left out.
    pub classes: BTreeMap<UnitClass, usize>,
    /// Its concepts together; `None` of too few images.
    pub together: Option<Together>,
    /// What the same site of untrained models gives.
    pub controls: Vec<SiteControl>,
}

/// A unit of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassCard {
    /// The class.
    pub class: UnitClass,
    /// Its site.
    pub site: String,
    /// The token policy.
    pub tokens: String,
    /// Its number in the site.
    pub unit: u32,
    /// The factors that its class is made of.
    pub factors: Vec<String>,
    /// The concepts that it encodes, strongest first.
    pub concepts: Vec<String>,
    /// What the terms of its class explain.
    pub cv_r2: f64,
    /// What the number of objects explains.
    pub eta2_count: Option<f64>,
    /// What the values of all factors explain beyond that.
    pub eta2_main: Option<f64>,
    /// What the best interaction explains beyond those.
    pub eta2_interaction: Option<f64>,
    /// Whether its strongest concept lowers it: then the images are those that lower it most.
    pub lowered: bool,
    /// Rows of the images of the held-out half that move it furthest.
    pub top_images: Vec<usize>,
}

/// Functional interference held against the model's own answers, over pairs of values of one factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusions {
    /// The site that is read.
    pub site: String,
    /// The factor.
    pub factor: String,
    /// Pairs of its values.
    pub pairs: usize,
    /// Pearson's r of interference and of how near pictures of one value come to being called the other.
    pub r: f64,
    /// Two-sided, by relabelling the values.
    pub p: f64,
    /// Labellings that it is made of.
    pub permutations: u64,
}

/// A concept that looks like another to a linear reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairCard {
    /// The site that is read.
    pub site: String,
    /// The concept that is asked for.
    pub of: String,
    /// The concept that is there.
    pub by: String,
    /// What its presence moves the reader by, in deviations.
    pub interference: Interval,
    /// The cosine of their directions.
    pub cos_cv: Option<Interval>,
}

/// How often a unit has which value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The smallest value.
    pub from: f64,
    /// The largest.
    pub to: f64,
    /// Images that show the concept, in bins of equal width.
    pub with: Vec<usize>,
    /// Images that do not.
    pub without: Vec<usize>,
}

/// One unit and the concept it encodes best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitCard {
    /// Its site.
    pub site: String,
    /// The token policy.
    pub tokens: String,
    /// Its number in the site.
    pub unit: u32,
    /// The concept.
    pub concept: String,
    /// Effect on the held-out half, -1 to 1.
    pub effect: f64,
    /// Its interval.
    pub effect_lo: f64,
    /// Its upper end.
    pub effect_hi: f64,
    /// Adjusted p on the choosing half.
    pub q: f64,
    /// What of the effect is left beyond the other concepts that the unit needs.
    pub partial: f64,
    /// Its interval.
    pub partial_lo: f64,
    /// Its upper end.
    pub partial_hi: f64,
    /// All concepts that the unit encodes, the strongest beyond the others first.
    pub concepts: Vec<String>,
    /// The unit's values on the held-out half, with and without the concept.
    pub histogram: Histogram,
    /// Rows of the images of the held-out half that excite it most (least, where the effect is negative).
    pub top_images: Vec<usize>,
    /// How many of those show the concept.
    pub top_with_concept: usize,
    /// The share of the held-out images that do.
    pub base_rate: f64,
    /// Whether it is active where the concept is; `None` without masks or patches.
    pub spatial: Option<Spatial>,
}

impl Report {
    /// `report.json`: the same report gives the same bytes.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|e| Error::malformed("report.json", e))?;
        json.push(b'\n');
        Ok(json)
    }

    /// Reads the `report.json` at `path`.
    ///
    /// # Errors
    /// When there is none, it is malformed, or of another schema.
    pub fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(Error::io(path))?;
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(Error::io(path))?;
        let malformed = |source| Error::malformed(path.display(), source);
        let head: Head = serde_json::from_slice(&bytes).map_err(malformed)?;
        if head.schema != SCHEMA {
            let got = format!("{}, of another version of snellen: hold the exam again", head.schema);
            return Err(Error::mismatch(format!("{}: `schema`", path.display()), SCHEMA, got));
        }
        serde_json::from_slice(&bytes).map_err(malformed)
    }

    /// Writes `report.json` into `folder`.
    pub fn write_json(&self, folder: &Path) -> Result<()> {
        output::write_file(&folder.join("report.json"), &self.to_json()?)
    }
}
