//! Linear probes as what is asked while one tower is edited: what ridge regressions read off its embedding.
//!
//! They learn from scenes of two objects (or their captions) which of a factor's values a scene holds, and which of its combinations with
//! another factor. The margin of a factor is the mean score of the values that are there less that of all others; the margin of a
//! combination is the mean score of those that are there less that of those that an exchange would make. Both are linear in the embedding,
//! as a margin of [`margins`](super::margins) has to be.

use super::margins::{Target, Term};
use crate::measure::Matrix;
use crate::readers::{Reader, RidgeFit, fit_ridge};
use crate::scene::generate::SwapTwin;
use crate::scene::{Scene, World};
use crate::{Error, Result};

/// What a probe reads: values of a factor, or its combinations with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    factor: usize,
    /// The one that is exchanged, in a combination.
    with: Option<usize>,
}

impl Probe {
    /// Of a `world` in which twins exchange the values of `swapped`: of every factor that captions say, then of its combinations.
    fn all(world: &World, swapped: usize) -> Vec<Self> {
        let said = world.said();
        let alone = said.iter().map(|factor| Self { factor: *factor, with: None });
        let bound = said.iter().filter(|factor| **factor != swapped);
        alone.chain(bound.map(|factor| Self { factor: *factor, with: Some(swapped) })).collect()
    }

    fn name(self, world: &World) -> String {
        let name = |factor: usize| world.factors[factor].name.as_str();
        match self.with {
            None => format!("probe:{}", name(self.factor)),
            Some(other) => format!("probe:{} x {}", name(self.factor), name(other)),
        }
    }

    /// How many things it tells.
    fn targets(self, world: &World) -> usize {
        let values = |factor: usize| world.factors[factor].values.len();
        values(self.factor) * self.with.map_or(1, values)
    }

    /// The target of a value, in a combination with another.
    fn target(self, world: &World, value: u32, other: u32) -> usize {
        match self.with {
            None => value as usize,
            Some(with) => value as usize * world.factors[with].values.len() + other as usize,
        }
    }

    /// What an object is to it.
    fn shown(self, scene: &Scene, k: usize) -> [u32; 2] {
        let values = &scene.objects[k].values;
        [values[self.factor], self.with.map_or(0, |with| values[with])]
    }

    /// By what each target is multiplied in the margin of `scene`; `None` where there is nothing to tell it from.
    fn asked(self, scene: &Scene, world: &World) -> Option<Vec<f64>> {
        let mut by = vec![0.0; self.targets(world)];
        let [[a, c], [b, d]] = [self.shown(scene, 0), self.shown(scene, 1)];
        if self.with.is_some() {
            if a == b || c == d {
                return None;
            }
            for (value, other, sign) in [(a, c, 0.5), (b, d, 0.5), (a, d, -0.5), (b, c, -0.5)] {
                by[self.target(world, value, other)] += sign;
            }
            return Some(by);
        }
        let there = [self.target(world, a, 0), self.target(world, b, 0)];
        let others = (0..by.len()).filter(|target| !there.contains(target)).count();
        if others == 0 {
            return None;
        }
        by.fill(-1.0 / others as f64);
        there.iter().for_each(|target| by[*target] = 0.0);
        there.iter().for_each(|target| by[*target] += 0.5);
        Some(by)
    }
}

/// What of `twins` probes are asked that learn from `embeddings` `[scene, unit]` of `scenes`, where scene `k` of twin `i` has the row
/// `row(i, k)`.
///
/// # Errors
/// When a number is not finite.
pub(super) fn probes(
    (world, swapped): (&World, usize),
    (scenes, embeddings): (&[Scene], &Matrix),
    twins: &[SwapTwin],
    row: impl Fn(usize, usize) -> usize,
) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for probe in Probe::all(world, swapped) {
        let mut truth = vec![0.0; scenes.len() * probe.targets(world)];
        for (scene, truth) in scenes.iter().zip(truth.chunks_mut(probe.targets(world))) {
            for k in 0..scene.objects.len() {
                let [value, other] = probe.shown(scene, k);
                truth[probe.target(world, value, other)] = 1.0;
            }
        }
        let fit = fit(embeddings, &Matrix::new(scenes.len(), probe.targets(world), truth)?)?;
        let mut target = Target { name: probe.name(world), twins: Vec::new(), constants: Vec::new() };
        for (i, twin) in twins.iter().enumerate() {
            let (mut terms, mut constant) = (Vec::new(), 0.0);
            for (k, scene) in [&twin.scene, &twin.twin].into_iter().enumerate() {
                let Some(by) = probe.asked(scene, world) else { continue };
                let sum =
                    |of: &dyn Fn(usize) -> f64| by.iter().enumerate().map(|(t, by)| by * of(t)).sum::<f64>() / 2.0;
                let with = (0..embeddings.units()).map(|unit| sum(&|t| fit.weights[t][unit]) as f32);
                terms.push(Term { row: row(i, k), with: with.collect() });
                constant += sum(&|t| fit.constants[t]);
            }
            target.twins.push(terms);
            target.constants.push(constant);
        }
        if target.twins.iter().all(|terms| !terms.is_empty()) {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// Ridge regression under the penalty, of those of the exam's readers, that foretells scenes left out best.
fn fit(embeddings: &Matrix, truth: &Matrix) -> Result<RidgeFit> {
    let (rows, units) = (embeddings.images(), embeddings.units());
    let means: Vec<f64> = (0..units)
        .map(|unit| (0..rows).map(|row| f64::from(embeddings.row(row)[unit])).sum::<f64>() / rows as f64)
        .collect();
    let square = |row: usize| {
        embeddings.row(row).iter().zip(&means).map(|(x, mean)| (f64::from(*x) - mean).powi(2)).sum::<f64>()
    };
    let eigenvalue = (0..rows).map(square).sum::<f64>() / units.min(rows) as f64;
    if eigenvalue <= 0.0 || !eigenvalue.is_finite() {
        return Err(Error::mismatch("probes", "embeddings of scenes that differ", "all the same"));
    }
    let Reader::Ridge { penalties } = Reader::ridge() else { return Err(Error::mismatch("probes", "ridge", "other")) };
    let penalties: Vec<f64> = penalties.iter().map(|share| share * eigenvalue).collect();
    fit_ridge(embeddings, truth, &(0..rows as u64).collect::<Vec<_>>(), &penalties)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Matrix, World, probes};
    use crate::scene::generate::{swap_twins, toy};
    use crate::scene::{Combinations, Scene};

    /// Margins of twins whose embeddings are `of` scenes.
    fn margins(of: &dyn Fn(&World, &Scene) -> Vec<f32>) -> Vec<(String, Vec<f64>)> {
        let world = World::toy();
        let (all, swapped) = (Combinations::all(&world), world.swapped_factor().unwrap());
        let embed = |scenes: &[Scene]| {
            let rows: Vec<f32> = scenes.iter().flat_map(|scene| of(&world, scene)).collect();
            Matrix::new(scenes.len(), rows.len() / scenes.len(), rows).unwrap()
        };
        let scenes = toy(&world, &all, 2..=2, 600, 3).unwrap();
        let twins = swap_twins(&world, swapped, &all, &all, 20, 3).unwrap();
        let shown: Vec<Scene> = twins.iter().flat_map(|twin| [twin.scene.clone(), twin.twin.clone()]).collect();
        let found = probes((&world, swapped), (&scenes, &embed(&scenes)), &twins, |i, k| 2 * i + k).unwrap();
        found.iter().map(|target| (target.name.clone(), target.margins(&[embed(&shown)]))).collect()
    }

    fn mean(of: &[f64]) -> f64 {
        of.iter().sum::<f64>() / of.len() as f64
    }

    /// A number for each value that is there, and where `bound` for each combination of shape and colour.
    fn planted(world: &World, scene: &Scene, bound: bool) -> Vec<f32> {
        let [shape, color] = ["shape", "color"].map(|name| world.factor(name).unwrap());
        let [shapes, colors] = [shape, color].map(|factor| world.factors[factor].values.len());
        let mut row = vec![0.0; shapes + colors + shapes * colors];
        for object in &scene.objects {
            let [a, c] = [shape, color].map(|factor| object.values[factor] as usize);
            (row[a], row[shapes + c]) = (1.0, 1.0);
            row[shapes + colors + a * colors + c] = f32::from(u8::from(bound));
        }
        row
    }

    #[test]
    fn what_is_in_an_embedding_linearly_is_read_whole() {
        let found = margins(&|world, scene| planted(world, scene, true));
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["probe:shape", "probe:color", "probe:shape x color"]);
        for (name, margins) in &found {
            assert!(margins.iter().all(|margin| (margin - 1.0).abs() < 0.02), "{name}: {margins:?}");
        }
    }

    #[test]
    fn a_bag_of_values_has_no_margin_of_combinations() {
        let found = margins(&|world, scene| planted(world, scene, false));
        for (name, margins) in &found {
            let expected = if name.contains(" x ") { 0.0 } else { 1.0 };
            assert!(margins.iter().all(|margin| (margin - expected).abs() < 0.02), "{name}: {margins:?}");
        }
    }

    #[test]
    fn noise_tells_nothing() {
        let of = |_: &World, scene: &Scene| {
            let hash = blake3::hash(format!("{scene:?}").as_bytes());
            hash.as_bytes().iter().map(|byte| f32::from(*byte) / 255.0).collect::<Vec<f32>>()
        };
        for (name, margins) in margins(&of) {
            assert!(mean(&margins).abs() < 0.05, "{name}: {}", mean(&margins));
        }
    }
}
