//! What is bound: swap twins and replaced attributes on scenes of two objects (METHODS.md, swap accuracy).

use crate::exam::question::{Answer, Asked, Decision, Question};
use crate::exam::scores::{TIE, cosine, decided};
use crate::exam::sentences::{above, list, percent, word};
use crate::exam::sitting::Sitting;
use crate::measure::Confidence;
use crate::measure::proportion::Difference;
use crate::report::{Contrast, NamedNumber, QuestionCard};
use crate::scene::Scene;
use crate::scene::caption::{Wording, caption};
use crate::scene::generate::SwapTwin;
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
        if world.said().len() < 2 {
            return Ok(Asked::left_out("captions say one thing of each object, so that there is nothing to exchange"));
        }
        let swapped = world.swapped_factor().unwrap_or_default();
        // Everyone is shown the same twins: what training showed only splits the answers.
        let twins = sitting.any_twins(swapped, sitting.twins)?;
        let replaceable = replaceable(sitting);
        let shown = show(sitting, swapped, &twins, &replaceable)?;
        let known = |twin: &SwapTwin| {
            let of = |scene: &Scene| {
                scene
                    .objects
                    .iter()
                    .all(|o| sitting.seen.is_none_or(|seen| seen.contains(&o.combination(seen.factors()))))
            };
            of(&twin.scene) && of(&twin.twin)
        };
        let known: Vec<bool> = twins.iter().map(known).collect();
        let everything = shown.margins();
        // Of seen combinations, so that a failure is one of binding and not of unseen combinations.
        let margins = everything.only(|i| known[i]);
        let mut asked = Asked { group: 2, ..Asked::default() };
        let name = |f: usize| world.factors[f].name.as_str();
        let title = format!("{}s exchanged (swap)", word(name(swapped)));
        asked.push(("swap", &title), 0.5, answers(&margins.swap));
        for (f, margins) in replaceable.iter().zip(&margins.replaced) {
            let (id, title) = (format!("replaced_{}", name(*f)), format!("a {} replaced", word(name(*f))));
            asked.push((&id, &title), 0.5, answers(margins));
        }
        asked.push(
            ("swap_held_out", "swap, combinations held out"),
            0.5,
            answers(&everything.only(|i| !known[i]).swap),
        );
        asked.decisions = shown.decisions(swapped, &replaceable, &known, sitting);
        let both = |m: &[f64; 2]| m.iter().all(|x| *x > TIE);
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
        let number = |id: &str, title: &str, value| {
            let share = id.ends_with("_unbound");
            NamedNumber { id: id.to_owned(), title: title.to_owned(), value, share }
        };
        asked.numbers = vec![
            number("ties", "Ties among the swaps", swaps.iter().filter(|margin| margin.abs() <= TIE).count() as f64),
            number("margin_over_sd", "Mean margin of the swaps over its standard deviation", margin_over_sd(&swaps)),
        ];
        let [text, image, group] = unbound(&margins);
        asked.numbers.extend([
            number("text_score_unbound", "With the sizes of these margins and bindings at random: both captions", text),
            number("image_score_unbound", "both images", image),
            number("group_score_unbound", "both", group),
        ]);
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

/// What a question has shown: captions, and the cosines of either picture of a twin with each.
struct Shown {
    captions: Vec<Captions>,
    /// Per twin: of scene and twin with the caption of either.
    swap: Vec<[[f64; 2]; 2]>,
    /// Per twin and factor: of each picture with its own caption, one value replaced.
    replaced: Vec<Vec<[f64; 2]>>,
}

/// Shows `twins` with their captions, each twin in one wording.
fn show(sitting: &Sitting<'_>, swapped: usize, twins: &[SwapTwin], replaceable: &[usize]) -> Result<Shown> {
    let scenes: Vec<&Scene> = twins.iter().flat_map(|twin| [&twin.scene, &twin.twin]).collect();
    let images = sitting.images(&scenes)?;
    let captions = |(i, twin): (usize, &SwapTwin)| captions(sitting, swapped, twin, i, replaceable);
    let captions: Vec<Captions> = twins.iter().enumerate().map(captions).collect();
    let each = |captions: &Captions| [vec![captions.right.clone()], captions.replaced.clone()].concat().concat();
    let texts = sitting.texts(&captions.iter().flat_map(each).collect::<Vec<_>>())?;
    let mut rows = (0..texts.images()).map(|row| texts.row(row));
    let mut both = || [(); 2].map(|()| rows.next().unwrap_or_default());
    let (mut swap, mut replaced) = (Vec::new(), Vec::new());
    for i in 0..captions.len() {
        let pictures = [images.row(2 * i), images.row(2 * i + 1)];
        let said = both();
        swap.push(pictures.map(|picture| said.map(|caption| cosine(picture, caption))));
        let one = |(): ()| {
            let said = both();
            [0, 1].map(|k| cosine(pictures[k], said[k]))
        };
        replaced.push(replaceable.iter().map(|_| ()).map(one).collect());
    }
    Ok(Shown { captions, swap, replaced })
}

impl Shown {
    fn margins(&self) -> Margins {
        let own = |[a, b]: &[[f64; 2]; 2]| [a[0], b[1]];
        let replaced = |f: usize| {
            let margin = |(swap, of): (&[[f64; 2]; 2], &Vec<[f64; 2]>)| [0, 1].map(|k| own(swap)[k] - of[f][k]);
            self.swap.iter().zip(&self.replaced).map(margin).collect()
        };
        Margins {
            swap: self.swap.iter().map(|[a, b]| [a[0] - a[1], b[1] - b[0]]).collect(),
            swap_image: self.swap.iter().map(|[a, b]| [a[0] - b[0], b[1] - a[1]]).collect(),
            replaced: (0..self.replaced.first().map_or(0, Vec::len)).map(replaced).collect(),
        }
    }

    /// Every answer to the captions, of both pictures of every twin.
    fn decisions(&self, swapped: usize, factors: &[usize], known: &[bool], sitting: &Sitting<'_>) -> Vec<Decision> {
        let name = |f: usize| &sitting.world.factors[f].name;
        let mut decisions = Vec::new();
        for (i, captions) in self.captions.iter().enumerate() {
            for k in 0..2 {
                let mut decide = |of: String, other: &String, other_similarity: f64| {
                    let similarity = self.swap[i][k][k];
                    decisions.push(Decision {
                        of,
                        scene: 2 * i + k,
                        right: captions.right[k].clone(),
                        other: other.clone(),
                        similarity,
                        other_similarity,
                        score: decided(similarity - other_similarity),
                        seen: sitting.seen.map(|_| known[i]),
                    });
                };
                decide(format!("swap {}", name(swapped)), &captions.right[1 - k], self.swap[i][k][1 - k]);
                for (f, (said, of)) in factors.iter().zip(captions.replaced.iter().zip(&self.replaced[i])) {
                    decide(format!("replaced {}", name(*f)), &said[k], of[k]);
                }
            }
        }
        decisions
    }
}

impl Margins {
    /// Those of the twins that are `kept`.
    fn only(&self, kept: impl Fn(usize) -> bool) -> Self {
        let of = |margins: &[[f64; 2]]| -> Vec<[f64; 2]> {
            margins.iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, margin)| *margin).collect()
        };
        Self {
            swap: of(&self.swap),
            swap_image: of(&self.swap_image),
            replaced: self.replaced.iter().map(|margins| of(margins)).collect(),
        }
    }
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
    each.map(|(margin, cluster)| Answer { score: decided(margin), cluster }).collect()
}

/// The text, image and group score of a reader of bags of words with the margins of this one.
///
/// The two margins of a twin are b + e and b - e: what favours one caption (or image) whatever stands beside it cancels in b, which is
/// the same for texts and images and all that a binding can move. Without bindings the sign of b is a coin's; a score then needs
/// the right side of it, and |b| > |e|.
fn unbound(margins: &Margins) -> [f64; 3] {
    let beats = |m: &[f64; 2]| f64::midpoint(m[0], m[1]).abs() > f64::midpoint(m[0], -m[1]).abs() + TIE;
    let text: Vec<bool> = margins.swap.iter().map(beats).collect();
    let image: Vec<bool> = margins.swap_image.iter().map(beats).collect();
    let group: Vec<bool> = text.iter().zip(&image).map(|(a, b)| *a && *b).collect();
    [text, image, group].map(|of| of.iter().filter(|beats| **beats).count() as f64 / (2 * of.len().max(1)) as f64)
}

fn margin_over_sd(margins: &[f64]) -> f64 {
    let n = margins.len() as f64;
    let mean = margins.iter().sum::<f64>() / n;
    let variance = margins.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - 1.0);
    if variance > 0.0 { mean / variance.sqrt() } else { 0.0 }
}

/// Replaced less swap accuracy on the same images; percentile interval over resampled twins.
fn gap(margins: &Margins, seed: u64, confidence: Confidence) -> Option<Difference> {
    let half = |m: &[f64; 2]| f64::midpoint(decided(m[0]), decided(m[1]));
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
    fn a_reader_of_bags_is_right_half_the_time_where_preferences_do_not_decide() {
        let of = |swap: &[[f64; 2]], swap_image: &[[f64; 2]]| {
            unbound(&Margins { swap: swap.to_vec(), swap_image: swap_image.to_vec(), replaced: Vec::new() })
        };
        let near = |found: &[f64], expected: &[f64]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        };
        // A preference for one caption on both pictures: never both right. Without one, a coin.
        near(&of(&[[0.3, -0.3]; 4], &[[0.1, 0.1]; 4]), &[0.0, 0.5, 0.0]);
        near(&of(&[[-0.2, -0.1], [0.2, 0.1]], &[[-0.1, -0.2], [0.4, -0.1]]), &[0.5, 0.25, 0.25]);
        near(&of(&[[1e-6, 1e-6]], &[[0.0, 0.0]]), &[0.0, 0.0, 0.0]);
        near(&[decided(2e-6), decided(-2e-6), decided(1e-4), decided(-1e-4)], &[0.5, 0.5, 1.0, 0.0]);
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
