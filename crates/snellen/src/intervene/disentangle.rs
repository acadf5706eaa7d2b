//! Two concepts that share units, told apart: how far one moves the reader of the other at a site, before and after its direction among
//! these units is projected out.

use super::known::MeasuredUnits;
use crate::measure::encodes::Criterion;
use crate::measure::superposition::Superposition;
use crate::measure::{Confidence, Design, Interval, Matrix};
use crate::model::Site;
use crate::scene::labels::LabelTable;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Units that two concepts have to share: among fewer, random directions are hardly any others.
const FEWEST: usize = 4;

/// Activations on which units were measured.
pub struct Activations<'a> {
    /// What the images show.
    pub labels: &'a LabelTable,
    /// How units were measured on them.
    pub criterion: Criterion,
    /// `[image, unit]` of a site.
    pub of: &'a dyn Fn(Site) -> Result<Matrix>,
}

/// What projecting one concept out of the units that it shares with another does to their functional interference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disentangled {
    /// The site.
    pub site: String,
    /// The concept whose linear reader is moved.
    pub read: String,
    /// The one that moves it, whose direction is projected out.
    pub moved_by: String,
    /// Units that encode both.
    pub units: usize,
    /// How far, in standard deviations of the reader's scores.
    pub before: Interval,
    /// The same of the reader that is fitted to the activations without that direction; `None` where it has no number any more.
    pub after: Option<Interval>,
}

/// A direction that is to be projected out, in some units.
pub(super) struct Direction {
    pub units: Vec<usize>,
    /// A number for each unit of the site, 0 elsewhere.
    pub values: Vec<f32>,
    pub found: Disentangled,
}

/// Of the pairs of values of two of the factors `said` that share units of `site`, the one with the strongest interference; `None` where no pair
/// shares enough or no interference stands out of its interval. As it is the largest of many, intervals hold for all of them at once.
pub(super) fn strongest(
    site: Site,
    known: &MeasuredUnits,
    said: &[&str],
    seen: &Activations<'_>,
) -> Result<Option<Direction>> {
    let (x, design) = ((seen.of)(site)?, Design::from_labels(seen.labels)?);
    let encoded = known.encoded();
    if x.units() != encoded.len() || design.concepts() != known.concepts() {
        let (units, concepts) = (encoded.len(), known.concepts().len());
        let expected = format!("{units} units and {concepts} concepts, as they were measured");
        let got = format!("{} and {}", x.units(), design.concepts().len());
        return Err(Error::mismatch(format!("site `{site}`: activations"), expected, got));
    }
    let concepts = design.concepts();
    let sharing = |a: usize, b: usize| -> Vec<usize> {
        (0..encoded.len()).filter(|unit| encoded[*unit].contains(&a) && encoded[*unit].contains(&b)).collect()
    };
    let said = |concept: usize| said.contains(&concepts[concept].factor.as_str());
    let pairs: Vec<[usize; 2]> = (0..concepts.len())
        .flat_map(|a| (0..concepts.len()).map(move |b| [a, b]))
        .filter(|[a, b]| said(*a) && said(*b) && concepts[*a].factor != concepts[*b].factor)
        .filter(|[a, b]| sharing(*a, *b).len() >= FEWEST)
        .collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    let level = 1.0 - (1.0 - seen.criterion.confidence.level()) / pairs.len() as f64;
    let criterion = Criterion { confidence: Confidence::new(level)?, ..seen.criterion };
    let Some(superposition) = Superposition::of(seen.labels, &criterion)? else { return Ok(None) };
    let before = superposition.interference(&x)?;
    let stands_out = |[a, b]: [usize; 2]| {
        let moved = before[a][b].filter(|moved| moved.lo > 0.0 || moved.hi < 0.0)?;
        Some((moved, a, b))
    };
    let size = |moved: &Interval| moved.estimate.abs();
    let best = pairs.into_iter().filter_map(stands_out).max_by(|x, y| size(&x.0).total_cmp(&size(&y.0)));
    let Some((before, a, b)) = best else { return Ok(None) };
    let units = sharing(a, b);
    let direction = difference(&x, &design, b, &units);
    let Some(direction) = direction else { return Ok(None) };
    let after = superposition.interference(&without(&x, &direction)?)?[a][b];
    let [read, moved_by] = [a, b].map(|c| concepts[c].to_string());
    let found = Disentangled { site: site.to_string(), read, moved_by, units: units.len(), before, after };
    Ok(Some(Direction { units, values: direction.iter().map(|value| *value as f32).collect(), found }))
}

/// The mean of images with concept `b` less that of those without, within strata, in `units`; of length 1. `None` where there is none.
fn difference(x: &Matrix, design: &Design, b: usize, units: &[usize]) -> Option<Vec<f64>> {
    let (present, strata) = (design.present(b), design.strata());
    let mut numbers: Vec<usize> = strata.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let (mut direction, mut weight) = (vec![0.0; x.units()], 0.0);
    for stratum in numbers {
        let side = |with: bool| -> Vec<usize> {
            (0..x.images()).filter(|i| strata[*i] == stratum && present[*i] == with).collect()
        };
        let [with, others] = [side(true), side(false)];
        if with.is_empty() || others.is_empty() {
            continue;
        }
        let share = (with.len() * others.len()) as f64 / (with.len() + others.len()) as f64;
        let mean =
            |of: &[usize], unit: usize| of.iter().map(|i| f64::from(x.row(*i)[unit])).sum::<f64>() / of.len() as f64;
        units.iter().for_each(|unit| direction[*unit] += share * (mean(&with, *unit) - mean(&others, *unit)));
        weight += share;
    }
    let length = direction.iter().map(|value| value * value).sum::<f64>().sqrt();
    (weight > 0.0 && length > 0.0 && length.is_finite()).then(|| {
        direction.iter_mut().for_each(|value| *value /= length);
        direction
    })
}

/// `x` less what lies along `direction`.
fn without(x: &Matrix, direction: &[f64]) -> Result<Matrix> {
    let mut values = Vec::with_capacity(x.values().len());
    for image in 0..x.images() {
        let along = x.row(image).iter().zip(direction).map(|(value, d)| f64::from(*value) * d).sum::<f64>();
        values.extend(x.row(image).iter().zip(direction).map(|(value, d)| (f64::from(*value) - along * d) as f32));
    }
    Matrix::new(x.images(), x.units(), values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::encodes::encodes;
    use crate::random;
    use crate::scene::generate::independent;
    use crate::scene::{Concept, World};

    const UNITS: usize = 8;

    /// What is found of activations in which `circle` units stand for circles and, where they `share`, for red as well, among units of noise.
    fn planted(share: f64) -> Result<Option<Direction>> {
        let world = World::toy().repeating();
        let scenes = independent(&world, 5, 600, 3)?;
        let names: Vec<String> = (0..scenes.len()).map(|i| format!("{i}.png")).collect();
        let labels = LabelTable::from_scenes(&world, &scenes, &names)?;
        let design = Design::from_labels(&labels)?;
        let of = |factor: &str, value: &str| {
            let wanted = Concept { factor: factor.to_owned(), value: value.to_owned() };
            design.concepts().iter().position(|concept| *concept == wanted).unwrap_or_default()
        };
        let [circle, red] = [of("shape", "circle"), of("color", "red")];
        let rng = &mut random::stream(5, "planted", 0);
        let mut values = Vec::new();
        for image in 0..scenes.len() {
            let holds = |concept: usize| f64::from(u8::from(design.present(concept)[image]));
            for unit in 0..UNITS {
                // Nearly along one line, so that noise keeps a reader from taking red out; not quite, so that some of the circle is left
                // without it.
                let signal = match unit {
                    0 | 1 => 2.0 * holds(circle) + share * holds(red),
                    2 | 3 => 2.0 * holds(circle) + 1.3 * share * holds(red),
                    _ => 0.0,
                };
                values.push((signal + 0.8 * random::normal(rng)) as f32);
            }
        }
        let x = Matrix::new(scenes.len(), UNITS, values)?;
        let criterion = Criterion::standard(1)?;
        let cells = encodes(&x, &design, &criterion)?.cells;
        let known = MeasuredUnits::new("site", design.concepts().to_vec(), cells, Vec::new());
        let copy = |_: Site| Matrix::new(x.images(), UNITS, x.values().to_vec());
        let seen = Activations { labels: &labels, criterion, of: &copy };
        strongest("blocks.0.mlp.hook_post".parse()?, &known, &["shape", "color"], &seen)
    }

    #[test]
    fn what_shared_units_mix_is_told_apart_without_a_direction() -> Result<()> {
        let found = planted(2.0)?.ok_or_else(|| Error::mismatch("planted", "a direction", "none"))?;
        assert_eq!(found.units, [0, 1, 2, 3]);
        let length = found.values.iter().map(|value| value * value).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-5 && found.values[4..].iter().all(|value| value.abs() <= 0.0));
        let pair = [found.found.read.as_str(), found.found.moved_by.as_str()];
        assert!(pair == ["shape=circle", "color=red"] || pair == ["color=red", "shape=circle"], "{pair:?}");
        let after = found.found.after.map_or(f64::NAN, |after| after.estimate.abs());
        let before = found.found.before.estimate.abs();
        assert!(before > 1.0 && after < 0.2, "{before} {after}");
        Ok(())
    }

    #[test]
    fn where_nothing_is_shared_nothing_is_projected_out() -> Result<()> {
        assert!(planted(0.0)?.is_none());
        Ok(())
    }
}
