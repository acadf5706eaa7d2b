//! NumPy's archives of arrays (.npz): which there are, and the bytes of one.

use super::foreign::{foreign_archive, sparse};
use super::npy::{Header, MAX_HEADER};
use super::{Described, Held, MAX_BYTES, Refused, check_name};
use crate::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// What an archive begins with.
pub(super) const MAGIC: &[u8] = b"PK";
/// Deflate cannot make less of a file.
const MAX_DEFLATE: u64 = 1100;
/// The most entries of an archive.
const MAX_ENTRIES: usize = 1 << 16;

/// The arrays of the archive at `path`. What is no array is among them, with what it is.
///
/// # Errors
/// When it is no archive, one of another program, or a matrix that SciPy saved as a sparse one.
pub(super) fn arrays(path: &Path) -> Result<Vec<Described>> {
    let mut archive = open(path)?;
    let names: Vec<String> = archive.file_names().map(|name| name.map_or_else(|_| String::new(), Into::into)).collect();
    if names.len() > MAX_ENTRIES {
        return Err(Error::mismatch(path.display(), format!("at most {MAX_ENTRIES} arrays"), names.len()));
    }
    if let Some(foreign) = foreign_archive(path, names.iter().map(String::as_str)) {
        return Err(foreign.error(path));
    }
    let holds = |all: &[&str]| all.iter().all(|name| names.iter().any(|n| n.strip_suffix(".npy") == Some(name)));
    if holds(&["format", "shape", "data"])
        && (holds(&["indices", "indptr"]) || holds(&["row", "col"]) || holds(&["offsets"]))
    {
        let got = format!("a sparse matrix of scipy.sparse.save_npz; {}", sparse(path));
        return Err(Error::mismatch(path.display(), "matrices of numbers", got));
    }
    (0..archive.len()).map(|k| describe(&mut archive, k, &names[k], path)).collect()
}

fn describe(archive: &mut ZipArchive<BufReader<File>>, k: usize, entry: &str, path: &Path) -> Result<Described> {
    let name = entry.strip_suffix(".npy").unwrap_or(entry);
    let place = format!("{}: tensor {name:?}", path.display());
    check_name(name, &place)?;
    let other = |kind: &str, expected: &str, got: String| {
        let refused = Refused::new(expected, got);
        Ok(Described { name: name.to_owned(), kind: kind.to_owned(), shape: None, held: Err(refused) })
    };
    if name == entry {
        return other("no array", "an array NAME.npy", "another entry".to_owned());
    }
    let found = match archive.by_index(k) {
        Ok(found) => found,
        Err(error) => {
            return other("an entry that cannot be read", "an entry that is stored or deflated", error.to_string());
        }
    };
    let size = found.size();
    if size > MAX_BYTES || size > MAX_DEFLATE * (found.compressed_size() + 1) {
        return other(
            "an array of another size",
            "an array of the size that its entry can hold",
            format!("{size} bytes"),
        );
    }
    let mut first = Vec::new();
    let read = found.take(MAX_HEADER as u64 + 12).read_to_end(&mut first);
    match read.map_err(|e| Error::malformed(&place, e)).and_then(|_| Header::read(&first, &place)) {
        Ok(header) => Ok(Described::of_array(name.to_owned(), header, size, Held::Entry)),
        Err(error) => other("an array that cannot be read", "an array of numpy", error.to_string()),
    }
}

/// The data of the array called `name`, whose header is `header` bytes long.
pub(super) fn data(
    path: &Path,
    name: &str,
    header: u64,
    place: &str,
    read: impl FnOnce(&mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut archive = open(path)?;
    let entry = archive.by_name(&format!("{name}.npy")).map_err(|e| Error::malformed(place, e))?;
    let size = entry.size();
    let mut entry = entry.take(size);
    let skipped = std::io::copy(&mut (&mut entry).take(header), &mut std::io::sink());
    skipped.map_err(|e| Error::malformed(place, e))?;
    read(&mut entry)
}

fn open(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(path).map_err(Error::io(path))?;
    ZipArchive::new(BufReader::new(file)).map_err(|e| crate::torch::cut(path, e))
}
