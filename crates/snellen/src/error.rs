//! What can go wrong, said once: where it happened, what was expected and what came instead.

use parquet::errors::ParquetError;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The result of everything fallible in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate. Every message names a place: a file, and the key, tensor, line or column in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something handed to us is not what it has to be.
    #[error("{place}: expected {expected}, got {got}")]
    Mismatch {
        /// File, and the key, tensor, line or column in it.
        place: String,
        /// What would have been right.
        expected: String,
        /// What was there.
        got: String,
    },
    /// A file that could not be parsed.
    #[error("{place}: {source}")]
    Malformed {
        /// File, and the part of it.
        place: String,
        /// What the parser said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An output that would overwrite something.
    #[error("{path}: expected a path that does not exist yet, got an existing one; remove it or choose another", path = path.display())]
    Exists {
        /// The output path.
        path: PathBuf,
    },
    /// A server could not be reached, or did not answer as it should.
    #[error("{place}: {source}")]
    Network {
        /// Address, or repository and file.
        place: String,
        /// What was expected, and what happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A comparison that did not hold.
    #[error("{place}: {summary}")]
    Disagrees {
        /// What was compared with.
        place: String,
        /// How it differs.
        summary: String,
    },
    /// A comparison that was not made, or not of everything.
    #[error("{place}: not compared: {what}")]
    NotCompared {
        /// What should have been compared with.
        place: String,
        /// The kinds that were not.
        what: String,
    },
    /// A picture that can not be recorded.
    #[error("{source} (image {row}; record --skip-bad lists such pictures and goes on without them)")]
    Picture {
        /// Its row among the images of the source, from 0.
        row: usize,
        /// What it lacks.
        #[source]
        source: Box<Error>,
    },
    /// What ended a piece of work of which something remains.
    #[error("{source}; {kept}")]
    Unfinished {
        /// What happened.
        #[source]
        source: Box<Error>,
        /// What remains on disk and how to go on from it.
        kept: String,
    },
    /// The user asked to stop; what was done so far is kept.
    #[error("interrupted; {kept}")]
    Interrupted {
        /// What remains on disk and how to go on from it.
        kept: String,
    },
}

impl Error {
    /// `place` held `got` where `expected` was needed.
    pub fn mismatch(place: impl Display, expected: impl Display, got: impl Display) -> Self {
        Self::Mismatch { place: place.to_string(), expected: expected.to_string(), got: got.to_string() }
    }

    /// `place` could not be parsed.
    pub fn malformed(place: impl Display, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Malformed { place: place.to_string(), source: source.into() }
    }

    /// For `map_err`: the system refused something about `path`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// For `map_err`: what a library said of the Parquet file at `path`. What the system refused stays recognisable as that.
    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(source) => Self::Io { path, source: *source },
                Err(source) => Self::malformed(path.display(), source),
            },
            other => Self::malformed(path.display(), other),
        }
    }

    /// What kind of thing went wrong, for callers that go on by it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Mismatch { .. } | Self::Malformed { .. } => ErrorKind::Input,
            Self::Exists { .. } => ErrorKind::Exists,
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound
                | std::io::ErrorKind::NotADirectory
                | std::io::ErrorKind::IsADirectory
                | std::io::ErrorKind::InvalidData
                | std::io::ErrorKind::UnexpectedEof => ErrorKind::Input,
                std::io::ErrorKind::AlreadyExists => ErrorKind::Exists,
                _ => ErrorKind::System,
            },
            Self::Unfinished { source, .. } | Self::Picture { source, .. } => source.kind(),
            Self::Network { .. } => ErrorKind::Network,
            Self::Disagrees { .. } => ErrorKind::Disagrees,
            Self::NotCompared { .. } => ErrorKind::NotCompared,
            Self::Interrupted { .. } => ErrorKind::Interrupted,
        }
    }

    /// Whether what was handed in is to blame, rather than the machine or this program.
    pub fn is_bad_input(&self) -> bool {
        matches!(self.kind(), ErrorKind::Input | ErrorKind::Exists)
    }
}

/// Kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something handed in is not there, not readable as what it has to be, or not what was asked for.
    Input,
    /// An output would overwrite something.
    Exists,
    /// The operating system refused.
    System,
    /// A server could not be reached, or did not answer as it should.
    Network,
    /// A comparison did not hold.
    Disagrees,
    /// A comparison was not made, or not of everything.
    NotCompared,
    /// The user asked to stop.
    Interrupted,
}
