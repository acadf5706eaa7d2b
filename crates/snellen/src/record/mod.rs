//! Activations to disk and back.
//!
//! [`record()`] runs the images of a [`Source`] through a model and writes a run folder: `activations.zarr` with an array
//! `<site>/<token policy>` each, `images.parquet` with the image of every row, `labels.csv` where the images have one, and
//! `run.json`. [`ActivationStore`] reads the activations back.
//!
//! The folder appears complete or not at all. The same images, model and configuration give the same bytes at any number of
//! threads. Memory does not grow with the number of images: one batch, and one shard of every array
//! ([`layout`]).

pub mod cover;
mod guard;
pub mod images;
pub mod layout;
pub mod picture;
pub mod policy;
mod progress;
pub mod reader;
pub mod recorder;
pub mod run;
pub mod select;
pub mod source;
pub mod store;

pub use layout::Layout;
pub use picture::{Picture, read_pixels, read_rgb};
pub use policy::TokenPolicy;
pub use progress::Progress;
pub use reader::ActivationStore;
pub use recorder::Recorder;
pub use run::RunManifest;
pub use select::{Selected, select};
pub use source::Source;
pub use store::StoreWriter;

use crate::engine::{Level, Tape};
use crate::model::Model;
use crate::output::{StagedDir, write_file};
use crate::scene::labels_csv::MAX_BYTES;
use crate::{Error, Result};
use images::ImageTable;
use rayon::prelude::*;
use run::{ImagesRecord, ModelRecord};
use std::path::{Path, PathBuf};

/// The activations' name in the run folder.
pub const ACTIVATIONS: &str = "activations.zarr";
/// The image table's name in the run folder.
pub const IMAGES: &str = "images.parquet";
/// The labels' name in the run folder.
pub const LABELS: &str = "labels.csv";

/// What to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordConfig {
    /// Names and patterns of sites, as [`select()`] reads them.
    pub sites: Vec<String>,
    /// How tokens become rows.
    pub policies: Vec<TokenPolicy>,
    /// Images per forward, at least 1.
    pub batch: usize,
    /// Kept in `run.json`; recording itself draws nothing.
    pub seed: u64,
}

/// Runs the images of `source` through `model` and writes the new run folder `out`.
///
/// # Errors
/// [`Error::Exists`] if `out` is there already; [`Error::Interrupted`] if `progress` says so, and nothing is left; refuses what
/// [`select()`] refuses, `object` and `background` without masks or for an image that has none of them, images that do not
/// decode, and activations that are not finite.
pub fn record(
    model: &Model,
    source: &Source,
    config: &RecordConfig,
    out: &Path,
    progress: &dyn Progress,
) -> Result<RunManifest> {
    if out.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: out.to_owned() });
    }
    if config.batch == 0 {
        return Err(Error::mismatch("batch", "at least 1 image", 0));
    }
    let selected = select(&model.config, &config.sites, &config.policies)?;
    let masked = selected.iter().flat_map(|site| &site.policies).find(|policy| policy.needs_masks());
    if let (Some(policy), None) = (masked, &source.masks) {
        let expected = format!("a folder `masks` beside labels.csv, for the token policy `{policy}`");
        return Err(Error::mismatch(source.folder.display(), expected, "none"));
    }
    let count = source.filenames.len();
    let layouts = selected.iter().flat_map(|s| s.policies.iter().map(|&policy| (s.site, policy)));
    let layouts = layouts.map(|(site, policy)| Layout::new(&model.config, site, policy, count));
    let layouts = layouts.collect::<Result<Vec<_>>>()?;

    let staged = StagedDir::begin(out)?;
    let folder = staged.path();
    let mut store = StoreWriter::create(&folder.join(ACTIVATIONS), layouts)?;
    let mut table = ImageTable::create(&folder.join(IMAGES))?;
    progress.advance(0, count);
    let mut tape = Tape::off();
    for first in (0..count).step_by(config.batch) {
        check_cancelled(progress)?;
        let end = count.min(first + config.batch);
        let batch = read_batch(model, source, first..end, masked.is_some())?;
        let pixels = picture::stack(batch.iter().map(|(picture, _)| picture), model.preprocessing.image);
        let names = &source.filenames[first..end];
        let mut covers = Vec::new();
        for ((picture, cover), name) in batch.into_iter().zip(names) {
            table.push(name, &picture)?;
            covers.extend(cover);
        }
        let mut recorder = Recorder::new(&model.config, &selected, &mut store, names, &covers);
        model.towers.observe_images(&mut tape, &pixels, &mut recorder)?;
        progress.advance(end, count);
    }
    check_cancelled(progress)?;
    store.finish()?;
    let images_hash = table.finish()?.to_hex().to_string();
    let labels_hash = source.labels.as_deref().map(|labels| copy_labels(labels, folder)).transpose()?;
    let run = RunManifest {
        schema: run::SCHEMA,
        kind: run::KIND.to_owned(),
        snellen: env!("CARGO_PKG_VERSION").to_owned(),
        model: ModelRecord {
            name: model.name.clone(),
            weights_hash: model.weights_hash.clone(),
            config_hash: model.config_hash.clone(),
            assumed: model.config.assumed.clone(),
            transforms: model.transforms.clone(),
        },
        images: ImagesRecord { count, hash: images_hash, labels_hash },
        preprocessing: model.preprocessing.clone(),
        sites: selected,
        engine: format!("cpu {}", Level::current()),
        dtype: model.precision.to_string(),
        seed: config.seed,
    };
    run.write(folder)?;
    staged.publish()?;
    Ok(run)
}

fn check_cancelled(progress: &dyn Progress) -> Result<()> {
    if progress.is_cancelled() {
        return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
    }
    Ok(())
}

/// Pictures, and their covers where `masked`; the error is that of the first refused image, whatever the threads.
fn read_batch(
    model: &Model,
    source: &Source,
    rows: std::ops::Range<usize>,
    masked: bool,
) -> Result<Vec<(Picture, Option<Vec<f64>>)>> {
    let masks = source.masks.as_ref().filter(|_| masked);
    let read = |row: usize| {
        let picture = Picture::read(&source.path(row), &model.preprocessing)?;
        let size = [picture.width, picture.height];
        let cover =
            |masks: &Vec<PathBuf>| cover::read_cover(&masks[row], size, &model.preprocessing, &model.config.vision);
        Ok((picture, masks.map(cover).transpose()?))
    };
    let read: Vec<Result<_>> = rows.into_par_iter().map(read).collect();
    read.into_iter().collect()
}

/// The hash of the copied file.
fn copy_labels(labels: &Path, folder: &Path) -> Result<String> {
    let bytes = picture::read_bytes(labels, MAX_BYTES)?;
    write_file(&folder.join(LABELS), &bytes)?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}
