//! Activations recorded, stored and read back.

mod columns;
mod edited;
mod flexible;
mod folders;
mod part;
mod policy;
mod refuse;
mod resume;
mod run;
mod select;
mod skip;
mod source;
mod store;
mod tars;
mod texts;

use snellen::model::{BlockPoint, Model, Point, Site, Tower};
use snellen::record::{FolderSource, RecordConfig, RunManifest, Source, TokenPolicy, Unfinished, record};
use snellen::scene::folder::write_folder;
use snellen::scene::generate::toy;
use snellen::scene::{Canvas, Combinations, World};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CHECKPOINTS: [&str; 2] = ["quick_gelu", "gelu"];

fn checkpoint(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip").join(name)
}

fn load(name: &str) -> Model {
    Model::load(&checkpoint(name)).unwrap()
}

/// `count` scenes of one to three objects on a picture that preprocessing crops, with masks and labels.
fn scenes(dir: &Path, count: usize) -> FolderSource {
    let world = World::study();
    let scenes = toy(&world, &Combinations::all(&world), 1..=3, count, 5).unwrap();
    write_folder(dir, &world, &scenes, &Canvas::plain(50, 40)).unwrap();
    FolderSource::open(dir).unwrap()
}

fn config(sites: &[&str], policies: &[TokenPolicy], batch: usize) -> RecordConfig {
    let sites = sites.iter().map(|&site| site.to_owned()).collect();
    let (policies, unfinished) = (policies.to_vec(), Unfinished::Keep);
    RecordConfig {
        sites,
        policies,
        batch,
        seed: 3,
        part: None,
        unfinished,
        skip_bad: false,
        edits: Vec::new(),
        bases: Vec::new(),
    }
}

/// Every site outside of blocks and in the second block.
const SITES: [&str; 4] = ["hook_*", "blocks.1.*", "ln_final.*", "image_embeds"];

/// [`SITES`] under every policy that they can take.
fn everything(batch: usize) -> RecordConfig {
    config(&SITES, &TokenPolicy::ALL, batch)
}

/// The sites that [`everything`] records.
fn sites(model: &Model) -> Vec<Site> {
    let all = Site::all(&model.config, Tower::Vision);
    all.into_iter().filter(|site| site.layer().is_none_or(|layer| layer == 1)).collect()
}

fn run(source: &dyn Source, config: &RecordConfig, out: &Path) -> snellen::Result<RunManifest> {
    record(&load("quick_gelu"), source, config, out, &())
}

fn block(layer: usize, point: BlockPoint) -> Site {
    Site::vision(Point::Block(layer, point))
}

/// Every file below `dir` and its bytes.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            files.extend(contents(&entry.path()).into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// The names of the files that differ.
fn differing(a: &Path, b: &Path) -> Vec<String> {
    let (a, b) = (contents(a), contents(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    a.into_iter().filter(|(name, bytes)| b[name] != *bytes).map(|(name, _)| name).collect()
}

/// The message of a refusal, which has to name every one of `words`.
fn assert_says<T>(result: snellen::Result<T>, words: &[&str]) {
    let Err(error) = result else { panic!("expected an error that says {words:?}") };
    let message = error.to_string();
    words.iter().for_each(|word| assert!(message.contains(word), "`{word}` is not in: {message}"));
    assert!(error.is_bad_input(), "{message}");
}
