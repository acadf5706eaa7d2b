//! Models of the Hugging Face Hub: files are fetched once, checked, and kept where Python's `huggingface_hub` keeps them.
//!
//! The folder of the cache, its layout, the environment variables and the token are those of `huggingface_hub`, so that what
//! either has fetched the other finds. The transfer is our own, over `ureq`. The crate `hf-hub` was not used. Its 0.5 line
//! checks neither length nor checksum of what it wrote, knows no timeout, no offline mode, no HF_HUB_CACHE and no HF_TOKEN, and
//! without its transfer is little more than the name of a folder (for which it brings a crate under the MPL). Its 1.0 line
//! brings some 230 crates, an asynchronous runtime and a second TLS library among them.
//!
//! ```no_run
//! use snellen::model::hub::Hub;
//!
//! let hub = Hub::from_env()?;
//! let repo = hub.open(&"openai/clip-vit-base-patch32@main".parse()?, &())?;
//! let config = repo.file("config.json")?;
//! println!("{repo}: {config:?}");
//! # Ok::<(), snellen::Error>(())
//! ```
//!
//! What is held: nothing appears under its name in the cache before its length and, where the Hub says one, its checksum were
//! right; what was cut off is gone on with; the token goes to the endpoint's own scheme, host and port and nowhere else; no
//! name that a server sends becomes a path outside the cache.

mod cache;
mod checksum;
mod client;
mod download;
mod environment;
mod files;
mod header;
mod pace;
mod redirect;
mod refusal;
mod repo;
mod retry;

pub(in crate::model) use files::with;
pub use repo::Repo;

use crate::model::HubId;
use crate::progress::Stages;
use crate::{Error, Result};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest wait for a connection.
    pub connect: Duration,
    /// The longest wait for the head of an answer, and for the next bytes of a file. A slow server that keeps sending is not
    /// cut off, unless it brings less than 1 KiB a second in all of this time.
    pub stall: Duration,
    /// Attempts in a row that brought nothing, after which we give up; at least 1.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each further one.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            attempts: 5,
            pause: Duration::from_millis(500),
        }
    }
}

/// Where models come from and where their files are kept.
#[derive(Clone)]
pub struct Hub {
    /// Address of the Hub without a slash at its end, such as `https://huggingface.co`.
    pub endpoint: String,
    /// The folder that holds `models--owner--name`.
    pub cache: PathBuf,
    /// Shown to the endpoint, and to no other host.
    pub token: Option<String>,
    /// Whether to use the cache alone.
    pub offline: bool,
    /// Whether to go through the proxy that `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` names, less the hosts of `NO_PROXY`.
    pub proxy: bool,
    /// How long to wait and how often to try.
    pub patience: Patience,
}

impl Hub {
    /// The Hub at `endpoint` with files in `cache`; no token, no proxy, online.
    pub fn new(endpoint: &str, cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: cache.into(),
            token: None,
            offline: false,
            proxy: false,
            patience: Patience::default(),
        }
    }

    /// Finds the commit that `id` means, and of a revision that may move, asks the Hub for it.
    ///
    /// A commit written in full of which files are in the cache asks for nothing. Offline, and where the Hub cannot be reached
    /// or fails, the cache's last answer counts; [`Repo::cut_off`] then says why.
    ///
    /// A stage of `stages` is a file, called by its name in the repository, its items are bytes; or what is asked of the Hub, called by the
    /// repository. It is asked whether to stop after every piece, and in every pause; what came so far is kept.
    pub fn open<'a>(&'a self, id: &HubId, stages: &'a dyn Stages) -> Result<Repo<'a>> {
        Repo::open(self, id, stages)
    }
}

/// Without the token, which belongs in no log.
impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("offline", &self.offline)
            .field("proxy", &self.proxy)
            .field("patience", &self.patience)
            .finish()
    }
}

/// `source` happened with `place`, and neither is the user's doing.
fn network(place: impl fmt::Display, source: impl fmt::Display) -> Error {
    Error::Network { place: place.to_string(), source: source.to_string().into() }
}
