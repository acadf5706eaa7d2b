//! Measurements of the engine: what they say, not how fast it is.

use crate::program::{Home, Ran, copy_fixture};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// What every measurement has.
const KEYS: [&str; 11] = [
    "model",
    "dtype",
    "batch",
    "threads",
    "level",
    "ms_min",
    "ms_median",
    "gflops",
    "peak_gflops",
    "fraction_of_peak",
    "rss_mib",
];

fn measured(home: &Home, args: &str) -> Vec<Value> {
    serde_json::from_str(&home.succeed(&format!("--threads 1 bench-engine --rounds 1 --json {args}"))).unwrap()
}

#[test]
fn every_case_is_an_object_with_the_documented_keys() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    let rows = measured(&home, "--model lab,model --batch 1,2");
    let cases: Vec<_> =
        rows.iter().map(|row| (row["model"].as_str().unwrap(), row["batch"].as_u64().unwrap())).collect();
    assert_eq!(cases, [("lab", 1), ("lab", 2), ("model", 1), ("model", 2)]);
    for row in &rows {
        assert!(KEYS.iter().all(|key| !row[key].is_null()), "{row}");
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("ms_min") > 0.0 && number("ms_min") <= number("ms_median"), "{row}");
        assert!((number("gflops") / number("peak_gflops") - number("fraction_of_peak")).abs() < 1e-9, "{row}");
        assert!((number("gflop") / number("ms_min") * 1e3 / number("gflops") - 1.0).abs() < 1e-9, "{row}");
        assert!(number("rss_mib") > 0.0 && number("rss_mib") <= number("peak_rss_mib"), "{row}");
        assert_eq!((row["dtype"].as_str(), row["threads"].as_u64()), (Some("f32"), Some(1)));
    }
    assert_eq!(rows[1]["gflop"], 2.0 * rows[0]["gflop"].as_f64().unwrap());
}

#[test]
fn hooks_and_training_are_measured() {
    let home = Home::new();
    let hooked = measured(&home, "--model lab --batch 1 --hook blocks.*.hook_mlp_out,image_embeds");
    assert_eq!(hooked.len(), 1);
    let trained = measured(&home, "--train");
    assert_eq!((trained[0]["model"].as_str(), trained[0]["batch"].as_u64()), (Some("small-clip"), Some(32)));
    assert!(KEYS.iter().all(|key| !trained[0][key].is_null()), "{}", trained[0]);
}

#[test]
fn the_table_is_aligned() {
    let table = Home::new().succeed("bench-engine --model lab --batch 1,16 --rounds 1");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("model ") && lines[1].starts_with("lab "), "{table}");
    assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{table}");
}

#[test]
fn counts_on_standard_input_are_answered() {
    let home = Home::new();
    let ask = |args: &str, input: &str| -> Ran {
        let mut child = home.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    };
    let lab = "bench-engine --model lab --batch 1 --on-demand";
    let ran = ask(lab, "1\n3\n");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!((ran.code, lines.len(), lines[0]), (Some(0), 3, "ready"), "{ran:?}");
    assert!(lines[1..].iter().all(|line| line.parse::<f64>().unwrap() > 0.0), "{ran:?}");
    for input in ["0\n", "some\n", "-1\n"] {
        let ran = ask(lab, input);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), "ready\n"), "{ran:?}");
        assert!(ran.stderr.contains("standard input:1: expected a number of runs above 0, got"), "{ran:?}");
    }
    home.refuse("bench-engine --model lab,vit-b-32 --on-demand", &["--on-demand: expected one model"]);
}

#[test]
fn whether_this_machine_is_fast_enough_is_said_in_one_line() {
    let home = Home::new();
    let ran = Ran::from(home.command("bench-engine --verify --rounds 1").output().unwrap());
    let (line, rest) = ran.stdout.split_once('\n').unwrap();
    assert!(rest.is_empty() && line.contains(" threads: f32 ") && line.contains(", bf16 "), "{ran:?}");
    // A machine that is busy is slow.
    assert_eq!(ran.code, Some(i32::from(line.ends_with("slow"))), "{ran:?}");
    assert_eq!(ran.stderr.contains("slower than it should be"), line.ends_with("slow"), "{ran:?}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let home = Home::new();
    home.refuse(
        "bench-engine --model lab,vit-h-14",
        &["--model: expected one of vit-l-14, vit-b-32, vit-b-16, lab, or the folder of a model, got `vit-h-14`"],
    );
    home.refuse("bench-engine --model tmp", &["tmp/config.json: expected a file"]);
    home.refuse(
        "bench-engine --model lab --hook hook_nothing",
        &["sites: `hook_nothing`: expected the name of a site"],
    );
}

/// The vision tower of ViT-B/32 has 88 million weights: 351 MB in f32, half of that in bf16.
#[test]
fn a_model_in_bf16_never_takes_the_memory_of_f32() {
    if !Path::new("/proc/self/status").exists() {
        eprintln!(
            "SKIPPED a_model_in_bf16_never_takes_the_memory_of_f32: there is no /proc that tells the peak of a process"
        );
        return;
    }
    let peak = |dtype| Home::new().peak(&format!("bench-engine --model vit-b-32 --batch 1 --rounds 1 --dtype {dtype}"));
    let (f32, bf16) = (peak("f32"), peak("bf16"));
    eprintln!("peak in f32 {f32} kB, in bf16 {bf16} kB");
    assert!(f32 > 340_000, "{f32} kB is less than the weights");
    assert!(bf16 < 250_000, "{bf16} kB");
}
