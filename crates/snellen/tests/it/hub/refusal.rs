//! Refusals by status: what is said, what is tried again, and whose fault it is.

use super::*;
use std::time::Instant;

fn coded(status: u16, code: &str, words: &str) -> Reply {
    Reply::status(status).header("X-Error-Code", code).header("X-Error-Message", words)
}

/// The Hub, but for the listing.
fn listing_is(reply: Reply) -> Bench {
    bench(move |request| if request.path == LISTING { reply.clone() } else { answer(request) })
}

#[test]
fn what_may_not_be_read_is_said_with_what_helps() {
    for (reply, words) in [
        (coded(401, "RepoNotFound", "Repository not found"), "401 Unauthorized: Repository not found"),
        (coded(403, "GatedRepo", "Ask for access"), "403 Forbidden: Ask for access"),
        (Reply::status(401), "401 Unauthorized"),
    ] {
        let mut bench = listing_is(reply);
        let (message, is_input) = bench.failure();
        for part in
            [words, "gated or private", "accept its conditions at http://127.0.0.1", "/owner/name", "set HF_TOKEN"]
        {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(is_input);
        assert_eq!(bench.server.asked().len(), 1);
        bench.hub.token = Some("hf_secret".to_owned());
        let (message, _) = bench.failure();
        assert!(message.contains("the token that was sent") && !message.contains("hf_secret"), "{message}");
        // The Hub knows no such token, or one that may not read this.
        assert_eq!(message.contains("is wrong or has expired"), words.starts_with("401"), "{message}");
        assert_eq!(bench.server.asked().len(), 2, "nothing is tried again");
    }
    // Of gated repositories everyone may see the listing.
    let gated = bench(but_for(WEIGHTS, |_| coded(403, "GatedRepo", "Ask for access")));
    let (message, is_input) = gated.failure();
    assert!(message.contains("gated") && is_input, "{message}");
    assert_eq!(gated.blobs(), (0, 0));
}

#[test]
fn what_is_missing_is_told_apart() {
    let (message, is_input) = listing_is(coded(404, "RepoNotFound", "Repository not found")).failure();
    assert!(message.contains("/owner/name: expected a repository of a model, got 404") && is_input, "{message}");
    let (message, is_input) = listing_is(coded(404, "RevisionNotFound", "Invalid rev id: main")).failure();
    assert!(
        message.contains("expected a branch, tag or commit of this repository, got \"main\"") && is_input,
        "{message}"
    );
    let (message, is_input) = listing_is(Reply::status(404)).failure();
    assert!(message.contains("with the revision \"main\", got 404") && is_input, "{message}");
    // A file that is not listed is not asked for; one that is listed must be there.
    let bench = bench(answer);
    assert_eq!(bench.read("none.json").unwrap(), None);
    assert_eq!(bench.server.asked().len(), 1);
    let gone = super::bench(|request| match request.path.as_str() {
        LISTING => answer(request),
        _ => coded(404, "EntryNotFound", "Entry not found"),
    });
    let (message, is_input) = gone.failure();
    assert!(message.contains(WEIGHTS) && message.contains("404") && !is_input, "{message}");
}

#[test]
fn what_may_pass_is_tried_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let bench = bench(move |request| if request.before < 2 { Reply::status(status) } else { answer(request) });
        assert_eq!(bench.read("config.json").unwrap().as_deref(), Some(b"{}\n".as_slice()), "{status}");
        let bench = super::bench(move |_| Reply::status(status).header("X-Error-Message", &"busy ".repeat(999)));
        let (message, is_input) = bench.failure();
        assert!(message.contains(&format!("{status} ")) && !is_input, "{message}");
        assert!(message.contains("busy") && message.len() < 1_000, "{message}");
        assert_eq!(bench.server.asked().len(), 3);
    }
    for status in [400, 418] {
        let bench = bench(move |_| Reply::status(status));
        let (message, is_input) = bench.failure();
        assert!(message.contains(&format!("{status} ")) && !is_input, "{message}");
        assert_eq!(bench.server.asked().len(), 1);
    }
}

#[test]
fn a_server_says_how_long_to_wait() {
    let bench = bench(|request| match request.before {
        0 => Reply::status(429).header("Retry-After", "1"),
        _ => answer(request),
    });
    let begin = Instant::now();
    assert!(bench.read("config.json").unwrap().is_some());
    assert!(begin.elapsed() >= Duration::from_secs(1));
    // And may be told to stop meanwhile.
    let bench = super::bench(|_| Reply::status(503).header("Retry-After", "50"));
    let stopped = Listener::stopping_at(0);
    stopped.begin("before").advance(0, 0);
    let error = bench.hub.open(&REPO.parse().unwrap(), &stopped).map(|repo| repo.to_string()).unwrap_err();
    assert!(matches!(error, snellen::Error::Interrupted { .. }), "{error}");
}

#[test]
fn listings_that_are_none_are_refused() {
    let hostile = format!(r#"{{"sha":"{}","siblings":[]}}"#, "../".repeat(13) + "x");
    for (body, part) in [
        ("<html>log in</html>".to_owned(), "expected a commit and its files"),
        ("{}".to_owned(), "missing field `sha`"),
        (r#"{"sha":"main"}"#.to_owned(), "commit \"main\""),
        (hostile, "commit \"../"),
        (" ".repeat((16 << 20) + 1), "at most 16777216 bytes"),
    ] {
        let (message, is_input) = listing_is(Reply::ok(body.into_bytes())).failure();
        assert!(message.contains(part) && !is_input, "{part}: {message}");
    }
    // Another commit than the one that was asked for.
    let bench = bench(answer);
    let other = "f".repeat(40);
    let repo = bench.hub.open(&format!("{REPO}@{other}").parse().unwrap(), &());
    assert!(repo.err().unwrap().to_string().contains(COMMIT));
}

#[test]
fn etags_that_are_none_are_refused() {
    for etag in ["", "\"\"", "\"..\"", "\"../../x\"", "\"/etc/passwd\"", "\"a b\"", "\".\""] {
        let bench = bench(but_for(WEIGHTS, move |_| Reply::ok(weights()).header("ETag", etag)));
        let (message, is_input) = bench.failure();
        assert!(message.contains("expected an ETag") && !is_input, "{etag}: {message}");
    }
}

#[test]
fn addresses_and_tokens_that_are_none_are_refused() {
    for endpoint in
        ["", "huggingface.co", "ftp://x", "http://", "https://user:word@x", "https://x?y", "file:///x", "https://x y"]
    {
        let mut bench = bench(answer);
        bench.hub.endpoint = endpoint.to_owned();
        let (message, is_input) = bench.failure();
        assert!(message.contains("HF_ENDPOINT") && is_input, "{message}");
    }
    let mut bench = bench(answer);
    bench.hub.token = Some("hf_secret\nX-Other: 1".to_owned());
    let (message, is_input) = bench.failure();
    assert!(message.contains("HF_TOKEN") && !message.contains("hf_secret") && is_input, "{message}");
}
