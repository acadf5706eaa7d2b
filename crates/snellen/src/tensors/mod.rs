//! Matrices as others hand them to us: tensors of a safetensors file, NumPy's .npy and .npz.
//!
//! What a file is shows in its first bytes, not in its name; what holds no tensors is named for what it is (`foreign`). Opening reads
//! what a file says of its tensors, which is checked against its size; numbers are read when they are asked for, so what lies beside
//! them costs nothing. Everything that is no matrix of numbers is listed and left alone.

mod choose;
mod foreign;
mod npy;
mod npz;
mod number;

use crate::{Error, Result};
use foreign::{Foreign, LOOKED_AT, foreign};
use npy::Header;
use number::Number;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

pub use choose::Chosen;
pub(crate) use choose::left_alone;

/// The largest array that is read, in bytes.
pub const MAX_BYTES: u64 = 1 << 36;
/// The longest name of a tensor, in bytes.
const MAX_NAME: usize = 512;
/// The longest header of safetensors, in bytes: the limit of the format's own reader.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;

/// A file of tensors.
pub struct Tensors {
    path: PathBuf,
    found: Vec<Described>,
}

/// A tensor before its numbers are read.
struct Described {
    name: String,
    /// Its type in words.
    kind: String,
    /// `None` where even that is not known.
    shape: Option<Vec<usize>>,
    /// Of a matrix or a vector of numbers; else what it should be, and is.
    held: std::result::Result<Matrix, Refused>,
}

/// Where the numbers of a matrix, or of a vector, are.
#[derive(Clone, Copy)]
struct Matrix {
    /// Of a vector one row.
    shape: [usize; 2],
    /// Whether it is a vector, `[n]`.
    flat: bool,
    number: Number,
    big_endian: bool,
    /// Whether columns stand one after another.
    fortran: bool,
    /// The first byte of its data in the file or entry.
    start: u64,
    held: Held,
}

/// What the bytes of a matrix are a part of.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    /// The file.
    File,
    /// The entry of an archive that has its name.
    Entry,
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

impl Foreign {
    fn error(self, path: &Path) -> Error {
        let expected = "matrices in safetensors, .npy or .npz";
        Error::mismatch(path.display(), expected, format!("{}; {}", self.what, self.helps))
    }
}

impl Tensors {
    /// Looks at the file at `path`. The tensor of a .npy file is called like the file.
    ///
    /// # Errors
    /// When it is of another format, with what it is and what helps, or broken.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            let helps = "`--run` takes a recording of snellen record";
            return Err(Error::mismatch(
                path.display(),
                "a file: safetensors, .npy or .npz",
                format!("a folder; {helps}"),
            ));
        }
        let mut file = File::open(path).map_err(Error::io(path))?;
        let size = file.metadata().map_err(Error::io(path))?.len();
        let mut head = Vec::new();
        (&mut file).take(LOOKED_AT as u64).read_to_end(&mut head).map_err(Error::io(path))?;
        let mut found = if head.starts_with(npy::MAGIC) {
            vec![plain(path, file, size)?]
        } else if head.starts_with(npz::MAGIC) {
            npz::arrays(path)?
        } else if let Some(foreign) = foreign(path, &head) {
            return Err(foreign.error(path));
        } else {
            safetensors(path, file, size)?
        };
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let tensors = Self { path: path.to_owned(), found };
        if let Some(pair) = tensors.found.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Error::mismatch(tensors.place(&pair[0].name), "a name of its own", "a second one"));
        }
        Ok(tensors)
    }

    /// The tensors' names, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.iter().map(|found| found.name.as_str())
    }

    fn find(&self, name: &str) -> Result<&Described> {
        self.found.iter().find(|found| found.name == name).ok_or_else(|| self.absent(name))
    }

    fn matrix(&self, name: &str) -> Result<Matrix> {
        let refused = |refused: &Refused| Error::mismatch(self.place(name), &refused.expected, &refused.got);
        self.find(name)?.held.as_ref().copied().map_err(refused)
    }

    /// The rows and columns of the tensor called `name`.
    ///
    /// # Errors
    /// When there is none, or it is no matrix of numbers: with what it is and what helps.
    pub fn shape(&self, name: &str) -> Result<[usize; 2]> {
        let Matrix { shape, flat, number, .. } = self.matrix(name)?;
        if flat {
            let Refused { expected, got } = no_matrix(&shape[1..], number, "; x[:, None] makes one unit of it");
            return Err(Error::mismatch(self.place(name), expected, got));
        }
        Ok(shape)
    }

    /// How many numbers the tensor called `name` has, which is a vector: `[n]`, or a matrix of one row or column.
    ///
    /// # Errors
    /// When there is none, or it is none.
    pub fn length(&self, name: &str) -> Result<usize> {
        let Matrix { shape: shape @ [rows, columns], number, .. } = self.matrix(name)?;
        if rows.min(columns) != 1 {
            return Err(Error::mismatch(self.place(name), "a vector [n]", format!("{} {shape:?}", number.name())));
        }
        Ok(rows.max(columns))
    }

    /// What messages call a tensor.
    pub fn place(&self, name: &str) -> String {
        format!("{}: tensor {name:?}", self.path.display())
    }

    /// Every number of the tensor called `name`, row after row, as `of` makes it. Integers beyond 2^53 are rounded.
    ///
    /// # Errors
    /// When there is no such tensor, or its data are cut off.
    pub fn numbers<T: Copy>(&self, name: &str, of: impl Fn(f64) -> T) -> Result<Vec<T>> {
        let (place, matrix) = (self.place(name), self.matrix(name)?);
        let [rows, columns] = matrix.shape;
        let mut values: Vec<T> = Vec::new();
        let read = |from: &mut dyn Read| -> Result<()> {
            values = matrix.number.read(from, matrix.big_endian, rows * columns, &place, of)?;
            Ok(())
        };
        match matrix.held {
            Held::Entry => npz::data(&self.path, name, matrix.start, &place, read)?,
            Held::File => {
                let mut file = File::open(&self.path).map_err(Error::io(&self.path))?;
                file.seek(SeekFrom::Start(matrix.start)).map_err(Error::io(&self.path))?;
                read(&mut BufReader::new(file))?;
            }
        }
        // Columns after one another, as numpy.asfortranarray leaves them.
        let row_after_row = |at: usize| values[at % columns * rows + at / columns];
        Ok(if matrix.fortran { (0..values.len()).map(row_after_row).collect() } else { values })
    }
}

impl Described {
    /// An array of NumPy in a file or entry of `size` bytes.
    fn of_array(name: String, header: Header, size: u64, held: Held) -> Self {
        let Header { number, shape, fortran, data } = header;
        let kind = number.as_ref().map_or_else(Clone::clone, |(number, _)| number.name().to_owned());
        let matrix = number.map_err(|kind| no_numbers(&kind)).and_then(|(number, big_endian)| {
            let (shape, flat) = matrix(&shape, number)?;
            let needed = (shape[0] as u64).checked_mul(shape[1] as u64).and_then(|n| n.checked_mul(number.width()));
            let there = size.saturating_sub(data);
            if needed.is_none_or(|needed| needed > there || needed > MAX_BYTES) {
                return Err(Refused::new(format!("data for {shape:?}"), format!("{there} bytes")));
            }
            Ok(Matrix { shape, flat, number, big_endian, fortran, start: data, held })
        });
        Self { name, kind, shape: Some(shape), held: matrix }
    }

    /// Whether it can only be activations of `rows` images: a matrix of floats with that many rows.
    fn fits(&self, rows: usize) -> bool {
        self.held.as_ref().is_ok_and(|matrix| matrix.number.is_float() && !matrix.flat && matrix.shape[0] == rows)
    }

    /// Name, type and shape.
    fn shown(&self) -> String {
        let shape = self.shape.as_ref().map_or(String::new(), |shape| format!(" {shape:?}"));
        format!("{:?} ({}{shape})", self.name, self.kind)
    }
}

/// The only array of a file.
fn plain(path: &Path, mut file: File, size: u64) -> Result<Described> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let place = format!("{}: tensor {name:?}", path.display());
    check_name(&name, &place)?;
    file.rewind().map_err(Error::io(path))?;
    let mut head = Vec::new();
    file.take(npy::MAX_HEADER as u64 + 12).read_to_end(&mut head).map_err(Error::io(path))?;
    Ok(Described::of_array(name, Header::read(&head, &place)?, size, Held::File))
}

fn safetensors(path: &Path, mut file: File, size: u64) -> Result<Vec<Described>> {
    let mut length = [0; 8];
    file.rewind().and_then(|()| file.read_exact(&mut length)).map_err(Error::io(path))?;
    let header = u64::from_le_bytes(length);
    if header > MAX_SAFETENSORS_HEADER.min(size.saturating_sub(8)) {
        let got = "something else: its first 8 bytes are no length of a header";
        return Err(Error::mismatch(path.display(), "safetensors, .npy or .npz", got));
    }
    let mut head = Vec::new();
    file.take(header).read_to_end(&mut head).map_err(Error::io(path))?;
    let all: Metadata = serde_json::from_slice(&head).map_err(|e| Error::malformed(path.display(), e))?;
    let data = 8 + header;
    if data.checked_add(all.data_len() as u64) != Some(size) {
        let expected = format!("{data} bytes of header and {} of tensors", all.data_len());
        return Err(Error::mismatch(path.display(), expected, format!("{size} bytes")));
    }
    let described = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        check_name(&name, &format!("{}: tensor {name:?}", path.display()))?;
        let number = number(info.dtype);
        let kind = number.map_or_else(|| format!("{:?}", info.dtype).to_lowercase(), |number| number.name().to_owned());
        let start = data + info.data_offsets.0 as u64;
        let held = number.ok_or_else(|| no_numbers(&kind)).and_then(|number| {
            let (shape, flat) = matrix(&info.shape, number)?;
            Ok(Matrix { shape, flat, number, big_endian: false, fortran: false, start, held: Held::File })
        });
        Ok(Described { name, kind, shape: Some(info.shape.clone()), held })
    };
    all.tensors().into_iter().map(described).collect()
}

fn number(dtype: Dtype) -> Option<Number> {
    Some(match dtype {
        Dtype::BOOL => Number::Bool,
        Dtype::U8 => Number::U8,
        Dtype::U16 => Number::U16,
        Dtype::U32 => Number::U32,
        Dtype::U64 => Number::U64,
        Dtype::I8 => Number::I8,
        Dtype::I16 => Number::I16,
        Dtype::I32 => Number::I32,
        Dtype::I64 => Number::I64,
        Dtype::F16 => Number::F16,
        Dtype::BF16 => Number::Bf16,
        Dtype::F32 => Number::F32,
        Dtype::F64 => Number::F64,
        _ => return None,
    })
}

fn check_name(name: &str, place: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        let expected = format!("a name of 1 to {MAX_NAME} bytes without control characters");
        return Err(Error::mismatch(place, expected, format!("{} bytes", name.len())));
    }
    Ok(())
}

/// Of a type that is not read.
fn no_numbers(kind: &str) -> Refused {
    let helps = if kind.contains("objects") {
        "; objects are pickles, which can run code and are never read: numpy.stack(x).astype('float32') makes a matrix of rows"
    } else if kind.starts_with("f8") || kind.starts_with("bytes") {
        "; .astype('float32') makes numbers of them that are read"
    } else {
        ""
    };
    Refused::new("a matrix of numbers", format!("{kind}{helps}"))
}

/// Rows and columns, and whether it is a vector.
fn matrix(shape: &[usize], number: Number) -> std::result::Result<([usize; 2], bool), Refused> {
    let helps = match *shape {
        [rows, columns] if rows > 0 && columns > 0 => return Ok(([rows, columns], false)),
        [length] if length > 0 => return Ok(([1, length], true)),
        [_, _] | [_] => "; it holds no number",
        [_, _, _] => "; x[:, 0], x.mean(1) or x.max(1) leave one number of each unit (of the class token, over tokens)",
        [_, _, _, _] => "; x.mean((2, 3)) of [image, channel, row, column] leaves one number of each channel",
        _ => "",
    };
    Err(no_matrix(shape, number, helps))
}

fn no_matrix(shape: &[usize], number: Number, helps: &str) -> Refused {
    Refused::new("a matrix [image, unit]", format!("{} {shape:?}{helps}", number.name()))
}
