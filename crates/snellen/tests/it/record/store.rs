//! `activations.zarr`, written and read back, and damaged.

use super::{assert_says, block, load};
use serde_json::Value;
use snellen::model::{BlockPoint, Point, Site};
use snellen::record::{ActivationStore, ArrayId, Layout, StoreWriter, TokenPolicy};
use std::fs;
use std::path::{Path, PathBuf};

/// Distinct values, some of them 0.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i % 1009) as f32 - 3.5 * (i % 7) as f32).collect()
}

fn layout(point: Point, policy: TokenPolicy, images: usize) -> Layout {
    Layout::new(&load("gelu").config, Site::vision(point), policy, images).unwrap()
}

/// A store of one array, appended in pieces of `piece` rows.
fn store(home: &Path, layout: &Layout, values: &[f32], piece: usize) -> PathBuf {
    let folder = home.join(format!("store-{piece}"));
    let mut writer = StoreWriter::create(&folder, vec![layout.clone()]).unwrap();
    for rows in values.chunks(piece * layout.row()) {
        writer.append(&layout.id, rows).unwrap();
    }
    writer.finish().unwrap();
    folder
}

/// Shards that are full wait beside their places until somebody asks, so that the disk is waited for once; what waited for them is
/// there until then.
#[test]
fn full_shards_are_in_their_places_when_that_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let layout = layout(Point::Block(1, BlockPoint::MlpPost), TokenPolicy::All, 5000);
    let row = layout.row();
    let of = |rows: std::ops::Range<usize>| values(rows.end * row)[rows.start * row..].to_vec();
    let files = || {
        let all = walk(&folder);
        let (beside, placed): (Vec<_>, Vec<_>) = all.into_iter().partition(|name| name.starts_with('.'));
        (placed.iter().filter(|name| *name != "zarr.json").count(), beside.len())
    };
    let mut writer = StoreWriter::create(&folder, vec![layout.clone()]).unwrap();
    writer.append(&layout.id, &of(0..100)).unwrap();
    writer.checkpoint().unwrap();
    assert_eq!((writer.first_missing_row(), files()), (100, (0, 0)));
    // The first shard, and some of the next.
    let mut done = 100;
    while files() == (0, 0) {
        writer.append(&layout.id, &of(done..done + 100)).unwrap();
        done += 100;
    }
    assert_eq!(files(), (0, 1));
    assert!(writer.first_missing_row() <= 100, "what is not in its place is not there");
    // As a kill would leave it.
    let kept = home.path().join("kept");
    copy(&folder, &kept);
    copy(&folder.with_extension("pending"), &kept.with_extension("pending"));
    let left = StoreWriter::resume(&kept, vec![layout.clone()]).unwrap();
    assert_eq!(left.first_missing_row(), 100);
    writer.place().unwrap();
    assert_eq!(files(), (1, 0));
    assert!(writer.first_missing_row() > 100);
    for first in (done..5000).step_by(100) {
        writer.append(&layout.id, &of(first..first + 100)).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(files().1, 0);
    assert_eq!(ActivationStore::open(&folder).unwrap().read(&layout.id).unwrap().1, of(0..5000));
}

/// The names of all files in `folder`.
fn walk(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let of = |entry: fs::DirEntry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![name(&entry)] };
    entries.flat_map(of).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    let post = Point::Block(1, BlockPoint::MlpPost);
    let pattern = Point::Block(2, BlockPoint::Pattern);
    for (point, policy, row) in [
        (post, TokenPolicy::Mean, vec![37]),
        (post, TokenPolicy::All, vec![17, 37]),
        (pattern, TokenPolicy::All, vec![5, 17, 17]),
        (Point::Embed, TokenPolicy::All, vec![16, 30]),
        (Point::Embeds, TokenPolicy::Pooled, vec![11]),
    ] {
        for images in [1, 255, 256, 257, 4096, 4500] {
            if images * row.iter().product::<usize>() > 1 << 22 {
                continue;
            }
            let home = tempfile::tempdir().unwrap();
            let layout = layout(point, policy, images);
            let shape: Vec<usize> = std::iter::once(images).chain(row.clone()).collect();
            assert_eq!(layout.shape, shape);
            let values = values(shape.iter().product());
            let folder = store(home.path(), &layout, &values, 100);
            let opened = ActivationStore::open(&folder).unwrap();
            assert_eq!(opened.arrays(), std::slice::from_ref(&layout));
            assert_eq!(opened.read(&layout.id).unwrap(), (shape, values.clone()));
            let (from, to) = (images / 3, images - images / 5);
            let (part_shape, part) = opened.read_rows(&layout.id, from..to).unwrap();
            assert_eq!((part_shape[0], &part[..]), (to - from, &values[from * layout.row()..to * layout.row()]));
            let units = [layout.row() - 1, 0, layout.row() / 2];
            let picked = values.chunks(layout.row()).flat_map(|row| units.map(|unit| row[unit])).collect::<Vec<_>>();
            assert_eq!(opened.read_units(&layout.id, &units).unwrap(), picked);
            assert_says(opened.read_units(&layout.id, &[0, layout.row()]), &["expected units below"]);
        }
    }
}

#[test]
fn chunks_and_shards_are_sensible() {
    let vit_l = |units: usize, images: usize| Layout {
        id: ArrayId::new(block(0, BlockPoint::MlpPost), TokenPolicy::Cls),
        shape: vec![images, units],
        dimensions: vec!["image".into(), "unit".into()],
    };
    assert_eq!(vit_l(4096, 10_000).rows_per_chunk_and_shard(), (16, 256));
    assert_eq!(vit_l(1024, 10_000).rows_per_chunk_and_shard(), (64, 1024));
    assert_eq!(vit_l(16, 100_000).rows_per_chunk_and_shard(), (256, 4096));
    assert_eq!(vit_l(16, 300).rows_per_chunk_and_shard(), (256, 512));
    assert_eq!(vit_l(257 * 4096, 10_000).rows_per_chunk_and_shard(), (1, 3), "all tokens of ViT-L/14");
}

#[test]
fn pieces_do_not_change_the_bytes() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(Point::LnPre, TokenPolicy::Cls, 5000);
    let values = values(5000 * layout.row());
    let whole = store(home.path(), &layout, &values, 5000);
    for piece in [1, 7, 4096] {
        assert_eq!(super::differing(&whole, &store(home.path(), &layout, &values, piece)), [""; 0]);
    }
}

#[test]
fn the_metadata_is_that_of_zarr() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(Point::Block(0, BlockPoint::MlpPost), TokenPolicy::All, 3);
    let folder = store(home.path(), &layout, &values(3 * layout.row()), 3);
    let json = |path: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(path)).unwrap()).unwrap() };
    for group in ["zarr.json", "blocks.0.mlp.hook_post/zarr.json"] {
        assert_eq!((json(group)["node_type"].as_str(), json(group)["zarr_format"].as_u64()), (Some("group"), Some(3)));
    }
    let array = json("blocks.0.mlp.hook_post/all/zarr.json");
    assert_eq!(array["node_type"], "array");
    assert_eq!(array["data_type"], "float32");
    assert_eq!(array["fill_value"], "NaN");
    assert_eq!(array["shape"], serde_json::json!([3, 17, 37]));
    assert_eq!(array["dimension_names"], serde_json::json!(["image", "token", "unit"]));
    assert_eq!(array["attributes"], serde_json::json!({"site": "blocks.0.mlp.hook_post", "policy": "all"}));
    assert_eq!(array["codecs"][0]["name"], "sharding_indexed");
    let codecs = array["codecs"][0]["configuration"]["codecs"].as_array().unwrap();
    let names: Vec<&str> = codecs.iter().map(|codec| codec["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bytes", "zstd", "crc32c"]);
    assert!(array.get("_zarrs").is_none(), "no version that would change the bytes");
    assert!(folder.join("blocks.0.mlp.hook_post/all/c/0/0/0").is_file());
}

#[test]
fn rows_have_to_be_all_there() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(Point::LnPre, TokenPolicy::Cls, 3);
    let other = ArrayId::new(layout.id.site, TokenPolicy::Max);
    let mut writer = StoreWriter::create(&home.path().join("store"), vec![layout.clone()]).unwrap();
    assert_says(writer.append(&layout.id, &values(29)), &["hook_ln_pre/cls", "3 rows of 30"]);
    assert_says(writer.append(&layout.id, &values(4 * 30)), &["hook_ln_pre/cls", "3 rows of 30"]);
    assert_says(writer.append(&other, &values(30)), &["hook_ln_pre/max", "no such array"]);
    writer.append(&layout.id, &values(2 * 30)).unwrap();
    assert_says(writer.finish(), &["hook_ln_pre/cls", "expected 3 rows, got 2"]);
}

#[test]
fn reading_is_bounded_by_the_array() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(Point::LnPre, TokenPolicy::Cls, 3);
    let folder = store(home.path(), &layout, &values(90), 3);
    let opened = ActivationStore::open(&folder).unwrap();
    assert_says(opened.read_rows(&layout.id, 1..4), &["0..3", "1..4"]);
    assert_says(
        opened.read(&ArrayId::new(layout.id.site, TokenPolicy::Max)),
        &["`hook_ln_pre/cls`", "`hook_ln_pre/max`"],
    );
    assert_eq!(opened.read_rows(&layout.id, 2..2).unwrap(), (vec![0, 30], vec![]));
}

#[test]
fn hostile_metadata_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(Point::LnPre, TokenPolicy::Cls, 300);
    let folder = store(home.path(), &layout, &values(300 * 30), 300);
    let path = folder.join("hook_ln_pre/cls/zarr.json");
    let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let codec = "/codecs/0/configuration/codecs";
    for (pointer, value, said) in [
        ("/shape", serde_json::json!([300, 0]), "shape"),
        ("/shape", serde_json::json!([0, 30]), "shape"),
        ("/shape", serde_json::json!([300]), "shape"),
        ("/shape", serde_json::json!([300, u64::MAX, 4]), "shape"),
        ("/shape", serde_json::json!([-1, 30]), "zarr.json"),
        ("/shape", serde_json::json!([300, 31]), "`chunk_grid`"),
        ("/dimension_names", serde_json::json!(["image"]), "zarr.json"),
        ("/data_type", "float64".into(), "`data_type`"),
        ("/fill_value", 0.0.into(), "`fill_value`"),
        ("/chunk_grid/configuration/chunk_shape", serde_json::json!([1_u64 << 40, 30]), "`chunk_grid`"),
        (codec, serde_json::json!([{"name": "bytes"}]), "`codecs`"),
        ("/attributes/site", "hook_embed".into(), "`attributes`"),
        ("/node_type", "group".into(), "`node_type`"),
    ] {
        let mut json = whole.clone();
        *json.pointer_mut(pointer).unwrap() = value;
        fs::write(&path, json.to_string()).unwrap();
        assert_says(ActivationStore::open(&folder), &["hook_ln_pre/cls", said]);
    }
    fs::write(&path, "[".repeat(1 << 15)).unwrap();
    assert_says(ActivationStore::open(&folder), &["zarr.json"]);
    fs::write(&path, " ".repeat(1 << 20)).unwrap();
    assert_says(ActivationStore::open(&folder), &["zarr.json", "bytes"]);
    // As many images as no memory holds: refused before anything is read, and one shard at a time.
    for (images, said) in [(usize::MAX >> 1, "at most"), (1 << 40, "at most"), (60_000_000, "c/0/0")] {
        let claimed = Layout { shape: vec![images, 30], ..layout.clone() };
        fs::remove_dir_all(&folder).unwrap();
        drop(StoreWriter::create(&folder, vec![claimed]).unwrap());
        let opened = ActivationStore::open(&folder).unwrap();
        assert_says(opened.read(&layout.id), &["hook_ln_pre", said]);
    }
}

#[test]
fn a_group_of_something_else_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(Point::LnPre, TokenPolicy::Cls, 3);
    let folder = store(home.path(), &layout, &values(90), 3);
    fs::create_dir(folder.join("hook_ln_pre/median")).unwrap();
    assert_says(ActivationStore::open(&folder), &["median"]);
    fs::remove_dir(folder.join("hook_ln_pre/median")).unwrap();
    fs::create_dir(folder.join("hook_nothing")).unwrap();
    assert_says(ActivationStore::open(&folder), &["hook_nothing"]);
    fs::remove_dir(folder.join("hook_nothing")).unwrap();
    let root = fs::read_to_string(folder.join("zarr.json")).unwrap();
    fs::write(folder.join("zarr.json"), root.replace("\"schema\": 1", "\"schema\": 2")).unwrap();
    assert_says(ActivationStore::open(&folder), &["schema"]);
    assert_says(ActivationStore::open(&home.path().join("nowhere")), &["nowhere"]);
}

#[test]
fn damaged_shards_are_refused() {
    let home = tempfile::tempdir().unwrap();
    // Two chunks in one shard.
    let layout = layout(Point::LnPre, TokenPolicy::Cls, 300);
    let folder = store(home.path(), &layout, &values(300 * 30), 300);
    let opened = ActivationStore::open(&folder).unwrap();
    let path = folder.join("hook_ln_pre/cls/c/0/0");
    let whole = fs::read(&path).unwrap();
    let index = whole.len() - 2 * 16 - 4;
    let attempt = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        opened.read(&layout.id)
    };
    assert!(attempt(&whole).is_ok());
    // Any bit of the file is either covered by a checksum or refused for its sense.
    for at in (0..whole.len()).step_by(5).chain(index..whole.len()) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        assert_says(attempt(&damaged), &["c/0/0"]);
    }
    for length in [0, 3, 4, 35, 36, whole.len() / 2, whole.len() - 1] {
        assert_says(attempt(&whole[..length]), &["c/0/0"]);
    }
    fs::remove_file(&path).unwrap();
    assert_says(opened.read(&layout.id), &["c/0/0"]);
}

#[test]
fn hostile_shards_are_refused_with_their_checksums_in_order() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(Point::LnPre, TokenPolicy::Cls, 300);
    let folder = store(home.path(), &layout, &values(300 * 30), 300);
    let opened = ActivationStore::open(&folder).unwrap();
    let path = folder.join("hook_ln_pre/cls/c/0/0");
    let whole = fs::read(&path).unwrap();
    let data = whole.len() - 2 * 16 - 4;
    let second = u64::from_le_bytes(whole[data + 16..data + 24].try_into().unwrap()) as usize;
    let attempt = |data: &[u8], index: [u64; 4], said: &str| {
        let index: Vec<u8> = index.iter().flat_map(|number| number.to_le_bytes()).collect();
        fs::write(&path, [data, &index, &crc32c(&index).to_le_bytes()].concat()).unwrap();
        assert_says(opened.read(&layout.id), &["c/0/0", said]);
    };
    let (first, rest) = (second as u64, (data - second) as u64);
    attempt(&whole[..data], [u64::MAX - 1, 2, first, rest], "chunk 0 that reaches beyond");
    attempt(&whole[..data], [u64::MAX, 0, first, rest], "chunk 0 that reaches beyond");
    attempt(&whole[..data], [0, first, first, rest + 1], "chunk 1 that reaches beyond");
    attempt(&whole[..data], [0, first, u64::MAX, u64::MAX], "no chunk 1");
    attempt(&whole[..data], [0, 3, first, rest], "chunk 0 that is not one zstd frame");
    // A frame that declares a terabyte, one that declares nothing, one that goes on after its end; checksums as they should be.
    let declares_much = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(1_u64 << 40).to_le_bytes(), &[1, 0, 0]].concat();
    let declares_nothing = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58][..], &[1, 0, 0]].concat();
    let goes_on = [&whole[..second - 4], &whole[..second - 4]].concat();
    for frame in [declares_much, declares_nothing, goes_on] {
        let chunk = [&frame[..], &crc32c(&frame).to_le_bytes()].concat();
        let length = chunk.len() as u64;
        attempt(
            &[&chunk[..], &whole[second..data]].concat(),
            [0, length, length, rest],
            "chunk 0 that is not one zstd frame",
        );
    }
}

#[test]
fn a_value_that_is_missing_is_not_a_silent_unit() {
    let home = tempfile::tempdir().unwrap();
    let layout = layout(Point::LnPre, TokenPolicy::Cls, 300);
    let mut silent = values(300 * 30);
    silent[4 * 30..5 * 30].fill(0.0);
    let folder = store(home.path(), &layout, &silent, 300);
    assert_eq!(ActivationStore::open(&folder).unwrap().read(&layout.id).unwrap().1, silent);
    silent[123] = f32::NAN;
    fs::remove_dir_all(&folder).unwrap();
    let folder = store(home.path(), &layout, &silent, 300);
    let opened = ActivationStore::open(&folder).unwrap();
    assert_says(opened.read(&layout.id), &["hook_ln_pre/cls", "row 4, value 3"]);
}

/// Bit by bit (RFC 3720, appendix B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}
