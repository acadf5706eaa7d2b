//! Parquet files as pyarrow and `datasets` write them: every codec, encoding and type gives the same images.

use super::assert_says;
use super::source::plain;
use snellen::record::source::Content;
use snellen::record::{Source, SourceConfig, open_source};
use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sources")
}

fn file(name: &str) -> PathBuf {
    sources().join("parquet").join(format!("{name}.parquet"))
}

/// The images that all files hold.
fn pictures() -> Vec<Vec<u8>> {
    (0..6).map(|i| fs::read(sources().join(format!("pictures/{i}.png"))).unwrap()).collect()
}

/// What the rows hold, from `start` on.
fn read(source: &dyn Source, start: usize) -> Vec<Result<Vec<u8>, String>> {
    let images = source.read(start..source.len()).unwrap();
    let content = |image: snellen::record::source::Image<'_>| match image.content {
        Content::File { bytes, .. } => Ok(bytes),
        Content::Bad(error) => Err(error.to_string()),
        Content::Scene { .. } => panic!("{}", image.name),
    };
    images.map(|image| content(image.unwrap())).collect()
}

fn index(index: usize) -> SourceConfig {
    SourceConfig { index: Some(index), ..plain() }
}

#[test]
fn every_codec_encoding_and_type_gives_the_same_images() {
    let expected: Vec<_> = pictures().into_iter().map(Ok).collect();
    let files = [
        ("none", plain()),
        ("snappy", plain()),
        ("gzip", plain()),
        ("brotli", plain()),
        ("zstd", plain()),
        ("lz4", plain()),
        ("plain", plain()),
        ("delta_length_byte_array", plain()),
        ("delta_byte_array", plain()),
        ("dictionary", plain()),
        ("version_2", plain()),
        ("large_binary", plain()),
        ("binary_view", plain()),
        ("saved", SourceConfig { root: Some(sources().join("pictures")), ..plain() }),
        ("paths", SourceConfig { root: Some(sources()), ..plain() }),
        ("list_of_structs", index(0)),
        ("list_of_bytes", index(0)),
        ("large_list", index(0)),
        ("fixed_list", index(1)),
    ];
    for (name, config) in files {
        let source = open_source(&file(name), &config).unwrap();
        for start in [0, 3, 5] {
            assert_eq!(read(source.as_ref(), start), expected[start..], "{name} from {start} on");
        }
    }
    let reversed: Vec<_> = expected.iter().rev().cloned().collect();
    let source = open_source(&file("list_of_structs"), &index(1)).unwrap();
    assert_eq!(read(source.as_ref(), 0), reversed);
    assert_eq!((source.name(0), source.name(5)), ("5.png".to_owned(), "0.png".to_owned()));
}

#[test]
fn lists_ask_which_image_is_meant() {
    assert_says(open_source(&file("list_of_bytes"), &plain()), &["column `image`", "--image-index"]);
    assert_says(open_source(&file("snappy"), &index(0)), &["a list of images in every row, for --image-index"]);
    let source = open_source(&file("uneven_lists"), &index(1)).unwrap();
    let rows = read(source.as_ref(), 0);
    assert_eq!((rows.iter().filter(|row| row.is_ok()).count(), rows[0].is_ok()), (5, true));
    let said = rows[3].clone().unwrap_err();
    assert!(said.contains("row 3") && said.contains("a list with an image 1, got a list of 1"), "{said}");
}

#[test]
fn rows_without_an_image_are_named() {
    let source = open_source(&file("nulls"), &plain()).unwrap();
    let rows = read(source.as_ref(), 0);
    for (row, content) in rows.iter().enumerate() {
        match content {
            Ok(bytes) => assert_eq!(bytes, &pictures()[row]),
            Err(said) => {
                assert!([1, 4].contains(&row) && said.contains(&format!("row {row}: expected an image, got none")));
            }
        }
    }
    assert_eq!(rows.iter().filter(|row| row.is_err()).count(), 2);
    assert_eq!((source.name(0), source.name(1)), ("0.png".to_owned(), "000001".to_owned()));
}

#[test]
fn paths_are_followed_in_one_folder_only() {
    // Beside the file they are not.
    let says = [
        "paths.parquet",
        "--image-root",
        "6 files that are not there: pictures/0.png, pictures/1.png, pictures/2.png, ...",
    ];
    assert_says(open_source(&file("paths"), &plain()), &says);
    let source = open_source(&file("paths"), &SourceConfig { skip_bad: true, ..plain() }).unwrap();
    assert!(read(source.as_ref(), 0).iter().all(Result::is_err));
    // In the file's own folder without being asked.
    let home = tempfile::tempdir().unwrap();
    fs::copy(file("paths"), home.path().join("paths.parquet")).unwrap();
    fs::create_dir(home.path().join("pictures")).unwrap();
    for (i, picture) in pictures().iter().enumerate() {
        fs::write(home.path().join(format!("pictures/{i}.png")), picture).unwrap();
    }
    let source = open_source(&home.path().join("paths.parquet"), &plain()).unwrap();
    assert_eq!(read(source.as_ref(), 0), pictures().into_iter().map(Ok).collect::<Vec<_>>());
    assert_eq!(source.name(2), "pictures/2.png");
}

#[test]
fn folders_of_shards_are_read_in_the_order_of_their_paths() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("data")).unwrap();
    fs::copy(file("zstd"), home.path().join("data/train-00001-of-00002.parquet")).unwrap();
    fs::copy(file("plain"), home.path().join("data/train-00000-of-00002.parquet")).unwrap();
    fs::write(home.path().join("README.md"), "").unwrap();
    let source = open_source(home.path(), &plain()).unwrap();
    assert_eq!(source.len(), 12);
    assert_eq!(source.name(5), "data/train-00000-of-00002/000005");
    assert_eq!(source.name(6), "data/train-00001-of-00002/0.png");
    let expected: Vec<_> = [pictures(), pictures()].concat().into_iter().map(Ok).collect();
    for start in [0, 5, 6, 11] {
        assert_eq!(read(source.as_ref(), start), expected[start..], "from {start} on");
    }
    let rows: Vec<_> = source.read(4..8).unwrap().map(|image| image.unwrap().name).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(source.passed_over()[0].to_string(), "files ending in .md: 1 (README.md)");
}
