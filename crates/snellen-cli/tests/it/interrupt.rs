//! Ctrl-C: nothing half-written; a recording and a training run that go on where they stopped.

use crate::program::{Home, Ran, assert_same_files, copy_fixture};
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Waits until `there` is true of the files in `home`.
fn wait(home: &Home, child: &mut Child, there: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    while !home.names().iter().any(|name| there(name)) {
        assert_eq!(child.try_wait().unwrap(), None, "the program ended too early");
        assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", home.names());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends SIGINT.
fn interrupt(child: &Child) {
    signal(child, "INT");
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// Whether whoever runs the tests ignores SIGHUP, and so do the programs that they start.
fn hang_ups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("1");
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}

#[test]
fn other_signals_end_as_ctrl_c_does() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    let record = "record --model model --scenes toy --count 600 --sites * --tokens all --batch 1";
    for name in ["TERM", "HUP"] {
        if name == "HUP" && hang_ups_are_ignored() {
            eprintln!("SKIPPED other_signals_end_as_ctrl_c_does for SIGHUP: it is ignored here");
            continue;
        }
        let mut child = home.start(&format!("{record} --out {name}"));
        wait(&home, &mut child, |there| there == format!("{name}.partial/journal"));
        signal(&child, name);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{name}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("snellen: interrupted; ") && ran.stderr.contains("--resume"), "{}", ran.stderr);
    }
    // Under nohup a terminal may close.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_snellen")]);
    let mut child =
        home.shell(shell, &format!("{record} --count 40 --out kept").replace("--count 600 ", "")).spawn().unwrap();
    wait(&home, &mut child, |there| there == "kept.partial/journal");
    signal(&child, "HUP");
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn an_exam_that_found_nothing_yet_leaves_nothing() {
    let home = Home::new();
    let before = home.names();
    let mut child = home.start("exam --full --out out");
    wait(&home, &mut child, |name| name == "out.partial/plan.json");
    interrupt(&child);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{}", ran.stderr);
    assert_eq!(ran.stderr, "snellen: interrupted; nothing was kept\n");
    assert_eq!(home.names(), before);
}

#[test]
fn an_interrupted_exam_goes_on_to_the_same_report() {
    let home = Home::new();
    let exam = "exam --quick --no-cache --controls 1 --questions recognition,counting,units";
    let mut child = home.start(exam);
    wait(&home, &mut child, |name| name == "snellen-exam.partial/exam/run.partial/journal");
    interrupt(&child);
    // It does not first do what comes next.
    while child.try_wait().unwrap().is_none() {
        assert!(!home.names().iter().any(|name| name.contains("report.json")), "after Ctrl-C");
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{}", ran.stderr);
    let said = "snellen: interrupted; what it found so far is in snellen-exam.partial; go on with --resume\n";
    assert!(ran.stderr.ends_with(said), "{}", ran.stderr);
    let parts: Vec<String> = home.names().into_iter().filter(|name| name.contains("/parts/")).collect();
    assert_eq!(parts, ["counting", "recognition"].map(|id| format!("snellen-exam.partial/parts/question-{id}.json")));
    let named = format!("{exam} --out snellen-exam");
    home.refuse(&named, &["snellen-exam.partial: expected no unfinished exam", "--resume"]);
    home.refuse(&format!("{exam} --resume --seed 1"), &["snellen-exam.partial/plan.json: `seed`: expected 0, got 1"]);
    home.refuse(
        &format!("{exam} --resume --dtype bf16"),
        &["snellen-exam.partial/plan.json: `dtype`: expected \"f32\""],
    );
    home.refuse(&format!("{exam} --resume --out other"), &["other.partial: expected an unfinished exam", "none"]);
    // A part that was changed since is made anew, and a claim of a process that was killed goes.
    let part = home.path("snellen-exam.partial/parts/question-recognition.json");
    fs::write(&part, fs::read_to_string(&part).unwrap().replace("\"score\":0.0", "\"score\":1.0")).unwrap();
    fs::write(home.path("snellen-exam.partial/exam/.scenes.claim"), "").unwrap();
    // The first free name is the next one.
    home.succeed(exam);
    assert!(home.path("snellen-exam-2/report.json").is_file() && !home.path("snellen-exam").exists());
    home.succeed(&format!("{exam} --resume"));
    assert!(!home.names().iter().any(|name| name.contains(".partial")), "{:?}", home.names());
    assert_same_files(&home.path("snellen-exam"), &home.path("snellen-exam-2"));
    home.refuse(&format!("{exam} --resume"), &["snellen-exam.partial: expected an unfinished exam"]);
}

/// What is refused when it is to go on loses nothing of it.
#[test]
fn an_exam_of_other_pictures_is_not_gone_on_with() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    home.succeed("scenes --kind toy --count 40 --size 32 --out scenes");
    let exam =
        "exam --model model --images scenes --quick --no-cache --controls 1 --questions pictures,units --out out";
    home.succeed(exam);
    fs::rename(home.path("out"), home.path("undisturbed")).unwrap();
    let mut child = home.start(exam);
    wait(&home, &mut child, |name| name == "out.partial/parts/question-pictures.json");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!home.path("out").exists());
    // Left by the kill; it goes with whoever comes next.
    fs::remove_file(home.path(".out.claim")).unwrap();
    // As what was being written is; what is refused leaves that too.
    fs::write(home.path("out.partial/exam/.concepts.parquet.partial-a1B2c3"), "PAR1").unwrap();
    let resume = format!("{exam} --resume");
    for file in ["images/000005.png", "captions.csv"] {
        let (path, other) = (home.path(&format!("scenes/{file}")), home.path("scenes/images/000007.png"));
        let own = fs::read(&path).unwrap();
        let changed = if file.starts_with("images") { fs::read(other).unwrap() } else { [&own[..], b"\n"].concat() };
        fs::write(&path, changed).unwrap();
        home.refuse(&resume, &["out.partial/plan.json: `images.files_hash`: expected"]);
        fs::write(&path, own).unwrap();
    }
    home.succeed(&resume);
    assert_same_files(&home.path("out"), &home.path("undisturbed"));
}

#[test]
fn an_interrupted_recording_goes_on_to_the_same_run() {
    let home = Home::new();
    home.succeed("scenes --kind toy --count 400 --out scenes");
    copy_fixture("quick_gelu", &home.path("model"));
    let record = "record --model model --images scenes --sites * --tokens all";
    let mut child = home.start(&format!("{record} --batch 1 --out run"));
    wait(&home, &mut child, |name| name == "run.partial/journal");
    interrupt(&child);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("snellen: interrupted; "), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(" of 400 images are in run.partial; go on with --resume\n"), "{}", ran.stderr);
    assert!(!home.path("run").exists());
    home.refuse(&format!("{record} --out run"), &["run.partial: expected no unfinished recording", "--resume"]);
    home.refuse(
        &format!("{record} --seed 1 --out run --resume"),
        &["run.partial/plan.json: `seed`: expected 0, got 1"],
    );
    home.succeed(&format!("{record} --out run --resume"));
    home.succeed(&format!("{record} --out undisturbed"));
    assert_same_files(&home.path("run"), &home.path("undisturbed"));
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_model() {
    let home = Home::new();
    fs::write(home.path("recipe.toml"), include_str!("tiny.toml")).unwrap();
    let mut child = home.start("lab train --recipe recipe.toml --seed 3 --out model");
    wait(&home, &mut child, |name| name == "model/training.safetensors");
    interrupt(&child);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{}", ran.stderr);
    let last = ran.stderr.lines().last().unwrap();
    assert_eq!(last, "snellen: interrupted; training up to the last evaluation is in model; go on with --resume");
    assert!(!home.path("model/model.safetensors").exists());

    home.refuse("lab train --recipe recipe.toml --seed 3 --out model", &["model: expected", "an existing one"]);
    home.refuse(
        "lab train --recipe recipe.toml --seed 4 --out model --resume",
        &["model: expected", "this recipe and seed"],
    );
    let resumed = home.run("lab train --recipe recipe.toml --seed 3 --out model --resume --json");
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(!resumed.stderr.contains("step    10 ") && resumed.stderr.contains("step    60 "), "{}", resumed.stderr);
    let evaluation: serde_json::Value = serde_json::from_str(&resumed.stdout).unwrap();
    assert_eq!(evaluation["step"], 60);
    let undisturbed = home.run("lab train --recipe recipe.toml --seed 3 --out undisturbed --json");
    assert_eq!((undisturbed.code, &undisturbed.stdout), (Some(0), &resumed.stdout));
    assert_same_files(&home.path("model"), &home.path("undisturbed"));
    let again = home.run("lab train --recipe recipe.toml --seed 3 --out model --resume --json");
    assert_eq!((again.code, &again.stdout), (Some(0), &resumed.stdout), "{}", again.stderr);
    assert_same_files(&home.path("model"), &home.path("undisturbed"));
    home.refuse(
        "lab train --recipe recipe.toml --seed 4 --out model --resume",
        &["model: expected a run of this recipe and seed to resume", "a finished one of another"],
    );
}
