//! Patches that are compared with one another: those of one object, and those of two, just as far apart.

use super::sitting::Sitting;
use crate::engine::Tape;
use crate::measure::Matrix;
use crate::model::{ActivationMut, BlockPoint, Hook, Model, Point, Site, Tower};
use crate::readers::{ComparedPairs, tell_pairs};
use crate::scene::mask::masks;
use crate::scene::{Canvas, Scene, World, render};
use crate::{Result, random};
use image::RgbImage;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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

/// What is asked of some scenes.
pub(super) struct Shown {
    pub(super) pictures: Vec<RgbImage>,
    /// The same without objects.
    pub(super) empty: Vec<RgbImage>,
    /// Patches that are compared, of each scene.
    looked_at: Vec<Vec<usize>>,
    /// Comparisons of these patches, which are rows one after another.
    pub(super) compared: Vec<ComparedPairs>,
    /// The scene of each comparison.
    pub(super) clusters: Vec<u64>,
}

/// By site: the patches that are looked at, as rows.
pub(super) type Seen = Vec<(Site, Matrix)>;

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
fn compared(owners: &[Option<usize>], columns: usize, seed: u64, scene: usize) -> Vec<ComparedPairs> {
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
            .flat_map(|same| other.iter().map(|other| ComparedPairs { same: *same, other: *other }))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<ComparedPairs> = pairs.values().flat_map(both).collect();
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
        let mut this = Self {
            pictures: scenes.par_iter().map(|scene| render(scene, world, canvas)).collect(),
            empty: scenes.par_iter().map(empty).collect(),
            looked_at: Vec::new(),
            compared: Vec::new(),
            clusters: Vec::new(),
        };
        owners.iter().enumerate().for_each(|(i, owners)| this.add(compared(owners, columns, seed, i)));
        this
    }

    /// Comparisons of the patches of one scene more.
    fn add(&mut self, asked: Vec<ComparedPairs>) {
        let used = asked.iter().flat_map(|pairs| [pairs.same, pairs.other].concat()).collect::<BTreeSet<_>>();
        let used: Vec<usize> = used.into_iter().collect();
        let (rows, scene) = (self.looked_at.iter().map(Vec::len).sum::<usize>(), self.looked_at.len() as u64);
        let row = |patch: usize| rows + used.partition_point(|known| *known < patch);
        let as_rows = |of: ComparedPairs| ComparedPairs { same: of.same.map(row), other: of.other.map(row) };
        self.clusters.resize(self.clusters.len() + asked.len(), scene);
        self.compared.extend(asked.into_iter().map(as_rows));
        self.looked_at.push(used);
    }

    /// What `model` makes of the patches of `pictures`, one for each scene.
    pub(super) fn seen(&self, model: &Model, pictures: &[RgbImage], sitting: &Sitting<'_>) -> Result<Seen> {
        let ends = |site: &Site| matches!(site.point, Point::Block(_, BlockPoint::ResidPost));
        let all: Vec<Site> = Site::all(&model.config, Tower::Vision).into_iter().filter(ends).collect();
        let some = LAYERS.min(all.len());
        let site = |k: usize| all[((k + 1) * all.len()).div_ceil(some) - 1];
        let mut found: Vec<(Site, Vec<f32>)> = (0..some).map(|k| (site(k), Vec::new())).collect();
        // Of pictures that are all the same, as plain ones without objects are, one is shown.
        let alike = pictures.windows(2).all(|pair| pair[0] == pair[1]);
        let (shown, scenes) =
            if alike { (pictures.len().min(1), pictures.len().max(1)) } else { (pictures.len(), BATCH) };
        for (pictures, looked_at) in pictures[..shown].chunks(BATCH).zip(self.looked_at.chunks(scenes)) {
            sitting.go_on()?;
            let pixels = model.pixels(pictures)?;
            let mut patches = Patches { found: &mut found, looked_at, first: model.config.vision.prefix() };
            model.towers.observe_images(&mut Tape::off(), &pixels, &mut patches)?;
        }
        let rows = self.looked_at.iter().map(Vec::len).sum::<usize>();
        let matrix = |values: Vec<f32>| Matrix::new(rows, values.len() / rows.max(1), values);
        found.into_iter().map(|(site, values)| Ok((site, matrix(values)?))).collect()
    }

    /// Raw pixels as rows: patches are what the model is given of them.
    pub(super) fn pixels(&self, model: &Model, rows: usize, columns: usize) -> Result<Matrix> {
        let (mut values, mut count) = (Vec::new(), 0);
        for (picture, looked_at) in self.pictures.iter().zip(&self.looked_at) {
            let shown = model.preprocessing.shown(picture);
            let [high, wide] = [shown.height() as usize / rows, shown.width() as usize / columns];
            for p in looked_at {
                let (top, left) = (p / columns * high, p % columns * wide);
                let pixels =
                    (0..high * wide).map(|i| shown.get_pixel((left + i % wide) as u32, (top + i / wide) as u32));
                // Around grey: of colours alone all cosines would be near 1.
                values.extend(pixels.flat_map(|pixel| pixel.0.map(|x| f32::from(x) / 127.5 - 1.0)));
                count += 1;
            }
        }
        Matrix::new(count, values.len() / count.max(1), values)
    }

    /// Of each comparison: whether the pair of one object has the larger cosine.
    pub(super) fn by_cosine(&self, rows: &Matrix) -> Vec<f64> {
        let alike = |[p, q]: [usize; 2]| cosine(rows.row(p), rows.row(q));
        self.compared.iter().map(|of| decided(alike(of.same), alike(of.other))).collect()
    }

    /// Of each comparison: whether a bilinear form that was learnt from other scenes gives the pair of one object more.
    ///
    /// # Errors
    /// When an activation is not finite.
    pub(super) fn by_form(&self, rows: &Matrix) -> Result<Vec<f64>> {
        let said = tell_pairs(rows, &self.compared, &self.clusters)?;
        Ok(said.into_iter().map(|said| decided(said, 0.0)).collect())
    }
}

/// Keeps patches as they pass.
struct Patches<'a> {
    found: &'a mut [(Site, Vec<f32>)],
    /// Of each image of the batch, or of each scene that shows the same one.
    looked_at: &'a [Vec<usize>],
    /// The first token that is a patch.
    first: usize,
}

impl Hook for Patches<'_> {
    fn wants(&self, site: Site) -> bool {
        self.found.iter().any(|(own, _)| *own == site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let Some((_, rows)) = self.found.iter_mut().find(|(own, _)| *own == site) else { return Ok(()) };
        let (images, tokens) = (x.shape[0], x.shape[1]);
        let width = x.data.len() / (images * tokens);
        for (image, looked_at) in x.data.chunks(tokens * width).cycle().zip(self.looked_at) {
            looked_at.iter().for_each(|p| rows.extend(&image[(self.first + p) * width..][..width]));
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
        for ComparedPairs { same, other } in all {
            assert_eq!(apart(same), apart(other));
            assert!(owners[same[0]] == owners[same[1]] && owners[other[0]] != owners[other[1]]);
            assert!([same, other].concat().iter().all(|p| owners[*p].is_some()));
        }
        // One object has no pair across two.
        assert!(compared(&[Some(0); 9], 3, 1, 0).is_empty());
    }

    /// Shares of comparisons that cosine and form answer right: patches hold a code for their object, `loud` or beside loud numbers that say
    /// nothing, of length `code`.
    fn planted(code: f32, loud: f32) -> Result<[f64; 2]> {
        let site: Site = "blocks.0.hook_resid_post".parse()?;
        let owners = side_by_side();
        let mut shown = Shown {
            pictures: Vec::new(),
            empty: Vec::new(),
            looked_at: Vec::new(),
            compared: Vec::new(),
            clusters: Vec::new(),
        };
        (0..40).for_each(|i| shown.add(compared(&owners, COLUMNS, 2, i)));
        let rng = &mut random::stream(4, "activations", 0);
        let mut values = Vec::new();
        for _ in 0..40 {
            // The class token, then patches: a code for the object, and noise.
            for owner in [None].iter().chain(&owners) {
                let of = |k: usize| if *owner == Some(k) { code } else { 0.0 };
                values.extend([of(0), of(1)]);
                values.extend((0..6).map(|k| random::normal(rng) as f32 * if k < 3 { loud } else { 1.0 }));
            }
        }
        let mut found = vec![(site, Vec::new())];
        let mut patches = Patches { found: &mut found, looked_at: &shown.looked_at, first: 1 };
        let shape = &[40, 1 + owners.len(), 8];
        patches.at(site, &mut ActivationMut { shape, data: &mut values })?;
        let rows = found.remove(0).1;
        let rows = Matrix::new(rows.len() / 8, 8, rows)?;
        assert_eq!(shown.clusters.len(), 40 * COMPARISONS);
        let mean = |scores: Vec<f64>| scores.iter().sum::<f64>() / scores.len() as f64;
        Ok([mean(shown.by_cosine(&rows)), mean(shown.by_form(&rows)?)])
    }

    #[test]
    fn a_code_for_the_object_is_found_and_none_is_not() -> Result<()> {
        let (bound, noise) = (planted(8.0, 1.0)?, planted(0.0, 1.0)?);
        assert!(bound.iter().all(|right| *right > 0.98), "{bound:?}");
        assert!(noise.iter().all(|right| (right - 0.5).abs() < 0.06), "{noise:?}");
        Ok(())
    }

    #[test]
    fn a_form_finds_a_code_that_loud_numbers_drown() -> Result<()> {
        let [cosine, form] = planted(2.0, 30.0)?;
        assert!(cosine < 0.6 && form > 0.9, "{cosine} {form}");
        Ok(())
    }
}
