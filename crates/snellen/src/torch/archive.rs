//! Archives of `torch.save` and `torch.jit.save` (zip): `NAME/data.pkl`, and a file `NAME/data/KEY` for every storage.

use super::{Extent, MAX_PICKLE, TorchFile, machine};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The most files of an archive.
const MAX_FILES: usize = 1 << 20;

/// An archive's list of files stands at its end, so one that is not there was most likely cut off.
pub(crate) fn cut(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::InvalidArchive(_) => {
            Error::mismatch(path.display(), "a whole zip archive", format!("one that is cut off or damaged ({error})"))
        }
        other => Error::malformed(path.display(), other),
    }
}

pub(super) fn open(path: &Path) -> Result<TorchFile> {
    let file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| cut(path, e))?;
    if archive.len() > MAX_FILES {
        return Err(Error::mismatch(path.display(), format!("at most {MAX_FILES} files inside"), archive.len()));
    }
    let names: Vec<String> = archive.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let root = names
        .iter()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .find(|root| root.is_empty() || root.ends_with('/') && !root.trim_end_matches('/').contains('/'));
    let Some(root) = root else {
        let got = names.first().map_or("an empty archive".to_owned(), |name| {
            let name: String = name.chars().take(100).flat_map(char::escape_debug).collect();
            format!("an archive of other files (`{name}`)")
        });
        return Err(Error::mismatch(path.display(), "an archive of PyTorch, with a data.pkl", got));
    };
    let mut small = |name: &str, most: u64| -> Result<Option<Vec<u8>>> {
        let Some(index) = names.iter().position(|own| own.strip_prefix(root) == Some(name)) else { return Ok(None) };
        let mut bytes = Vec::new();
        let place = || format!("{}: {name}", path.display());
        let entry = archive.by_index(index).map_err(|e| Error::malformed(place(), e))?;
        entry.take(most + 1).read_to_end(&mut bytes).map_err(|e| Error::malformed(place(), e))?;
        if bytes.len() as u64 > most {
            return Err(Error::mismatch(place(), format!("at most {most} bytes"), "more"));
        }
        Ok(Some(bytes))
    };
    if let Some(order) = small("byteorder", 100)?
        && order.trim_ascii() != b"little"
    {
        let got = String::from_utf8_lossy(&order).chars().take(20).flat_map(char::escape_debug).collect::<String>();
        return Err(Error::mismatch(format!("{}: byteorder", path.display()), "little", got));
    }
    let bytes = small("data.pkl", MAX_PICKLE)?.unwrap_or_default();
    let script = names.iter().any(|name| name.strip_prefix(root) == Some("constants.pkl"));
    let (values, _) = machine::read(&bytes, &format!("{}: data.pkl", path.display()), script)?;
    let folder = format!("{root}data/");
    let mut storages = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let Some(key) = name.strip_prefix(&folder).filter(|key| !key.is_empty()) else { continue };
        let place = || {
            format!("{}: {}", path.display(), name.chars().take(200).flat_map(char::escape_debug).collect::<String>())
        };
        let entry = archive.by_index_raw(index).map_err(|e| Error::malformed(place(), e))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(Error::mismatch(place(), "numbers as they are, which PyTorch writes", "compressed ones"));
        }
        let (start, bytes) = (entry.data_start().unwrap_or(u64::MAX), entry.size());
        if start.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(Error::mismatch(place(), format!("{bytes} bytes"), "fewer"));
        }
        storages.insert(key.to_owned(), Extent { start, bytes });
    }
    Ok(TorchFile { path: path.to_owned(), values, storages, script })
}
