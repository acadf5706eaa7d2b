//! What a question of the exam is: it shows scenes, and has answers, rates made of them, and sentences.
//!
//! A question is one file in `questions` and a row of [`QUESTIONS`]. Report, terminal, training log and study go through
//! results and know no question by name.

use super::questions::{
    Acuity, Additive, Binding, Counting, Generalisation, OwnPictures, Paraphrases, Recognition, SameObject,
};
use super::sitting::Sitting;
use crate::measure::Confidence;
use crate::measure::proportion::Proportion;
use crate::report::{Contrast, Grid, NamedNumber, NamedRate, QuestionCard, Rate, SaidOf};
use crate::scene::Scene;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Every question, in the order in which it is asked and shown.
pub const QUESTIONS: [&dyn Question; 9] =
    [&Recognition, &Binding, &Counting, &Acuity, &Paraphrases, &Generalisation, &Additive, &SameObject, &OwnPictures];

/// The questions called `names`, in the order of [`QUESTIONS`].
///
/// # Errors
/// When there is none of such a name.
pub fn questions(names: &[String]) -> Result<Vec<&'static dyn Question>> {
    let ids = || QUESTIONS.map(Question::id).join(", ");
    match names.iter().find(|name| QUESTIONS.iter().all(|question| question.id() != name.as_str())) {
        Some(other) => Err(Error::mismatch("questions", ids(), format!("`{}`", other.escape_debug()))),
        None => Ok(QUESTIONS.into_iter().filter(|question| names.iter().any(|name| name == question.id())).collect()),
    }
}

/// A question of the exam.
pub trait Question: Sync {
    /// Its name in files, such as `recognition`.
    fn id(&self) -> &'static str;

    /// Its heading: what is shown.
    fn title(&self) -> &'static str;

    /// What for, in half a sentence.
    fn purpose(&self) -> &'static str;

    /// What is asked and how, in a paragraph; `templates` is how many wordings there are.
    fn about(&self, templates: usize) -> String;

    /// Whether it is asked of scenes that are drawn; else of pictures that were given.
    fn asks_of_scenes(&self) -> bool {
        true
    }

    /// Whether it takes a text tower.
    fn needs_texts(&self) -> bool {
        true
    }

    /// Asks it.
    ///
    /// # Errors
    /// When scenes for it cannot be made of the world, and what [`Sitting::images`] and [`Sitting::texts`] refuse.
    fn ask(&self, sitting: &Sitting<'_>) -> Result<Asked>;

    /// What its numbers say, in sentences: each only where its interval supports it. `all` are the results of all questions.
    fn findings(&self, own: &QuestionCard, all: &[QuestionCard]) -> Vec<String>;
}

impl PartialEq for dyn Question {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl fmt::Debug for dyn Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// 1 right, 0 wrong, between them at a tie.
    pub score: f64,
    /// Answers of one cluster may depend on one another.
    pub cluster: u64,
}

/// What was asked of many images: one rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Its name in files, such as `shape`.
    pub id: String,
    /// Its name for readers.
    pub title: String,
    /// What guessing gives, 0 to 1.
    pub chance: f64,
    /// The answers, at least one.
    pub answers: Vec<Answer>,
}

/// One decision between what is right and what is not: a row of `answers.parquet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What is asked, such as `swap`.
    pub of: String,
    /// The scene, by its place among those of the question.
    pub scene: usize,
    /// The caption that is right.
    pub right: String,
    /// The wrong caption beside it; of several the nearest.
    pub other: String,
    /// The cosine of picture and right caption.
    pub similarity: f64,
    /// That of picture and other caption.
    pub other_similarity: f64,
    /// 1 right, 0 wrong, between them at a tie.
    pub score: f64,
    /// Whether training showed the combinations, where that is known.
    pub seen: Option<bool>,
}

/// What a question gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Every decision.
    pub decisions: Vec<Decision>,
    /// The scenes that were shown, those of a pair side by side.
    pub scenes: Vec<Scene>,
    /// How many of them belong together.
    pub group: usize,
    /// How many pictures were shown beside them.
    pub pictures: usize,
    /// Rates.
    pub answers: Vec<Answers>,
    /// Differences of rates.
    pub contrasts: Vec<Contrast>,
    /// Other numbers.
    pub numbers: Vec<NamedNumber>,
    /// Accuracies by the values of two factors.
    pub grid: Option<Grid>,
    /// By factor: what was shown against what was said.
    pub said: Vec<SaidOf>,
    /// Why it was not asked, where it was not.
    pub left_out: Option<String>,
    /// Parts of it that were not asked, each with the reason.
    pub left_out_parts: Vec<String>,
    /// By factor: how near images of its value g come to being called f, `[f][g]`, as differences of cosines.
    pub nearness: Vec<(String, Vec<Vec<f64>>)>,
}

impl Answers {
    /// The share of right answers. Of answers that are all their own cluster and all right or wrong: Wilson's interval.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn rate(&self, confidence: Confidence) -> Result<Rate> {
        let scores: Vec<f64> = self.answers.iter().map(|answer| answer.score).collect();
        let clusters: Vec<u64> = self.answers.iter().map(|answer| answer.cluster).collect();
        let independent = clusters.iter().collect::<BTreeSet<_>>().len() == clusters.len();
        let accuracy = if independent && scores.iter().all(|score| score.fract() == 0.0) {
            Proportion::wilson(scores.iter().sum(), scores.len(), confidence)?
        } else {
            Proportion::clustered(&scores, &clusters, confidence)?
        };
        Ok(Rate { accuracy, chance: self.chance })
    }
}

impl Asked {
    /// A question that can't be asked, because of `why`.
    pub fn left_out(why: &str) -> Self {
        Self { group: 1, left_out: Some(why.to_owned()), ..Self::default() }
    }

    /// The answers called `id`.
    pub fn answers(&self, id: &str) -> Option<&Answers> {
        self.answers.iter().find(|answers| answers.id == id)
    }

    /// Adds a rate, unless it has no answers.
    pub(super) fn push(&mut self, (id, title): (&str, &str), chance: f64, answers: impl IntoIterator<Item = Answer>) {
        let answers: Vec<Answer> = answers.into_iter().collect();
        if !answers.is_empty() {
            let (id, title) = (id.to_owned(), title.to_owned());
            self.answers.push(Answers { id, title, chance, answers });
        }
    }

    /// What a report says of it.
    pub(super) fn card(&self, question: &dyn Question, sitting: &Sitting<'_>) -> Result<QuestionCard> {
        let rate = |answers: &Answers| {
            let rate = answers.rate(sitting.confidence)?;
            Ok(NamedRate { id: answers.id.clone(), title: answers.title.clone(), rate })
        };
        Ok(QuestionCard {
            id: question.id().to_owned(),
            title: question.title().to_owned(),
            purpose: question.purpose().to_owned(),
            about: question.about(sitting.templates.len()),
            images: self.scenes.len() + self.pictures,
            left_out: self.left_out.clone(),
            left_out_parts: self.left_out_parts.clone(),
            rates: self.answers.iter().map(rate).collect::<Result<_>>()?,
            contrasts: self.contrasts.clone(),
            numbers: self.numbers.clone(),
            grid: self.grid.clone(),
            said: self.said.clone(),
        })
    }
}
