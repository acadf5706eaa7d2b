//! Whether patches of one object resemble each other more than patches of two (METHODS.md, patches of one object).

use crate::exam::controls::untrained;
use crate::exam::patches::{Found, Shown, owners};
use crate::exam::question::{Answer, Asked, Question};
use crate::exam::sentences::percent;
use crate::exam::sitting::Sitting;
use crate::measure::Confidence;
use crate::measure::proportion::Difference;
use crate::readers::paired;
use crate::report::{Contrast, NamedNumber, QuestionCard};
use crate::scene::{Combinations, Free, Scene, World, generate};
use crate::{Result, random};
use rayon::prelude::*;

/// How many patches an object is wide: first choice first.
const WIDE: [f64; 3] = [3.0, 2.5, 2.0];
/// The most of the frame that it may take.
const LARGEST: f64 = 0.45;
/// Of the twins that were asked for, one scene of each kind for so many; and fewest and most.
const TWINS: usize = 5;
const SCENES: [usize; 2] = [20, 80];

/// Scenes of two objects, patch by patch: is a pair of one object more alike than a pair of two objects, as far apart?
#[derive(Clone, Copy, Debug)]
pub struct SameObject;

impl Question for SameObject {
    fn id(&self) -> &'static str {
        "same_object"
    }

    fn title(&self) -> &'static str {
        "patches of one object"
    }

    fn purpose(&self) -> &'static str {
        "whether patches are more like those of their own object"
    }

    fn about(&self, _: usize) -> String {
        "Scenes of two objects, some patches wide, that look alike or differ in everything. Two patches of one object against two of different \
         objects, just as far apart in either direction: right where the pair of one object has the larger cosine in what leaves a layer. \
         Scenes are clusters. Where objects look alike, appearance does not tell; what of it is left (edges, corners) raw pixels and untrained \
         models have too, and what places alone tell shows in pictures without objects: they stand beside it."
            .to_owned()
    }

    fn needs_texts(&self) -> bool {
        false
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let Some(model) = sitting.examinee.model() else {
            return Ok(Asked::left_out("asked of a model only, whose patches can be seen"));
        };
        let side = sitting.examinee.side() as usize;
        let (_, [rows, columns]) = model.preprocessing.patched(side, side, &model.config.vision);
        let count = (sitting.twins / TWINS).clamp(SCENES[0], SCENES[1]);
        let seed = random::seed(sitting.seed, "patches of one object", 0);
        let Some(world) = large(sitting.world, rows.min(columns)) else {
            let why = format!("{rows} x {columns} patches are too few for two objects of two patches");
            return Ok(Asked::left_out(&why));
        };
        let controls = untrained(sitting.examinee, seed)?;
        let mut asked = Asked { group: 1, ..Asked::default() };
        for kind in ["alike", "unlike"] {
            let scenes = match drawn(kind, &world, count, seed) {
                Ok(scenes) => scenes,
                Err(error) => {
                    asked.left_out_parts.push(format!("objects {kind}: {error}"));
                    continue;
                }
            };
            let canvas = sitting.canvas();
            let owners: Vec<Vec<Option<usize>>> =
                scenes.par_iter().map(|scene| owners(scene, &world, &canvas, model)).collect();
            let shown = Shown::of(&scenes, &world, &canvas, &owners, columns, seed);
            let clusters = shown.clusters();
            if clusters.is_empty() {
                asked.left_out_parts.push(format!("objects {kind}: no two pairs of patches are as far apart"));
                continue;
            }
            let own = shown.ask(model, &shown.pictures, sitting)?;
            let scores = |found: Found| found.into_iter().map(|(_, scores)| scores).collect();
            let empty: Vec<Vec<f64>> = scores(shown.ask(model, &shown.empty, sitting)?);
            let mut beside = vec![("raw pixels".to_owned(), vec![shown.of_pixels(model, rows, columns); own.len()])];
            for (name, control) in &controls {
                beside.push((name.clone(), scores(shown.ask(control, &shown.pictures, sitting)?)));
            }
            beside.push(("the picture without objects".to_owned(), empty));
            push(&mut asked, sitting, kind, (&own, &beside), &clusters)?;
            asked.scenes.extend(scenes);
        }
        if asked.answers.is_empty() {
            return Ok(Asked::left_out(&asked.left_out_parts.join("; ")));
        }
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let of = |(kind, what): (&str, &str)| {
            let ids = own.rates.iter().filter(|rate| rate.id.starts_with(&format!("{kind}_")));
            let beyond = ids.filter_map(|rate| Some((rate, own.contrast(&format!("{}_beyond", rate.id))?)));
            let (rate, by) = beyond
                .filter(|(rate, by)| by.lo > 0.0 && rate.rate.accuracy.lo > rate.rate.chance)
                .max_by(|a, b| a.1.estimate.total_cmp(&b.1.estimate))?;
            let layer = rate.title.rsplit(' ').next().unwrap_or_default();
            Some(format!(
                "Patches of one object resemble each other more than those of two that {what}, as far apart: behind layer {layer} in {} (chance 50 %), {:.0} points [{:.0}, {:.0}] above raw pixels, untrained models and the same places of pictures without objects.",
                percent(&rate.rate),
                100.0 * by.estimate,
                100.0 * by.lo,
                100.0 * by.hi
            ))
        };
        let said: Vec<String> = [("alike", "look alike"), ("unlike", "differ")].into_iter().filter_map(of).collect();
        if said.is_empty() && !own.rates.is_empty() {
            return vec!["That patches know whose they are, beyond what raw pixels, untrained models and places alone give, does not show at any layer.".to_owned()];
        }
        said
    }
}

/// `world` with objects some patches wide, anywhere in the frame; `None` where two of them don't fit.
fn large(world: &World, grid: usize) -> Option<World> {
    let factor = world.largest() / world.size[1];
    WIDE.into_iter().find_map(|wide| {
        let size = wide / grid as f64;
        let free = Some(Free { objects: 2, gap: 0.0 });
        let large = World { size: [size / factor; 2], jitter: 0.0, free, ..world.clone() };
        (size <= LARGEST && large.check().is_ok()).then_some(large)
    })
}

/// `count` scenes of two objects that look alike, or differ in all that may not repeat.
fn drawn(kind: &str, world: &World, count: usize, seed: u64) -> Result<Vec<Scene>> {
    let every = Combinations::all(world);
    if kind == "alike" {
        let scenes = generate::alike(world, &every, 2, 2 * count, seed)?;
        return Ok(scenes.into_iter().map(|(_, scene)| scene).filter(|scene| scene.objects.len() == 2).collect());
    }
    generate::toy(world, &every, 2..=2, count, seed)
}

/// A rate for each layer, with what controls give, and what is left beyond the best control. Intervals of differences hold for all
/// layers at once.
fn push(
    asked: &mut Asked,
    sitting: &Sitting<'_>,
    kind: &str,
    (own, beside): (&Found, &[(String, Vec<Vec<f64>>)]),
    clusters: &[u64],
) -> Result<()> {
    let each = Confidence::new(1.0 - (1.0 - sitting.confidence.level()) / own.len() as f64)?;
    for (k, (site, scores)) in own.iter().enumerate() {
        let layer = site.layer().map_or(0, |layer| layer + 1);
        let id = format!("{kind}_layer_{layer}");
        let answers = scores.iter().zip(clusters).map(|(score, cluster)| Answer { score: *score, cluster: *cluster });
        asked.push((&id, &format!("objects {kind}, layer {layer}")), 0.5, answers);
        for (name, scores) in beside {
            asked.numbers.push(NamedNumber {
                id: format!("{id}_{}", name.replace(['(', ')'], "").replace(' ', "_")),
                title: format!("Objects {kind}, layer {layer}, {name}"),
                value: scores[k].iter().sum::<f64>() / scores[k].len().max(1) as f64,
                share: true,
            });
        }
        let mut best: Option<(&str, Difference)> = None;
        for (name, scores_of) in beside {
            let difference = paired(scores, &scores_of[k], clusters, each)?;
            if best.is_none_or(|(_, least)| difference.estimate < least.estimate) {
                best = Some((name, difference));
            }
        }
        asked.contrasts.extend(best.map(|(control, difference)| Contrast {
            id: format!("{id}_beyond"),
            title: format!("Objects {kind}, layer {layer}, less {control}"),
            difference,
        }));
    }
    Ok(())
}
