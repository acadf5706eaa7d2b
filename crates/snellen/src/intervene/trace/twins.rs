//! Swap twins of a world as inputs of either tower.

use super::pairs::{Input, Pairs};
use super::sweep::parts;
use crate::intervene::TokenMap;
use crate::intervene::Tokens as Group;
use crate::model::{BlockPoint, Model, ModelConfig, Point, Site, Tower};
use crate::scene::caption::{Wording, caption};
use crate::scene::generate::{SwapTwin, swap_twins};
use crate::scene::{Canvas, Combinations, Scene, World, render};
use crate::{Error, Result, random};
use image::RgbImage;
use rayon::prelude::*;
use std::ops::Range;

/// Twins whose pictures are in memory at a time.
const TOGETHER: usize = 128;

/// Scenes and their captions.
pub struct Twins<'a> {
    world: &'a World,
    pairs: Vec<SwapTwin>,
    wordings: Vec<Wording<'a>>,
    /// Of each twin the caption of the scene and of its twin: clean and corrupt.
    captions: Vec<[String; 2]>,
}

impl<'a> Twins<'a> {
    /// `count` swap twins of `world`, each named in a random order of its objects.
    ///
    /// # Errors
    /// When the world has none: two things have to be said of each object.
    pub fn draw(world: &'a World, count: usize, seed: u64) -> Result<Self> {
        let all = Combinations::all(world);
        let factor = world.swapped_factor().filter(|_| world.said().len() > 1);
        let factor = factor.ok_or_else(|| {
            Error::mismatch("world", "one whose captions say two things of each object, to exchange one", "fewer")
        })?;
        let twins = swap_twins(world, factor, &all, &all, count, seed)?;
        let wording = |i: usize| Wording::draw(2, &[], &mut random::stream(seed, "wording of twins", i as u64));
        let wordings: Vec<_> = (0..count).map(wording).collect();
        let said = |(twin, wording): (&SwapTwin, &Wording<'_>)| {
            [&twin.scene, &twin.scene.swapped(factor, 0, 1)].map(|scene| caption(scene, world, wording))
        };
        let captions = twins.iter().zip(&wordings).map(said).collect();
        Ok(Self { world, pairs: twins, wordings, captions })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Of the twins `which` clean and corrupt scene, as `model` is shown them.
    fn pictures(&self, model: &Model, which: Range<usize>) -> Vec<RgbImage> {
        let canvas = canvas(&model.config);
        let scenes: Vec<&Scene> = self.pairs[which].iter().flat_map(|twin| [&twin.scene, &twin.twin]).collect();
        scenes.par_iter().map(|scene| render(scene, self.world, &canvas)).collect()
    }

    /// The twins `which` as inputs of the vision tower, read out by the captions: `s(I, T) - s(I, T')`.
    ///
    /// # Errors
    /// When the model can't be shown them.
    pub fn images(&self, model: &Model, which: Range<usize>) -> Result<Pairs> {
        let texts = model.encode_texts(&self.captions[which.clone()].concat(), &mut ())?;
        let canvas = canvas(&model.config);
        let map = |twin: &SwapTwin| TokenMap::of_scenes(&[&twin.scene, &twin.twin], self.world, &canvas, model);
        let maps = self.pairs[which.clone()].par_iter().map(map).collect();
        let input = Input::Images(model.pixels(&self.pictures(model, which))?);
        Ok(Pairs { input, maps, readout: readout(texts.data(), texts.width()) })
    }

    /// Captions of the twins `which` as inputs of the text tower, read out by the images: `s(I, T) - s(I', T)`; and of the twins that are left out why.
    ///
    /// A patch puts tokens in the place of others, so both captions of a twin have as many, and every object's words stand in the same
    /// places. `None` where no twin's captions are so.
    ///
    /// # Errors
    /// When the model can't be shown them.
    pub fn texts(&self, model: &Model, which: Range<usize>) -> Result<(Option<Pairs>, Vec<String>)> {
        let tokenizer = model.tokenizer()?;
        let images = model.encode_pictures(&self.pictures(model, which.clone()), &mut ())?;
        let all = readout(images.data(), images.width());
        let site = Site::text(Point::Block(0, BlockPoint::ResidPost));
        let (mut captions, mut maps, mut readouts, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, i) in which.enumerate() {
            let (twin, wording) = (&self.pairs[i], &self.wordings[i]);
            let map = |scene| TokenMap::of_caption(scene, self.world, wording, tokenizer);
            let both = [map(&twin.scene)?, map(&twin.twin)?];
            let groups = [Group::All, Group::Object(0), Group::Object(1)];
            let places = |map: &TokenMap| groups.map(|group| group.positions(&model.config, site, map).ok());
            let [clean, corrupt] = [places(&both[0]), places(&both[1])];
            if clean != corrupt {
                let count = |places: &[Option<Vec<usize>>; 3]| places[0].as_ref().map_or(0, Vec::len);
                refused.push(format!(
                    "`{}` ({} tokens) and `{}` ({}): their words do not stand at the same tokens",
                    self.captions[i][0],
                    count(&clean),
                    self.captions[i][1],
                    count(&corrupt)
                ));
                continue;
            }
            let [clean, _] = both;
            captions.extend(self.captions[i].clone());
            maps.push(clean);
            readouts.push(all[row].clone());
        }
        if maps.is_empty() {
            return Ok((None, refused));
        }
        let input = Input::Texts(tokenizer.encode(&captions)?);
        Ok((Some(Pairs { input, maps, readout: readouts }), refused))
    }

    /// Calls `each` with the twins as inputs of `tower`, so many at a time that memory doesn't depend on their number; gives why some are left
    /// out.
    ///
    /// # Errors
    /// As [`images`](Self::images) and [`texts`](Self::texts), what `each` gives, and when all are left out.
    pub(super) fn each(
        &self,
        (model, tower): (&Model, Tower),
        mut each: impl FnMut(&Pairs) -> Result<()>,
    ) -> Result<Vec<String>> {
        let (mut refused, mut some) = (Vec::new(), false);
        for which in parts(self.len(), TOGETHER) {
            let pairs = match tower {
                Tower::Vision => Some(self.images(model, which)?),
                Tower::Text => {
                    let (pairs, more) = self.texts(model, which)?;
                    refused.extend(more);
                    pairs
                }
            };
            if let Some(pairs) = pairs {
                some = true;
                each(&pairs)?;
            }
        }
        if some {
            return Ok(refused);
        }
        let got = refused.first().cloned().unwrap_or_else(|| "no twins".to_owned());
        Err(Error::mismatch("captions of twins", "some whose objects' words stand at the same tokens", got))
    }
}

fn canvas(config: &ModelConfig) -> Canvas {
    Canvas::plain(config.vision.image as u32, config.vision.image as u32)
}

/// Of rows clean, corrupt, clean, ... of embeddings the clean less the corrupt one.
fn readout(rows: &[f32], width: usize) -> Vec<Vec<f64>> {
    let of = |twin: &[f32]| {
        let (clean, corrupt) = twin.split_at(width);
        clean.iter().zip(corrupt).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
    };
    rows.chunks(2 * width).map(of).collect()
}
