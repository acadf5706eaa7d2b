//! Swap twins for interventions: pictures and captions of a world, what is asked of them, and where their tokens are.

use super::margins::{SWAP, Target, Term};
use super::probes::probes;
use super::rest::{BATCH, ModelRest};
use super::token_map::TokenMap;
use super::tokens::Tokens;
use super::trial::{Asked, Trial};
use crate::measure::Matrix;
use crate::model::{Model, Pixels, Site, Tower, tokenizer};
use crate::scene::caption::{Wording, caption};
use crate::scene::generate::{SwapTwin, swap_twins, toy};
use crate::scene::{Canvas, Combinations, Scene, World, render};
use crate::{Error, Result, memory, random};
use rand::RngExt;
use rayon::prelude::*;

/// Twins that a model has seen clean, in both towers.
///
/// Rows of the vision tower are scene and twin, twin after twin. Rows of the text tower are their captions, then, for each factor of which
/// there is a value that neither object has, the captions with one object's value replaced.
pub struct Twins<'a> {
    model: &'a Model,
    pairs: Vec<SwapTwin>,
    pixels: Vec<Pixels<f32>>,
    tokens: tokenizer::Tokens,
    texts: Vec<String>,
    maps: [Vec<TokenMap>; 2],
    targets: [Vec<Target>; 2],
    /// Captions of a twin.
    variants: usize,
    /// Why the words of an object are not known in a caption, of the first such one.
    unknown: Option<String>,
}

/// The captions of one scene, right and with each factor replaced, and the scenes that they would be right of.
struct Said<'a> {
    scenes: Vec<Scene>,
    wording: Wording<'a>,
}

impl<'a> Twins<'a> {
    /// `count` twins of `world` that exchange its [swapped factor](World::swapped_factor), each in one wording of one of `templates`.
    ///
    /// # Errors
    /// When captions say fewer than two factors, twins cannot be made, or the model does not read the captions.
    pub fn draw(model: &'a Model, world: &World, templates: &[&str], count: usize, seed: u64) -> Result<Self> {
        if world.said().len() < 2 {
            let expected = "at least two factors that captions say, which can be bound";
            return Err(Error::mismatch("world", expected, world.said().len()));
        }
        let values = model.preprocessing.values() * 2 * size_of::<f32>();
        memory::check(
            "twins",
            &format!("the pictures of {count} twins"),
            (count as u64).saturating_mul(values as u64),
        )?;
        let (factor, all) = (world.swapped_factor().unwrap_or_default(), Combinations::all(world));
        let twins = swap_twins(world, factor, &all, &all, count, seed)?;
        let replaceable: Vec<usize> = world.said().into_iter().filter(|f| world.factors[*f].values.len() > 2).collect();
        let canvas = Canvas::plain(model.config.vision.image as u32, model.config.vision.image as u32);
        let said: Vec<[Said<'_>; 2]> =
            (0..twins.len()).map(|i| say(world, &twins[i], &replaceable, templates, (seed, i))).collect();
        // Variant after variant, in each the captions of scene and twin.
        let variants = 1 + replaceable.len();
        let rows = |both: &[Said<'_>; 2]| -> Vec<String> {
            (0..variants)
                .flat_map(|v| both.each_ref().map(|said| caption(&said.scenes[v], world, &said.wording)))
                .collect()
        };
        let texts: Vec<String> = said.iter().flat_map(rows).collect();
        let tokenizer = model.tokenizer()?;
        let (mut captions, mut unknown) = (Vec::with_capacity(texts.len()), None);
        for both in &said {
            for v in 0..variants {
                for said in both {
                    let map = TokenMap::of_caption(&said.scenes[v], world, &said.wording, tokenizer);
                    // Other edits than those of an object's words don't ask.
                    captions.push(match map {
                        Ok(map) => map,
                        Err(error) => {
                            unknown.get_or_insert_with(|| error.to_string());
                            TokenMap::of_text(&texts[captions.len()], tokenizer)?
                        }
                    });
                }
            }
        }
        let scenes: Vec<&Scene> = twins.iter().flat_map(|twin| [&twin.scene, &twin.twin]).collect();
        let shown = |scenes: &[&Scene]| {
            let images: Vec<_> = scenes.par_iter().map(|scene| render(scene, world, &canvas)).collect();
            model.pixels(&images)
        };
        let pixels = scenes.chunks(BATCH).map(shown).collect::<Result<Vec<_>>>()?;
        let images = twins.iter().map(|twin| TokenMap::of_scenes(&[&twin.scene, &twin.twin], world, &canvas, model));
        let images = images.flat_map(|map| [map.clone(), map]).collect();
        let names = replaceable.iter().map(|f| format!("attribute:{}", world.factors[*f].name)).collect::<Vec<_>>();
        let embeddings = [embed_images(model, &scenes, world, &canvas)?, embed_texts(model, &texts)?];
        Ok(Self {
            model,
            pixels,
            tokens: tokenizer.encode(&texts)?,
            texts,
            maps: [images, captions],
            targets: targets(&embeddings, twins.len(), &names),
            pairs: twins,
            variants,
            unknown,
        })
    }

    /// The twins.
    pub fn twins(&self) -> &[SwapTwin] {
        &self.pairs
    }

    /// What can be asked while `tower` is edited: `swap`, and `attribute:NAME` of each factor that can be replaced; where
    /// [asked for](Self::ask_probes), `probe:NAME`.
    pub fn targets(&self, tower: Tower) -> &[Target] {
        &self.targets[usize::from(tower == Tower::Text)]
    }

    /// What the tokens of every row of `tower` show.
    pub fn maps(&self, tower: Tower) -> &[TokenMap] {
        &self.maps[usize::from(tower == Tower::Text)]
    }

    /// Asks linear probes as well while `tower` is edited: targets `probe:NAME` for every factor that captions say, and
    /// `probe:NAME x NAME` for its combinations with the one that twins exchange. They learn from `count` scenes of two objects of the
    /// same `world`, in `templates`.
    ///
    /// # Errors
    /// When the world has no such scenes, or the model doesn't read their captions.
    pub fn ask_probes(
        &mut self,
        tower: Tower,
        (world, templates): (&World, &[&str]),
        count: usize,
        seed: u64,
    ) -> Result<()> {
        let scenes = toy(world, &Combinations::all(world), 2..=2, count, seed)?;
        let (rows, per_twin) = match tower {
            Tower::Vision => {
                let side = self.model.config.vision.image as u32;
                let shown: Vec<&Scene> = scenes.iter().collect();
                (embed_images(self.model, &shown, world, &Canvas::plain(side, side))?, 2)
            }
            Tower::Text => {
                let said = |(i, scene): (usize, &Scene)| {
                    let rng = &mut random::stream(seed, "probe captions", i as u64);
                    caption(scene, world, &Wording::draw(2, templates, rng))
                };
                let texts: Vec<String> = scenes.iter().enumerate().map(said).collect();
                (embed_texts(self.model, &texts)?, 2 * self.variants)
            }
        };
        let embeddings = Matrix::new(rows.len(), rows.first().map_or(0, Vec::len), rows.concat())?;
        let swapped = world.swapped_factor().unwrap_or_default();
        let found = probes((world, swapped), (&scenes, &embeddings), &self.pairs, |i, k| per_twin * i + k)?;
        self.targets[usize::from(tower == Tower::Text)].extend(found);
        Ok(())
    }

    /// The forward up to `site`, to go on from.
    ///
    /// # Errors
    /// As [`ModelRest::of_images`].
    pub fn rest(&self, site: Site) -> Result<ModelRest<'_>> {
        match site.tower {
            Tower::Vision => ModelRest::of_images(self.model, site, &self.pixels),
            Tower::Text => ModelRest::of_texts(self.model, site, &self.tokens),
        }
    }

    /// Ready for edits of `tokens` at the site of `rest`.
    ///
    /// # Errors
    /// When a scene or caption has no such tokens, which is named.
    pub fn trial<'b>(&'b self, rest: &'b ModelRest<'b>, head: Option<usize>, tokens: Tokens) -> Result<Trial<'b>> {
        use super::rest::Rest as _;
        let site = rest.site();
        let per_twin = if site.tower == Tower::Text { 2 * self.variants } else { 2 };
        if let (Tower::Text, Tokens::Object(_), Some(unknown)) = (site.tower, tokens, &self.unknown) {
            let expected = "captions in which the tokenizer tells an object's words from others";
            return Err(Error::mismatch(format!("site `{site}`, tokens `{tokens}`"), expected, unknown));
        }
        let mut positions = Vec::new();
        for (row, map) in self.maps(site.tower).iter().enumerate() {
            let found = tokens.positions(&self.model.config, site, map);
            positions.push(found.map_err(|error| self.of_row(error, site.tower, row, per_twin))?);
        }
        let strata = (0..positions.len()).map(|row| row % per_twin / 2).collect();
        Trial::new(rest, Asked { tokens, head, positions, strata, targets: self.targets(site.tower) })
    }

    /// `error` with the row that it speaks of.
    fn of_row(&self, error: Error, tower: Tower, row: usize, per_twin: usize) -> Error {
        let Error::Mismatch { place, expected, got } = error else { return error };
        let what = match tower {
            Tower::Vision => format!("twin {}", row / per_twin),
            Tower::Text => format!("the caption `{}`", self.texts[row]),
        };
        Error::mismatch(format!("{place}, {what}"), expected, got)
    }
}

/// What is said of twin `i`.
fn say<'a>(
    world: &World,
    twin: &SwapTwin,
    replaceable: &[usize],
    templates: &[&'a str],
    (seed, i): (u64, usize),
) -> [Said<'a>; 2] {
    let rng = &mut random::stream(seed, "intervention captions", i as u64);
    let wording = Wording::draw(2, templates, rng);
    let k = rng.random_range(0..2);
    let mut scenes = [vec![twin.scene.clone()], vec![twin.twin.clone()]];
    for f in replaceable {
        let values = 0..world.factors[*f].values.len() as u32;
        let others: Vec<u32> =
            values.filter(|value| twin.scene.objects.iter().all(|object| object.values[*f] != *value)).collect();
        let value = others[rng.random_range(0..others.len())];
        scenes.iter_mut().for_each(|scenes| scenes.push(scenes[0].replaced(*f, k, value)));
    }
    scenes.map(|scenes| Said { scenes, wording: wording.clone() })
}

fn embed_images(model: &Model, scenes: &[&Scene], world: &World, canvas: &Canvas) -> Result<Vec<Vec<f32>>> {
    let mut rows = Vec::with_capacity(scenes.len());
    for scenes in scenes.chunks(BATCH) {
        let images: Vec<_> = scenes.par_iter().map(|scene| render(scene, world, canvas)).collect();
        let embeds = model.encode_pictures(&images, &mut ())?;
        rows.extend(embeds.data().chunks(embeds.width()).map(<[f32]>::to_vec));
    }
    Ok(rows)
}

fn embed_texts(model: &Model, texts: &[String]) -> Result<Vec<Vec<f32>>> {
    let embeds = model.encode_texts(texts, &mut ())?;
    Ok(embeds.data().chunks(embeds.width()).map(<[f32]>::to_vec).collect())
}

/// The targets of either tower, of the clean embeddings of both; `names` are those of the replaced factors.
fn targets([images, texts]: &[Vec<Vec<f32>>; 2], twins: usize, names: &[String]) -> [Vec<Target>; 2] {
    let per_twin = 2 + 2 * names.len();
    let half = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) / 2.0).collect::<Vec<f32>>();
    let halved = |a: &[f32], sign: f32| a.iter().map(|a| sign * a / 2.0).collect::<Vec<f32>>();
    let mut of_vision = Vec::new();
    let mut of_text = Vec::new();
    for (v, name) in std::iter::once(SWAP).chain(names.iter().map(String::as_str)).enumerate() {
        let (mut vision, mut text) = (Vec::new(), Vec::new());
        for i in 0..twins {
            let first = per_twin * i;
            let wrong = |k: usize| if v == 0 { first + 1 - k } else { first + 2 * v + k };
            let term = |k: usize| Term { row: 2 * i + k, with: half(&texts[first + k], &texts[wrong(k)]) };
            vision.push([0, 1].map(term).to_vec());
            let terms = |k: usize| {
                let image = &images[2 * i + k];
                [Term { row: first + k, with: halved(image, 1.0) }, Term { row: wrong(k), with: halved(image, -1.0) }]
            };
            text.push([0, 1].map(terms).concat());
        }
        let constants = Vec::new();
        of_vision.push(Target { name: name.to_owned(), twins: vision, constants: constants.clone() });
        of_text.push(Target { name: name.to_owned(), twins: text, constants });
    }
    [of_vision, of_text]
}
