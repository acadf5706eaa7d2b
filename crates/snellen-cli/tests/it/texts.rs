//! Texts recorded as a user does it: from a file, from a scene folder, from scenes; measured, merged, refused.

use crate::program::{Home, assert_same_files, copy, copy_fixture, files};
use serde_json::{Value, json};
use std::fs;

/// The bundled model in `model`.
fn home() -> Home {
    let home = Home::new();
    copy("../models/toy", &home.path("model"), &[]);
    home
}

fn run_json(home: &Home, run: &str) -> Value {
    serde_json::from_slice(&fs::read(home.path(run).join("run.json")).unwrap()).unwrap()
}

const RECORD: &str = "record --model model --texts captions";

#[test]
fn captions_of_a_folder_are_those_of_its_scenes() {
    let home = home();
    home.succeed("scenes --kind toy --count 60 --size 56 --seed 4 --out scenes");
    let said = home.succeed(&format!("{RECORD} --images scenes --seed 4 --out from-folder"));
    assert_eq!(said, "60 texts, 3 arrays in from-folder\n");
    home.succeed("record --model model --texts scenes/captions.csv --seed 4 --out from-file");
    home.succeed(&format!("{RECORD} --scenes toy --count 60 --seed 4 --out from-scenes"));
    for other in ["from-file", "from-scenes"] {
        for part in ["activations.zarr", "labels.csv", "texts.parquet"] {
            let read = |run: &str| {
                let path = home.path(run).join(part);
                if path.is_dir() { files(&path) } else { [(String::new(), Some(fs::read(path).unwrap()))].into() }
            };
            assert_eq!(read("from-folder"), read(other), "{other}: {part}");
        }
    }
    let run = run_json(&home, "from-scenes");
    let sites: Vec<&Value> = run["sites"].as_array().unwrap().iter().map(|site| &site["site"]).collect();
    assert_eq!(sites, ["text.blocks.0.mlp.hook_post", "text.blocks.1.mlp.hook_post", "text.text_embeds"]);
    assert_eq!(
        (&run["kind"], &run["images"], &run["preprocessing"]),
        (&json!("record_texts"), &Value::Null, &Value::Null)
    );
    assert_eq!(run["texts"]["scenes"]["kind"], "toy");
    let table = home.succeed("measure --run from-folder");
    assert!(table.contains("text.blocks.1.mlp.hook_post/mean"), "{table}");
    // In parts.
    for part in 1..=2 {
        home.succeed(&format!("{RECORD} --images scenes --seed 4 --shard {part}/2 --out part-{part}"));
    }
    assert_eq!(home.succeed("merge part-2 part-1 --out merged"), "60 texts, 3 arrays in merged\n");
    home.succeed("measure --run merged");
    assert_same_files(&home.path("merged"), &home.path("from-folder"));
    // A run of texts and one of images are no parts of one run.
    home.succeed("record --model model --images scenes --seed 4 --shard 2/2 --out other");
    home.refuse("merge part-1 other --out mixed", &["other/run.json: `kind`", "record_texts"]);
}

#[test]
fn sites_say_which_tower_they_are_of() {
    let home = home();
    let listed: Value = serde_json::from_str(&home.succeed("sites --model model --json")).unwrap();
    for site in listed["sites"].as_array().unwrap() {
        let text = site["site"].as_str().unwrap().starts_with("text.");
        assert_eq!(site["tower"], if text { "text" } else { "vision" }, "{site}");
    }
}

#[test]
fn what_can_not_be_recorded_is_said() {
    let home = home();
    fs::write(home.path("texts.csv"), "text,filename\na red circle,1.png\na red zebra,2.png\n").unwrap();
    let record = "record --model model --texts texts.csv --out run";
    home.refuse(record, &["texts.csv:3 (`2.png`)", "a red zebra"]);
    home.refuse(
        &format!("{record} --images model"),
        &["--texts", "captions beside --images or --scenes", "got texts.csv"],
    );
    home.refuse(&format!("{RECORD} --out run"), &["--texts captions", "--images FOLDER or --scenes KIND", "neither"]);
    home.refuse(&format!("{RECORD} --images model --out run"), &["model: expected a folder with captions.csv"]);
    home.refuse("record --model model --texts none.csv --out run", &["none.csv", "No such file"]);
    home.refuse(
        "record --model model --texts texts.csv --sites image_embeds --out run",
        &["text tower", "vision tower's"],
    );
    let usage = |args: &str| {
        let ran = home.run(&format!("record --model model --out run {args}"));
        assert_eq!(ran.code, Some(2), "{args}: {}", ran.stderr);
    };
    for args in ["--texts texts.csv --skip-bad", "--texts texts.csv --only tars", "--images model --truncate"] {
        usage(args);
    }
    copy_fixture("gelu", &home.path("other"));
    fs::remove_file(home.path("other/tokenizer.json")).unwrap();
    home.refuse("record --model other --texts texts.csv --out run", &["other/tokenizer.json", "no such file"]);
    fs::write(home.path("texts.csv"), "caption\na red circle\n").unwrap();
    assert_eq!(
        home.succeed("record --model model --texts texts.csv --tokens eos,all --out run"),
        "1 texts, 5 arrays in run\n"
    );
    home.refuse("measure --run run", &["run: expected a run with labels.csv"]);
}
