//! The cache's folders are those of `huggingface_hub`, whatever a server calls its files.

use super::*;
use std::path::Path;

/// Every file and link below `folder`, relative to it, in order.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_cache_is_laid_out_as_python_lays_it_out() {
    let bench = bench(answer);
    for name in ["config.json", WEIGHTS, "sub/folder/odd name.txt", "none.json"] {
        bench.read(name).unwrap();
    }
    let (config, large, empty) = (git_sha1(b"{}\n"), sha256(&weights()), git_sha1(b""));
    let mut expected = vec![
        format!("models--owner--name/.no_exist/{COMMIT}/none.json"),
        format!("models--owner--name/blobs/{config}"),
        format!("models--owner--name/blobs/{large}"),
        format!("models--owner--name/blobs/{empty}"),
        "models--owner--name/refs/main".to_owned(),
        format!("models--owner--name/snapshots/{COMMIT}/config.json"),
        format!("models--owner--name/snapshots/{COMMIT}/{WEIGHTS}"),
        format!("models--owner--name/snapshots/{COMMIT}/sub/folder/odd name.txt"),
        format!(".locks/models--owner--name/{config}.lock"),
        format!(".locks/models--owner--name/{large}.lock"),
        format!(".locks/models--owner--name/{empty}.lock"),
    ];
    expected.sort();
    assert_eq!(tree(&bench.hub.cache), expected);
    assert_eq!(std::fs::read_to_string(bench.cached().join("refs/main")).unwrap(), COMMIT);
    let snapshot = bench.cached().join("snapshots").join(COMMIT);
    let link = |name: &str| std::fs::read_link(snapshot.join(name)).unwrap();
    assert_eq!(link(WEIGHTS), Path::new("../../blobs").join(&large));
    assert_eq!(link("sub/folder/odd name.txt"), Path::new("../../../../blobs").join(&empty));
}

#[test]
fn revisions_are_noted_under_their_names() {
    let bench = bench(answer);
    for (revision, path) in [("refs/pr/1", "refs%2Fpr%2F1"), ("v1.0", "v1.0"), ("a+b", "a%2Bb")] {
        let repo = bench.hub.open(&format!("{REPO}@{revision}").parse().unwrap(), &()).unwrap();
        let last = bench.server.asked().last().unwrap().path.clone();
        assert_eq!(last, format!("/api/models/owner/name/revision/{path}"));
        let note = bench.cached().join("refs").join(revision);
        assert!(!note.exists());
        repo.file("config.json").unwrap();
        assert_eq!(std::fs::read_to_string(note).unwrap(), COMMIT);
    }
}

#[test]
fn names_that_a_server_sends_stay_in_the_cache() {
    let hostile = ["../x", "/etc/x", "a/../../x", "a//x", "", ".", "..", "a/", "C:\\x", "..\\x", "C:x", "x\n", "x\0"];
    let bench = bench(move |request| match request.path.as_str() {
        LISTING => listing(&hostile),
        _ => small(b"taken"),
    });
    let repo = bench.hub.open(&REPO.parse().unwrap(), &()).unwrap();
    for name in hostile {
        let error = repo.file(name).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().contains("relative path"), "{name:?}: {error}");
        assert!(repo.cached(name).is_err());
    }
    assert_eq!(bench.server.asked().len(), 1);
    assert!(tree(bench.folder.path()).is_empty());
}

#[test]
fn a_link_to_contents_that_are_gone_is_made_anew() {
    let bench = bench(answer);
    bench.read("config.json").unwrap();
    std::fs::remove_file(bench.cached().join("blobs").join(git_sha1(b"{}\n"))).unwrap();
    assert_eq!(bench.read("config.json").unwrap().as_deref(), Some(b"{}\n".as_slice()));
}

#[test]
fn what_is_here_is_found_even_if_nothing_can_be_noted() {
    let bench = bench(answer);
    bench.read("config.json").unwrap();
    // A folder where the note belongs stands for a cache that cannot be written to.
    let note = bench.cached().join("refs/main");
    std::fs::remove_file(&note).unwrap();
    std::fs::create_dir(&note).unwrap();
    assert_eq!(bench.read("config.json").unwrap().as_deref(), Some(b"{}\n".as_slice()));
    assert!(bench.read(WEIGHTS).is_err());
}
