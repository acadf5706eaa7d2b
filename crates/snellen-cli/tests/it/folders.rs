//! From a folder of images over a recording to measures, each through its own command.

use crate::program::{Home, assert_same_files, copy_fixture};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;

/// 60 scenes of the study in `scenes`, and a model in `model`.
fn home() -> Home {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    assert_eq!(home.succeed("scenes --kind toy --study --count 60 --out scenes"), "60 images in scenes\n");
    home
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// What `measure` finds too: raw pixels are the exam's own.
fn without_pixels(units: &Value) -> Value {
    let mut units = units.clone();
    assert!(units["pixels"]["units"].as_u64().is_some_and(|components| components > 4), "{units}");
    units["pixels"] = Value::Null;
    units
}

#[test]
fn an_exam_on_a_folder_measures_what_record_and_measure_do() {
    let home = home();
    let report = parse(&home.succeed("exam --quick --controls 0 --model model --images scenes --out out --json"));
    let shown = report["scenes"].as_array().unwrap().last().unwrap();
    assert_eq!((&shown["name"], &shown["images"]), (&json!("images"), &json!(60)));
    assert!(!home.path("out/scenes").exists(), "images that were given are not copied");
    let concepts = report["units"]["concepts"].as_array().unwrap();
    assert_eq!(concepts.len(), 5 + 6 + 5);
    assert!(concepts.contains(&json!("color=pink")));

    let run = parse(&home.succeed("record --model model --images scenes --out run --json"));
    assert_eq!(run["images"]["count"], 60);
    assert_eq!(run, parse(&fs::read_to_string(home.path("run/run.json")).unwrap()));
    let measured = parse(&home.succeed("measure --run run --json"));
    assert_eq!(measured, without_pixels(&report["units"]));
    assert_same_files(&home.path("run"), &home.path("out/run"));
}

#[test]
fn a_stricter_criterion_finds_no_more_units() {
    let home = home();
    home.succeed("record --model model --images scenes --sites blocks.*.hook_resid_post --tokens max,object --out run");
    let any = |args: &str| -> u64 {
        let units = parse(&home.succeed(&format!("measure --run run --json {args}")));
        assert_eq!(units["sites"].as_array().unwrap().len(), 4);
        units["sites"].as_array().unwrap().iter().map(|site| site["encoding"]["any"].as_u64().unwrap()).sum()
    };
    let (loose, strict) = (any("--q 1 --min-effect 0"), any("--q 0.001 --min-effect 0.9"));
    assert!(loose > strict, "{loose} and {strict}");
}

#[test]
fn labels_of_other_factors_are_measured() {
    let home = home();
    let folder = home.path("photos");
    fs::create_dir(&folder).unwrap();
    let mut labels = "filename,material_0,taken by\n".to_owned();
    for (i, material) in ["wood", "metal", "glass"].iter().cycle().take(60).enumerate() {
        fs::copy(home.path(&format!("scenes/images/{i:06}.png")), folder.join(format!("{i}.png"))).unwrap();
        writeln!(labels, "{i}.png,{material},someone").unwrap();
    }
    fs::write(folder.join("labels.csv"), labels).unwrap();
    let expected = json!(["material=glass", "material=metal", "material=wood"]);
    let ran = home.run("record --model model --images photos --out run --json");
    let note = "snellen: passed over: columns of labels.csv that are no factors: 1 (taken by)\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), note));
    let measured = parse(&home.succeed("measure --run run --json"));
    assert_eq!((&measured["concepts"], &measured["images"]), (&expected, &json!(60)));
    let ran = home.run("exam --quick --controls 0 --model model --images photos --out out --json");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), note));
    let report = parse(&ran.stdout);
    assert_eq!(without_pixels(&report["units"]), measured);
    assert!(fs::read_to_string(home.path("out/report.html")).unwrap().contains("material=glass"));
}

#[test]
fn a_picture_is_known_by_its_bytes_and_not_by_its_name() {
    let home = home();
    // What shows the strongest units has to read all that recording reads.
    for i in 0..60 {
        fs::rename(home.path(&format!("scenes/images/{i:06}.png")), home.path(&format!("scenes/images/{i:06}.jpg")))
            .unwrap();
    }
    let labels = fs::read_to_string(home.path("scenes/labels.csv")).unwrap();
    fs::write(home.path("scenes/labels.csv"), labels.replace(".png", ".jpg")).unwrap();
    // The bundled model has units that encode something even in 60 pictures.
    let report = parse(&home.succeed("exam --quick --images scenes --out out --json"));
    assert!(!report["units"]["strongest"].as_array().unwrap().is_empty());
}
