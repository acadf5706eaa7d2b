//! Whether a file holds what the Hub says it holds: its ETags are SHA-256 of large files and Git's blob SHA-1 of the others.

use crate::{Error, Result};
use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use std::io::Read;
use std::path::Path;

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// How a checksum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Of the file's bytes.
    Sha256,
    /// SHA-1 of `blob `, the length in digits, a zero byte, and the file's bytes.
    GitBlob,
}

impl Checksum {
    /// The kind that `etag` is, if it is one.
    pub(super) fn of_etag(etag: &str) -> Option<Self> {
        let hexadecimal = etag.bytes().all(|b| b.is_ascii_hexdigit());
        match etag.len() {
            64 if hexadecimal => Some(Self::Sha256),
            40 if hexadecimal => Some(Self::GitBlob),
            _ => None,
        }
    }

    /// What it is called in a message.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::GitBlob => "Git blob SHA-1",
        }
    }

    /// The checksum of the file at `path`, in lowercase hexadecimal.
    pub(super) fn of_file(self, path: &Path) -> Result<String> {
        let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
        let mut context = match self {
            Self::Sha256 => Context::new(&SHA256),
            Self::GitBlob => {
                let length = file.metadata().map_err(Error::io(path))?.len();
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {length}\0").as_bytes());
                context
            }
        };
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece).map_err(Error::io(path))? {
                0 => return Ok(HEXLOWER.encode(context.finish().as_ref())),
                count => context.update(&piece[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hub_checksums_are_those_of_sha256sum_and_git_hash_object() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let both = || (Checksum::Sha256.of_file(file.path()).unwrap(), Checksum::GitBlob.of_file(file.path()).unwrap());
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(both(), (empty.into(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".into()));
        std::fs::write(file.path(), "hello\n").unwrap();
        let hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(both(), (hello.into(), "ce013625030ba8dba906f756967f9e9ca394464a".into()));
    }

    #[test]
    fn hub_etags_of_other_kinds_are_no_checksums() {
        assert_eq!(Checksum::of_etag(&"a".repeat(64)), Some(Checksum::Sha256));
        assert_eq!(Checksum::of_etag(&"A".repeat(40)), Some(Checksum::GitBlob));
        for other in [String::new(), "a".repeat(32), "g".repeat(64), format!("{}-12", "a".repeat(37))] {
            assert_eq!(Checksum::of_etag(&other), None, "{other}");
        }
    }
}
