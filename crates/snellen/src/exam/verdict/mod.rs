//! The verdict: which link of the chain from picture to answer fails, for every attribute and every binding of two.
//!
//! Links, in the order of the data's path: the image embedding holds it (a network with all pictures) - a linear reader finds it
//! there, with few better than in raw pixels and untrained models - a linear reader finds it in the text embedding, better than
//! in a bag of words and untrained models - the match of the two uses it - on new combinations too. The first link that
//! fails names the failure. Every answer has its evidence, and "can't tell" is one (METHODS.md, verdict).

mod anchor;
mod binding;
mod cells;
mod link;
mod margins;
mod named;
mod shown;

use super::interaction::{Interaction, by_combination, interaction};
use super::question::Asked;
use super::sitting::Sitting;
use crate::measure::Matrix;
use crate::measure::proportion::Proportion;
use crate::model::Site;
use crate::readers::{Split, Task, scene_splits};
use crate::report::verdict::{CellAnswer, ContentKind, Failure, LayerReading, Verdict, VerdictRow};
use crate::scene::{Combination, Combinations};
use crate::{Result, random};
use cells::{Reading, lost, uneven};
use link::{Link, Links};
use margins::{ATTRIBUTE_MATCHED, INTERACTION, KNOWN};
use serde::{Deserialize, Serialize};
use shown::{Beside, Shown};
use std::collections::BTreeSet;

/// Folds of every reader.
const FOLDS: usize = 3;

/// How many pictures the verdict shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shows {
    /// Single objects.
    pub single: usize,
    /// Swap twins of each binding, two pictures each.
    pub twins: usize,
    /// Swap twins that readers of a binding are given, at most, before one that is not found is taken for absent.
    pub most: usize,
}

/// The verdict on the examinee of `sitting`, whose answers to [`Recognition`](super::questions::Recognition) were `recognition`.
///
/// # Errors
/// As questions.
pub(super) fn diagnose(sitting: &Sitting<'_>, recognition: &Asked, shows: Shows) -> Result<Verdict> {
    let seed = random::seed(sitting.seed, "verdict", 0);
    let sitting = &Sitting { seed, ..*sitting };
    let said = sitting.world.said();
    let chart = Chart { sitting, recognition, knows: Knows::of(sitting, recognition), shows };
    let mut rows = chart.attributes(&said)?;
    for (k, &f) in said.iter().enumerate() {
        for &g in &said[k + 1..] {
            let failed: Vec<String> = rows
                .iter()
                .filter(|row| row.kind == ContentKind::Attribute && fails(row))
                .map(|row| row.content.clone())
                .filter(|content| [f, g].iter().any(|f| sitting.world.factors[*f].name == *content))
                .collect();
            rows.push(chart.binding([f, g], &failed)?);
        }
    }
    let failure = named::first(&rows);
    let sentence = named::sentence(&rows);
    Ok(Verdict { rows, failure, sentence })
}

/// Why no binding of `verdict` was asked about; `None` where one was, or there is none.
pub(super) fn unasked_bindings(verdict: &Verdict) -> Option<&str> {
    let mut bindings = verdict.rows.iter().filter(|row| row.kind == ContentKind::Binding).peekable();
    let first = *bindings.peek()?;
    bindings.all(|row| row.cells.matched.answer == CellAnswer::NotAsked).then_some(&first.cells.matched.why)
}

/// What all rows are made with.
struct Chart<'a> {
    sitting: &'a Sitting<'a>,
    recognition: &'a Asked,
    knows: Knows,
    shows: Shows,
}

/// Which combinations the examinee knows.
struct Knows {
    /// By attribute of the two that captions say, its interaction.
    uneven: Vec<Option<Interaction>>,
    /// Those that training showed, or where that is not known those that a memory holds; all where there is no such thing.
    known: Option<BTreeSet<Combination>>,
    /// Whether training is known.
    told: bool,
    /// Whether it knows most combinations and not the others, though nobody told.
    memory: bool,
}

impl Knows {
    fn of(sitting: &Sitting<'_>, recognition: &Asked) -> Self {
        let all = Combinations::all(sitting.world);
        let factors = all.factors();
        let named = |f: &usize| recognition.answers(&sitting.world.factors[*f].name);
        let [rows, columns] = *factors else {
            let known = sitting.seen.map(|seen| seen.as_slice().iter().cloned().collect());
            let uneven = vec![None; factors.len()];
            return Self { uneven, known, told: sitting.seen.is_some(), memory: false };
        };
        let grid =
            |score: &dyn Fn(usize) -> f64| by_combination(sitting.world, [rows, columns], &recognition.scenes, score);
        let of = |f: &usize| {
            let answers = named(f)?;
            interaction(&grid(&|i| answers.answers[i].score), sitting.confidence.level(), sitting.seed)
        };
        let uneven: Vec<Option<Interaction>> = factors.iter().map(of).collect();
        if let Some(seen) = sitting.seen {
            let known = Some(seen.as_slice().iter().cloned().collect());
            return Self { uneven, known, told: true, memory: false };
        }
        let memory = uneven.iter().flatten().any(|of| of.lo > INTERACTION);
        let right: BTreeSet<Combination> = recognition
            .answers("combination")
            .filter(|_| memory)
            .map(|answers| {
                let cells = grid(&|i| answers.answers[i].score);
                let mean = |scores: &Vec<f64>| scores.iter().sum::<f64>() / scores.len().max(1) as f64;
                let known = |values: &&Combination| mean(&cells[values[0] as usize][values[1] as usize]) >= 0.5;
                all.as_slice().iter().filter(known).cloned().collect()
            })
            .unwrap_or_default();
        let memory = memory && right.len() as f64 >= KNOWN * all.as_slice().len() as f64;
        Self { uneven, known: memory.then_some(right), told: false, memory }
    }

    fn knows(&self, combination: &Combination) -> bool {
        self.known.as_ref().is_none_or(|known| known.contains(combination))
    }
}

impl Chart<'_> {
    fn reading<'b>(&self, kind: ContentKind, task: &'b Task, splits: &'b [Split]) -> Reading<'b> {
        Reading { kind, task, splits, confidence: self.sitting.confidence, seed: self.sitting.seed }
    }

    fn attributes(&self, said: &[usize]) -> Result<Vec<VerdictRow>> {
        let world = self.sitting.world;
        let shown = Shown::by_layer(self.sitting, self.sitting.singles(self.shows.single)?, 1)?;
        let beside = shown.beside(self.sitting)?;
        let all = Combinations::all(world);
        let combination = |i: usize| shown.scenes[i].objects[0].combination(all.factors());
        let kept: Vec<bool> = (0..shown.scenes.len()).map(|i| self.knows.knows(&combination(i))).collect();
        said.iter().enumerate().map(|(k, f)| self.attribute((k, *f), &shown, &beside, &kept)).collect()
    }

    fn attribute(&self, (k, f): (usize, usize), shown: &Shown, beside: &Beside, kept: &[bool]) -> Result<VerdictRow> {
        self.sitting.go_on()?;
        let factor = &self.sitting.world.factors[f];
        let label = |i: usize| kept[i].then_some(shown.scenes[i].objects[0].values[f] as usize);
        let rows = shown.scenes.len();
        let task = Task::new(factor.values.len(), (0..rows).map(label).collect(), (0..rows as u64).collect())?;
        let splits = scene_splits(&task, FOLDS, self.sitting.seed)?;
        let reading = self.reading(ContentKind::Attribute, &task, &splits);
        let (image, of_image) = reading.accessible(&shown.pictures, &beside.pictures)?;
        let (text, of_text) = reading.accessible(&shown.texts, &beside.texts)?;
        let links = Links {
            image_contained: reading.contained(&shown.pictures)?,
            image_accessible: image.credited(of_image),
            text_accessible: text.credited(of_text),
            matched: self.recognised(&factor.name)?,
            new_combinations: self.carried_over(k, &factor.name)?,
        };
        Ok(row(factor.name.clone(), ContentKind::Attribute, links, layers(&reading, &shown.layers)?))
    }

    /// Zero-shot accuracy on the combinations that it knows.
    fn recognised(&self, name: &str) -> Result<Link> {
        let Some([known, _]) = self.split(name)? else { return Ok(Link::not_asked("it is not asked")) };
        let chance = self.recognition.answers(name).map_or(0.0, |answers| answers.chance);
        Ok(Link::by_share(&known, chance, ATTRIBUTE_MATCHED, "zero-shot recognition"))
    }

    fn carried_over(&self, k: usize, name: &str) -> Result<Link> {
        if self.knows.told {
            return Ok(match self.split(name)? {
                Some([known, new]) if new.n > 0 => lost(&known.minus(&new), new.n),
                _ => Link::not_asked("training showed all combinations"),
            });
        }
        Ok(self.evenness(self.knows.uneven.get(k).copied().flatten()))
    }

    fn evenness(&self, found: Option<Interaction>) -> Link {
        let none = || Link::not_asked("only of two attributes that captions say");
        found.map_or_else(none, |of| uneven(&of, self.knows.memory, self.recognition.scenes.len()))
    }

    /// The accuracy of `name` among single objects of combinations that are known, and of others.
    fn split(&self, name: &str) -> Result<Option<[Proportion; 2]>> {
        let Some(answers) = self.recognition.answers(name) else { return Ok(None) };
        let all = Combinations::all(self.sitting.world);
        let of = |known: bool| {
            let kept = self
                .recognition
                .scenes
                .iter()
                .zip(&answers.answers)
                .filter(|(scene, _)| self.knows.knows(&scene.objects[0].combination(all.factors())) == known);
            let (scores, clusters): (Vec<f64>, Vec<u64>) =
                kept.map(|(_, answer)| (answer.score, answer.cluster)).unzip();
            accuracy(&scores, &clusters, self.sitting)
        };
        Ok(Some([of(true)?, of(false)?]))
    }
}

fn row(content: String, kind: ContentKind, links: Links, layers: Vec<LayerReading>) -> VerdictRow {
    let links = links.concluded(kind);
    VerdictRow { content, kind, failure: named::failure(kind, &links), cells: links.cells(), layers }
}

fn layers(reading: &Reading<'_>, layers: &[(Site, Matrix)]) -> Result<Vec<LayerReading>> {
    let layer = |(site, matrix): &(Site, Matrix)| {
        let (accuracy, chance) = reading.layer(matrix)?;
        let Proportion { estimate, lo, hi, .. } = accuracy;
        Ok(LayerReading { site: site.to_string(), estimate, lo, hi, chance })
    };
    layers.iter().map(layer).collect()
}

/// Whether an attribute of this row leaves nothing to ask of its bindings: of combinations that are known they still are, and where
/// no link is seen to fail.
fn fails(row: &VerdictRow) -> bool {
    let unused = row.cells.matched.answer == CellAnswer::No;
    unused || row.failure.is_some_and(|failure| !matches!(failure, Failure::Memorised | Failure::CantTell))
}

/// Of no answers: nothing known, from 0 to 1.
fn accuracy(scores: &[f64], clusters: &[u64], sitting: &Sitting<'_>) -> Result<Proportion> {
    if scores.is_empty() {
        return Ok(Proportion { successes: 0.0, n: 0, effective_n: 0.0, estimate: 0.5, lo: 0.0, hi: 1.0 });
    }
    Proportion::clustered(scores, clusters, sitting.confidence)
}
