//! Embeddings as they are handed to us: one tensor in a file, a row per image.

use crate::tensors::{Tensors, left_alone};
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
    notes: Vec<String>,
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
        Ok(Self { width, values, notes: Vec::new() })
    }

    /// Reads the tensor called `tensor` of the file at `path` (safetensors, .npy or .npz), else `image_embeds`, else the only one that
    /// can be embeddings: a row for each of `images` images, `width` numbers each.
    ///
    /// # Errors
    /// When the file is no such thing, or holds a number that is not finite: with its row and column.
    pub fn read(path: &Path, tensor: Option<&str>, images: usize, width: usize) -> Result<Self> {
        let tensors = Tensors::open(path)?;
        let chosen = tensors.choose_one(tensor, TENSOR, images)?;
        let name = chosen.names[0].as_str();
        let (place, shape) = (tensors.place(name), tensors.shape(name)?);
        if shape != [images, width] {
            let expected = format!("[{images}, {width}]: a row per row of the labels, {width} numbers each");
            let helps = if shape[0] == images { format!("; `--width {}` takes them", shape[1]) } else { String::new() };
            return Err(Error::mismatch(place, expected, format!("{shape:?}{helps}")));
        }
        let values = tensors.numbers(name, |x| x)?;
        let left = &chosen.left_alone;
        let notes = if left.is_empty() { Vec::new() } else { vec![left_alone(path, left)] };
        Ok(Self { notes, ..Self::new(width, values, &place)? })
    }

    /// What is worth a line about the file: what was left alone.
    pub fn notes(&self) -> &[String] {
        &self.notes
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
