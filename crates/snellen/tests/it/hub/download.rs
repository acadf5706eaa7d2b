//! Bytes that arrive whole, in parts, slowly, twice or wrong.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The Hub, but for the bytes of the weights: `serve` is told which request for them it is, from 0.
fn serving(serve: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Bench {
    let count = AtomicUsize::new(0);
    bench(move |request| {
        if request.is_get_of(WEIGHTS) { serve(count.fetch_add(1, Ordering::SeqCst), request) } else { answer(request) }
    })
}

#[test]
fn a_file_is_fetched_once() {
    let bench = bench(answer);
    let repo = bench.hub.open(&REPO.parse().unwrap(), &()).unwrap();
    assert_eq!((repo.commit(), repo.cut_off()), (COMMIT, None));
    assert_eq!(repo.to_string(), format!("{REPO}@{COMMIT}"));
    let path = repo.file(WEIGHTS).unwrap().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), weights());
    assert_eq!(repo.file("sub/folder/odd name.txt").unwrap().map(|path| std::fs::read(path).unwrap()), Some(vec![]));
    let asked = bench.server.asked().len();
    // The listing, two heads, and the bytes of the one that has some.
    assert_eq!(asked, 4, "{:#?}", bench.server.asked());
    assert_eq!(repo.file(WEIGHTS).unwrap(), Some(path.clone()));
    assert_eq!(bench.server.asked().len(), asked);
    // A commit that is written in full and here needs no network at all.
    let pinned = bench.hub.open(&format!("{REPO}@{COMMIT}").parse().unwrap(), &()).unwrap();
    assert_eq!(pinned.file(WEIGHTS).unwrap(), Some(path));
    assert_eq!(bench.server.asked().len(), asked);
    // What is not here of it is asked for.
    assert!(pinned.file("config.json").unwrap().is_some());
    assert_eq!(pinned.file("none.json").unwrap(), None);
    assert_eq!(bench.blobs(), (3, 0));
}

#[test]
fn contents_that_are_here_are_not_fetched_again() {
    let bench = bench(answer);
    let blobs = bench.cached().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(sha256(&weights())), weights()).unwrap();
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    assert_eq!(bench.server.fetched(WEIGHTS).len(), 0);
    // Of another length they cannot be the same.
    let bench = super::bench(answer);
    let blobs = bench.cached().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(sha256(&weights())), "short").unwrap();
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
}

#[test]
fn a_cut_connection_is_gone_on_with() {
    let bench = serving(|k, request| match k {
        0 => large(&weights(), request).cut(400_000),
        _ => large(&weights(), request),
    });
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    let fetched = bench.server.fetched(WEIGHTS);
    assert_eq!(fetched.len(), 2);
    assert_eq!(fetched[0].header("range"), None);
    assert_eq!(fetched[1].header("range"), Some("bytes=400000-"));
    assert_eq!(bench.blobs(), (1, 0));
}

#[test]
fn attempts_that_bring_something_do_not_count() {
    let bench = serving(|_, request| large(&weights(), request).cut(170_000));
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    assert_eq!(bench.server.fetched(WEIGHTS).len(), 6);
    assert!(bench.hub.patience.attempts < 6);
}

#[test]
fn what_another_process_left_is_gone_on_with() {
    let bench = bench(answer);
    let blobs = bench.cached().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let partial = blobs.join(format!("{}.incomplete", sha256(&weights())));
    std::fs::write(&partial, &weights()[..1_000]).unwrap();
    let listener = Listener::stopping_at(u64::MAX);
    let repo = bench.hub.open(&REPO.parse().unwrap(), &listener).unwrap();
    assert_eq!(std::fs::read(repo.file(WEIGHTS).unwrap().unwrap()).unwrap(), weights());
    assert_eq!(bench.server.fetched(WEIGHTS)[0].header("range"), Some("bytes=1000-"));
    let told = listener.told.lock().unwrap();
    assert_eq!(told[0], (WEIGHTS.to_owned(), 1_000, 1_000_003));
    assert_eq!(told.last(), Some(&(WEIGHTS.to_owned(), 1_000_003, 1_000_003)));
    assert!(told.is_sorted());
}

#[test]
fn remains_that_are_not_of_the_file_are_fetched_anew() {
    for wrong in [vec![7; 1_000], vec![7; 1_000_003], vec![7; 1_500_000]] {
        let bench = bench(answer);
        let blobs = bench.cached().join("blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(format!("{}.incomplete", sha256(&weights()))), &wrong).unwrap();
        assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()), "{}", wrong.len());
        assert_eq!(bench.server.fetched(WEIGHTS).last().unwrap().header("range"), None);
        assert_eq!(bench.blobs(), (1, 0));
    }
}

#[test]
fn a_server_that_knows_no_ranges_is_asked_for_all() {
    let bench = serving(|k, _| match k {
        0 => Reply::ok(weights()).cut(400_000),
        _ => Reply::ok(weights()),
    });
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    assert_eq!(bench.server.fetched(WEIGHTS)[1].header("range"), Some("bytes=400000-"));
}

#[test]
fn parts_that_do_not_fit_are_not_glued_on() {
    // A file in Git, so that the ETag is that of the server which sends the bytes: how often is it asked?
    let odd = |range: &'static str, etag: Option<&'static str>| {
        let whole = b"0123456789";
        let count = AtomicUsize::new(0);
        let bench = bench(move |request| {
            let tag = format!("\"{}\"", git_sha1(whole));
            if !request.path.ends_with("config.json") {
                return answer(request);
            }
            if request.method == "HEAD" {
                return small(whole);
            }
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => small(whole).cut(4),
                1 => {
                    assert_eq!((request.header("range"), request.header("if-range")), (Some("bytes=4-"), Some(&*tag)));
                    Reply::part(whole[4..].to_vec(), range).header("ETag", etag.unwrap_or(&tag))
                }
                _ => small(whole),
            }
        });
        assert_eq!(bench.read("config.json").unwrap().as_deref(), Some(whole.as_slice()));
        bench.server.fetched("config.json").len()
    };
    assert_eq!(odd("bytes 4-9/10", None), 2);
    assert_eq!(odd("bytes 3-8/10", None), 3);
    assert_eq!(odd("bytes 4-9/11", None), 3);
    assert_eq!(odd("nonsense", None), 3);
    assert_eq!(odd("bytes 4-9/10", Some("\"changed\"")), 3);
}

#[test]
fn a_file_that_changes_meanwhile_is_fetched_anew() {
    let changed: Vec<u8> = weights().iter().rev().copied().collect();
    let expected = changed.clone();
    let cut = std::sync::atomic::AtomicBool::new(false);
    let bench = bench(move |request| {
        if !request.path.ends_with(WEIGHTS) {
            return answer(request);
        }
        if cut.load(Ordering::SeqCst) {
            return large(&changed, request);
        }
        cut.store(request.method == "GET", Ordering::SeqCst);
        large(&weights(), request).cut(400_000)
    });
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(expected));
    assert_eq!(bench.server.fetched(WEIGHTS)[1].header("range"), None);
    assert_eq!(bench.blobs(), (1, 1));
}

#[test]
fn a_wrong_checksum_deletes_what_came() {
    let mut wrong = weights();
    wrong[500_000] ^= 1;
    let got = sha256(&wrong);
    let bench = serving(move |_, _| Reply::ok(wrong.clone()));
    let (message, is_input) = bench.failure();
    for part in [WEIGHTS, "SHA-256", &sha256(&weights()), &got] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!is_input);
    assert_eq!(bench.blobs(), (0, 0));
    assert_eq!(bench.server.fetched(WEIGHTS).len(), 1);
    assert!(!bench.cached().join("refs/main").exists());

    let bench = super::bench(but_for("config.json", |request| match request.method.as_str() {
        "GET" => Reply::ok(b"[]\n".to_vec()),
        _ => answer(request),
    }));
    let message = bench.read("config.json").unwrap_err().to_string();
    assert!(message.contains("Git blob SHA-1") && message.contains(&git_sha1(b"{}\n")), "{message}");
    assert_eq!(bench.blobs(), (0, 0));
}

#[test]
fn a_body_that_stays_short_is_kept_and_told() {
    let bench = serving(|_, request| match request.header("range") {
        None => large(&weights(), request).cut(400_000),
        Some(_) => large(&weights(), request).cut(0),
    });
    let (message, is_input) = bench.failure();
    assert!(message.contains("expected 1000003 bytes, got 400000"), "{message}");
    assert!(!is_input);
    assert_eq!(bench.blobs(), (0, 1));
    // The first, and three that brought nothing.
    assert_eq!(bench.server.fetched(WEIGHTS).len(), 1 + 3);
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let bench = serving(|_, _| Reply::ok(weights()[1..].to_vec()));
    let (message, is_input) = bench.failure();
    assert!(message.contains("expected 1000003 bytes, got an answer of 1000002"), "{message}");
    assert!(!is_input);
}

#[test]
fn without_a_length_the_checksum_decides() {
    let whole = but_for("config.json", |_| small(b"{}\n").endless());
    assert_eq!(bench(whole).read("config.json").unwrap().as_deref(), Some(b"{}\n".as_slice()));
    let unchecked = but_for("config.json", |_| Reply::ok(b"{}\n".to_vec()).endless().header("ETag", "\"some-thing\""));
    let error = bench(unchecked).read("config.json").unwrap_err();
    assert!(error.to_string().contains("a length or a checksum"), "{error}");
}

#[test]
fn a_slow_server_is_waited_for_and_a_silent_one_is_not() {
    let mut slow = serving(|_, request| large(&weights(), request).drip(80_001, Duration::from_millis(100)));
    slow.hub.patience.stall = Duration::from_secs(1);
    assert_eq!(slow.read(WEIGHTS).unwrap(), Some(weights()));
    assert_eq!(slow.server.fetched(WEIGHTS).len(), 1);

    let mut silent = serving(|_, request| large(&weights(), request).drip(400_000, Duration::from_mins(1)));
    silent.hub.patience.stall = Duration::from_millis(500);
    let begin = Instant::now();
    // Each attempt brings a part: 400,000, 800,000, all.
    assert_eq!(silent.read(WEIGHTS).unwrap(), Some(weights()));
    assert!(begin.elapsed() < Duration::from_secs(10));
    let ranges: Vec<_> = silent.server.fetched(WEIGHTS).iter().map(|r| r.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=400000-".into()), Some("bytes=800000-".into())]);
}

#[test]
fn a_download_that_is_stopped_keeps_what_came() {
    let bench = bench(answer);
    let listener = Listener::stopping_at(300_000);
    let repo = bench.hub.open(&REPO.parse().unwrap(), &listener).unwrap();
    let error = repo.file(WEIGHTS).unwrap_err();
    assert!(matches!(error, snellen::Error::Interrupted { .. }), "{error}");
    assert!(error.to_string().contains("is kept in"), "{error}");
    assert_eq!(bench.blobs(), (0, 1));
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    let range = bench.server.fetched(WEIGHTS)[1].header("range").unwrap().to_owned();
    let start: u64 = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    assert!((300_000..1_000_003).contains(&start), "{range}");
}

#[test]
fn two_threads_fetch_a_file_once() {
    let bench = serving(|_, request| large(&weights(), request).drip(200_000, Duration::from_millis(10)));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights())));
        }
    });
    assert_eq!(bench.server.fetched(WEIGHTS).len(), 1);
    assert_eq!(bench.blobs(), (1, 0));
}

#[test]
fn a_server_that_drips_is_given_up() {
    let mut drips = serving(|_, request| large(&weights(), request).drip(40, Duration::from_millis(100)));
    drips.hub.patience = Patience { stall: Duration::from_millis(500), attempts: 2, ..drips.hub.patience };
    let begin = Instant::now();
    let (message, is_input) = drips.failure();
    assert!(message.contains("hardly anything comes any more") && !is_input, "{message}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(drips.server.fetched(WEIGHTS).len(), 2);
    let header = drips.hub.open(&REPO.parse().unwrap(), &()).unwrap().header(WEIGHTS);
    assert!(header.unwrap_err().to_string().contains("hardly any"));
}

/// A file of `length` bytes that begins with the length of its header.
fn weights_with_header(header: u64, length: usize) -> Vec<u8> {
    let mut bytes = weights();
    bytes.resize(length, 7);
    bytes[..8].copy_from_slice(&header.to_le_bytes());
    bytes
}

#[test]
fn of_a_header_no_more_is_fetched_than_it_has() {
    let length = 1_000_003;
    for (header, parts) in [(100, 1), (400_000, 2), (length as u64 - 8, 2), (u64::MAX, 1), (length as u64, 1)] {
        let bytes = weights_with_header(header, length);
        let served = bytes.clone();
        let bench = bench(
            move |request| if request.path.ends_with(WEIGHTS) { large(&served, request) } else { answer(request) },
        );
        let repo = bench.hub.open(&REPO.parse().unwrap(), &()).unwrap();
        assert_eq!(repo.header("none.safetensors").unwrap(), None);
        let found = repo.header(WEIGHTS).unwrap().unwrap();
        assert_eq!(found.length, length as u64);
        assert!(bytes.starts_with(&found.bytes));
        let least = if parts == 2 { header as usize + 8 } else { 262_144 };
        assert_eq!((found.bytes.len(), bench.server.fetched(WEIGHTS).len()), (least, parts), "{header}");
        assert_eq!(bench.blobs(), (0, 0));
    }
    // A server that knows no ranges, and a file that is shorter than what is asked for.
    let bytes = weights_with_header(400_000, length);
    let served = bytes.clone();
    let whole = serving(move |_, _| Reply::ok(served.clone()));
    let found = whole.hub.open(&REPO.parse().unwrap(), &()).unwrap().header(WEIGHTS).unwrap().unwrap();
    assert_eq!((&found.bytes[..], found.length), (&bytes[..400_008], length as u64));
    let short = bench(but_for(WEIGHTS, |request| large(b"short", request)));
    let found = short.hub.open(&REPO.parse().unwrap(), &()).unwrap().header(WEIGHTS).unwrap().unwrap();
    assert_eq!((&found.bytes[..], found.length), (b"short".as_slice(), 5));
}
