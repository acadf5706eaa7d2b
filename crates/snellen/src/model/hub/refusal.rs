//! What the Hub means by a status that is no success, and what to do about it.

use super::client::{Answer, Client};
use super::redirect::shown;
use super::retry::Fault;
use super::{Hub, HubId, network};
use crate::Error;
use std::time::Duration;
use ureq::http::StatusCode;
use ureq::http::header::RETRY_AFTER;

/// The most characters of a server's own words in a message.
const MOST_WORDS: usize = 200;

/// Why a request about `id` was refused.
pub(super) fn refusal(hub: &Hub, client: &Client, id: &HubId, answer: &Answer) -> Fault {
    let status = answer.response.status();
    let code = answer.header("X-Error-Code").unwrap_or_default();
    let said = answer.header("X-Error-Message").map_or_else(String::new, |words| format!(": {}", printable(words)));
    let got = format!("{status}{said}");
    let page = format!("{}/{}", hub.endpoint, id.repo());
    let unwelcome = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if may_pass(status) || (unwelcome && !answer.own) {
        // Another host refuses an address whose signature has expired; the Hub gives a fresh one.
        let wait = answer.header(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        return Fault::Passing { error: network(shown(&answer.uri), format!("expected a success, got {got}")), wait };
    }
    Fault::Final(match (status, code) {
        (StatusCode::NOT_FOUND, "RevisionNotFound") => {
            Error::mismatch(page, "a branch, tag or commit of this repository", format!("{:?}: {got}", id.revision()))
        }
        (StatusCode::NOT_FOUND, "RepoNotFound") => Error::mismatch(page, "a repository of a model", got),
        (StatusCode::NOT_FOUND, _) if answer.own => {
            Error::mismatch(page, format!("a repository of a model with the revision {:?}", id.revision()), got)
        }
        _ if status == StatusCode::UNAUTHORIZED && client.has_token() => {
            let expected = "a token that the Hub knows: the token that was sent, HF_TOKEN or the one of `hf auth login`, is \
                            wrong or has expired; set another, or none for what everybody may read";
            Error::mismatch(page, expected, got)
        }
        _ if unwelcome => Error::mismatch(&page, may_read(&page, client.has_token()), got),
        _ => network(shown(&answer.uri), format!("expected a success, got {got}")),
    })
}

/// Whether the same request may succeed later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

fn may_read(page: &str, has_token: bool) -> String {
    let token = if has_token {
        "the token that was sent must be one of an account that may read it"
    } else {
        "set HF_TOKEN to a token of an account that may read it, or log in with `hf auth login`"
    };
    format!(
        "a repository that may be read; it is gated or private, or there is none of this name: accept its conditions at \
         {page} if it is gated, and {token}"
    )
}

/// A server's words, short and without what would steer a terminal.
fn printable(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect()
}
