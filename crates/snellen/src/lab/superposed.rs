//! Phantoms of whole sites: concepts in known directions, and concepts that share units more often than by chance.

use super::phantom::{MOST_VALUES, RAREST};
use crate::measure::Matrix;
use crate::random::{self, normal};
use crate::scene::labels::LabelTable;
use crate::{Error, Result};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rayon::prelude::*;

/// Per concept, whether each image shows it.
pub(super) fn presence(labels: &LabelTable) -> Result<Vec<Vec<bool>>> {
    labels.concepts().iter().map(|concept| labels.present(concept)).collect()
}

/// A site whose concepts lie in known directions: activations are sums of the directions of the concepts that an image shows, and of
/// one for each further object, and noise.
#[derive(Clone, Debug, PartialEq)]
pub struct SummedSite {
    /// `[image, unit]`.
    pub activations: Matrix,
    /// `[concept, unit]`.
    pub directions: Vec<Vec<f64>>,
    /// Variance of the noise of every unit.
    pub noise: f64,
    /// Mean variance, over units, of what is not noise.
    pub signal: f64,
}

/// Plants a site of `units` units on `labels`. Directions are normal; the second concept of each of `shared` has the first one's for a part of its own.
/// `ratio` is the mean signal-to-noise ratio of variances of a unit; 0 plants noise alone. The same bytes at any number of threads.
///
/// # Errors
/// When there are no images or units or too many, or the ratio is no number from 0 on.
pub fn summed_site(
    labels: &LabelTable,
    units: usize,
    ratio: f64,
    shared: &[[usize; 2]],
    seed: u64,
) -> Result<SummedSite> {
    let images = labels.rows.len();
    check(images, units)?;
    if !(ratio.is_finite() && ratio >= 0.0) {
        return Err(Error::mismatch("phantom: ratio", "a number from 0 on", ratio));
    }
    let present = presence(labels)?;
    let mut rng = random::stream(seed, "phantom: directions", 0);
    let mut direction = || (0..units).map(|_| normal(&mut rng)).collect::<Vec<f64>>();
    let mut directions: Vec<Vec<f64>> = present.iter().map(|_| direction()).collect();
    let of_count = direction();
    for [from, to] in shared {
        let part: Vec<f64> = directions[*from].clone();
        directions[*to].iter_mut().zip(part).for_each(|(x, more)| *x += more);
    }
    let signal = |i: usize, u: usize| {
        let shown = directions.iter().zip(&present).filter(|(_, present)| present[i]);
        shown.map(|(direction, _)| direction[u]).sum::<f64>() + labels.rows[i].objects.len() as f64 * of_count[u]
    };
    let column = |u: usize| (0..images).map(|i| signal(i, u)).collect::<Vec<f64>>();
    let mut columns: Vec<Vec<f64>> = (0..units).into_par_iter().map(column).collect();
    let variance = |column: &Vec<f64>| {
        let mean = column.iter().sum::<f64>() / images as f64;
        column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / images as f64
    };
    let signal = columns.iter().map(variance).sum::<f64>() / units as f64;
    let noise = if ratio > 0.0 { signal / ratio } else { 1.0 };
    columns.par_iter_mut().enumerate().for_each(|(u, column)| {
        let mut rng = random::stream(seed, "phantom: noise of a unit", u as u64);
        for x in column {
            *x = if ratio > 0.0 { *x } else { 0.0 } + noise.sqrt() * normal(&mut rng);
        }
    });
    let signal = if ratio > 0.0 { signal } else { 0.0 };
    Ok(SummedSite { activations: of_columns(images, &columns)?, directions, noise, signal })
}

/// A site on which some pairs of concepts share units more often than by chance.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedSite {
    /// `[image, unit]`.
    pub activations: Matrix,
    /// Pairs of concepts of different factors, by index.
    pub pairs: Vec<[usize; 2]>,
    /// Concepts that have units, all of them.
    pub concepts: Vec<usize>,
}

/// Plants `units` units of which a sixteenth stands for each concept, with either sign; the units of two concepts of a pair are the
/// same `excess` times as often as by chance, all others as by chance. `ratio` is the signal-to-noise ratio of variances of a unit.
/// The same bytes at any number of threads.
///
/// # Errors
/// When there are no images or units or too many, or the labels have no pair of concepts of different factors.
pub fn shared_site(labels: &LabelTable, units: usize, ratio: f64, excess: f64, seed: u64) -> Result<SharedSite> {
    let images = labels.rows.len();
    check(images, units)?;
    if !(ratio.is_finite() && ratio > 0.0 && excess.is_finite() && excess >= 0.0) {
        return Err(Error::mismatch("phantom: ratio and excess", "positive numbers", format!("{ratio} and {excess}")));
    }
    let present = presence(labels)?;
    let of = labels.concept_factors();
    let mut rng = random::stream(seed, "phantom: shared units", 0);
    let enough = |c: &usize| {
        let with = present[*c].iter().filter(|yes| **yes).count();
        with.min(images - with) >= RAREST
    };
    let concepts: Vec<usize> = (0..of.len()).filter(enough).collect();
    let mut left = concepts.clone();
    left.shuffle(&mut rng);
    let mut pairs = Vec::new();
    while let Some(a) = left.pop() {
        if let Some(k) = left.iter().position(|b| of[*b] != of[a]) {
            pairs.push([a, left.swap_remove(k)]);
        }
    }
    // Some concepts are of no pair.
    pairs.truncate((concepts.len() / 3).max(1));
    if pairs.is_empty() {
        return Err(Error::mismatch("phantom", "labels with concepts of two factors", "none"));
    }
    let each = (units / 16).max(1);
    let mut stand_for: Vec<Vec<usize>> = vec![Vec::new(); units];
    let mut sets: Vec<Vec<usize>> = vec![Vec::new(); of.len()];
    for c in &concepts {
        sets[*c] = some(&mut rng, (0..units).collect(), each);
    }
    for [a, b] in &pairs {
        let both = ((excess * (each * each) as f64 / units as f64).round() as usize).min(each);
        let rest: Vec<usize> = (0..units).filter(|u| !sets[*a].contains(u)).collect();
        let mut set: Vec<usize> = sets[*a][..both].to_vec();
        set.extend(some(&mut rng, rest, each - both));
        sets[*b] = set;
    }
    for (c, set) in sets.iter().enumerate() {
        set.iter().for_each(|unit| stand_for[*unit].push(c));
    }
    let deviation = |c: usize| {
        let share = present[c].iter().filter(|yes| **yes).count() as f64 / images as f64;
        (share * (1.0 - share)).sqrt()
    };
    let column = |(u, of): (usize, &Vec<usize>)| {
        let mut rng = random::stream(seed, "phantom: unit of a shared site", u as u64);
        let scale = (ratio / of.len().max(1) as f64).sqrt();
        let signs: Vec<f64> = of.iter().map(|_| if rng.random::<f64>() < 0.5 { -scale } else { scale }).collect();
        let signal = |i: usize| {
            of.iter().zip(&signs).map(|(c, s)| if present[*c][i] { s / deviation(*c) } else { 0.0 }).sum::<f64>()
        };
        (0..images).map(|i| signal(i) + normal(&mut rng)).collect::<Vec<f64>>()
    };
    let columns: Vec<Vec<f64>> = stand_for.par_iter().enumerate().map(column).collect();
    Ok(SharedSite { activations: of_columns(images, &columns)?, pairs, concepts })
}

/// `activations` after a random rotation of their units.
///
/// # Errors
/// Never.
pub fn rotated(activations: &Matrix, seed: u64) -> Result<Matrix> {
    let (images, units) = (activations.images(), activations.units());
    let rotation = random::rotation(units, &mut random::stream(seed, "phantom: rotation", 0));
    let x = faer::Mat::from_fn(images, units, |i, u| f64::from(activations.row(i)[u])) * rotation;
    Matrix::new(
        images,
        units,
        (0..images).flat_map(|i| (0..units).map(move |u| (i, u))).map(|at| x[at] as f32).collect(),
    )
}

/// `count` of `from`, or all.
fn some(rng: &mut impl Rng, mut from: Vec<usize>, count: usize) -> Vec<usize> {
    from.shuffle(rng);
    from.truncate(count);
    from
}

fn check(images: usize, units: usize) -> Result<()> {
    if images == 0 || units == 0 || images.saturating_mul(units) > MOST_VALUES {
        let expected = format!("1 to {MOST_VALUES} activations");
        return Err(Error::mismatch("phantom", expected, format!("{units} units on {images} images")));
    }
    Ok(())
}

fn of_columns(images: usize, columns: &[Vec<f64>]) -> Result<Matrix> {
    let values = (0..images).flat_map(|i| columns.iter().map(move |column| column[i] as f32)).collect();
    Matrix::new(images, columns.len(), values)
}
