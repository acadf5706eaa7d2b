//! Tar files as they lie on disk: plain, or packed by gzip or zstd, whatever their name says.

use super::super::format::{Format, tar_stem};
use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, copy, sink};
use std::path::Path;

/// How a tar file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// That of the file at `path`.
    ///
    /// # Errors
    /// When its first bytes are those of another format.
    pub fn of(path: &Path) -> Result<Self> {
        let packing = match Format::of_file(path)? {
            None | Some(Format::Tar) => return Ok(Self::Plain),
            Some(Format::Gzip) => Self::Gzip,
            Some(Format::Zstd) => Self::Zstd,
            Some(other) => {
                return Err(Error::mismatch(
                    path.display(),
                    "a tar file, plain or packed by gzip or zstd",
                    other.said(),
                ));
            }
        };
        let mut head = Vec::new();
        packing
            .open(path)?
            .take(512)
            .read_to_end(&mut head)
            .map_err(|source| Error::malformed(path.display(), source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match Format::of(&head) {
            Some(Format::Tar) => Ok(packing),
            None if tar_stem(&name).is_some() => Ok(packing),
            inner => {
                let got = inner.map_or("something else".to_owned(), Format::said);
                Err(Error::mismatch(path.display(), "a packed tar file", format!("a packed file that holds {got}")))
            }
        }
    }

    fn open(self, path: &Path) -> Result<Box<dyn Read + Send>> {
        let file = File::open(path).map_err(Error::io(path))?;
        Ok(match self {
            Self::Plain => Box::new(file),
            Self::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(file).map_err(Error::io(path))?),
        })
    }
}

/// A tar file that is read from its beginning to its end, unpacked.
pub(super) enum Unpacked {
    Plain(File),
    /// What comes next stands at this byte.
    Packed(Box<dyn Read + Send>, u64),
}

impl Unpacked {
    pub fn open(path: &Path, packing: Packing) -> Result<Self> {
        Ok(match packing {
            Packing::Plain => Self::Plain(File::open(path).map_err(Error::io(path))?),
            packed => Self::Packed(packed.open(path)?, 0),
        })
    }

    /// The `size` bytes from `offset` on, which is not before what was read last.
    pub fn read(&mut self, path: &Path, offset: u64, size: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let failed = |source| Error::io(path)(source);
        match self {
            Self::Plain(file) => {
                file.seek(SeekFrom::Start(offset)).map_err(failed)?;
                file.take(size).read_to_end(&mut bytes).map_err(failed)?;
            }
            Self::Packed(stream, at) => {
                let before = offset.checked_sub(*at);
                let before = before.ok_or_else(|| Error::mismatch(path.display(), "members in their order", offset))?;
                copy(&mut stream.take(before), &mut sink()).map_err(failed)?;
                stream.take(size).read_to_end(&mut bytes).map_err(failed)?;
                *at = offset + bytes.len() as u64;
            }
        }
        if bytes.len() as u64 != size {
            let place = format!("{}: byte {offset}", path.display());
            return Err(Error::mismatch(place, format!("{size} bytes"), bytes.len()));
        }
        Ok(bytes)
    }
}
