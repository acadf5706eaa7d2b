//! One sitting: planned, asked, measured, illustrated, written.

use super::answers::write_answers;
use super::config::ExamConfig;
use super::examinee::Examinee;
use super::partial::{Begun, Partial};
use super::pictures::Pictures;
use super::question::{Asked, Question};
use super::questions::Recognition;
use super::remembered::Remembered;
use super::sitting::Sitting;
use super::training::{Training, default_world};
use super::verdict::{diagnose, unasked_bindings};
use super::{findings, wording};
use crate::engine::Level;
use crate::intervene::trace::{picture, write_trace};
use crate::intervene::{Cost, write_cause};
use crate::progress::{Progress, Stages};
use crate::record::{FolderSource, ModelRecord, SourceConfig};
use crate::report::verdict::Verdict;
use crate::report::{QuestionCard, Report, write_html};
use crate::scene::caption::TEMPLATES;
use crate::scene::{Canvas, World};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Examines `examinee`, called `name`, into the new folder `out`: `report.json`, `report.html`, `answers.parquet`, and of a model `scenes/` (unless images
/// are given) and `run/` with the recording and its tables.
///
/// It is shown the world that the configuration names, or where that names none its [`default_world`]. Where training is known it is asked in those templates; and, in a world with the same words,
/// told apart on combinations it has seen and those held out. Templates that it has no room or no words for are left out.
///
/// # Errors
/// When it reads no template, a question cannot be asked or the images are refused; [`Error::Exists`] if `out` is there, and as
/// [`ExamConfig::unfinished`] says when an unfinished exam stands beside it, none does, or one of another plan; [`Error::Interrupted`].
pub fn examine(
    examinee: &dyn Examinee,
    name: &str,
    training: Option<&Training>,
    config: &ExamConfig,
    out: &Path,
    stages: &dyn Stages,
) -> Result<Report> {
    let plan = Plan::new(examinee, training, config)?;
    let work = match Partial::begin(out, || plan.identity(name), config.unfinished)? {
        Begun::Done => return Report::read(&out.join("report.json")),
        Begun::Open(work) => work,
    };
    match plan.hold(name, &work, stages) {
        Ok(report) => work.publish().map(|()| report),
        Err(error) => Err(work.abandon(error)),
    }
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
    let (_, verdict) = Plan::new(examinee, training, config)?.ask(None, stages)?;
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
        let world = config.world.clone().unwrap_or_else(|| default_world(training));
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

    /// All that the numbers of the exam depend on; `name` is said in them.
    fn identity(&self, name: &str) -> Result<Value> {
        let ExamConfig {
            seed,
            world: _,
            images: _,
            labels,
            label_columns,
            scenes,
            twins,
            repeats,
            sites,
            tokens,
            confidence,
            controls,
            verdict,
            questions,
            units,
            cause,
            map,
            cache: _,
            unfinished: _,
        } = self.config;
        let given = self.given.as_ref().map(hashes).transpose()?;
        let model = self.examinee.model();
        let seen = self.training.map(|training| (training.card(), &training.templates));
        Ok(json!({
            "schema": 1,
            "snellen": env!("CARGO_PKG_VERSION"),
            "engine": format!("cpu {}", Level::current()),
            "name": name,
            "model": model.map(|model| ModelRecord::of(model, Vec::new())),
            "dtype": model.map(|model| model.precision.to_string()),
            "preprocessing": model.map(|model| &model.preprocessing),
            "training": seen,
            "world": self.world,
            "templates": self.templates,
            "images": given,
            "labels": labels.to_string(),
            "label_columns": label_columns,
            "seed": seed,
            "scenes": scenes,
            "twins": twins,
            "repeats": repeats,
            "sites": sites,
            "tokens": tokens.to_string(),
            "confidence": confidence,
            "controls": controls,
            "verdict": verdict,
            "questions": questions.iter().map(|question| question.id()).collect::<Vec<_>>(),
            "units": units,
            "cause": cause,
            "map": map,
        }))
    }

    /// Holds it in the folder of `work`.
    fn hold(&self, name: &str, work: &Partial, stages: &dyn Stages) -> Result<Report> {
        let (at, config) = (work.path(), self.config);
        let (asked, verdict) = self.ask(Some(work), stages)?;
        let model = self.examinee.model().filter(|_| config.units);
        let measured = model.map(|model| self.measure(model, work, stages)).transpose()?;
        // Of bindings that can't be asked about there is no margin that an edit could move.
        let unbound = verdict.as_ref().and_then(unasked_bindings);
        let cause = measured.as_ref().map(|measured| match (unbound, config.cause) {
            (Some(why), Some(config)) => Ok(Some(Cost::not_asked(why, config, Vec::new()))),
            _ => work.part("cause", || self.cause(measured, &at, stages)),
        });
        let cause = cause.transpose()?.flatten();
        let mapped = measured.as_ref().filter(|_| unbound.is_none());
        let maps = mapped.map(|measured| self.map(measured.model, stages)).transpose()?.flatten();
        let stage = stages.begin("report");
        let (mut report, mut gallery) = self.illustrate(name, &asked, measured)?;
        if let Some(verdict) = &verdict {
            report.findings.insert(0, verdict.sentence.clone());
        }
        report.findings.extend(verdict.is_none().then(|| self.verdict_left_out()).flatten().map(str::to_owned));
        report.verdict = verdict;
        if report.units.is_some() {
            report.findings.push(findings::of_cause(cause.as_ref()));
        }
        if let Some(cause) = &cause {
            write_cause(&at.join("cause.parquet"), &cause.effects)?;
        }
        report.cause = cause;
        if let Some(maps) = &maps {
            write_trace(&at.join("trace.parquet"), maps)?;
            // A page says by itself what its drawings are.
            gallery.map = Some(picture(maps).replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1));
        }
        report.write_json(&at)?;
        let ids = config.questions.iter().map(|question| question.id());
        let rows: Vec<_> = ids.zip(&asked).map(|(id, (asked, _))| (id, asked)).collect();
        write_answers(&at.join("answers.parquet"), &rows)?;
        write_html(&at, &report, &gallery)?;
        drop(stage);
        Ok(report)
    }

    pub(super) fn canvas(&self) -> Canvas {
        Canvas::plain(self.examinee.side(), self.examinee.side())
    }

    fn sitting<'b>(&'b self, remembered: &'b Remembered, progress: &'b dyn Progress) -> Sitting<'b> {
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
            remembered,
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

    fn ask(&self, work: Option<&Partial>, stages: &dyn Stages) -> Result<(Answered, Option<Verdict>)> {
        let (mut answered, remembered) = (Answered::new(), Remembered::new(self.config.seed));
        for question in &self.config.questions {
            let why = self.left_out(*question);
            let progress: Box<dyn Progress + '_> =
                if why.is_some() { Box::new(()) } else { stages.begin(question.title()) };
            let sitting = self.sitting(&remembered, progress.as_ref());
            let asked = match (why, work) {
                (Some(why), _) => Asked::left_out(why),
                (None, Some(work)) => work.part(&format!("question-{}", question.id()), || question.ask(&sitting))?,
                (None, None) => question.ask(&sitting)?,
            };
            let card = asked.card(*question, &sitting)?;
            answered.push((asked, card));
        }
        self.anything(&answered)?;
        let Some(shows) = self.config.verdict.filter(|_| self.verdict_left_out().is_none()) else {
            return Ok((answered, None));
        };
        let progress = stages.begin("reading both sides");
        let sitting = self.sitting(&remembered, progress.as_ref());
        let recognition = answered.iter().find(|(_, card)| card.id == Recognition.id()).map(|(asked, _)| asked);
        let diagnosed = || match recognition {
            Some(recognition) => diagnose(&sitting, recognition, shows),
            None => diagnose(&sitting, &Recognition.ask(&sitting)?, shows),
        };
        let verdict = match work {
            Some(work) => work.part("verdict", diagnosed)?,
            None => diagnosed()?,
        };
        Ok((answered, Some(verdict)))
    }
}

/// How many images there are, and hashes of their names, their files and captions, and their labels.
fn hashes(source: &FolderSource) -> Result<Value> {
    let (mut names, mut files) = (blake3::Hasher::new(), blake3::Hasher::new());
    let mut add = |path: &Path| -> Result<()> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        files.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
        Ok(())
    };
    for (row, name) in source.filenames.iter().enumerate() {
        names.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        add(&source.path(row))?;
    }
    let captions = ["captions.csv", "metadata.csv"].map(|name| source.folder.join(name));
    let others = captions.iter().filter(|path| path.is_file()).chain(source.masks.iter().flatten());
    others.map(PathBuf::as_path).try_for_each(&mut add)?;
    Ok(json!({
        "count": source.filenames.len(),
        "names_hash": names.finalize().to_hex().to_string(),
        "files_hash": files.finalize().to_hex().to_string(),
        "labels_hash": source.labels.as_ref().map(|labels| blake3::hash(&labels.bytes).to_hex().to_string()),
    }))
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
