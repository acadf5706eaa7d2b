//! What the study's numbers show, computed from the same images: each question that its measures leave open, asked once.

use super::embeddings::Embeddings;
use super::feature::{FEATURES, Truth, linked, pairs};
use super::link::{OfPairs, among};
use super::profile::profile;
use super::separability::{Separability, full};
use crate::measure::correlation::pearson;
use crate::measure::least_squares::cross_validated_r2;
use crate::random;
use faer::Mat;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeSet;

/// Images in a set, as the study takes the top images of a unit.
pub const TOP: usize = 30;
/// Sets of images that are drawn.
const SETS: u64 = 1000;
/// Parts for cross-validation.
const FOLDS: usize = 10;

/// The answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shows {
    /// The entropy of images drawn at random, by their number of objects.
    pub random_sets: Vec<RandomSets>,
    /// How much of the embeddings' variance is explained by what the images show.
    pub variance: Variance,
    /// Misclassification with and without the image itself in its mean, of the 120 pairs.
    pub errors: Errors,
    /// Of the 55 pairs without positions.
    pub errors_without_positions: Errors,
    /// The link among images of one number of objects.
    pub matched: Vec<Matched>,
}

/// The study's entropy of sets of [`TOP`] images with the same number of objects, drawn at random.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RandomSets {
    /// Objects in each image.
    pub objects: usize,
    /// Images to draw from.
    pub images: usize,
    /// Mean entropy, in bits.
    pub mean: f64,
    /// The entropy that 2.5 % of the sets are below.
    pub lo: f64,
    /// The entropy that 2.5 % are above.
    pub hi: f64,
}

/// Cross-validated shares of the variance of all coordinates together; `null` where there is too little to fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Variance {
    /// By the number of objects alone.
    pub objects: Option<f64>,
    /// By which of the 16 features are there.
    pub features: Option<f64>,
    /// By both.
    pub objects_and_features: Option<f64>,
    /// By both, and by which shape has which colour: what a linear reader could know of binding.
    pub with_combinations: Option<f64>,
}

/// Mean rates over pairs, on all coordinates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Errors {
    /// As the study counts: the image is part of the mean that it is held against.
    pub in_sample: f64,
    /// The image left out of its own mean.
    pub left_out: f64,
}

/// The link of the pairs without positions, among the images with one number of objects.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matched {
    /// Objects in each image.
    pub objects: usize,
    /// Images.
    pub images: usize,
    /// Pairs of which such images show one feature and not the other, either way; at most 55.
    pub pairs: usize,
    /// Mean misclassification of these pairs.
    pub misclassification: f64,
    /// Pearson's r of sum of ratios and distance.
    pub distance_pearson: Option<f64>,
    /// Pearson's r of sum of ratios and misclassification.
    pub misclassification_pearson: Option<f64>,
}

/// Asks all of it; `full_pairs` are the separabilities of all pairs on all coordinates, `sums` their sums of ratios.
pub fn shows(embeddings: &Embeddings, truth: &Truth, full_pairs: &[Separability], sums: &OfPairs, seed: u64) -> Shows {
    let counts: BTreeSet<usize> = truth.objects.iter().copied().filter(|objects| *objects > 0).collect();
    let rows =
        |objects: usize| -> Vec<usize> { (0..truth.images()).filter(|row| truth.objects[*row] == objects).collect() };
    let errors = |features: &[usize]| {
        let mean = |rate: fn(&Separability) -> f64| {
            let rates = among(&full_pairs.iter().map(rate).collect(), features);
            rates.iter().sum::<f64>() / rates.len() as f64
        };
        Errors { in_sample: mean(Separability::rate), left_out: mean(Separability::left_out_rate) }
    };
    Shows {
        random_sets: counts.iter().filter_map(|&n| random_sets(truth, n, &rows(n), seed)).collect(),
        variance: variance(embeddings, truth, seed),
        errors: errors(&(0..FEATURES.len()).collect::<Vec<_>>()),
        errors_without_positions: errors(&linked()),
        matched: counts.iter().filter_map(|&n| matched(embeddings, truth, n, &rows(n), sums)).collect(),
    }
}

fn random_sets(truth: &Truth, objects: usize, rows: &[usize], seed: u64) -> Option<RandomSets> {
    if rows.len() < TOP {
        return None;
    }
    let name = format!("images of {objects} objects");
    let entropy = |set: u64| {
        let mut drawn = rows.to_vec();
        let (drawn, _) = drawn.partial_shuffle(&mut random::stream(seed, &name, set), TOP);
        profile(truth, drawn).entropy
    };
    let mut entropies: Vec<f64> = (0..SETS).into_par_iter().map(entropy).collect();
    let mean = entropies.iter().sum::<f64>() / SETS as f64;
    entropies.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| entropies[(share * (SETS - 1) as f64).round() as usize];
    Some(RandomSets { objects, images: rows.len(), mean, lo: at(0.025), hi: at(0.975) })
}

fn variance(embeddings: &Embeddings, truth: &Truth, seed: u64) -> Variance {
    let targets = Mat::from_fn(embeddings.images(), embeddings.width(), |i, j| embeddings.row(i)[j]);
    let counts: BTreeSet<usize> = truth.objects.iter().copied().collect();
    let combinations: BTreeSet<[usize; 2]> = truth.combinations.iter().flatten().copied().collect();
    let flag = |yes: bool| f64::from(u8::from(yes));
    let objects = |i: usize| counts.iter().map(|n| flag(truth.objects[i] == *n)).collect::<Vec<_>>();
    let features = |i: usize| truth.present[i].map(flag).to_vec();
    let bound = |i: usize| combinations.iter().map(|c| flag(truth.combinations[i].contains(c))).collect::<Vec<_>>();
    let share = |columns: &(dyn Fn(usize) -> Vec<f64> + Sync)| {
        let rows: Vec<Vec<f64>> = (0..truth.images()).map(columns).collect();
        let design = Mat::from_fn(rows.len(), rows.first()?.len(), |i, j| rows[i][j]);
        cross_validated_r2(&design, &targets, FOLDS, seed)
    };
    let both = |i: usize| [objects(i), features(i)].concat();
    Variance {
        objects: share(&objects),
        features: share(&features),
        objects_and_features: share(&both),
        with_combinations: share(&|i| [both(i), bound(i)].concat()),
    }
}

fn matched(embeddings: &Embeddings, truth: &Truth, objects: usize, rows: &[usize], sums: &OfPairs) -> Option<Matched> {
    let features = linked();
    let of_pair = |pair: [usize; 2]| {
        let mut sides = truth.either(pair).ok()?;
        sides.iter_mut().for_each(|side| side.retain(|row| truth.objects[*row] == objects));
        sides.iter().all(|side| !side.is_empty()).then(|| full(embeddings, &sides))
    };
    let among_linked = pairs().filter(|pair| pair.iter().all(|f| features.contains(f)));
    let found: Vec<Option<Separability>> = among_linked.map(of_pair).collect();
    let of = |value: fn(&Separability) -> f64| -> Vec<f64> { found.iter().flatten().map(value).collect() };
    let (distance, rate) = (of(|s| s.distance), of(Separability::rate));
    let y: Vec<f64> =
        among(sums, &features).into_iter().zip(&found).filter(|(_, pair)| pair.is_some()).map(|(sum, _)| sum).collect();
    (!y.is_empty()).then(|| Matched {
        objects,
        images: rows.len(),
        pairs: y.len(),
        misclassification: rate.iter().sum::<f64>() / rate.len() as f64,
        distance_pearson: pearson(&distance, &y),
        misclassification_pearson: pearson(&rate, &y),
    })
}
