//! Pictures as a vision tower takes them.
//!
//! Most towers see squares of one size. Where pictures keep their aspect ratio (NaFlex), what a tower is given are patches, and how
//! many rows and columns of them each picture has; the rest of a picture's places is padding.

use super::VisionConfig;
use crate::engine::{Real, Tensor};
use crate::{Error, Result};

/// Pictures, prepared.
#[derive(Clone, Debug)]
pub struct Pixels<F> {
    /// `[image, 3, row, column]`; where pictures keep their aspect ratio, `[image, patch, value]`, the values of a patch row by row,
    /// red, green and blue of every pixel together.
    pub values: Tensor<F>,
    /// Rows and columns of the patches of every image; empty where all have those of the tower.
    pub grids: Vec<[usize; 2]>,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct PixelsRef<'a, F> {
    /// As of [`Pixels`].
    pub values: &'a Tensor<F>,
    /// As of [`Pixels`].
    pub grids: &'a [[usize; 2]],
}

impl<'a, F> From<&'a Tensor<F>> for PixelsRef<'a, F> {
    fn from(values: &'a Tensor<F>) -> Self {
        Self { values, grids: &[] }
    }
}

impl<'a, F> From<&'a Pixels<F>> for PixelsRef<'a, F> {
    fn from(pixels: &'a Pixels<F>) -> Self {
        Self { values: &pixels.values, grids: &pixels.grids }
    }
}

impl<F> From<Tensor<F>> for Pixels<F> {
    fn from(values: Tensor<F>) -> Self {
        Self { values, grids: Vec::new() }
    }
}

impl<F: Real> PixelsRef<'_, F> {
    /// Refuses what a tower that sees pictures of any shape can not read.
    pub(super) fn check(self, config: &VisionConfig) -> Result<()> {
        let shape = self.values.shape();
        let &[images, patches, values] = shape else {
            return Err(Error::mismatch("pixels", "shape [images, patches, values]", format!("{shape:?}")));
        };
        if values != config.values() {
            return Err(Error::mismatch("pixels", format!("{} values a patch", config.values()), values));
        }
        check_grids(self.grids, images, patches)
    }
}

/// Refuses grids that are not those of `images` pictures of at most `patches` patches.
pub(super) fn check_grids(grids: &[[usize; 2]], images: usize, patches: usize) -> Result<()> {
    if grids.len() != images {
        let expected = format!("rows and columns of patches for each of {images} images");
        return Err(Error::mismatch("pixels", expected, format!("{} of them", grids.len())));
    }
    let fits = |[rows, columns]: &[usize; 2]| (1..=patches).contains(&rows.saturating_mul(*columns));
    match grids.iter().find(|grid| !fits(grid)) {
        Some([rows, columns]) => {
            let expected = format!("1 to {patches} patches in rows and columns");
            Err(Error::mismatch("pixels", expected, format!("{rows} x {columns}")))
        }
        None => Ok(()),
    }
}

/// Which of `patches` patches are no padding, `[image, patch]`.
pub(super) fn seen(grids: &[[usize; 2]], patches: usize) -> Vec<bool> {
    grids.iter().flat_map(|[rows, columns]| (0..patches).map(move |patch| patch < rows * columns)).collect()
}
