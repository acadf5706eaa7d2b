//! A model as its files describe it.

use super::checkpoint::{Checkpoint, Shapes};
use super::files::{self, Files, Format};
use super::hub::Download;
use super::layout::Layout;
use super::preprocess::{Backend, Orientation};
use super::source::Source;
use super::tokenizer::{self, Tokenizer};
use super::{ModelConfig, Preprocessing, Towers, Transform, VisionPooling};
use crate::engine::Precision;
use crate::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A model with everything that stands before its towers.
pub struct Model {
    /// Shapes.
    pub config: ModelConfig,
    /// Weights.
    pub towers: Towers<f32>,
    /// From pictures to pixels.
    pub preprocessing: Preprocessing,
    /// From texts to token ids, where the model has texts and its files a tokenizer.
    pub tokenizer: Option<Tokenizer>,
    /// Its name in reports: that of its folder, or `owner/name@commit`.
    pub name: String,
    /// Where its configuration was read.
    pub folder: PathBuf,
    /// BLAKE3 of the weights that were read, as [`Checkpoint::hash`](super::checkpoint::Checkpoint::hash) says.
    pub weights_hash: String,
    /// BLAKE3 of its configuration's file, in hexadecimal.
    pub config_hash: String,
    /// Number of weights.
    pub parameters: usize,
    /// What was done to the weights.
    pub transforms: Vec<Transform>,
    /// What products are made in.
    pub precision: Precision,
}

/// How to load a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadConfig {
    /// What to do to its weights.
    pub transforms: Vec<Transform>,
    /// Another preprocessing than the model's own: `study`, or a `preprocessor_config.json`.
    pub preprocessing: Option<String>,
    /// Whose arithmetic pictures go through, where it isn't what the preprocessing itself has: Pillow's.
    pub backend: Option<Backend>,
    /// What is done with pictures that are not stored upright.
    pub orientation: Orientation,
    /// What products are made in.
    pub precision: Precision,
}

impl LoadConfig {
    /// The model as its files have it, in f32; pictures upright, through Pillow's arithmetic.
    pub fn plain() -> Self {
        Self {
            transforms: Vec::new(),
            preprocessing: None,
            backend: None,
            orientation: Orientation::Honour,
            precision: Precision::F32,
        }
    }
}

impl Model {
    /// Reads a model by what a user calls it: a folder, a `.safetensors` file in the folder of its configuration, or `owner/name` or
    /// `owner/name@revision` on the Hub, whose files are fetched where they are not in its cache. What is a path here is taken for
    /// one.
    pub fn open(model: &str, config: &LoadConfig, progress: &dyn Download) -> Result<Self> {
        Source::find(model)?.with(progress, |files, weights, name| Self::of_files(files, weights, name, config))
    }

    /// Reads a model from a folder, or from the folder of a `.safetensors` file.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with(path, &LoadConfig::plain())
    }

    /// Reads a model from a folder, or from the folder of a `.safetensors` file, as `config` says.
    pub fn load_with(path: &Path, config: &LoadConfig) -> Result<Self> {
        Source::of_path(path)?.with(&(), |files, weights, name| Self::of_files(files, weights, name, config))
    }

    /// Reads a model's files; `weights` names the file of its weights where it isn't the usual one.
    pub fn of_files(files: &dyn Files, weights: Option<&str>, name: String, with: &LoadConfig) -> Result<Self> {
        let description = Description::read(files, weights)?;
        let Description { mut config, format, projects, path, bytes } = description;
        let preprocessing = preprocessing(files, format, (&path, &bytes), &mut config, with)?;
        let tokenizer = Tokenizer::load(files, &config)?;
        let mut checkpoint = open_weights(files, format, weights, (&mut config, projects))?;
        let mut transforms = with.transforms.clone();
        transforms.sort_unstable();
        transforms.dedup();
        let towers = Towers::packed(&config, &mut checkpoint, &transforms, with.precision)?;
        let (weights_hash, parameters) = (checkpoint.hash(), checkpoint.taken());
        checkpoint.finish()?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let config_hash = blake3::hash(&bytes).to_hex().to_string();
        Ok(Self {
            config,
            towers,
            preprocessing,
            tokenizer,
            name,
            folder,
            weights_hash,
            config_hash,
            parameters,
            transforms,
            precision: with.precision,
        })
    }

    /// The tokenizer, or an error that says that there is none.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.config.text()?;
        self.tokenizer.as_ref().ok_or_else(|| tokenizer::missing(&self.config, &self.folder))
    }
}

impl ModelConfig {
    /// What a model is made of, without reading its weights: their names and shapes are checked. `model` is as [`Model::open`] takes it.
    pub fn open(model: &str, progress: &dyn Download) -> Result<Self> {
        Source::find(model)?.with(progress, |files, weights, _| {
            let Description { mut config, format, projects, path, bytes } = Description::read(files, weights)?;
            preprocessing(files, format, (&path, &bytes), &mut config, &LoadConfig::plain())?;
            let checkpoint = open_weights(files, format, weights, (&mut config, projects))?;
            Towers::new(&config, &mut Shapes(&checkpoint))?;
            Ok(config)
        })
    }
}

/// A model's configuration, and the file it was read from.
struct Description {
    config: ModelConfig,
    format: Format,
    /// Whether it was saved from a class that ends with a projection.
    projects: bool,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Description {
    fn read(files: &dyn Files, weights: Option<&str>) -> Result<Self> {
        let format = Format::of(files, weights)?;
        let missing = || files.missing(format.config());
        let (path, bytes) = files::read(files, format.config())?.ok_or_else(missing)?;
        let (json, place) = (files::json(&path, &bytes)?, path.display().to_string());
        let config = match format {
            Format::Transformers => ModelConfig::parse(&json, &place)?,
            Format::OpenClip => ModelConfig::parse_open_clip(&json, &place)?,
        };
        let class = json.pointer("/architectures/0").and_then(Value::as_str);
        let projects = class.is_some_and(|class| class.ends_with("WithProjection"));
        Ok(Self { config, format, projects, path, bytes })
    }
}

/// Opens the weights, and takes from them what no configuration says: what follows a tower that stands by itself.
fn open_weights(
    files: &dyn Files,
    format: Format,
    named: Option<&str>,
    (config, projects): (&mut ModelConfig, bool),
) -> Result<Checkpoint> {
    let checkpoint = files::weights(files, format, named, config)?;
    if config.text.is_none() && !projects && !checkpoint.has("visual_projection.weight") {
        config.vision.projection = None;
    }
    let inside = config.layout == Layout::Transformers { inside: true };
    let attends = config.vision.pooling == Some(VisionPooling::Attention);
    if inside && attends && !checkpoint.has("vision_model.head.probe") {
        config.vision.pooling = None;
    }
    Ok(checkpoint)
}

/// What the files say of preprocessing, or what was asked for instead; the tower takes pictures of the size that results.
fn preprocessing(
    files: &dyn Files,
    format: Format,
    (path, bytes): (&Path, &[u8]),
    config: &mut ModelConfig,
    with: &LoadConfig,
) -> Result<Preprocessing> {
    let (preprocessing, place) = match (&with.preprocessing, format) {
        (Some(asked), _) if Path::new(asked).extension().is_some_and(|ending| ending == "json") => {
            let here = Path::new("");
            let (path, bytes) = files::read(&here, asked)?.ok_or_else(|| here.missing(asked))?;
            let own = Preprocessing::parse(&files::json(&path, &bytes)?, asked)?;
            (Preprocessing { source: asked.clone(), ..own }, asked.clone())
        }
        (Some(asked), _) => (Preprocessing::named(asked, config.vision.image)?, format!("preprocessing `{asked}`")),
        (None, Format::OpenClip) => {
            let place = path.display().to_string();
            (Preprocessing::parse_open_clip(&files::json(path, bytes)?, &place)?, place)
        }
        (None, Format::Transformers) => {
            let (path, json) = files::processor(files)?;
            let place = path.display().to_string();
            (Preprocessing::parse(&json, &place)?, place)
        }
    };
    config.vision.resize(preprocessing.image, &place)?;
    let preprocessing = Preprocessing { orientation: with.orientation, ..preprocessing };
    match with.backend {
        Some(backend) => preprocessing.with_backend(backend).map_err(|source| Error::malformed(&place, source)),
        None => Ok(preprocessing),
    }
}
