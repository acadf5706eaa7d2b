//! Patches of one object.

use crate::oracles::{Oracle, asked, bound};
use snellen::exam::{ExamConfig, examine, questions};
use snellen::model::Model;
use snellen::scene::World;
use std::path::Path;

#[test]
fn a_model_is_asked_layer_by_layer_beside_its_controls() {
    let model = Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let questions = questions(&["same_object".to_owned()]).unwrap();
    let world = Some(World::toy());
    let config =
        ExamConfig { twins: 100, verdict: None, units: false, questions, world, ..ExamConfig::standard(5).unwrap() };
    let report = examine(&model, "toy", None, &config, &folder.path().join("exam"), &()).unwrap();
    let own = report.question("same_object").unwrap();
    let ids: Vec<&str> = own.rates.iter().map(|rate| rate.id.as_str()).collect();
    let layers = |kind: &str, by: &str| (1..=4).map(|layer| format!("{kind}_layer_{layer}{by}")).collect::<Vec<_>>();
    assert_eq!(ids, [layers("alike", ""), layers("alike", "_form"), layers("unlike", "")].concat());
    for rate in &own.rates {
        assert!(rate.rate.accuracy.n > 100 && (rate.rate.chance - 0.5).abs() < 1e-12, "{rate:?}");
        // Controls, and the same places of pictures in which there is nothing.
        for control in ["raw_pixels", "untrained_fresh", "untrained_shuffled", "the_picture_without_objects"] {
            assert!(own.number(&format!("{}_{control}", rate.id)).is_some(), "{}_{control}", rate.id);
        }
        let empty = own.number(&format!("{}_the_picture_without_objects", rate.id)).unwrap();
        assert!(empty < rate.rate.accuracy.estimate || rate.id.starts_with("alike"), "{rate:?} {empty}");
        assert!(own.contrast(&format!("{}_beyond", rate.id)).is_some());
    }
    // Objects that differ in colour are told apart patch by patch.
    let first = own.rate("unlike_layer_1").unwrap().accuracy;
    assert!(first.lo > 0.8, "{first:?}");
    assert!(report.findings.len() <= 3 && !report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn who_has_no_patches_is_not_asked() {
    let report = asked(&Oracle::new(bound), &World::toy(), "same_object");
    let why = report.question("same_object").unwrap().left_out.as_deref();
    assert_eq!(why, Some("asked of a model only, whose patches can be seen"));
}
