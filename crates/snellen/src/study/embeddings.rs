//! Embeddings as they are handed to us: one tensor in a safetensors file, a row per image.

use crate::{Error, Result};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The tensor's name, where the file has several.
pub const TENSOR: &str = "image_embeds";

/// The width of the study's embeddings: those of CLIP ViT-L/14.
pub const WIDTH: usize = 768;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: u64 = 1 << 32;

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

    /// Reads `image_embeds`, or the only tensor, of the safetensors file at `path`: f16, bf16, f32 or f64, a row for each of
    /// `images` images, `width` numbers each.
    ///
    /// # Errors
    /// When the file is no such thing, or holds a number that is not finite.
    pub fn read(path: &Path, images: usize, width: usize) -> Result<Self> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(Error::io(path))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::mismatch(path.display(), format!("at most {MAX_BYTES} bytes"), "more"));
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|source| Error::malformed(path.display(), source))?;
        let mut names = tensors.names();
        names.sort_unstable();
        let name = match names[..] {
            [only] => only.to_owned(),
            _ if names.contains(&TENSOR) => TENSOR.to_owned(),
            _ => {
                let expected = format!("a tensor `{TENSOR}`, or one tensor only");
                let shown = names.iter().take(8).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
                let got = format!("{} tensors ({shown}{})", names.len(), if names.len() > 8 { ", ..." } else { "" });
                return Err(Error::mismatch(path.display(), expected, got));
            }
        };
        let place = format!("{}: tensor {name:?}", path.display());
        let tensor = tensors.tensor(&name).map_err(|source| Error::malformed(&place, source))?;
        if *tensor.shape() != [images, width] {
            let expected = format!("[{images}, {width}]: a row per row of the labels, {width} numbers each");
            return Err(Error::mismatch(place, expected, format!("{:?}", tensor.shape())));
        }
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F64 => each(data, f64::from_le_bytes),
            Dtype::F32 => each(data, |bytes| f64::from(f32::from_le_bytes(bytes))),
            Dtype::F16 => each(data, |bytes| f64::from(f16::from_le_bytes(bytes))),
            Dtype::BF16 => each(data, |bytes| f64::from(bf16::from_le_bytes(bytes))),
            other => return Err(Error::mismatch(place, "f16, bf16, f32 or f64", format!("{other:?}"))),
        };
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

fn each<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
