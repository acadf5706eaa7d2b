//! One sitting: planned, asked, measured, illustrated, written.

use super::answers::write_answers;
use super::config::ExamConfig;
use super::examinee::Examinee;
use super::pictures::Pictures;
use super::question::{Asked, Question};
use super::questions::Recognition;
use super::sitting::Sitting;
use super::training::Training;
use super::verdict::diagnose;
use super::{findings, wording};
use crate::intervene::trace::{picture, write_trace};
use crate::intervene::write_cause;
use crate::output::StagedDir;
use crate::progress::{Progress, Stages};
use crate::record::{FolderSource, SourceConfig};
use crate::report::verdict::Verdict;
use crate::report::{QuestionCard, Report, write_html};
use crate::scene::caption::TEMPLATES;
use crate::scene::{Canvas, World};
use crate::{Error, Result};
use std::path::Path;

/// Examines `examinee`, called `name`, into the new folder `out`: `report.json`, `report.html`, `answers.parquet`, and of a model `scenes/` (unless images
/// are given) and `run/` with the recording and its tables.
///
/// It is shown the world that the configuration names. Where that names none, one whose `training` is known is shown the world of that, any
/// other the study's toy world. Where training is known it is asked in those templates; and, in a world with the same words,
/// told apart on combinations it has seen and those held out. Templates that it has no room or no words for are left out.
///
/// # Errors
/// When it reads no template, a question cannot be asked or the images are refused; [`Error::Exists`] if `out` is there;
/// [`Error::Interrupted`], and nothing is left.
pub fn examine(
    examinee: &dyn Examinee,
    name: &str,
    training: Option<&Training>,
    config: &ExamConfig,
    out: &Path,
    stages: &dyn Stages,
) -> Result<Report> {
    let staged = StagedDir::begin(out)?;
    let plan = Plan::new(examinee, training, config)?;
    let (asked, verdict) = plan.ask(stages)?;
    let measured = examinee
        .model()
        .filter(|_| config.units)
        .map(|model| plan.measure(model, staged.path(), stages))
        .transpose()?;
    let cause = measured.as_ref().map(|measured| plan.cause(measured.model, staged.path(), stages));
    let cause = cause.transpose()?.flatten();
    let maps = measured.as_ref().map(|measured| plan.map(measured.model, stages)).transpose()?.flatten();
    let stage = stages.begin("report");
    let (mut report, mut gallery) = plan.illustrate(name, &asked, measured)?;
    if let Some(verdict) = &verdict {
        report.findings.insert(0, verdict.sentence.clone());
    }
    report.findings.extend(verdict.is_none().then(|| plan.verdict_left_out()).flatten().map(str::to_owned));
    report.verdict = verdict;
    if report.units.is_some() {
        report.findings.push(findings::of_cause(cause.as_ref()));
    }
    if let Some(cause) = &cause {
        write_cause(&staged.path().join("cause.parquet"), &cause.effects)?;
    }
    report.cause = cause;
    if let Some(maps) = &maps {
        write_trace(&staged.path().join("trace.parquet"), maps)?;
        // A page says by itself what its drawings are.
        gallery.map = Some(picture(maps).replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1));
    }
    report.write_json(staged.path())?;
    let ids = config.questions.iter().map(|question| question.id());
    let rows: Vec<_> = ids.zip(&asked).map(|(id, (asked, _))| (id, asked)).collect();
    write_answers(&staged.path().join("answers.parquet"), &rows)?;
    write_html(staged.path(), &report, &gallery)?;
    drop(stage);
    staged.publish()?;
    Ok(report)
}

/// The verdict of the same exam alone, and nothing is written.
///
/// # Errors
/// As [`examine`]; when the configuration asks for no verdict.
pub fn verdict(
    examinee: &dyn Examinee,
    training: Option<&Training>,
    config: &ExamConfig,
    stages: &dyn Stages,
) -> Result<Verdict> {
    let (_, verdict) = Plan::new(examinee, training, config)?.ask(stages)?;
    verdict.ok_or_else(|| Error::mismatch("exam", "pictures that a verdict is made of", "none"))
}

/// What an exam is made of, known before anything is computed.
pub(super) struct Plan<'a> {
    pub(super) examinee: &'a dyn Examinee,
    pub(super) training: Option<&'a Training>,
    pub(super) config: &'a ExamConfig,
    pub(super) world: World,
    pub(super) templates: Vec<&'a str>,
    /// Labelled images, where they were given.
    pub(super) given: Option<FolderSource>,
    /// The same as questions are asked of them.
    pictures: Option<Pictures>,
}

/// What questions gave, in their order.
pub(super) type Answered = Vec<(Asked, QuestionCard)>;

impl<'a> Plan<'a> {
    fn new(examinee: &'a dyn Examinee, training: Option<&'a Training>, config: &'a ExamConfig) -> Result<Self> {
        let given = config.images.as_deref().map(|folder| labelled(folder, config)).transpose()?;
        let own = || training.map_or_else(World::toy, |training| training.world.clone());
        let world = config.world.clone().unwrap_or_else(own);
        let templates: Vec<&str> = match training {
            Some(training) => training.templates.iter().map(String::as_str).collect(),
            None => TEMPLATES.to_vec(),
        };
        let templates = match (examinee.has_texts(), &given) {
            (false, _) => Vec::new(),
            // What these say is told question by question.
            (true, Some(_)) => wording::readable(examinee, &world, &templates).unwrap_or(templates),
            (true, None) => wording::readable(examinee, &world, &templates)?,
        };
        let pictures = given.clone().map(Pictures::of).transpose()?;
        Ok(Self { examinee, training, config, world, templates, given, pictures })
    }

    pub(super) fn canvas(&self) -> Canvas {
        Canvas::plain(self.examinee.side(), self.examinee.side())
    }

    fn sitting<'b>(&'b self, progress: &'b dyn Progress) -> Sitting<'b> {
        Sitting {
            examinee: self.examinee,
            world: &self.world,
            templates: &self.templates,
            pictures: self.pictures.as_ref(),
            seen: self.training.filter(|training| training.speaks_of(&self.world)).map(|training| &training.seen),
            repeats: self.config.repeats,
            twins: self.config.twins,
            seed: self.config.seed,
            confidence: self.config.confidence,
            progress,
        }
    }

    /// Why `question` can't be asked.
    fn left_out(&self, question: &dyn Question) -> Option<&'static str> {
        if question.asks_of_scenes() && self.given.is_some() {
            Some("asked of drawn scenes, not of pictures that were given")
        } else if question.needs_texts() && !self.examinee.has_texts() {
            Some("it has no text tower")
        } else {
            None
        }
    }

    /// Why there is no verdict, where one was wanted.
    fn verdict_left_out(&self) -> Option<&'static str> {
        let why = if self.given.is_some() {
            "The verdict is left out: it is made of drawn scenes, twins among them that differ in one thing."
        } else if !self.examinee.has_texts() {
            "The verdict is left out: it has no text tower, and a link of the chain is missing."
        } else {
            return None;
        };
        self.config.verdict.map(|_| why)
    }

    /// That not everything is left out.
    fn anything(&self, answered: &Answered) -> Result<()> {
        let mut left_out: Vec<String> = answered
            .iter()
            .filter_map(|(asked, card)| Some(format!("{}: {}", card.id, asked.left_out.as_ref()?)))
            .collect();
        let verdict = self.config.verdict.is_some() && self.verdict_left_out().is_none();
        let units = self.config.units && self.examinee.model().is_some();
        // Of drawn scenes a question that this world does not allow is an answer as well.
        let whole = self.given.is_none() && self.examinee.has_texts();
        left_out.extend(self.config.verdict.and(self.verdict_left_out()).map(str::to_owned));
        let some = answered.iter().any(|(asked, _)| asked.left_out.is_none());
        if whole || verdict || units || some || left_out.is_empty() {
            return Ok(());
        }
        Err(Error::mismatch("exam", "something that can be asked", left_out.join("; ")))
    }

    fn ask(&self, stages: &dyn Stages) -> Result<(Answered, Option<Verdict>)> {
        let mut answered = Answered::new();
        for question in &self.config.questions {
            let why = self.left_out(*question);
            let progress: Box<dyn Progress + '_> =
                if why.is_some() { Box::new(()) } else { stages.begin(question.title()) };
            let sitting = self.sitting(progress.as_ref());
            let asked = why.map_or_else(|| question.ask(&sitting), |why| Ok(Asked::left_out(why)))?;
            let card = asked.card(*question, &sitting)?;
            answered.push((asked, card));
        }
        self.anything(&answered)?;
        let Some(shows) = self.config.verdict.filter(|_| self.verdict_left_out().is_none()) else {
            return Ok((answered, None));
        };
        let progress = stages.begin("reading both sides");
        let sitting = self.sitting(progress.as_ref());
        let recognition = answered.iter().find(|(_, card)| card.id == Recognition.id()).map(|(asked, _)| asked);
        let verdict = match recognition {
            Some(recognition) => diagnose(&sitting, recognition, shows)?,
            None => diagnose(&sitting, &Recognition.ask(&sitting)?, shows)?,
        };
        Ok((answered, Some(verdict)))
    }
}

/// The images in `folder`, which have labels.
fn labelled(folder: &Path, config: &ExamConfig) -> Result<FolderSource> {
    let (labels, label_columns) = (config.labels, config.label_columns.clone());
    let source = FolderSource::open_with(folder, &SourceConfig { labels, label_columns, ..SourceConfig::default() })?;
    if source.labels.is_none() {
        let expected = "a folder with labels.csv, or --labels folders where each is a class";
        return Err(Error::mismatch(folder.display(), expected, "images alone"));
    }
    Ok(source)
}
