//! Recordings under edits: what they hold, what they say, and that they are kept apart from others.

use super::{assert_says, block, config, contents, load, run, scenes};
use snellen::intervene::Edit;
use snellen::model::{BlockPoint, Model, Site};
use snellen::record::{
    ActivationStore, Part, Progress, RecordConfig, RunManifest, TokenPolicy, Unfinished, merge, record, record_texts,
};
use std::path::Path;

const POST: &str = "blocks.1.mlp.hook_post";

fn edited(edits: &[&str]) -> RecordConfig {
    let edits = edits.iter().map(|edit| edit.parse::<Edit>().unwrap()).collect();
    RecordConfig { edits, ..config(&["blocks.*.mlp.hook_post", "image_embeds"], &[TokenPolicy::All], 4) }
}

/// All values of a site.
fn values(run: &Path, site: Site) -> Vec<f32> {
    let store = ActivationStore::open(&run.join("activations.zarr")).unwrap();
    let array = store.arrays().iter().find(|array| array.id.site == site).unwrap();
    store.read(&array.id).unwrap().1
}

#[test]
fn just_what_is_edited_and_what_follows_is_other() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 6);
    let [clean, zeroed] = ["clean", "zeroed"].map(|name| home.path().join(name));
    run(&source, &edited(&[]), &clean).unwrap();
    let manifest = run(&source, &edited(&["blocks.1.mlp.hook_post tokens=class units=2,3 zero"]), &zeroed).unwrap();
    let of = |folder: &Path, layer: usize| values(folder, block(layer, BlockPoint::MlpPost));
    assert_eq!(of(&clean, 0), of(&zeroed, 0));
    let model = load("quick_gelu");
    let shape = block(1, BlockPoint::MlpPost).shape(&model.config, 6, 0);
    let mut changed = 0;
    for (i, (before, after)) in of(&clean, 1).into_iter().zip(of(&zeroed, 1)).enumerate() {
        let (unit, token) = (i % shape[2], i / shape[2] % shape[1]);
        let named = (2..4).contains(&unit) && token == 0;
        assert!(after.to_bits() == if named { 0 } else { before.to_bits() }, "{i}");
        changed += usize::from(named);
    }
    assert!(changed > 0);
    let embeds: Site = "image_embeds".parse().unwrap();
    assert_ne!(values(&clean, embeds), values(&zeroed, embeds));
    // It is said, and only there.
    assert_eq!(manifest.model.edits.len(), 1);
    assert_eq!(manifest.model.edits[0].edit, "blocks.1.mlp.hook_post tokens=class units=2,3 zero");
    assert_eq!(RunManifest::read(&zeroed).unwrap(), manifest);
    assert!(!String::from_utf8_lossy(&contents(&clean)["run.json"]).contains("edits"));
}

/// Stops at once.
struct Stop;

impl Progress for Stop {
    fn advance(&self, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        true
    }
}

#[test]
fn edited_runs_and_clean_ones_do_not_mix() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 6);
    let part = |index: usize, edits: &[&str], name: &str| {
        let out = home.path().join(name);
        let config = RecordConfig { part: Some(Part::new(index, 2).unwrap()), ..edited(edits) };
        run(&source, &config, &out).unwrap();
        out
    };
    let zero = ["blocks.0.mlp.hook_post units=1 zero"];
    let [clean, other, both] = [part(1, &[], "clean"), part(2, &zero, "other"), part(1, &zero, "both")];
    assert_says(merge(&[clean, other.clone()], &home.path().join("mixed"), &()), &["model.edits"]);
    let merged = merge(&[both, other], &home.path().join("merged"), &()).unwrap();
    assert_eq!(merged.model.edits.len(), 1);

    // An interrupted clean recording is not gone on with under an edit, or under an edit of other numbers.
    let out = home.path().join("run");
    let model = load("quick_gelu");
    let list = home.path().join("units.txt");
    std::fs::write(&list, "1 2").unwrap();
    let text = format!("blocks.0.mlp.hook_post units=file:{} zero", list.display());
    for first in [&[][..], &[text.as_str()]] {
        assert!(record(&model, &source, &edited(first), &out, &Stop).is_err());
        let resume = |edits: &[&str]| {
            let config = RecordConfig { unfinished: Unfinished::Resume, ..edited(edits) };
            record(&model, &source, &config, &out, &())
        };
        std::fs::write(&list, "1 3").unwrap();
        assert_says(resume(&[&text]), &["model.edits"]);
        assert_says(resume(&["blocks.0.mlp.hook_post units=4 zero"]), &["model.edits"]);
        std::fs::write(&list, "1 2").unwrap();
        resume(first).unwrap();
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn edits_that_can_not_be_made_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 3);
    let out = home.path().join("run");
    let cases: [(&[&str], &[&str]); 9] = [
        (&["text.blocks.0.mlp.hook_post zero"], &["text.blocks.0.mlp.hook_post", "the tower that is recorded"]),
        (&["blocks.0.mlp.hook_post patch"], &["patch", "need no other scenes"]),
        (&["blocks.0.mlp.hook_post mean"], &["mean", "need no other scenes"]),
        (&["blocks.0.mlp.hook_post units=top:3 zero"], &["top:N", "twins"]),
        (&["blocks.0.mlp.hook_post units=99999 zero"], &["99999", "indices below"]),
        (&["blocks.77.mlp.hook_post zero"], &["blocks.77.mlp.hook_post"]),
        (&["blocks.0.mlp.hook_post tokens=object:0 zero"], &["object:0", "masks"]),
        (&["blocks.0.mlp.hook_post tokens=registers zero"], &["registers", "none"]),
        // The second finds nothing that it could change.
        (
            &["blocks.0.mlp.hook_post units=1,2 zero", "blocks.0.mlp.hook_post units=2,1 zero"],
            &["blocks.0.mlp.hook_post", "2 units from 1", "changes none"],
        ),
    ];
    for (edits, says) in cases {
        assert_says(run(&source, &edited(edits), &out), says);
        assert!(!out.exists());
        let _ = std::fs::remove_dir_all(home.path().join("run.partial"));
    }
    // Behind all that is recorded.
    let first = config(&["blocks.0.mlp.hook_post"], &[TokenPolicy::Mean], 4);
    let late = RecordConfig { edits: vec![format!("{POST} zero").parse().unwrap()], ..first };
    assert_says(run(&source, &late, &out), &[POST, "changes nothing of it"]);
}

/// Stops behind the first batch.
struct One(std::cell::Cell<usize>);

impl Progress for One {
    fn advance(&self, done: usize, _: usize) {
        self.0.set(done);
    }
    fn is_cancelled(&self) -> bool {
        self.0.get() > 0
    }
}

#[test]
fn an_edit_that_changes_nothing_becomes_no_run_by_being_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 6);
    let [out, whole] = ["run", "whole"].map(|name| home.path().join(name));
    let model = load("quick_gelu");
    let go = |edits: &[&str], unfinished, progress: &dyn Progress| {
        record(&model, &source, &RecordConfig { unfinished, batch: 2, ..edited(edits) }, &out, progress)
    };
    let once = "blocks.0.mlp.hook_post units=1,2 zero";
    let nothing = [once, "blocks.0.mlp.hook_post units=2,1 zero"];
    for unfinished in [Unfinished::Discard, Unfinished::Keep] {
        let said = go(&nothing, unfinished, &()).unwrap_err().to_string();
        assert!(said.contains("changes none") && !said.contains("resume"), "{said}");
        assert_eq!(home.path().read_dir().unwrap().count(), 1, "only the scenes");
    }
    let stopped = |edits: &[&str]| {
        let said = go(edits, Unfinished::Keep, &One(0.into())).unwrap_err().to_string();
        assert!(said.contains("2 of 6 images"), "{said}");
    };
    stopped(&nothing);
    assert_says(go(&nothing, Unfinished::Resume, &()), &["changes none"]);
    assert_eq!(home.path().read_dir().unwrap().count(), 1, "only the scenes");
    // What was changed before counts, and where that isn't known all is run again.
    run(&source, &edited(&[once]), &whole).unwrap();
    for forgotten in [false, true] {
        stopped(&[once]);
        if forgotten {
            std::fs::remove_file(home.path().join("run.partial/edits.json")).unwrap();
        }
        go(&[once], Unfinished::Resume, &()).unwrap();
        assert_eq!(contents(&out), contents(&whole));
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn texts_are_edited_too() {
    let home = tempfile::tempdir().unwrap();
    let model = Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy")).unwrap();
    let file = home.path().join("texts.csv");
    std::fs::write(&file, "text\na red circle\na blue square and a red circle\n").unwrap();
    let texts = snellen::record::Texts::read(&file, snellen::record::LabelsFrom::Nothing).unwrap();
    let record = |edits: &[&str], name: &str| {
        let edits = edits.iter().map(|edit| edit.parse().unwrap()).collect();
        let sites = ["text.blocks.0.mlp.hook_post", "text.text_embeds"];
        let config = RecordConfig { edits, ..config(&sites, &[TokenPolicy::Eos], 2) };
        let out = home.path().join(name);
        record_texts(&model, (&texts, false), &config, &out, &()).map(|run| (run, out))
    };
    let (_, clean) = record(&[], "clean").unwrap();
    let (run, zeroed) = record(&["text.blocks.0.mlp.hook_post tokens=end units=0 zero"], "zeroed").unwrap();
    assert_eq!(run.model.edits.len(), 1);
    let site: Site = "text.blocks.0.mlp.hook_post".parse().unwrap();
    let (before, after) = (values(&clean, site), values(&zeroed, site));
    let width = model.config.text().unwrap().tower.mlp;
    for (i, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(*after, if i.is_multiple_of(width) { 0.0 } else { *before }, "{i}");
    }
    assert_says(record(&["blocks.0.mlp.hook_post zero"], "other"), &["the tower that is recorded"]);
}
