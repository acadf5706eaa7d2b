//! From embeddings, and what was measured on a model, to all that one run of the study found.

use super::additive::additive_fit;
use super::checks::{Check, of_embeddings};
use super::embedding_pair::named;
use super::embeddings::Embeddings;
use super::feature::{FEATURES, Truth, linked, pairs};
use super::findings::findings;
use super::link::{OfPairs, links};
use super::measured::Measured;
use super::plane::planes;
use super::published::{self, PublishedPair};
use super::result::{Study, StudyConfig};
use super::separability::{Separability, full, principal};
use super::shows::shows;
use super::{ARXIV, SCHEMA};
use crate::{Error, Result};
use rayon::prelude::*;

/// All 120 pairs.
struct Separabilities {
    full: Vec<Separability>,
    principal: Vec<Separability>,
}

impl Separabilities {
    fn of(embeddings: &Embeddings, truth: &Truth) -> Result<Self> {
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
