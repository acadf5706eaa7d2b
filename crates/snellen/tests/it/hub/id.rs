//! Names that are read, and names that are refused.

use super::*;
use proptest::prelude::*;
use snellen::model::HubId;

#[test]
fn names_are_read_and_written() {
    for (text, repo, revision) in [
        ("openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32", "main"),
        ("a/b@v1.0", "a/b", "v1.0"),
        ("a_/_b.c@refs/pr/1", "a_/_b.c", "refs/pr/1"),
        ("A-1/B.2@feature/x@y", "A-1/B.2", "feature/x@y"),
        ("a/b@0123456789abcdef0123456789abcdef01234567", "a/b", COMMIT),
    ] {
        let id: HubId = text.parse().unwrap();
        assert_eq!((id.repo(), id.revision()), (repo, revision));
        assert_eq!(id.to_string(), text);
        assert_eq!(id.pinned(), (revision == COMMIT).then_some(COMMIT));
    }
    assert_eq!("a/b@main".parse::<HubId>().unwrap().to_string(), "a/b");
}

#[test]
fn names_that_are_none_are_refused() {
    let long = "x".repeat(97);
    let all_long = format!("a/{long}");
    let other_long = format!("{long}/a");
    for text in [
        "",
        "/",
        "a",
        "a/",
        "/a",
        "a//b",
        "a/b/c",
        "../b",
        "a/..",
        "a/.b",
        "a/b.",
        "-a/b",
        "a/b-",
        "a--b/c",
        "a/b..c",
        "a b/c",
        "a/b\n",
        "a/b\0",
        "a/\u{1b}[2J",
        "a/\u{e9}",
        "a\\b/c",
        "C:/x",
        "./a",
        "~/a",
        "a/b?x",
        "a/b#x",
        "a/%2e",
        " a/b",
        &all_long,
        &other_long,
    ] {
        let error = text.parse::<HubId>().unwrap_err();
        assert!(error.is_bad_input());
        let message = error.to_string();
        assert!(message.contains("`owner/name`") && message.contains(&format!("{text:?}")), "{message}");
        assert!(!message.chars().any(char::is_control), "{message}");
    }
    assert!(format!("a/{}", &long[1..]).parse::<HubId>().is_ok());
}

#[test]
fn revisions_that_are_none_are_refused() {
    let long = "x".repeat(600);
    for revision in [
        "", "/", "a/", "/a", "a//b", "..", "../x", "a/../b", "a..b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "-a",
        "a b", "a\tb", "a\0", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "@{1}", "main@{0}", &long,
    ] {
        let error = format!("owner/name@{revision}").parse::<HubId>().unwrap_err();
        assert!(error.is_bad_input());
        assert!(error.to_string().starts_with("revision of owner/name: expected a branch"), "{error}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_read_leaves_its_folder(text in "[a/.@\\-_~\\\\:b]{0,12}") {
        if let Ok(id) = text.parse::<HubId>() {
            let dangerous = |part: &str| part.is_empty() || part.starts_with('.');
            prop_assert!(!id.repo().split('/').any(dangerous));
            prop_assert!(!id.revision().split('/').any(dangerous));
            prop_assert_eq!(id.to_string().parse::<HubId>().unwrap(), id);
        }
    }
}
