//! Without the Hub: the cache, and what is said where it does not suffice.

use super::*;

/// A bench of which the cache has the weights and the note that there is no `none.json`, and its server's requests so far.
fn filled() -> (Bench, usize) {
    let bench = bench(answer);
    bench.read(WEIGHTS).unwrap();
    bench.read("none.json").unwrap();
    let asked = bench.server.asked().len();
    (bench, asked)
}

/// An address where nothing listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn offline_the_cache_is_used_alone() {
    let (mut bench, asked) = filled();
    bench.hub.offline = true;
    for id in [REPO.to_owned(), format!("{REPO}@{COMMIT}")] {
        let repo = bench.hub.open(&id.parse().unwrap(), &()).unwrap();
        assert_eq!((repo.commit(), repo.cut_off()), (COMMIT, Some("HF_HUB_OFFLINE is set")));
        assert_eq!(std::fs::read(repo.file(WEIGHTS).unwrap().unwrap()).unwrap(), weights());
        assert_eq!(repo.file("none.json").unwrap(), None);
        assert_eq!(repo.cached("config.json").unwrap(), None);
        let error = repo.file("config.json").unwrap_err();
        let cache = bench.hub.cache.display().to_string();
        let command = format!("hf download {REPO} config.json --revision {}", id.split('@').nth(1).unwrap_or("main"));
        for part in ["owner/name@", "config.json", &cache, &command, "unset HF_HUB_OFFLINE", "folder"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert!(error.is_bad_input());
    }
    assert_eq!(bench.server.asked().len(), asked);
}

#[test]
fn offline_an_empty_cache_is_said() {
    let mut bench = bench(answer);
    bench.hub.offline = true;
    for id in [REPO.to_owned(), format!("{REPO}@{COMMIT}"), format!("{REPO}@refs/pr/1")] {
        let error = bench.hub.open(&id.parse().unwrap(), &()).err().unwrap();
        for part in [REPO, "hf download owner/name --revision", "unset HF_HUB_OFFLINE"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert!(error.is_bad_input());
    }
    assert_eq!(bench.server.asked().len(), 0);
}

#[test]
fn a_listing_that_python_left_says_what_is_missing() {
    let (mut bench, _) = filled();
    bench.hub.offline = true;
    let trees = bench.cached().join("trees");
    std::fs::create_dir_all(&trees).unwrap();
    let tree = r#"{"format_version": 1, "files": {"config.json": {"size": 3, "blob_id": "x"}}}"#;
    std::fs::write(trees.join(format!("{COMMIT}.json")), tree).unwrap();
    assert_eq!(bench.read("other.json").unwrap(), None);
    assert!(bench.read("config.json").is_err());
    std::fs::write(trees.join(format!("{COMMIT}.json")), tree.replace(": 1,", ": 2,")).unwrap();
    assert!(bench.read("other.json").is_err());
}

#[test]
fn a_hub_that_cannot_be_reached_is_replaced_by_the_cache() {
    let (mut bench, _) = filled();
    bench.hub.endpoint = nobody();
    let repo = bench.hub.open(&REPO.parse().unwrap(), &()).unwrap();
    assert_eq!(repo.commit(), COMMIT);
    let why = repo.cut_off().unwrap();
    assert!(why.contains(&bench.hub.endpoint) && why.contains("refused"), "{why}");
    assert_eq!(std::fs::read(repo.file(WEIGHTS).unwrap().unwrap()).unwrap(), weights());
    assert_eq!(repo.file("none.json").unwrap(), None);
    let error = repo.file("config.json").unwrap_err();
    for part in ["config.json", "hf download", "refused", &bench.hub.cache.display().to_string()] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(!error.is_bad_input());
    // What was not there before is not there now.
    let error = bench.hub.open(&"owner/other".parse().unwrap(), &()).err().unwrap();
    assert!(error.to_string().contains("refused") && error.to_string().contains("hf download owner/other"), "{error}");
    assert!(!error.is_bad_input());
}

#[test]
fn a_hub_that_fails_is_asked_once_where_the_cache_will_do() {
    let (bench, _) = filled();
    let failing = Server::start(|_| Reply::status(503));
    let hub = Hub { endpoint: failing.address(), ..bench.hub.clone() };
    let repo = hub.open(&REPO.parse().unwrap(), &()).unwrap();
    assert!(repo.cut_off().unwrap().contains("503"));
    assert_eq!(failing.asked().len(), 1);
    // What it refuses for good is not what the cache is for.
    let refusing = Server::start(|_| Reply::status(404));
    let hub = Hub { endpoint: refusing.address(), ..bench.hub.clone() };
    assert!(hub.open(&REPO.parse().unwrap(), &()).is_err());
}

#[test]
fn a_note_that_is_no_commit_is_refused() {
    let (mut bench, _) = filled();
    bench.hub.offline = true;
    std::fs::write(bench.cached().join("refs/main"), "../../../outside").unwrap();
    let error = bench.hub.open(&REPO.parse().unwrap(), &()).err().unwrap();
    assert!(error.to_string().contains("refs/main: expected a commit"), "{error}");
    // Of one that ends in a line break nothing is lost.
    std::fs::write(bench.cached().join("refs/main"), format!("{COMMIT}\n")).unwrap();
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
}
