//! One file from the Hub to the cache: gone on with where it was cut off, checked, and only then given its name.

use super::cache::{make_parent, names_contents};
use super::checksum::Checksum;
use super::client::{Answer, Ask};
use super::network;
use super::pace::Pace;
use super::redirect::shown;
use super::refusal::refusal;
use super::repo::Repo;
use super::retry::{Attempts, Fault, interrupted};
use crate::progress::Progress;
use crate::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use ureq::http::{HeaderMap, HeaderName, StatusCode, Uri};

/// Bytes between two looks at the progress.
const PIECE: usize = 256 << 10;

/// What the Hub says of a file before it is fetched.
pub(super) struct Remote {
    /// Where its bytes are.
    pub(super) uri: Uri,
    /// Its name among the contents: a checksum, or whatever the server calls it.
    etag: String,
    /// The ETag as the server of the bytes writes it, if that is known and means these very bytes.
    validator: Option<String>,
    pub(super) size: Option<u64>,
}

impl Repo<'_> {
    /// Where the commit's file `name` lies, after fetching it if need be; `None` if the commit has no such file.
    ///
    /// `name` is relative to the repository, with slashes. Cut off from the Hub it is an error if the file is not in the cache
    /// and nothing there says that the commit has none; for files that a model may lack there is [`Repo::cached`].
    pub fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        if let Some(path) = self.cached(name)? {
            // What the revision means is noted once a file of it is here, so that a commit of which nothing came does not take
            // the place of one that is usable offline. A cache that cannot be written to is as good.
            let _ = self.folder.note(&self.id, &self.commit);
            return Ok(Some(path));
        }
        if self.cut_off().is_some() {
            if self.folder.lacks(&self.commit, name)? {
                return Ok(None);
            }
            return Err(self.missing_in_cache(name));
        }
        if !self.lists(name)? {
            self.folder.note_absent(&self.commit, name)?;
            return Ok(None);
        }
        let path = fetch(self, name)?;
        self.folder.note(&self.id, &self.commit)?;
        Ok(Some(path))
    }
}

/// Fetches the commit's file `name`, which it has, and says where it lies.
fn fetch(repo: &Repo, name: &str) -> Result<PathBuf> {
    let progress = repo.stages.begin(name);
    let mut attempts = Attempts::new(repo.hub, progress.as_ref(), repo.hub.patience);
    // A server that knows no ranges may bring the same part again and again.
    let mut most = 0;
    loop {
        let mut length = 0;
        match attempt(repo, name, progress.as_ref(), &mut length) {
            Ok(path) => return Ok(path),
            Err(fault) => {
                attempts.after(fault, length > most)?;
                most = most.max(length);
            }
        }
    }
}

/// `reached` becomes the length of what there is of the file.
fn attempt(repo: &Repo, name: &str, progress: &dyn Progress, reached: &mut u64) -> Result<PathBuf, Fault> {
    let remote = describe(repo, name)?;
    let blob = repo.folder.blob(&remote.etag);
    let here = || blob.metadata().is_ok_and(|data| data.is_file() && remote.size.is_none_or(|size| size == data.len()));
    make_parent(&blob)?;
    let _lock = repo.folder.lock(repo.hub, progress, &remote.etag)?;
    if !here() {
        let partial = repo.folder.partial(&remote.etag);
        let before = transfer((repo, progress), &remote, &partial, reached)?;
        check(repo, name, &remote, &partial, before)?;
        match std::fs::rename(&partial, &blob) {
            // Where locks do not hold, another has done the same.
            Err(_) if here() => {}
            renamed => renamed.map_err(Error::io(&blob))?,
        }
    }
    Ok(repo.folder.point(&repo.commit, name, &remote.etag)?)
}

pub(super) fn describe(repo: &Repo, name: &str) -> Result<Remote, Fault> {
    let address = repo.address(name)?;
    let answer = repo.client.send(Ask::Head, &address, &[])?;
    let status = answer.response.status();
    if status == StatusCode::NOT_FOUND {
        let got = format!("expected the file, which the Hub lists, got {status}");
        return Err(network(format!("{repo}: {name}"), got).into());
    }
    if !status.is_success() && !status.is_redirection() {
        return Err(refusal(repo.hub, &repo.client, &repo.id, &answer));
    }
    let last = |name: &str| {
        let values = answer.heads.iter().rev().filter_map(|head| head.get(name));
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).next()
    };
    let linked = last("x-linked-etag");
    let (is_linked, written) = (linked.is_some(), linked.or_else(|| last(ETAG.as_str())).unwrap_or_default());
    let etag = written.trim_start_matches("W/").trim_matches('"').to_owned();
    if !names_contents(&etag) {
        let got = format!("expected an ETag of letters, digits, - _ ., got {written:?}; is this a Hugging Face Hub?");
        return Err(network(shown(&address), got).into());
    }
    let length = || answer.own.then(|| number(answer.response.headers(), &CONTENT_LENGTH)).flatten();
    let size = last("x-linked-size").and_then(|text| text.parse().ok()).or_else(length);
    let validator = Some(written).filter(|text| answer.own && !is_linked && text.starts_with('"'));
    Ok(Remote { uri: answer.uri, etag, validator, size })
}

/// Brings `partial` to its full length; returns how much of it was there before.
fn transfer(
    (repo, progress): (&Repo, &dyn Progress),
    remote: &Remote,
    partial: &Path,
    reached: &mut u64,
) -> Result<u64, Fault> {
    let mut file =
        File::options().create(true).truncate(false).write(true).open(partial).map_err(Error::io(partial))?;
    let mut start = file.metadata().map_err(Error::io(partial))?.len();
    if remote.size.is_some_and(|size| start > size) {
        file.set_len(0).map_err(Error::io(partial))?;
        start = 0;
    }
    *reached = start;
    if remote.size == Some(start) {
        return Ok(start);
    }
    let range = format!("bytes={start}-");
    let mut headers: Vec<(HeaderName, &str)> = Vec::new();
    if start > 0 {
        headers.push((RANGE, &range));
        headers.extend(remote.validator.as_deref().map(|etag| (IF_RANGE, etag)));
    }
    let answer = repo.client.send(Ask::File, &remote.uri, &headers)?;
    let place = shown(&answer.uri);
    let total = match answer.response.status() {
        StatusCode::PARTIAL_CONTENT if start > 0 => match range_of(&answer) {
            Some((first, total)) if first == start && same(&answer, remote) => total,
            _ => return Err(start_again(&file, partial, &place, "a part that does not continue what is here")),
        },
        StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => {
            return Err(start_again(&file, partial, &place, "no such part"));
        }
        StatusCode::OK => {
            // All of it, from the begin.
            file.set_len(0).map_err(Error::io(partial))?;
            start = 0;
            number(answer.response.headers(), &CONTENT_LENGTH)
        }
        status if status.is_success() => {
            return Err(network(place, format!("expected the file, got {status}")).into());
        }
        _ => return Err(refusal(repo.hub, &repo.client, &repo.id, &answer)),
    };
    if let (Some(size), Some(total)) = (remote.size, total)
        && size != total
    {
        return Err(Fault::passing(network(place, format!("expected {size} bytes, got an answer of {total}"))));
    }
    let total = remote.size.or(total);
    if total.is_none() && Checksum::of_etag(&remote.etag).is_none() {
        return Err(network(place, "expected a length or a checksum of the file, got neither").into());
    }
    file.seek(SeekFrom::Start(start)).map_err(Error::io(partial))?;
    let mut reader = answer.response.into_body().into_reader();
    let mut piece = vec![0; PIECE];
    let mut done = start;
    let mut pace = Pace::new(repo.hub.patience.stall, done);
    loop {
        *reached = done;
        progress.advance(done as usize, total.unwrap_or_default() as usize);
        if progress.is_cancelled() {
            return Err(interrupted(repo.hub).into());
        }
        let room = total.map_or(PIECE as u64, |total| (total - done).min(PIECE as u64)) as usize;
        // Of a file that is as long as announced nothing more is read.
        let read = if room == 0 { Ok(0) } else { reader.read(&mut piece[..room]) };
        let count = read.map_err(|error| Fault::passing(network(&place, cut(done, total, &error.to_string()))))?;
        if count == 0 {
            break;
        }
        file.write_all(&piece[..count]).map_err(Error::io(partial))?;
        done += count as u64;
        if pace.is_slow(done) {
            *reached = done;
            return Err(Fault::slow(network(&place, cut(done, total, "hardly anything comes any more"))));
        }
    }
    if total.is_some_and(|total| done < total) {
        return Err(Fault::passing(network(place, cut(done, total, "the connection was closed"))));
    }
    file.sync_all().map_err(Error::io(partial))?;
    Ok(start)
}

/// Deletes what is not what was announced. Of what was put together from parts, another attempt may be right.
fn check(repo: &Repo, name: &str, remote: &Remote, partial: &Path, before: u64) -> Result<(), Fault> {
    let Some(kind) = Checksum::of_etag(&remote.etag) else {
        if !repo.unchecked.replace(true) {
            let said = "the server gives no checksum of it, and perhaps of others, so that only lengths are compared";
            repo.stages.note(&format!("{repo}: {name}: {said}"));
        }
        return Ok(());
    };
    let got = kind.of_file(partial)?;
    if got.eq_ignore_ascii_case(&remote.etag) {
        return Ok(());
    }
    std::fs::remove_file(partial).map_err(Error::io(partial))?;
    let said = format!("expected {} {}, got {got}; what came was deleted", kind.name(), remote.etag);
    let error = network(format!("{repo}: {name}"), said);
    Err(if before > 0 { Fault::passing(error) } else { Fault::Final(error) })
}

fn start_again(file: &File, partial: &Path, place: &str, got: &str) -> Fault {
    match file.set_len(0) {
        Ok(()) => Fault::passing(network(place, format!("expected the rest of the file, got {got}"))),
        Err(error) => Error::io(partial)(error).into(),
    }
}

/// Whether a part belongs to the file that was announced, as far as its server says.
fn same(answer: &Answer, remote: &Remote) -> bool {
    match (answer.header(ETAG), &remote.validator) {
        (Some(etag), Some(validator)) => etag == validator,
        _ => true,
    }
}

/// First byte and total length in `bytes first-last/total`.
pub(super) fn range_of(answer: &Answer) -> Option<(u64, Option<u64>)> {
    let (range, total) = answer.header(CONTENT_RANGE)?.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn cut(done: u64, total: Option<u64>, why: &str) -> String {
    let total = total.map_or_else(|| "all".to_owned(), |total| total.to_string());
    format!("expected {total} bytes, got {done}: {why}")
}
