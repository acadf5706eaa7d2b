//! Where the numbers of a tensor lie in its file.

use super::heap::{Node, View};
use super::{TorchFile, Value};
use crate::{Error, Result};
use safetensors::Dtype;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The type of its numbers, little-endian.
    pub dtype: Dtype,
    /// Lengths of its axes.
    pub shape: Vec<usize>,
    /// How far apart numbers are along each axis, in numbers; `None` where they lie in the order of the axes, without gaps.
    pub strides: Option<Vec<usize>>,
    /// Where its first number begins in the file, in bytes.
    pub start: u64,
    /// How many bytes lie between that and the end of its last number.
    pub span: u64,
}

impl Tensor {
    /// How many numbers it has.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The bytes of the numbers in `range`, in the order of the axes.
    pub(crate) fn read<'a>(&self, path: &Path, mut file: &'a File, range: Range<usize>) -> Result<Box<dyn Read + 'a>> {
        let width = self.dtype.bitsize() / 8;
        let Some(strides) = &self.strides else {
            file.seek(SeekFrom::Start(self.start + (range.start * width) as u64)).map_err(Error::io(path))?;
            return Ok(Box::new(file));
        };
        file.seek(SeekFrom::Start(self.start)).map_err(Error::io(path))?;
        let mut bytes = Vec::new();
        file.take(self.span).read_to_end(&mut bytes).map_err(Error::io(path))?;
        if bytes.len() as u64 != self.span {
            return Err(Error::mismatch(path.display(), format!("{} bytes of a tensor", self.span), bytes.len()));
        }
        let mut ordered = Vec::with_capacity(range.len() * width);
        for number in range {
            let (mut rest, mut at) = (number, 0);
            for (extent, stride) in self.shape.iter().zip(strides).rev() {
                at += rest % extent * stride;
                rest /= extent;
            }
            ordered.extend_from_slice(&bytes[at * width..][..width]);
        }
        Ok(Box::new(Cursor::new(ordered)))
    }
}

impl TorchFile {
    /// The numbers of a tensor of this file as bytes, in the order of its axes, little-endian.
    pub fn bytes(&self, tensor: &Tensor) -> Result<Vec<u8>> {
        let file = File::open(&self.path).map_err(Error::io(&self.path))?;
        let mut bytes = vec![0; tensor.count() * tensor.dtype.bitsize() / 8];
        let mut numbers = tensor.read(&self.path, &file, 0..tensor.count())?;
        numbers.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        drop(numbers);
        Ok(bytes)
    }

    /// The tensor that a value of this file is; `None` where it is something else.
    ///
    /// # Errors
    /// When the file does not have its numbers.
    pub fn tensor(&self, value: Value<'_>) -> Result<Option<Tensor>> {
        let Node::Tensor(view) = value.node() else { return Ok(None) };
        self.place(*view).map(Some)
    }

    fn place(&self, view: View) -> Result<Tensor> {
        let View { storage, dtype, offset, shape, strides } = view;
        let key = self.values.key(storage);
        let place = || format!("{}: storage `{}`", self.path.display(), shown(key));
        let sizes = self.values.sizes(shape).zip(self.values.sizes(strides));
        let sizes = sizes.filter(|(shape, strides)| shape.len() == strides.len());
        let Some((shape, strides)) = sizes else {
            return Err(Error::mismatch(place(), "a tensor with a stride for every axis", "another"));
        };
        let Some(extent) = self.storages.get(key) else {
            return Err(Error::mismatch(place(), "its numbers", "none"));
        };
        let width = (dtype.bitsize() / 8) as u64;
        let own = storage.dtype.map_or(1, |own| (own.bitsize() / 8) as u64);
        let bytes = storage.count.saturating_mul(own);
        if bytes > extent.bytes {
            let got = format!("{} bytes", extent.bytes);
            return Err(Error::mismatch(place(), format!("{} numbers, {bytes} bytes", storage.count), got));
        }
        let far = || {
            let got = format!("a tensor {shape:?} with strides {strides:?} from number {offset} on");
            Error::mismatch(place(), format!("a tensor of its {bytes} bytes"), got)
        };
        if shape.contains(&0) {
            return Ok(Tensor { dtype, shape, strides: None, start: extent.start, span: 0 });
        }
        // The last number that the tensor has.
        let last = shape.iter().zip(&strides).try_fold(0_u64, |last, (extent, stride)| {
            last.checked_add((*extent as u64 - 1).checked_mul(*stride as u64)?)
        });
        let numbers = shape.iter().try_fold(1_usize, |count, extent| count.checked_mul(*extent)).ok_or_else(far)?;
        let last = last.ok_or_else(far)?;
        let end = last.checked_add(offset).and_then(|last| last.checked_add(1)?.checked_mul(width));
        if end.is_none_or(|end| end > bytes) {
            return Err(far());
        }
        let most = (bytes / width).max(1 << 20);
        if numbers as u64 > most {
            return Err(Error::mismatch(place(), format!("a tensor of at most {most} numbers"), numbers));
        }
        let ordered = shape
            .iter()
            .zip(&strides)
            .rev()
            .try_fold(1_usize, |step, (extent, stride)| (*extent == 1 || *stride == step).then_some(step * extent));
        let strides = ordered.is_none().then_some(strides);
        Ok(Tensor { dtype, shape, strides, start: extent.start + offset * width, span: (last + 1) * width })
    }
}

/// A key as a message shows it.
fn shown(key: &str) -> String {
    key.chars().take(100).flat_map(char::escape_debug).collect()
}
