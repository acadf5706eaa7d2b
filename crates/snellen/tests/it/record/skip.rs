//! Pictures that can not be read: named, and with `skip_bad` listed and passed over, whatever cuts the recording.

use super::{assert_says, config, differing, load};
use arrow_array::BinaryArray;
use parquet::basic::Compression;
use snellen::record::skipped::Skipped;
use snellen::record::{
    ActivationStore, FolderSource, Part, Progress, RecordConfig, RunManifest, Source, SourceConfig, TokenPolicy,
    Unfinished, merge, open_source, record,
};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Labelled pictures, of which those of `bad` are cut short, no pictures, empty or not there.
fn folder(home: &Path, count: usize, bad: &[usize]) -> FolderSource {
    let dir = home.join("scenes");
    super::scenes(&dir, count);
    for (k, row) in bad.iter().enumerate() {
        let path = dir.join(format!("images/{row:06}.png"));
        let bytes = fs::read(&path).unwrap();
        match k % 4 {
            0 => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
            1 => fs::write(&path, "no picture").unwrap(),
            2 => fs::write(&path, "").unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
    }
    FolderSource::open_with(&dir, &SourceConfig { skip_bad: true, ..SourceConfig::default() }).unwrap()
}

fn arrays(skip_bad: bool) -> RecordConfig {
    let config = config(&["blocks.1.attn.hook_pattern", "image_embeds"], &[TokenPolicy::All], 3);
    RecordConfig { skip_bad, ..config }
}

fn values(run: &Path) -> Vec<f32> {
    let store = ActivationStore::open(&run.join("activations.zarr")).unwrap();
    store.arrays().iter().flat_map(|array| store.read(&array.id).unwrap().1).collect()
}

fn skipped(run: &Path) -> Vec<usize> {
    Skipped::read(&run.join("skipped.csv")).unwrap().0.iter().map(|row| row.row).collect()
}

#[test]
fn a_bad_picture_is_named_with_what_helps() {
    let home = tempfile::tempdir().unwrap();
    let source = folder(home.path(), 7, &[4]);
    let result = record(&load("gelu"), &source, &arrays(false), &home.path().join("run"), &());
    assert_says(result, &["000004.png", "image 4", "--skip-bad"]);
}

#[test]
fn what_is_left_is_the_run_of_the_good_pictures() {
    let home = tempfile::tempdir().unwrap();
    let bad = [0, 4, 5, 6, 12];
    let source = folder(home.path(), 13, &bad);
    let out = home.path().join("run");
    let run = record(&load("gelu"), &source, &arrays(true), &out, &()).unwrap();
    assert_eq!(RunManifest::read(&out).unwrap(), run);
    assert_eq!((run.rows(), run.images.as_ref().unwrap().skipped.as_ref().unwrap().count), (8, 5));
    assert_eq!(skipped(&out), bad);
    let table = fs::read_to_string(out.join("skipped.csv")).unwrap();
    assert!(table.starts_with("row,filename,reason\n0,images/000000.png,"), "{table}");
    assert!(!table.contains(home.path().to_str().unwrap()), "a path of this machine is in {table}");
    // The same pictures alone.
    let labels = fs::read_to_string(home.path().join("scenes/labels.csv")).unwrap();
    let good = labels.lines().enumerate().filter(|(line, _)| *line == 0 || !bad.contains(&(line - 1)));
    let good = good.map(|(_, line)| format!("{line}\n")).collect::<Vec<_>>().concat();
    assert_eq!(fs::read_to_string(out.join("labels.csv")).unwrap(), good);
    fs::write(home.path().join("scenes/labels.csv"), &good).unwrap();
    fs::remove_file(home.path().join("scenes/scenes.json")).unwrap();
    let alone = home.path().join("alone");
    record(&load("gelu"), &FolderSource::open(&home.path().join("scenes")).unwrap(), &arrays(false), &alone, &())
        .unwrap();
    assert_eq!(values(&out), values(&alone));
    for file in ["activations.zarr", "images.parquet", "labels.csv"] {
        let (a, b) = (out.join(file), alone.join(file));
        if a.is_dir() {
            assert_eq!(differing(&a, &b), [""; 0]);
        } else {
            assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap(), "{file}");
        }
    }
}

/// Stops once, after so many rows.
struct StopAt(usize, Cell<usize>);

impl Progress for StopAt {
    fn advance(&self, done: usize, _: usize) {
        self.1.set(done);
    }
    fn is_cancelled(&self) -> bool {
        self.1.get() >= self.0
    }
}

#[test]
fn no_cut_changes_a_byte() {
    let home = tempfile::tempdir().unwrap();
    // Shards of 512 rows, and one of all rows that is smaller without the bad ones, which lie before, at and behind their ends; a
    // whole batch is bad.
    let bad = [0, 1, 2, 3, 4, 5, 300, 511, 517, 518, 519, 600, 774];
    let source = folder(home.path(), 775, &bad);
    let model = load("gelu");
    let whole = home.path().join("whole");
    record(&model, &source, &arrays(true), &whole, &()).unwrap();
    assert_eq!(skipped(&whole), bad);
    let store = ActivationStore::open(&whole.join("activations.zarr")).unwrap();
    assert!(store.arrays().iter().all(|array| array.shape[0] == 762));
    for threads in [1, 3] {
        let out = home.path().join(format!("threads-{threads}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let config = RecordConfig { batch: 16 * threads, ..arrays(true) };
        pool.install(|| record(&model, &source, &config, &out, &())).unwrap();
        assert_eq!(differing(&whole, &out), [""; 0], "{threads} threads");
    }
    // Interrupted, also where it began without.
    for stop in [0, 4, 520, 610, 775] {
        let out = home.path().join(format!("stopped-{stop}"));
        assert!(record(&model, &source, &arrays(true), &out, &StopAt(stop, Cell::new(0))).is_err());
        if stop > 4 {
            let without = RecordConfig { unfinished: Unfinished::Resume, ..arrays(false) };
            assert_says(record(&model, &source, &without, &out, &()), &["--skip-bad, as pictures were passed over"]);
        }
        let resumed = RecordConfig { unfinished: Unfinished::Resume, ..arrays(true) };
        record(&model, &source, &resumed, &out, &()).unwrap();
        assert_eq!(differing(&whole, &out), [""; 0], "stopped at {stop}");
    }
    let parts: Vec<PathBuf> = (1..=3)
        .map(|index| {
            let out = home.path().join(format!("part-{index}"));
            let config = RecordConfig { part: Some(Part::new(index, 3).unwrap()), ..arrays(true) };
            record(&model, &source, &config, &out, &()).unwrap();
            out
        })
        .collect();
    let merged = home.path().join("merged");
    merge(&parts, &merged, &()).unwrap();
    assert_eq!(differing(&whole, &merged), [""; 0]);
    let table = fs::read(parts[1].join("skipped.csv")).unwrap();
    fs::write(parts[1].join("skipped.csv"), &table[..table.len() - 2]).unwrap();
    assert_says(merge(&parts, &home.path().join("damaged"), &()), &["part-2/skipped.csv", "as run.json says"]);
}

#[test]
fn a_picture_that_becomes_another_is_no_part_of_the_same_recording() {
    let home = tempfile::tempdir().unwrap();
    let source = folder(home.path(), 40, &[3]);
    let out = home.path().join("run");
    let model = load("gelu");
    assert!(record(&model, &source, &arrays(true), &out, &StopAt(20, Cell::new(0))).is_err());
    fs::copy(source.path(4), source.path(3)).unwrap();
    let resumed = RecordConfig { unfinished: Unfinished::Resume, ..arrays(true) };
    let result = record(&model, &source, &resumed, &out, &());
    // Only rows that are read again can be compared.
    if let Err(error) = &result {
        assert!(error.to_string().contains("passed over"), "{error}");
    } else {
        assert_eq!(skipped(&out), [3]);
    }
}

#[test]
fn without_any_good_picture_there_is_no_run() {
    let home = tempfile::tempdir().unwrap();
    let source = folder(home.path(), 5, &[0, 1, 2, 3, 4]);
    let out = home.path().join("run");
    assert_says(
        record(&load("gelu"), &source, &arrays(true), &out, &()),
        &["a picture that can be read", "5 that can not"],
    );
    assert_eq!(source.len(), 5);
    assert!(!out.exists());
}

#[test]
fn a_part_without_any_good_picture_is_no_run_either() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(home.path(), 6, &[]);
    let mut pictures = super::source::bytes(&folder);
    pictures[3..].iter_mut().for_each(|bytes| bytes.truncate(bytes.len() / 2));
    let names: Vec<String> = (0..6).map(|row| format!("{row}.png")).collect();
    let members: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(pictures.iter().map(Vec::as_slice)).collect();
    super::source::tar(&home.path().join("all.tar"), &members);
    let column = Arc::new(BinaryArray::from_iter_values(&pictures));
    super::source::parquet(&home.path().join("all.parquet"), vec![("image", column)], Compression::SNAPPY);
    for name in ["all.tar", "all.parquet"] {
        let config = SourceConfig { skip_bad: true, ..SourceConfig::default() };
        let source = open_source(&home.path().join(name), &config).unwrap();
        let part = |index, unfinished| {
            let part = Some(Part::new(index, 2).unwrap());
            let config = RecordConfig { part, unfinished, ..arrays(true) };
            record(&load("gelu"), source.as_ref(), &config, &home.path().join(format!("{name}-{index}")), &())
        };
        assert_eq!(part(1, Unfinished::Keep).unwrap().rows(), 3);
        assert_says(part(2, Unfinished::Keep), &[name, "part 2/2", "with fewer parts", "3 that can not"]);
        assert!(!home.path().join(format!("{name}-2")).exists(), "{name}");
        let whole = home.path().join(format!("{name}-whole"));
        assert_eq!(record(&load("gelu"), source.as_ref(), &arrays(true), &whole, &()).unwrap().rows(), 3);
    }
}
