//! PyTorch's files, read as data.
//!
//! `torch.save` writes a pickle, a program whose instructions can call anything that Python can import. None is run here: a machine
//! of some fifty instructions builds values, and knows by name the few dozen functions and classes that tensors, dictionaries and
//! numbers are written with. Any other name is refused where it stands in the file. So are lengths, depths and sizes that the
//! file cannot hold, and what a value refers to is looked up only when it is asked for.
//!
//! Read are archives (zip, since PyTorch 1.6), the format before it, and TorchScript, of which the code is left alone: the values of
//! its modules' attributes are data like others.
//!
//! ```no_run
//! use snellen::torch::TorchFile;
//!
//! let file = TorchFile::open("dictionary.pt".as_ref())?;
//! let width = file.root().get("d_sae").and_then(|value| value.int());
//! for (name, tensor) in file.state()?.tensors {
//!     println!("{name}: {:?} {:?} of {width:?}", tensor.dtype, tensor.shape);
//! }
//! # Ok::<(), snellen::Error>(())
//! ```

mod archive;
mod heap;
mod legacy;
mod machine;
mod names;
mod rebuild;
mod state;
mod stored;
mod value;

pub(crate) use archive::cut;
pub use state::State;
pub use stored::Tensor;
pub use value::{Kind, Value};

use crate::{Error, Result};
use heap::Values;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest pickle that is read, in bytes. Numbers are not in it: those of the largest models take some megabytes.
const MAX_PICKLE: u64 = 1 << 26;

/// What an archive begins with.
const ZIP: &[u8] = b"PK\x03\x04";

/// A file of `torch.save` or `torch.jit.save`.
pub struct TorchFile {
    path: PathBuf,
    values: Values,
    /// Where the numbers of every storage are.
    storages: BTreeMap<String, Extent>,
    script: bool,
}

/// A run of bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    start: u64,
    bytes: u64,
}

impl TorchFile {
    /// Whether a file that begins with `first`, at least four bytes, is one of these.
    pub fn is_one(first: &[u8]) -> bool {
        first.starts_with(ZIP) || legacy::begins(first)
    }

    /// Reads the values of the file at `path`, but no numbers of its tensors.
    ///
    /// # Errors
    /// Names the place of whatever is not data: a function or class that is not known, an instruction, a size that the file does not
    /// have.
    pub fn open(path: &Path) -> Result<Self> {
        let mut first = Vec::new();
        let file = File::open(path).map_err(Error::io(path))?;
        file.take(4).read_to_end(&mut first).map_err(Error::io(path))?;
        if first.starts_with(ZIP) {
            return archive::open(path);
        }
        if legacy::begins(&first) {
            return legacy::open(path);
        }
        Err(Error::mismatch(path.display(), "a file of PyTorch: a zip archive or a pickle", "something else"))
    }

    /// What was saved.
    pub fn root(&self) -> Value<'_> {
        Value::new(&self.values, self.values.root)
    }

    /// Whether the file is a TorchScript archive, a model with its code.
    pub fn is_script(&self) -> bool {
        self.script
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
