//! A model as its files describe it.

use super::checkpoint::{Checkpoint, Shapes};
use super::config::LeftAlone;
use super::files::{self, Files, Format};
use super::headers::Headers;
use super::layout::Layout;
use super::openai;
use super::preprocess::{Backend, Orientation};
use super::source::Source;
use super::tokenizer::{self, Tokenizer};
use super::weights::untrained::{Redrawn, Untrained};
use super::{ModelConfig, Preprocessing, Towers, Transform, VisionPooling};
use crate::engine::Precision;
use crate::progress::Stages;
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
    /// BLAKE3 of its configuration's file, or of what stands for one, in hexadecimal.
    pub config_hash: String,
    /// Number of weights.
    pub parameters: usize,
    /// What was done to the weights.
    pub transforms: Vec<Transform>,
    /// What products are made in.
    pub precision: Precision,
    /// Where it was opened and how, so that its untrained controls can be; `None` where its files have no name.
    pub(crate) opened: Option<(Opened, LoadConfig)>,
}

/// What a user called a model.
#[derive(Clone, Debug)]
pub(crate) enum Opened {
    Named(String),
    At(PathBuf),
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
    /// The folder inside the model's in which its files are, with slashes.
    pub subfolder: Option<String>,
    /// The file of the weights, or the index of several, where it isn't the usual one.
    pub weights: Option<String>,
    /// Other weights of the same shapes, which have learnt nothing.
    pub untrained: Option<Untrained>,
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
            subfolder: None,
            weights: None,
            untrained: None,
        }
    }

    fn place(&self) -> (Option<&str>, Option<&str>) {
        (self.subfolder.as_deref(), self.weights.as_deref())
    }
}

impl Model {
    /// Reads a model by what a user calls it: a folder, a file of weights in the folder of its configuration, or `owner/name` or
    /// `owner/name@revision` on the Hub, whose files are fetched where they are not in its cache. What is a path here is taken for
    /// one.
    pub fn open(model: &str, config: &LoadConfig, stages: &dyn Stages) -> Result<Self> {
        let mut opened = Source::find(model)?
            .with(config.place(), stages, |files, weights, name| Self::of_files(files, weights, name, config))?;
        opened.opened = Some((Opened::Named(model.to_owned()), config.clone()));
        Ok(opened)
    }

    /// Reads a model from a folder, or from the folder of a file of weights.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with(path, &LoadConfig::plain())
    }

    /// Reads a model from a folder, or from the folder of a file of weights, as `config` says.
    pub fn load_with(path: &Path, config: &LoadConfig) -> Result<Self> {
        let mut opened = Source::of_path(path)?
            .with(config.place(), &(), |files, weights, name| Self::of_files(files, weights, name, config))?;
        opened.opened = Some((Opened::At(path.to_owned()), config.clone()));
        Ok(opened)
    }

    /// The same model untrained: its files are read again, and its weights made as `of` says.
    ///
    /// # Errors
    /// When it was not opened by name or path, or its files are no longer there.
    pub fn untrained(&self, of: Untrained) -> Result<Self> {
        let Some((opened, config)) = &self.opened else {
            return Err(Error::mismatch(&self.name, "a model that was opened by name or path", "files without a name"));
        };
        let config = LoadConfig { untrained: Some(of), ..config.clone() };
        match opened {
            Opened::Named(name) => Self::open(name, &config, &()),
            Opened::At(path) => Self::load_with(path, &config),
        }
    }

    /// Whether [`untrained`](Self::untrained) controls can be made.
    pub fn can_be_untrained(&self) -> bool {
        self.opened.is_some()
    }

    /// Reads a model's files; `weights` names the file of its weights where it isn't the usual one.
    pub fn of_files(files: &dyn Files, weights: Option<&str>, name: String, with: &LoadConfig) -> Result<Self> {
        let description = Description::read(files, weights)?;
        let Description { mut config, format, projects, path, bytes } = description;
        let preprocessing = preprocessing(files, format, (&path, &bytes), &mut config, with)?;
        let tokenizer = Tokenizer::load(files, &config)?;
        let mut checkpoint = open_weights(files, format, weights, (&mut config, projects))?;
        let tokenizer = tokenizer.filter(|_| config.text.is_some());
        let mut transforms = with.transforms.clone();
        transforms.sort_unstable();
        transforms.dedup();
        let towers = match with.untrained {
            None => Towers::packed(&config, &mut checkpoint, &transforms, with.precision),
            Some(of) => {
                let mut weights = Redrawn { own: &mut checkpoint, config: &config, of };
                Towers::packed(&config, &mut weights, &transforms, with.precision)
            }
        };
        let towers = towers.map_err(|error| explained(error, &config))?;
        let (mut name, mut weights_hash, parameters) = (name, checkpoint.hash(), checkpoint.taken());
        if let Some(of) = with.untrained {
            weights_hash = blake3::hash(format!("{weights_hash} {of}").as_bytes()).to_hex().to_string();
            name = format!("{name}, untrained ({of})");
        }
        config.left_alone.tensors = checkpoint.finish()?;
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
            opened: None,
        })
    }

    /// The tokenizer, or an error that says that there is none.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.config.text()?;
        self.tokenizer.as_ref().ok_or_else(|| tokenizer::missing(&self.config, &self.folder))
    }
}

impl ModelConfig {
    /// What a model is made of, without reading its weights: their names and shapes are checked, and of the Hub no more than that is
    /// fetched. `model` is as [`Model::open`] takes it.
    /// Of `with`, only what says where the files are counts.
    pub fn open(model: &str, with: &LoadConfig, stages: &dyn Stages) -> Result<Self> {
        Source::find(model)?.with(with.place(), stages, |files, weights, _| {
            let headers = Headers::of(files);
            let files: &dyn Files = &headers;
            let Description { mut config, format, projects, path, bytes } = Description::read(files, weights)?;
            preprocessing(files, format, (&path, &bytes), &mut config, &LoadConfig::plain())?;
            let mut checkpoint = open_weights(files, format, weights, (&mut config, projects))?;
            Towers::new(&config, &mut Shapes(&mut checkpoint)).map_err(|error| explained(error, &config))?;
            config.left_alone.tensors = checkpoint.finish()?;
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
        if let Some(described) = openai::describe(files, weights)? {
            return Self::of_weights(described);
        }
        let mut left_alone = LeftAlone::default();
        let format = Format::of(files, weights, &mut left_alone)?;
        files::no_adapter(files)?;
        let missing = || files.missing(format.config());
        let (path, bytes) = files::read(files, format.config())?.ok_or_else(missing)?;
        let (json, place) = (files::json(&path, &bytes)?, path.display().to_string());
        let mut config = match format {
            Format::Transformers => ModelConfig::parse(&json, &place)?,
            Format::OpenClip => ModelConfig::parse_open_clip(&json, &place)?,
            Format::Timm => ModelConfig::parse_timm(&json, &place)?,
        };
        config.left_alone.files = left_alone.files;
        let class = json.pointer("/architectures/0").and_then(Value::as_str);
        let projects = class.is_some_and(|class| class.ends_with("WithProjection"));
        Ok(Self { config, format, projects, path, bytes })
    }

    /// What a file of weights says of itself.
    fn of_weights(described: openai::Described) -> Result<Self> {
        let openai::Described { path, config: json, kept_positions } = described;
        let mut config = ModelConfig::parse_open_clip(&json, &path.display().to_string())?;
        config.assumed.clear();
        config.assumed.extend(["quick_gelu = true", "heads of 64 units"].map(str::to_owned));
        if let Some(text) = &mut config.text {
            text.kept_positions = kept_positions;
        }
        let bytes = json.to_string().into_bytes();
        Ok(Self { config, format: Format::OpenClip, projects: false, path, bytes })
    }
}

/// The error with what the configuration left to defaults, where a weight has another shape: it may be for that.
fn explained(error: Error, config: &ModelConfig) -> Error {
    match error {
        Error::Mismatch { place, expected, got } if expected.starts_with("shape [") && !config.assumed.is_empty() => {
            let assumed = config.assumed.join(", ");
            let got = format!("{got}; taken from the format's defaults: {assumed}");
            Error::Mismatch { place, expected, got }
        }
        error => error,
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
        (None, Format::Timm) => {
            let place = path.display().to_string();
            (Preprocessing::parse_timm(&files::json(path, bytes)?, config.vision.image, &place)?, place)
        }
        (None, Format::Transformers) => {
            let (file, mut json) = files::processor(files)?;
            if file.parent() != path.parent() {
                let names = [file.parent().and_then(Path::file_name), file.file_name()];
                let names = names.map(|name| name.unwrap_or_default().to_string_lossy());
                config.assumed.push(format!("preprocessing = {}", names.join("/")));
            }
            name_processor(&mut json, &config.model_type);
            let place = file.display().to_string();
            (Preprocessing::parse(&json, &place)?, place)
        }
    };
    config.vision.resize(preprocessing.image, preprocessing.patches(), &place)?;
    let preprocessing = Preprocessing { orientation: with.orientation, ..preprocessing };
    match with.backend {
        Some(backend) => preprocessing.with_backend(backend).map_err(|source| Error::malformed(&place, source)),
        None => Ok(preprocessing),
    }
}

/// Puts the class into a description that names none, as `transformers` does: by the model's type.
fn name_processor(json: &mut Value, model_type: &str) {
    let class = match model_type {
        "clip" | "clip_vision_model" | "metaclip_2" | "metaclip_2_vision_model" => "CLIPImageProcessor",
        "siglip" | "siglip_vision_model" => "SiglipImageProcessor",
        "siglip2" | "siglip2_vision_model" => "Siglip2ImageProcessor",
        "dinov2" | "dinov2_with_registers" => "BitImageProcessor",
        "dinov3_vit" => "DINOv3ViTImageProcessor",
        "vit" => "ViTImageProcessor",
        "deit" => "DeiTImageProcessor",
        _ => return,
    };
    let json = match json.get_mut("image_processor") {
        Some(nested) if nested.is_object() => nested,
        _ => json,
    };
    let named = ["image_processor_type", "feature_extractor_type"];
    if let Some(map) = json.as_object_mut()
        && named.iter().all(|key| map.get(*key).is_none_or(Value::is_null))
    {
        map.insert("image_processor_type".to_owned(), class.into());
    }
}
