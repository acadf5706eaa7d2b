//! Weights: by name from files of safetensors or PyTorch, one tensor at a time, and back.
//!
//! Opening a checkpoint reads headers only, or what stands for them ([`crate::torch`]). A weight is read when a tower asks for it, widened to the engine's type piece by piece:
//! at no time are a file's bytes and its weights in memory together.

use crate::engine::{Real, Tensor};
use crate::model::layout::{Layout, Part, Place};
use crate::model::prefixes::Prefixes;
use crate::torch::{self, TorchFile};
use crate::{Error, Result, output};
use safetensors::tensor::{Dtype, TensorInfo, TensorView};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A source of weights: a file, a random initialisation, the state of a training run.
pub trait Parameters<F> {
    /// The weight of this name, which has this shape.
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<F>>;
}

/// Weights by name.
pub type Weights = BTreeMap<String, Tensor<f32>>;

/// Bytes that are read, hashed and widened at a time.
const PIECE: usize = 1 << 20;

/// The largest header that is read, in bytes: the limit of the format's own reader.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The weights of one or several files.
pub struct Checkpoint {
    /// The file, or the index of several.
    path: PathBuf,
    files: Vec<(PathBuf, File)>,
    tensors: BTreeMap<String, Stored>,
    /// What a header says beside the tensors.
    pub metadata: BTreeMap<String, String>,
    pub(in crate::model) layout: Layout,
    pub(in crate::model) prefixes: Prefixes,
    /// What stands in the files beside the tensors.
    pub(in crate::model) beside: Vec<String>,
    /// Whether a file is a TorchScript archive.
    pub(in crate::model) script: bool,
    /// The tensors that were asked for.
    pub(in crate::model) asked: BTreeSet<String>,
    /// Hashes of what was asked for, by tensor and part.
    used: BTreeMap<(String, usize), blake3::Hash>,
    taken: usize,
}

/// A tensor in a file.
struct Stored {
    file: usize,
    tensor: torch::Tensor,
}

impl Checkpoint {
    /// Opens one file whose names are those that the towers ask for.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of_files(path, &[path.to_owned()])
    }

    /// Opens files that make up one checkpoint; `path` is its name in messages.
    pub(in crate::model) fn of_files(path: &Path, files: &[PathBuf]) -> Result<Self> {
        let mut checkpoint = Self {
            path: path.to_owned(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            metadata: BTreeMap::new(),
            layout: Layout::Transformers { inside: false },
            prefixes: Prefixes::plain(),
            beside: Vec::new(),
            script: false,
            asked: BTreeSet::new(),
            used: BTreeMap::new(),
            taken: 0,
        };
        files.iter().try_for_each(|file| checkpoint.add(file))?;
        Ok(checkpoint)
    }

    /// Adds the tensors of a file.
    fn add(&mut self, path: &Path) -> Result<()> {
        let mut file = File::open(path).map_err(Error::io(path))?;
        let length = file.metadata().map_err(Error::io(path))?.len();
        let mut bytes = [0; 8];
        file.read_exact(&mut bytes).map_err(Error::io(path))?;
        if &bytes == b"version " {
            let got = "what Git LFS leaves in its place; `git lfs pull` gets the file itself";
            return Err(Error::mismatch(path.display(), "weights", got));
        }
        // No header of safetensors begins so: it would be longer than the longest.
        if TorchFile::is_one(&bytes) {
            return self.add_torch(path, file);
        }
        let header = u64::from_le_bytes(bytes);
        let most = MAX_HEADER_BYTES.min(length.saturating_sub(8));
        if header > most {
            let place = format!("{}: length of the header", path.display());
            return Err(Error::mismatch(place, format!("at most {most} bytes"), header));
        }
        let mut head = Vec::new();
        (&mut file).take(header).read_to_end(&mut head).map_err(Error::io(path))?;
        let parsed: Header = serde_json::from_slice(&head).map_err(|e| Error::malformed(path.display(), e))?;
        let data = 8 + header;
        let end = parsed.check(path)?;
        if data.checked_add(end) != Some(length) {
            let expected = format!("{data} bytes of header and {end} of tensors");
            return Err(Error::mismatch(path.display(), expected, format!("{length} bytes")));
        }
        self.metadata.extend(parsed.metadata.into_iter().flatten());
        let number = self.files.len();
        self.files.push((path.to_owned(), file));
        for (name, TensorInfo { dtype, shape, data_offsets }) in parsed.tensors {
            let start = data + data_offsets.0 as u64;
            let span = (data_offsets.1 - data_offsets.0) as u64;
            let tensor = torch::Tensor { dtype, shape, strides: None, start, span };
            self.insert(name, Stored { file: number, tensor })?;
        }
        Ok(())
    }

    /// Adds the tensors of a file of PyTorch.
    fn add_torch(&mut self, path: &Path, file: File) -> Result<()> {
        let torch = TorchFile::open(path)?;
        let state = torch.state()?;
        self.script |= torch.is_script();
        self.beside.extend(state.beside);
        let number = self.files.len();
        self.files.push((path.to_owned(), file));
        state.tensors.into_iter().try_for_each(|(name, tensor)| self.insert(name, Stored { file: number, tensor }))
    }

    fn insert(&mut self, name: String, stored: Stored) -> Result<()> {
        let path = &self.files[stored.file].0;
        if let Some(other) = self.tensors.get(&name) {
            let place = format!("{}: tensor `{name}`", path.display());
            let got = format!("another in {}", self.files[other.file].0.display());
            return Err(Error::mismatch(place, "one tensor of that name", got));
        }
        self.tensors.insert(name, stored);
        Ok(())
    }

    /// Reads names as `layout` has them, with the prefixes of the towers found in the file.
    pub fn named(mut self, layout: Layout, text: bool) -> Result<Self> {
        let names: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
        self.prefixes = Prefixes::find(&names, layout, text, &self.path)?;
        self.layout = layout;
        Ok(self)
    }

    /// The tensors' names in the files, in order.
    pub(in crate::model) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// Whether there is a tensor of this name in the files.
    pub(in crate::model) fn holds(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape and bytes of a tensor, which is of `dtype`; `None` where there is none.
    pub(in crate::model) fn bytes(&self, name: &str, dtype: Dtype) -> Result<Option<(Vec<usize>, Vec<u8>)>> {
        let Some(stored) = self.tensors.get(name) else { return Ok(None) };
        let (path, file) = &self.files[stored.file];
        if stored.tensor.dtype != dtype {
            let place = format!("{}: tensor `{name}`", path.display());
            return Err(Error::mismatch(place, format!("dtype {dtype:?}"), format!("{:?}", stored.tensor.dtype)));
        }
        let tensor = &stored.tensor;
        let mut bytes = vec![0; tensor.count() * dtype.bitsize() / 8];
        tensor.read(path, file, 0..tensor.count())?.read_exact(&mut bytes).map_err(Error::io(path))?;
        Ok(Some((tensor.shape.clone(), bytes)))
    }

    /// Whether the weight that the towers call `name` is there.
    pub(in crate::model) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(&self.place(name).name)
    }

    /// Where the weight that the towers call `name` stands, or would stand if it were there.
    fn place(&self, name: &str) -> Place {
        let Prefixes { vision, text } = &self.prefixes;
        let saved = self.layout.place(name, vision, text);
        if self.holds(&saved.name) {
            return saved;
        }
        self.layout.in_memory(name, vision).filter(|place| self.holds(&place.name)).unwrap_or(saved)
    }

    /// How many numbers were asked for so far.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// BLAKE3 of what was asked for so far, in hexadecimal: of name, part, type, shape and the hash of the bytes of each tensor, in
    /// order of name. It does not depend on how tensors are spread over files.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for ((name, part), hash) in &self.used {
            let stored = &self.tensors[name];
            hasher.update(format!("{name}\n{part} {:?} {:?}\n", stored.tensor.dtype, stored.tensor.shape).as_bytes());
            hasher.update(hash.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// All weights, under their names in the file.
    pub fn into_weights(mut self) -> Result<Weights> {
        let names: Vec<String> = self.tensors.keys().cloned().collect();
        let read = |name: String| {
            let shape = self.tensors[&name].tensor.shape.clone();
            let data = self.values(&name, 0, 1)?;
            Ok((name, Tensor::new(shape, data)))
        };
        names.into_iter().map(read).collect()
    }

    /// The file that a tensor of this checkpoint is in.
    pub(in crate::model) fn file_of(&self, name: &str) -> &Path {
        self.tensors.get(name).map_or(&self.path, |stored| &self.files[stored.file].0)
    }

    /// The shape of a tensor in the files.
    pub(in crate::model) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.tensor.shape.as_slice())
    }

    /// Whether a tensor has no values, as that of no registers.
    pub(in crate::model) fn is_empty(&self, name: &str) -> bool {
        self.tensors.get(name).is_some_and(|stored| stored.tensor.shape.contains(&0))
    }

    /// The values of block `block` of `of` equal ones of a tensor, in order; all finite.
    fn values<F: Real>(&mut self, name: &str, block: usize, of: usize) -> Result<Vec<F>> {
        let stored = &self.tensors[name];
        let (path, file) = &self.files[stored.file];
        let place = || format!("{}: tensor `{name}`", path.display());
        let (width, widen): (usize, Widen<F>) = match stored.tensor.dtype {
            Dtype::F32 => (4, |bytes, values| widen(bytes, values, f32::from_le_bytes)),
            Dtype::F16 => (2, |bytes, values| widen(bytes, values, |b| half::f16::from_le_bytes(b).to_f32())),
            Dtype::BF16 => (2, |bytes, values| widen(bytes, values, |b| half::bf16::from_le_bytes(b).to_f32())),
            Dtype::F64 => (8, |bytes, values| widen(bytes, values, |b| f64::from_le_bytes(b) as f32)),
            other => return Err(Error::mismatch(place(), "dtype F32, F16, BF16 or F64", format!("{other:?}"))),
        };
        let count = stored.tensor.count() / of;
        let mut file = stored.tensor.read(path, file, block * count..(block + 1) * count)?;
        let mut values: Vec<F> = Vec::with_capacity(count);
        let mut hasher = blake3::Hasher::new();
        let mut piece = vec![0; PIECE.min(count * width)];
        while values.len() < count {
            let bytes = (count - values.len()).saturating_mul(width).min(piece.len());
            let piece = &mut piece[..bytes];
            file.read_exact(piece).map_err(Error::io(path))?;
            hasher.update(piece);
            if !widen(piece, &mut values) {
                let bad = values.iter().position(|x| !x.is_finite()).unwrap_or_default();
                let got = format!("{:?} at element {}", values[bad], block * count + bad);
                return Err(Error::mismatch(place(), "finite values", got));
            }
        }
        self.used.insert((name.to_owned(), block), hasher.finalize());
        self.taken += count;
        Ok(values)
    }
}

/// Appends a piece of a file to values; whether all of it is finite.
type Widen<F> = fn(&[u8], &mut Vec<F>) -> bool;

fn widen<F: Real, const WIDTH: usize>(bytes: &[u8], values: &mut Vec<F>, one: impl Fn([u8; WIDTH]) -> f32) -> bool {
    let first = values.len();
    values.extend(bytes.as_chunks().0.iter().map(|bytes| F::narrow(one(*bytes))));
    values[first..].iter().fold(true, |finite, x| finite & x.is_finite())
}

/// What stands at the beginning of a file. The format's own reader checks it as well, without saying which tensor is wrong.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

impl Header {
    /// How many bytes the tensors take: one after the other without a gap, each as many as type and shape say.
    fn check(&self, path: &Path) -> Result<u64> {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);
        let mut end = 0_usize;
        for (name, TensorInfo { dtype, shape, data_offsets }) in tensors {
            let place = || format!("{}: tensor `{name}`", path.display());
            let bits = shape.iter().try_fold(dtype.bitsize(), |bits, extent| bits.checked_mul(*extent));
            let Some(bits) = bits else {
                return Err(Error::mismatch(place(), "a shape of fewer than 2^64 bits", format!("{shape:?}")));
            };
            let next = end.saturating_add(bits / 8);
            if *data_offsets != (end, next) || bits % 8 != 0 {
                let expected = format!("bytes {end} to {next} for {dtype:?} {shape:?}");
                return Err(Error::mismatch(place(), expected, format!("{} to {}", data_offsets.0, data_offsets.1)));
            }
            end = next;
        }
        Ok(end as u64)
    }
}

impl Checkpoint {
    /// Where the weight that the towers call `name` stands, which has to be of this shape.
    fn find(&mut self, name: &str, shape: &[usize]) -> Result<Place> {
        let place = self.place(name);
        let mut expected = shape.to_vec();
        match place.part {
            Part::Rows { of, .. } => expected[0] *= of,
            Part::Transposed => expected.reverse(),
            Part::Whole => {}
        }
        let Some(stored) = self.tensors.get(&place.name) else {
            let at = format!("{}: tensor `{}`", self.path.display(), place.name);
            return Err(Error::mismatch(at, format!("shape {expected:?}"), "no such tensor"));
        };
        let plain = |shape: &[usize]| shape.iter().copied().skip_while(|n| *n == 1).collect::<Vec<_>>();
        if plain(&stored.tensor.shape) != plain(&expected) {
            let at = format!("{}: tensor `{}`", self.files[stored.file].0.display(), place.name);
            return Err(Error::mismatch(at, format!("shape {expected:?}"), format!("{:?}", stored.tensor.shape)));
        }
        self.asked.insert(place.name.clone());
        Ok(place)
    }
}

impl<F: Real> Parameters<F> for Checkpoint {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<F>> {
        let place = self.find(name, shape)?;
        let (block, of) = match place.part {
            Part::Rows { block, of } => (block, of),
            _ => (0, 1),
        };
        let values = self.values(&place.name, block, of)?;
        if place.part != Part::Transposed {
            return Ok(Tensor::new(shape, values));
        }
        let (rows, columns) = (shape[0], shape[1]);
        let transposed = (0..rows).flat_map(|i| (0..columns).map(move |j| j * rows + i)).map(|at| values[at]).collect();
        Ok(Tensor::new(shape, transposed))
    }
}

/// The weights of a checkpoint as far as its headers tell: names and shapes are checked, and every value is 0.
pub(in crate::model) struct Shapes<'a>(pub(in crate::model) &'a mut Checkpoint);

impl Parameters<f32> for Shapes<'_> {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<f32>> {
        self.0.find(name, shape)?;
        // Zeros that nobody looks at take no memory.
        Ok(Tensor::new(shape, vec![0.0; shape.iter().product()]))
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
