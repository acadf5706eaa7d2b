//! Everything that one run of the study found.

use super::ARXIV;
use super::additive::AdditiveFit;
use super::checks::Check;
use super::embedding_pair::EmbeddingPair;
use super::link::Links;
use super::measured::Measured;
use super::plane::Planes;
use super::shows::Shows;
use crate::{Error, Result};
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
    /// [`SCHEMA`](super::SCHEMA).
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
