//! What the verdict shows, and what it reads: embeddings of pictures and captions, and their controls.

use crate::exam::controls::pixels;
use crate::exam::sitting::Sitting;
use crate::measure::Matrix;
use crate::model::{ActivationMut, BlockPoint, Hook, Model, Point, Site, Tower};
use crate::scene::caption::{Wording, caption};
use crate::scene::{Scene, render};
use crate::{Result, random};
use rayon::prelude::*;

/// Pictures of a forward.
const BATCH: usize = 64;

/// Pictures and captions of some scenes as the examinee has them; a row a scene.
pub(super) struct Shown {
    pub(super) scenes: Vec<Scene>,
    pub(super) pictures: Matrix,
    pub(super) texts: Matrix,
    captions: Vec<String>,
    /// By layer, where that was asked: the mean of its tokens.
    pub(super) layers: Vec<(Site, Matrix)>,
}

/// The same scenes as controls have them.
pub(super) struct Beside {
    /// Raw pixels, and embeddings of untrained models.
    pub(super) pictures: Vec<(String, Matrix)>,
    /// Which words are there, and embeddings of untrained models.
    pub(super) texts: Vec<(String, Matrix)>,
}

impl Shown {
    /// Shows `scenes` to the examinee of `sitting`. Those of a group of `group` neighbours (twins) are worded alike.
    pub(super) fn of(sitting: &Sitting<'_>, scenes: Vec<Scene>, group: usize) -> Result<Self> {
        let said = |(i, scene): (usize, &Scene)| {
            let rng = &mut random::stream(sitting.seed, "verdict: wording", (i / group) as u64);
            caption(scene, sitting.world, &Wording::draw(scene.objects.len(), sitting.templates, rng))
        };
        let captions: Vec<String> = scenes.iter().enumerate().map(said).collect();
        let pictures = sitting.images(&scenes.iter().collect::<Vec<_>>())?;
        Ok(Self { pictures, texts: sitting.texts(&captions)?, captions, scenes, layers: Vec::new() })
    }

    /// The same, and by layer where it is a model that is shown them.
    pub(super) fn by_layer(sitting: &Sitting<'_>, scenes: Vec<Scene>, group: usize) -> Result<Self> {
        // First, since one forward gives both.
        let layers = sitting.examinee.model().map(|model| layers(model, sitting, &scenes)).transpose()?;
        Ok(Self { layers: layers.unwrap_or_default(), ..Self::of(sitting, scenes, group)? })
    }

    /// Shows the same to untrained models.
    pub(super) fn beside(&self, sitting: &Sitting<'_>) -> Result<Beside> {
        let refs: Vec<&Scene> = self.scenes.iter().collect();
        let mut pictures = vec![("raw pixels".to_owned(), pixels(sitting, &self.scenes)?)];
        let mut texts = vec![("bag of words".to_owned(), bags(sitting, &self.scenes)?)];
        for control in sitting.controls()? {
            let other = sitting.of(control);
            pictures.push((control.name.clone(), other.images(&refs)?));
            texts.push((control.name.clone(), other.texts(&self.captions)?));
        }
        Ok(Beside { pictures, texts })
    }
}

/// `[scene, value]`: how many objects have each value that captions say.
fn bags(sitting: &Sitting<'_>, scenes: &[Scene]) -> Result<Matrix> {
    let said = sitting.world.said();
    let row = |scene: &Scene| -> Vec<f32> {
        let count = |f: usize, v: usize| scene.objects.iter().filter(|o| o.values[f] as usize == v).count() as f32;
        let of = |f: &usize| (0..sitting.world.factors[*f].values.len()).map(|v| count(*f, v)).collect::<Vec<_>>();
        said.iter().flat_map(of).collect()
    };
    let rows: Vec<Vec<f32>> = scenes.iter().map(row).collect();
    Matrix::new(scenes.len(), rows.first().map_or(0, Vec::len), rows.concat())
}

/// The mean over tokens of every block's output; embeddings are remembered on the way.
fn layers(model: &Model, sitting: &Sitting<'_>, scenes: &[Scene]) -> Result<Vec<(Site, Matrix)>> {
    let canvas = sitting.canvas();
    let ends = |site: &Site| matches!(site.point, Point::Block(_, BlockPoint::ResidPost));
    let sites = Site::all(&model.config, Tower::Vision).into_iter().filter(ends);
    let mut means = Means { sites: sites.map(|site| (site, Vec::new())).collect() };
    for batch in scenes.chunks(BATCH) {
        sitting.go_on()?;
        let pictures: Vec<_> = batch.par_iter().map(|scene| render(scene, sitting.world, &canvas)).collect();
        let embeddings = model.encode_pictures(&pictures, &mut means)?;
        let keys = pictures.iter().map(|picture| blake3::hash(picture.as_raw()));
        sitting.remembered.images.put(keys, embeddings.data().chunks(embeddings.width()));
    }
    let matrix = |(site, values): (Site, Vec<f32>)| {
        let width = values.len() / scenes.len().max(1);
        Ok((site, Matrix::new(scenes.len(), width, values)?))
    };
    means.sites.into_iter().map(matrix).collect()
}

struct Means {
    sites: Vec<(Site, Vec<f32>)>,
}

impl Hook for Means {
    fn wants(&self, site: Site) -> bool {
        self.sites.iter().any(|(own, _)| *own == site)
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let Some((_, rows)) = self.sites.iter_mut().find(|(own, _)| *own == site) else { return Ok(()) };
        let (images, tokens) = (x.shape[0], x.shape[1]);
        let width = x.data.len() / (images * tokens);
        for image in x.data.chunks(tokens * width) {
            let mean = |unit: usize| {
                image.iter().skip(unit).step_by(width).map(|x| f64::from(*x)).sum::<f64>() / tokens as f64
            };
            rows.extend((0..width).map(|unit| mean(unit) as f32));
        }
        Ok(())
    }
}
