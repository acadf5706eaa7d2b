//! Activations of others: a safetensors file with a tensor `[image, unit]` per site, rows in the order of labels.csv.

use crate::measure::Matrix;
use crate::{Error, Result};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes; all of it is in memory.
pub const MAX_BYTES: u64 = 1 << 36;

/// The longest name of a tensor, in bytes.
const MAX_NAME: usize = 512;

/// The file's bytes, and what its tensors are called.
pub(super) struct Given {
    path: PathBuf,
    bytes: Vec<u8>,
    /// In byte order.
    pub(super) names: Vec<String>,
}

impl Given {
    /// Reads the file at `path`, and checks that every tensor has a row for each of `images` images.
    ///
    /// # Errors
    /// Names file and tensor.
    pub(super) fn open(path: &Path, images: usize) -> Result<Self> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(Error::io(path))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::mismatch(path.display(), format!("at most {MAX_BYTES} bytes"), "more"));
        }
        let mut names: Vec<String>;
        {
            let tensors = tensors(path, &bytes)?;
            names = tensors.names().into_iter().map(str::to_owned).collect();
            names.sort_unstable();
            if names.is_empty() {
                return Err(Error::mismatch(path.display(), "tensors [image, unit], one per site", "none"));
            }
            for name in &names {
                let place = format!("{}: tensor {name:?}", path.display());
                if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
                    let expected = format!("a name of 1 to {MAX_NAME} bytes without control characters");
                    return Err(Error::mismatch(place, expected, format!("{} bytes", name.len())));
                }
                let tensor = tensors.tensor(name).map_err(|source| Error::malformed(&place, source))?;
                let known = matches!(tensor.dtype(), Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16);
                if !known {
                    return Err(Error::mismatch(place, "f16, bf16, f32 or f64", format!("{:?}", tensor.dtype())));
                }
                match *tensor.shape() {
                    [rows, units] if rows == images && units > 0 => {}
                    ref other => {
                        let expected = format!("[{images}, units]: a row for each row of the labels");
                        return Err(Error::mismatch(place, expected, format!("{other:?}")));
                    }
                }
            }
        }
        Ok(Self { path: path.to_owned(), bytes, names })
    }

    /// The tensor called `name`, in f32.
    pub(super) fn matrix(&self, name: &str) -> Result<Matrix> {
        let place = || format!("{}: tensor {name:?}", self.path.display());
        let tensors = tensors(&self.path, &self.bytes)?;
        let tensor = tensors.tensor(name).map_err(|source| Error::malformed(place(), source))?;
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F64 => each(data, |bytes| f64::from_le_bytes(bytes) as f32),
            Dtype::F32 => each(data, f32::from_le_bytes),
            Dtype::F16 => each(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
            _ => each(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        };
        Matrix::new(tensor.shape()[0], tensor.shape()[1], values)
    }
}

fn tensors<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes).map_err(|source| Error::malformed(path.display(), source))
}

fn each<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
