//! Files of `torch.save` before PyTorch 1.6: five pickles one after the other (a magic number, a version, facts about the machine, the
//! values, the keys of the storages), and behind them the numbers of each storage, with a count before each.

use super::heap::{Node, Storage, Values};
use super::machine::read;
use super::{Extent, MAX_PICKLE, TorchFile, Value};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// What is in the first pickle: a number of ten bytes.
const MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";

/// Whether a file begins as these do.
pub(super) fn begins(first: &[u8]) -> bool {
    first.first() == Some(&0x80) && first.get(1).is_some_and(|version| (2..=5).contains(version))
}

pub(super) fn open(path: &Path) -> Result<TorchFile> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let mut bytes = Vec::new();
    (&mut file).take(MAX_PICKLE).read_to_end(&mut bytes).map_err(Error::io(path))?;
    if !bytes[..bytes.len().min(40)].windows(MAGIC.len()).any(|window| window == MAGIC) {
        let got = "another pickle, which can run code and is not read";
        return Err(Error::mismatch(path.display(), "a file of `torch.save`", got));
    }
    let mut at = 0;
    let mut next = |what: &str| -> Result<Values> {
        let place = format!("{}: {what}, which begins at byte {at}", path.display());
        let (values, taken) = read(&bytes[at..], &place, false)?;
        at += taken;
        Ok(values)
    };
    next("the magic number")?;
    let version = next("the version")?;
    let version = Value::new(&version, version.root).int();
    if version != Some(1001) {
        let got = version.map_or_else(|| "something else".to_owned(), |version| version.to_string());
        return Err(Error::mismatch(path.display(), "version 1001 of the format", got));
    }
    let machine = next("what is said of the machine")?;
    let little = Value::new(&machine, machine.root).get("little_endian");
    if little.is_some_and(|little| matches!(little.node(), Node::Bool(false))) {
        return Err(Error::mismatch(path.display(), "numbers of a little-endian machine", "of a big-endian one"));
    }
    let values = next("the values")?;
    let keys = next("the keys of storages")?;
    let known: BTreeMap<&str, Storage> = values.storages().collect();
    let mut storages = BTreeMap::new();
    let mut start = at as u64;
    for key in Value::new(&keys, keys.root).items() {
        let key = key.text().unwrap_or_default();
        let place = || format!("{}: storage `{}`", path.display(), key.escape_debug());
        let Some(storage) = known.get(key) else {
            return Err(Error::mismatch(place(), "a storage of a tensor", "none"));
        };
        let mut count = [0; 8];
        file.seek(SeekFrom::Start(start)).map_err(Error::io(path))?;
        file.read_exact(&mut count).map_err(Error::io(path))?;
        let count = u64::from_le_bytes(count);
        if count != storage.count {
            return Err(Error::mismatch(place(), format!("{} numbers", storage.count), count));
        }
        let bytes = count.saturating_mul(storage.dtype.map_or(1, |dtype| (dtype.bitsize() / 8) as u64));
        start += 8;
        let end = start.checked_add(bytes).filter(|end| *end <= length);
        let Some(end) = end else {
            return Err(Error::mismatch(place(), format!("{bytes} bytes"), length.saturating_sub(start)));
        };
        storages.insert(key.to_owned(), Extent { start, bytes });
        start = end;
    }
    if start != length {
        return Err(Error::mismatch(
            path.display(),
            format!("{start} bytes of storages and what stands before"),
            length,
        ));
    }
    Ok(TorchFile { path: path.to_owned(), values, storages, script: false })
}
