//! Whether an edit of an object moves the image embedding by the same vector whatever else stands there (METHODS.md, additive objects).

use crate::exam::controls::pixels;
use crate::exam::question::{Answer, Asked, Question};
use crate::exam::sentences::{list, word};
use crate::exam::sitting::Sitting;
use crate::measure::Matrix;
use crate::measure::additive::{Additivity, additivity};
use crate::measure::proportion::Difference;
use crate::report::{Contrast, NamedNumber, QuestionCard};
use crate::scene::{Combinations, Object, Scene, World, generate};
use crate::{Error, Result, random};

/// Scenes that are edited, at most.
const SCENES: usize = 40;
/// Of the twins that were asked for, one scene for so many.
const TWINS: usize = 15;
/// The fewest.
const FEWEST: usize = 12;
/// Objects that are added, at most.
const ADDED: usize = 6;
/// Draws of a scene with so many objects until one has room for its edits.
const TRIES: usize = 200;
/// Objects of a scene, the edited one among them.
const OBJECTS: usize = 3;

/// Scenes of two or three objects, one of which is given every value of an attribute, and scenes to which one is added.
#[derive(Clone, Copy, Debug)]
pub struct Additive;

/// Scenes that differ in one edit, over several surroundings.
struct Edits {
    /// Its name: an attribute, or `added`.
    name: String,
    /// `[surroundings][value]`; of what is added the scene without it comes first.
    families: Vec<Vec<Scene>>,
}

impl Question for Additive {
    fn id(&self) -> &'static str {
        "additive"
    }

    fn title(&self) -> &'static str {
        "edited scenes"
    }

    fn purpose(&self) -> &'static str {
        "whether an edit is the same vector whatever else is there"
    }

    fn about(&self, _: usize) -> String {
        "Scenes of two or three objects, no captions: one of them is given every value of an attribute, or another is added. A scene with \
         the old value plus what the edit does elsewhere should be nearest to the scene with the new value: that is the rate. The share is \
         the part of what edits change that depends on the edited value alone, 100 % where the embedding is a sum of its objects, 0 where \
         every scene is changed in its own direction; other objects, and the place of the edited one, differ from scene to scene."
            .to_owned()
    }

    fn needs_texts(&self) -> bool {
        false
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let seed = random::seed(sitting.seed, "additive", 0);
        let count = (sitting.twins / TWINS).clamp(FEWEST, SCENES);
        let mut asked = Asked { group: 1, ..Asked::default() };
        let edits = match edits(sitting.world, count, seed) {
            Ok(edits) => edits,
            Err(Error::Mismatch { expected, got, .. }) => {
                return Ok(Asked::left_out(&format!("no scenes of two objects: expected {expected}, got {got}")));
            }
            Err(other) => return Err(other),
        };
        let controls = sitting.controls()?;
        for edit in edits {
            let scenes: Vec<Scene> = edit.families.concat();
            let refs: Vec<&Scene> = scenes.iter().collect();
            let of = |name: &str, matrix: &Matrix| -> Result<(String, Option<Additivity>)> {
                let families = edit.of(matrix)?;
                let found = additivity(&families, edit.name != "added", sitting.confidence, seed)?;
                Ok((name.to_owned(), found))
            };
            let images = sitting.images(&refs)?;
            let own = of("embedding", &images)?.1;
            let mut beside = vec![of("raw pixels", &pixels(sitting, &scenes)?)?];
            for control in controls {
                beside.push(of(&control.name, &sitting.of(control).images(&refs)?)?);
            }
            let values = edit.families[0].len();
            if edit.name != "added" && values > 2 {
                let (id, title) = (format!("found_{}", edit.name), format!("edited {} found", word(&edit.name)));
                asked.push((&id, &title), 1.0 / (values - 1) as f64, found(&edit.of(&images)?));
            }
            push(&mut asked, sitting, &edit.name, own, &beside)?;
            asked.scenes.extend(scenes);
        }
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let names = own.numbers.iter().filter_map(|number| number.id.strip_prefix("share_")?.strip_suffix("_lo"));
        let (mut more, mut same) = (Vec::new(), Vec::new());
        for name in names {
            let number = |end: &str| own.number(&format!("share_{name}{end}")).unwrap_or_default();
            if number("_lo") <= number("_by_chance").max(0.0) {
                continue;
            }
            let what = if name == "added" { "an added object".to_owned() } else { format!("another {}", word(name)) };
            let said = format!(
                "{what} ({:.0} % [{:.0}, {:.0}])",
                100.0 * number(""),
                100.0 * number("_lo"),
                100.0 * number("_hi")
            );
            let learnt = own.contrast(&format!("share_{name}_beyond")).is_some_and(|of| of.lo > 0.0);
            if learnt { more.push(said) } else { same.push(said) }
        }
        let of = |said: &[String], beside: &str| {
            format!(
                "Of what an edit changes in the image embedding, the share that is the same whatever else is there: {}; {beside}.",
                list(said)
            )
        };
        let more = (!more.is_empty()).then(|| of(&more, "more than in raw pixels and untrained models"));
        let same = (!same.is_empty()).then(|| of(&same, "no more than in raw pixels or untrained models"));
        more.into_iter().chain(same).collect()
    }
}

impl Edits {
    /// The rows of each family; of what is added, what it changes.
    fn of(&self, matrix: &Matrix) -> Result<Vec<Matrix>> {
        let size = self.families[0].len();
        let family = |k: usize| {
            let rows = matrix.rows(k * size..(k + 1) * size);
            if self.name != "added" {
                return Ok(rows);
            }
            let change = |v: usize| rows.row(v).iter().zip(rows.row(0)).map(|(x, bare)| x - bare);
            Matrix::new(size - 1, rows.units(), (1..size).flat_map(change).collect())
        };
        (0..self.families.len()).map(family).collect()
    }
}

/// All edits of `count` scenes each.
fn edits(world: &World, count: usize, seed: u64) -> Result<Vec<Edits>> {
    let world = &world.repeating();
    world.check()?;
    let every = Combinations::all(world);
    let most = OBJECTS.min(world.room());
    let draw = |name: &str, i: usize| -> Result<Scene> {
        let rng = &mut random::stream(seed, name, i as u64);
        // Where three leave no room for every edit, two do.
        for tries in 0..2 * TRIES {
            let objects = if tries < TRIES { 2 + i % (most - 1).max(1) } else { 2 };
            let scene = generate::random(world, &every, objects, rng)?;
            if has_room(&scene, world) {
                return Ok(scene);
            }
        }
        Err(Error::mismatch("edited scenes", "room for an object at its largest beside another", "none"))
    };
    let mut all = Vec::new();
    for f in world.said() {
        let values = world.factors[f].values.len() as u32;
        if values < 2 {
            continue;
        }
        let family = |i: usize| -> Result<Vec<Scene>> {
            let scene = draw("edited", i)?;
            Ok((0..values).map(|v| scene.replaced(f, 0, v).resized(&scene, world)).collect())
        };
        let families = (0..count).map(family).collect::<Result<_>>()?;
        all.push(Edits { name: world.factors[f].name.clone(), families });
    }
    // Spread over all combinations, so that every value comes.
    let step = (every.as_slice().len() / ADDED).max(1) | 1;
    let some: Vec<usize> = (0..ADDED.min(every.as_slice().len())).map(|k| k * step % every.as_slice().len()).collect();
    if some.len() > 1 {
        let family = |i: usize| -> Result<Vec<Scene>> {
            let scene = draw("added to", i)?;
            let bare = Scene { objects: scene.objects[1..].to_vec(), ..scene.clone() };
            let added = |k: &usize| {
                let mut object: Object = scene.objects[0].clone();
                every.factors().iter().zip(&every.as_slice()[*k]).for_each(|(f, v)| object.values[*f] = *v);
                let objects = [vec![object], scene.objects[1..].to_vec()].concat();
                Scene { objects, ..scene.clone() }.resized(&scene, world)
            };
            Ok([bare].into_iter().chain(some.iter().map(added)).collect())
        };
        let families = (0..count).map(family).collect::<Result<_>>()?;
        all.push(Edits { name: "added".to_owned(), families });
    }
    Ok(all)
}

/// Whether the first object of `scene`, in whatever shape and size, stays in the frame and off all others. At places of a factor every object
/// does.
fn has_room(scene: &Scene, world: &World) -> bool {
    if world.free.is_none() {
        return true;
    }
    let object = &scene.objects[0];
    let size = object.size / world.scale(&object.values) * world.largest() / world.size[1];
    let inside = |at: f64| at >= size / 2.0 && at <= 1.0 - size / 2.0;
    let off = |other: &Object| {
        let apart = f64::midpoint(size, other.size);
        (object.x - other.x).abs() >= apart || (object.y - other.y).abs() >= apart
    };
    inside(object.x) && inside(object.y) && scene.objects[1..].iter().all(off)
}

/// For every scene and two values: whether the row of one plus what the edit does in all other scenes is nearest to that of the other.
fn found(families: &[Matrix]) -> Vec<Answer> {
    let (values, units) = (families[0].images(), families[0].units());
    let mut total = vec![0.0; values * units];
    for family in families {
        family.values().iter().zip(&mut total).for_each(|(x, sum)| *sum += f64::from(*x));
    }
    let others = (families.len() - 1).max(1) as f64;
    let mut answers = Vec::new();
    for (b, family) in families.iter().enumerate() {
        let elsewhere = |v: usize, k: usize| (total[v * units + k] - f64::from(family.row(v)[k])) / others;
        for from in 0..values {
            for to in (0..values).filter(|to| *to != from) {
                let expected: Vec<f64> = (0..units)
                    .map(|k| f64::from(family.row(from)[k]) + elsewhere(to, k) - elsewhere(from, k))
                    .collect();
                let far = |v: usize| {
                    family.row(v).iter().zip(&expected).map(|(x, y)| (f64::from(*x) - y).powi(2)).sum::<f64>()
                };
                let all: Vec<(usize, f64)> = (0..values).filter(|v| *v != from).map(|v| (v, far(v))).collect();
                let least = all.iter().map(|(_, far)| *far).fold(f64::INFINITY, f64::min);
                let near: Vec<usize> = all.iter().filter(|(_, far)| *far <= least + 1e-12).map(|(v, _)| *v).collect();
                let score = if near.contains(&to) { 1.0 / near.len() as f64 } else { 0.0 };
                answers.push(Answer { score, cluster: b as u64 });
            }
        }
    }
    answers
}

/// Share, its null and its controls.
fn push(
    asked: &mut Asked,
    sitting: &Sitting<'_>,
    name: &str,
    own: Option<Additivity>,
    beside: &[(String, Option<Additivity>)],
) -> Result<()> {
    let Some(own) = own else {
        asked.left_out_parts.push(format!("{}: the edit changes nothing in the embedding", word(name)));
        return Ok(());
    };
    let title = if name == "added" { "What adding an object changes" } else { "What another value changes" };
    let mut number = |id: &str, title: String, value: f64, share: bool| {
        asked.numbers.push(NamedNumber { id: id.to_owned(), title, value, share });
    };
    number(&format!("share_{name}"), format!("{title} ({}): the same everywhere", word(name)), own.share, true);
    number(&format!("share_{name}_lo"), "at least".to_owned(), own.lo, true);
    number(&format!("share_{name}_hi"), "at most".to_owned(), own.hi, true);
    number(&format!("share_{name}_by_chance"), "with values shuffled below".to_owned(), own.by_chance, true);
    number(&format!("dimensions_{name}"), "dimensions".to_owned(), own.dimensions, false);
    let mut best: Option<(&str, [f64; 3])> = None;
    for (control, found) in beside {
        let Some(found) = found else { continue };
        let slug = control.replace(['(', ')'], "").replace(' ', "_");
        number(&format!("share_{name}_{slug}"), format!("of {control}"), found.share, true);
        let difference = own.less(found, sitting.confidence)?;
        if best.is_none_or(|(_, least)| difference[0] < least[0]) {
            best = Some((control, difference));
        }
    }
    if let Some((control, [estimate, lo, hi])) = best {
        asked.contrasts.push(Contrast {
            id: format!("share_{name}_beyond"),
            title: format!("Share ({}) less that of {control}", word(name)),
            difference: Difference { estimate, lo, hi },
        });
    }
    Ok(())
}
