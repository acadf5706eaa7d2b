//! What is bound: swap twins and replaced attributes on scenes of two objects (METHODS.md, swap accuracy).

use crate::exam::question::{Answer, Asked, Question};
use crate::exam::scores::cosine;
use crate::exam::sentences::{above, list, percent, word};
use crate::exam::sitting::Sitting;
use crate::measure::Confidence;
use crate::measure::proportion::Difference;
use crate::report::{Contrast, NamedNumber, QuestionCard};
use crate::scene::caption::{Wording, caption};
use crate::scene::generate::{SwapTwin, swap_twins};
use crate::scene::{Combinations, Scene};
use crate::{Result, random};
use rand::RngExt;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

/// Two objects: the right caption against the same words bound wrongly, and against one word replaced, on the same images.
///
/// A replaced attribute needs a value that neither object has: of a factor with two values there is none, and it is not asked.
#[derive(Clone, Copy, Debug)]
pub struct Binding;

/// Margins, right minus wrong caption as cosines, of both images of every twin.
#[derive(Clone, Debug, Default, PartialEq)]
struct Margins {
    /// `s(I, T) - s(I, T')` of the scene and `s(I', T') - s(I', T)` of its twin.
    swap: Vec<[f64; 2]>,
    /// `s(I, T) - s(I', T)` and `s(I', T') - s(I, T')`: choosing the image for a caption.
    swap_image: Vec<[f64; 2]>,
    /// By factor: the same images against the caption with one object's value replaced by one that no object has.
    replaced: Vec<Vec<[f64; 2]>>,
}

/// The captions of one twin.
struct Captions {
    right: [String; 2],
    /// By factor, of either image: with a value of one object replaced.
    replaced: Vec<[String; 2]>,
}

impl Question for Binding {
    fn id(&self) -> &'static str {
        "binding"
    }

    fn title(&self) -> &'static str {
        "swap twins"
    }

    fn purpose(&self) -> &'static str {
        "binding: the two captions hold the same words"
    }

    fn about(&self, _: usize) -> String {
        "Two objects. The right caption against the same caption with two values exchanged (the words are the same, only the \
         binding is wrong), and against captions with one word replaced, on the same images. Guessing gives 50 %; twins are \
         clusters; exact ties count half."
            .to_owned()
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let world = sitting.world;
        let all = Combinations::all(world);
        let swapped = world.swapped_factor().unwrap_or_default();
        // Seen combinations only, so that a failure is one of binding and not of unseen combinations.
        let known = sitting.seen.unwrap_or(&all);
        let twins = swap_twins(world, swapped, known, known, sitting.twins, sitting.seed)?;
        let replaceable = replaceable(sitting);
        let margins = margins(sitting, swapped, &twins, &replaceable)?;
        let mut asked = Asked { group: 2, ..Asked::default() };
        let name = |f: usize| world.factors[f].name.as_str();
        let title = format!("{}s exchanged (swap)", word(name(swapped)));
        asked.push(("swap", &title), 0.5, answers(&margins.swap));
        for (f, margins) in replaceable.iter().zip(&margins.replaced) {
            let (id, title) = (format!("replaced_{}", name(*f)), format!("a {} replaced", word(name(*f))));
            asked.push((&id, &title), 0.5, answers(margins));
        }
        // Where too few combinations were held out to make twins of, nothing is said of them.
        let held_out = sitting.seen.map(Combinations::complement).filter(|rest| !rest.as_slice().is_empty());
        let twins_of = |rest: Combinations| swap_twins(world, swapped, &rest, &all, sitting.twins, sitting.seed).ok();
        if let Some(unseen) = held_out.and_then(twins_of) {
            let margins = self::margins(sitting, swapped, &unseen, &replaceable)?;
            asked.push(("swap_held_out", "swap, combinations held out"), 0.5, answers(&margins.swap));
        }
        let both = |m: &[f64; 2]| m.iter().all(|x| *x > 0.0);
        let text: Vec<bool> = margins.swap.iter().map(both).collect();
        let image: Vec<bool> = margins.swap_image.iter().map(both).collect();
        let group: Vec<bool> = text.iter().zip(&image).map(|(a, b)| *a && *b).collect();
        let each = |right: Vec<bool>| {
            right.into_iter().zip(0..).map(|(right, cluster)| Answer { score: f64::from(u8::from(right)), cluster })
        };
        asked.push(("text_score", "both captions (Winoground text)"), 0.25, each(text));
        asked.push(("image_score", "both images (image)"), 0.25, each(image));
        asked.push(("group_score", "both (group)"), 1.0 / 6.0, each(group));
        asked.contrasts.extend(gap(&margins, sitting.seed, sitting.confidence).map(|difference| Contrast {
            id: "gap".to_owned(),
            title: "Bag-of-concepts gap, replaced less swap accuracy".to_owned(),
            difference,
        }));
        let swaps: Vec<f64> = margins.swap.iter().flatten().copied().collect();
        let number = |id: &str, title: &str, value| NamedNumber { id: id.to_owned(), title: title.to_owned(), value };
        asked.numbers = vec![
            number("ties", "Exact ties among the swaps", swaps.iter().filter(|margin| **margin == 0.0).count() as f64),
            number("margin_over_sd", "Mean margin of the swaps over its standard deviation", margin_over_sd(&swaps)),
        ];
        asked.scenes = twins.into_iter().flat_map(|twin| [twin.scene, twin.twin]).collect();
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, all: &[QuestionCard]) -> Vec<String> {
        let Some(swap) = own.rate("swap") else { return Vec::new() };
        let share = percent(swap);
        let unseen = unseen(all);
        if !unseen.is_empty() {
            let unseen = list(&unseen);
            return vec![format!(
                "Swap accuracy is {share} (chance 50 %); of an encoder that does not recognise {unseen} it says nothing of binding."
            )];
        }
        match own.contrast("gap") {
            Some(gap) if gap.lo > 0.0 => {
                let mut said = vec![format!(
                    "It notices a replaced word more often than exchanged ones: on the same images swap accuracy is {share} (chance 50 %), {:.0} points below that for replaced attributes.",
                    100.0 * gap.estimate
                )];
                // Nearer to guessing than to what it does on single words.
                let middle = f64::midpoint(swap.chance, swap.accuracy.estimate + gap.estimate);
                if swap.accuracy.hi < middle {
                    said.push("So it treats captions more like bags of concepts than like bindings.".to_owned());
                }
                said
            }
            Some(gap) if gap.hi < 0.0 => vec![format!(
                "It notices exchanged words ({share}) more often than replaced words, by {:.0} points.",
                -100.0 * gap.estimate
            )],
            Some(_) => vec![format!(
                "Swap accuracy is {share} (chance 50 %); whether it differs from that for replaced attributes can't be told from these scenes."
            )],
            None => vec![format!("Swap accuracy is {share} (chance 50 %).")],
        }
    }
}

/// The attributes of single objects that are not recognised better than by guessing.
fn unseen(all: &[QuestionCard]) -> Vec<String> {
    let rates = all.iter().find(|card| card.id == "recognition").map(|card| card.rates.as_slice()).unwrap_or_default();
    let factors = rates.iter().take_while(|rate| rate.id != "combination");
    factors.filter(|named| !above(&named.rate)).map(|named| format!("{}s", named.title)).collect()
}

/// The factors that have a value which neither of two objects has.
fn replaceable(sitting: &Sitting<'_>) -> Vec<usize> {
    sitting.world.said().into_iter().filter(|f| sitting.world.factors[*f].values.len() > 2).collect()
}

/// Shows `twins` with their captions, each twin in one wording.
fn margins(sitting: &Sitting<'_>, swapped: usize, twins: &[SwapTwin], replaceable: &[usize]) -> Result<Margins> {
    let scenes: Vec<&Scene> = twins.iter().flat_map(|twin| [&twin.scene, &twin.twin]).collect();
    let images = sitting.images(&scenes)?;
    let captions = |(i, twin): (usize, &SwapTwin)| captions(sitting, swapped, twin, i, replaceable);
    let captions: Vec<Captions> = twins.iter().enumerate().map(captions).collect();
    let each = |captions: &Captions| [vec![captions.right.clone()], captions.replaced.clone()].concat().concat();
    let texts = sitting.texts(&captions.iter().flat_map(each).collect::<Vec<_>>())?;
    let mut rows = (0..texts.images()).map(|row| texts.row(row));
    let mut both = || [(); 2].map(|()| rows.next().unwrap_or_default());
    let mut out = Margins { replaced: vec![Vec::new(); replaceable.len()], ..Margins::default() };
    for i in 0..captions.len() {
        let [scene, twin] = [images.row(2 * i), images.row(2 * i + 1)];
        let [said, exchanged] = both();
        let own = [cosine(scene, said), cosine(twin, exchanged)];
        let crossed = [cosine(scene, exchanged), cosine(twin, said)];
        out.swap.push([own[0] - crossed[0], own[1] - crossed[1]]);
        out.swap_image.push([own[0] - crossed[1], own[1] - crossed[0]]);
        for margins in &mut out.replaced {
            let [of_scene, of_twin] = both();
            margins.push([own[0] - cosine(scene, of_scene), own[1] - cosine(twin, of_twin)]);
        }
    }
    Ok(out)
}

/// The captions of twin `i`.
fn captions(sitting: &Sitting<'_>, swapped: usize, twin: &SwapTwin, i: usize, replaceable: &[usize]) -> Captions {
    let (world, scene) = (sitting.world, &twin.scene);
    let mut rng = random::stream(sitting.seed, "composition", i as u64);
    let wording = Wording::draw(2, sitting.templates, &mut rng);
    let right = [scene, &scene.swapped(swapped, 0, 1)].map(|scene| caption(scene, world, &wording));
    if replaceable.is_empty() {
        return Captions { right, replaced: Vec::new() };
    }
    let k = rng.random_range(0..2);
    let mut replaced = Vec::new();
    for f in replaceable {
        let values = 0..world.factors[*f].values.len() as u32;
        let others: Vec<u32> = values.filter(|value| scene.objects.iter().all(|o| o.values[*f] != *value)).collect();
        let value = others[rng.random_range(0..others.len())];
        replaced.push([scene, &twin.twin].map(|scene| caption(&scene.replaced(*f, k, value), world, &wording)));
    }
    Captions { right, replaced }
}

/// One answer for each image; the two of a twin are one cluster.
fn answers(margins: &[[f64; 2]]) -> Vec<Answer> {
    let each = margins.iter().zip(0..).flat_map(|(both, cluster)| both.map(|margin| (margin, cluster)));
    each.map(|(margin, cluster)| Answer { score: outcome(margin), cluster }).collect()
}

/// 1 where the margin favours the right caption, 1/2 at a tie, else 0.
fn outcome(margin: f64) -> f64 {
    if margin > 0.0 {
        1.0
    } else if margin < 0.0 {
        0.0
    } else {
        0.5
    }
}

fn margin_over_sd(margins: &[f64]) -> f64 {
    let n = margins.len() as f64;
    let mean = margins.iter().sum::<f64>() / n;
    let variance = margins.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if variance > 0.0 { mean / variance.sqrt() } else { 0.0 }
}

/// Replaced less swap accuracy on the same images; percentile interval over resampled twins.
fn gap(margins: &Margins, seed: u64, confidence: Confidence) -> Option<Difference> {
    let half = |m: &[f64; 2]| f64::midpoint(outcome(m[0]), outcome(m[1]));
    let replaced = |i: usize| margins.replaced.iter().map(|margins| half(&margins[i])).sum::<f64>();
    let factors = margins.replaced.len();
    let per_twin: Vec<f64> = match factors {
        0 => Vec::new(),
        _ => margins.swap.iter().enumerate().map(|(i, swap)| replaced(i) / factors as f64 - half(swap)).collect(),
    };
    let n = per_twin.len();
    if n == 0 {
        return None;
    }
    let mut rng = random::stream(seed, "bag-of-concepts gap", 0);
    let mut means: Vec<f64> =
        (0..RESAMPLES).map(|_| (0..n).map(|_| per_twin[rng.random_range(0..n)]).sum::<f64>() / n as f64).collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence.level()) / 2.0;
    let at = |share: f64| means[((share * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
    Some(Difference { estimate: per_twin.iter().sum::<f64>() / n as f64, lo: at(tail), hi: at(1.0 - tail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_measured_in_its_deviation() {
        assert!((margin_over_sd(&[1.0, 2.0, 3.0]) - 2.0).abs() < 1e-12);
        assert!(margin_over_sd(&[0.5, -0.5, 0.5, -0.5]).abs() < 1e-12 && margin_over_sd(&[0.0, 0.0]).abs() < 1e-12);
    }

    #[test]
    fn the_gap_is_that_of_the_twins() -> Result<()> {
        let confidence = Confidence::new(0.95)?;
        let of = |swap: Vec<[f64; 2]>, replaced: Vec<[f64; 2]>| Margins {
            swap_image: swap.clone(),
            swap,
            replaced: vec![replaced; 2],
        };
        // Half of the twins wrong on both swaps, none on replacements: a gap of 1/2, its deviation that of a coin.
        let half: Vec<[f64; 2]> = (0..400).map(|i| if i % 2 == 0 { [1.0; 2] } else { [-1.0; 2] }).collect();
        let found = gap(&of(half.clone(), vec![[1.0; 2]; 400]), 1, confidence)
            .ok_or_else(|| crate::Error::mismatch("gap", "some", "none"))?;
        let deviation = 1.96 * 0.5 / 20.0;
        assert!((found.estimate - 0.5).abs() < 1e-12);
        assert!(
            (found.lo - (0.5 - deviation)).abs() < 0.01 && (found.hi - (0.5 + deviation)).abs() < 0.01,
            "{found:?}"
        );
        // The same answers on both: no gap, and no doubt, since it is paired.
        let same = gap(&of(half.clone(), half), 1, confidence);
        assert_eq!(same, Some(Difference { estimate: 0.0, lo: 0.0, hi: 0.0 }));
        assert_eq!(gap(&Margins::default(), 1, confidence), None);
        Ok(())
    }
}
