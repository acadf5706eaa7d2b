//! WebDataset: images in `.tar` files, named by their keys.
//!
//! The headers are read once, which gives every image's place, so any of them is then read by itself. A key is a member's path
//! up to the first dot of its last part, and the image of a key is its member that goes on with `png`, `jpg` or `jpeg`; what
//! else belongs to a key is passed over. Rows follow the sorted names of the files and the order of the members.

use super::{Content, ENDINGS, Image, Source};
use crate::record::picture::{MAX_FILE_BYTES, read_bytes_at};
use crate::scene::labels::{MAX_FILENAME, check_filename};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tar::{Archive, Entry, EntryType, PaxExtensions};

/// The most bytes of a member's extended header.
const MAX_EXTENDED: u64 = 1 << 16;

/// The images of one or more `.tar` files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarSource {
    path: PathBuf,
    files: Vec<PathBuf>,
    members: Vec<Member>,
}

/// Where an image stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    /// The key; where there are several files, `<name of the file>/<key>`.
    name: Box<str>,
    file: u32,
    offset: u64,
    size: u32,
}

impl TarSource {
    /// Reads the headers of the file at `path`.
    ///
    /// # Errors
    /// When it is no tar file, cut short, holds no image or one of more than [`MAX_FILE_BYTES`], two images of a key or an image
    /// that is no plain file; and names that are no Unicode, lead out of the file or are longer than [`MAX_FILENAME`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::of_files(path, vec![path.to_owned()])
    }

    /// Reads the headers of `files`, which stand in the folder `path`.
    ///
    /// # Errors
    /// As [`TarSource::open`].
    pub(super) fn of_files(path: &Path, files: Vec<PathBuf>) -> Result<Self> {
        let mut members = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let prefix = if files.len() > 1 || path.is_dir() { format!("{stem}/") } else { String::new() };
            scan(file, |key, offset, size| {
                let name = format!("{prefix}{key}").into_boxed_str();
                members.push(Member { name, file: number as u32, offset, size });
            })?;
        }
        if members.is_empty() {
            return Err(Error::mismatch(path.display(), format!("images ({})", ENDINGS.join(", ")), "none"));
        }
        Ok(Self { path: path.to_owned(), files, members })
    }
}

impl Source for TarSource {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn len(&self) -> usize {
        self.members.len()
    }

    fn name(&self, row: usize) -> String {
        self.members[row].name.to_string()
    }

    fn has_masks(&self) -> bool {
        false
    }

    fn labels(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn read<'a>(&'a self, rows: Range<usize>) -> Result<Box<dyn Iterator<Item = Result<Image<'a>>> + Send + 'a>> {
        // Members of one file stand together: it is opened once.
        let mut open: Option<(u32, File)> = None;
        Ok(Box::new(self.members[rows].iter().map(move |member| {
            let path = &self.files[member.file as usize];
            if open.as_ref().is_none_or(|(number, _)| *number != member.file) {
                open = Some((member.file, File::open(path).map_err(Error::io(path))?));
            }
            let place = format!("{}: `{}`", path.display(), member.name);
            let Some((_, file)) = &mut open else { return Err(Error::mismatch(place, "an open file", "none")) };
            let bytes = read_bytes_at(file, path, member.offset, member.size as usize)?;
            Ok(Image { name: member.name.to_string(), place, content: Content::File { bytes, mask: None } })
        })))
    }
}

/// The `.tar` files of `folder`, sorted by name.
pub(super) fn tars_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.extension().is_some_and(|ending| ending == "tar") && path.is_file() {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Calls `found` with key, offset and size of every image in the tar file at `path`.
fn scan(path: &Path, mut found: impl FnMut(&str, u64, u32)) -> Result<()> {
    let file = File::open(path).map_err(Error::io(path))?;
    let length = file.metadata().map_err(Error::io(path))?.len();
    let malformed = |source: std::io::Error| Error::malformed(path.display(), source);
    let mut archive = Archive::new(file);
    // Raw: the crate would read a long name of any length into memory.
    let entries = archive.entries_with_seek().map_err(malformed)?.raw(true);
    let mut keys = BTreeSet::new();
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
        if end.is_none_or(|end| end > length) {
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
                let Some((key, size)) = image(place, &name, kind, entry.size())? else { continue };
                if !keys.insert(key.clone()) {
                    return Err(Error::mismatch(place(), "an image with a key of its own", format!("`{key}` again")));
                }
                found(&key, entry.raw_file_position(), size);
            }
        }
    }
    Ok(())
}

/// Key and size of the member `name`, if it is an image.
fn image(place: impl Fn() -> String, name: &[u8], kind: EntryType, size: u64) -> Result<Option<(String, u32)>> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let start = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let Some(dot) = name[start..].iter().position(|&byte| byte == b'.') else { return Ok(None) };
    let ending = &name[start + dot + 1..];
    if kind.is_dir() || !ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known.as_bytes())) {
        return Ok(None);
    }
    if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
        return Err(Error::mismatch(place(), "a plain file", format!("{kind:?}")));
    }
    if size > MAX_FILE_BYTES {
        return Err(Error::mismatch(place(), format!("at most {MAX_FILE_BYTES} bytes"), size));
    }
    let key = std::str::from_utf8(&name[..start + dot]).map_err(|source| Error::malformed(place(), source))?;
    check_filename(&place, key)?;
    Ok(Some((key.to_owned(), size as u32)))
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
