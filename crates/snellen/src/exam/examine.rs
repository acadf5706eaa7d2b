//! The exam as a whole: plan, ask, measure, illustrate, write.

use super::answers::write_answers;
use super::cache::Cache;
use super::confusions::confusions;
use super::examinee::Examinee;
use super::question::{Asked, Decision, QUESTIONS, Question};
use super::questions::Recognition;
use super::sitting::Sitting;
use super::training::Training;
use super::verdict::{Shows, diagnose};
use super::{findings, spatial, wording};
use crate::intervene::{Against, Cost, CostConfig, MeasuredUnits, superposition_cost, write_cause};
use crate::measure::Confidence;
use crate::measure::encodes::Criterion;
use crate::measure::pairs_table::SitePairs;
use crate::measure::table::UnitConcepts;
use crate::model::{self, Model, Point, Site, TowerConfig, UntrainedKind};
use crate::output::StagedDir;
use crate::record::{
    FolderSource, LabelsFrom, Progress, RecordConfig, RunManifest, SourceConfig, TokenPolicy, Unfinished, record,
};
use crate::report::verdict::Verdict;
use crate::report::{Gallery, ModelCard, Picture, QuestionCard, Report, SceneSet, TowerCard, Units, write_html};
use crate::scene::caption::{TEMPLATES, Wording, caption};
use crate::scene::folder::write_folder;
use crate::scene::{Canvas, Scene, World, generate, render};
use crate::units::{self, Untrained};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How an exam is held.
#[derive(Clone, Debug, PartialEq)]
pub struct ExamConfig {
    /// Seed of scenes, halves and nulls.
    pub seed: u64,
    /// What scenes are made of; where there is none, what a model of the lab was trained on, and the study's toy world for any other.
    pub world: Option<World>,
    /// A folder of labelled images for the unit measures; generated scenes where there is none.
    pub images: Option<PathBuf>,
    /// What says what the images of that folder show.
    pub labels: LabelsFrom,
    /// Generated scenes for the unit measures.
    pub scenes: usize,
    /// Swap twins.
    pub twins: usize,
    /// How often each combination is shown at each position.
    pub repeats: usize,
    /// Sites of the unit measures, as [`record`] takes them.
    pub sites: Vec<String>,
    /// The token policy of the unit measures.
    pub tokens: TokenPolicy,
    /// Of every interval.
    pub confidence: Confidence,
    /// Untrained models of each kind, beside which the unit measures stand.
    pub controls: usize,
    /// The pictures that the verdict is made of; `None` for none.
    pub verdict: Option<Shows>,
    /// The questions, in this order.
    pub questions: Vec<&'static dyn Question>,
    /// Whether units are measured.
    pub units: bool,
    /// How it is asked whether the units that concepts share help or hinder binding; `None` for not at all.
    pub cause: Option<CostConfig>,
    /// Where the measures of untrained models are kept for the next exam; nowhere where there is none.
    pub cache: Option<Cache>,
}

impl ExamConfig {
    /// What `snellen exam --quick` does: wider intervals in a third of the time.
    pub fn quick(seed: u64) -> Result<Self> {
        let shows = Shows { single: 300, twins: 150, most: 960 };
        Ok(Self {
            scenes: 300,
            twins: 100,
            repeats: 1,
            controls: 2,
            verdict: Some(shows),
            cause: None,
            ..Self::standard(seed)?
        })
    }

    /// What `snellen exam --full` does: narrower intervals.
    pub fn full(seed: u64) -> Result<Self> {
        let shows = Shows { single: 1500, twins: 1500, most: 4800 };
        let cause = Some(CostConfig { twins: 64, draws: 400, sites: 6 });
        let verdict = Some(shows);
        Ok(Self { scenes: 2000, twins: 1000, repeats: 4, controls: 5, verdict, cause, ..Self::standard(seed)? })
    }

    /// What `snellen exam` does unless it is told otherwise.
    pub fn standard(seed: u64) -> Result<Self> {
        Ok(Self {
            seed,
            world: None,
            images: None,
            labels: LabelsFrom::File,
            scenes: 1000,
            twins: 300,
            repeats: 2,
            sites: vec!["blocks.*.mlp.hook_post".to_owned(), "image_embeds".to_owned()],
            tokens: TokenPolicy::Mean,
            confidence: Confidence::new(0.95)?,
            controls: 3,
            verdict: Some(Shows { single: 600, twins: 600, most: 3600 }),
            questions: QUESTIONS.to_vec(),
            units: true,
            cause: Some(CostConfig { twins: 24, draws: 100, sites: 4 }),
            cache: None,
        })
    }
}

/// Told which stage begins; gives who is told how far it has come.
pub trait Stages {
    /// `stage` begins.
    fn begin(&self, stage: &str) -> Box<dyn Progress + '_>;
}

impl Stages for () {
    fn begin(&self, _: &str) -> Box<dyn Progress + '_> {
        Box::new(())
    }
}

/// Pictures of each kind of scene in the report.
const EXAMPLES: usize = 8;
/// Objects in a scene for the unit measures, at most.
const MOST_OBJECTS: usize = 5;

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
    let stage = stages.begin("report");
    let (mut report, gallery) = plan.illustrate(name, &asked, measured)?;
    if let Some(verdict) = &verdict {
        report.findings.insert(0, verdict.sentence.clone());
    }
    report.verdict = verdict;
    if report.units.is_some() {
        report.findings.push(findings::of_cause(cause.as_ref()));
    }
    if let Some(cause) = &cause {
        write_cause(&staged.path().join("cause.parquet"), &cause.effects)?;
    }
    report.cause = cause;
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
struct Plan<'a> {
    examinee: &'a dyn Examinee,
    training: Option<&'a Training>,
    config: &'a ExamConfig,
    world: World,
    templates: Vec<&'a str>,
    /// Labelled images for the unit measures, where they were given.
    given: Option<FolderSource>,
}

/// What questions gave, in their order.
type Answered = Vec<(Asked, QuestionCard)>;

/// What unit measures gave.
struct Measured<'a> {
    model: &'a Model,
    units: Units,
    pairs: Vec<SitePairs>,
    source: FolderSource,
    /// The scenes, where they were generated.
    toys: Option<Vec<Scene>>,
}

impl<'a> Plan<'a> {
    fn new(examinee: &'a dyn Examinee, training: Option<&'a Training>, config: &'a ExamConfig) -> Result<Self> {
        let given = config.images.as_deref().map(|folder| labelled(folder, config.labels)).transpose()?;
        let own = || training.map_or_else(World::toy, |training| training.world.clone());
        let world = config.world.clone().unwrap_or_else(own);
        let templates: Vec<&str> = match training {
            Some(training) => training.templates.iter().map(String::as_str).collect(),
            None => TEMPLATES.to_vec(),
        };
        let templates = wording::readable(examinee, &world, &templates)?;
        Ok(Self { examinee, training, config, world, templates, given })
    }

    fn canvas(&self) -> Canvas {
        Canvas::plain(self.examinee.side(), self.examinee.side())
    }

    fn sitting<'b>(&'b self, progress: &'b dyn Progress) -> Sitting<'b> {
        Sitting {
            examinee: self.examinee,
            world: &self.world,
            templates: &self.templates,
            seen: self.training.filter(|training| training.speaks_of(&self.world)).map(|training| &training.seen),
            repeats: self.config.repeats,
            twins: self.config.twins,
            seed: self.config.seed,
            confidence: self.config.confidence,
            progress,
        }
    }

    fn ask(&self, stages: &dyn Stages) -> Result<(Answered, Option<Verdict>)> {
        let mut answered = Answered::new();
        for question in &self.config.questions {
            let progress = stages.begin(question.title());
            let sitting = self.sitting(progress.as_ref());
            let asked = question.ask(&sitting)?;
            let card = asked.card(*question, &sitting)?;
            answered.push((asked, card));
        }
        let Some(shows) = self.config.verdict else { return Ok((answered, None)) };
        let progress = stages.begin("reading both sides");
        let sitting = self.sitting(progress.as_ref());
        let recognition = answered.iter().find(|(_, card)| card.id == Recognition.id()).map(|(asked, _)| asked);
        let verdict = match recognition {
            Some(recognition) => diagnose(&sitting, recognition, shows)?,
            None => diagnose(&sitting, &Recognition.ask(&sitting)?, shows)?,
        };
        Ok((answered, Some(verdict)))
    }

    /// Records `model` in the folder `at` and measures its units there.
    fn measure(&self, model: &'a Model, at: &Path, stages: &dyn Stages) -> Result<Measured<'a>> {
        let (config, world) = (self.config, &self.world);
        let (source, toys) = if let Some(source) = &self.given {
            (source.clone(), None)
        } else {
            let _stage = stages.begin("drawing scenes");
            let world = world.repeating();
            let most = generate::most_objects(&world).min(MOST_OBJECTS);
            let toys = generate::independent(&world, most, config.scenes, config.seed)?;
            let folder = at.join("scenes");
            write_folder(&folder, &world, &toys, &self.canvas())?;
            (FolderSource::open(&folder)?, Some(toys))
        };
        let recording = RecordConfig {
            sites: config.sites.clone(),
            policies: vec![config.tokens],
            batch: 32,
            seed: config.seed,
            part: None,
            unfinished: Unfinished::Discard,
            skip_bad: false,
            edits: Vec::new(),
        };
        let criterion = Criterion { q: 0.05, min_effect: 0.3, confidence: config.confidence, seed: config.seed };
        let run = at.join("run");
        let manifest = record(model, &source, &recording, &run, stages.begin("recording activations").as_ref())?;
        let controls = self.controls(model, (&source, &manifest), &recording, &criterion, at, stages)?;
        let stage = stages.begin("measuring units");
        let (measured, pairs) = units::measure(&run, None, &controls, &criterion, stage.as_ref())?;
        let mut units = measured.units;
        units.pixels = units::pixels(&source, &model.preprocessing, &criterion)?;
        spatial::check(model, &source, &mut units.strongest)?;
        Ok(Measured { model, units, pairs, source, toys })
    }

    /// Whether the units that concepts share help or hinder binding, by what was measured of them in the folder `at`.
    fn cause(&self, model: &Model, at: &Path, stages: &dyn Stages) -> Result<Option<Cost>> {
        let Some(config) = self.config.cause else { return Ok(None) };
        let stage = stages.begin("ablating shared units");
        let tables = UnitConcepts::read(&at.join("run").join("unit_concepts.parquet"))?;
        let hidden = |name: &str| -> Option<Site> {
            let site: Site = name.split('/').next()?.parse().ok()?;
            matches!(site.point, Point::Block(..)).then_some(site)
        };
        let known = tables.sites.into_iter().filter_map(|(name, cells)| {
            let site = hidden(&name)?;
            Some((site, MeasuredUnits::new(&site.to_string(), tables.concepts.clone(), cells, Vec::new())))
        });
        let against = Against {
            draws: config.draws,
            seed: self.config.seed,
            confidence: self.config.confidence,
            progress: stage.as_ref(),
        };
        let known: Vec<_> = known.collect();
        superposition_cost(model, (&self.world, &self.templates), &known, config, against).map(Some)
    }

    /// The same of untrained models of the same shape; of their recordings nothing stays.
    fn controls(
        &self,
        model: &Model,
        (source, manifest): (&FolderSource, &RunManifest),
        recording: &RecordConfig,
        criterion: &Criterion,
        at: &Path,
        stages: &dyn Stages,
    ) -> Result<Vec<Untrained>> {
        if self.config.controls == 0 || !model.can_be_untrained() {
            return Ok(Vec::new());
        }
        let stage = stages.begin("measuring untrained models");
        let (kinds, models) = (UntrainedKind::ALL, self.config.controls);
        let mut controls = Vec::new();
        for (k, kind) in kinds.into_iter().enumerate() {
            let mut measured = Vec::new();
            for seed in 0..models {
                stage.advance(k * models + seed, kinds.len() * models);
                let of = model::Untrained { kind, seed: self.config.seed.wrapping_add(seed as u64) };
                let kept = self.config.cache.as_ref().map(|cache| cache.file(of, manifest, criterion)).transpose()?;
                if let Some(known) = kept.as_deref().and_then(Cache::get) {
                    measured.push(known);
                    continue;
                }
                let run = at.join("untrained");
                record(&model.untrained(of)?, source, recording, &run, &Watched(stage.as_ref()))?;
                let sites = units::sites(&run, criterion, &Watched(stage.as_ref()))?;
                std::fs::remove_dir_all(&run).map_err(Error::io(&run))?;
                kept.iter().for_each(|file| Cache::put(file, &sites));
                measured.push(sites);
            }
            controls.push(Untrained { name: kind.name().to_owned(), models: measured });
        }
        Ok(controls)
    }

    fn illustrate(&self, name: &str, asked: &Answered, measured: Option<Measured<'_>>) -> Result<(Report, Gallery)> {
        let mut gallery = Gallery::default();
        let mut scenes = Vec::new();
        for (asked, card) in asked {
            scenes.push(SceneSet {
                name: card.title.clone(),
                purpose: card.purpose.clone(),
                images: asked.scenes.len(),
            });
            gallery.scenes.push(self.examples(&asked.scenes, asked.group)?);
            gallery.failures.push(self.failures(asked)?);
        }
        let cards: Vec<QuestionCard> = asked.iter().map(|(_, card)| card.clone()).collect();
        let mut said = findings::of_questions(&self.config.questions, &cards);
        let (mut model, mut confused) = (None, Vec::new());
        if let Some(measured) = &measured {
            let (name, purpose) = match &measured.toys {
                Some(_) => (
                    "independent scenes",
                    "unit measures: single objects in a grid, and several whose values are drawn each by itself",
                ),
                None => ("images", "unit measures: the images that were given"),
            };
            let images = measured.source.filenames.len();
            scenes.push(SceneSet { name: name.to_owned(), purpose: purpose.to_owned(), images });
            gallery.scenes.push(self.examples(measured.toys.as_deref().unwrap_or_default(), 1)?);
            [gallery.units, gallery.classes] = units::pictures(measured.model, &measured.source, &measured.units)?;
            said.extend(findings::of_units(&measured.units));
            model = Some(model_card(measured.model)?);
            // What answers are made of is the embedding alone.
            let embedding = measured.pairs.iter().find(|of| of.site.starts_with("image_embeds"));
            if let Some((site, geometry)) = embedding.and_then(|of| Some((of.site.as_str(), of.geometry.as_ref()?))) {
                let factors = self.world.factors();
                let nearness = asked.iter().flat_map(|(asked, _)| asked.nearness.clone()).collect::<Vec<_>>();
                let concepts = &measured.units.concepts;
                confused = confusions(&nearness, &factors, (site, geometry), concepts, self.config.seed);
            }
        }
        let report = Report {
            schema: crate::report::SCHEMA,
            snellen: env!("CARGO_PKG_VERSION").to_owned(),
            seed: self.config.seed,
            confidence: self.config.confidence,
            name: name.to_owned(),
            model,
            training: self.training.map(Training::card),
            scenes,
            templates: self.templates.iter().map(ToString::to_string).collect(),
            verdict: None,
            questions: cards,
            units: measured.map(|measured| measured.units),
            confusions: confused,
            cause: None,
            findings: said,
        };
        Ok((report, gallery))
    }

    /// The wrong answers of which the examinee was surest, of different scenes.
    fn failures(&self, asked: &Asked) -> Result<Vec<Picture>> {
        let by = |wrong: &Decision| wrong.other_similarity - wrong.similarity;
        let mut wrong: Vec<&Decision> = asked.decisions.iter().filter(|decision| decision.score == 0.0).collect();
        wrong.sort_by(|a, b| by(b).total_cmp(&by(a)));
        let mut met = BTreeSet::new();
        wrong.retain(|decision| decision.scene < asked.scenes.len() && met.insert(decision.scene));
        let picture = |wrong: &&Decision| {
            let Decision { other, right, similarity, other_similarity, .. } = wrong;
            let said = format!("“{other}” {other_similarity:.3}, and not “{right}” {similarity:.3}");
            Picture::new(&render(&asked.scenes[wrong.scene], &self.world, &self.canvas()), said, None)
        };
        wrong.iter().take(EXAMPLES).map(picture).collect()
    }

    /// Some of `scenes`, evenly spread; those of a group side by side.
    fn examples(&self, scenes: &[Scene], group: usize) -> Result<Vec<Picture>> {
        let (n, shown) = (scenes.len(), EXAMPLES.min(scenes.len()));
        let at = |i: usize| {
            if group > 1 { i / group * group * (n / shown) + i % group } else { (i * n / shown + i) % n }
        };
        let picture = |scene: &Scene| {
            let said = caption(scene, &self.world, &Wording::plain(scene.objects.len()));
            Picture::new(&render(scene, &self.world, &self.canvas()), said, None)
        };
        (0..shown).map(|i| picture(&scenes[at(i)])).collect()
    }
}

/// Asks whether to stop, and says nothing of how far it has come.
struct Watched<'a>(&'a dyn Progress);

impl Progress for Watched<'_> {
    fn advance(&self, _: usize, _: usize) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

fn model_card(model: &Model) -> Result<ModelCard> {
    let text = model.config.text()?;
    let tower = |t: &TowerConfig| TowerCard { layers: t.layers, width: t.width, heads: t.heads, mlp: t.mlp };
    Ok(ModelCard {
        weights_hash: model.weights_hash.clone(),
        parameters: model.parameters,
        vision: tower(&model.config.vision.tower),
        text: tower(&text.tower),
        image: model.config.vision.image,
        patch: model.config.vision.patch,
        embedding: text.projection,
        preprocessing: model.preprocessing.clone(),
    })
}

/// The images in `folder`, which have labels.
fn labelled(folder: &Path, labels: LabelsFrom) -> Result<FolderSource> {
    let source = FolderSource::open_with(folder, &SourceConfig { labels, ..SourceConfig::default() })?;
    if source.labels.is_none() {
        let expected = "a folder with labels.csv, or --labels folders where each is a class";
        return Err(Error::mismatch(folder.display(), expected, "images alone"));
    }
    Ok(source)
}
