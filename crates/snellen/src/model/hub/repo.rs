//! One commit of a repository: its files, from the cache or from the Hub.

use super::cache::Folder;
use super::client::{Ask, Client, body};
use super::redirect::shown;
use super::refusal::refusal;
use super::retry::{Attempts, Fault};
use super::{Hub, HubId, Patience, network};
use crate::model::weights::hub_id::{is_commit, is_file_name};
use crate::progress::Stages;
use crate::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use ureq::http::Uri;

/// What stands in an address as it is.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A repository at one commit.
pub struct Repo<'a> {
    pub(super) hub: &'a Hub,
    pub(super) stages: &'a dyn Stages,
    pub(super) client: Client,
    pub(super) folder: Folder,
    pub(super) id: HubId,
    pub(super) commit: String,
    names: OnceCell<BTreeSet<String>>,
    /// Whether it was said that the server gives no checksums.
    pub(super) unchecked: Cell<bool>,
    cut_off: Option<CutOff>,
}

/// Why the cache alone is used.
enum CutOff {
    Offline,
    Unreachable(String),
}

/// What the Hub says of a revision.
#[derive(serde::Deserialize)]
struct Listing {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(serde::Deserialize)]
struct Sibling {
    rfilename: String,
}

impl<'a> Repo<'a> {
    pub(super) fn open(hub: &'a Hub, id: &HubId, stages: &'a dyn Stages) -> Result<Self> {
        let mut repo = Self {
            hub,
            stages,
            client: Client::new(hub)?,
            folder: Folder::new(hub, id),
            id: id.clone(),
            commit: String::new(),
            names: OnceCell::new(),
            unchecked: Cell::new(false),
            cut_off: None,
        };
        let known = repo.folder.commit_of(id)?;
        let none_cached = format!("files of it in {}", hub.cache.display());
        if hub.offline {
            repo.cut_off = Some(CutOff::Offline);
            repo.commit = known.ok_or_else(|| repo.missing(&none_cached, None))?;
            return Ok(repo);
        }
        if let (Some(commit), Some(_)) = (&known, id.pinned()) {
            repo.commit.clone_from(commit);
            return Ok(repo);
        }
        match repo.listing(known.is_some()) {
            Ok(listing) => {
                repo.commit = listing.sha;
                repo.names = OnceCell::from(names(listing.siblings));
            }
            Err(Error::Network { place, source }) => {
                repo.cut_off = Some(CutOff::Unreachable(format!("{place}: {source}")));
                repo.commit = known.ok_or_else(|| repo.missing(&none_cached, None))?;
            }
            Err(error) => return Err(error),
        }
        Ok(repo)
    }

    /// The commit, 40 hexadecimal digits.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Why the cache alone is used, if it is: the revision may have moved on since.
    pub fn cut_off(&self) -> Option<&str> {
        self.cut_off.as_ref().map(|why| match why {
            CutOff::Offline => "HF_HUB_OFFLINE is set",
            CutOff::Unreachable(error) => error,
        })
    }

    /// Whether the commit has a file of this name, as the Hub says.
    pub(super) fn lists(&self, name: &str) -> Result<bool> {
        Ok(self.names()?.contains(name))
    }

    /// Whether there is a file `name` that [`file`](Self::file) would give; nothing is fetched.
    pub fn has(&self, name: &str) -> Result<bool> {
        Ok(self.cached(name)?.is_some() || (self.cut_off.is_none() && self.lists(name)?))
    }

    /// Where the commit's file `name` lies in the cache, if it does; the Hub is not asked.
    pub fn cached(&self, name: &str) -> Result<Option<PathBuf>> {
        if is_file_name(name) {
            return Ok(self.folder.file(&self.commit, name));
        }
        let expected = "a relative path with slashes, without empty parts, . or .., backslashes and colons";
        Err(Error::mismatch(format!("file of {self}"), expected, format!("{name:?}")))
    }

    /// The address of the commit's file.
    pub(super) fn address(&self, name: &str) -> Result<Uri> {
        let parts: Vec<_> = name.split('/').map(escaped).collect();
        self.uri(&format!("{}/resolve/{}/{}", self.id.repo(), self.commit, parts.join("/")))
    }

    fn uri(&self, path: &str) -> Result<Uri> {
        let text = format!("{}/{path}", self.hub.endpoint);
        text.parse().map_err(|error| network(&text, format!("expected an address, got {error}")))
    }

    /// The commit's files.
    fn names(&self) -> Result<&BTreeSet<String>> {
        if self.names.get().is_none() {
            // A commit that was written in full: the listing is asked for when a file is not in the cache.
            let listed = names(self.listing(false)?.siblings);
            return Ok(self.names.get_or_init(|| listed));
        }
        Ok(self.names.get_or_init(BTreeSet::new))
    }

    /// What the Hub says of the revision; asked once where the cache can stand in for it.
    fn listing(&self, replaceable: bool) -> Result<Listing> {
        let uri = self.uri(&format!("api/models/{}/revision/{}", self.id.repo(), escaped(self.id.revision())))?;
        let patience = self.hub.patience;
        let attempts = if replaceable { 1 } else { patience.attempts };
        let progress = self.stages.begin(self.id.repo());
        Attempts::new(self.hub, progress.as_ref(), Patience { attempts, ..patience }).run(|| {
            let answer = self.client.send(Ask::Answer, &uri, &[])?;
            if !answer.response.status().is_success() {
                return Err(refusal(self.hub, &self.client, &self.id, &answer));
            }
            let place = shown(&answer.uri);
            let wrong =
                |got: String| Fault::Final(network(&place, format!("expected a commit and its files, got {got}")));
            let listing: Listing = serde_json::from_slice(&body(answer)?).map_err(|error| wrong(error.to_string()))?;
            if !is_commit(&listing.sha) || self.id.pinned().is_some_and(|pinned| pinned != listing.sha) {
                return Err(wrong(format!("commit {:?}", listing.sha)));
            }
            Ok(listing)
        })
    }

    /// That the file `name` is not in the cache and cannot be fetched.
    pub(in crate::model) fn missing_in_cache(&self, name: &str) -> Error {
        self.missing(&format!("the file in {}", self.hub.cache.display()), Some(name))
    }

    /// That something is not in the cache and cannot be fetched, and how to get it there.
    fn missing(&self, expected: &str, name: Option<&str>) -> Error {
        let (repo, revision) = (self.id.repo(), self.id.revision());
        let file = name.map_or_else(String::new, |name| format!(" {name}"));
        let place = format!("{repo}@{revision}{}", name.map_or_else(String::new, |name| format!(": {name}")));
        let command = format!("hf download {repo}{file} --revision {revision}");
        let advice =
            format!("fetch it with `{command}` and copy the cache here, or give a folder with the model's files");
        if let Some(CutOff::Unreachable(error)) = &self.cut_off {
            return network(
                place,
                format!("expected {expected}, got none, and the Hub cannot be asked: {error}; {advice}"),
            );
        }
        Error::mismatch(
            place,
            format!("{expected}; unset HF_HUB_OFFLINE, or {advice}"),
            "none, and HF_HUB_OFFLINE is set",
        )
    }
}

impl fmt::Display for Repo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id.repo(), self.commit)
    }
}

/// The names that stay in a folder; a server may send others.
fn names(siblings: Vec<Sibling>) -> BTreeSet<String> {
    siblings.into_iter().map(|sibling| sibling.rfilename).filter(|name| is_file_name(name)).collect()
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
