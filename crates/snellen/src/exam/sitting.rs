//! One sitting of the exam: scenes, record, measure, report, each stage through the run folder.

use super::composition::composition;
use super::confusions::confusions;
use super::recognition::recognition;
use super::stop::Stop;
use super::{findings, spatial, summary, units, wording};
use crate::lab::Origin;
use crate::measure::Confidence;
use crate::measure::encodes::Criterion;
use crate::model::Model;
use crate::output::StagedDir;
use crate::record::{FolderSource, LabelsFrom, Progress, RecordConfig, SourceConfig, TokenPolicy, Unfinished, record};
use crate::report::{Gallery, Picture, Report, SceneSet, write_html};
use crate::scene::caption::{TEMPLATES, Wording, caption};
use crate::scene::folder::write_folder;
use crate::scene::generate::swap_twins;
use crate::scene::{Canvas, Pairs, Scene, World, generate, render};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// How an exam is held.
#[derive(Clone, Debug, PartialEq)]
pub struct ExamConfig {
    /// Of scenes, halves and nulls.
    pub seed: u64,
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
}

impl ExamConfig {
    /// What `snellen exam` does unless it is told otherwise.
    pub fn standard(seed: u64) -> Result<Self> {
        Ok(Self {
            seed,
            images: None,
            labels: LabelsFrom::File,
            scenes: 1000,
            twins: 300,
            repeats: 2,
            sites: vec!["blocks.*.mlp.hook_post".to_owned(), "image_embeds".to_owned()],
            tokens: TokenPolicy::Mean,
            confidence: Confidence::new(0.95)?,
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

/// Examines `model` into the new folder `out`: `scenes/` (unless images are given), `run/` with the recording and
/// `unit_concepts.parquet`, `report.json`, `report.html`.
///
/// A model of the lab is shown its own world and asked in its own templates, and is told apart on combinations it has seen and
/// those held out; any other is shown the study's toy world. Templates that the text tower has no room or no words for are left out.
pub fn examine(model: &Model, name: &str, config: &ExamConfig, out: &Path, stages: &dyn Stages) -> Result<Report> {
    // What was given is looked at before anything is computed.
    let origin = Origin::read(&model.folder)?;
    let given = config.images.as_deref().map(|folder| labelled(folder, config.labels)).transpose()?;
    let seen = origin.as_ref().map(|o| o.recipe.seen(o.seed)).transpose()?;
    let world = origin.as_ref().map_or_else(World::toy, |o| o.recipe.world.clone());
    let templates: Vec<&str> = match &origin {
        Some(origin) => origin.recipe.scenes.templates.iter().map(String::as_str).collect(),
        None => TEMPLATES.to_vec(),
    };
    let templates = wording::readable(model.tokenizer()?, &world, &templates)?;
    let staged = StagedDir::begin(out)?;
    let side = model.config.vision.image as u32;
    let canvas = Canvas::plain(side, side);
    let all = Pairs::all(&world);

    let stage = stages.begin("single objects");
    let single = recognition(model, &world, &templates, (config.repeats, config.seed), &mut Stop(stage.as_ref()))?;
    drop(stage);
    let stage = stages.begin("swap twins");
    // Seen combinations only, so that a failure is one of binding and not of unseen combinations.
    let known = seen.as_ref().unwrap_or(&all);
    let twins = (config.twins, config.seed);
    let mut stop = Stop(stage.as_ref());
    let double = composition(model, &world, (known, known), &templates, twins, &mut stop)?;
    let held_out = seen.as_ref().map(Pairs::complement).filter(|pairs| !pairs.as_slice().is_empty());
    // Where too few combinations were held out to make twins of, nothing is said of them.
    let swappable = held_out.as_ref().filter(|pairs| swap_twins(&world, pairs, &all, 1, config.seed).is_ok());
    let unseen = swappable.map(|pairs| composition(model, &world, (pairs, &all), &templates, twins, &mut stop));
    let unseen = unseen.transpose()?;
    drop(stage);

    let (source, toys) = if let Some(source) = given {
        (source, None)
    } else {
        let stage = stages.begin("drawing scenes");
        let most = world.shapes.len().min(world.colors.len()).min(world.positions.len());
        let toys = generate::toy(&world, &all, 1..=most, config.scenes, config.seed)?;
        let folder = staged.path().join("scenes");
        write_folder(&folder, &world, &toys, &canvas)?;
        drop(stage);
        (FolderSource::open(&folder)?, Some(toys))
    };
    let run = staged.path().join("run");
    let recording = RecordConfig {
        sites: config.sites.clone(),
        policies: vec![config.tokens],
        batch: 32,
        seed: config.seed,
        part: None,
        unfinished: Unfinished::Discard,
        skip_bad: false,
    };
    let stage = stages.begin("recording activations");
    record(model, &source, &recording, &run, stage.as_ref())?;
    drop(stage);
    let criterion = Criterion { q: 0.05, min_effect: 0.3, confidence: config.confidence, seed: config.seed };
    let stage = stages.begin("measuring units");
    let (measured, pairs) = units::measure(&run, None, &criterion, stage.as_ref())?;
    let mut measured = measured.units;
    // What answers are made of is the embedding alone.
    let embedding = pairs.iter().find(|of| of.site.starts_with("image_embeds"));
    let embedding = embedding.and_then(|of| Some((of.site.as_str(), of.geometry.as_ref()?)));
    let confused = embedding.map(|of| confusions(&single, &world, of, &measured.concepts, config.seed));
    spatial::check(model, &source, &mut measured.strongest)?;
    drop(stage);

    let stage = stages.begin("report");
    let scene_sets = |toys: Option<&[Scene]>| -> Result<(Vec<SceneSet>, Vec<Vec<Picture>>)> {
        let twins: Vec<Scene> = double.twins.iter().flat_map(|t| [t.scene.clone(), t.twin.clone()]).collect();
        let mut sets = vec![("single objects", "recognition, by attribute and by combination", &single.scenes[..])];
        sets.push(("swap twins", "binding: the two captions hold the same words", &twins[..]));
        if let Some(toys) = toys {
            sets.push(("toy scenes", "unit measures: one to five objects, no value twice", toys));
        }
        let mut described = Vec::new();
        let mut pictures = Vec::new();
        for (name, purpose, scenes) in sets {
            described.push(SceneSet { name: name.to_owned(), purpose: purpose.to_owned(), images: scenes.len() });
            pictures.push(examples(scenes, name == "swap twins", &world, &canvas)?);
        }
        Ok((described, pictures))
    };
    let (mut scenes, scene_pictures) = scene_sets(toys.as_deref())?;
    if toys.is_none() {
        let purpose = "unit measures: the images that were given".to_owned();
        scenes.push(SceneSet { name: "images".to_owned(), purpose, images: source.filenames.len() });
    }
    let mut report = Report {
        schema: crate::report::SCHEMA,
        snellen: env!("CARGO_PKG_VERSION").to_owned(),
        seed: config.seed,
        confidence: config.confidence,
        model: summary::model(model, name, origin.as_ref(), held_out.as_ref(), &world)?,
        scenes,
        templates: templates.iter().map(ToString::to_string).collect(),
        recognition: summary::recognition(&single, &world, seen.as_ref(), config.confidence)?,
        composition: summary::composition(&double, unseen.as_ref(), config)?,
        units: measured,
        confusions: confused.unwrap_or_default(),
        findings: Vec::new(),
    };
    report.findings = findings::findings(&report);
    let [units, classes] = units::pictures(model, &source, &report.units)?;
    let gallery = Gallery { scenes: scene_pictures, units, classes };
    report.write_json(staged.path())?;
    write_html(staged.path(), &report, &gallery)?;
    drop(stage);
    staged.publish()?;
    Ok(report)
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

/// Some of `scenes`, evenly spread; neighbours side by side where they are `twins`.
fn examples(scenes: &[Scene], twins: bool, world: &World, canvas: &Canvas) -> Result<Vec<Picture>> {
    let (n, shown) = (scenes.len(), EXAMPLES.min(scenes.len()));
    let at = |i: usize| if twins { i / 2 * 2 * (n / shown) + i % 2 } else { (i * n / shown + i) % n };
    (0..shown)
        .map(|i| {
            let scene = &scenes[at(i)];
            let said = caption(scene, world, &Wording::plain(scene.objects.len()));
            Picture::new(&render(scene, world, canvas), said, None)
        })
        .collect()
}
