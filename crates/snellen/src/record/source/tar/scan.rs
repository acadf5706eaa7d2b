//! The headers of a tar file, read once.

use super::super::passed::Passed;
use super::member::{Name, parse};
use super::packing::{Packing, Unpacked};
use crate::scene::labels::{MAX_FILENAME, check_filename};
use crate::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use tar::{Archive, Entries, Entry, EntryType, PaxExtensions};

/// The most bytes of a member's extended header.
const MAX_EXTENDED: u64 = 1 << 16;

/// A picture in a tar file.
pub(super) struct Found {
    pub key: String,
    /// Lower-cased.
    pub field: String,
    /// Of a format that is read.
    pub read: bool,
    pub offset: u64,
    pub size: u64,
}

/// Calls `found` with every picture of the tar file at `path`, in the order of its members; `passed` is told of the rest.
pub(super) fn scan(
    path: &Path,
    packing: Packing,
    passed: &mut Passed,
    found: impl FnMut(Found) -> Result<()>,
) -> Result<()> {
    let malformed = |source: std::io::Error| Error::malformed(path.display(), source);
    let mut rest: Box<dyn Read> = match Unpacked::open(path, packing)? {
        Unpacked::Plain(file) => {
            let length = file.metadata().map_err(Error::io(path))?.len();
            let mut archive = Archive::new(file);
            // Raw: the crate would read a long name of any length into memory.
            let entries = archive.entries_with_seek().map_err(malformed)?.raw(true);
            members(path, entries, Some(length), passed, found)?;
            Box::new(BufReader::<File>::new(archive.into_inner()))
        }
        Unpacked::Packed(stream, _) => {
            let mut archive = Archive::new(stream);
            let entries = archive.entries().map_err(malformed)?.raw(true);
            members(path, entries, None, passed, found)?;
            Box::new(archive.into_inner())
        }
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = rest.read(&mut buffer).map_err(malformed)?;
        if buffer[..count].iter().any(|byte| *byte != 0) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            passed.add("tar files that go on behind their end, as where two were put together", name);
            return Ok(());
        }
        if count == 0 {
            return Ok(());
        }
    }
}

/// The members that `entries` gives; the file has `length` bytes, where that is known.
fn members<R: Read>(
    path: &Path,
    entries: Entries<'_, R>,
    length: Option<u64>,
    passed: &mut Passed,
    mut found: impl FnMut(Found) -> Result<()>,
) -> Result<()> {
    let mut long_name = None;
    let mut last = "its first member".to_owned();
    for entry in entries {
        let mut entry =
            // What the crate says quotes the file, whatever bytes it holds.
            entry.map_err(|source| {
                let quoted = source.to_string().escape_debug().to_string();
                Error::malformed(format!("{}: after {last}", path.display()), quoted)
            })?;
        let kind = entry.header().entry_type();
        let end = entry.raw_file_position().checked_add(entry.size());
        if end.is_none_or(|end| length.is_some_and(|length| end > length)) {
            let place = format!("{}: {}", path.display(), shown(&entry.path_bytes()));
            return Err(Error::mismatch(place, format!("{} bytes", entry.size()), "the end of the file"));
        }
        match kind {
            EntryType::GNULongName => long_name = Some(read_long(path, &mut entry)?),
            EntryType::XHeader => long_name = read_extended(path, &mut entry)?.or(long_name),
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            _ => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                last = shown(&name);
                let place = || format!("{}: {}", path.display(), shown(&name));
                let at = (kind, entry.raw_file_position(), entry.size());
                if let Some(picture) = member(place, &name, at, passed)? {
                    found(picture)?;
                }
            }
        }
    }
    Ok(())
}

/// The member `name`, if it is a picture.
fn member(
    place: impl Fn() -> String,
    name: &[u8],
    (kind, offset, size): (EntryType, u64, u64),
    passed: &mut Passed,
) -> Result<Option<Found>> {
    if kind.is_dir() {
        return Ok(None);
    }
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let text = || String::from_utf8_lossy(name).into_owned();
    match parse(name) {
        Name::Hidden => passed.add("hidden files", text()),
        Name::Other => passed.file(&text()),
        Name::Picture { .. } if matches!(kind, EntryType::Symlink | EntryType::Link) => {
            passed.add("links in tar files", text());
        }
        Name::Picture { key, field, read } => {
            if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
                return Err(Error::mismatch(place(), "a plain file", format!("{kind:?}")));
            }
            let key = String::from_utf8(key).map_err(|source| Error::malformed(place(), source))?;
            check_filename(&place, &key)?;
            check_filename(&place, &field)?;
            return Ok(Some(Found { key, field, read, offset, size }));
        }
    }
    Ok(None)
}

/// A GNU long name.
fn read_long<R: Read>(path: &Path, entry: &mut Entry<'_, R>) -> Result<Vec<u8>> {
    let mut name = read_whole(path, entry, MAX_FILENAME as u64 + 1)?;
    name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
    Ok(name)
}

/// The `path` of a PAX extended header, if it has one.
fn read_extended<R: Read>(path: &Path, entry: &mut Entry<'_, R>) -> Result<Option<Vec<u8>>> {
    let bytes = read_whole(path, entry, MAX_EXTENDED)?;
    let malformed = |source: std::io::Error| Error::malformed(format!("{}: extended header", path.display()), source);
    let mut name = None;
    for record in PaxExtensions::new(&bytes) {
        let record = record.map_err(malformed)?;
        match record.key_bytes() {
            b"path" => name = Some(record.value_bytes().to_vec()),
            b"size" => {
                let place = format!("{}: extended header", path.display());
                return Err(Error::mismatch(place, "members whose size stands in their header", "`size`"));
            }
            _ => {}
        }
    }
    Ok(name)
}

fn read_whole<R: Read>(path: &Path, entry: &mut Entry<'_, R>, most: u64) -> Result<Vec<u8>> {
    let size = entry.size();
    if size > most {
        let place = format!("{}: extended header at byte {}", path.display(), entry.raw_file_position());
        return Err(Error::mismatch(place, format!("at most {most} bytes"), size));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(Error::io(path))?;
    Ok(bytes)
}

/// A member's name, for errors.
fn shown(name: &[u8]) -> String {
    format!("`{}`", String::from_utf8_lossy(name).escape_debug().take(300).collect::<String>())
}
