//! Pictures: read within bounds and made into the model's pixels.

use crate::model::{Pixels, Preprocessing};
use crate::{Error, Result};
use image::RgbImage;
use rayon::prelude::*;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest picture file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 28;

/// A picture as the model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Preprocessed, as [`Preprocessing::apply`] gives it.
    pub pixels: Vec<f32>,
    /// Width of the picture as it was turned, in pixels.
    pub width: u32,
    /// Height of the picture as it was turned, in pixels.
    pub height: u32,
    /// BLAKE3 of the file; of a scene that never was one, of its pixels, three bytes each, row after row.
    pub hash: blake3::Hash,
}

impl Picture {
    /// Reads the picture at `path`.
    ///
    /// # Errors
    /// When it is larger than [`MAX_FILE_BYTES`], [`Preprocessing::read`] refuses it, or [`Preprocessing::apply`] does.
    pub fn read(path: &Path, preprocessing: &Preprocessing) -> Result<Self> {
        let bytes = read_bytes(path, MAX_FILE_BYTES)?;
        let picture = preprocessing.read(path, &bytes)?;
        let pixels = preprocessing.apply(&picture).map_err(|source| Error::malformed(path.display(), source))?;
        let (width, height) = (picture.width as u32, picture.height as u32);
        Ok(Self { pixels, width, height, hash: blake3::hash(&bytes) })
    }
}

/// The picture at `path` as `preprocessing` takes it, 8 bits each of red, green and blue, transparency dropped.
///
/// # Errors
/// When it is larger than [`MAX_FILE_BYTES`], or [`Preprocessing::read`] refuses it.
pub fn read_rgb(path: &Path, preprocessing: &Preprocessing) -> Result<RgbImage> {
    let picture = preprocessing.read(path, &read_bytes(path, MAX_FILE_BYTES)?)?;
    RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.rgb())
        .ok_or_else(|| Error::mismatch(path.display(), "three bytes a pixel", "fewer"))
}

/// The pixels of the pictures at `paths`, read in parallel.
///
/// # Errors
/// Of the first in the order of `paths` that [`Picture::read`] refuses.
pub fn read_pixels(paths: &[PathBuf], preprocessing: &Preprocessing) -> Result<Pixels<f32>> {
    let pictures: Vec<Result<Picture>> = paths.par_iter().map(|path| Picture::read(path, preprocessing)).collect();
    let pictures = pictures.into_iter().collect::<Result<Vec<_>>>()?;
    let pixels: Vec<&[f32]> = pictures.iter().map(|picture| picture.pixels.as_slice()).collect();
    let grids = pictures.iter().filter_map(|p| preprocessing.grid([p.height as usize, p.width as usize])).collect();
    Ok(Pixels { values: preprocessing.tensor(pixels.concat()), grids })
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
