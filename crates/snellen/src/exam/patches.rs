//! Patches that are compared with one another: those of one object, and those of two, just as far apart.

use super::sitting::Sitting;
use crate::engine::Tape;
use crate::model::{ActivationMut, BlockPoint, Hook, Model, Point, Site, Tower};
use crate::scene::mask::masks;
use crate::scene::{Canvas, Scene, World, render};
use crate::{Error, Result, random};
use image::RgbImage;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The share of a patch from which it is an object's.
const OWN: f64 = 0.5;
/// Comparisons of a scene, at most.
const COMPARISONS: usize = 32;
/// Layers that are looked at, at most.
const LAYERS: usize = 6;
/// Images of a forward.
const BATCH: usize = 32;
/// Cosines nearer to one another than this are a tie.
const TIE: f64 = 1e-6;

/// Two pairs of patches, one inside an object, one across two, with the same displacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compared {
    same: [usize; 2],
    other: [usize; 2],
}

/// What is asked of some scenes.
pub(super) struct Shown {
    pub(super) pictures: Vec<RgbImage>,
    /// The same without objects.
    pub(super) empty: Vec<RgbImage>,
    /// By scene.
    asked: Vec<Vec<Compared>>,
}

/// By site: the scores of all comparisons, scene after scene.
pub(super) type Found = Vec<(Site, Vec<f64>)>;

/// Whose each patch is, row after row.
pub(super) fn owners(scene: &Scene, world: &World, canvas: &Canvas, model: &Model) -> Vec<Option<usize>> {
    let mut owners = Vec::new();
    for (k, mask) in masks(scene, world, canvas).iter().enumerate() {
        let (region, [rows, columns]) = model.preprocessing.patched(mask.width, mask.height, &model.config.vision);
        let cover = mask.patches(region, columns, rows);
        owners.resize(cover.len(), None);
        cover.iter().zip(&mut owners).filter(|(share, _)| **share >= OWN).for_each(|(_, owner)| *owner = Some(k));
    }
    owners
}

/// Comparisons of pairs of patches inside an object with pairs across two that have the same displacement, some of them drawn by `seed`.
fn compared(owners: &[Option<usize>], columns: usize, seed: u64, scene: usize) -> Vec<Compared> {
    let mut pairs: BTreeMap<[usize; 2], [Vec<[usize; 2]>; 2]> = BTreeMap::new();
    for (q, of_q) in owners.iter().enumerate() {
        for (p, of_p) in owners.iter().enumerate().take(q) {
            let (Some(a), Some(b)) = (of_p, of_q) else { continue };
            let apart = [(q / columns).abs_diff(p / columns), (q % columns).abs_diff(p % columns)];
            pairs.entry(apart).or_default()[usize::from(a != b)].push([p, q]);
        }
    }
    let both = |[same, other]: &[Vec<[usize; 2]>; 2]| {
        same.iter()
            .flat_map(|same| other.iter().map(|other| Compared { same: *same, other: *other }))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<Compared> = pairs.values().flat_map(both).collect();
    all.shuffle(&mut random::stream(seed, "patches compared", scene as u64));
    all.truncate(COMPARISONS);
    all
}

impl Shown {
    pub(super) fn of(
        scenes: &[Scene],
        world: &World,
        canvas: &Canvas,
        owners: &[Vec<Option<usize>>],
        columns: usize,
        seed: u64,
    ) -> Self {
        let empty = |scene: &Scene| render(&Scene { objects: Vec::new(), ..scene.clone() }, world, canvas);
        Self {
            pictures: scenes.par_iter().map(|scene| render(scene, world, canvas)).collect(),
            empty: scenes.par_iter().map(empty).collect(),
            asked: owners.iter().enumerate().map(|(i, owners)| compared(owners, columns, seed, i)).collect(),
        }
    }

    /// The scene of each comparison.
    pub(super) fn clusters(&self) -> Vec<u64> {
        self.asked.iter().zip(0..).flat_map(|(own, scene)| vec![scene; own.len()]).collect()
    }

    /// Asks `model` of `pictures`, one for each scene.
    pub(super) fn ask(&self, model: &Model, pictures: &[RgbImage], sitting: &Sitting<'_>) -> Result<Found> {
        let ends = |site: &Site| matches!(site.point, Point::Block(_, BlockPoint::ResidPost));
        let all: Vec<Site> = Site::all(&model.config, Tower::Vision).into_iter().filter(ends).collect();
        let some = LAYERS.min(all.len());
        let site = |k: usize| all[((k + 1) * all.len()).div_ceil(some) - 1];
        let mut found: Found = (0..some).map(|k| (site(k), Vec::new())).collect();
        for (pictures, asked) in pictures.chunks(BATCH).zip(self.asked.chunks(BATCH)) {
            if sitting.progress.is_cancelled() {
                return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
            }
            let pixels = model.pixels(pictures)?;
            let mut pairs = Pairs { found: &mut found, asked, first: model.config.vision.prefix() };
            model.towers.observe_images(&mut Tape::off(), &pixels, &mut pairs)?;
        }
        Ok(found)
    }

    /// Of raw pixels, own masks: patches are what the model is given of them.
    pub(super) fn of_pixels(&self, model: &Model, rows: usize, columns: usize) -> Vec<f64> {
        let mut scores = Vec::new();
        for (picture, own) in self.pictures.iter().zip(&self.asked) {
            let shown = model.preprocessing.shown(picture);
            let [high, wide] = [shown.height() as usize / rows, shown.width() as usize / columns];
            let patch = |p: usize| -> Vec<f32> {
                let (top, left) = (p / columns * high, p % columns * wide);
                let pixels =
                    (0..high * wide).map(|i| shown.get_pixel((left + i % wide) as u32, (top + i / wide) as u32));
                // Around grey: of colours alone all cosines would be near 1.
                pixels.flat_map(|pixel| pixel.0.map(|x| f32::from(x) / 127.5 - 1.0)).collect()
            };
            let alike = |[p, q]: [usize; 2]| cosine(&patch(p), &patch(q));
            scores.extend(own.iter().map(|of| decided(alike(of.same), alike(of.other))));
        }
        scores
    }
}

/// Compares pairs of patches as they pass.
struct Pairs<'a> {
    found: &'a mut Found,
    asked: &'a [Vec<Compared>],
    /// The first token that is a patch.
    first: usize,
}

impl Hook for Pairs<'_> {
    fn wants(&self, site: Site) -> bool {
        self.found.iter().any(|(own, _)| *own == site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let Some((_, scores)) = self.found.iter_mut().find(|(own, _)| *own == site) else { return Ok(()) };
        let (images, tokens) = (x.shape[0], x.shape[1]);
        let width = x.data.len() / (images * tokens);
        for (image, asked) in x.data.chunks(tokens * width).zip(self.asked) {
            let patch = |p: usize| &image[(self.first + p) * width..][..width];
            let alike = |[p, q]: [usize; 2]| cosine(patch(p), patch(q));
            scores.extend(asked.iter().map(|of| decided(alike(of.same), alike(of.other))));
        }
        Ok(())
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

fn decided(same: f64, other: f64) -> f64 {
    if (same - other).abs() <= TIE { 0.5 } else { f64::from(u8::from(same > other)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: usize = 6;

    /// Two objects of 3 x 3 patches, side by side.
    fn side_by_side() -> Vec<Option<usize>> {
        (0..COLUMNS * 4).map(|p| (p < COLUMNS * 3).then_some(usize::from(p % COLUMNS >= 3))).collect()
    }

    #[test]
    fn patches_are_compared_at_the_same_distance() {
        let owners = side_by_side();
        let all = compared(&owners, COLUMNS, 1, 0);
        let apart = |[p, q]: [usize; 2]| [(q / COLUMNS).abs_diff(p / COLUMNS), (q % COLUMNS).abs_diff(p % COLUMNS)];
        assert_eq!(all.len(), COMPARISONS);
        for Compared { same, other } in all {
            assert_eq!(apart(same), apart(other));
            assert!(owners[same[0]] == owners[same[1]] && owners[other[0]] != owners[other[1]]);
            assert!([same, other].concat().iter().all(|p| owners[*p].is_some()));
        }
        // One object has no pair across two.
        assert!(compared(&[Some(0); 9], 3, 1, 0).is_empty());
    }

    #[test]
    fn a_code_for_the_object_is_found_and_none_is_not() -> Result<()> {
        let site: Site = "blocks.0.hook_resid_post".parse()?;
        let owners = side_by_side();
        let asked: Vec<Vec<Compared>> = (0..40).map(|i| compared(&owners, COLUMNS, 2, i)).collect();
        let tokens = 1 + owners.len();
        let scores = |bound: f32| -> Result<f64> {
            let rng = &mut random::stream(4, "activations", 0);
            let mut values = Vec::new();
            for _ in &asked {
                // The class token, then patches: a code for the object, and noise.
                for owner in [None].iter().chain(&owners) {
                    let code = |k: usize| if *owner == Some(k) { bound } else { 0.0 };
                    values.extend([code(0), code(1)]);
                    values.extend((0..6).map(|_| random::normal(rng) as f32));
                }
            }
            let mut found: Found = vec![(site, Vec::new())];
            let mut pairs = Pairs { found: &mut found, asked: &asked, first: 1 };
            pairs.at(site, &mut ActivationMut { shape: &[asked.len(), tokens, 8], data: &mut values })?;
            let scores = &found[0].1;
            assert_eq!(scores.len(), 40 * COMPARISONS);
            Ok(scores.iter().sum::<f64>() / scores.len() as f64)
        };
        let (bound, noise) = (scores(8.0)?, scores(0.0)?);
        assert!(bound > 0.98 && (noise - 0.5).abs() < 0.06, "{bound} {noise}");
        Ok(())
    }
}
