//! What a file is: by its name's ending, and by its first bytes.

use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Endings of pictures that are read, in any case.
pub(super) const PICTURES: [&str; 10] = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "tif", "tiff"];

/// Endings of pictures that are not read: no row is to be missing because of them without a word.
const UNREAD: [&str; 14] =
    ["avif", "avifs", "heic", "heif", "hif", "jxl", "jp2", "j2k", "jpx", "ppm", "pgm", "pbm", "pnm", "tga"];

/// Endings of tar files, packed or not.
const TARS: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.gzip"];

/// The most first bytes that are looked at.
const HEAD: u64 = 512;

/// Whether `name` is that of a picture: `Some(true)` of one that is read, `Some(false)` of one that is not.
pub(super) fn picture(name: &str) -> Option<bool> {
    let ending = name.rsplit_once('.')?.1;
    let is = |known: &&str| ending.eq_ignore_ascii_case(known);
    let among = |endings: &[&str]| endings.iter().any(is);
    among(&PICTURES).then_some(true).or_else(|| among(&UNREAD).then_some(false))
}

/// `name` without the ending of a tar file, if it has one.
pub(super) fn tar_stem(name: &str) -> Option<&str> {
    let lower = name.to_ascii_lowercase();
    let ending = TARS.iter().filter(|ending| lower.ends_with(**ending)).max_by_key(|ending| ending.len())?;
    Some(&name[..name.len() - ending.len()])
}

/// `name` without the ending of a Parquet file, if it has one.
pub(super) fn parquet_stem(name: &str) -> Option<&str> {
    let ending = [".parquet", ".parq", ".pq"].into_iter().find(|ending| name.to_ascii_lowercase().ends_with(ending))?;
    Some(&name[..name.len() - ending.len()])
}

/// What the first bytes of a file say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Tar,
    Gzip,
    Zstd,
    Parquet,
    Other {
        /// With its article.
        name: &'static str,
        /// What its owner can do.
        help: &'static str,
    },
}

/// A format that isn't read: its first bytes, what it is called, and what helps.
struct Known(&'static [u8], &'static str, &'static str);

const UNPACK: &str = "unpack it, and give the folder";
const REPACK: &str = "unpack it with the program that made it";
const ARROW: &str = "read it with pyarrow or `datasets` and write it by `pyarrow.parquet.write_table`";
const ALONE: &str = "give the folder that it is in";

const KNOWN: [Known; 17] = [
    Known(b"PK\x03\x04", "a zip archive", UNPACK),
    Known(b"PK\x05\x06", "an empty zip archive", UNPACK),
    Known(b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    Known(b"Rar!", "a rar archive", UNPACK),
    Known(b"BZh", "a bzip2 file", REPACK),
    Known(b"\xfd7zXZ\0", "an xz file", REPACK),
    Known(b"\x04\x22\x4d\x18", "an lz4 file", REPACK),
    Known(b"\x1f\x9d", "a file of `compress`", REPACK),
    Known(b"ARROW1", "an Arrow file", ARROW),
    Known(b"\xff\xff\xff\xff", "an Arrow stream, as `datasets` keeps its data", ARROW),
    Known(b"\x89HDF", "an HDF5 file", "write its pictures to a folder"),
    Known(b"\x93NUMPY", "a .npy file", "write its pictures to a folder"),
    Known(b"version https://git-lfs", "a pointer of Git LFS in place of the file", "fetch it by `git lfs pull`"),
    Known(b"\x89PNG", "a PNG picture", ALONE),
    Known(b"\xff\xd8\xff", "a JPEG picture", ALONE),
    Known(b"GIF8", "a GIF picture", ALONE),
    Known(b"RIFF", "a WebP picture or another RIFF file", ALONE),
];

/// Whether `head` reads as text, such as a page that a server sent in place of a file; names in a tar end in zeros.
fn is_text(head: &[u8]) -> bool {
    let readable = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    !head.is_empty() && head.iter().all(readable) && head.is_ascii()
}

impl Format {
    /// What a file that begins with `head` is; `None` of what isn't known.
    pub fn of(head: &[u8]) -> Option<Self> {
        if head.get(257..262) == Some(b"ustar") {
            return Some(Self::Tar);
        }
        match head {
            [0x1f, 0x8b, ..] => return Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Some(Self::Zstd),
            [b'P', b'A', b'R', b'1', ..] => return Some(Self::Parquet),
            _ => {}
        }
        let known = KNOWN.iter().find(|Known(magic, ..)| head.starts_with(magic));
        let known = known.map(|Known(_, name, help)| Self::Other { name, help });
        known.or(is_text(head)
            .then_some(Self::Other { name: "text", help: "look into it: it may say why it is not the file" }))
    }

    /// What the file at `path` is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> Result<Option<Self>> {
        let mut head = Vec::new();
        File::open(path).map_err(Error::io(path))?.take(HEAD).read_to_end(&mut head).map_err(Error::io(path))?;
        Ok(Self::of(&head))
    }

    /// With its article, and what helps.
    pub fn said(self) -> String {
        match self {
            Self::Tar => "a tar file".to_owned(),
            Self::Gzip => "a gzip file".to_owned(),
            Self::Zstd => "a zstd file".to_owned(),
            Self::Parquet => "a Parquet file".to_owned(),
            Self::Other { name, help } => format!("{name}: {help}"),
        }
    }
}
