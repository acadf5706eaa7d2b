//! Pictures of the next batches are read and prepared on threads of their own while the engine runs.
//!
//! One thread reads the source in order and hands each batch to a pool that decodes and preprocesses its pictures. At most
//! [`AHEAD`] batches wait, one is being prepared and one is with the engine, so memory is fixed. Batches come in order, and a
//! refusal takes the place of its batch: whatever the threads, the first refused image is the one that is reported.

use super::Picture;
use super::cover::{read_cover, scene_cover};
use super::images::ImageRow;
use super::source::{Content, Image, Source};
use crate::model::{Decoded, Preprocessing, VisionConfig};
use crate::scene::render;
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// Batches that wait for the engine.
const AHEAD: usize = 1;

/// What has to be known to prepare pictures.
#[derive(Clone, Copy)]
pub(super) struct Preparation<'a> {
    pub preprocessing: &'a Preprocessing,
    pub vision: &'a VisionConfig,
    /// Whether covers are needed.
    pub masked: bool,
}

/// A picture that is ready for the engine.
pub(super) struct Prepared {
    pub row: ImageRow,
    /// `[channel, row, column]`.
    pub pixels: Vec<f32>,
    /// The share of every patch that objects cover, where it is needed.
    pub cover: Option<Vec<f64>>,
}

/// Starts to prepare `rows` of `source`, `batch` at a time; ends early once the receiver is dropped.
pub(super) fn prepare_ahead<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    source: &'env dyn Source,
    rows: Range<usize>,
    batch: usize,
    preparation: Preparation<'env>,
) -> Result<Receiver<Result<Vec<Prepared>>>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
    let pool = pool.thread_name(|i| format!("pictures {i}")).build();
    let pool = pool.map_err(|source| Error::malformed("threads for pictures", source))?;
    let (to, from) = sync_channel(AHEAD);
    scope.spawn(move || {
        if let Err(error) = send_batches(source, rows, batch, preparation, &pool, &to) {
            // Nobody listens any more once the engine refused something.
            let _ = to.send(Err(error));
        }
    });
    Ok(from)
}

fn send_batches(
    source: &dyn Source,
    rows: Range<usize>,
    batch: usize,
    preparation: Preparation<'_>,
    pool: &rayon::ThreadPool,
    to: &SyncSender<Result<Vec<Prepared>>>,
) -> Result<()> {
    let mut images = source.read(rows.clone())?;
    for first in rows.clone().step_by(batch) {
        let mut read = Vec::new();
        for image in images.by_ref().take(batch.min(rows.end - first)) {
            let refused = image.is_err();
            read.push(image);
            if refused {
                break;
            }
        }
        let prepared: Vec<Result<Prepared>> =
            pool.install(|| read.into_par_iter().map(|image| prepare(image?, preparation)).collect());
        let prepared: Result<Vec<_>> = prepared.into_iter().collect();
        let refused = prepared.is_err();
        if to.send(prepared).is_err() || refused {
            break;
        }
    }
    Ok(())
}

fn prepare(image: Image<'_>, with: Preparation<'_>) -> Result<Prepared> {
    let Image { name, place, content } = image;
    let (picture, cover) = match content {
        Content::File { bytes, mask } => {
            let decoded = Decoded::read(Path::new(&place), &bytes)?;
            let picture = Picture::prepare(&place, &decoded, blake3::hash(&bytes), with.preprocessing)?;
            let size = [picture.width, picture.height];
            let mask = mask.filter(|_| with.masked);
            let cover = mask.map(|mask| read_cover(&mask, size, with.preprocessing, with.vision));
            (picture, cover.transpose()?)
        }
        Content::Scene { scene, world, canvas } => {
            let drawn = render(&scene, world, canvas);
            let hash = blake3::hash(&drawn);
            let picture = Picture::prepare(&place, &drawn.into(), hash, with.preprocessing)?;
            let cover = with.masked.then(|| scene_cover(&scene, canvas, with.preprocessing, with.vision));
            (picture, cover)
        }
    };
    let Picture { pixels, width, height, hash } = picture;
    Ok(Prepared { row: ImageRow { filename: name, width, height, hash }, pixels, cover })
}
