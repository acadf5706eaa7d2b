//! Pictures of the next batches are read and prepared on threads of their own while the engine runs.
//!
//! One thread reads the source in order and hands each batch to a pool that decodes and preprocesses its pictures. At most
//! [`AHEAD`] batches wait, one is being prepared and one is with the engine. Of one that is being prepared only so many pictures are in
//! memory as take [`GROUP_BYTES`] when they are decoded, by what their headers say, and at least one. So memory is fixed. Batches come in order, and a
//! refusal takes the place of its batch: whatever the threads, the first refused image is the one that is reported.

use super::cover::{read_cover, scene_cover};
use super::images::ImageRow;
use super::skipped::{Met, Skipped};
use super::source::{Content, Image, Source};
use crate::model::picture::MAX_DECODED_BYTES;
use crate::model::{Pixels, Preprocessing, VisionConfig};
use crate::scene::render;
use crate::{Error, Result, memory, panics};
use rayon::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// Batches that wait for the engine.
const AHEAD: usize = 1;

/// Batches whose pixels are in memory at once.
pub(super) const IN_FLIGHT: usize = AHEAD + 2;

/// The most bytes that pictures take which are being prepared at once, files and all.
const GROUP_BYTES: u64 = 1 << 29;

/// Bytes that a picture takes per pixel while it is prepared: as it was decoded, as RGB, and resized.
const PIXEL_BYTES: u64 = 8;

/// A picture that takes less is never too large for the memory that there is.
const SMALL_BYTES: u64 = 1 << 26;

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
    pub pixels: Pixels<f32>,
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
    // What was read and is for the next group.
    let mut next = None;
    for first in rows.clone().step_by(batch) {
        let count = batch.min(rows.end - first);
        let values = preparation.preprocessing.values();
        let mut pixels = vec![0.0; count * values];
        let mut pictures = Ok(Vec::new());
        while let Ok(done) = &mut pictures
            && done.len() < count
        {
            let group = read_group(&mut images, &mut next, count - done.len());
            if group.is_empty() {
                break;
            }
            let (row, at) = (first + done.len(), done.len() * values);
            let prepared: Vec<Result<Outcome>> = pool.install(|| {
                let place = pixels[at..].par_chunks_exact_mut(values);
                let pictures = group.into_par_iter().zip(place).enumerate();
                pictures.map(|(i, (image, pixels))| meet(row + i, image?, preparation, pixels)).collect()
            });
            match prepared.into_iter().collect::<Result<Vec<_>>>() {
                Ok(prepared) => done.extend(prepared),
                Err(error) => pictures = Err(error),
            }
        }
        let refused = pictures.is_err();
        let batch = pictures.map(|pictures| gather(pictures, pixels, preparation.preprocessing));
        if to.send(batch).is_err() || refused {
            break;
        }
    }
    Ok(())
}

/// The next images, at most `count`, that are prepared together; `next` is one that was read before, and becomes one that would have
/// been too much. None follows an image that is refused.
fn read_group<'a>(
    images: &mut dyn Iterator<Item = Result<Image<'a>>>,
    next: &mut Option<Result<Image<'a>>>,
    count: usize,
) -> Vec<Result<Image<'a>>> {
    let (mut group, mut bytes) = (Vec::new(), 0);
    while group.len() < count {
        let Some(image) = next.take().or_else(|| images.next()) else { break };
        bytes += image.as_ref().map_or(0, |image| size(&image.content));
        if bytes > GROUP_BYTES && !group.is_empty() {
            *next = Some(image);
            break;
        }
        let refused = image.is_err();
        group.push(image);
        if refused {
            break;
        }
    }
    group
}

/// Bytes that preparing a picture takes, by what its header says; of one that says nothing, what its file could hold.
fn size(content: &Content<'_>) -> u64 {
    let of = |width: usize, height: usize| (width as u64).saturating_mul(height as u64).saturating_mul(PIXEL_BYTES);
    match content {
        Content::File { bytes, .. } => {
            let size = panics::catch(|| imagesize::blob_size(bytes)).ok().and_then(std::result::Result::ok);
            let decoded = size.map_or(0, |size| of(size.width, size.height));
            decoded.min(MAX_DECODED_BYTES as u64).saturating_add(bytes.len() as u64)
        }
        Content::Scene { canvas, .. } => of(canvas.width as usize, canvas.height as usize),
        Content::Bad(_) => 0,
    }
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
    let values = preprocessing.values();
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
    let size = |picture: &Prepared| [picture.row.height as usize, picture.row.width as usize];
    let grids = pictures.iter().filter_map(|picture| preprocessing.grid(size(picture))).collect();
    Batch { met, pixels: Pixels { values: preprocessing.tensor(pixels), grids }, pictures }
}

fn prepare(image: Image<'_>, with: Preparation<'_>, pixels: &mut [f32]) -> Result<Prepared> {
    let Image { name, place, content } = image;
    let bytes = size(&content);
    if bytes > SMALL_BYTES {
        memory::check(&place, "a picture", bytes)?;
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{GROUP_BYTES, PIXEL_BYTES, read_group, size};
    use crate::Error;
    use crate::record::source::{Content, Image};

    /// A PNG file of that side, of which no more is there than its header.
    fn picture(side: u32) -> Vec<u8> {
        let size = [side.to_be_bytes(), side.to_be_bytes()].concat();
        [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", size.as_slice(), b"\x08\x02\0\0\0\0\0\0\0"].concat()
    }

    #[test]
    fn pictures_are_prepared_together_as_far_as_they_fit() {
        let image = |side: u32| Image {
            name: side.to_string(),
            place: String::new(),
            content: Content::File { bytes: picture(side), mask: None },
        };
        let most = ((GROUP_BYTES / PIXEL_BYTES) as f64).sqrt() as u32;
        assert_eq!(size(&image(100).content), 100 * 100 * PIXEL_BYTES + picture(100).len() as u64);
        // One that is too large by itself, two that are too large together, an error behind small ones.
        let sides = [10, 20, most + 100, 30, most / 2, most / 2, most / 2, most, 10, 10];
        let bad = Err(Error::mismatch("here", "a picture", "none"));
        let mut images = sides.into_iter().map(|side| Ok(image(side))).chain([bad, Ok(image(10))]);
        let mut next = None;
        let mut groups = Vec::new();
        loop {
            let group = read_group(&mut images, &mut next, 4);
            if group.is_empty() {
                break;
            }
            groups.push(
                group.iter().map(|image| image.as_ref().map_or(0, |i| i.name.parse().unwrap())).collect::<Vec<u32>>(),
            );
        }
        let half = most / 2;
        assert_eq!(
            groups,
            [vec![10, 20], vec![most + 100], vec![30, half, half, half], vec![most], vec![10, 10, 0], vec![10]]
        );
    }
}
