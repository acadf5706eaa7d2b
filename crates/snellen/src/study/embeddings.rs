//! Embeddings as they are handed to us: one tensor in a file, a row per image.

use crate::tensors::Tensors;
use crate::{Error, Result};
use std::path::Path;

/// The tensor's name, where the file has several.
pub const TENSOR: &str = "image_embeds";

/// The width of the study's embeddings: those of CLIP ViT-L/14.
pub const WIDTH: usize = 768;

/// Numbers `[image, unit]`, in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    width: usize,
    values: Vec<f64>,
}

impl Embeddings {
    /// `values` as rows of `width` numbers, called `place` in errors.
    ///
    /// # Errors
    /// When they do not fill rows, or one is not finite: with its row and column.
    pub fn new(width: usize, values: Vec<f64>, place: &str) -> Result<Self> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let got = format!("{} numbers", values.len());
            return Err(Error::mismatch(place, format!("rows of {width} numbers"), got));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let here = format!("{place}: row {}, column {}", at / width + 1, at % width + 1);
            return Err(Error::mismatch(here, "a finite number", values[at]));
        }
        Ok(Self { width, values })
    }

    /// Reads `image_embeds`, or the only tensor, of the file at `path` (safetensors, .npy or .npz): a row for each of
    /// `images` images, `width` numbers each.
    ///
    /// # Errors
    /// When the file is no such thing, or holds a number that is not finite.
    pub fn read(path: &Path, images: usize, width: usize) -> Result<Self> {
        let tensors = Tensors::open(path)?;
        let name = tensors.one(TENSOR)?;
        let (place, shape) = (tensors.place(name), tensors.shape(name)?);
        if shape != [images, width] {
            let expected = format!("[{images}, {width}]: a row per row of the labels, {width} numbers each");
            return Err(Error::mismatch(place, expected, format!("{shape:?}")));
        }
        let values = tensors.numbers(name, |x| x)?;
        Self::new(width, values, &place)
    }

    /// Number of rows.
    pub fn images(&self) -> usize {
        self.values.len() / self.width
    }

    /// Numbers per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The embedding of image `row`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..][..self.width]
    }
}
