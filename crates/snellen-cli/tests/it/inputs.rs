//! Images as they lie on people's disks: all of them recorded, or counted and named.

use crate::program::{Home, assert_same_files, copy_fixture};
use serde_json::{Value, json};
use std::fs;

/// Twelve scenes in `scenes`, and a model in `model`.
fn home() -> Home {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    home.succeed("scenes --kind toy --size 32 --count 12 --out scenes");
    home
}

fn run_json(home: &Home, run: &str) -> Value {
    serde_json::from_slice(&fs::read(home.path(run).join("run.json")).unwrap()).unwrap()
}

/// Copies a scene's picture to `name`.
fn picture(home: &Home, scene: usize, name: &str) {
    let path = home.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(home.path(&format!("scenes/images/{scene:06}.png")), path).unwrap();
}

#[test]
fn what_is_passed_over_is_said_and_kept() {
    let home = home();
    ["photos/x.png", "photos/sub/y.png", "photos/sub/deep/z.PNG", "photos/._x.png"].iter().enumerate().for_each(
        |(i, name)| {
            picture(&home, i, name);
        },
    );
    fs::write(home.path("photos/sub/notes.txt"), "").unwrap();
    fs::write(home.path("photos/a\u{1b}[31m.json"), "").unwrap();
    let ran = home.run("record --model model --images photos --out run");
    let notes = "snellen: passed over: files ending in .json: 1 (a\\u{1b}[31m.json)\n\
        snellen: passed over: files ending in .txt: 1 (sub/notes.txt)\n\
        snellen: passed over: hidden files or folders: 1 (._x.png)\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), notes));
    assert!(ran.stdout.starts_with("3 images, "), "{}", ran.stdout);
    let images = &run_json(&home, "run")["images"];
    assert_eq!(
        images["passed_over"][1],
        json!({"kind": "files ending in .txt", "count": 1, "examples": ["sub/notes.txt"]})
    );
    assert_eq!((&images["count"], images.get("skipped")), (&json!(3), None));
}

#[test]
fn class_folders_are_measured() {
    let home = home();
    (0..12).for_each(|i| picture(&home, i, &format!("photos/{}/{i}.png", ["cat", "dog"][i % 2])));
    home.succeed("record --model model --images photos --labels folders --out run");
    let labels = fs::read_to_string(home.path("run/labels.csv")).unwrap();
    assert!(labels.starts_with("filename,class_0\ncat/0.png,cat\n"), "{labels}");
    home.succeed("measure --run run");
    home.refuse(
        "exam --quick --model model --images photos --out out",
        &["--labels folders where each is a class", "images alone"],
    );
    home.refuse(
        "exam --quick --model model --images photos --labels folders --questions verdict --out none",
        &["something that can be asked", "made of drawn scenes"],
    );
    home.succeed("exam --quick --model model --images photos --labels folders --out out --json");
    assert_eq!(fs::read_to_string(home.path("out/run/labels.csv")).unwrap(), labels);
    let ran = home.run("record --model model --images photos --labels rows --out other");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn columns_of_labels_are_chosen() {
    let home = home();
    (0..12).for_each(|i| picture(&home, i, &format!("photos/{i}.png")));
    let row = |i: usize| format!("{i}.png,{},{},{}\n", ["cat", "dog"][i % 2], ["a", "b", "c"][i % 3], 2000 + i);
    let rows: String = (0..12).map(row).collect();
    fs::write(home.path("photos/metadata.csv"), format!("filename,animal,camera,year\n{rows}")).unwrap();
    let record = "record --model model --images photos --label-columns";
    let ran = home.run(&format!("{record} year,animal --out run"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let labels = fs::read_to_string(home.path("run/labels.csv")).unwrap();
    assert!(labels.starts_with("filename,animal_0,year_0\n0.png,cat,2000\n"), "{labels}");
    home.succeed("measure --run run");
    home.refuse(&format!("{record} breed --out other"), &["metadata.csv:1", "animal, camera, year", "`breed`"]);
    let exam = "exam --quick --controls 0 --questions units --model model --images photos --json --out out";
    let ran = home.run(&format!("{exam} --label-columns animal"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("no factors: 2 (camera, year)"), "{}", ran.stderr);
    assert!(fs::read_to_string(home.path("out/run/labels.csv")).unwrap().starts_with("filename,animal_0\n"));
    fs::remove_file(home.path("photos/metadata.csv")).unwrap();
    home.refuse(&format!("{record} animal --out other"), &["metadata.csv with columns animal", "neither"]);
    assert_eq!(home.run("record --model model --scenes toy --label-columns shape --out other").code, Some(2));
}

#[test]
fn bad_labels_are_refused_before_anything_is_loaded() {
    let home = home();
    let path = home.path("scenes/labels.csv");
    let labels = fs::read_to_string(&path).unwrap();
    fs::write(&path, labels.replacen("shape_0", "a=b_0", 1)).unwrap();
    home.refuse("record --model nowhere --images scenes --out run", &["labels.csv:1, column", "without `=`"]);
    // A factor without a number is one of one object, here and when it is measured.
    let row = |i: usize| format!("images/{i:06}.png;{};{}\n", ["a", "b"][i % 2], ["x", "y"][i / 6]);
    let rows = (0..12).map(row).collect::<Vec<_>>().concat();
    fs::write(&path, format!("\u{feff}filename;shape;color\n{rows}")).unwrap();
    fs::remove_file(home.path("scenes/scenes.json")).unwrap();
    home.succeed("record --model model --images scenes --out run");
    let measured: Value = serde_json::from_str(&home.succeed("measure --run run --json")).unwrap();
    assert_eq!(measured["concepts"], json!(["shape=a", "shape=b", "color=x", "color=y"]));
}

#[test]
fn bad_pictures_are_listed_and_the_rest_recorded() {
    let home = home();
    for (i, bytes) in [(3, &b"no picture"[..]), (11, b"")] {
        fs::write(home.path(&format!("scenes/images/{i:06}.png")), bytes).unwrap();
    }
    let record = "record --model model --images scenes --batch 2";
    let ran = home.run(&format!("{record} --out none"));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{}", ran.stderr);
    for says in ["scenes/images/000003.png: ", "image 3; record --skip-bad", "none.partial"] {
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    // What was made stays, to go on from.
    home.run(&format!("{record} --resume --skip-bad --out none"));
    assert!(home.path("none").is_dir() && !home.path("none.partial").exists());
    let ran = home.run(&format!("{record} --skip-bad --out run"));
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!((ran.code, lines.len()), (Some(0), 3), "{}", ran.stderr);
    assert!(lines[0].starts_with("snellen: skipped images/000003.png: expected "), "{}", ran.stderr);
    assert_eq!(lines[2], "snellen: skipped 2 pictures that can not be read: run/skipped.csv");
    assert_eq!(ran.stdout, "10 images, 3 arrays in run\n");
    assert_eq!(run_json(&home, "run")["images"]["skipped"]["count"], json!(2));
    // Nothing depends on how it was cut.
    for part in 1..=2 {
        assert_eq!(home.run(&format!("{record} --skip-bad --shard {part}/2 --out part-{part}")).code, Some(0));
    }
    assert_eq!(home.run("merge part-2 part-1 --out merged").code, Some(0));
    assert_same_files(&home.path("merged"), &home.path("run"));
    assert_same_files(&home.path("none"), &home.path("run"));
    home.succeed("measure --run run");
}

#[test]
fn options_that_would_have_no_effect_are_refused() {
    let home = home();
    for (option, of) in
        [("--image-field jpg", "tar files"), ("--image-index 0", "Parquet files"), ("--image-root x", "Parquet files")]
    {
        let record = format!("record --model model --images scenes --out run {option}");
        home.refuse(&record, &["scenes: expected", of, option.split(' ').next().unwrap(), "got pictures"]);
    }
    let ran = home.run("record --model model --scenes toy --labels folders --out run");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}
