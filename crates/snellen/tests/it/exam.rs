//! The exam on a model that learnt next to nothing: it must run, repeat itself to the byte, and find nothing that is not there.

use crate::lab::recipe;
use snellen::exam::{ExamConfig, examine};
use snellen::lab::{TrainConfig, train};
use snellen::model::Model;
use snellen::report::{Rate, Report};
use std::path::Path;

fn untrained(folder: &Path) -> Model {
    train(&recipe(), &TrainConfig { seed: 3, resume: false }, folder, &mut |_| true).unwrap();
    Model::load(folder).unwrap()
}

fn config() -> ExamConfig {
    ExamConfig { scenes: 60, twins: 40, repeats: 1, ..ExamConfig::standard(5).unwrap() }
}

fn sit(model: &Model, out: &Path, threads: usize) -> Report {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| examine(model, "untrained", &config(), out, &())).unwrap()
}

#[test]
fn a_sitting_repeats_itself_at_any_number_of_threads() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let [one, three] = [1, 3].map(|threads| {
        let out = home.path().join(threads.to_string());
        sit(&model, &out, threads);
        ["report.json", "report.html", "run/unit_concepts.parquet", "run/run.json", "scenes/labels.csv"]
            .map(|file| std::fs::read(out.join(file)).unwrap())
    });
    assert!(one == three);
    let page = String::from_utf8(one[1].clone()).unwrap();
    assert!(!page.contains("http:") && !page.contains("https:"), "the page needs no network");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing half-written is left: {left:?}");
}

#[test]
fn nothing_is_found_where_nothing_was_learnt() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let report = sit(&model, &home.path().join("exam"), 2);
    let covers = |rate: &Rate| rate.accuracy.lo <= rate.chance && rate.chance <= rate.accuracy.hi;
    assert!(covers(&report.composition.swap), "{:?}", report.composition.swap);
    assert!(covers(&report.recognition.shape), "{:?}", report.recognition.shape);
    assert!(!report.findings.iter().any(|f| f.contains("bags of concepts")), "{:?}", report.findings);
    assert!(!report.findings.iter().any(|f| f.contains("does not carry over")), "{:?}", report.findings);
    for site in &report.units.sites {
        assert!(site.null.any <= 1 + site.units / 20, "{}: {} by chance", site.site, site.null.any);
    }
}

#[test]
fn numbers_add_up() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let report = sit(&model, &home.path().join("exam"), 2);
    let seen = &report.recognition;
    assert_eq!((seen.shape.accuracy.n, seen.pairs.len()), (150, 30));
    let (known, new) = (seen.pair_seen.unwrap(), seen.pair_held_out.unwrap());
    assert_eq!(known.accuracy.n + new.accuracy.n, 150);
    assert!((known.accuracy.successes + new.accuracy.successes - seen.pair.accuracy.successes).abs() < 1e-9);
    assert!(seen.pair.accuracy.estimate <= seen.shape.accuracy.estimate.min(seen.color.accuracy.estimate));
    let held_out = report.model.origin.as_ref().unwrap().held_out.len();
    assert_eq!((held_out, new.accuracy.n), (recipe().scenes.held_out, 5 * recipe().scenes.held_out));
    let bound = &report.composition;
    assert_eq!((bound.swap.accuracy.n, bound.text_score.accuracy.n), (80, 40));
    assert!(
        bound.group_score.accuracy.estimate
            <= bound.text_score.accuracy.estimate.min(bound.image_score.accuracy.estimate)
    );
    assert!(bound.text_score.accuracy.estimate <= bound.swap.accuracy.estimate);
    let json: serde_json::Value = serde_json::from_slice(&report.to_json().unwrap()).unwrap();
    assert_eq!(json["schema"], 3);
    assert_eq!(json["composition"]["swap"]["chance"], 0.5);
}

#[test]
fn an_existing_folder_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let model = untrained(&home.path().join("model"));
    let out = home.path().join("exam");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "mine").unwrap();
    assert!(examine(&model, "untrained", &config(), &out, &()).unwrap_err().is_bad_input());
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
}
