//! The study's third look at pairs: on a t-SNE map of their images (van der Maaten & Hinton 2008, JMLR 9:2579), in two dimensions.
//!
//! A map keeps neighbours, not distances, and its scale means nothing: what is measured on it is here because the study measured
//! it. Its seed and program are not known, so its numbers cannot be printed again. Perplexity 30, or a third of the images less
//! one where that is less; exaggeration 12 for 250 of 1,000 steps; Euclidean distances; begun from points drawn uniformly.

use super::embedding_pair::{EmbeddingPair, named};
use super::embeddings::Embeddings;
use super::feature::{FEATURES, Truth, linked, pairs};
use super::link::{Link, OfPairs, links};
use super::separability::{Separability, of_rows};
use crate::{Error, Result, random};
use bhtsne::tSNE;
use rand::RngExt;
use rayon::prelude::*;
use serde::Serialize;

/// Perplexity, where there are images enough.
const PERPLEXITY: f64 = 30.0;
/// Half the side of the square that the first points lie in.
const SPREAD: f64 = 1e-4;

/// The 120 pairs on their maps, and the link.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planes {
    /// The pairs.
    pub embedding_pairs: Vec<EmbeddingPair>,
    /// Of the 55 pairs without positions.
    pub distance: Link,
    /// Of the 55 pairs without positions.
    pub misclassification: Link,
}

/// Maps every pair; `sums` are their sums of ratios.
///
/// # Errors
/// When a pair has no images to tell apart, or too few for a map.
pub fn planes(embeddings: &Embeddings, truth: &Truth, sums: &OfPairs, seed: u64) -> Result<Planes> {
    let all: Vec<[usize; 2]> = pairs().collect();
    let of_pair = |(place, pair): (usize, &[usize; 2])| {
        let sides = truth.either(*pair)?;
        let images = sides[0].len() + sides[1].len();
        if images < 5 {
            let [a, b] = pair.map(|f| FEATURES[f].name);
            let place = format!("t-SNE of `{a}` and `{b}`");
            return Err(Error::mismatch(place, "at least 5 images", images));
        }
        Ok(on_map(embeddings, &sides, place as u64, seed))
    };
    let found = all.par_iter().enumerate().map(of_pair).collect::<Result<Vec<_>>>()?;
    let distance: OfPairs = found.iter().map(|pair| pair.distance).collect();
    let rate: OfPairs = found.iter().map(Separability::rate).collect();
    let of = links(&[distance.clone(), rate.clone(), distance, rate], sums, &linked(), seed);
    Ok(Planes {
        embedding_pairs: named(&found),
        distance: of.full_distance,
        misclassification: of.full_misclassification,
    })
}

fn on_map(embeddings: &Embeddings, sides: &[Vec<usize>; 2], place: u64, seed: u64) -> Separability {
    let rows: Vec<&[f64]> = sides.iter().flatten().map(|row| embeddings.row(*row)).collect();
    let mut rng = random::stream(seed, "first points of a map", place);
    let begin: Vec<f64> = (0..2 * rows.len()).map(|_| rng.random_range(-SPREAD..SPREAD)).collect();
    let perplexity = PERPLEXITY.min((rows.len() - 1) as f64 / 3.0);
    let apart = |a: &&[f64], b: &&[f64]| a.iter().zip(*b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    let fit = || {
        let mut map = tSNE::<f64, &[f64], 2>::new(&rows);
        map.perplexity(perplexity).initial_embedding(begin).exact(apart).embedding()
    };
    // Sums in the order of one thread: the same bytes at any number of them.
    let points = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(one) => one.install(fit),
        Err(_) => fit(),
    };
    let point = |i: usize| points[2 * i..2 * i + 2].to_vec();
    let first = sides[0].len();
    of_rows(&[(0..first).map(point).collect(), (first..rows.len()).map(point).collect()])
}
