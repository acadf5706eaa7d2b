//! Images, labels and recordings that are refused.

use crate::program::{Home, copy_fixture};
use std::fs;

const EXAM: &str = "exam --quick --model model --images scenes --out out --json";
const RECORD: &str = "record --model model --images scenes --out out --json";

/// Scenes in `scenes`, and a model in `model`: the exam would pass.
fn home() -> Home {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    home.succeed("scenes --kind toy --size 32 --count 12 --out scenes");
    home
}

fn both(home: &Home, says: &[&str]) {
    home.refuse(EXAM, says);
    home.refuse(RECORD, says);
}

#[test]
fn images_that_are_not_there_or_do_not_decode() {
    let home = home();
    home.refuse("exam --quick --model model --images nowhere --out out", &["nowhere", "No such file"]);
    home.refuse("record --model model --images nowhere --out out", &["nowhere", "No such file"]);
    home.refuse("record --model model --images model --out out", &["model: expected images", "got none"]);
    home.refuse(
        "exam --quick --model model --images scenes/images --out out",
        &["scenes/images: expected a folder with labels.csv"],
    );
    let image = home.path("scenes/images/000004.png");
    let bytes = fs::read(&image).unwrap();
    for damaged in [&b"no picture"[..], &bytes[..40], &bytes[..bytes.len() - 60], b""] {
        fs::write(&image, damaged).unwrap();
        both(&home, &["scenes/images/000004.png: "]);
    }
    fs::remove_file(&image).unwrap();
    both(
        &home,
        &["scenes/labels.csv: expected the 12 images that it names, got 1 that are not there: images/000004.png"],
    );
}

#[test]
fn labels_that_do_not_fit() {
    let home = home();
    let path = home.path("scenes/labels.csv");
    let labels = fs::read_to_string(&path).unwrap();
    let refuse = |text: &str, says: &[&str]| {
        fs::write(&path, text).unwrap();
        both(&home, says);
    };
    let fields = labels.lines().next().unwrap().split(',').count();
    let line = labels.lines().nth(3).unwrap();
    let says = format!("scenes/labels.csv:4: expected {fields} fields, as in the header, got {}", fields + 1);
    refuse(&labels.replace(line, &format!("{line},x")), &[&says]);
    let says = format!("scenes/labels.csv:4: expected {fields} fields, as in the header, got 1");
    refuse(&labels.replace(line, "images/000002.png"), &[&says]);
    let says =
        "scenes/labels.csv: expected the 12 images that it names, got 1 that are not there: images/elsewhere.png";
    refuse(&labels.replace("images/000002.png", "images/elsewhere.png"), &[says]);
    let twice = labels.replace("images/000002.png", "images/000001.png");
    refuse(&twice, &["scenes/labels.csv:4, column 1 (`filename`): expected", "`images/000001.png` again"]);
    refuse(
        &labels.replace("images/000002.png", "../model/config.json"),
        &["labels.csv:4, column 1", "inside the folder"],
    );
    refuse(&labels.replace("filename", "file"), &["scenes/labels.csv:1: expected a column `filename`"]);
    refuse("", &["scenes/labels.csv: expected a header", "got an empty file"]);
    refuse("filename,shape_0\n", &["scenes"]);
    fs::remove_file(home.path("scenes/scenes.json")).unwrap();
    fs::write(&path, "filename\nimages/000000.png\n").unwrap();
    home.refuse(EXAM, &["expected at least one concept, got none"]);
}

#[test]
fn outputs_that_exist() {
    let home = home();
    for out in ["out", "model"] {
        fs::create_dir_all(home.path(out)).unwrap();
        for command in [
            "exam --quick --model model",
            "record --model model --images scenes",
            "scenes --kind swap",
            "lab train --recipe toy",
        ] {
            home.refuse(
                &format!("{command} --out {out}"),
                &[&format!("{out}: expected a path that does not exist yet")],
            );
        }
    }
}

#[test]
fn sites_and_tokens_that_the_model_or_the_images_lack() {
    let home = home();
    home.refuse(
        &format!("{RECORD} --sites blocks.9.mlp.hook_post"),
        &["sites: `blocks.9.mlp.hook_post`", "`blocks.1.mlp.hook_post`", "no match"],
    );
    home.refuse(&format!("{RECORD} --sites [a"), &["sites: `[a`"]);
    home.refuse(
        &format!("{RECORD} --sites text.ln_final.hook_normalized"),
        &["sites of the vision tower", "the text tower's"],
    );
    home.refuse(&format!("{RECORD} --sites hook_embed --tokens cls"), &["`hook_embed`", "got `cls`"]);
    home.succeed(&format!("{RECORD} --tokens object,background"));
    fs::remove_dir_all(home.path("out")).unwrap();
    fs::remove_dir_all(home.path("scenes/masks")).unwrap();
    for tokens in ["object", "background"] {
        let says =
            format!("scenes: expected a folder `masks` beside labels.csv, for the token policy `{tokens}`, got none");
        home.refuse(&format!("{RECORD} --tokens {tokens}"), &[&says]);
    }
}

#[test]
fn recordings_that_can_not_be_measured() {
    let home = home();
    home.refuse("measure --run nowhere", &["nowhere: expected", "got"]);
    home.refuse("measure --run scenes", &["scenes/activations.zarr"]);
    home.succeed("record --model model --images scenes/images --out plain");
    home.refuse("measure --run plain", &["plain: expected a run with labels.csv", "got none"]);
    home.succeed("record --model model --images scenes --out run");
    for (flag, says) in
        [("--q 0", "q: expected"), ("--min-effect 1.5", "min_effect: expected"), ("--confidence 1", "confidence")]
    {
        home.refuse(&format!("measure --run run {flag}"), &[says, "got"]);
    }
    let labels = fs::read_to_string(home.path("run/labels.csv")).unwrap();
    let fewer = labels.lines().take(5).collect::<Vec<_>>().join("\n");
    fs::write(home.path("run/labels.csv"), fewer).unwrap();
    home.refuse("measure --run run", &["expected", "got"]);
}
