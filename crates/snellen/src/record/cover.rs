//! The share of every patch that objects cover, seen through the same resize and crop as the picture.

use super::picture::{self, MAX_FILE_BYTES};
use crate::model::picture::Mode;
use crate::model::{Decoded, Preprocessing, VisionConfig};
use crate::scene::mask::{Mask, masks};
use crate::scene::{Canvas, Scene, World};
use crate::{Error, Result};
use image::GrayImage;
use std::path::Path;

/// Reads the mask at `path` of a picture of `size` (width, height): per patch in reading order, the share that is not 0 in the
/// mask.
///
/// # Errors
/// When it is not an 8-bit grey picture of that size.
pub fn read_cover(
    path: &Path,
    size: [u32; 2],
    preprocessing: &Preprocessing,
    vision: &VisionConfig,
) -> Result<Vec<f64>> {
    let mask = read_mask(path)?;
    if [mask.width(), mask.height()] != size {
        let expected = format!("{} x {} pixels, as its picture has", size[0], size[1]);
        return Err(Error::mismatch(path.display(), expected, format!("{} x {}", mask.width(), mask.height())));
    }
    Ok(cover(mask, preprocessing, vision))
}

/// Reads the mask at `path`: for each of `objects` objects, per patch in reading order, the share that shows it.
///
/// # Errors
/// When it is not an 8-bit grey picture.
pub fn read_object_covers(
    path: &Path,
    objects: usize,
    preprocessing: &Preprocessing,
    vision: &VisionConfig,
) -> Result<Vec<Vec<f64>>> {
    let mask = read_mask(path)?;
    let object = |k: usize| patches(&Mask::from_index_mask(&mask, k as u8), preprocessing, vision);
    // A mask tells 255 objects apart.
    Ok((0..objects.min(255)).map(object).collect())
}

fn read_mask(path: &Path) -> Result<GrayImage> {
    let bytes = picture::read_bytes(path, MAX_FILE_BYTES)?;
    let mut mask = Decoded::read(path, &bytes)?;
    if !matches!(mask.mode, Mode::Grey | Mode::Bilevel) {
        return Err(Error::mismatch(path.display(), "an 8-bit grey mask", format!("{:?}", mask.mode)));
    }
    GrayImage::from_raw(mask.width as u32, mask.height as u32, std::mem::take(&mut mask.data))
        .ok_or_else(|| Error::mismatch(path.display(), "a byte a pixel", "fewer"))
}

/// Per patch in reading order: the share of it that is not 0 in `mask`.
pub fn cover(mut mask: GrayImage, preprocessing: &Preprocessing, vision: &VisionConfig) -> Vec<f64> {
    mask.iter_mut().for_each(|value| *value = u8::from(*value != 0));
    patches(&Mask::from_index_mask(&mask, 0), preprocessing, vision)
}

/// Per patch in reading order: the share of it that the objects of `scene` cover, from their exact areas.
///
/// # Panics
/// If the canvas is refused by [`Canvas::check`].
pub fn scene_cover(
    scene: &Scene,
    world: &World,
    canvas: &Canvas,
    preprocessing: &Preprocessing,
    vision: &VisionConfig,
) -> Vec<f64> {
    let (width, height) = (canvas.width as usize, canvas.height as usize);
    let mut objects = Mask { width, height, shares: vec![0.0; width * height] };
    for mask in masks(scene, world, canvas) {
        objects.shares.iter_mut().zip(&mask.shares).for_each(|(all, share)| *all += share);
    }
    patches(&objects, preprocessing, vision)
}

fn patches(objects: &Mask, preprocessing: &Preprocessing, vision: &VisionConfig) -> Vec<f64> {
    let (region, [rows, columns]) = preprocessing.patched(objects.width, objects.height, vision);
    let shares = objects.patches(region, columns, rows);
    shares.into_iter().map(|share| share.clamp(0.0, 1.0)).collect()
}
