//! What commands take to say which model they mean, and how it is loaded.

use crate::terminal::{Bars, Downloads};
use clap::Args;
use snellen::Result;
use snellen::engine::Precision;
use snellen::model::{LoadConfig, Model, Transform};

/// How `--model` is explained.
pub const HELP: &str = "Name on the Hugging Face Hub (owner/name, owner/name@revision), folder, or .safetensors file";

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

/// What changes a model when it is loaded.
#[derive(Args)]
pub struct Load {
    #[command(flatten)]
    place: Place,
    /// Change weights in ways that change no embedding: fold-ln, center-writing
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    transforms: Vec<Transform>,
    /// Another preprocessing than the model's own: study (that of arXiv 2508.16652), or a preprocessor_config.json
    #[arg(long, value_name = "NAME|FILE")]
    preprocessing: Option<String>,
    /// What products are made in: f32, or bf16 (faster on most machines, less exact; sums stay f32)
    #[arg(long, default_value_t = Precision::F32, value_name = "TYPE")]
    dtype: Precision,
}

impl Load {
    /// Loads the model that `name` stands for; Ctrl-C stops a download, which goes on the next time.
    pub fn open(&self, name: &str) -> Result<Model> {
        Bars::new();
        Model::open(name, &self.config(), &Downloads::new())
    }

    /// The same, as a library takes it.
    pub fn config(&self) -> LoadConfig {
        LoadConfig {
            transforms: self.transforms.clone(),
            preprocessing: self.preprocessing.clone(),
            precision: self.dtype,
            ..self.place.config()
        }
    }
}
