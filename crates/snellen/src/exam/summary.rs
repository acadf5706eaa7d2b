//! From outcomes to accuracies with intervals.

use super::composition::{Composition, outcome};
use super::recognition::Recognition;
use super::sitting::ExamConfig;
use crate::lab::Origin;
use crate::measure::Confidence;
use crate::measure::proportion::{Difference, Proportion};
use crate::model::{Model, TowerConfig};
use crate::report::{self, ModelCard, OriginCard, PairRate, Rate, TowerCard};
use crate::scene::{Pairs, World};
use crate::{Result, random};
use rand::RngExt;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

pub(super) fn model(
    model: &Model,
    name: &str,
    origin: Option<&Origin>,
    held_out: Option<&Pairs>,
    world: &World,
) -> Result<ModelCard> {
    let text = model.config.text()?;
    let tower = |t: &TowerConfig| TowerCard { layers: t.layers, width: t.width, heads: t.heads, mlp: t.mlp };
    let combinations = held_out.map(|pairs| {
        let name =
            |(shape, color): &(crate::scene::Shape, usize)| format!("{} {}", world.colors[*color].name, shape.name());
        pairs.as_slice().iter().map(name).collect()
    });
    Ok(ModelCard {
        name: name.to_owned(),
        weights_hash: model.weights_hash.clone(),
        parameters: model.parameters,
        vision: tower(&model.config.vision.tower),
        text: tower(&text.tower),
        image: model.config.vision.image,
        patch: model.config.vision.patch,
        embedding: text.projection,
        preprocessing: model.preprocessing.clone(),
        origin: origin.map(|origin| OriginCard {
            purpose: origin.recipe.purpose.clone(),
            seed: origin.seed,
            steps: origin.recipe.training.steps,
            images: origin.recipe.training.steps * origin.recipe.training.batch,
            held_out: combinations.unwrap_or_default(),
        }),
    })
}

/// Pictures of one combination are no independent answers: they are clusters of the intervals.
pub(super) fn recognition(
    single: &Recognition,
    world: &World,
    seen: Option<&Pairs>,
    confidence: Confidence,
) -> Result<report::Recognition> {
    let (shapes, colors) = (world.shapes.len(), world.colors.len());
    let objects: Vec<_> = single.scenes.iter().map(|s| (s.objects[0].shape, s.objects[0].color)).collect();
    let cluster = |(shape, color): (crate::scene::Shape, usize)| (shape as usize * colors + color) as u64;
    let rate = |outcomes: &[f64], choices: usize, keep: &dyn Fn(usize) -> bool| -> Result<Rate> {
        let kept: Vec<usize> = (0..objects.len()).filter(|i| keep(*i)).collect();
        let scores: Vec<f64> = kept.iter().map(|i| outcomes[*i]).collect();
        let clusters: Vec<u64> = kept.iter().map(|i| cluster(objects[*i])).collect();
        Ok(Rate { accuracy: Proportion::clustered(&scores, &clusters, confidence)?, chance: 1.0 / choices as f64 })
    };
    let choices = shapes * colors;
    let known = |pairs: &Pairs, i: usize| pairs.contains(objects[i].0, objects[i].1);
    let split = seen.filter(|pairs| !pairs.complement().as_slice().is_empty());
    let pair_seen = split.map(|pairs| rate(&single.pair, choices, &|i| known(pairs, i))).transpose()?;
    let pair_held_out = split.map(|pairs| rate(&single.pair, choices, &|i| !known(pairs, i))).transpose()?;
    let mut pairs = Vec::new();
    for (shape, color) in Pairs::all(world).as_slice() {
        let outcomes = objects.iter().zip(&single.pair).filter(|(o, _)| **o == (*shape, *color)).map(|(_, x)| *x);
        let outcomes: Vec<f64> = outcomes.collect();
        pairs.push(PairRate {
            shape: shape.name().to_owned(),
            color: world.colors[*color].name.clone(),
            seen: seen.map(|pairs| pairs.contains(*shape, *color)),
            accuracy: outcomes.iter().sum::<f64>() / outcomes.len() as f64,
            n: outcomes.len(),
        });
    }
    Ok(report::Recognition {
        shape: rate(&single.shape, shapes, &|_| true)?,
        color: rate(&single.color, colors, &|_| true)?,
        pair: rate(&single.pair, choices, &|_| true)?,
        generalisation_gap: pair_seen.zip(pair_held_out).map(|(a, b)| a.accuracy.minus(&b.accuracy)),
        pair_seen,
        pair_held_out,
        pairs,
    })
}

/// The two pictures of a twin are one cluster.
pub(super) fn composition(
    double: &Composition,
    unseen: Option<&Composition>,
    config: &ExamConfig,
) -> Result<report::Composition> {
    let rate = |margins: &[[f64; 2]]| -> Result<Rate> {
        let scores: Vec<f64> = margins.iter().flatten().map(|m| outcome(*m)).collect();
        let clusters: Vec<u64> = (0..scores.len()).map(|i| i as u64 / 2).collect();
        Ok(Rate { accuracy: Proportion::clustered(&scores, &clusters, config.confidence)?, chance: 0.5 })
    };
    let some = |margins: &[[f64; 2]]| if margins.is_empty() { Ok(None) } else { rate(margins).map(Some) };
    let both = |m: &[f64; 2]| m.iter().all(|x| *x > 0.0);
    let score = |right: Vec<bool>, chance: f64| -> Result<Rate> {
        let successes = right.iter().filter(|x| **x).count() as f64;
        Ok(Rate { accuracy: Proportion::wilson(successes, right.len(), config.confidence)?, chance })
    };
    let text: Vec<bool> = double.swap.iter().map(both).collect();
    let image: Vec<bool> = double.swap_image.iter().map(both).collect();
    let group = text.iter().zip(&image).map(|(a, b)| *a && *b).collect();
    let margins: Vec<f64> = double.swap.iter().flatten().copied().collect();
    Ok(report::Composition {
        swap: rate(&double.swap)?,
        replaced_shape: some(&double.replaced_shape)?,
        replaced_color: some(&double.replaced_color)?,
        ties: margins.iter().filter(|m| **m == 0.0).count(),
        d_prime: d_prime(&margins),
        gap: gap(double, config),
        text_score: score(text, 0.25)?,
        image_score: score(image, 0.25)?,
        group_score: score(group, 1.0 / 6.0)?,
        swap_held_out: unseen.map(|unseen| rate(&unseen.swap)).transpose()?,
    })
}

fn d_prime(margins: &[f64]) -> f64 {
    let n = margins.len() as f64;
    let mean = margins.iter().sum::<f64>() / n;
    let variance = margins.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if variance > 0.0 { mean / variance.sqrt() } else { 0.0 }
}

/// Replaced less swap accuracy on the same pictures; percentile interval over resampled twins.
fn gap(double: &Composition, config: &ExamConfig) -> Option<Difference> {
    let half = |m: &[f64; 2]| f64::midpoint(outcome(m[0]), outcome(m[1]));
    let parts = double.swap.iter().zip(&double.replaced_shape).zip(&double.replaced_color);
    let per_twin: Vec<f64> =
        parts.map(|((swap, shape), color)| f64::midpoint(half(shape), half(color)) - half(swap)).collect();
    let n = per_twin.len();
    if n == 0 {
        return None;
    }
    let mut rng = random::stream(config.seed, "bag-of-concepts gap", 0);
    let mut means: Vec<f64> =
        (0..RESAMPLES).map(|_| (0..n).map(|_| per_twin[rng.random_range(0..n)]).sum::<f64>() / n as f64).collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - config.confidence.level()) / 2.0;
    let at = |share: f64| means[((share * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
    Some(Difference { estimate: per_twin.iter().sum::<f64>() / n as f64, lo: at(tail), hi: at(1.0 - tail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_prime_is_mean_over_deviation() {
        assert!((d_prime(&[1.0, 2.0, 3.0]) - 2.0).abs() < 1e-12);
        assert!(d_prime(&[0.5, -0.5, 0.5, -0.5]).abs() < 1e-12 && d_prime(&[0.0, 0.0]).abs() < 1e-12);
    }

    #[test]
    fn the_gap_is_that_of_the_twins() -> Result<()> {
        let config = ExamConfig::standard(1)?;
        let of = |swap: Vec<[f64; 2]>, replaced: Vec<[f64; 2]>| Composition {
            twins: vec![],
            swap_image: swap.clone(),
            swap,
            replaced_shape: replaced.clone(),
            replaced_color: replaced,
        };
        // Half of the twins wrong on both swaps, none on replacements: a gap of 1/2, its deviation that of a coin.
        let half: Vec<[f64; 2]> = (0..400).map(|i| if i % 2 == 0 { [1.0; 2] } else { [-1.0; 2] }).collect();
        let found = gap(&of(half.clone(), vec![[1.0; 2]; 400]), &config)
            .ok_or_else(|| crate::Error::mismatch("gap", "some", "none"))?;
        let deviation = 1.96 * 0.5 / 20.0;
        assert!((found.estimate - 0.5).abs() < 1e-12);
        assert!(
            (found.lo - (0.5 - deviation)).abs() < 0.01 && (found.hi - (0.5 + deviation)).abs() < 0.01,
            "{found:?}"
        );
        // The same answers on both: no gap, and no doubt, since it is paired.
        let same = gap(&of(half.clone(), half), &config);
        assert_eq!(same, Some(Difference { estimate: 0.0, lo: 0.0, hi: 0.0 }));
        assert_eq!(gap(&of(vec![], vec![]), &config), None);
        Ok(())
    }
}
