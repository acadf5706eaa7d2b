//! The verdict: which link of the chain from picture to answer fails, for every attribute and every binding of two.
//!
//! Links, in the order of the data's path: the image embedding holds it (a network with all pictures) - a linear reader finds it
//! there with few, better than in raw pixels and untrained models - a linear reader finds it in the text embedding, better than
//! in a bag of words and untrained models - the match of the two uses it - on new combinations too. The first link that
//! fails names the failure. Every answer has its evidence, and "can't tell" is one (METHODS.md, verdict).

mod cells;
mod interaction;
mod margins;
mod named;
mod shown;

use super::question::Asked;
use super::scores::{cosine, decided};
use super::sitting::Sitting;
use crate::measure::proportion::Proportion;
use crate::model::Model;
use crate::readers::alignment::{Teaching, Twins, align};
use crate::readers::{Split, Task, scene_splits};
use crate::report::verdict::{Cell, CellAnswer, Cells, ContentKind, Failure, LayerReading, Verdict, VerdictRow};
use crate::scene::generate::{independent, swap_twins};
use crate::scene::{Combination, Combinations};
use crate::{Error, Result, random};
use cells::{Reading, by_share, lost, not_asked, swapped, uneven};
use interaction::{Interaction, interaction};
use margins::{ATTRIBUTE_MATCHED, INTERACTION, KNOWN};
use shown::{Shown, untrained};
use std::collections::BTreeSet;

/// Folds of every reader.
const FOLDS: usize = 3;

/// How many pictures the verdict shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shows {
    /// Single objects.
    pub single: usize,
    /// Swap twins of each binding, two pictures each.
    pub twins: usize,
}

/// The verdict on the examinee of `sitting`, whose answers to [`Recognition`](super::questions::Recognition) were `recognition`.
///
/// # Errors
/// As questions.
pub(super) fn diagnose(sitting: &Sitting<'_>, recognition: &Asked, shows: Shows) -> Result<Verdict> {
    let seed = random::seed(sitting.seed, "verdict", 0);
    let sitting = &Sitting { seed, ..*sitting };
    let said = sitting.world.said();
    let controls = untrained(sitting.examinee, seed)?;
    let ward = Ward { sitting, recognition, knows: Knows::of(sitting, recognition), shows, controls };
    let mut rows = ward.attributes(&said)?;
    for (k, &f) in said.iter().enumerate() {
        for &g in &said[k + 1..] {
            let failed: Vec<String> = rows
                .iter()
                .filter(|row| row.kind == ContentKind::Attribute && row.failure.is_some_and(fails))
                .map(|row| row.content.clone())
                .filter(|content| [f, g].iter().any(|f| sitting.world.factors[*f].name == *content))
                .collect();
            rows.push(ward.binding(f, g, &failed)?);
        }
    }
    let failure = named::first(&rows);
    let sentence = named::sentence(&rows);
    Ok(Verdict { rows, failure, sentence })
}

/// What all rows are made with.
struct Ward<'a> {
    sitting: &'a Sitting<'a>,
    recognition: &'a Asked,
    knows: Knows,
    shows: Shows,
    controls: Vec<(String, Model)>,
}

/// Which combinations the examinee knows.
struct Knows {
    /// By attribute of the two that captions say, its interaction.
    uneven: Vec<Option<Interaction>>,
    /// Those that training showed, or where that is not known those that a memory holds; all where there is no such thing.
    known: Option<BTreeSet<Combination>>,
    /// Whether training is known.
    told: bool,
}

impl Knows {
    fn of(sitting: &Sitting<'_>, recognition: &Asked) -> Self {
        let all = Combinations::all(sitting.world);
        let factors = all.factors();
        let named = |f: &usize| recognition.answers(&sitting.world.factors[*f].name);
        let [rows, columns] = *factors else {
            let known = sitting.seen.map(|seen| seen.as_slice().iter().cloned().collect());
            return Self { uneven: vec![None; factors.len()], known, told: sitting.seen.is_some() };
        };
        let sizes = [rows, columns].map(|f| sitting.world.factors[f].values.len());
        let grid = |scores: &dyn Fn(usize) -> f64| {
            let mut cells = vec![vec![Vec::new(); sizes[1]]; sizes[0]];
            for (i, scene) in recognition.scenes.iter().enumerate() {
                let values = &scene.objects[0].values;
                cells[values[rows] as usize][values[columns] as usize].push(scores(i));
            }
            cells
        };
        let of = |f: &usize| {
            let answers = named(f)?;
            interaction(&grid(&|i| answers.answers[i].score), sitting.confidence.level(), sitting.seed)
        };
        let uneven: Vec<Option<Interaction>> = factors.iter().map(of).collect();
        if let Some(seen) = sitting.seen {
            return Self { uneven, known: Some(seen.as_slice().iter().cloned().collect()), told: true };
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
        let enough = right.len() as f64 >= KNOWN * all.as_slice().len() as f64;
        Self { uneven, known: (memory && enough).then_some(right), told: false }
    }

    fn knows(&self, combination: &Combination) -> bool {
        self.known.as_ref().is_none_or(|known| known.contains(combination))
    }
}

impl Ward<'_> {
    fn reading<'b>(&self, kind: ContentKind, task: &'b Task, splits: &'b [Split]) -> Reading<'b> {
        Reading { kind, task, splits, confidence: self.sitting.confidence, seed: self.sitting.seed }
    }

    fn attributes(&self, said: &[usize]) -> Result<Vec<VerdictRow>> {
        let world = self.sitting.world;
        let scenes = independent(&world.repeating(), 1, self.shows.single, self.sitting.seed)?;
        let shown = Shown::of(self.sitting, scenes, 1, &self.controls)?;
        let all = Combinations::all(world);
        let combination = |i: usize| shown.scenes[i].objects[0].combination(all.factors());
        let kept: Vec<bool> = (0..shown.scenes.len()).map(|i| self.knows.knows(&combination(i))).collect();
        said.iter().enumerate().map(|(k, f)| self.attribute(k, *f, &shown, &kept)).collect()
    }

    fn attribute(&self, k: usize, f: usize, shown: &Shown, kept: &[bool]) -> Result<VerdictRow> {
        let factor = &self.sitting.world.factors[f];
        let label = |i: usize| kept[i].then_some(shown.scenes[i].objects[0].values[f] as usize);
        let rows = shown.scenes.len();
        let task = Task::new(factor.values.len(), (0..rows).map(label).collect(), (0..rows as u64).collect())?;
        let splits = scene_splits(&task, FOLDS, self.sitting.seed)?;
        let reading = self.reading(ContentKind::Attribute, &task, &splits);
        let cells = Cells {
            image_contained: reading.contained(&shown.pictures)?,
            image_accessible: reading.accessible(&shown.pictures, &shown.picture_controls)?,
            text_accessible: reading.accessible(&shown.texts, &shown.text_controls)?,
            matched: self.recognised(&factor.name)?,
            new_combinations: self.carried_over(k, &factor.name)?,
        };
        Self::row(factor.name.clone(), cells, &reading, shown)
    }

    /// Zero-shot accuracy on the combinations that it knows.
    fn recognised(&self, name: &str) -> Result<Cell> {
        let Some([known, _]) = self.split(name)? else { return Ok(not_asked("it is not asked")) };
        let chance = self.recognition.answers(name).map_or(0.0, |answers| answers.chance);
        Ok(by_share(&known, chance, ATTRIBUTE_MATCHED, "zero-shot recognition"))
    }

    fn carried_over(&self, k: usize, name: &str) -> Result<Cell> {
        if self.knows.told {
            return Ok(match self.split(name)? {
                Some([known, new]) if new.n > 0 => lost(&known.minus(&new), new.n),
                _ => not_asked("training showed all combinations"),
            });
        }
        let n = self.recognition.scenes.len();
        let none = || not_asked("only of two attributes that captions say");
        Ok(self.knows.uneven.get(k).copied().flatten().map_or_else(none, |of| uneven(&of, n)))
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

    fn binding(&self, f: usize, g: usize, failed: &[String]) -> Result<VerdictRow> {
        let world = self.sitting.world;
        let content = format!("{} x {}", world.factors[f].name, world.factors[g].name);
        let unasked = |why: &str| VerdictRow {
            content: content.clone(),
            kind: ContentKind::Binding,
            cells: Cells {
                image_contained: not_asked(why),
                image_accessible: not_asked(why),
                text_accessible: not_asked(why),
                matched: not_asked(why),
                new_combinations: not_asked(why),
            },
            failure: None,
            layers: Vec::new(),
        };
        if !failed.is_empty() {
            return Ok(unasked(&format!("{} fails by itself", failed.join(" and "))));
        }
        let all = Combinations::all(world);
        let twins = match swap_twins(world, g, &all, &all, self.shows.twins, self.sitting.seed) {
            Ok(twins) => twins,
            Err(Error::Mismatch { place, expected, got }) => {
                return Ok(unasked(&format!("no twins can be made: {place}: expected {expected}, got {got}")));
            }
            Err(error) => return Err(error),
        };
        let scenes = twins.into_iter().flat_map(|twin| [twin.scene, twin.twin]).collect();
        let shown = Shown::of(self.sitting, scenes, 2, &self.controls)?;
        let knows = |i: usize| shown.scenes[i].objects.iter().all(|o| self.knows.knows(&o.combination(all.factors())));
        let kept: Vec<bool> = (0..shown.scenes.len()).map(|i| knows(i) && knows(i ^ 1)).collect();
        // Whether the lower value of one factor belongs to the lower of the other: no count and no bag of values says so.
        let label = |i: usize| {
            let [a, b] = &shown.scenes[i].objects[..] else { return None };
            kept[i].then_some(usize::from((a.values[f] < b.values[f]) == (a.values[g] < b.values[g])))
        };
        let clusters: Vec<u64> = (0..shown.scenes.len() as u64).map(|i| i / 2).collect();
        let task = Task::new(2, (0..shown.scenes.len()).map(label).collect(), clusters)?;
        let splits = scene_splits(&task, FOLDS, self.sitting.seed)?;
        let reading = self.reading(ContentKind::Binding, &task, &splits);
        let score = |i: usize| {
            let cosine = |caption: usize| cosine(shown.pictures.row(i), shown.texts.row(caption));
            decided(cosine(i) - cosine(i ^ 1))
        };
        let of = |known: bool| {
            let rows: Vec<usize> = (0..kept.len()).filter(|i| kept[*i] == known).collect();
            let scores: Vec<f64> = rows.iter().map(|i| score(*i)).collect();
            let clusters: Vec<u64> = rows.iter().map(|i| *i as u64 / 2).collect();
            accuracy(&scores, &clusters, self.sitting)
        };
        let (known, new) = (of(true)?, of(false)?);
        let pairs: Vec<Split> = splits.iter().map(of_pairs).collect();
        let twins = Twins { pictures: &shown.pictures, captions: &shown.texts };
        let teaching = Teaching { nulls: 0, ..Teaching::standard(self.sitting.confidence) };
        let map = align(&twins, &pairs, &teaching, self.sitting.seed)?;
        let carried = match self.knows.uneven.iter().flatten().max_by(|a, b| a.lo.total_cmp(&b.lo)) {
            _ if self.knows.told && new.n > 0 => lost(&known.minus(&new), new.n),
            _ if self.knows.told => not_asked("training showed all combinations"),
            Some(of) => uneven(of, self.recognition.scenes.len()),
            None => not_asked("only of two attributes that captions say"),
        };
        let cells = Cells {
            image_contained: reading.contained(&shown.pictures)?,
            image_accessible: reading.accessible(&shown.pictures, &shown.picture_controls)?,
            text_accessible: reading.accessible(&shown.texts, &shown.text_controls)?,
            matched: swapped(&known, &map),
            new_combinations: carried,
        };
        Self::row(content.clone(), cells, &reading, &shown)
    }

    fn row(content: String, cells: Cells, reading: &Reading<'_>, shown: &Shown) -> Result<VerdictRow> {
        let layer = |(site, matrix): &(crate::model::Site, crate::measure::Matrix)| {
            let (accuracy, chance) = reading.layer(matrix)?;
            let Proportion { estimate, lo, hi, .. } = accuracy;
            Ok(LayerReading { site: site.to_string(), estimate, lo, hi, chance })
        };
        let layers = shown.layers.iter().map(layer).collect::<Result<_>>()?;
        let cells = after_failure(cells);
        Ok(VerdictRow { content, kind: reading.kind, failure: named::failure(reading.kind, &cells), cells, layers })
    }
}

/// Whether an attribute with this failure leaves nothing to ask of its bindings: of combinations that are known they still are.
fn fails(failure: Failure) -> bool {
    !matches!(failure, Failure::Memorised | Failure::CantTell)
}

/// What is not in the image is not looked for further: pixels give a linear reader more than such an embedding holds.
fn after_failure(cells: Cells) -> Cells {
    if cells.image_contained.answer != CellAnswer::No {
        return cells;
    }
    Cells { image_accessible: not_asked("the image embedding does not hold it"), ..cells }
}

/// Of rows the pairs.
fn of_pairs(split: &Split) -> Split {
    let pairs = |rows: &[usize]| rows.iter().filter(|row| *row % 2 == 0).map(|row| row / 2).collect();
    Split { train: pairs(&split.train), test: pairs(&split.test) }
}

/// Of no answers: nothing known, from 0 to 1.
fn accuracy(scores: &[f64], clusters: &[u64], sitting: &Sitting<'_>) -> Result<Proportion> {
    if scores.is_empty() {
        return Ok(Proportion { successes: 0.0, n: 0, effective_n: 0.0, estimate: 0.5, lo: 0.0, hi: 1.0 });
    }
    Proportion::clustered(scores, clusters, sitting.confidence)
}
