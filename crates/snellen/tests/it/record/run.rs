//! Whole runs.

use super::{CHECKPOINTS, checkpoint, config, contents, differing, everything, load, run, scenes};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use safetensors::SafeTensors;
use snellen::Error;
use snellen::record::images::{ImageRow, ImageTable};
use snellen::record::{FolderSource, Progress, RecordConfig, RunManifest, TokenPolicy, Unfinished, record};
use std::cell::RefCell;
use std::fs;

#[test]
fn the_bytes_do_not_depend_on_the_batch() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 23);
    for name in CHECKPOINTS {
        let out = |batch: usize| home.path().join(format!("{name}-{batch}"));
        for batch in [1, 3, 64] {
            record(&load(name), &source, &everything(batch), &out(batch), &()).unwrap();
        }
        for batch in [1, 3] {
            assert_eq!(differing(&out(batch), &out(64)), [""; 0], "{name}: batches of {batch}");
        }
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_threads() {
    let home = tempfile::tempdir().unwrap();
    // Enough images for several chunks in a shard, so that they could come out of order.
    let source = scenes(&home.path().join("scenes"), 700);
    let recorded = |threads: usize| {
        let out = home.path().join(format!("run-{threads}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            run(&source, &config(&["*.hook_resid_post"], &[TokenPolicy::Mean, TokenPolicy::All], 32), &out)
        })
        .unwrap();
        out
    };
    let single = recorded(1);
    for threads in [2, 5] {
        assert_eq!(differing(&single, &recorded(threads)), [""; 0], "{threads} threads");
    }
}

/// The hash of all tensors of an f32 file, as `Checkpoint::hash` defines it, by the format's own reader.
fn weights_hash(path: &std::path::Path) -> String {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        hasher.update(format!("{name}\n0 F32 {:?}\n", tensor.shape()).as_bytes());
        hasher.update(blake3::hash(tensor.data()).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[test]
fn the_manifest_says_what_was_recorded() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 5);
    let out = home.path().join("new/run");
    let written = run(&source, &config(&["blocks.1.*", "image_embeds"], &[TokenPolicy::Cls], 2), &out).unwrap();
    assert_eq!(RunManifest::read(&out).unwrap(), written);
    let hash = |path: std::path::PathBuf| blake3::hash(&fs::read(path).unwrap()).to_hex().to_string();
    assert_eq!(written.model.name, "quick_gelu");
    assert_eq!(written.model.weights_hash, weights_hash(&checkpoint("quick_gelu").join("model.safetensors")));
    assert_eq!(written.model.config_hash, hash(checkpoint("quick_gelu").join("config.json")));
    let images = written.images.unwrap();
    assert_eq!(images.labels_hash, Some(hash(out.join("labels.csv"))));
    assert_eq!((images.count, written.texts), (5, None));
    assert_eq!(written.seed, 3);
    assert_eq!(written.preprocessing, Some(load("quick_gelu").preprocessing));
    let names: Vec<String> = written.sites.iter().map(|selected| selected.site.to_string()).collect();
    assert_eq!(names.len(), 12, "every site of the block but scores and pattern, and the embedding: {names:?}");
    assert_eq!(names[11], "image_embeds");
    assert_eq!(written.sites[11].policies, [TokenPolicy::Pooled]);
    let mut hasher = blake3::Hasher::new();
    for (row, name) in source.filenames.iter().enumerate() {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(blake3::hash(&fs::read(source.path(row)).unwrap()).as_bytes());
    }
    assert_eq!(images.hash, hasher.finalize().to_hex().to_string());
    let text = fs::read_to_string(out.join("run.json")).unwrap();
    assert!(!text.contains(&*home.path().to_string_lossy()), "no absolute path: {text}");
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "no absolute path: {text}");
    assert_eq!(fs::read(out.join("labels.csv")).unwrap(), fs::read(home.path().join("scenes/labels.csv")).unwrap());
    assert_eq!(fs::read_dir(home.path().join("new")).unwrap().count(), 1, "nothing else is left beside it");
}

#[test]
fn a_manifest_of_another_schema_or_kind_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 1);
    let out = home.path().join("run");
    run(&source, &config(&["image_embeds"], &[TokenPolicy::Cls], 1), &out).unwrap();
    let text = fs::read_to_string(out.join("run.json")).unwrap();
    for (from, to, said) in [
        ("\"schema\": 3", "\"schema\": 2", "`schema`: expected 3, got 2"),
        ("\"kind\": \"record\"", "\"kind\": \"measure\"", "`kind`: expected `record` or `record_texts`, got `measure`"),
        ("\"kind\": \"record\"", "\"kind\": \"record_texts\"", "`texts` of kind `record_texts`"),
        ("\"pooled\"", "\"pulled\"", "`pulled`"),
        ("\"image_embeds\"", "\"image_beds\"", "`image_beds`"),
        ("\"seed\": 3", "\"seed\": -3", "run.json"),
        ("\"seed\": 3", "\"seed\": 3, \"mood\": 1", "mood"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(out.join("run.json"), text.replace(from, to)).unwrap();
        super::assert_says(RunManifest::read(&out), &[said]);
    }
}

#[test]
fn the_image_table_lists_the_rows() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 6);
    let out = home.path().join("run");
    run(&source, &config(&["image_embeds"], &[TokenPolicy::Cls], 4), &out).unwrap();
    let file = fs::File::open(out.join("images.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let [batch] = batches.as_slice() else { panic!("one batch") };
    let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["row", "filename", "width", "height", "hash"]);
    assert_eq!(batch.column(0).as_primitive::<UInt32Type>().values(), &[0, 1, 2, 3, 4, 5]);
    assert_eq!(batch.column(2).as_primitive::<UInt32Type>().values(), &[50; 6]);
    assert_eq!(batch.column(3).as_primitive::<UInt32Type>().values(), &[40; 6]);
    for row in 0..6 {
        assert_eq!(batch.column(1).as_string::<i32>().value(row), source.filenames[row]);
        let hash = blake3::hash(&fs::read(source.path(row)).unwrap()).to_hex().to_string();
        assert_eq!(batch.column(4).as_string::<i32>().value(row), hash);
    }
}

#[test]
fn rows_go_on_from_group_to_group() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("images.parquet");
    let mut table = ImageTable::create(&path).unwrap();
    let image = |row| ImageRow { filename: format!("{row}.png"), width: 7, height: 8, hash: blake3::hash(b"") };
    (0..20_000).for_each(|row| table.push(image(row)).unwrap());
    table.finish().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let mut rows = 0;
    for batch in reader.map(Result::unwrap) {
        for (i, row) in batch.column(0).as_primitive::<UInt32Type>().values().iter().enumerate() {
            assert_eq!((*row, batch.column(1).as_string::<i32>().value(i)), (rows, format!("{rows}.png").as_str()));
            rows += 1;
        }
    }
    assert_eq!(rows, 20_000);
}

#[test]
fn a_folder_without_labels_is_taken_in_the_order_of_its_names() {
    let home = tempfile::tempdir().unwrap();
    scenes(&home.path().join("scenes"), 3);
    let plain = home.path().join("plain");
    fs::create_dir_all(plain.join("folder.png")).unwrap();
    for (i, name) in ["b.PNG", "a.png", "B.png"].into_iter().enumerate() {
        fs::copy(home.path().join(format!("scenes/images/00000{i}.png")), plain.join(name)).unwrap();
    }
    fs::write(plain.join("notes.txt"), "not an image").unwrap();
    let source = FolderSource::open(&plain).unwrap();
    assert_eq!(source.filenames, ["B.png", "a.png", "b.PNG"]);
    assert_eq!((source.masks.clone(), source.labels.clone()), (None, None));
    let out = home.path().join("run");
    let written = run(&source, &config(&["image_embeds"], &[TokenPolicy::Mean], 8), &out).unwrap();
    assert_eq!(written.images.unwrap().labels_hash, None);
    let files: Vec<String> = contents(&out).into_keys().filter(|file| !file.starts_with("activations")).collect();
    assert_eq!(files, ["images.parquet", "run.json"]);
}

/// Stops once so many images are done, and notes what it was told.
struct StopAt(usize, RefCell<Vec<(usize, usize)>>);

impl Progress for StopAt {
    fn advance(&self, done: usize, total: usize) {
        self.1.borrow_mut().push((done, total));
    }
    fn is_cancelled(&self) -> bool {
        self.1.borrow().last().is_some_and(|(done, _)| *done >= self.0)
    }
}

#[test]
fn a_cancelled_run_that_is_discarded_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 7);
    let model = load("quick_gelu");
    let attempt = |stop: usize| {
        let progress = StopAt(stop, RefCell::default());
        let config = config(&["image_embeds"], &[TokenPolicy::Cls], 3);
        let config = RecordConfig { unfinished: Unfinished::Discard, ..config };
        let result = record(&model, &source, &config, &home.path().join("runs/run"), &progress);
        (result, progress.1.into_inner())
    };
    for (stop, steps) in [(0, 1), (3, 2), (7, 4)] {
        let (result, told) = attempt(stop);
        assert!(matches!(result, Err(Error::Interrupted { .. })), "stopped at {stop}");
        assert_eq!(told, [(0, 7), (3, 7), (6, 7), (7, 7)][..steps]);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "stopped at {stop}");
    }
    assert!(attempt(8).0.is_ok());
    assert!(home.path().join("runs/run/run.json").is_file());
}
