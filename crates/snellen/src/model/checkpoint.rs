//! Weights: by name from `model.safetensors`, checked one by one, and back.

use crate::engine::{Real, Tensor};
use crate::{Error, Result, output};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A source of weights: a file, a random initialisation, the state of a training run.
pub trait Parameters<F> {
    /// The weight of this name, which has this shape.
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<F>>;
}

/// Weights by name.
pub type Weights = BTreeMap<String, Tensor<f32>>;

/// Weights read from a file; what no one asked for remains.
pub struct Checkpoint {
    path: PathBuf,
    weights: Weights,
    /// BLAKE3 of the file, in hexadecimal.
    pub hash: String,
    /// What the header says beside the tensors.
    pub metadata: BTreeMap<String, String>,
    taken: usize,
}

impl Checkpoint {
    /// Reads `path`: every tensor is F32 and finite.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let mut weights = Weights::new();
        for (name, shape, data) in tensors(path, &bytes)? {
            if let Some(i) = data.iter().position(|x| !x.is_finite()) {
                let place = format!("{}: tensor `{name}`", path.display());
                return Err(Error::mismatch(place, "finite values", format!("{} at element {i}", data[i])));
            }
            weights.insert(name, Tensor::new(shape, data));
        }
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| Error::malformed(path.display(), e))?;
        let metadata = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Self { path: path.to_owned(), weights, hash: blake3::hash(&bytes).to_hex().to_string(), metadata, taken: 0 })
    }

    /// How many numbers were asked for so far.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The weights, as they were read.
    pub fn into_weights(self) -> Weights {
        self.weights
    }

    /// Refuses weights that no part of the model asked for: they would mean another architecture.
    pub fn finish(self) -> Result<()> {
        match self.weights.keys().next() {
            Some(name) => {
                Err(Error::mismatch(self.path.display(), "only tensors of a CLIP model", format!("`{name}`")))
            }
            None => Ok(()),
        }
    }
}

/// The F32 tensors of a safetensors file in order of name; buffers of positions, which hold no weights, are left out.
fn tensors(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Vec<usize>, Vec<f32>)>> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| Error::malformed(path.display(), e))?;
    let mut names: Vec<&str> = file.names();
    names.retain(|name| !name.ends_with(".position_ids"));
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| {
            let view = file.tensor(name).map_err(|e| Error::malformed(path.display(), e))?;
            if view.dtype() != Dtype::F32 {
                let place = format!("{}: tensor `{name}`", path.display());
                return Err(Error::mismatch(place, "dtype F32", format!("{:?}", view.dtype())));
            }
            let data = view.data().chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
            Ok((name.to_owned(), view.shape().to_vec(), data))
        })
        .collect()
}

impl<F: Real> Parameters<F> for Checkpoint {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<F>> {
        let place = || format!("{}: tensor `{name}`", self.path.display());
        let tensor = self
            .weights
            .remove(name)
            .ok_or_else(|| Error::mismatch(place(), format!("shape {shape:?}"), "no such tensor"))?;
        if tensor.shape() != shape {
            return Err(Error::mismatch(place(), format!("shape {shape:?}"), format!("{:?}", tensor.shape())));
        }
        self.taken += tensor.data().len();
        Ok(Tensor::new(shape, tensor.data().iter().map(|x| F::of(*x as f64)).collect()))
    }
}

impl Parameters<f32> for Weights {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<f32>> {
        look_up(self, name, shape)
    }
}

/// A weight in memory, shared rather than copied.
pub(crate) fn look_up(weights: &Weights, name: &str, shape: &[usize]) -> Result<Tensor<f32>> {
    let place = || format!("weight `{name}`");
    let tensor = weights.get(name).ok_or_else(|| Error::mismatch(place(), format!("shape {shape:?}"), "none"))?;
    if tensor.shape() != shape {
        return Err(Error::mismatch(place(), format!("shape {shape:?}"), format!("{:?}", tensor.shape())));
    }
    Ok(tensor.clone())
}

/// Writes weights as safetensors with one entry of metadata; the same weights give the same bytes.
pub fn write(path: &Path, weights: &Weights, (key, value): (&str, &str)) -> Result<()> {
    let bytes: BTreeMap<&String, Vec<u8>> =
        weights.iter().map(|(name, t)| (name, t.data().iter().flat_map(|x| x.to_le_bytes()).collect())).collect();
    let views: Vec<(&String, TensorView<'_>)> = bytes
        .iter()
        .map(|(name, bytes)| {
            let shape = weights[*name].shape().to_vec();
            TensorView::new(Dtype::F32, shape, bytes).map(|view| (*name, view)).map_err(|e| Error::malformed(name, e))
        })
        .collect::<Result<_>>()?;
    let metadata = std::collections::HashMap::from([(key.to_owned(), value.to_owned())]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(|e| Error::malformed(path.display(), e))?;
    output::write_file(path, &file)
}
