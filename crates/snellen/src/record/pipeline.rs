//! Pictures of the next batches are read and prepared on threads of their own while the engine runs.
//!
//! One thread reads the source in order and hands each batch to a pool that decodes and preprocesses its pictures. At most
//! [`AHEAD`] batches wait, one is being prepared and one is with the engine, so memory is fixed. Batches come in order, and a
//! refusal takes the place of its batch: whatever the threads, the first refused image is the one that is reported.

use super::cover::{read_cover, scene_cover};
use super::images::ImageRow;
use super::skipped::{Met, Skipped};
use super::source::{Content, Image, Source};
use crate::engine::Tensor;
use crate::model::{Preprocessing, VisionConfig};
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
    /// Whether pictures that can not be read are passed over.
    pub skip_bad: bool,
}

/// Pictures that are ready for the engine.
pub(super) struct Batch {
    /// The rows of the source that it is made of.
    pub met: Vec<Met>,
    pub pictures: Vec<Prepared>,
    /// `[image, channel, row, column]`.
    pub pixels: Tensor<f32>,
}

/// What is known of one of them.
pub(super) struct Prepared {
    pub row: ImageRow,
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
) -> Result<Receiver<Result<Batch>>> {
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
    to: &SyncSender<Result<Batch>>,
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
        let (count, values) = (read.len(), preparation.preprocessing.values());
        let mut pixels = vec![0.0; count * values];
        let prepared: Vec<Result<Outcome>> = pool.install(|| {
            let pictures = read.into_par_iter().zip(pixels.par_chunks_exact_mut(values)).enumerate();
            pictures.map(|(i, (image, pixels))| meet(first + i, image?, preparation, pixels)).collect()
        });
        let pictures: Result<Vec<_>> = prepared.into_iter().collect();
        let refused = pictures.is_err();
        let batch = pictures.map(|pictures| gather(pictures, pixels, preparation.preprocessing));
        if to.send(batch).is_err() || refused {
            break;
        }
    }
    Ok(())
}

/// What became of a row of the source.
type Outcome = std::result::Result<Prepared, Skipped>;

/// Prepares the image of row `row`, or says why it is passed over.
fn meet(row: usize, image: Image<'_>, with: Preparation<'_>, pixels: &mut [f32]) -> Result<Outcome> {
    let name = image.name.clone();
    match prepare(image, with, pixels) {
        Ok(prepared) => Ok(Ok(prepared)),
        Err(error) if !error.is_bad_input() => Err(error),
        Err(error) if with.skip_bad => Ok(Err(Skipped::new(row, name, &error))),
        Err(error) => Err(Error::Picture { row, source: Box::new(error) }),
    }
}

/// A batch of those `outcomes` that are pictures, whose `pixels` move together.
fn gather(outcomes: Vec<Outcome>, mut pixels: Vec<f32>, preprocessing: &Preprocessing) -> Batch {
    let (values, side) = (preprocessing.values(), preprocessing.image);
    let (mut met, mut pictures) = (Vec::new(), Vec::new());
    for (i, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(picture) => {
                pixels.copy_within(i * values..(i + 1) * values, pictures.len() * values);
                met.push(Met::Image(picture.row.clone()));
                pictures.push(picture);
            }
            Err(skipped) => met.push(Met::Skipped(skipped)),
        }
    }
    pixels.truncate(pictures.len() * values);
    Batch { met, pixels: Tensor::new([pictures.len(), 3, side, side], pixels), pictures }
}

fn prepare(image: Image<'_>, with: Preparation<'_>, pixels: &mut [f32]) -> Result<Prepared> {
    let Image { name, place, content } = image;
    let (picture, hash, cover) = match content {
        Content::File { bytes, mask } => {
            let picture = with.preprocessing.read(Path::new(&place), &bytes)?;
            let size = [picture.width as u32, picture.height as u32];
            let mask = mask.filter(|_| with.masked);
            let cover = mask.map(|mask| read_cover(&mask, size, with.preprocessing, with.vision));
            (picture, blake3::hash(&bytes), cover.transpose()?)
        }
        Content::Scene { scene, world, canvas } => {
            let drawn = render(&scene, world, canvas);
            let hash = blake3::hash(&drawn);
            let cover = with.masked.then(|| scene_cover(&scene, world, canvas, with.preprocessing, with.vision));
            (drawn.into(), hash, cover)
        }
        Content::Bad(error) => return Err(error),
    };
    with.preprocessing.apply_into(&picture, pixels).map_err(|source| Error::malformed(&place, source))?;
    let (width, height) = (picture.width as u32, picture.height as u32);
    Ok(Prepared { row: ImageRow { filename: name, width, height, hash }, cover })
}
