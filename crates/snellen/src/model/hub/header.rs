//! The header of a file of weights without the weights: it says all that a model is made of.

use super::Repo;
use super::client::Ask;
use super::download::{Remote, describe, number, range_of};
use super::network;
use super::pace::Pace;
use super::redirect::shown;
use super::refusal::refusal;
use super::retry::{Attempts, Fault, interrupted};
use crate::Result;
use crate::model::Header;
use crate::progress::Progress;
use std::io::Read;
use ureq::http::StatusCode;
use ureq::http::header::{CONTENT_LENGTH, RANGE};

/// Bytes that are fetched at first; most headers are among them.
const FIRST: u64 = 256 << 10;

/// The longest header, in bytes, that is fetched: the limit of the format's own reader.
const LONGEST: u64 = 100_000_000;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

impl Repo<'_> {
    /// The header of the commit's file `name`; `None` if the commit has no such file, or the Hub can't be asked. Nothing is kept.
    pub fn header(&self, name: &str) -> Result<Option<Header>> {
        if self.cut_off().is_some() || !self.lists(name)? {
            return Ok(None);
        }
        let progress = self.stages.begin(name);
        let attempts = Attempts::new(self.hub, progress.as_ref(), self.hub.patience);
        attempts.run(|| fetch(self, name, progress.as_ref())).map(Some)
    }
}

fn fetch(repo: &Repo, name: &str, progress: &dyn Progress) -> Result<Header, Fault> {
    let remote = describe(repo, name)?;
    let (mut bytes, total) = part(repo, &remote, (0, FIRST), progress)?;
    let place = || format!("{repo}: {name}");
    let length = total.or(remote.size).ok_or_else(|| network(place(), "expected a length of the file, got none"))?;
    let said = bytes.first_chunk().map_or(0, |said| u64::from_le_bytes(*said)).saturating_add(8);
    let here = bytes.len() as u64;
    if said > here && here < length && said <= length.min(LONGEST) {
        bytes.extend(part(repo, &remote, (here, said - here), progress)?.0);
    }
    let least = said.min(length).min(FIRST);
    if (bytes.len() as u64) < least {
        return Err(Fault::passing(network(place(), format!("expected {least} bytes, got {}", bytes.len()))));
    }
    Ok(Header { bytes, length })
}

/// `count` bytes from `start` on, fewer where the file ends, and how long the file is, as far as the server says.
fn part(
    repo: &Repo,
    remote: &Remote,
    (start, count): (u64, u64),
    progress: &dyn Progress,
) -> Result<(Vec<u8>, Option<u64>), Fault> {
    let range = format!("bytes={start}-{}", start + count - 1);
    let answer = repo.client.send(Ask::File, &remote.uri, &[(RANGE, &range)])?;
    let place = shown(&answer.uri);
    let (skipped, total) = match answer.response.status() {
        StatusCode::PARTIAL_CONTENT => match range_of(&answer) {
            Some((first, total)) if first == start => (0, total),
            _ => return Err(network(place, format!("expected {range}, got another part")).into()),
        },
        // Of all of it no more is read than was asked for.
        StatusCode::OK => (start, number(answer.response.headers(), &CONTENT_LENGTH)),
        status if status.is_success() => {
            return Err(network(place, format!("expected a part of the file, got {status}")).into());
        }
        _ => return Err(refusal(repo.hub, &repo.client, &repo.id, &answer)),
    };
    let mut reader = answer.response.into_body().into_reader();
    let mut pace = Pace::new(repo.hub.patience.stall, 0);
    let (mut bytes, mut piece, wanted) = (Vec::new(), vec![0; PIECE], skipped + count);
    loop {
        if progress.is_cancelled() {
            return Err(interrupted(repo.hub).into());
        }
        let room = (wanted - bytes.len() as u64).min(PIECE as u64) as usize;
        let count = reader.read(&mut piece[..room]).map_err(|error| Fault::passing(network(&place, error)))?;
        bytes.extend(&piece[..count]);
        if count == 0 || bytes.len() as u64 == wanted {
            bytes.drain(..bytes.len().min(skipped as usize));
            return Ok((bytes, total));
        }
        if pace.is_slow(bytes.len() as u64) {
            return Err(Fault::slow(network(place, "expected bytes, got hardly any")));
        }
    }
}
