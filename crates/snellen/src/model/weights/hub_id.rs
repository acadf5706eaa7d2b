//! Names on the Hub, checked before they become paths and addresses: `owner/name`, a revision, a file.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The branch that is meant where none is named.
const MAIN: &str = "main";

/// The most characters that owner or name may have, as on the Hub.
const LONGEST_PART: usize = 96;

/// The most bytes of a revision and of a file's name; more is no name that anyone typed.
const LONGEST_PATH: usize = 512;

/// A model repository on the Hub at a revision, written `owner/name` or `owner/name@revision`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubId {
    repo: String,
    revision: String,
}

impl HubId {
    /// `repo` is `owner/name`; `revision` a branch, a tag, a commit or a reference such as `refs/pr/1`.
    pub fn new(repo: &str, revision: &str) -> Result<Self> {
        let parts: Vec<_> = repo.split('/').collect();
        if parts.len() != 2 || !parts.iter().all(|part| is_part(part)) {
            return Err(Error::mismatch(
                "name of a model on the Hub",
                format!(
                    "`owner/name` or `owner/name@revision`, where owner and name are up to {LONGEST_PART} of the \
                     characters a-z A-Z 0-9 - _ . that neither begin nor end with - or . and hold no -- or .."
                ),
                format!("{repo:?}"),
            ));
        }
        if !is_revision(revision) {
            return Err(Error::mismatch(
                format!("revision of {repo}"),
                "a branch, a tag, a commit or a reference such as refs/pr/1, as Git allows them",
                format!("{revision:?}"),
            ));
        }
        Ok(Self { repo: repo.to_owned(), revision: revision.to_owned() })
    }

    /// `owner/name`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// Branch, tag, commit or reference; `main` where none was named.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The commit, where the revision is one written in full.
    pub fn pinned(&self) -> Option<&str> {
        is_commit(&self.revision).then_some(&self.revision)
    }
}

impl FromStr for HubId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (repo, revision) = text.split_once('@').unwrap_or((text, MAIN));
        Self::new(repo, revision)
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        if self.revision == MAIN { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

/// Whether `text` is the full name of a commit, 40 lowercase hexadecimal digits.
pub(in crate::model) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a file of a repository may be called that: relative, and staying where it is put on any system.
pub(in crate::model) fn is_file_name(name: &str) -> bool {
    name.len() <= LONGEST_PATH
        && !name.contains(['\\', ':'])
        && !name.chars().any(char::is_control)
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn is_part(part: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=LONGEST_PART).contains(&part.len())
        && part.chars().all(|c| ends(c) || c == '-' || c == '.')
        && part.starts_with(ends)
        && part.ends_with(ends)
        && !part.contains("--")
        && !part.contains("..")
}

/// What `git check-ref-format` allows, less what would be read as an option.
fn is_revision(text: &str) -> bool {
    is_file_name(text)
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains([' ', '~', '^', '?', '*', '['])
        && text.split('/').all(|part| !part.starts_with('.') && part.strip_suffix(".lock").is_none())
}
