//! Tar files of others: names with dots, packed files, folders of them.

use super::assert_says;
use super::source::{plain, tar};
use snellen::record::source::Content;
use snellen::record::{Source, SourceConfig, open_source};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Names, and what they hold.
fn read(source: &dyn Source) -> Vec<(String, String)> {
    let text = |image: snellen::record::source::Image<'_>| match image.content {
        Content::File { bytes, .. } => (image.name, String::from_utf8(bytes).unwrap()),
        _ => panic!("{}", image.name),
    };
    source.read(0..source.len()).unwrap().map(|image| text(image.unwrap())).collect()
}

/// A tar file whose members hold their own names.
fn named(path: &Path, names: &[&str]) -> PathBuf {
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, name.as_bytes())).collect();
    tar(path, &members);
    path.to_owned()
}

fn by(fields: &[&str]) -> SourceConfig {
    SourceConfig { fields: fields.iter().map(|field| (*field).to_owned()).collect(), ..plain() }
}

#[test]
fn names_mean_what_webdataset_reads_in_them() {
    let home = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sources/webdataset.json");
    let archives: Vec<Vec<[String; 3]>> = serde_json::from_slice(&fs::read(fixture).unwrap()).unwrap();
    let picture = |field: &str| [".jpg", ".png"].iter().any(|ending| format!(".{field}").ends_with(ending));
    for members in archives {
        let names: Vec<&str> = members.iter().map(|[name, ..]| name.as_str()).collect();
        let path = named(&home.path().join("x.tar"), &names);
        let pictures: Vec<_> = members.iter().filter(|[_, _, field]| picture(field)).collect();
        // Every picture is an image of its own, called by key and field.
        let expected: Vec<_> =
            pictures.iter().map(|[name, key, field]| (format!("{key}.{field}"), name.clone())).collect();
        assert_eq!(read(open_source(&path, &by(&["*"])).unwrap().as_ref()), expected);
        let mut keys: Vec<_> = pictures.iter().map(|[_, key, _]| key).collect();
        keys.dedup();
        if keys.len() == pictures.len() {
            let expected: Vec<_> = pictures.iter().map(|[name, key, _]| (key.clone(), name.clone())).collect();
            assert_eq!(read(open_source(&path, &plain()).unwrap().as_ref()), expected);
        } else {
            assert_says(open_source(&path, &plain()), &["x.tar: key", "--image-field"]);
            let chosen = open_source(&path, &by(&["nothing", &pictures[0][2]])).unwrap();
            assert_eq!(read(chosen.as_ref()), [(pictures[0][1].clone(), pictures[0][0].clone())]);
            assert_eq!(chosen.passed_over()[0].examples, [format!("{}.{}", pictures[1][1], pictures[1][2])]);
        }
    }
}

#[test]
fn members_that_are_no_images_are_counted() {
    let home = tempfile::tempdir().unwrap();
    let names =
        ["._photo.jpg", "photo.jpg", "d/._b.jpg", "d/b.WebP", "photo.txt", "photo.json", "d/b.json", "__MACOSX/c.jpg"];
    let source = open_source(&named(&home.path().join("x.tar"), &names), &plain()).unwrap();
    assert_eq!(read(source.as_ref()), [("photo".into(), "photo.jpg".into()), ("d/b".into(), "d/b.WebP".into())]);
    let passed: Vec<String> = source.passed_over().iter().map(ToString::to_string).collect();
    assert_eq!(
        passed,
        [
            "files ending in .json: 2 (photo.json, d/b.json)",
            "files ending in .txt: 1 (photo.txt)",
            "hidden files: 3 (._photo.jpg, d/._b.jpg, __MACOSX/c.jpg)",
        ]
    );
    let avif = named(&home.path().join("y.tar"), &["a.avif", "b.png"]);
    assert_says(open_source(&avif, &plain()), &["y.tar", "a.avif", "--skip-bad"]);
    assert_says(open_source(&avif, &by(&["jpg"])), &["of the field jpg", "none, but", "avif"]);
    // Two archives in one file.
    let two = home.path().join("two.tar");
    let one = fs::read(home.path().join("x.tar")).unwrap();
    fs::write(&two, [&one[..], &one[..]].concat()).unwrap();
    let source = open_source(&two, &plain()).unwrap();
    assert_eq!(source.len(), 2);
    assert!(source.passed_over().iter().any(|passed| passed.kind.contains("go on behind their end")));
}

fn packed(path: &Path, with: &str) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if with == "gzip" {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(&bytes).unwrap();
        writer.finish().unwrap()
    } else {
        zstd::stream::encode_all(bytes.as_slice(), 3).unwrap()
    }
}

#[test]
fn packed_tars_are_known_by_what_they_hold() {
    let home = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..9).flat_map(|i| [format!("{i}.txt"), format!("{i}.png")]).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plainly = named(&home.path().join("x.tar"), &names);
    let expected = read(open_source(&plainly, &plain()).unwrap().as_ref());
    assert_eq!(expected.len(), 9);
    for with in ["gzip", "zstd"] {
        let bytes = packed(&plainly, with);
        for name in ["y.tar.gz", "y.tgz", "y.tar", "y.tar.zst", "y"] {
            let path = home.path().join(name);
            fs::write(&path, &bytes).unwrap();
            let source = open_source(&path, &plain()).unwrap();
            assert_eq!(read(source.as_ref()), expected, "{with} {name}");
            let from =
                |start: usize| source.read(start..9).unwrap().map(|image| image.unwrap().name).collect::<Vec<_>>();
            assert_eq!(from(7), ["7", "8"]);
        }
        // Cut anywhere it is refused.
        for length in [bytes.len() / 2, bytes.len() - 20] {
            fs::write(home.path().join("cut.tar"), &bytes[..length]).unwrap();
            assert_says(open_source(&home.path().join("cut.tar"), &plain()), &["cut.tar"]);
        }
    }
    let png = home.path().join("png.gz");
    let mut writer = flate2::write::GzEncoder::new(fs::File::create(&png).unwrap(), flate2::Compression::default());
    writer.write_all(b"\x89PNG and so on").unwrap();
    writer.finish().unwrap();
    assert_says(open_source(&png, &plain()), &["png.gz", "a packed file that holds a PNG picture"]);
}

#[test]
fn folders_of_tars_are_read_in_the_order_of_their_paths() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("sub")).unwrap();
    named(&home.path().join("b.tar"), &["0.png"]);
    named(&home.path().join("sub/a.tar"), &["0.png", "1.png"]);
    named(&home.path().join("empty.tar"), &["notes.txt"]);
    fs::write(home.path().join("c.tar.gz"), packed(&home.path().join("b.tar"), "gzip")).unwrap();
    fs::write(home.path().join("._b.tar"), [0; 4096]).unwrap();
    let names = |source: &dyn Source| (0..source.len()).map(|row| source.name(row)).collect::<Vec<_>>();
    let source = open_source(home.path(), &plain()).unwrap();
    assert_eq!(names(source.as_ref()), ["b/0", "c/0", "sub/a/0", "sub/a/1"]);
    let kinds: Vec<_> = source.passed_over().iter().map(|passed| passed.kind.as_str()).collect();
    assert_eq!(kinds, ["hidden files or folders", "files ending in .txt", "tar files without pictures"]);
    // Names that would come twice keep their endings.
    fs::write(home.path().join("b.tgz"), packed(&home.path().join("b.tar"), "gzip")).unwrap();
    let source = open_source(home.path(), &plain()).unwrap();
    assert_eq!(names(source.as_ref())[..2], ["b.tar/0", "b.tgz/0"]);
    fs::write(home.path().join("d.tar"), b"BZh91AY").unwrap();
    assert_says(open_source(home.path(), &plain()), &["d.tar", "a bzip2 file"]);
}
