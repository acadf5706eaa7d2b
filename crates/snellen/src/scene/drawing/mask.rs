//! Exact masks: which share of every pixel, or of every patch, shows which object.

use super::canvas::Canvas;
use super::coverage::coverage;
use crate::scene::{Scene, World};
use image::GrayImage;

/// What of each pixel shows one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// Pixels per row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Row after row, 0 (none of the pixel) to 1 (all of it).
    pub shares: Vec<f64>,
}

/// A rectangle of a picture, in its pixels, that may reach beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width, above 0.
    pub width: f64,
    /// Height, above 0.
    pub height: f64,
}

/// One mask per object of `scene`, in its order; an object hides those before it, so the masks of a pixel add up to 1 at
/// most, and the rest is background.
///
/// # Panics
/// If the canvas is refused by [`Canvas::check`].
#[must_use]
pub fn masks(scene: &Scene, world: &World, canvas: &Canvas) -> Vec<Mask> {
    let (width, height) = (canvas.width as usize, canvas.height as usize);
    let mut masks: Vec<Mask> = Vec::with_capacity(scene.objects.len());
    for object in &scene.objects {
        let mut shares = vec![0.0; width * height];
        for (row, left, covered) in coverage(&world.figure(object), canvas).rows() {
            let start = row * width + left;
            let pixels = start..start + covered.len();
            for below in &mut masks {
                below.shares[pixels.clone()].iter_mut().zip(covered).for_each(|(share, over)| *share *= 1.0 - over);
            }
            shares[pixels].copy_from_slice(covered);
        }
        masks.push(Mask { width, height, shares });
    }
    masks
}

/// The masks of `scene` as one picture: 0 where background takes the largest share of the pixel, k + 1 where object k does;
/// of equal shares the first wins, background first of all.
///
/// # Panics
/// If the canvas is refused by [`Canvas::check`], or the scene has more than 255 objects.
#[must_use]
pub fn index_mask(scene: &Scene, world: &World, canvas: &Canvas) -> GrayImage {
    assert!(scene.objects.len() <= 255, "expected at most 255 objects in a mask, got {}", scene.objects.len());
    let masks = masks(scene, world, canvas);
    let mut image = GrayImage::new(canvas.width, canvas.height);
    for (i, pixel) in image.iter_mut().enumerate() {
        let mut largest = 1.0 - masks.iter().map(|mask| mask.shares[i]).sum::<f64>();
        for (k, mask) in masks.iter().enumerate().filter(|(_, mask)| mask.shares[i] > 0.0) {
            if mask.shares[i] > largest {
                (largest, *pixel) = (mask.shares[i], k as u8 + 1);
            }
        }
    }
    image
}

impl Mask {
    /// Where value `k + 1` stands in a picture made by [`index_mask`].
    #[must_use]
    pub fn from_index_mask(image: &GrayImage, k: u8) -> Self {
        let shares = image.iter().map(|&value| f64::from(u8::from(value.checked_sub(1) == Some(k)))).collect();
        Self { width: image.width() as usize, height: image.height() as usize, shares }
    }

    /// The region that covers it exactly.
    #[must_use]
    pub fn whole(&self) -> Region {
        Region { x: 0.0, y: 0.0, width: self.width as f64, height: self.height as f64 }
    }

    /// The mean share in each patch of a grid of `columns` x `rows` over `region`, row after row.
    ///
    /// `region` is what a model's preprocessing leaves of the picture (its resize and crop, in the picture's own pixels);
    /// outside of the picture nothing is covered. Pixels on the border of patches count in parts.
    #[must_use]
    pub fn patches(&self, region: Region, columns: usize, rows: usize) -> Vec<f64> {
        let across = overlaps(region.x, region.width / columns as f64, columns, self.width);
        let down = overlaps(region.y, region.height / rows as f64, rows, self.height);
        let patch_area = region.width * region.height / (columns * rows) as f64;
        let mut patches = Vec::with_capacity(columns * rows);
        for vertical in &down {
            for horizontal in &across {
                let line = |y: usize| horizontal.iter().map(move |&(x, part)| part * self.shares[y * self.width + x]);
                let covered: f64 = vertical.iter().map(|&(y, part)| part * line(y).sum::<f64>()).sum();
                patches.push(covered / patch_area);
            }
        }
        patches
    }
}

/// For each of `count` intervals of `length` from `start` on: the pixels that it meets, and the length met in each.
fn overlaps(start: f64, length: f64, count: usize, pixels: usize) -> Vec<Vec<(usize, f64)>> {
    let interval = |k: usize| {
        let (from, to) = (start + k as f64 * length, start + (k + 1) as f64 * length);
        let first = from.floor().max(0.0) as usize;
        let end = (to.ceil().max(0.0) as usize).min(pixels);
        let met = move |pixel: usize| to.min(pixel as f64 + 1.0) - from.max(pixel as f64);
        (first..end).map(move |pixel| (pixel, met(pixel))).filter(|(_, part)| *part > 0.0).collect()
    };
    (0..count).map(interval).collect()
}
