//! `snellen study`, from the study's own files where they are and from small ones.

use crate::program::{Home, Ran, copy_fixture};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A home with the study's embeddings and labels.
fn paper(test: &str) -> Option<Home> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/paper");
    if !folder.is_dir() {
        eprintln!("SKIPPED {test}: {} is absent; it holds the study's data", folder.display());
        return None;
    }
    let home = Home::new();
    for name in ["embeddings.safetensors", "labels.csv"] {
        fs::copy(folder.join(name), home.path(name)).unwrap();
    }
    Some(home)
}

const FROM: &str = "study 2508.16652 --embeddings embeddings.safetensors --labels labels.csv";

#[test]
fn the_study_of_the_paper_agrees_and_is_written() {
    let Some(home) = paper("the_study_of_the_paper_agrees_and_is_written") else { return };
    let json: Value = serde_json::from_str(&home.succeed(&format!("{FROM} --json --strict"))).unwrap();
    assert_eq!((&json["schema"], &json["study"]), (&1.into(), &"2508.16652".into()));
    let pair = &json["embedding_pairs"][0];
    assert_eq!(
        (&pair["concept_a"], &pair["concept_b"], &pair["misclassified"], &pair["n_images"]),
        (&"BL".into(), &"BR".into(), &77.into(), &197.into())
    );
    assert_eq!(json["embedding_pairs_pca"][0]["components"], 38);
    for link in ["full_distance", "full_misclassification", "pca_distance", "pca_misclassification"] {
        for key in ["n", "pearson", "spearman", "slope", "intercept", "p_naive", "p_label_permutation"] {
            assert!(json["links"][link][key].is_number(), "{link}.{key}");
        }
        for key in ["leave_one_out_min", "leave_one_out_max"] {
            assert!(json["links"][link][key].is_number(), "{link}.{key}");
        }
    }
    assert_eq!(json["additive_fit"]["feature_sums"].as_object().unwrap().len(), 16);
    let said = home.succeed(&format!("{FROM} --out out --seed 3"));
    assert!(said.contains("distance of two features' means") && said.ends_with("out/study.html\n"), "{said}");
    let mut names: Vec<_> = fs::read_dir(home.path("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["checks.csv", "pairs.csv", "study.html", "study.json", "units.csv"]);
    home.refuse(&format!("{FROM} --out out"), &["out", "does not exist yet"]);
    home.refuse(&format!("{FROM} --width 512"), &["[500, 512]", "[500, 768]"]);

    // One image too few, one value unknown, one name twice.
    let labels = fs::read_to_string(home.path("labels.csv")).unwrap();
    let lines: Vec<&str> = labels.lines().collect();
    let with = |lines: &[&str]| fs::write(home.path("labels.csv"), lines.join("\n")).unwrap();
    with(&lines[..500]);
    home.refuse(FROM, &["embeddings.safetensors", "[499, 768]", "[500, 768]"]);
    with(&[&lines[..1], &[&lines[1].replace("pentagon", "heptagon")], &lines[2..]].concat());
    home.refuse(FROM, &["labels.csv: row 1", "column `shape_0`", "`heptagon`"]);
    with(&[&lines[..2], &lines[1..500]].concat());
    home.refuse(FROM, &["labels.csv:3", "filename", "again"]);
    // Another order of the rows: every number is another, and --strict says so.
    with(&[&lines[..1], &lines[2..], &lines[1..2]].concat());
    assert_eq!(home.run(FROM).code, Some(0));
    let ran: Ran = home.run(&format!("{FROM} --strict"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("arXiv 2508.16652") && ran.stderr.contains("of 120 differ"), "{}", ran.stderr);
}

#[test]
fn a_model_is_studied_on_pictures_that_are_drawn() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    let said = home.succeed("study 2508.16652 --model model --out out");
    assert!(said.contains("clip-vit-large-patch14") && said.contains("low-entropy units"), "{said}");
    let json: Value = serde_json::from_slice(&fs::read(home.path("out/study.json")).unwrap()).unwrap();
    assert_eq!((&json["images"], &json["sums"]), (&500.into(), &"measured".into()));
    assert_eq!(json["model"]["transforms"], serde_json::json!(["fold-ln", "center-writing"]));
    assert!(home.path("out/scenes/images/image_5_shapes_99.png").is_file());
    assert!(home.path("out/exam/report.html").is_file() && home.path("out/run/activations.zarr").is_dir());
    // The same pictures, given; nothing is left behind without --out.
    let again: Value =
        serde_json::from_str(&home.succeed("study 2508.16652 --model model --images out/scenes --json")).unwrap();
    assert_eq!(again, json);
    assert_eq!(fs::read_dir(home.path("tmp")).unwrap().count(), 0);
    fs::remove_file(home.path("out/scenes/labels.csv")).unwrap();
    home.refuse("study 2508.16652 --model model --images out/scenes", &["labels.csv"]);
}

#[test]
fn what_is_asked_for_has_to_be_clear() {
    let home = Home::new();
    for (args, says) in [
        ("study", "<ARXIV>"),
        ("study 2508.16652", "--model"),
        ("study 1234.5678 --model m", "1234.5678"),
        ("study 2508.16652 --embeddings e", "--labels"),
        ("study 2508.16652 --model m --embeddings e --labels l", "cannot be used with"),
        ("study 2508.16652 --embeddings e --labels l --images d", "cannot be used with"),
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(2), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args}: {}", ran.stderr);
    }
    home.refuse("study 2508.16652 --embeddings e --labels l", &["l: "]);
}
