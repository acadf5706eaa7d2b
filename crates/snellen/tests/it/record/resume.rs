//! Recordings that end early and go on: the bytes of an undisturbed run, whenever it was and whatever is left.

use super::{assert_says, config, contents, differing, load, scenes};
use snellen::Error;
use snellen::model::{Backend, Model, Orientation};
use snellen::record::{
    FolderSource, Part, Progress, RecordConfig, RunManifest, SceneSource, Source, TokenPolicy, Unfinished, record,
};
use snellen::scene::{Canvas, SceneKind, Series, World};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

/// Images; the arrays below have shards of 512 rows, 2048 rows and all rows.
const COUNT: usize = 1100;

fn drawn(count: usize) -> SceneSource {
    SceneSource(Series::new(SceneKind::Toy, World::study(), Canvas::plain(28, 28), count, 5).unwrap())
}

fn arrays(unfinished: Unfinished) -> RecordConfig {
    let config = config(&["blocks.1.attn.hook_pattern", "image_embeds"], &[TokenPolicy::All], 7);
    RecordConfig { unfinished, ..config }
}

/// Stops once so many images are done, and notes what it was told.
struct StopAt(usize, RefCell<Vec<usize>>);

impl StopAt {
    fn new(images: usize) -> Self {
        Self(images, RefCell::default())
    }
}

impl Progress for StopAt {
    fn advance(&self, done: usize, _: usize) {
        self.1.borrow_mut().push(done);
    }
    fn is_cancelled(&self) -> bool {
        self.1.borrow().last().is_some_and(|done| *done >= self.0)
    }
}

/// Records until `stop` images are done.
fn interrupt(model: &Model, source: &dyn Source, out: &Path, unfinished: Unfinished, stop: usize) -> Vec<usize> {
    let progress = StopAt::new(stop);
    let result = record(model, source, &arrays(unfinished), out, &progress);
    let Err(Error::Interrupted { kept }) = result else { panic!("stopped at {stop}: {result:?}") };
    assert!(kept.contains("images are in") && kept.contains("go on with --resume"), "{kept}");
    assert!(!out.exists());
    progress.1.into_inner()
}

/// Goes on to the end.
fn resume(model: &Model, source: &dyn Source, out: &Path) -> Vec<usize> {
    let progress = StopAt::new(usize::MAX);
    let run = record(model, source, &arrays(Unfinished::Resume), out, &progress).unwrap();
    assert_eq!(RunManifest::read(out).unwrap(), run);
    progress.1.into_inner()
}

/// An undisturbed run of [`drawn`] scenes.
fn undisturbed(model: &Model, home: &Path, count: usize) -> PathBuf {
    let out = home.join("undisturbed");
    record(model, &drawn(count), &arrays(Unfinished::Keep), &out, &()).unwrap();
    out
}

#[test]
fn an_interruption_at_any_shard_changes_no_byte() {
    let home = tempfile::tempdir().unwrap();
    let (model, source) = (load("gelu"), drawn(COUNT));
    let whole = undisturbed(&model, home.path(), COUNT);
    assert_eq!(fs::read_dir(whole.join("activations.zarr/blocks.1.attn.hook_pattern/all/c")).unwrap().count(), 3);
    // `image_embeds` has one shard, which is there at the end only; beside it the others are passed over.
    for stop in [0, 1, 512, 513, 1025, COUNT] {
        let out = home.path().join(format!("runs/run-{stop}"));
        interrupt(&model, &source, &out, Unfinished::Keep, stop);
        // What a killed program leaves: a torn line, and files that were being written.
        let partial = home.path().join(format!("runs/run-{stop}.partial"));
        let mut journal = fs::read(partial.join("journal")).unwrap();
        journal.extend(b"[\"images/0");
        fs::write(partial.join("journal"), journal).unwrap();
        fs::write(partial.join("run/.partial-Xyz"), "half").unwrap();
        fs::write(partial.join("run/activations.zarr/image_embeds/.partial-1"), "half").unwrap();
        resume(&model, &source, &out);
        assert_eq!(differing(&whole, &out), [""; 0], "stopped at {stop}");
        assert!(!partial.exists());
    }
}

#[test]
fn only_what_is_missing_is_computed() {
    let home = tempfile::tempdir().unwrap();
    let (model, source) = (load("gelu"), drawn(COUNT));
    let pattern =
        |unfinished| RecordConfig { sites: vec!["blocks.1.attn.hook_pattern".to_owned()], ..arrays(unfinished) };
    let out = home.path().join("run");
    let attempt = |unfinished, stop| {
        let progress = StopAt::new(stop);
        let result = record(&model, &source, &pattern(unfinished), &out, &progress);
        (result.map(|_| ()).map_err(|error| error.to_string()), progress.1.into_inner().first().copied().unwrap_or(0))
    };
    let partial = home.path().join("run.partial");
    let kept = |rows: usize| {
        Err(format!("interrupted; {rows} of 1100 images are in {}; go on with --resume", partial.display()))
    };
    // Whole batches of 7 are kept, whether they fill shards of 512 or not.
    assert_eq!(attempt(Unfinished::Keep, 300), (kept(301), 0));
    assert_eq!(attempt(Unfinished::Resume, 600), (kept(602), 301));
    assert_eq!(attempt(Unfinished::Resume, 1000), (kept(1001), 602));
    // What was written for another shard, or is torn, is worth nothing.
    let pending = partial.join("run/activations.pending");
    let torn = fs::read(pending.join("0-512")).unwrap();
    fs::write(pending.join("0-512"), &torn[..torn.len() - 1]).unwrap();
    assert_eq!(attempt(Unfinished::Resume, 1030), (kept(1030), 512));
    fs::remove_file(pending.join("checkpoint.json")).unwrap();
    assert_eq!(attempt(Unfinished::Resume, 1026), (kept(1031), 1024));
    assert_eq!(attempt(Unfinished::Resume, COUNT), (kept(COUNT), 1031));
    assert_eq!(attempt(Unfinished::Resume, usize::MAX), (Ok(()), COUNT));
    // It is finished, and stays as it is.
    assert_eq!(attempt(Unfinished::Resume, usize::MAX).0, Ok(()));
    let whole = home.path().join("whole");
    record(&model, &source, &pattern(Unfinished::Keep), &whole, &()).unwrap();
    assert_eq!(differing(&whole, &out), [""; 0]);
}

#[test]
fn what_is_damaged_is_computed_again() {
    let home = tempfile::tempdir().unwrap();
    let (model, source) = (load("gelu"), drawn(COUNT));
    let whole = undisturbed(&model, home.path(), COUNT);
    let damages: [(&str, fn(&Path)); 5] = [
        ("a shard cut short", |partial| {
            let shard = partial.join("run/activations.zarr/blocks.1.attn.hook_pattern/all/c/1/0/0/0");
            let bytes = fs::read(&shard).unwrap();
            fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("a shard gone", |partial| {
            fs::remove_file(partial.join("run/activations.zarr/blocks.1.attn.hook_pattern/all/c/0/0/0/0")).unwrap();
        }),
        ("half of the journal", |partial| {
            let journal = fs::read(partial.join("journal")).unwrap();
            fs::write(partial.join("journal"), &journal[..journal.len() / 3]).unwrap();
        }),
        ("no journal", |partial| fs::remove_file(partial.join("journal")).unwrap()),
        ("no run", |partial| fs::remove_dir_all(partial.join("run")).unwrap()),
    ];
    for (what, damage) in damages {
        let out = home.path().join("run");
        interrupt(&model, &source, &out, Unfinished::Keep, 1050);
        damage(&home.path().join("run.partial"));
        resume(&model, &source, &out);
        assert_eq!(differing(&whole, &out), [""; 0], "{what}");
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn the_end_can_be_interrupted_too() {
    let home = tempfile::tempdir().unwrap();
    let (model, source) = (load("gelu"), drawn(20));
    let whole = undisturbed(&model, home.path(), 20);
    let (out, partial) = (home.path().join("run"), home.path().join("run.partial"));
    // The files beside the activations were written.
    interrupt(&model, &source, &out, Unfinished::Keep, 20);
    for file in ["images.parquet", "run.json", "labels.csv"] {
        fs::write(partial.join("run").join(file), "half").unwrap();
    }
    resume(&model, &source, &out);
    assert_eq!(differing(&whole, &out), [""; 0]);
    // It was renamed, and the rest was not removed.
    interrupt(&model, &source, &home.path().join("other"), Unfinished::Keep, 20);
    fs::rename(home.path().join("other.partial"), &partial).unwrap();
    fs::remove_dir_all(partial.join("run")).unwrap();
    for left in ["", "journal", "plan.json"] {
        fs::create_dir_all(&partial).unwrap();
        let _ = fs::remove_file(partial.join(left));
        let run = record(&model, &source, &arrays(Unfinished::Resume), &out, &()).unwrap();
        assert_eq!(run, RunManifest::read(&whole).unwrap());
        assert!(!partial.exists() && differing(&whole, &out).is_empty());
    }
    // Only the folder was there, or what was to become its plan.
    fs::remove_dir_all(&out).unwrap();
    for begun in [None, Some(".partial-plan")] {
        fs::create_dir(&partial).unwrap();
        begun.iter().for_each(|name| fs::write(partial.join(name), "{").unwrap());
        resume(&model, &source, &out);
        assert_eq!(differing(&whole, &out), [""; 0]);
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn nothing_is_gone_on_with_or_written_over_unasked() {
    let home = tempfile::tempdir().unwrap();
    let (model, source) = (load("gelu"), drawn(20));
    let (out, partial) = (home.path().join("run"), home.path().join("run.partial"));
    let attempt = |unfinished| record(&model, &source, &arrays(unfinished), &out, &());
    assert_says(attempt(Unfinished::Resume), &["run.partial", "an unfinished recording to go on with", "none"]);
    interrupt(&model, &source, &out, Unfinished::Keep, 10);
    let before = contents(home.path());
    for unfinished in [Unfinished::Keep, Unfinished::Discard] {
        assert_says(attempt(unfinished), &["run.partial", "--resume", "remove it to start anew"]);
        assert_eq!(contents(home.path()), before);
    }
    fs::create_dir(&out).unwrap();
    assert!(matches!(attempt(Unfinished::Resume), Err(Error::Exists { .. })));
    fs::remove_dir(&out).unwrap();
    // A folder of that name that holds something else.
    fs::remove_dir_all(&partial).unwrap();
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("thesis.tex"), "mine").unwrap();
    assert_says(attempt(Unfinished::Resume), &["run.partial", "plan.json"]);
    assert_says(attempt(Unfinished::Keep), &["run.partial", "--resume"]);
    assert_eq!(fs::read_to_string(partial.join("thesis.tex")).unwrap(), "mine");
}

#[test]
fn another_plan_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let model = load("gelu");
    let out = home.path().join("run");
    let folder = home.path().join("scenes");
    let source = scenes(&folder, 20);
    interrupt(&model, &source, &out, Unfinished::Keep, 10);
    let before = contents(&home.path().join("run.partial"));
    let config = arrays(Unfinished::Resume);
    let refuse = |model: &Model, source: &dyn Source, config: &RecordConfig, says: &[&str]| {
        assert_says(record(model, source, config, &out, &()), &[&["run.partial/plan.json"], says].concat());
        assert_eq!(contents(&home.path().join("run.partial")), before, "{says:?}");
    };
    refuse(&model, &source, &RecordConfig { seed: 4, ..config.clone() }, &["`seed`: expected 3, got 4"]);
    refuse(&load("quick_gelu"), &source, &config, &["`model."]);
    let sites = RecordConfig { sites: vec!["image_embeds".to_owned()], ..config.clone() };
    refuse(&model, &source, &sites, &["`sites.0.site`", "blocks.1.attn.hook_pattern", "image_embeds"]);
    let part = RecordConfig { part: Some(Part::new(1, 2).unwrap()), ..config.clone() };
    refuse(&model, &source, &part, &["`part`: expected nothing, got \"1/2\""]);
    refuse(&model, &drawn(20), &config, &["`images."]);
    let mut other = load("gelu");
    other.preprocessing.mean[0] += 0.5;
    refuse(&other, &source, &config, &["`preprocessing.mean.0`"]);
    let mut other = load("gelu");
    other.preprocessing = other.preprocessing.with_backend(Backend::Torchvision).unwrap();
    refuse(&other, &source, &config, &["`preprocessing.backend`: expected \"pil\", got \"torchvision\""]);
    let mut other = load("gelu");
    other.preprocessing.orientation = Orientation::Ignore;
    refuse(&other, &source, &config, &["`preprocessing.orientation`: expected \"honour\", got \"ignore\""]);
    let fewer = FolderSource { filenames: source.filenames[..19].to_vec(), ..source.clone() };
    refuse(&model, &fewer, &config, &["`images.count`: expected 20, got 19"]);
    let mut turned = source.clone();
    turned.filenames.swap(3, 4);
    refuse(&model, &turned, &config, &["`images.names_hash`"]);
    let labels = fs::read_to_string(folder.join("labels.csv")).unwrap();
    fs::write(folder.join("labels.csv"), labels.replace("red", "pink")).unwrap();
    refuse(&model, &FolderSource::open(&folder).unwrap(), &config, &["`images.labels_hash`"]);
    fs::write(folder.join("labels.csv"), labels).unwrap();
    // The batch changes no byte.
    record(&model, &source, &RecordConfig { batch: 3, ..config }, &out, &()).unwrap();
}

#[test]
fn an_image_that_changed_meanwhile_is_named() {
    let home = tempfile::tempdir().unwrap();
    let model = load("gelu");
    let source = scenes(&home.path().join("scenes"), 20);
    let out = home.path().join("run");
    interrupt(&model, &source, &out, Unfinished::Keep, 14);
    // As a kill leaves it: nothing of these rows was kept.
    fs::remove_dir_all(home.path().join("run.partial/run/activations.pending")).unwrap();
    let third = fs::read(source.path(3)).unwrap();
    fs::copy(source.path(5), source.path(3)).unwrap();
    let result = record(&model, &source, &arrays(Unfinished::Resume), &out, &());
    assert_says(result, &["image `images/000003.png`", "as when recording began", "go on with --resume"]);
    fs::write(source.path(3), third).unwrap();
    resume(&model, &source, &out);
}

#[test]
fn a_refused_image_costs_what_was_not_recorded() {
    let home = tempfile::tempdir().unwrap();
    let model = load("gelu");
    let source = scenes(&home.path().join("scenes"), 600);
    let pattern =
        |unfinished| RecordConfig { sites: vec!["blocks.1.attn.hook_pattern".to_owned()], ..arrays(unfinished) };
    let out = home.path().join("run");
    let whole = fs::read(source.path(550)).unwrap();
    fs::write(source.path(550), &whole[..whole.len() / 2]).unwrap();
    let result = record(&model, &source, &pattern(Unfinished::Keep), &out, &());
    assert_says(result, &["000550.png", "546 of 600 images are in", "run.partial; go on with --resume"]);
    fs::write(source.path(550), whole).unwrap();
    let progress = StopAt::new(usize::MAX);
    record(&model, &source, &pattern(Unfinished::Resume), &out, &progress).unwrap();
    assert_eq!(progress.1.borrow()[0], 546);
}

/// Keeps what there is after so many images, and copies what a kill would leave a little later.
struct KilledAt<'a> {
    kept: usize,
    killed: usize,
    folder: &'a Path,
    copy: &'a Path,
    done: RefCell<usize>,
}

impl Progress for KilledAt<'_> {
    fn advance(&self, done: usize, _: usize) {
        *self.done.borrow_mut() = done;
        if (self.killed..self.killed + 7).contains(&done) {
            copy(self.folder, self.copy);
        }
    }
    fn may_keep(&self, keep: &mut dyn FnMut() -> snellen::Result<()>) -> snellen::Result<()> {
        let done = *self.done.borrow();
        if (self.kept..self.kept + 7).contains(&done) { keep() } else { Ok(()) }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &to) } else { fs::copy(entry.path(), to).map(drop).unwrap() }
    }
}

#[test]
fn a_kill_costs_what_came_after_the_last_checkpoint() {
    let home = tempfile::tempdir().unwrap();
    let (model, source) = (load("gelu"), drawn(COUNT));
    let whole = home.path().join("whole");
    // Within one shard of all arrays; where a shard of one was written since; and before one of it was.
    for (kept, killed, from) in [(280, 420, 280), (490, 560, 490), (511, 518, 511), (1050, 1092, 1050)] {
        let out = home.path().join(format!("killed-{kept}"));
        let partial = home.path().join(format!("killed-{kept}.partial"));
        let progress =
            KilledAt { kept, killed, folder: &home.path().join("whole.partial"), copy: &partial, done: 0.into() };
        let _ = fs::remove_dir_all(&whole);
        record(&model, &source, &arrays(Unfinished::Keep), &whole, &progress).unwrap();
        let told = resume(&model, &source, &out);
        assert_eq!(told[0], from, "killed at {killed}");
        assert_eq!(differing(&whole, &out), [""; 0], "killed at {killed}");
    }
}

#[test]
fn a_finished_run_is_gone_on_with_where_it_is_the_one_that_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let (model, source) = (load("gelu"), drawn(20));
    let whole = undisturbed(&model, home.path(), 20);
    let before = contents(&whole);
    let run = record(&model, &source, &arrays(Unfinished::Resume), &whole, &()).unwrap();
    assert_eq!(run, RunManifest::read(&whole).unwrap());
    let refuse = |model: &Model, source: &dyn Source, config: &RecordConfig, says: &str| {
        assert_says(record(model, source, config, &whole, &()), &[says]);
    };
    let config = arrays(Unfinished::Resume);
    refuse(&model, &source, &RecordConfig { seed: 4, ..config.clone() }, "run.json: `seed`: expected 3, got 4");
    refuse(&load("quick_gelu"), &source, &config, "run.json: `model.");
    refuse(&model, &drawn(19), &config, "images.parquet: row 19: expected `");
    refuse(&model, &drawn(21), &config, "run.json: `images`: expected 20 images, got 21");
    let part = RecordConfig { part: Some(Part::new(1, 2).unwrap()), ..config };
    refuse(&model, &source, &part, "run.json: `part`: expected the whole run, got part 1/2");
    assert_eq!(contents(&whole), before);
}

/// Records in the same place whenever it is told of progress.
struct Meddle<'a>(&'a Model, &'a SceneSource, &'a Path);
impl Progress for Meddle<'_> {
    fn advance(&self, _: usize, _: usize) {
        for unfinished in [Unfinished::Resume, Unfinished::Keep, Unfinished::Discard] {
            let second = record(self.0, self.1, &arrays(unfinished), self.2, &());
            assert_says(second, &["run: expected an output that no other process is writing"]);
        }
    }
}

#[test]
fn nobody_writes_where_another_does() {
    let home = tempfile::tempdir().unwrap();
    let (model, source) = (load("gelu"), drawn(40));
    let whole = undisturbed(&model, home.path(), 40);
    let out = home.path().join("run");
    record(&model, &source, &arrays(Unfinished::Keep), &out, &Meddle(&model, &source, &out)).unwrap();
    assert_eq!(differing(&whole, &out), [""; 0]);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "no claim is left");
}
