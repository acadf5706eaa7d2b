//! How small an object may be and still be recognised (METHODS.md, acuity).

use crate::Result;
use crate::exam::classes::Classes;
use crate::exam::question::{Asked, Question};
use crate::exam::sentences::{above, percent};
use crate::exam::sitting::Sitting;
use crate::report::{NamedNumber, NamedRate, QuestionCard};
use crate::scene::{Scene, World, generate};

/// Sizes that are shown: each is that of the world over another power of the square root of 2.
const SIZES: usize = 7;
/// Images of each size for every repeat that was asked for, or as many as there are combinations, where these are more.
const IMAGES: usize = 45;
/// Objects below this are not drawn, in pixels.
const SMALLEST: f64 = 2.0;
/// The share of what is right of the largest that still counts as recognising.
const KEPT: f64 = 0.9;

/// Single objects, smaller and smaller; the answer is the best of one caption per combination, as in recognition.
#[derive(Clone, Copy, Debug)]
pub struct Acuity;

impl Question for Acuity {
    fn id(&self) -> &'static str {
        "acuity"
    }

    fn title(&self) -> &'static str {
        "shrinking objects"
    }

    fn purpose(&self) -> &'static str {
        "the smallest object that is recognised"
    }

    fn about(&self, _: usize) -> String {
        format!(
            "Single objects from the size that the world gives them down to an eighth of it, each size 1/√2 of the one before, zero-shot as \
             above. Acuity is the smallest size at which, and at all above it, at least {:.0} % as many are right as at the largest.",
            100.0 * KEPT
        )
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let classes = Classes::of(sitting)?;
        let chance = 1.0 / classes.known.as_slice().len() as f64;
        let mut asked = Asked { group: 1, ..Asked::default() };
        let patch = sitting.examinee.model().map(|model| model.config.vision.patch as f64);
        let mut pixels = Vec::new();
        for k in 0..SIZES {
            let scale = 0.5f64.powf(k as f64 / 2.0);
            let world = World { size: sitting.world.size.map(|size| size * scale), ..sitting.world.clone() };
            let side = f64::from(sitting.examinee.side()) * world.size.iter().sum::<f64>() / 2.0;
            if side < SMALLEST || world.check().is_err() {
                break;
            }
            let scenes = shown(&world, &classes, sitting)?;
            let images = sitting.images(&scenes.iter().collect::<Vec<_>>())?;
            let title = match patch {
                Some(patch) => format!("{side:.0} pixels ({:.1} patches)", side / patch),
                None => format!("{side:.0} pixels"),
            };
            let answers = classes.chosen(&scenes, &images).answers(&|a, b| a == b);
            asked.push((&format!("size_{k}"), &title), chance, answers);
            asked.scenes.extend(scenes);
            pixels.push(side);
        }
        let rates = asked.answers.iter().map(|answers| answers.rate(sitting.confidence)).collect::<Result<Vec<_>>>()?;
        let Some(largest) = rates.first().filter(|rate| above(rate)) else { return Ok(asked) };
        let bar = KEPT * largest.accuracy.estimate;
        let smallest = |of: &dyn Fn(usize) -> f64| {
            pixels[(0..rates.len()).take_while(|k| *k == 0 || of(*k) >= bar).last().unwrap_or_default()]
        };
        let sizes = [
            ("acuity", "Smallest size recognised as often, in pixels", smallest(&|k| rates[k].accuracy.estimate)),
            ("acuity_lo", "at best", smallest(&|k| rates[k].accuracy.hi)),
            ("acuity_hi", "at worst", smallest(&|k| rates[k].accuracy.lo)),
        ];
        let number = |(id, title, value): (&str, &str, f64)| NamedNumber {
            id: id.to_owned(),
            title: title.to_owned(),
            value,
            share: false,
        };
        asked.numbers.extend(sizes.map(number));
        if let Some(patch) = patch {
            asked.numbers.push(number(("acuity_patches", "in patches", sizes[0].2 / patch)));
        }
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let (Some(acuity), Some(largest), Some(last)) = (own.number("acuity"), own.rates.first(), own.rates.last())
        else {
            return Vec::new();
        };
        let at = |named: &NamedRate| format!("{} at {}", percent(&named.rate), named.title);
        let (best, worst) = (own.number("acuity_lo").unwrap_or(acuity), own.number("acuity_hi").unwrap_or(acuity));
        let sure = if (best - worst).abs() < 0.5 {
            String::new()
        } else {
            format!(", and from these answers not surely other than anything from {best:.0} to {worst:.0}")
        };
        let smaller =
            own.rates.iter().find(|named| named.rate.accuracy.estimate < KEPT * largest.rate.accuracy.estimate);
        vec![match smaller {
            Some(smaller) => format!(
                "It recognises objects down to {acuity:.0} pixels nearly as often as the largest{sure} ({}; {}).",
                at(largest),
                at(smaller)
            ),
            None => format!(
                "Objects of all sizes asked it recognises nearly as often as the largest{sure} ({}; {}).",
                at(largest),
                at(last)
            ),
        }]
    }
}

/// Every combination equally often, at places in turn.
fn shown(world: &World, classes: &Classes, sitting: &Sitting<'_>) -> Result<Vec<Scene>> {
    let combinations = classes.known.as_slice().len();
    let each = (IMAGES * sitting.repeats / combinations).max(1);
    let mut all = generate::factorial(world, &classes.known, each, sitting.remembered.seed)?;
    let places = all.len() / (each * combinations);
    // Repeat, combination, place: of each repeat and combination one place.
    let kept = (0..each * combinations).map(|k| k * places + (k / combinations + k % combinations) % places);
    let kept: Vec<usize> = kept.collect();
    let mut k = 0;
    all.retain(|_| {
        k += 1;
        kept.binary_search(&(k - 1)).is_ok()
    });
    Ok(all)
}
