//! Activations to disk and back.
//!
//! [`record()`] runs the images of a [`Source`] through a model, [`record_texts()`] [`Texts`] through its text tower, and both write a
//! run folder: `activations.zarr` with an array for each [`ArrayId`], `images.parquet` or `texts.parquet` with what every
//! row is, `labels.csv` where there are labels, and `run.json`. [`ActivationStore`] reads the activations back. [`merge()`] puts
//! parts of a run together that were recorded apart.
//!
//! The folder appears complete or not at all. The same images, model and configuration give the same bytes at any number of
//! threads, in one go, after any interruption or in parts. Memory does not grow with the number of images: a few batches
//! (`pipeline`), and the shards that are being filled ([`store::pending`]).

pub mod basis;
pub mod cover;
mod drawn;
mod edited;
mod finished;
pub mod id;
pub mod images;
mod journal;
mod merge;
mod part;
mod partial;
pub mod picture;
mod pipeline;
pub(crate) mod plan;
pub mod policy;
pub mod recorder;
mod recording;
pub mod reduce;
pub mod run;
pub mod select;
pub mod skipped;
pub mod source;
pub mod store;
pub mod texts;

pub use crate::progress::Progress;
pub use basis::{Basis, BasisId, BasisRecord, BasisSites};
pub use drawn::ScenesRecord;
pub use edited::EditRecord;
pub use id::ArrayId;
pub use merge::merge;
pub use part::Part;
pub use partial::Unfinished;
pub use picture::{Picture, read_pixels, read_rgb};
pub use policy::TokenPolicy;
pub use recorder::Recorder;
pub use recording::{RecordConfig, record};
pub(crate) use run::ModelRecord;
pub use run::RunManifest;
pub use select::{Selected, select};
pub use source::{
    FolderSource, IMAGE_COLUMN, LabelsFrom, Only, ParquetSource, PassedOver, SceneSource, Source, SourceConfig,
    TarSource, open_source,
};
pub use store::{ActivationStore, Layout, StoreWriter};
pub use texts::{Texts, record_texts};

/// The activations' name in the run folder.
pub const ACTIVATIONS: &str = "activations.zarr";
/// The image table's name in the run folder.
pub const IMAGES: &str = "images.parquet";
/// The text table's name in the run folder.
pub const TEXTS: &str = "texts.parquet";
/// The labels' name in the run folder.
pub const LABELS: &str = "labels.csv";
