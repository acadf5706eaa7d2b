//! Models of the Hub, fetched from a server of the tests' own on this machine.

mod download;
mod environment;
mod id;
mod layout;
mod offline;
mod pickles;
mod redirect;
mod refusal;
mod server;

use data_encoding::HEXLOWER;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use server::{Reply, Request, Server};
use snellen::model::hub::{Hub, Patience};
use snellen::progress::{Progress, Stages};
use std::sync::Mutex;
use std::time::Duration;

const REPO: &str = "owner/name";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS: &str = "model.safetensors";
const LISTING: &str = "/api/models/owner/name/revision/main";

/// Bytes that no piece repeats, more than one read of them takes.
fn weights() -> Vec<u8> {
    (0..600_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).take(1_000_003).collect()
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

fn git_sha1(bytes: &[u8]) -> String {
    let blob = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &blob).as_ref())
}

fn listing(names: &[&str]) -> Reply {
    let siblings: Vec<_> = names.iter().map(|name| serde_json::json!({ "rfilename": name, "size": 1 })).collect();
    let body = serde_json::json!({ "id": REPO, "sha": COMMIT, "private": false, "siblings": siblings });
    Reply::ok(body.to_string().into_bytes()).header("Content-Type", "application/json")
}

/// What the Hub answers for a repository with a small file, a large one and one in a folder.
fn answer(request: &Request) -> Reply {
    let resolve = format!("/{REPO}/resolve/{COMMIT}/");
    match request.path.strip_prefix(&resolve) {
        _ if request.path.starts_with("/api/models/owner/name/revision/") => {
            listing(&["config.json", WEIGHTS, "sub/folder/odd name.txt"])
        }
        Some("config.json") => small(b"{}\n"),
        Some("sub/folder/odd%20name.txt") => small(b""),
        Some(WEIGHTS) => large(&weights(), request),
        _ => Reply::status(404).header("X-Error-Code", "EntryNotFound"),
    }
}

/// The same, but for what ends so.
fn but_for(
    end: &'static str,
    reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    move |request| if request.path.ends_with(end) { reply(request) } else { answer(request) }
}

/// A file that is kept in Git.
fn small(bytes: &[u8]) -> Reply {
    Reply::ok(bytes.to_vec()).header("ETag", &format!("\"{}\"", git_sha1(bytes))).header("X-Repo-Commit", COMMIT)
}

/// A file that is kept beside Git, by a server that knows ranges.
fn large(bytes: &[u8], request: &Request) -> Reply {
    let etag = format!("\"{}\"", sha256(bytes));
    let reply = Reply::ranged(bytes, request).header("X-Linked-Etag", &etag);
    reply.header("X-Linked-Size", &bytes.len().to_string()).header("ETag", "\"of-the-cdn\"")
}

/// A server with an empty cache in front of it.
struct Bench {
    server: Server,
    hub: Hub,
    folder: tempfile::TempDir,
}

fn bench(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Bench {
    let server = Server::start(answer);
    let folder = tempfile::tempdir().unwrap();
    let mut hub = Hub::new(&server.address(), folder.path().join("hub"));
    hub.patience = Patience {
        connect: Duration::from_secs(5),
        stall: Duration::from_secs(5),
        attempts: 3,
        pause: Duration::from_millis(2),
    };
    Bench { server, hub, folder }
}

impl Bench {
    /// What a file of the repository at `main` holds.
    fn read(&self, name: &str) -> snellen::Result<Option<Vec<u8>>> {
        let repo = self.hub.open(&REPO.parse()?, &())?;
        Ok(repo.file(name)?.map(|path| std::fs::read(path).unwrap()))
    }

    /// The message with which fetching the weights fails, and whether the input is to blame.
    fn failure(&self) -> (String, bool) {
        let error = self.read(WEIGHTS).unwrap_err();
        (error.to_string(), error.is_bad_input())
    }

    /// The folder of the repository in the cache.
    fn cached(&self) -> std::path::PathBuf {
        self.hub.cache.join("models--owner--name")
    }

    /// How many contents the cache has, and how many that are not whole.
    fn blobs(&self) -> (usize, usize) {
        let Ok(entries) = std::fs::read_dir(self.cached().join("blobs")) else { return (0, 0) };
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let partial = names.iter().filter(|name| name.ends_with(".incomplete")).count();
        (names.len() - partial, partial)
    }
}

/// Notes what it is told, and stops after some bytes.
struct Listener {
    told: Mutex<Vec<(String, u64, u64)>>,
    enough: u64,
}

impl Listener {
    fn stopping_at(enough: u64) -> Self {
        Self { told: Mutex::default(), enough }
    }
}

impl Stages for Listener {
    fn begin(&self, file: &str) -> Box<dyn Progress + '_> {
        Box::new(Fetched(self, file.to_owned()))
    }
}

/// One file of it.
struct Fetched<'a>(&'a Listener, String);

impl Progress for Fetched<'_> {
    fn advance(&self, done: usize, total: usize) {
        self.0.told.lock().unwrap().push((self.1.clone(), done as u64, total as u64));
    }

    fn is_cancelled(&self) -> bool {
        self.0.told.lock().unwrap().last().is_some_and(|told| told.1 >= self.0.enough)
    }
}
