//! Activations of one site: a number per image and unit.

use crate::{Error, Result};
use std::ops::Range;

/// Numbers `[image, unit]`, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    images: usize,
    units: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// `values` as the rows of `images` images, `units` numbers each. Any float is allowed; the measures flag what is not
    /// finite.
    ///
    /// # Errors
    /// When `values` does not have `images * units` numbers.
    pub fn new(images: usize, units: usize, values: Vec<f32>) -> Result<Self> {
        if images.checked_mul(units) != Some(values.len()) {
            let expected = format!("{images} images x {units} units");
            return Err(Error::mismatch("activations", expected, format!("{} values", values.len())));
        }
        Ok(Self { images, units, values })
    }

    /// `values` that are known to be `images` rows of `units` numbers.
    pub(super) fn of_rows(images: usize, units: usize, values: Vec<f32>) -> Self {
        debug_assert_eq!(images * units, values.len());
        Self { images, units, values }
    }

    /// Number of rows.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Number of columns.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The row of `image`: one number per unit.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn row(&self, image: usize) -> &[f32] {
        assert!(image < self.images, "image {image} of {}", self.images);
        &self.values[image * self.units..][..self.units]
    }

    /// The rows `images` as a matrix of their own.
    ///
    /// # Panics
    /// When the range leaves the matrix.
    pub fn rows(&self, images: Range<usize>) -> Self {
        let values = self.values[images.start * self.units..images.end * self.units].to_vec();
        Self { images: images.len(), units: self.units, values }
    }

    /// The columns of `units` as a matrix of their own.
    ///
    /// # Panics
    /// When the range leaves the matrix.
    pub fn part(&self, units: Range<usize>) -> Self {
        let values = (0..self.images).flat_map(|image| &self.row(image)[units.clone()]).copied().collect();
        Self { images: self.images, units: units.len(), values }
    }

    /// All numbers, row after row.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// The column of `unit`: one number per image.
    ///
    /// # Panics
    /// When there is no such unit.
    pub fn column(&self, unit: usize) -> Vec<f32> {
        let mut column = Vec::new();
        self.columns(unit..unit + 1, &mut column);
        column
    }

    /// Replaces `into` by the columns of `units`, one after another: `[unit, image]`. Neighbouring units share cache lines,
    /// so a block of them costs little more than one.
    ///
    /// # Panics
    /// When the range leaves the matrix.
    pub fn columns(&self, units: Range<usize>, into: &mut Vec<f32>) {
        assert!(units.end <= self.units, "units {units:?} of {}", self.units);
        into.clear();
        into.resize(units.len() * self.images, 0.0);
        for image in 0..self.images {
            let row = &self.row(image)[units.clone()];
            row.iter().enumerate().for_each(|(k, &value)| into[k * self.images + image] = value);
        }
    }
}
