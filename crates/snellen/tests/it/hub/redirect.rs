//! Redirects: followed, counted, and never with the token to another host.

use super::*;

const TOKEN: &str = "hf_secret";

/// The hosts of the two servers differ by port.
fn two(
    location: impl Fn(&str) -> String + Send + Sync + 'static,
    cdn: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Bench, Server) {
    let cdn = Server::start(cdn);
    let there = cdn.address();
    let mut bench = bench(but_for(WEIGHTS, move |_| {
        Reply::redirect(&location(&there))
            .header("X-Linked-Etag", &format!("\"{}\"", sha256(&weights())))
            .header("X-Linked-Size", &weights().len().to_string())
            .header("ETag", "W/\"of/the=redirect\"")
    }));
    bench.hub.token = Some(TOKEN.to_owned());
    (bench, cdn)
}

fn tokens(requests: &[Request]) -> Vec<Option<&str>> {
    requests.iter().map(|request| request.header("authorization")).collect()
}

#[test]
fn the_token_stays_at_home() {
    let (bench, cdn) = two(|there| format!("{there}/blob?signature=x"), |request| Reply::ranged(&weights(), request));
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    let home = bench.server.asked();
    let shown = format!("Bearer {TOKEN}");
    assert_eq!(home.len(), 2);
    assert_eq!(tokens(&home), [Some(shown.as_str()); 2]);
    assert_eq!(tokens(&cdn.asked()), [None]);
    assert_eq!(cdn.asked()[0].path, "/blob?signature=x");
    // Without a token none is made up.
    let bench = super::bench(answer);
    bench.read(WEIGHTS).unwrap();
    assert!(tokens(&bench.server.asked()).iter().all(Option::is_none));
}

#[test]
fn the_token_does_not_come_back_from_abroad() {
    let home = std::sync::Arc::new(Mutex::new(String::new()));
    let back = home.clone();
    let (bench, cdn) =
        two(|there| format!("{there}/there"), move |_| Reply::redirect(&format!("{}/own", back.lock().unwrap())));
    *home.lock().unwrap() = bench.server.address();
    let (message, _) = bench.failure();
    assert!(message.contains("404"), "{message}");
    assert_eq!(tokens(&cdn.asked()), [None]);
    let asked = bench.server.asked();
    assert_eq!(
        asked.last().map(|request| (request.path.as_str(), request.header("authorization"))),
        Some(("/own", None))
    );
}

#[test]
fn a_host_that_is_only_written_like_the_hub_sees_no_token() {
    let (bench, cdn) =
        two(|there| there.replace("127.0.0.1", "localhost") + "/x", |request| Reply::ranged(&weights(), request));
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    assert_eq!(tokens(&cdn.asked()), [None]);
}

#[test]
fn redirects_at_home_are_followed_with_the_token() {
    // Renamed repositories and small files: a relative address, and the last answer's ETag counts.
    let mut bench = bench(|request| match request.path.as_str() {
        LISTING => Reply::redirect("/api/models/owner/name/revision/new"),
        path if path.ends_with("/config.json") => Reply::redirect("/api/resolve-cache/x?y=z")
            .header("ETag", "W/\"37-abc/def\"")
            .header("X-Repo-Commit", COMMIT),
        "/api/resolve-cache/x?y=z" => small(b"{}\n"),
        _ => answer(request),
    });
    bench.hub.token = Some(TOKEN.to_owned());
    assert_eq!(bench.read("config.json").unwrap().as_deref(), Some(b"{}\n".as_slice()));
    let asked = bench.server.asked();
    assert_eq!(asked.len(), 5, "{asked:#?}");
    assert!(tokens(&asked).iter().all(Option::is_some));
}

#[test]
fn a_resumed_download_asks_the_other_host_for_the_rest() {
    let (bench, cdn) = two(
        |there| format!("{there}/blob"),
        |request| {
            Reply::ranged(&weights(), request).header("ETag", "\"other\"").cut(if request.before == 0 {
                300_000
            } else {
                usize::MAX
            })
        },
    );
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    assert_eq!(cdn.asked()[1].header("range"), Some("bytes=300000-"));
}

#[test]
fn an_address_that_expired_is_asked_for_again() {
    let (bench, cdn) = two(
        |there| format!("{there}/blob"),
        |request| match request.before {
            0 => Reply::status(403),
            _ => Reply::ranged(&weights(), request),
        },
    );
    assert_eq!(bench.read(WEIGHTS).unwrap(), Some(weights()));
    assert_eq!((bench.server.asked().len(), cdn.asked().len()), (3, 2));
}

#[test]
fn loops_and_redirects_to_nowhere_end() {
    let endless = but_for(WEIGHTS, |request| Reply::redirect(&request.path));
    let loop_ = bench(endless);
    let (message, is_input) = loop_.failure();
    assert!(message.contains("at most 10 redirects") && !is_input, "{message}");
    assert_eq!(loop_.server.asked().len(), 1 + 11);
    for location in ["file:///etc/passwd", "http://", "ftp://127.0.0.1/x", "gopher:x"] {
        let nowhere = bench(but_for(WEIGHTS, move |_| Reply::redirect(location)));
        let (message, is_input) = nowhere.failure();
        assert!(message.contains("expected an address") && !is_input, "{message}");
    }
    let (message, _) = bench(|_| Reply::status(302)).failure();
    assert!(message.contains("expected an address"), "{message}");
}
