//! `snellen exam`: which models pass through it, and that only the seed changes what it finds.

use crate::program::{Home, assert_same_files, copy, copy_fixture};
use serde_json::Value;
use std::fs;

/// Both files of a report.
fn report(home: &Home, out: &str) -> [Vec<u8>; 2] {
    ["report.json", "report.html"].map(|name| fs::read(home.path(out).join(name)).unwrap())
}

/// The page shows pictures of its own and fetches nothing.
fn assert_needs_no_network(html: &str) {
    let addresses = ["src=", "href=", "url(", "srcset=", "action="].into_iter().flat_map(|attribute| {
        html.match_indices(attribute).map(move |(at, _)| html[at + attribute.len()..].trim_start_matches(['"', '\'']))
    });
    let addresses: Vec<&str> = addresses.collect();
    assert!(addresses.len() > 8, "{} pictures", addresses.len());
    for address in addresses {
        assert!(address.starts_with("data:image/png;base64,"), "{}", &address[..address.len().min(60)]);
    }
    for outside in ["http://", "https://", "@import", "<script", "<link", "<iframe"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

/// The accuracy `id` of a question; null where it has none.
fn rate<'a>(report: &'a Value, question: &str, id: &str) -> &'a Value {
    let named = |list: &'a Value, id: &str| list.as_array().unwrap().iter().find(|entry| entry["id"] == id);
    let question = named(&report["questions"], question).unwrap();
    named(&question["rates"], id).unwrap_or(&Value::Null)
}

#[test]
fn checkpoints_of_transformers_pass_through() {
    let positions = [("quick_gelu", 2), ("gelu", 1), ("legacy_eos", 1)];
    for (name, templates) in positions {
        let home = Home::new();
        copy_fixture(name, &home.path(name));
        let printed = home.succeed(&format!("exam --quick --model {name} --out out --json"));
        let [json, html] = report(&home, "out");
        assert_eq!(printed.as_bytes(), json, "{name}");
        assert_needs_no_network(std::str::from_utf8(&html).unwrap());
        let report: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(report["name"], name);
        // Their towers have room for 16, 13 and 14 tokens: longer templates are left out, and that is said.
        assert_eq!(report["templates"].as_array().unwrap().len(), templates, "{name}: {}", report["templates"]);
        assert_eq!(report["templates"][0], "{}");
        assert_eq!(report["world"], "hard", "nothing is known of their training");
        assert_eq!(rate(&report, "recognition", "combination")["n"], 150, "30 combinations, 5 times anywhere");
        assert_eq!(rate(&report, "binding", "swap")["n"], 200, "100 twins of two pictures");
        assert_eq!(report["units"]["images"], 300);
        assert_eq!(report["verdict"]["rows"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn only_the_seed_changes_a_report() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    home.succeed("--threads 1 exam --quick --model model --out one --json");
    home.succeed("--threads 2 exam --quick --model model --out two --json");
    assert_same_files(&home.path("one"), &home.path("two"));
    home.succeed("exam --quick --model model --out other --seed 1 --json");
    let read = |out| serde_json::from_slice::<Value>(&report(&home, out)[0]).unwrap();
    let (one, other) = (read("one"), read("other"));
    assert_eq!((&one["seed"], &other["seed"]), (&0.into(), &1.into()));
    assert_eq!(one["model"], other["model"]);
    for part in ["questions", "units"] {
        assert_ne!(one[part], other[part], "{part}");
    }
    let pictures = |out| String::from_utf8(report(&home, out)[1].clone()).unwrap();
    let first_pictures = |html: String| html.split("<h2>What it answers</h2>").next().unwrap().to_owned();
    assert_ne!(first_pictures(pictures("one")), first_pictures(pictures("other")));
}

#[test]
fn the_bundled_model_needs_nothing_and_repeats_itself() {
    let home = Home::new();
    let printed = home.succeed("--threads 1 exam --quick --out one");
    assert!(printed.starts_with("Eye exam of toy (bundled)\n") && printed.ends_with("one/report.html\n"), "{printed}");
    home.succeed("--threads 2 exam --quick --out two --json");
    assert_same_files(&home.path("one"), &home.path("two"));
    assert_eq!(fs::read_dir(home.path("tmp")).unwrap().count(), 0, "temporary files");
    let [json, html] = report(&home, "one");
    assert_needs_no_network(std::str::from_utf8(&html).unwrap());
    let report: Value = serde_json::from_slice(&json).unwrap();
    // It was trained on some combinations only: the exam tells both kinds apart.
    let held_out = report["training"]["held_out"].as_array().unwrap().len();
    assert!(held_out > 0);
    assert_eq!(rate(&report, "recognition", "combination_held_out")["n"], 5 * held_out, "at 5 positions");
}

#[test]
fn templates_with_unknown_words_are_left_out() {
    let home = Home::new();
    // Without its recipe nothing says in which words the model was trained; its tokenizer refuses those that it does not know.
    copy("../models/toy", &home.path("model"), &["recipe.toml"]);
    let ran = home.run("exam --quick --model model --out out --json");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let stages = ["single objects", "reading both sides", "recording activations", "measuring units"];
    for stage in stages {
        let ends = format!(" s: {stage}\n");
        assert_eq!(ran.stages.iter().filter(|line| line.ends_with(&ends)).count(), 1, "{:?}", ran.stages);
    }
    let report: Value = serde_json::from_slice(&report(&home, "out")[0]).unwrap();
    assert_eq!(report["templates"], serde_json::json!(["{}", "a photo of {}", "a picture of {}"]));
    assert_eq!(report["training"], Value::Null);
    assert_eq!(*rate(&report, "recognition", "combination_held_out"), Value::Null);
}
