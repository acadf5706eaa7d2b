//! Everything that one run of the study found.

use super::additive::{AdditiveFit, additive_fit};
use super::chain::Measured;
use super::checks::{Check, of_embeddings};
use super::embeddings::Embeddings;
use super::feature::{FEATURES, Truth, linked, pairs};
use super::findings::findings;
use super::link::{Links, OfPairs, links};
use super::plane::{Planes, planes};
use super::published::{self, PublishedPair};
use super::separability::{Separability, full, principal};
use super::shows::{Shows, shows};
use super::{ARXIV, SCHEMA};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::Serialize;

/// How a study is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudyConfig {
    /// Of what is drawn: sets of images, folds, permutations where there are too many, and where maps begin.
    pub seed: u64,
    /// Whether pairs are looked at on t-SNE maps too, which takes about a minute.
    pub tsne: bool,
}

/// The contents of `study.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Study {
    /// [`SCHEMA`].
    pub schema: u32,
    /// [`ARXIV`].
    pub study: &'static str,
    /// Version of snellen that made it.
    pub snellen: &'static str,
    /// Of what was drawn.
    pub seed: u64,
    /// Images.
    pub images: usize,
    /// The 120 pairs, on all coordinates of the embeddings.
    pub embedding_pairs: Vec<EmbeddingPair>,
    /// The 120 pairs on their principal components.
    pub embedding_pairs_pca: Vec<EmbeddingPair>,
    /// The link among the 55 pairs without positions, as the study draws it.
    pub links: Links,
    /// The same among all 120 pairs.
    pub links_all_pairs: Links,
    /// The pairs on t-SNE maps, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tsne: Option<Planes>,
    /// Where the sums of ratios come from: `published`, or `measured` on a model.
    pub sums: &'static str,
    /// Whether those sums say anything of pairs.
    pub additive_fit: AdditiveFit,
    /// What the numbers show.
    pub shows: Shows,
    /// What the numbers show, in sentences.
    pub findings: Vec<String>,
    /// Every number that the study printed and that could be compared, by kind.
    pub checks: Vec<Check>,
    /// What was measured on a model, where there was one.
    pub model: Option<Measured>,
}

/// Two features, told apart by embeddings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EmbeddingPair {
    /// The first name in byte order.
    pub concept_a: &'static str,
    /// The other.
    pub concept_b: &'static str,
    /// Distance of the means.
    pub distance: f64,
    /// Images nearer to the other mean.
    pub misclassified: usize,
    /// Images with exactly one of the two.
    pub n_images: usize,
    /// Principal components in use; absent where all coordinates are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<usize>,
}

/// All 120 pairs.
pub(super) struct Separabilities {
    full: Vec<Separability>,
    principal: Vec<Separability>,
}

impl Separabilities {
    pub(super) fn of(embeddings: &Embeddings, truth: &Truth) -> Result<Self> {
        let sides = pairs().map(|pair| truth.either(pair)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            full: sides.par_iter().map(|sides| full(embeddings, sides)).collect(),
            principal: sides.par_iter().map(|sides| principal(embeddings, sides)).collect::<Result<_>>()?,
        })
    }

    /// x of the four links.
    fn of_links(&self) -> [OfPairs; 4] {
        let of = |pairs: &[Separability], value: fn(&Separability) -> f64| pairs.iter().map(value).collect();
        let distance: fn(&Separability) -> f64 = |pair| pair.distance;
        [
            of(&self.full, distance),
            of(&self.full, Separability::rate),
            of(&self.principal, distance),
            of(&self.principal, Separability::rate),
        ]
    }
}

/// With the names of their features.
pub(super) fn named(of_pairs: &[Separability]) -> Vec<EmbeddingPair> {
    let name = |([a, b], pair): ([usize; 2], &Separability)| EmbeddingPair {
        concept_a: FEATURES[a].name,
        concept_b: FEATURES[b].name,
        distance: pair.distance,
        misclassified: pair.misclassified,
        n_images: pair.images,
        components: pair.components,
    };
    pairs().zip(of_pairs).map(name).collect()
}

/// What `embeddings`, a row for each image of `truth`, say of the 120 pairs, beside the published sums of ratios.
///
/// # Errors
/// When the numbers of images differ, or a pair has no images to tell apart.
pub fn from_embeddings(embeddings: &Embeddings, truth: &Truth, with: StudyConfig) -> Result<Study> {
    assemble(embeddings, truth, None, with)
}

pub(super) fn assemble(
    embeddings: &Embeddings,
    truth: &Truth,
    model: Option<(Measured, Vec<Check>)>,
    with: StudyConfig,
) -> Result<Study> {
    if embeddings.images() != truth.images() {
        let expected = format!("{} rows, one per row of the labels", truth.images());
        return Err(Error::mismatch("embeddings", expected, embeddings.images()));
    }
    let published = published::pairs()?;
    let separabilities = Separabilities::of(embeddings, truth)?;
    let (model, of_model) = model.unzip();
    let printed = |pair: &PublishedPair| pair.sum.value;
    let (source, sums): (_, OfPairs) = match &model {
        None => ("published", published.iter().map(printed).collect()),
        Some(Measured { pairs, .. }) => ("measured", pairs.iter().map(|pair| pair.sum_ratios).collect()),
    };
    let x = separabilities.of_links();
    let all: Vec<usize> = (0..FEATURES.len()).collect();
    let mut checks = of_embeddings(&published, &separabilities.full);
    checks.extend(of_model.into_iter().flatten());
    let mut study = Study {
        schema: SCHEMA,
        study: ARXIV,
        snellen: env!("CARGO_PKG_VERSION"),
        seed: with.seed,
        images: truth.images(),
        embedding_pairs: named(&separabilities.full),
        embedding_pairs_pca: named(&separabilities.principal),
        links: links(&x, &sums, &linked(), with.seed),
        links_all_pairs: links(&x, &sums, &all, with.seed),
        tsne: with.tsne.then(|| planes(embeddings, truth, &sums, with.seed)).transpose()?,
        sums: source,
        additive_fit: additive_fit(&sums),
        shows: shows(embeddings, truth, &separabilities.full, &sums, with.seed),
        findings: Vec::new(),
        checks,
        model,
    };
    study.findings = findings(&study)?;
    Ok(study)
}

impl Study {
    /// `study.json`: the same study gives the same bytes.
    ///
    /// # Errors
    /// Never, unless a number cannot be written.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|e| Error::malformed("study.json", e))?;
        json.push(b'\n');
        Ok(json)
    }

    /// Whether every printed number that was compared is ours.
    ///
    /// # Errors
    /// [`Error::Disagrees`] with the first that is not.
    pub fn agrees(&self) -> Result<()> {
        let Some(check) = self.checks.iter().find(|check| check.differing > 0) else { return Ok(()) };
        let first = check.first.as_ref().map_or(String::new(), |(what, printed, ours)| {
            let ours = ours.map_or("none".to_owned(), |ours| ours.to_string());
            format!(", the first {what}: printed {printed}, ours {ours}")
        });
        let others = self.checks.iter().filter(|check| check.differing > 0).count() - 1;
        let more = if others > 0 { format!("; {others} more kinds differ") } else { String::new() };
        let summary = format!("{}: {} of {} differ{first}{more}", check.quantity, check.differing, check.printed);
        Err(Error::Disagrees { place: format!("arXiv {ARXIV}"), summary })
    }
}
