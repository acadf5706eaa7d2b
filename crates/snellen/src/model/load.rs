//! A model as its files describe it.

use super::files::{self, Files, Format};
use super::layout::Layout;
use super::{ModelConfig, Preprocessing, Tokenizer, Towers, Transform, VisionPooling};
use crate::{Error, Result};
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
}

/// How to load a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadConfig {
    /// What to do to its weights.
    pub transforms: Vec<Transform>,
    /// Another preprocessing than the model's own: `study`, or a `preprocessor_config.json`.
    pub preprocessing: Option<String>,
}

impl Model {
    /// Reads a model from a folder, or from the folder of a `.safetensors` file.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with(path, &LoadConfig::default())
    }

    /// Reads a model from a folder, or from the folder of a `.safetensors` file, as `config` says.
    pub fn load_with(path: &Path, config: &LoadConfig) -> Result<Self> {
        if path.is_dir() {
            let name = path.canonicalize().ok().and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()));
            return Self::of_files(&path, None, name.unwrap_or_default(), config);
        }
        if !path.is_file() {
            let expected = "a folder with config.json and model.safetensors";
            return Err(Error::mismatch(path.display(), expected, "no such folder"));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if Path::new(&name).extension().is_none_or(|ending| ending != "safetensors") {
            let pickle =
                Path::new(&name).extension().is_some_and(|e| ["bin", "pt", "pth", "ckpt"].iter().any(|p| e == *p));
            let got = if pickle { format!("a pickle; {}", files::convert(&name)) } else { format!("`{name}`") };
            return Err(Error::mismatch(path.display(), "a folder with config.json, or a .safetensors file", got));
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::of_files(&folder, Some(&name), name.clone(), config)
    }

    /// Reads a model's files; `weights` names the file of its weights where it isn't the usual one.
    pub fn of_files(files: &dyn Files, weights: Option<&str>, name: String, with: &LoadConfig) -> Result<Self> {
        let format = Format::of(files, weights)?;
        let missing = |name: &str| Error::io(files.place(name))(std::io::ErrorKind::NotFound.into());
        let (path, bytes) = files::read(files, format.config())?.ok_or_else(|| missing(format.config()))?;
        let (json, place) = (files::json(&path, &bytes)?, path.display().to_string());
        let mut config = match format {
            Format::Transformers => ModelConfig::parse(&json, &place)?,
            Format::OpenClip => ModelConfig::parse_open_clip(&json, &place)?,
        };
        let preprocessing = Self::preprocessing(files, format, (&json, &place), &mut config, with)?;
        let tokenizer = match (&config.text, files::read(files, "tokenizer.json")?) {
            (Some(text), Some((path, bytes))) => Some(Tokenizer::from_json(&bytes, &path, text)?),
            _ => None,
        };
        let mut checkpoint = files::weights(files, format, weights, &config)?;
        // Of a tower by itself only the checkpoint says what follows it.
        let alone = config.text.is_none();
        if alone && !checkpoint.has("visual_projection.weight") {
            config.vision.projection = None;
        }
        let inside = config.layout == Layout::Transformers { inside: true };
        let attends = config.vision.pooling == Some(VisionPooling::Attention);
        if inside && attends && !checkpoint.has("vision_model.head.probe") {
            config.vision.pooling = None;
        }
        let mut towers = Towers::new(&config, &mut checkpoint)?;
        let (weights_hash, parameters) = (checkpoint.hash(), checkpoint.taken());
        checkpoint.finish()?;
        let mut transforms = with.transforms.clone();
        transforms.sort_unstable();
        transforms.dedup();
        transforms.iter().for_each(|transform| towers.transform(*transform));
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
        })
    }

    /// The tokenizer, or an error that says that there is none.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.config.text()?;
        let missing = || Error::io(self.folder.join("tokenizer.json"))(std::io::ErrorKind::NotFound.into());
        self.tokenizer.as_ref().ok_or_else(missing)
    }
}

impl Model {
    /// What the files say of preprocessing, or what was asked for instead; the tower takes pictures of the size that results.
    fn preprocessing(
        files: &dyn Files,
        format: Format,
        (json, place): (&serde_json::Value, &str),
        config: &mut ModelConfig,
        with: &LoadConfig,
    ) -> Result<Preprocessing> {
        let (preprocessing, place) = match (&with.preprocessing, format) {
            (Some(asked), _) if Path::new(asked).extension().is_some_and(|ending| ending == "json") => {
                let (path, bytes) = files::read(&Path::new(""), asked)?
                    .ok_or_else(|| Error::io(asked)(std::io::ErrorKind::NotFound.into()))?;
                let own = Preprocessing::parse(&files::json(&path, &bytes)?, asked)?;
                (Preprocessing { source: asked.clone(), ..own }, asked.clone())
            }
            (Some(asked), _) => (Preprocessing::named(asked, config.vision.image)?, format!("preprocessing `{asked}`")),
            (None, Format::OpenClip) => (Preprocessing::parse_open_clip(json, place)?, place.to_owned()),
            (None, Format::Transformers) => {
                let (path, json) = files::processor(files)?;
                let place = path.display().to_string();
                (Preprocessing::parse(&json, &place)?, place)
            }
        };
        config.vision.resize(preprocessing.image, &place)?;
        Ok(preprocessing)
    }
}
