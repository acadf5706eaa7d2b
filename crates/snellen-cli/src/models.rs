//! What commands take to say which model they mean, and how it is loaded.

use crate::terminal::{Bars, Downloads};
use clap::Args;
use snellen::engine::Precision;
use snellen::model::{Backend, LoadConfig, Model, Orientation, Transform, Untrained};
use snellen::{Error, Result};

/// How `--model` is explained.
pub const HELP: &str = "Name on the Hugging Face Hub (owner/name, owner/name@revision), folder, or file of weights";

/// Which of a model's files are meant.
#[derive(Args)]
pub struct Place {
    /// The folder inside the model's that its files are in (image_encoder)
    #[arg(long, value_name = "FOLDER")]
    subfolder: Option<String>,
    /// The file of its weights where it isn't the usual one (model.fp16.safetensors, open_clip_model.safetensors)
    #[arg(long, value_name = "FILE")]
    weights: Option<String>,
}

impl Place {
    /// The same, as a library takes it.
    pub fn config(&self) -> LoadConfig {
        LoadConfig { subfolder: self.subfolder.clone(), weights: self.weights.clone(), ..LoadConfig::plain() }
    }
}

/// How `--orientation` is explained.
pub const ORIENTATION: &str = "Pictures whose file says that they are not upright (EXIF): honour (turn them), ignore";

/// What changes a model when it is loaded.
#[derive(Args)]
pub struct Load {
    #[command(flatten)]
    place: Place,
    /// Change weights in ways that change no embedding: fold-ln, center-writing
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    transforms: Vec<Transform>,
    #[command(flatten)]
    pictures: Pictures,
    /// What products are made in: f32, or bf16 (faster on most machines, less exact; sums stay f32)
    #[arg(long, default_value_t = Precision::F32, value_name = "TYPE")]
    dtype: Precision,
    /// The same model without what it has learnt, as a control: fresh:SEED (weights drawn anew), shuffled:SEED (its own, the values
    /// of each tensor in random order)
    #[arg(long, value_name = "KIND:SEED")]
    untrained: Option<Untrained>,
}

impl Load {
    /// Loads the model that `name` stands for; Ctrl-C stops a download, which goes on the next time.
    pub fn open(&self, name: &str) -> Result<Model> {
        Bars::new();
        Model::open(name, &self.config()?, &Downloads)
    }

    /// The same, as a library takes it.
    pub fn config(&self) -> Result<LoadConfig> {
        let Pictures { preprocessing, orientation } = &self.pictures;
        let (backends, others): (Vec<_>, Vec<_>) =
            preprocessing.iter().partition(|name| name.parse::<Backend>().is_ok());
        if backends.len() > 1 || others.len() > 1 {
            let expected = "one of pil and torchvision, and one of study and a file";
            let given: Vec<&str> = preprocessing.iter().map(String::as_str).collect();
            return Err(Error::mismatch("--preprocessing", expected, given.join(" and ")));
        }
        Ok(LoadConfig {
            transforms: self.transforms.clone(),
            preprocessing: others.first().map(|name| (*name).clone()),
            backend: backends.first().map(|name| name.parse()).transpose()?,
            orientation: *orientation,
            precision: self.dtype,
            untrained: self.untrained,
            ..self.place.config()
        })
    }
}

/// What is done with pictures before the model sees them.
#[derive(Args)]
struct Pictures {
    /// Whose arithmetic pictures go through: pil (Pillow's; the default: published scores, OpenAI, OpenCLIP), torchvision (what
    /// transformers 5 uses where it is installed). Or another preprocessing than the model's own: study (that of arXiv 2508.16652), or a
    /// preprocessor_config.json. One of each may be given
    #[arg(long, value_name = "NAME|FILE")]
    preprocessing: Vec<String>,
    #[arg(long, default_value_t = Orientation::Honour, value_name = "WHAT", help = ORIENTATION)]
    orientation: Orientation,
}
