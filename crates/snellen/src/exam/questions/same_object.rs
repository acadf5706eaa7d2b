//! Whether patches of one object resemble each other more than patches of two (METHODS.md, patches of one object).

use crate::exam::patches::{Seen, Shown, owners};
use crate::exam::question::{Answer, Asked, Question};
use crate::exam::sentences::percent;
use crate::exam::sitting::Sitting;
use crate::measure::proportion::Difference;
use crate::measure::{Confidence, Matrix};
use crate::readers::paired;
use crate::report::{Contrast, NamedNumber, QuestionCard};
use crate::scene::{Combinations, Free, Scene, World, generate};
use crate::{Error, Result, random};
use rayon::prelude::*;

/// How many patches an object is wide: first choice first.
const WIDE: [f64; 3] = [3.0, 2.5, 2.0];
/// The most of the frame that it may take.
const LARGEST: f64 = 0.45;
/// Of the twins that were asked for, one scene of each kind for so many; and fewest and most.
const TWINS: usize = 5;
const SCENES: [usize; 2] = [20, 80];
/// What ids of what a learnt form answers end in.
const FORM: &str = "_form";

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
         objects, just as far apart in either direction: right where the pair of one object has the larger cosine in what leaves a layer. A cosine \
         sees the directions along which patches vary most; so where objects look alike a symmetric bilinear form is asked too, learnt from the \
         other scenes. Scenes are clusters. Where objects look alike, appearance does not tell; what of it is left (edges, corners) raw pixels and untrained \
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
        let controls = sitting.controls()?;
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
            if shown.clusters.is_empty() {
                asked.left_out_parts.push(format!("objects {kind}: no two pairs of patches are as far apart"));
                continue;
            }
            let own = shown.seen(model, &shown.pictures, sitting)?;
            let pixels = shown.pixels(model, rows, columns)?;
            let mut beside = vec![("raw pixels", Beside::Every(pixels))];
            for control in controls {
                let seen = shown.seen(&control.model, &shown.pictures, sitting)?;
                beside.push((control.name.as_str(), Beside::Layers(seen)));
            }
            let empty = shown.seen(model, &shown.empty, sitting)?;
            beside.push(("the picture without objects", Beside::Layers(empty)));
            push(&mut asked, sitting, (kind, ""), &own, &beside, (&shown, &|rows| Ok(shown.by_cosine(rows))))?;
            // Where objects differ their looks tell.
            if kind == "alike" {
                let form =
                    push(&mut asked, sitting, (kind, FORM), &own, &beside, (&shown, &|rows| shown.by_form(rows)));
                form.or_else(|error| match error {
                    Error::Mismatch { .. } => {
                        asked.left_out_parts.push(format!("objects {kind}, by a learnt form: {error}"));
                        Ok(())
                    }
                    error => Err(error),
                })?;
            }
            asked.scenes.extend(scenes);
        }
        if asked.answers.is_empty() {
            return Ok(Asked::left_out(&asked.left_out_parts.join("; ")));
        }
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let of = |(kind, by, what): (&str, &str, &str)| {
            let ids = own.rates.iter().filter(|rate| rate.id.starts_with(&format!("{kind}_")));
            let ids = ids.filter(|rate| rate.id.ends_with(FORM) == (by == FORM));
            let beyond = ids.filter_map(|rate| Some((rate, own.contrast(&format!("{}_beyond", rate.id))?)));
            let (rate, by) = beyond
                .filter(|(rate, by)| by.lo > 0.0 && rate.rate.accuracy.lo > rate.rate.chance)
                .max_by(|a, b| a.1.estimate.total_cmp(&b.1.estimate))?;
            let layer = rate.id.trim_end_matches(FORM).rsplit('_').next().unwrap_or_default();
            Some(format!(
                "{what}, as far apart: behind layer {layer} in {} (chance 50 %), {:.0} points [{:.0}, {:.0}] above raw pixels, untrained models and the same places of pictures without objects.",
                percent(&rate.rate),
                100.0 * by.estimate,
                100.0 * by.lo,
                100.0 * by.hi
            ))
        };
        let asked = [
            ("alike", "", "Patches of one object resemble each other more than those of two that look alike"),
            (
                "alike",
                FORM,
                "A bilinear form learnt from other scenes tells patches of one object from those of two that look alike",
            ),
            ("unlike", "", "Patches of one object resemble each other more than those of two that differ"),
        ];
        let said: Vec<String> = asked.into_iter().filter_map(of).collect();
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

/// Who is asked the same beside the model.
enum Beside {
    /// The same rows at every layer.
    Every(Matrix),
    Layers(Seen),
}

/// A rate for each layer, with what controls give, and what is left beyond the best control, by what `score` says of rows. Intervals of
/// differences hold for all layers at once.
fn push(
    asked: &mut Asked,
    sitting: &Sitting<'_>,
    (kind, by): (&str, &str),
    own: &Seen,
    beside: &[(&str, Beside)],
    (shown, score): (&Shown, &dyn Fn(&Matrix) -> Result<Vec<f64>>),
) -> Result<()> {
    let clusters = &shown.clusters;
    let of_own = own.iter().map(|(_, rows)| score(rows)).collect::<Result<Vec<_>>>()?;
    let mut of_others = Vec::new();
    for (name, rows) in beside {
        let scores = match rows {
            Beside::Every(rows) => vec![score(rows)?; own.len()],
            Beside::Layers(seen) => seen.iter().map(|(_, rows)| score(rows)).collect::<Result<_>>()?,
        };
        of_others.push((*name, scores));
    }
    let each = Confidence::new(1.0 - (1.0 - sitting.confidence.level()) / own.len() as f64)?;
    for (k, ((site, _), scores)) in own.iter().zip(&of_own).enumerate() {
        let layer = site.layer().map_or(0, |layer| layer + 1);
        let id = format!("{kind}_layer_{layer}{by}");
        let title = format!("bjects {kind}, layer {layer}{}", if by.is_empty() { "" } else { ", by a learnt form" });
        let answers = scores.iter().zip(clusters).map(|(score, cluster)| Answer { score: *score, cluster: *cluster });
        asked.push((&id, &format!("o{title}")), 0.5, answers);
        let mut best: Option<(&str, Difference)> = None;
        for (name, scores_of) in &of_others {
            asked.numbers.push(NamedNumber {
                id: format!("{id}_{}", name.replace(['(', ')'], "").replace(' ', "_")),
                title: format!("O{title}, {name}"),
                value: scores_of[k].iter().sum::<f64>() / scores_of[k].len().max(1) as f64,
                share: true,
            });
            let difference = paired(scores, &scores_of[k], clusters, each)?;
            if best.is_none_or(|(_, least)| difference.estimate < least.estimate) {
                best = Some((*name, difference));
            }
        }
        asked.contrasts.extend(best.map(|(control, difference)| Contrast {
            id: format!("{id}_beyond"),
            title: format!("O{title}, less {control}"),
            difference,
        }));
    }
    Ok(())
}
