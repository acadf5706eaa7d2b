//! What is seen: zero-shot recognition of single objects, by attribute and by combination (METHODS.md, attribute recognition).

use crate::Result;
use crate::exam::classes::Classes;
use crate::exam::interaction::{by_combination, interaction};
use crate::exam::question::{Asked, Question};
use crate::exam::scores::cosine;
use crate::exam::sentences::{above, guesses, list, percent, word, would_tell};
use crate::exam::sitting::Sitting;
use crate::report::{Contrast, Grid, GridCell, NamedNumber, QuestionCard};
use crate::scene::{Combination, Scene, generate};

/// Where objects may be anywhere, each combination is shown as often as at the five places of the study's world.
const ANYWHERE: usize = 5;

/// Every combination at every place as a single object; the answer is the best of one caption per combination, each the ensemble
/// over the templates. It is right in each factor that the caption names right, or in all.
#[derive(Clone, Copy, Debug)]
pub struct Recognition;

impl Question for Recognition {
    fn id(&self) -> &'static str {
        "recognition"
    }

    fn title(&self) -> &'static str {
        "single objects"
    }

    fn purpose(&self) -> &'static str {
        "recognition, by attribute and by combination"
    }

    fn about(&self, templates: usize) -> String {
        format!(
            "Single objects, zero-shot: the image's embedding is compared with that of one caption per combination (each the mean \
             over {templates} {}), and what the best one says is the answer. Images of one combination are not \
             independent, so intervals treat each combination as a cluster.",
            if templates > 1 { "templates" } else { "template" }
        )
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let world = sitting.world;
        let classes = Classes::of(sitting)?;
        let (factors, known) = (classes.known.factors(), classes.known.as_slice());
        let anywhere = if world.places().is_none() { ANYWHERE } else { 1 };
        let scenes = generate::factorial(world, &classes.known, anywhere * sitting.repeats, sitting.remembered.seed)?;
        let images = sitting.images(&scenes.iter().collect::<Vec<_>>())?;
        let chosen = classes.chosen(&scenes, &images);
        let (shown, class) = (&chosen.shown, |values: &[u32]| classes.class(values));
        let mut asked = Asked { group: 1, ..Asked::default() };
        for (at, f) in factors.iter().enumerate() {
            let (name, values) = (&world.factors[*f].name, world.factors[*f].values.len());
            asked.push((name, word(name)), 1.0 / values as f64, chosen.answers(&|a, b| a[at] == b[at]));
        }
        let whole = chosen.answers(&|a, b| a == b);
        let chance = 1.0 / known.len() as f64;
        asked.push(("combination", "combination"), chance, whole.iter().copied());
        // Where nothing was held out there is nothing to compare.
        if let Some(seen) = sitting.seen.filter(|seen| !seen.complement().as_slice().is_empty()) {
            let among = |trained: bool| {
                let kept = shown.iter().zip(&whole).filter(move |(own, _)| seen.contains(own) == trained);
                kept.map(|(_, answer)| *answer)
            };
            asked.push(("combination_seen", "· seen in training"), chance, among(true));
            asked.push(("combination_held_out", "· held out of training"), chance, among(false));
            asked.contrasts.extend(generalisation_gap(&asked, sitting)?);
        }
        let accuracy = |of: &Combination| {
            let outcomes = shown.iter().zip(&whole).filter(|(own, _)| *own == of).map(|(_, answer)| answer.score);
            let outcomes: Vec<f64> = outcomes.collect();
            (outcomes.iter().sum::<f64>() / outcomes.len() as f64, outcomes.len())
        };
        if let [rows, columns] = *factors {
            let name = |f: usize, value: u32| world.factors[f].values[value as usize].name.clone();
            let cell = |of: &Combination| {
                let (accuracy, n) = accuracy(of);
                let seen = sitting.seen.map(|seen| seen.contains(of));
                GridCell { row: name(rows, of[0]), column: name(columns, of[1]), seen, accuracy, n }
            };
            let [rows, columns] = [rows, columns].map(|f| world.factors[f].name.clone());
            asked.grid = Some(Grid { rows, columns, cells: known.iter().map(cell).collect() });
        }
        asked.numbers = uneven(sitting, factors, &scenes, &asked);

        asked.decisions = chosen.decisions(&images, "combination", &whole, sitting.seen);
        // Mean over the images with value g of a factor: the cosine of the caption that says f instead, less that of their own.
        let nearness = |at: usize, f: u32, g: u32| {
            let of = |(i, own): (usize, &Combination)| {
                let mut said = own.clone();
                said[at] = f;
                let [said, own] = [&said, own]
                    .map(|values| class(values).map(|class| cosine(images.row(i), classes.embeddings.row(class))));
                Some(said? - own?)
            };
            let all: Vec<f64> = shown.iter().enumerate().filter(|(_, own)| own[at] == g).filter_map(of).collect();
            all.iter().sum::<f64>() / all.len().max(1) as f64
        };
        for (at, f) in factors.iter().enumerate() {
            let values = world.factors[*f].values.len() as u32;
            let near = (0..values).map(|f| (0..values).map(|g| nearness(at, f, g)).collect()).collect();
            asked.nearness.push((world.factors[*f].name.clone(), near));
        }
        asked.said = factors.iter().enumerate().map(|(at, f)| chosen.said(at, &world.factors[*f])).collect();
        asked.scenes = scenes;
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let factors = own.rates.iter().take_while(|rate| rate.id != "combination");
        let (seen, unseen): (Vec<_>, Vec<_>) = factors.partition(|named| above(&named.rate));
        let share = |of: &[&crate::report::NamedRate]| {
            list(&of.iter().map(|named| format!("the {} ({})", named.title, percent(&named.rate))).collect::<Vec<_>>())
        };
        let (guessed, open): (Vec<_>, Vec<_>) = unseen.into_iter().partition(|named| guesses(&named.rate));
        let mut said = Vec::new();
        if !seen.is_empty() {
            said.push(format!("Of a single object it recognises {}.", share(&seen)));
        }
        if !guessed.is_empty() {
            said.push(format!("Of a single object it names {} no better than by guessing.", share(&guessed)));
        }
        for named in open {
            said.push(format!(
                "Whether it recognises the {} of a single object can't be told from {} answers ({}, chance {:.1} %); {}.",
                named.title,
                named.rate.accuracy.n,
                percent(&named.rate),
                100.0 * named.rate.chance,
                would_tell(&named.rate)
            ));
        }
        if seen.is_empty() {
            said.push("What follows can't be told from not seeing.".to_owned());
        }
        let parts =
            (own.rate("combination_seen"), own.rate("combination_held_out"), own.contrast("generalisation_gap"));
        if let (Some(known), Some(new), Some(gap)) = parts {
            let both = format!(
                "Combinations that training never showed are named in {}, those that it showed in {}",
                percent(new),
                percent(known)
            );
            said.push(if gap.lo > 0.0 {
                format!("{both}: what it knows of attributes does not carry over in full.")
            } else {
                format!("{both}; the difference can't be told from chance.")
            });
        }
        said
    }
}

/// By attribute, of two that captions say: the variance of its accuracy over combinations that is interaction, with its interval.
fn uneven(sitting: &Sitting<'_>, factors: &[usize], scenes: &[Scene], asked: &Asked) -> Vec<NamedNumber> {
    let [rows, columns] = *factors else { return Vec::new() };
    let of = |f: &usize| {
        let name = &sitting.world.factors[*f].name;
        let answers = &asked.answers(name)?.answers;
        let cells = by_combination(sitting.world, [rows, columns], scenes, &|i| answers[i].score);
        let found = interaction(&cells, sitting.confidence.level(), sitting.seed)?;
        let number = |end: &str, title: String, value| NamedNumber {
            id: format!("interaction_{name}{end}"),
            title,
            value,
            share: false,
        };
        let title = format!("Variance of the {}’s accuracy over combinations that is interaction", word(name));
        Some([
            number("", title, found.estimate),
            number("_lo", "at least".to_owned(), found.lo),
            number("_hi", "at most".to_owned(), found.hi),
        ])
    };
    factors.iter().filter_map(of).flatten().collect()
}

/// Accuracy of combinations seen less that of those held out.
fn generalisation_gap(asked: &Asked, sitting: &Sitting<'_>) -> Result<Option<Contrast>> {
    let (Some(seen), Some(held_out)) = (asked.answers("combination_seen"), asked.answers("combination_held_out"))
    else {
        return Ok(None);
    };
    let [seen, held_out] = [seen.rate(sitting.confidence)?, held_out.rate(sitting.confidence)?];
    Ok(Some(Contrast {
        id: "generalisation_gap".to_owned(),
        title: "Generalisation gap, seen less held out".to_owned(),
        difference: seen.accuracy.minus(&held_out.accuracy),
    }))
}
