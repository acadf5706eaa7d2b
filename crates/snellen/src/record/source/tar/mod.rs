//! WebDataset: images in tar files, named by their keys.
//!
//! The headers are read once, which gives every image's place. A key is a member's path up to the first dot of its last part, its
//! field what follows, lower-cased, as webdataset reads names; the image of a key is its member whose field ends like a picture's
//! name. What else belongs to a key is counted and passed over, and so are hidden files and links. Rows follow the sorted paths of the
//! files and the order of the members, so it doesn't matter whether a key's members stand together. Packed files are unpacked
//! as they are read, once for their headers and once for their images.

mod fields;
mod member;
mod packing;
mod scan;

use super::config::SourceConfig;
use super::format::{self, tar_stem};
use super::passed::{Passed, PassedOver, said};
use super::{Content, Image, Source, unreadable};
use crate::record::picture::MAX_FILE_BYTES;
use crate::{Error, Result};
use packing::{Packing, Unpacked};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The images of one or more tar files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarSource {
    path: PathBuf,
    files: Vec<(PathBuf, Packing)>,
    members: Vec<Member>,
    passed: Vec<PassedOver>,
}

/// Where an image stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    /// The key; where there are several files, `<path of the file without its ending>/<key>`.
    name: Box<str>,
    file: u32,
    offset: u64,
    size: u64,
}

impl TarSource {
    /// Reads the headers of the file at `path`.
    ///
    /// # Errors
    /// When it is no tar file, cut short, holds no image, one that is no plain file, of more than [`MAX_FILE_BYTES`] or of a
    /// format that isn't read (unless [`SourceConfig::skip_bad`] passes over these two), several of a key and none is chosen; and
    /// names that are no Unicode, lead out of the file or are longer than [`MAX_FILENAME`](crate::scene::labels::MAX_FILENAME).
    pub fn open(path: &Path, config: &SourceConfig) -> Result<Self> {
        Self::of_files(path, vec![path.to_owned()], config, Vec::new())
    }

    /// Reads the headers of `files`, which stand in the folder `path`, beside what was `passed` over already.
    ///
    /// # Errors
    /// As [`TarSource::open`].
    pub(super) fn of_files(
        path: &Path,
        files: Vec<PathBuf>,
        config: &SourceConfig,
        passed: Vec<PassedOver>,
    ) -> Result<Self> {
        let (mut members, mut unread, mut packed) = (Vec::new(), Vec::new(), Vec::new());
        let mut in_files = Passed::default();
        let prefixes = prefixes(path, &files);
        for (number, (file, prefix)) in files.into_iter().zip(prefixes).enumerate() {
            let packing = Packing::of(&file)?;
            let mut found = Vec::new();
            scan::scan(&file, packing, &mut in_files, |picture| {
                found.push(picture);
                Ok(())
            })?;
            if found.is_empty() {
                in_files.add("tar files without pictures", relative(path, &file));
            }
            for (key, found) in fields::choose(&file.display().to_string(), found, &config.fields, &mut in_files)? {
                let name = format!("{prefix}{key}").into_boxed_str();
                let what = match found.read {
                    false => Some("a picture of a format that is not read"),
                    true if found.size > MAX_FILE_BYTES => Some("a picture of more than 268435456 bytes"),
                    true => None,
                };
                unread.extend(what.map(|what| (format!("{prefix}{}.{}", found.key, found.field), what)));
                members.push(Member { name, file: number as u32, offset: found.offset, size: found.size });
            }
            packed.push((file, packing));
        }
        let in_files = in_files.list();
        if members.is_empty() {
            let fields = if config.fields.is_empty() {
                String::new()
            } else {
                format!(" of the field {}", config.fields.join(" or "))
            };
            let expected = format!("images ({}){fields}", format::PICTURES.join(", "));
            return Err(Error::mismatch(path.display(), expected, format!("none, but {}", said(&in_files))));
        }
        if !unread.is_empty() && !config.skip_bad {
            let unread: Vec<_> = unread.iter().map(|(name, what)| (name.as_str(), *what)).collect();
            return Err(unreadable(&path.display().to_string(), &unread));
        }
        Ok(Self { path: path.to_owned(), files: packed, members, passed: [passed, in_files].concat() })
    }
}

/// What stands before the keys of each file: nothing of a single file, else its path relative to `folder` without its ending,
/// or with it where that is no name of its own.
fn prefixes(folder: &Path, files: &[PathBuf]) -> Vec<String> {
    if !folder.is_dir() {
        return vec![String::new(); files.len()];
    }
    let stem = |name: &str| tar_stem(name).unwrap_or(name).to_owned();
    let names: Vec<String> = files.iter().map(|file| relative(folder, file)).collect();
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    let mut sorted = stems.clone();
    sorted.sort_unstable();
    let own = sorted.windows(2).all(|two| two[0] != two[1]);
    (if own { stems } else { names }).into_iter().map(|name| name + "/").collect()
}

/// The path of `file` below `folder`, parts separated by `/`.
pub(super) fn relative(folder: &Path, file: &Path) -> String {
    let below = file.strip_prefix(folder).unwrap_or(file);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
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

    fn passed_over(&self) -> &[PassedOver] {
        &self.passed
    }

    fn read<'a>(&'a self, rows: Range<usize>) -> Result<Box<dyn Iterator<Item = Result<Image<'a>>> + Send + 'a>> {
        // Members of one file stand together: it is opened once.
        let mut open: Option<(u32, Unpacked)> = None;
        Ok(Box::new(self.members[rows].iter().map(move |member| {
            let (path, packing) = &self.files[member.file as usize];
            if open.as_ref().is_none_or(|(number, _)| *number != member.file) {
                open = Some((member.file, Unpacked::open(path, *packing)?));
            }
            let place = format!("{}: `{}`", path.display(), member.name);
            let Some((_, file)) = &mut open else { return Err(Error::mismatch(place, "an open file", "none")) };
            let content = if member.size > MAX_FILE_BYTES {
                Content::Bad(Error::mismatch(&place, format!("at most {MAX_FILE_BYTES} bytes"), member.size))
            } else {
                Content::File { bytes: file.read(path, member.offset, member.size)?, mask: None }
            };
            Ok(Image { name: member.name.to_string(), place, content })
        })))
    }
}
