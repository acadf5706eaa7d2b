//! Matrices as others hand them to us: tensors of a safetensors file, NumPy's .npy and .npz.
//!
//! What a file is shows in its first bytes, not in its name. Everything in it is checked before anything of its size is allocated.

use crate::{Error, Result};
use half::{bf16, f16};
use npyz::{NpyFile, NpyHeader, Order};
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// The largest file that is read, in bytes, and the largest array in an archive; all of it is in memory.
pub const MAX_BYTES: u64 = 1 << 36;
/// The longest name of a tensor, in bytes.
const MAX_NAME: usize = 512;
/// The longest header of a .npy file, in bytes.
const MAX_HEADER: usize = 4096;
/// Digits of a shape, together.
const MAX_DIGITS: usize = 18;
/// Deflate cannot make less of a file.
const MAX_DEFLATE: u64 = 1100;

const NPY: &[u8] = b"\x93NUMPY";
const ZIP: &[u8] = b"PK";

/// A file of matrices of floats.
pub struct Tensors {
    path: PathBuf,
    bytes: Vec<u8>,
    kind: Kind,
    matrices: Vec<Described>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Safetensors,
    Npy,
    Npz,
}

/// A tensor before its numbers are read.
struct Described {
    name: String,
    /// Of a matrix; else what it should be, and is.
    shape: std::result::Result<[usize; 2], Refused>,
}

#[derive(Clone)]
struct Refused {
    expected: String,
    got: String,
}

impl Refused {
    fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}

impl Tensors {
    /// Reads the file at `path`. The tensor of a .npy file is called like the file.
    ///
    /// # Errors
    /// Names file and tensor.
    pub fn open(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(Error::io(path))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::mismatch(path.display(), format!("at most {MAX_BYTES} bytes"), "more"));
        }
        let kind = match &bytes {
            bytes if bytes.starts_with(NPY) => Kind::Npy,
            bytes if bytes.starts_with(ZIP) => Kind::Npz,
            _ => Kind::Safetensors,
        };
        let mut tensors = Self { path: path.to_owned(), bytes, kind, matrices: Vec::new() };
        let mut matrices = match kind {
            Kind::Safetensors => tensors.safetensors()?,
            Kind::Npy => vec![tensors.npy()?],
            Kind::Npz => tensors.npz()?,
        };
        matrices.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = matrices.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Error::mismatch(tensors.place(&pair[0].name), "a name of its own", "a second one"));
        }
        tensors.matrices = matrices;
        Ok(tensors)
    }

    /// The tensors' names, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.matrices.iter().map(|matrix| matrix.name.as_str())
    }

    /// The tensor called `preferred`, or the only one.
    ///
    /// # Errors
    /// When there is neither.
    pub fn one(&self, preferred: &str) -> Result<&str> {
        let names: Vec<&str> = self.names().collect();
        if let [only] = names[..] {
            return Ok(only);
        }
        names.iter().find(|name| **name == preferred).copied().ok_or_else(|| {
            let expected = format!("a tensor `{preferred}`, or one tensor only");
            let shown = names.iter().take(8).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let got = format!("{} tensors ({shown}{})", names.len(), if names.len() > 8 { ", ..." } else { "" });
            Error::mismatch(self.path.display(), expected, got)
        })
    }

    /// The rows and columns of the tensor called `name`.
    ///
    /// # Errors
    /// When there is none, or it is no matrix of f16, bf16, f32 or f64.
    pub fn shape(&self, name: &str) -> Result<[usize; 2]> {
        let found = self.matrices.iter().find(|matrix| matrix.name == name);
        let found = found.ok_or_else(|| Error::mismatch(self.place(name), "a tensor", "none"))?;
        found.shape.clone().map_err(|refused| Error::mismatch(self.place(name), refused.expected, refused.got))
    }

    /// What messages call a tensor.
    pub fn place(&self, name: &str) -> String {
        format!("{}: tensor {name:?}", self.path.display())
    }

    /// Every number of the tensor called `name`, row after row, as `of` makes it.
    ///
    /// # Errors
    /// When there is no such tensor, or its data are cut off.
    pub fn numbers<T: Copy>(&self, name: &str, of: impl Fn(f64) -> T) -> Result<Vec<T>> {
        let (place, shape) = (self.place(name), self.shape(name)?);
        match self.kind {
            Kind::Safetensors => {
                let tensors = self.deserialized()?;
                let tensor = tensors.tensor(name).map_err(|source| Error::malformed(&place, source))?;
                let data = tensor.data();
                Ok(match tensor.dtype() {
                    Dtype::F64 => each(data, |bytes| of(f64::from_le_bytes(bytes))),
                    Dtype::F32 => each(data, |bytes| of(f64::from(f32::from_le_bytes(bytes)))),
                    Dtype::F16 => each(data, |bytes| of(f64::from(f16::from_le_bytes(bytes)))),
                    _ => each(data, |bytes| of(f64::from(bf16::from_le_bytes(bytes)))),
                })
            }
            Kind::Npy => array(&self.bytes, &place, shape, of),
            Kind::Npz => {
                let mut archive = self.archive()?;
                let k = archive
                    .index_for_name(&entry_name(name))
                    .ok_or_else(|| Error::mismatch(&place, "an entry", "none"))?;
                let mut bytes = Vec::new();
                let entry = archive.by_index(k).map_err(|source| Error::malformed(&place, source))?;
                let size = entry.size();
                entry.take(size).read_to_end(&mut bytes).map_err(|source| Error::malformed(&place, source))?;
                array(&bytes, &place, shape, of)
            }
        }
    }

    fn deserialized(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|source| Error::malformed(self.path.display(), source))
    }

    fn archive(&self) -> Result<ZipArchive<Cursor<&[u8]>>> {
        ZipArchive::new(Cursor::new(&self.bytes[..])).map_err(|source| Error::malformed(self.path.display(), source))
    }

    fn safetensors(&self) -> Result<Vec<Described>> {
        let tensors = self.deserialized()?;
        let described = |name: &str| {
            let place = self.place(name);
            check_name(name, &place)?;
            let tensor = tensors.tensor(name).map_err(|source| Error::malformed(&place, source))?;
            let shape = match tensor.dtype() {
                Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16 => matrix(tensor.shape()),
                other => Err(Refused::new("f16, bf16, f32 or f64", format!("{other:?}"))),
            };
            Ok(Described { name: name.to_owned(), shape })
        };
        tensors.names().into_iter().map(described).collect()
    }

    fn npy(&self) -> Result<Described> {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let place = self.place(&name);
        check_name(&name, &place)?;
        let header = header(&self.bytes, &place)?;
        Ok(Described { shape: check_array(&header, self.bytes.len() as u64), name })
    }

    fn npz(&self) -> Result<Vec<Described>> {
        let mut archive = self.archive()?;
        let mut found = Vec::new();
        for k in 0..archive.len() {
            let entry = archive.by_index(k).map_err(|source| Error::malformed(self.path.display(), source))?;
            let name = entry.name().map_err(|source| Error::malformed(self.path.display(), source))?.into_owned();
            let Some(name) = name.strip_suffix(".npy") else {
                return Err(Error::mismatch(self.place(&name), "an entry NAME.npy", "another"));
            };
            let place = self.place(name);
            check_name(name, &place)?;
            let size = entry.size();
            if size > MAX_BYTES || size > MAX_DEFLATE * (entry.compressed_size() + 1) {
                return Err(Error::mismatch(
                    place,
                    "an array of the size that its entry can hold",
                    format!("{size} bytes"),
                ));
            }
            let mut first = Vec::new();
            entry.take(2 * MAX_HEADER as u64).read_to_end(&mut first).map_err(|e| Error::malformed(&place, e))?;
            let header = header(&first, &place)?;
            found.push(Described { shape: check_array(&header, size), name: name.to_owned() });
        }
        Ok(found)
    }
}

fn entry_name(name: &str) -> String {
    format!("{name}.npy")
}

fn check_name(name: &str, place: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        let expected = format!("a name of 1 to {MAX_NAME} bytes without control characters");
        return Err(Error::mismatch(place, expected, format!("{} bytes", name.len())));
    }
    Ok(())
}

fn matrix(shape: &[usize]) -> std::result::Result<[usize; 2], Refused> {
    match *shape {
        [rows, columns] if rows > 0 && columns > 0 => Ok([rows, columns]),
        ref other => Err(Refused::new("a matrix [image, unit]", format!("{other:?}"))),
    }
}

/// The header of the array in `bytes`, and where its data begin. Its text is looked at before it is parsed: that of a matrix of floats is short and holds one
/// pair of parentheses.
fn header(bytes: &[u8], place: &str) -> Result<(NpyHeader, u64)> {
    let length = match bytes.get(6) {
        Some(1) => bytes.get(8..10).map(|b| (10_usize, usize::from(u16::from_le_bytes([b[0], b[1]])))),
        _ => bytes.get(8..12).map(|b| (12, u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)),
    };
    let length = length.filter(|(_, length)| *length <= MAX_HEADER);
    let text = length.and_then(|(first, length)| bytes.get(first..first + length));
    let text = text.map(String::from_utf8_lossy);
    let count = |char: char| text.as_ref().map_or(0, |text| text.matches(char).count());
    // The parser multiplies the shape in 64 bits: so many digits cannot be more.
    let shape = text.as_ref().and_then(|text| text.split_once('(').map(|(_, rest)| rest.to_owned()));
    let digits = shape.map_or(0, |rest| rest.matches(|char: char| char.is_ascii_digit()).count());
    let simple = count('(') == 1 && count('{') == 1 && count('[') == 0 && digits <= MAX_DIGITS;
    if !bytes.starts_with(NPY) || text.is_none() || !simple {
        return Err(Error::mismatch(place, "the .npy header of a matrix of floats", "something else"));
    }
    let parsed = NpyHeader::from_reader(bytes).map_err(|source| Error::malformed(place, source))?;
    Ok((parsed, length.map_or(0, |(first, length)| (first + length) as u64)))
}

/// The shape of the array of `header` whose data begin at `first` of a file of `size` bytes.
fn check_array((header, first): &(NpyHeader, u64), size: u64) -> std::result::Result<[usize; 2], Refused> {
    let dtype = header.dtype().descr();
    let width = width(&dtype).ok_or_else(|| Refused::new("f16, f32 or f64", dtype))?;
    let shape: Vec<usize> = header.shape().iter().map(|n| usize::try_from(*n).unwrap_or(usize::MAX)).collect();
    let [rows, columns] = matrix(&shape)?;
    let needed = (rows as u64).checked_mul(columns as u64).and_then(|n| n.checked_mul(width));
    let data = size.saturating_sub(*first);
    if needed.is_none_or(|needed| needed > data) {
        return Err(Refused::new(format!("data for {shape:?}"), format!("{data} bytes")));
    }
    Ok([rows, columns])
}

/// Bytes of a number.
fn width(dtype: &str) -> Option<u64> {
    match dtype.trim_matches('\'').trim_start_matches(['<', '>', '=']) {
        "f2" => Some(2),
        "f4" => Some(4),
        "f8" => Some(8),
        _ => None,
    }
}

/// The numbers of the array in `bytes`, row after row.
fn array<T: Copy>(bytes: &[u8], place: &str, [rows, columns]: [usize; 2], of: impl Fn(f64) -> T) -> Result<Vec<T>> {
    let malformed = |source: std::io::Error| Error::malformed(place, source);
    header(bytes, place)?;
    let file = NpyFile::new(bytes).map_err(malformed)?;
    let (order, width) = (file.order(), width(&file.dtype().descr()));
    let values: Vec<T> = match width {
        Some(2) => file.into_vec::<f16>().map_err(malformed)?.into_iter().map(|x| of(f64::from(x))).collect(),
        Some(4) => file.into_vec::<f32>().map_err(malformed)?.into_iter().map(|x| of(f64::from(x))).collect(),
        _ => file.into_vec::<f64>().map_err(malformed)?.into_iter().map(of).collect(),
    };
    if values.len() != rows * columns {
        return Err(Error::mismatch(place, format!("{rows} x {columns} numbers"), values.len()));
    }
    // Columns after one another, as numpy.asfortranarray leaves them.
    let row_after_row = |at: usize| values[at % columns * rows + at / columns];
    Ok(if order == Order::Fortran { (0..values.len()).map(row_after_row).collect() } else { values })
}

fn each<T, const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
