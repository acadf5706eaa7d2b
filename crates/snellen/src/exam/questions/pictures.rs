//! Pictures of the user's own, as far as their labels and captions go (METHODS.md, own pictures).

use crate::exam::pictures::Pictures;
use crate::exam::question::{Answer, Asked, Decision, Question};
use crate::exam::scores::{class_embeddings, cosine, decided, outcome, winners};
use crate::exam::sentences::{above, guesses, list, percent, word as prose};
use crate::exam::sitting::Sitting;
use crate::exam::words::{alone, phrase, places, said, with, word};
use crate::measure::Matrix;
use crate::model::{Model, Preprocessing};
use crate::readers::{Comparison, Ladder, Prepared, Reader, Task, against, curves, scene_splits};
use crate::record::{read_pixels, read_rgb};
use crate::report::{Contrast, QuestionCard};
use crate::scene::Said;
use crate::scene::caption::say;
use crate::scene::labels::LabelTable;
use crate::{Result, random};
use image::imageops::{FilterType, resize};
use rand::RngExt;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Folds of readers.
const FOLDS: usize = 3;
/// Pictures of a value without which it is not read.
const FEWEST: usize = 6;
/// Pictures of a forward.
const BATCH: usize = 32;
/// Height and width of the pictures that a reader of raw pixels is given.
const PIXELS: u32 = 32;

/// Own pictures: each labelled factor by templates and by a linear reader, and captions with values replaced or exchanged.
#[derive(Clone, Copy, Debug)]
pub struct OwnPictures;

/// What is shown of them.
struct Shown<'a> {
    sitting: &'a Sitting<'a>,
    table: &'a LabelTable,
    /// Rows of the table.
    rows: Vec<usize>,
    /// `[row shown, unit]`.
    images: Matrix,
    /// By factor and value: as it is written in captions.
    words: Vec<Vec<String>>,
    /// By factor.
    says: Vec<Option<Said>>,
}

impl Question for OwnPictures {
    fn id(&self) -> &'static str {
        "pictures"
    }

    fn title(&self) -> &'static str {
        "own pictures"
    }

    fn purpose(&self) -> &'static str {
        "labels and captions of pictures that were given"
    }

    fn about(&self, _: usize) -> String {
        "The pictures that were given. Of each labelled factor: the best of one caption per value, for pictures that show one of its values; and what \
         a linear reader of the image embedding finds, taught on two thirds of them, beside raw pixels and untrained models. Of each \
         picture its caption (where it has none, its labels in words) against the same with a value replaced by one that it does not show, or with \
         the values of two objects exchanged."
            .to_owned()
    }

    fn asks_of_scenes(&self) -> bool {
        false
    }

    fn needs_texts(&self) -> bool {
        false
    }

    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked> {
        let Some(pictures) = sitting.pictures else { return Ok(Asked::left_out("no pictures were given")) };
        let table = pictures.table()?;
        let rows = pictures.rows();
        let words = table.factors.iter().map(|factor| factor.values.iter().map(|value| word(value)).collect());
        let says = table.factors.iter().map(|factor| said(&factor.name, sitting.world)).collect();
        let images = embed(pictures, sitting, &rows)?;
        let shown = Shown { sitting, table, rows, images, words: words.collect(), says };
        let mut asked = Asked { group: 1, pictures: shown.rows.len(), ..Asked::default() };
        let seed = random::seed(sitting.seed, "own pictures", 0);
        let mut beside = vec![("raw pixels".to_owned(), pixels(pictures, sitting, &shown.rows)?)];
        for control in sitting.controls()? {
            let embeddings = of_model(pictures, &control.model, &sitting.of(control), &shown.rows)?;
            beside.push((control.name.clone(), embeddings));
        }
        let texts = sitting.examinee.has_texts();
        if !texts {
            asked.left_out_parts.push("captions: it has no text tower".to_owned());
        }
        for f in 0..table.factors.len() {
            let labels = shown.labels(f);
            let values = labels.iter().flatten().collect::<BTreeSet<_>>().len();
            let name = prose(&table.factors[f].name);
            if values < 2 {
                let why = if values == 0 { "no picture shows one value of it only" } else { "all show one value" };
                asked.left_out_parts.push(format!("{name}: {why}"));
                continue;
            }
            if texts {
                shown.named(f, &labels, &mut asked)?;
            }
            shown.read(f, &labels, &beside, seed, &mut asked)?;
        }
        if texts {
            shown.captions(pictures, seed, &mut asked)?;
        }
        if asked.answers.is_empty() {
            return Ok(Asked::left_out(&asked.left_out_parts.join("; ")));
        }
        Ok(asked)
    }

    fn findings(&self, own: &QuestionCard, _: &[QuestionCard]) -> Vec<String> {
        let of = |kind: &str, keep: &dyn Fn(&crate::report::Rate) -> bool| -> Vec<String> {
            let named = own.rates.iter().filter_map(|rate| Some((rate.id.strip_prefix(kind)?, &rate.rate)));
            named
                .filter(|(_, rate)| keep(rate))
                .map(|(name, rate)| format!("the {} ({})", prose(name), percent(rate)))
                .collect()
        };
        let mut said = Vec::new();
        let mut sentence = |of: Vec<String>, text: &dyn Fn(String) -> String| {
            if !of.is_empty() {
                said.push(text(list(&of)));
            }
        };
        sentence(of("named_", &above), &|what| format!("In the pictures that were given it recognises {what}."));
        sentence(of("named_", &guesses), &|what| {
            format!("In the pictures that were given it names {what} no better than by guessing.")
        });
        let beyond = |name: &str| own.contrast(&format!("read_{name}_beyond")).is_some_and(|of| of.lo > 0.0);
        let readers = own.rates.iter().filter_map(|rate| Some((rate.id.strip_prefix("read_")?, &rate.rate)));
        let (more, same): (Vec<_>, Vec<_>) =
            readers.filter(|(_, rate)| above(rate)).partition(|(name, _)| beyond(name));
        let names = |of: Vec<(&str, &crate::report::Rate)>| -> Vec<String> {
            of.into_iter().map(|(name, rate)| format!("the {} ({})", prose(name), percent(rate))).collect()
        };
        sentence(names(more), &|what| {
            format!(
                "A linear reader of its image embedding finds {what} there, more than in raw pixels and untrained models."
            )
        });
        sentence(names(same), &|what| {
            format!(
                "A linear reader of its image embedding finds {what} there, which raw pixels or untrained models may give as well."
            )
        });
        sentence(of("swap_", &above), &|what| {
            format!("It tells captions from the same with values of two objects exchanged: {what}, chance 50 %.")
        });
        sentence(of("swap_", &|rate| !above(rate)), &|what| {
            format!(
                "That it tells captions from the same with values of two objects exchanged does not show: {what}, chance 50 %."
            )
        });
        said
    }
}

impl Shown<'_> {
    /// The value of factor `f` that each picture shows, where it shows one alone.
    fn labels(&self, f: usize) -> Vec<Option<usize>> {
        let of = |row: &usize| {
            let objects = &self.table.rows[*row].objects;
            let values: BTreeSet<u32> = objects.iter().filter_map(|object| object.get(f).copied().flatten()).collect();
            (values.len() == 1).then(|| values.first().map(|value| *value as usize)).flatten()
        };
        self.rows.iter().map(of).collect()
    }

    /// Zero-shot, one class for each value.
    fn named(&self, f: usize, labels: &[Option<usize>], asked: &mut Asked) -> Result<()> {
        let factor = &self.table.factors[f];
        let name = prose(&factor.name);
        let Some(said) = self.says[f] else {
            asked.left_out_parts.push(format!("{name} by captions: fits no template"));
            return Ok(());
        };
        let captions = |template: &str| -> Vec<String> {
            self.words[f].iter().map(|word| say(&[alone(word, said)], template)).collect()
        };
        let readable: Vec<Vec<String>> = self
            .sitting
            .templates
            .iter()
            .map(|template| captions(template))
            .filter(|captions| self.sitting.examinee.reads(captions).is_ok())
            .collect();
        if readable.is_empty() {
            asked.left_out_parts.push(format!("{name} by captions: its text tower does not read them"));
            return Ok(());
        }
        let shown: BTreeSet<usize> = labels.iter().flatten().copied().collect();
        let classes: Vec<usize> = shown.into_iter().collect();
        let said = |value: &usize| readable.iter().map(|captions| captions[*value].clone()).collect();
        let said: Vec<Vec<String>> = classes.iter().map(said).collect();
        let embeddings = class_embeddings(self.sitting, &said)?;
        let won = winners(&self.images, &embeddings);
        let mut answers = Vec::new();
        for (i, label) in labels.iter().enumerate() {
            let Some(right) = label.and_then(|label| classes.binary_search(&label).ok()) else { continue };
            let score = outcome(&won[i], |class| class == right);
            answers.push(Answer { score, cluster: i as u64 });
            let near = |class: usize| cosine(self.images.row(i), embeddings.row(class));
            let others = (0..classes.len()).filter(|class| *class != right);
            let Some(other) = others.reduce(|a, b| if near(b) > near(a) { b } else { a }) else { continue };
            asked.decisions.push(Decision {
                of: format!("named {}", factor.name),
                scene: self.rows[i],
                right: said[right][0].clone(),
                other: said[other][0].clone(),
                similarity: near(right),
                other_similarity: near(other),
                score,
                seen: None,
            });
        }
        asked.push((&format!("named_{}", factor.name), &format!("{name} named")), 1.0 / classes.len() as f64, answers);
        Ok(())
    }

    /// A linear reader of the embedding, beside the same of controls.
    fn read(
        &self,
        f: usize,
        labels: &[Option<usize>],
        beside: &[(String, Matrix)],
        seed: u64,
        asked: &mut Asked,
    ) -> Result<()> {
        let factor = &self.table.factors[f];
        let name = prose(&factor.name);
        let count = |value: usize| labels.iter().flatten().filter(|label| **label == value).count();
        let kept: Vec<usize> = (0..factor.values.len()).filter(|value| count(*value) >= FEWEST).collect();
        if kept.len() < 2 {
            let why = format!("{name} by a reader: fewer than two values with {FEWEST} pictures each");
            asked.left_out_parts.push(why);
            return Ok(());
        }
        let class = |label: &Option<usize>| label.and_then(|label| kept.binary_search(&label).ok());
        let task = Task::new(kept.len(), labels.iter().map(class).collect(), (0..labels.len() as u64).collect())?;
        let splits = scene_splits(&task, FOLDS, seed)?;
        let ladder = Ladder { null: false, ..Ladder::all(self.sitting.confidence) };
        let mut rows = vec![Prepared::new("embedding", &self.images)?];
        for (name, matrix) in beside {
            rows.push(Prepared::new(name, matrix)?);
        }
        let found = curves(&rows, &task, &splits, &ladder, &Reader::ridge(), seed)?;
        let answers = &found[0].points[0].answers;
        let each =
            answers.rows.iter().zip(&answers.scores).map(|(row, score)| Answer { score: *score, cluster: *row as u64 });
        asked.push(
            (&format!("read_{}", factor.name), &format!("{name} read from the embedding")),
            found[0].chance,
            each,
        );
        let compared = against(&found[0], &found[1..].iter().collect::<Vec<_>>(), &task, self.sitting.confidence)?;
        if let Some(best) = compared.first().map(Comparison::best) {
            asked.contrasts.push(Contrast {
                id: format!("read_{}_beyond", factor.name),
                title: format!("{name} read from the embedding, less from {}", best.name),
                difference: best.difference,
            });
        }
        Ok(())
    }

    /// Captions against the same with values replaced or exchanged.
    fn captions(&self, pictures: &Pictures, seed: u64, asked: &mut Asked) -> Result<()> {
        let mut of: Vec<(usize, String, String, String)> = Vec::new();
        let mut unsaid = 0;
        let template = self.sitting.templates.first().copied().unwrap_or("{}");
        for (i, row) in self.rows.iter().enumerate() {
            let objects = &self.table.rows[*row].objects;
            let written = match pictures.caption(*row) {
                Some(caption) => Some(caption.to_owned()),
                None if pictures.captioned() => None,
                None => {
                    let phrases = objects.iter().map(|object| phrase(self.table, &self.words, &self.says, object));
                    phrases.collect::<Option<Vec<_>>>().map(|phrases| say(&phrases, template))
                }
            };
            let Some(right) = written.filter(|text| self.sitting.examinee.reads(std::slice::from_ref(text)).is_ok())
            else {
                unsaid += 1;
                continue;
            };
            let rng = &mut random::stream(seed, "captions of own pictures", i as u64);
            for f in 0..self.table.factors.len() {
                let other = [
                    ("replaced", self.replaced(f, objects, &right, rng)),
                    ("swap", self.exchanged(f, objects, &right)),
                ];
                for (kind, wrong) in other {
                    let Some(wrong) =
                        wrong.filter(|wrong| self.sitting.examinee.reads(std::slice::from_ref(wrong)).is_ok())
                    else {
                        continue;
                    };
                    of.push((i, format!("{kind}_{}", self.table.factors[f].name), right.clone(), wrong));
                }
            }
        }
        if unsaid > 0 {
            let why =
                format!("captions of {unsaid} of {} pictures: none, or not read by its text tower", self.rows.len());
            asked.left_out_parts.push(why);
        }
        if of.is_empty() {
            let what = if pictures.captioned() { "in the captions" } else { "of the labels" };
            asked.left_out_parts.push(format!("other captions: no value {what} can be replaced or exchanged"));
            return Ok(());
        }
        let texts: Vec<String> = of.iter().flat_map(|(_, _, right, wrong)| [right.clone(), wrong.clone()]).collect();
        let texts = self.sitting.texts(&texts)?;
        let margins: Vec<[f64; 2]> = (0..of.len())
            .map(|k| [2 * k, 2 * k + 1].map(|text| cosine(self.images.row(of[k].0), texts.row(text))))
            .collect();
        for (kind, title) in [("replaced", "replaced"), ("swap", "exchanged")] {
            for factor in &self.table.factors {
                let id = format!("{kind}_{}", factor.name);
                let own = of.iter().zip(&margins).filter(|((_, own, ..), _)| *own == id);
                let answers = own.map(|((i, ..), [a, b])| Answer { score: decided(a - b), cluster: *i as u64 });
                asked.push((&id, &format!("{} {title}", prose(&factor.name))), 0.5, answers);
            }
        }
        let decisions = of.into_iter().zip(&margins).map(|((i, of, right, other), [a, b])| Decision {
            of: of.replacen('_', " ", 1),
            scene: self.rows[i],
            right,
            other,
            similarity: *a,
            other_similarity: *b,
            score: decided(a - b),
            seen: None,
        });
        asked.decisions.extend(decisions);
        Ok(())
    }

    /// `caption` with one value of factor `f` replaced by one that no object has; `None` where it says none just once, or there is no other.
    fn replaced(
        &self,
        f: usize,
        objects: &[Vec<Option<u32>>],
        caption: &str,
        rng: &mut impl rand::Rng,
    ) -> Option<String> {
        let shown: BTreeSet<u32> = objects.iter().filter_map(|object| object[f]).collect();
        let once = |value: &u32| {
            let mut found = places(caption, &self.words[f][*value as usize]);
            (found.len() == 1).then(|| found.remove(0))
        };
        let place = shown.iter().find_map(once)?;
        let others: Vec<usize> = (0..self.words[f].len()).filter(|value| !shown.contains(&(*value as u32))).collect();
        let other = *others.get(rng.random_range(0..others.len().max(1)))?;
        Some(with(caption, &[(place, &self.words[f][other])]))
    }

    /// `caption` with the values that two objects have of factor `f` exchanged; `None` where it does not say each just once, or where
    /// the labels say the same of the picture then.
    fn exchanged(&self, f: usize, objects: &[Vec<Option<u32>>], caption: &str) -> Option<String> {
        let [one, other] = objects else { return None };
        let (a, b) = (one[f]?, other[f]?);
        let differ = (0..one.len())
            .any(|g| g != f && self.says[g].is_some() && one[g].is_some() && other[g].is_some() && one[g] != other[g]);
        if a == b || !differ {
            return None;
        }
        let [first, second] = [a, b].map(|value| self.words[f][value as usize].as_str());
        let [at, also] = [first, second].map(|word| places(caption, word));
        let ([at], [also]) = (at.as_slice(), also.as_slice()) else { return None };
        let mut both = [(at.clone(), second), (also.clone(), first)];
        both.sort_by_key(|(place, _)| place.start);
        Some(with(caption, &both))
    }
}

/// Embeddings `[row, unit]`, each of length 1, of the examinee of `sitting`.
///
/// # Errors
/// When a picture is refused, and as [`Sitting::images`].
fn embed(pictures: &Pictures, sitting: &Sitting<'_>, rows: &[usize]) -> Result<Matrix> {
    if let Some(model) = sitting.examinee.model() {
        return of_model(pictures, model, sitting, rows);
    }
    let plain = Preprocessing::named("study", sitting.examinee.side() as usize)?;
    let read = |batch: &[usize]| -> Result<Matrix> {
        let images = batch.par_iter().map(|row| read_rgb(&pictures.source.path(*row), &plain));
        sitting.examinee.images(&images.collect::<Result<Vec<_>>>()?)
    };
    sitting.rows("image", rows, read)
}

/// The same of `model`, which reads files as its preprocessing says.
fn of_model(pictures: &Pictures, model: &Model, sitting: &Sitting<'_>, rows: &[usize]) -> Result<Matrix> {
    sitting.rows("image", rows, |rows| {
        let mut values = Vec::new();
        for batch in rows.chunks(BATCH) {
            let paths: Vec<PathBuf> = batch.iter().map(|row| pictures.source.path(*row)).collect();
            let embeds = model.encode_pixels(&read_pixels(&paths, &model.preprocessing)?, &mut ())?;
            values.extend_from_slice(embeds.data());
        }
        Matrix::new(rows.len(), values.len() / rows.len().max(1), values)
    })
}

/// `[row, value]`: the pictures themselves, made small.
fn pixels(pictures: &Pictures, sitting: &Sitting<'_>, rows: &[usize]) -> Result<Matrix> {
    let plain = Preprocessing::named("study", sitting.examinee.side() as usize)?;
    let preprocessing = sitting.examinee.model().map_or(&plain, |model| &model.preprocessing);
    let row = |row: &usize| -> Result<Vec<f32>> {
        let small =
            resize(&read_rgb(&pictures.source.path(*row), preprocessing)?, PIXELS, PIXELS, FilterType::Triangle);
        Ok(small.into_raw().into_iter().map(|x| f32::from(x) / 255.0).collect())
    };
    let values: Vec<Vec<f32>> = rows.par_iter().map(row).collect::<Result<_>>()?;
    Matrix::new(rows.len(), values.first().map_or(0, Vec::len), values.concat())
}
