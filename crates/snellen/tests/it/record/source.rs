//! Where images come from: the same pictures give the same rows from a folder, tars, Parquet and the generator.

use super::{assert_says, config, load, scenes};
use arrow_array::{ArrayRef, BinaryArray, LargeBinaryArray, RecordBatch, StringArray, StructArray, UInt32Array};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use snellen::record::source::Content;
use snellen::record::{
    ActivationStore, FolderSource, ParquetSource, RunManifest, SceneSource, Source, SourceConfig, TarSource,
    TokenPolicy, open_source, record,
};
use snellen::scene::folder::write_folder;
use snellen::scene::{Canvas, SceneKind, Series, World};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tar::{Builder, EntryType, Header};

/// Nothing that is asked for.
pub(super) fn plain() -> SourceConfig {
    SourceConfig::default()
}

/// The bytes of the pictures of a folder.
pub(super) fn bytes(source: &FolderSource) -> Vec<Vec<u8>> {
    (0..source.filenames.len()).map(|row| fs::read(source.path(row)).unwrap()).collect()
}

/// Names and activations.
fn recorded(source: &dyn Source, out: &Path) -> (Vec<String>, Vec<f32>, RunManifest) {
    let config = config(&["image_embeds"], &[TokenPolicy::Mean], 3);
    let run = record(&load("quick_gelu"), source, &config, out, &()).unwrap();
    let store = ActivationStore::open(&out.join("activations.zarr")).unwrap();
    let array = &store.arrays()[0];
    let names = (0..source.len()).map(|row| source.name(row)).collect();
    (names, store.read(&array.id).unwrap().1, run)
}

pub(super) fn tar(path: &Path, members: &[(&str, &[u8])]) {
    let mut builder = Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap();
}

#[test]
fn tars_are_read_in_the_order_of_their_members() {
    let home = tempfile::tempdir().unwrap();
    let folder = scenes(&home.path().join("scenes"), 7);
    let (_, expected, _) = recorded(&folder, &home.path().join("from-folder"));
    let pictures = bytes(&folder);
    let long = format!("{}/deep", "long".repeat(50));
    let names = ["b", "./a", "dir.d/x", &long, "z.y/UPPER"];
    let members: Vec<(String, &[u8])> = names
        .iter()
        .zip(&pictures)
        .flat_map(|(name, bytes)| {
            let image = if name.ends_with("UPPER") { "JPEG" } else { "png" };
            [
                (format!("{name}.json"), &b"{}"[..]),
                (format!("{name}.{image}"), bytes),
                (format!("{name}.seg.png"), b"no picture"),
            ]
        })
        .collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let one = home.path().join("one.tar");
    tar(&one, &members);
    // Which picture of a key is meant has to be said.
    assert_says(
        open_source(&one, &plain()),
        &["one.tar: key `", "--image-field", "`png` and `seg.png`", "seg.png (5), png (4), jpeg (1)"],
    );
    let by_field = SourceConfig { fields: vec!["png".to_owned(), "jpeg".to_owned()], ..plain() };
    let source = open_source(&one, &by_field).unwrap();
    let (read, values, run) = recorded(source.as_ref(), &home.path().join("from-tar"));
    assert_eq!(read, ["b", "a", "dir.d/x", &long, "z.y/UPPER"]);
    assert_eq!(values, expected[..expected.len() / 7 * 5]);
    let images = run.images.unwrap();
    assert_eq!((images.labels_hash, images.scenes), (None, None));
    // Several, by name; keys may come again in another.
    let tars = home.path().join("tars");
    fs::create_dir(&tars).unwrap();
    tar(&tars.join("s-1.tar"), &[("0.png", &pictures[5]), ("1.png", &pictures[6])]);
    fs::copy(&one, tars.join("s-0.tar")).unwrap();
    let source = open_source(&tars, &by_field).unwrap();
    let (read, values, _) = recorded(source.as_ref(), &home.path().join("from-tars"));
    assert_eq!((read[0].as_str(), read[6].as_str()), ("s-0/b", "s-1/1"));
    assert_eq!(values, expected);
    let paths = [home.path().join("from-folder/activations.zarr"), home.path().join("from-tars/activations.zarr")];
    assert_eq!(super::differing(&paths[0], &paths[1]), [""; 0]);
    let config = config(&["blocks.0.hook_mlp_out"], &[TokenPolicy::Object], 3);
    let result = record(&load("quick_gelu"), source.as_ref(), &config, &home.path().join("masked"), &());
    assert_says(result, &["tars", "masks", "`object`"]);
}

#[test]
fn hostile_tars_are_refused_by_file_and_member() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.tar");
    let refuse = |says: &[&str]| assert_says(TarSource::open(&path, &plain()), &[&["x.tar"], says].concat());
    let raw = |edit: &dyn Fn(&mut Header), body: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_size(body.len() as u64);
        header.set_path("a.png").unwrap();
        edit(&mut header);
        header.set_cksum();
        let padding = vec![0; body.len().next_multiple_of(512) - body.len()];
        [header.as_bytes(), body, &padding].concat()
    };
    let named = |name: &[u8]| {
        raw(&|header| header.as_old_mut().name[..=name.len()].copy_from_slice(&[name, &[0]].concat()), b"x")
    };
    let image = raw(&|_| {}, b"picture");
    let put = |parts: &[&[u8]]| fs::write(&path, parts.concat()).unwrap();

    put(&[]);
    refuse(&["png, jpg, jpeg", "none"]);
    put(&[&[7; 2000]]);
    refuse(&["after its first member"]);
    put(&[&image, &[7; 512]]);
    refuse(&["after `a.png`"]);
    put(&[&image[..700], &[1; 60]]);
    assert!(TarSource::open(&path, &plain()).is_ok(), "it ends within padding");
    put(&[&image[..515]]);
    refuse(&["`a.png`", "expected 7 bytes", "the end of the file"]);
    put(&[&image[..100]]);
    refuse(&[]);
    for (size, says) in [(1 << 30, "end of the file"), (u64::MAX / 2, "end of the file"), (u64::MAX, "")] {
        put(&[&raw(&|header| header.set_size(size), b"x")]);
        refuse(&[says]);
    }
    fs::File::create(&path).unwrap().set_len((1 << 28) + 4096).unwrap();
    let mut whole = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut whole, &raw(&|header| header.set_size((1 << 28) + 1), b"")).unwrap();
    refuse(&["a.png", "more than 268435456 bytes"]);
    put(&[&image, &image]);
    refuse(&["`a.png`", "a key of its own"]);
    put(&[&image, &named(b"a.jpg")]);
    refuse(&["key `a`", "--image-field", "`jpg` and `png`"]);
    for kind in [EntryType::Fifo, EntryType::GNUSparse] {
        put(&[&raw(&|header| header.set_entry_type(kind), b"")]);
        refuse(&["`a.png`", "a plain file"]);
    }
    for kind in [EntryType::Symlink, EntryType::Link] {
        put(&[&raw(&|header| header.set_entry_type(kind), b"")]);
        refuse(&["none, but links in tar files: 1 (a.png)"]);
    }
    for name in [&b"../a.png"[..], b"/etc/a.png", b"a/../b.png", b"a\\b.png", b"\xff.png", b"a\nb.png"] {
        put(&[&named(name)]);
        refuse(&[]);
    }
    // Names and headers that would take all memory.
    for kind in [EntryType::GNULongName, EntryType::XHeader] {
        put(&[&raw(&|header| header.set_entry_type(kind), &vec![b'a'; 1 << 20]), &image]);
        refuse(&["extended header at byte 512", "at most"]);
    }
    put(&[&raw(&|header| header.set_entry_type(EntryType::XHeader), b"11 size=99\n"), &image]);
    refuse(&["extended header", "`size`"]);
    put(&[&raw(&|header| header.set_entry_type(EntryType::XHeader), b"nonsense\n"), &image]);
    refuse(&["extended header"]);
    put(&[&raw(&|header| header.set_entry_type(EntryType::XHeader), b"16 path=b/c.png\n"), &image]);
    assert_eq!(TarSource::open(&path, &plain()).unwrap().name(0), "b/c");
    // Any byte changed: refused or read, never a panic.
    put(&[&image, &named(b"b.jpg"), &[0; 1024]]);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, damaged).unwrap();
        let _ = TarSource::open(&path, &plain());
    }
    assert_says(open_source(&home.path().join("nowhere.tar"), &plain()), &["nowhere.tar"]);
    fs::write(home.path().join("a.zip"), "").unwrap();
    assert_says(
        open_source(&home.path().join("a.zip"), &plain()),
        &["a.zip", "a .tar file or a .parquet file", "not known"],
    );
}

#[test]
fn an_image_in_a_tar_that_does_not_decode_is_named() {
    let home = tempfile::tempdir().unwrap();
    let pictures = bytes(&scenes(&home.path().join("scenes"), 3));
    let path = home.path().join("x.tar");
    tar(&path, &[("a.png", &pictures[0]), ("b.png", &pictures[1][..99]), ("c.png", b"")]);
    let source = TarSource::open(&path, &plain()).unwrap();
    let config = config(&["image_embeds"], &[TokenPolicy::Mean], 3);
    let out = home.path().join("run");
    let attempt = || record(&load("quick_gelu"), &source, &config, &out, &());
    assert_says(attempt(), &["x.tar: `b`"]);
    // The file became shorter after its headers were read.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(600).unwrap();
    assert_says(attempt(), &["x.tar"]);
    assert!(!out.exists() && !home.path().join("run.partial").exists());
}

/// Rows in groups of four, values in pages of a few.
pub(super) fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>, compression: Compression) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(4))
        .set_data_page_row_count_limit(2)
        .set_write_batch_size(1)
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// As `datasets` writes images.
fn hugging_face(images: &[Vec<u8>], paths: Vec<Option<&str>>) -> ArrayRef {
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(images));
    let paths: ArrayRef = Arc::new(StringArray::from(paths));
    let fields = [("bytes", DataType::Binary), ("path", DataType::Utf8)];
    let fields = fields.map(|(name, kind)| Arc::new(Field::new(name, kind, true)));
    Arc::new(StructArray::from(fields.into_iter().zip([bytes, paths]).collect::<Vec<_>>()))
}

#[test]
fn parquet_columns_of_images_are_read() {
    let home = tempfile::tempdir().unwrap();
    let folder = scenes(&home.path().join("scenes"), 11);
    let (_, expected, _) = recorded(&folder, &home.path().join("from-folder"));
    let pictures = bytes(&folder);
    let label: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..11));
    let paths: Vec<_> = (0..11).map(|i| [Some("a/x.png"), None, Some("/etc/x.png")][i % 3]).collect();
    let columns: [(&str, ArrayRef, Compression); 3] = [
        ("image", hugging_face(&pictures, paths), Compression::SNAPPY),
        ("img", Arc::new(BinaryArray::from_iter_values(&pictures)), Compression::UNCOMPRESSED),
        ("picture", Arc::new(LargeBinaryArray::from_iter_values(&pictures)), Compression::SNAPPY),
    ];
    for (name, column, compression) in columns {
        let path = home.path().join(format!("{name}.parquet"));
        parquet(&path, vec![("label", label.clone()), (name, column)], compression);
        let source = open_source(&path, &SourceConfig { column: name.to_owned(), ..plain() }).unwrap();
        let (names, values, _) = recorded(source.as_ref(), &home.path().join(format!("from-{name}")));
        assert_eq!(values, expected, "{name}");
        let first = if name == "image" { "a/x.png" } else { "000000" };
        assert_eq!((names[0].as_str(), names[1].as_str(), names[2].as_str()), (first, "000001", "000002"));
        // From any row on.
        for start in 0..11 {
            let mut rows = source.read(start..11).unwrap();
            for row in start..11 {
                let image = rows.next().unwrap().unwrap();
                let Content::File { bytes, mask: None } = image.content else { panic!() };
                assert!(bytes == pictures[row] && image.name == names[row], "{name}: row {row} from {start} on");
            }
        }
    }
}

#[test]
fn hostile_parquet_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.parquet");
    let pictures = bytes(&scenes(&home.path().join("scenes"), 6));
    let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..6));
    parquet(
        &path,
        vec![("n", numbers.clone()), ("image", hugging_face(&pictures, vec![None; 6]))],
        Compression::SNAPPY,
    );
    let refuse = |column: &str, says: &[&str]| {
        let config = SourceConfig { column: column.to_owned(), ..plain() };
        assert_says(ParquetSource::open(&path, &config), &[&["x.parquet"], says].concat());
    };
    refuse("picture", &["column `picture`", "[n, image]", "--image-column image may be meant"]);
    refuse("n", &["column `n`", "bytes, a struct with", "UInt32"]);
    let whole = fs::read(&path).unwrap();
    let attempt = || -> snellen::Result<()> {
        let source = ParquetSource::open(&path, &plain())?;
        source.read(0..source.len())?.try_for_each(|image| match image?.content {
            Content::Bad(error) => Err(error),
            _ => Ok(()),
        })
    };
    attempt().unwrap();
    for length in [0, 4, 11, 12, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_says(attempt(), &["x.parquet"]);
    }
    let missing: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&pictures[0][..]), None]));
    parquet(&path, vec![("image", missing)], Compression::SNAPPY);
    assert_says(attempt(), &["x.parquet: `image`, row 1", "an image", "none"]);
    parquet(&path, vec![("image", Arc::new(BinaryArray::from(Vec::<&[u8]>::new())))], Compression::SNAPPY);
    refuse("image", &["rows", "got 0"]);
    // Any byte changed: an error or other bytes, never a panic.
    for at in (0..whole.len()).rev().take(1500).chain((0..whole.len()).step_by(41)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, damaged).unwrap();
        let _ = attempt();
    }
}

#[test]
fn scenes_that_never_touch_the_disk_are_those_of_a_folder() {
    let home = tempfile::tempdir().unwrap();
    for (kind, count) in [(SceneKind::Toy, 11), (SceneKind::Factorial, 1), (SceneKind::Swap, 6), (SceneKind::Toy, 3)] {
        let series = Series::new(kind, World::study(), Canvas::plain(41, 37), count, 8).unwrap();
        let here = home.path().join(format!("{kind}-{count}"));
        let drawn: Vec<_> = (0..series.len()).map(|i| series.scene(i).unwrap()).collect();
        write_folder(&here.join("scenes"), series.world(), &drawn, series.canvas()).unwrap();
        let folder = FolderSource::open(&here.join("scenes")).unwrap();
        let (names, expected, _) = recorded(&folder, &here.join("from-folder"));
        let source = SceneSource(series);
        let (drawn_names, values, run) = recorded(&source, &here.join("from-scenes"));
        assert_eq!((drawn_names, values), (names, expected), "{kind}");
        let labels = |run: &str| fs::read(here.join(run).join("labels.csv")).unwrap();
        assert_eq!(labels("from-folder"), labels("from-scenes"), "{kind}");
        assert_eq!(run.images.unwrap().scenes.unwrap().kind, kind);
        let files = |run: &str| PathBuf::from(&here).join(run).join("activations.zarr");
        assert_eq!(super::differing(&files("from-folder"), &files("from-scenes")), [""; 0]);
    }
    assert_says(Series::new(SceneKind::Toy, World::toy(), Canvas::plain(9, 9), 0, 1), &["scenes", "0 times 1"]);
    assert_says(Series::new(SceneKind::Swap, World::toy(), Canvas::plain(9, 9), usize::MAX, 1), &["scenes"]);
    assert_says("maze".parse::<SceneKind>(), &["toy, factorial, swap", "`maze`"]);
}

#[test]
fn scenes_have_exact_masks() {
    let home = tempfile::tempdir().unwrap();
    let series = Series::new(SceneKind::Toy, World::study(), Canvas::plain(50, 40), 9, 8).unwrap();
    let drawn: Vec<_> = (0..9).map(|i| series.scene(i).unwrap()).collect();
    write_folder(&home.path().join("scenes"), series.world(), &drawn, series.canvas()).unwrap();
    let folder = FolderSource::open(&home.path().join("scenes")).unwrap();
    let config = config(&["hook_embed"], &[TokenPolicy::Object, TokenPolicy::Background], 4);
    let values = |source: &dyn Source, name: &str| {
        let out = home.path().join(name);
        record(&load("quick_gelu"), source, &config, &out, &()).unwrap();
        let store = ActivationStore::open(&out.join("activations.zarr")).unwrap();
        store.arrays().iter().flat_map(|array| store.read(&array.id).unwrap().1).collect::<Vec<f32>>()
    };
    let (rounded, exact) = (values(&folder, "rounded"), values(&SceneSource(series), "exact"));
    let largest = exact.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    let apart = exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(
        apart > 0.0 && apart < 0.1 * largest,
        "{apart} of {largest}: masks of a byte a pixel are near the exact ones"
    );
}
