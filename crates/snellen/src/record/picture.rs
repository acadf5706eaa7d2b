//! Pictures: read within bounds, decoded, and made into the model's pixels.

use crate::engine::Tensor;
use crate::model::Preprocessing;
use crate::scene::MAX_SIDE;
use crate::{Error, Result};
use image::{DynamicImage, ImageReader, Limits, RgbImage};
use rayon::prelude::*;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

/// The largest picture file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 28;

/// The most memory that decoding one picture may take, in bytes.
const MAX_DECODED_BYTES: u64 = 1 << 29;

/// A picture as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// `[channel, row, column]`, preprocessed.
    pub pixels: Vec<f32>,
    /// Width of the file's picture, in pixels.
    pub width: u32,
    /// Height of the file's picture, in pixels.
    pub height: u32,
    /// BLAKE3 of the file.
    pub hash: blake3::Hash,
}

impl Picture {
    /// Reads the PNG or JPEG file at `path`. An alpha channel is dropped, as PIL's `convert("RGB")` drops it.
    ///
    /// # Errors
    /// When it is larger than [`MAX_FILE_BYTES`] or [`MAX_SIDE`], or does not decode.
    pub fn read(path: &Path, preprocessing: &Preprocessing) -> Result<Self> {
        let bytes = read_bytes(path, MAX_FILE_BYTES)?;
        let picture = decode(path, &bytes)?.into_rgb8();
        let pixels = preprocessing.apply(&picture).map_err(|source| Error::malformed(path.display(), source))?;
        Ok(Self { pixels, width: picture.width(), height: picture.height(), hash: blake3::hash(&bytes) })
    }
}

/// The picture at `path` as it is, 8 bits each of red, green and blue.
///
/// # Errors
/// As [`Picture::read`].
pub fn read_rgb(path: &Path) -> Result<RgbImage> {
    Ok(decode(path, &read_bytes(path, MAX_FILE_BYTES)?)?.into_rgb8())
}

/// The pixels of the pictures at `paths`, `[image, 3, row, column]`, read in parallel.
///
/// # Errors
/// Of the first in the order of `paths` that [`Picture::read`] refuses.
pub fn read_pixels(paths: &[PathBuf], preprocessing: &Preprocessing) -> Result<Tensor<f32>> {
    let pictures: Vec<Result<Picture>> = paths.par_iter().map(|path| Picture::read(path, preprocessing)).collect();
    let pictures = pictures.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(stack(pictures.iter(), preprocessing.image))
}

/// `[image, 3, row, column]` with `side` rows and columns.
pub(super) fn stack<'a>(pictures: impl ExactSizeIterator<Item = &'a Picture>, side: usize) -> Tensor<f32> {
    let shape = [pictures.len(), 3, side, side];
    Tensor::new(shape, pictures.flat_map(|picture| picture.pixels.iter().copied()).collect())
}

/// The file at `path`, of at most `most` bytes.
pub(super) fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if bytes.len() as u64 > most {
        return Err(Error::mismatch(path.display(), format!("at most {most} bytes"), "more"));
    }
    Ok(bytes)
}

/// Decodes a PNG or JPEG file, whichever its first bytes say.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(Error::io(path))?;
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let image = reader.decode().map_err(|source| Error::malformed(path.display(), source))?;
    if image.width() == 0 || image.height() == 0 {
        return Err(Error::mismatch(path.display(), "a picture", "one without pixels"));
    }
    Ok(image)
}
