//! Activations of others: a tensor `[image, unit]` per site, rows in the order of labels.csv.

use crate::measure::Matrix;
use crate::tensors::Tensors;
use crate::{Error, Result};
use std::path::Path;

/// The sites of a file.
pub(super) struct Given {
    tensors: Tensors,
    /// In byte order.
    pub(super) names: Vec<String>,
}

impl Given {
    /// Reads the file at `path`, and checks that every tensor has a row for each of `images` images.
    ///
    /// # Errors
    /// Names file and tensor.
    pub(super) fn open(path: &Path, images: usize) -> Result<Self> {
        let tensors = Tensors::open(path)?;
        let names: Vec<String> = tensors.names().map(str::to_owned).collect();
        if names.is_empty() {
            return Err(Error::mismatch(path.display(), "tensors [image, unit], one per site", "none"));
        }
        for name in &names {
            let shape = tensors.shape(name)?;
            if shape[0] != images {
                let expected = format!("[{images}, units]: a row for each row of the labels");
                return Err(Error::mismatch(tensors.place(name), expected, format!("{shape:?}")));
            }
        }
        Ok(Self { tensors, names })
    }

    /// The tensor called `name`, in f32.
    pub(super) fn matrix(&self, name: &str) -> Result<Matrix> {
        let [rows, columns] = self.tensors.shape(name)?;
        Matrix::new(rows, columns, self.tensors.numbers(name, |x| x as f32)?)
    }
}
