//! What must not happen whatever comes: a panic, an abort, a terminal that obeys a file, a message without its place.

use crate::program::{Home, copy_fixture, edit_json};
use std::fs::{self, File};
use std::process::Stdio;

fn home() -> Home {
    let home = Home::new();
    copy_fixture("gelu", &home.path("model"));
    home
}

/// A PNG file of that size, of which no more is there than its header.
fn header_of_png(side: u32) -> Vec<u8> {
    let size = [side.to_be_bytes(), side.to_be_bytes()].concat();
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", size.as_slice(), b"\x08\x02\0\0\0\0\0\0\0"].concat()
}

#[test]
fn what_can_not_be_written_is_no_reason_to_panic() {
    if !std::path::Path::new("/dev/full").exists() {
        eprintln!("SKIPPED what_can_not_be_written_is_no_reason_to_panic: there is no /dev/full");
        return;
    }
    let home = home();
    fs::write(home.path("recipe.toml"), include_str!("tiny.toml").replace("steps = 60", "steps = 10")).unwrap();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let code = |args: &str, out: Option<Stdio>, err: Option<Stdio>| {
        let mut command = home.command(args);
        command.stdout(out.unwrap_or_else(Stdio::null)).stderr(err.unwrap_or_else(Stdio::null));
        command.status().unwrap().code()
    };
    // Evaluations are said on standard error.
    assert_eq!(code("lab train --recipe recipe.toml --out trained", None, Some(full())), Some(0));
    assert_eq!(code("sites --model nothing/", None, Some(full())), Some(3));
    assert_eq!(code("sites --nothing", None, Some(full())), Some(2));
    assert_eq!(code("sites --model model", Some(full()), None), Some(1));
    assert_eq!(code("--help", Some(full()), Some(full())), Some(0));
    // Whoever read has gone.
    let mut child = home.start("sites --model model");
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_tokenizer_that_its_crate_panics_at_is_named() {
    let home = home();
    edit_json(&home.path("model/tokenizer.json"), |json| {
        json["model"]["continuing_subword_prefix"] = "#".repeat(60).into();
    });
    home.refuse(
        "record --model model --scenes toy --count 1 --out run",
        &["model/tokenizer.json: the `tokenizers` crate panics"],
    );
}

#[test]
fn no_terminal_obeys_a_file() {
    let home = home();
    let hostile = "\u{1b}[31m\u{9b}2J\u{202e}";
    let long = format!("{hostile}{}", "x".repeat(100_000));
    let whole = fs::read(home.path("model/config.json")).unwrap();
    for value in [hostile, &long] {
        for key in ["hidden_act", "model_type", "no_such_key"] {
            edit_json(&home.path("model/config.json"), |json| {
                json["vision_config"][key] = value.into();
                json[value] = value.into();
            });
            let ran = home.run("sites --model model");
            let said = [ran.stdout, ran.stderr].concat();
            assert!(said.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{key}: {said:?}");
            assert!(said.len() < 60_000 && said.lines().all(|line| line.len() < 6_000), "{key}: {}", said.len());
            fs::write(home.path("model/config.json"), &whole).unwrap();
        }
        edit_json(&home.path("model/config.json"), |json| json["vision_config"]["hidden_act"] = value.into());
        home.refuse("sites --model model", &["model/config.json", "hidden_act"]);
        fs::write(home.path("model/config.json"), &whole).unwrap();
    }
    let ran = home.run(&format!("sites --model {hostile}"));
    assert!(ran.code == Some(3) && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    let ran = home.run(&format!("record --tokens {hostile}"));
    assert!(ran.code == Some(2) && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
}

#[test]
fn what_there_is_no_memory_for_is_refused() {
    let home = home();
    let large = [
        ("image = 24", "image = 4096"),
        ("batch = 8", "batch = 16384"),
        ("width = 24", "width = 4096"),
        ("vision_layers = 1", "vision_layers = 4096"),
    ];
    let recipe = large.iter().fold(include_str!("tiny.toml").to_owned(), |text, (from, to)| text.replace(from, to));
    fs::write(home.path("recipe.toml"), recipe).unwrap();
    if !std::path::Path::new("/proc/meminfo").exists() {
        eprintln!("SKIPPED what_there_is_no_memory_for_is_refused: the system does not say how much there is");
        return;
    }
    home.refuse(
        "lab train --recipe recipe.toml --out trained",
        &["recipe: expected a training run that fits in the memory"],
    );
    // A picture of 16,000 x 16,000 pixels, where a program may have two gigabytes, threads and all.
    fs::create_dir(home.path("pictures")).unwrap();
    fs::write(home.path("pictures/large.png"), header_of_png(16_000)).unwrap();
    let record = "--threads 1 record --model model --images pictures --out run";
    home.refused(
        home.bounded(1 << 20, record),
        record,
        &["pictures/large.png: expected a picture that fits in the memory"],
    );
    let skipping = format!("{record} --skip-bad");
    home.refused(
        home.bounded(1 << 20, &skipping),
        &skipping,
        &["expected a picture that can be read", "1 that can not"],
    );
}
