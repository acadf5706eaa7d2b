//! From a model to the study's numbers: pictures, activations, units, and the exam on the same pictures.

use super::assemble::assemble;
use super::checks::{Check, FromModel};
use super::embeddings::Embeddings;
use super::feature::{FEATURES, Truth, pairs};
use super::measured::{Measured, PairSum, UnitRow};
use super::published::{self, PublishedObject};
use super::result::{Study, StudyConfig};
use super::units::{Entropies, Sums, UnitProfile, entropies, low_entropy, profiles, sums};
use crate::exam::{ExamConfig, Training, examine};
use crate::measure::Matrix;
use crate::model::preprocess::STUDY;
use crate::model::{BlockPoint, LoadConfig, Model, Point, Site, Transform};
use crate::progress::Stages;
use crate::record::{ActivationStore, ArrayId, FolderSource, RecordConfig, TokenPolicy, Unfinished, record};
use crate::report::Picture;
use crate::scene::folder::write_named_folder;
use crate::scene::{Canvas, Object, Scene, World};
use crate::units::unit_maps;
use crate::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Low-entropy units that are shown with maps.
const SHOWN: usize = 6;
/// Top images of each.
const IMAGES_SHOWN: usize = 8;

/// A low-entropy unit with its top images, each under its map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitPictures {
    /// The study's name of the unit.
    pub name: String,
    /// Its top images.
    pub pictures: Vec<Picture>,
}

/// Does the study on the model that `load` loads, on `images` (a folder with labels.csv; the study's own pictures, drawn anew, where
/// there is none), in the existing folder `out`: `scenes/` where they are drawn, `run/` with the study's activations, and `exam/` on
/// the model as it is.
///
/// `load` is called twice: once for the weights as the study changed them and its preprocessing, once for the model's own, of which
/// `training` says what is known.
///
/// # Errors
/// Refuses what recording and the exam refuse, and images that do not show the study's features.
pub fn from_model(
    load: &dyn Fn(&LoadConfig) -> Result<Model>,
    training: &dyn Fn(&Model) -> Result<Option<Training>>,
    images: Option<&Path>,
    with: StudyConfig,
    out: &Path,
    stages: &dyn Stages,
) -> Result<(Study, Vec<UnitPictures>)> {
    let folder = match images {
        Some(folder) => folder.to_owned(),
        None => draw(out, stages)?,
    };
    let source = FolderSource::open(&folder)?;
    let labels = source.labels.clone();
    let labels = labels.ok_or_else(|| Error::mismatch(folder.display(), "a folder with labels.csv", "images alone"))?;
    let truth = Truth::of(&labels.table, &labels.place)?;
    let transforms = Transform::ALL.to_vec();
    let changed = LoadConfig { transforms, preprocessing: Some(STUDY.to_owned()), ..LoadConfig::plain() };
    let model = load(&changed)?;
    let run = out.join("run");
    let recording = RecordConfig {
        sites: vec!["blocks.*.hook_mlp_out".to_owned(), "image_embeds".to_owned()],
        policies: vec![TokenPolicy::MeanAll, TokenPolicy::MaxAll],
        batch: 8,
        seed: with.seed,
        part: None,
        unfinished: Unfinished::Discard,
        skip_bad: false,
        edits: Vec::new(),
        bases: Vec::new(),
    };
    let stage = stages.begin("recording activations");
    record(&model, &source, &recording, &run, stage.as_ref())?;
    drop(stage);

    let stage = stages.begin("units");
    let activations = Activations::open(&run, model.config.vision.tower.layers)?;
    let found = activations.units(&truth)?;
    let low = low_entropy(&found, activations.layers);
    let of_low = sums(low.iter().map(|i| &found[*i].profile));
    let summary = entropies(&found, activations.layers);
    let checks = activations.checks(&source, &found, (&summary, &of_low))?;
    let shown = low.iter().take(SHOWN).map(|i| pictures(&model, &source, &found[*i]));
    let shown = shown.collect::<Result<Vec<_>>>()?;
    drop(stage);
    let mut measured = Measured {
        model: model.name.clone(),
        weights_hash: model.weights_hash.clone(),
        transforms: model.transforms.clone(),
        layers: activations.layers,
        units_per_layer: activations.width,
        entropies: summary,
        units: rows(&found, &low, activations.width)?,
        pairs: pair_sums(&of_low),
        exam: None,
    };
    let embeddings = activations.embeddings()?;
    // One model at a time in memory.
    drop(model);
    let own = load(&LoadConfig::plain())?;
    if own.tokenizer().is_ok() {
        let mut exam =
            ExamConfig { controls: 0, verdict: None, cause: None, map: None, ..ExamConfig::standard(with.seed)? };
        exam.images = Some(folder);
        let training = training(&own)?;
        let report = examine(&own, &own.name, training.as_ref(), &exam, &out.join("exam"), stages)?;
        measured.exam = Some(report.into());
    }
    Ok((assemble(&embeddings, &truth, Some((measured, checks)), with)?, shown))
}

/// The study's 500 pictures in `out/scenes`, under the study's names.
fn draw(out: &Path, stages: &dyn Stages) -> Result<PathBuf> {
    let _stage = stages.begin("drawing the study's pictures");
    let world = World::study();
    let folder = out.join("scenes");
    let scenes = study_scenes(&world)?;
    let names: Vec<String> = (0..scenes.len()).map(published::filename).collect();
    write_named_folder(&folder, &world, &scenes, &Canvas::study(), &names)?;
    Ok(folder)
}

/// The study's 500 scenes, in its order; `world` is [`World::study`].
///
/// # Errors
/// Never, unless the tables in this program are broken.
pub fn study_scenes(world: &World) -> Result<Vec<Scene>> {
    let broken = || Error::mismatch("the study's scenes", "features of its world", "others");
    let object = |features: &PublishedObject| {
        let value = |(f, feature): (usize, &usize)| world.value(f, FEATURES[*feature].name);
        let values: Vec<u32> = features.iter().enumerate().map(value).collect::<Option<_>>().ok_or_else(broken)?;
        let place = world.places().map(|f| values[f]).ok_or_else(broken)?;
        let [x, y] = world.place(place);
        Ok(Object { values, x, y, size: world.size[0] })
    };
    let scene =
        |objects: &Vec<PublishedObject>| Ok(Scene::from(objects.iter().map(object).collect::<Result<Vec<_>>>()?));
    published::scenes()?.iter().map(scene).collect()
}

/// The study's units of a layer.
fn mlp_out(layer: usize) -> Site {
    Site::vision(Point::Block(layer, BlockPoint::MlpOut))
}

/// What was recorded.
struct Activations {
    store: ActivationStore,
    layers: usize,
    width: usize,
}

impl Activations {
    fn open(run: &Path, layers: usize) -> Result<Self> {
        let store = ActivationStore::open(&run.join(crate::record::ACTIVATIONS))?;
        let width = store.arrays().iter().find(|array| array.id.policy == TokenPolicy::MeanAll);
        let width = width.and_then(|array| array.shape.last().copied()).unwrap_or(0);
        Ok(Self { store, layers, width })
    }

    /// `[image, unit]` of a layer.
    fn layer(&self, layer: usize, policy: TokenPolicy) -> Result<Matrix> {
        let (shape, values) = self.store.read(&ArrayId::new(mlp_out(layer), policy))?;
        Matrix::new(shape[0], self.width, values)
    }

    /// Every unit, layer after layer.
    fn units(&self, truth: &Truth) -> Result<Vec<UnitProfile>> {
        let mut units = Vec::new();
        for layer in 0..self.layers {
            units.extend(profiles(layer, &self.layer(layer, TokenPolicy::MeanAll)?, truth));
        }
        Ok(units)
    }

    fn embeddings(&self) -> Result<Embeddings> {
        let (shape, values) = self.store.read(&ArrayId::new(Site::vision(Point::Embeds), TokenPolicy::Pooled))?;
        Embeddings::new(shape[1], values.into_iter().map(f64::from).collect(), "image_embeds")
    }

    /// Ours beside the printed; pictures are known by the study's names of them.
    fn checks(
        &self,
        source: &FolderSource,
        units: &[UnitProfile],
        (entropies, sums): (&Entropies, &Sums),
    ) -> Result<Vec<Check>> {
        let named = source.filenames.iter().enumerate();
        let rows: BTreeMap<&str, usize> =
            named.map(|(row, name)| (name.rsplit('/').next().unwrap_or(name), row)).collect();
        let row = |image: usize| rows.get(published::filename(image).as_str()).copied();
        let printed: std::collections::BTreeSet<usize> =
            published::activations()?.iter().map(|a| a.unit[0]).filter(|layer| *layer < self.layers).collect();
        let mut layers = BTreeMap::new();
        for layer in printed {
            let both = [TokenPolicy::MeanAll, TokenPolicy::MaxAll].map(|policy| self.layer(layer, policy));
            let [mean, max] = both;
            layers.insert(layer, [mean?, max?]);
        }
        let activation = |[layer, unit]: [usize; 2], image: usize| {
            let (row, both) = (row(image)?, layers.get(&layer)?);
            (unit < self.width).then(|| both.each_ref().map(|matrix| f64::from(matrix.row(row)[unit])))
        };
        let ours = FromModel { units, width: self.width, entropies, sums, activation: &activation, row: &row };
        ours.checks(&published::pairs()?)
    }
}

/// The units of the low-entropy set, then those that were printed and are not in it.
fn rows(units: &[UnitProfile], low: &[usize], width: usize) -> Result<Vec<UnitRow>> {
    let printed = published::units()?.into_iter().filter(|p| p.unit[1] < width);
    let printed = printed.map(|p| p.unit[0] * width + p.unit[1]).filter(|i| *i < units.len() && !low.contains(i));
    let row = |(i, rank): (usize, Option<usize>)| {
        let UnitProfile { layer, unit, top, profile } = &units[i];
        UnitRow {
            layer: *layer,
            unit: *unit,
            rank,
            objects: profile.objects,
            frequencies: FEATURES.iter().zip(profile.frequencies).map(|(f, share)| (f.name, share)).collect(),
            entropy: profile.entropy,
            top_images: top.clone(),
        }
    };
    let ranked = low.iter().enumerate().map(|(rank, i)| (*i, Some(rank + 1)));
    Ok(ranked.chain(printed.map(|i| (i, None))).map(row).collect())
}

fn pair_sums(sums: &Sums) -> Vec<PairSum> {
    let pair = |(place, [a, b]): (usize, [usize; 2])| PairSum {
        concept_a: FEATURES[a].name,
        concept_b: FEATURES[b].name,
        neuron_count: sums.units[place],
        sum_ratios: sums.sums[place],
    };
    pairs().enumerate().map(pair).collect()
}

fn pictures(model: &Model, source: &FolderSource, unit: &UnitProfile) -> Result<UnitPictures> {
    let paths: Vec<PathBuf> = unit.top.iter().take(IMAGES_SHOWN).map(|row| source.path(*row)).collect();
    let site = mlp_out(unit.layer);
    let name = super::checks::unit_name([unit.layer, unit.unit]);
    Ok(UnitPictures { name, pictures: unit_maps(model, &paths, site, unit.unit, false)? })
}
