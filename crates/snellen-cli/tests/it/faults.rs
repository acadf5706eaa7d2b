//! Kills, full disks and refused writes between any two writes, and programs that want the same place at once: nothing is lost, doubled
//! or mixed, and what is left over goes.
//!
//! `SNELLEN_FAULT` is for debug builds alone; elsewhere these tests are skipped, and say so. Those that are ignored do the same at every
//! point and 300 times: `cargo test -p snellen-cli --test it faults -- --ignored`.

use crate::program::{Home, Ran, copy_fixture, files};
use std::collections::BTreeMap;
use std::fs;
use std::process::Child;

type Files = BTreeMap<String, Option<Vec<u8>>>;

/// More points than any of these commands passes.
const MOST: usize = 1_000;

const RECORD: &str = "record --model model --scenes toy --count 7 --batch 2 --seed 3 --sites blocks.0.mlp.hook_post,image_embeds --out run";

/// What happens at which points: every so many.
const ALL: [(&str, usize); 3] = [("kill", 1), ("full", 1), ("refuse", 1)];

/// A tiny model in `model`.
fn home() -> Home {
    let home = Home::new();
    copy_fixture("gelu", &home.path("model"));
    home
}

fn there_are_faults(name: &str) -> bool {
    if !cfg!(debug_assertions) {
        eprintln!("SKIPPED {name}: there are faults on demand in debug builds only");
    }
    cfg!(debug_assertions)
}

/// Runs it with a fault; `None` where it passed fewer points and ended well.
fn faulty(home: &Home, fault: &str, point: usize, args: &str) -> Option<Ran> {
    let ran = Ran::from(home.command(args).env("SNELLEN_FAULT", format!("{fault}:{point}")).output().unwrap());
    if ran.code == Some(0) {
        return None;
    }
    // Killed, or said in one line what could not be written.
    let expected = if fault == "kill" { None } else { Some(1) };
    assert_eq!(ran.code, expected, "{fault}:{point}: {}", ran.stderr);
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("snellen: ")).count(), usize::from(fault != "kill"));
    assert!(!ran.stderr.contains("panicked"), "{fault}:{point}: {}", ran.stderr);
    Some(ran)
}

/// Calls `each` with every fault at its points, until there are no more.
fn everywhere(faults: [(&str, usize); 3], mut each: impl FnMut(&str, usize) -> bool) {
    for (fault, step) in faults {
        let met = (1..MOST).step_by(step).take_while(|point| each(fault, *point)).count();
        assert!(met >= (10 / step).max(1), "{fault} at {met} points only");
    }
}

/// Nothing but what has a name of its own stands in `home`.
fn assert_nothing_left(home: &Home, what: &str) {
    let left = home.names();
    let odd =
        left.iter().filter(|name| name.contains(".partial") || name.contains(".claim") || name.starts_with("tmp/"));
    assert_eq!(odd.collect::<Vec<_>>(), Vec::<&String>::new(), "{what}");
}

fn recordings(faults: [(&str, usize); 3]) {
    let home = home();
    home.succeed(RECORD);
    let whole = files(&home.path("run"));
    fs::remove_dir_all(home.path("run")).unwrap();
    everywhere(faults, |fault, point| {
        let what = format!("{fault}:{point}");
        let there = |name: &str| home.path(name).exists();
        let met = faulty(&home, fault, point, RECORD).is_some();
        if there("run") {
            assert!(files(&home.path("run")) == whole, "{what}: the run appears whole");
        }
        if there("run.partial") || there("run") {
            home.succeed(&format!("{RECORD} --resume"));
        } else {
            home.succeed(RECORD);
        }
        assert!(files(&home.path("run")) == whole, "{what}: not the same bytes");
        assert_nothing_left(&home, &what);
        fs::remove_dir_all(home.path("run")).unwrap();
        met
    });
}

fn merges(faults: [(&str, usize); 3]) {
    let home = home();
    for part in 1..=2 {
        home.succeed(&RECORD.replace("--out run", &format!("--shard {part}/2 --out part-{part}")));
    }
    let merge = "merge part-1 part-2 --out run";
    home.succeed(RECORD);
    let whole = files(&home.path("run"));
    fs::remove_dir_all(home.path("run")).unwrap();
    everywhere(faults, |fault, point| {
        let what = format!("{fault}:{point}");
        let met = faulty(&home, fault, point, merge).is_some();
        if !home.path("run").exists() {
            home.succeed(merge);
        }
        assert!(files(&home.path("run")) == whole, "{what}: the run appears whole");
        // Left over after it had appeared, it is gone when the place is taken again.
        assert_eq!(home.run(merge).code, Some(3));
        assert_nothing_left(&home, &what);
        fs::remove_dir_all(home.path("run")).unwrap();
        met
    });
}

/// The tables in `run`, and the mark.
fn tables(home: &Home) -> Files {
    let mut tables = files(&home.path("run"));
    let table = |name: &str| !name.contains('/') && name.ends_with(".parquet") && name != "images.parquet";
    tables.retain(|name, _| name == "measure.json" || table(name));
    tables
}

fn measures(faults: [(&str, usize); 3]) {
    let home = home();
    home.succeed(&RECORD.replace("--count 7", "--count 30").replace("blocks.0.mlp.hook_post,", ""));
    let measured = [1, 2].map(|seed| {
        home.succeed(&format!("measure --run run --seed {seed}"));
        tables(&home)
    });
    assert_eq!(measured[0].len(), 6);
    let mut seed = 1;
    everywhere(faults, |fault, point| {
        // What is there is of the other seed.
        seed = 3 - seed;
        let (old, new) = (&measured[2 - seed], &measured[seed - 1]);
        let what = format!("{fault}:{point}");
        home.succeed(&format!("measure --run run --seed {}", 3 - seed));
        let measure = format!("measure --run run --seed {seed}");
        let met = faulty(&home, fault, point, &measure).is_some();
        let there = tables(&home);
        let of = |all: &Files| there.iter().all(|(name, bytes)| all[name] == *bytes);
        assert!(of(old) || of(new), "{what}: tables of two measurements: {:?}", there.keys());
        assert!(
            !there.contains_key("measure.json") || there.len() == 6,
            "{what}: not all are there: {:?}",
            there.keys()
        );
        home.succeed(&measure);
        assert!(tables(&home) == *new, "{what}");
        assert_nothing_left(&home, &what);
        met
    });
}

fn trainings(faults: [(&str, usize); 3]) {
    let home = Home::new();
    let recipe = include_str!("tiny.toml")
        .replace("steps = 60", "steps = 4")
        .replace("evaluate_every = 10", "evaluate_every = 2");
    fs::write(home.path("recipe.toml"), recipe).unwrap();
    let train = "lab train --recipe recipe.toml --seed 3 --out model";
    let succeed = |args: &str| {
        let ran = home.run(args);
        assert_eq!(ran.code, Some(0), "{args}: {}", ran.stderr);
    };
    succeed(train);
    let whole = files(&home.path("model"));
    fs::remove_dir_all(home.path("model")).unwrap();
    everywhere(faults, |fault, point| {
        let what = format!("{fault}:{point}");
        let met = faulty(&home, fault, point, train).is_some();
        succeed(&if home.path("model").exists() { format!("{train} --resume") } else { train.to_owned() });
        assert!(files(&home.path("model")) == whole, "{what}: not the same bytes");
        assert_nothing_left(&home, &what);
        fs::remove_dir_all(home.path("model")).unwrap();
        met
    });
}

fn exams(faults: [(&str, usize); 3]) {
    let home = home();
    home.succeed("scenes --kind toy --count 40 --size 32 --seed 3 --out scenes");
    let exam =
        "exam --model model --images scenes --quick --no-cache --controls 1 --questions pictures,units --out exam";
    home.succeed(exam);
    let whole = files(&home.path("exam"));
    fs::remove_dir_all(home.path("exam")).unwrap();
    everywhere(faults, |fault, point| {
        let what = format!("{fault}:{point}");
        let there = |name: &str| home.path(name).exists();
        let met = faulty(&home, fault, point, exam).is_some();
        if there("exam") {
            assert!(files(&home.path("exam")) == whole, "{what}: the exam appears whole");
        }
        if there("exam.partial") {
            home.succeed(&format!("{exam} --resume"));
        } else if !there("exam") {
            home.succeed(exam);
        }
        assert!(files(&home.path("exam")) == whole, "{what}: not the same bytes");
        assert_nothing_left(&home, &what);
        fs::remove_dir_all(home.path("exam")).unwrap();
        met
    });
}

#[test]
fn a_recording_survives_what_happens_between_its_writes() {
    if there_are_faults("a_recording_survives_what_happens_between_its_writes") {
        recordings([("kill", 3), ("full", 13), ("refuse", 13)]);
    }
}

#[test]
fn a_merge_survives_what_happens_between_its_writes() {
    if there_are_faults("a_merge_survives_what_happens_between_its_writes") {
        merges([("kill", 5), ("full", 20), ("refuse", 20)]);
    }
}

#[test]
fn tables_are_of_one_measurement_whatever_happens() {
    if there_are_faults("tables_are_of_one_measurement_whatever_happens") {
        measures([("kill", 2), ("full", 8), ("refuse", 8)]);
    }
}

#[test]
fn a_training_survives_what_happens_between_its_writes() {
    if there_are_faults("a_training_survives_what_happens_between_its_writes") {
        trainings([("kill", 2), ("full", 8), ("refuse", 8)]);
    }
}

#[test]
fn an_exam_survives_what_happens_between_its_writes() {
    if there_are_faults("an_exam_survives_what_happens_between_its_writes") {
        exams([("kill", 7), ("full", 40), ("refuse", 40)]);
    }
}

#[test]
#[ignore = "minutes: everything at every point"]
fn everything_survives_what_happens_between_any_two_writes() {
    recordings(ALL);
    merges(ALL);
    measures(ALL);
    exams([("kill", 1), ("full", 5), ("refuse", 5)]);
    trainings(ALL);
}

/// Both at once; how they end.
fn race(home: &Home, args: &str) -> [Ran; 2] {
    let both: [Child; 2] = [home.start(args), home.start(args)];
    both.map(|child| Ran::from(child.wait_with_output().unwrap()))
}

/// Two recordings on one place, and two that go on with one.
fn races(times: usize) {
    let home = home();
    home.succeed(RECORD);
    let whole = files(&home.path("run"));
    fs::remove_dir_all(home.path("run")).unwrap();
    let mut refused = 0;
    for time in 0..times {
        let resume = time % 2 == 1 && cfg!(debug_assertions);
        if resume {
            faulty(&home, "kill", 12 + time % 20, RECORD);
        }
        let again = resume && (home.path("run.partial").exists() || home.path("run").exists());
        let ran = race(&home, &if again { format!("{RECORD} --resume") } else { RECORD.to_owned() });
        assert!(ran.iter().any(|ran| ran.code == Some(0)), "{ran:?}");
        for ran in ran.iter().filter(|ran| ran.code != Some(0)) {
            refused += 1;
            assert_eq!(ran.code, Some(3), "{}", ran.stderr);
            let busy = ran.stderr.starts_with("snellen: run: expected an output that no other process is writing");
            assert!(busy || ran.stderr.contains("run: expected a path that does not exist yet"), "{}", ran.stderr);
        }
        assert!(files(&home.path("run")) == whole, "not the same bytes after race {time}");
        assert_nothing_left(&home, &format!("race {time}"));
        fs::remove_dir_all(home.path("run")).unwrap();
    }
    assert!(refused > 0, "of {times} times");
}

#[test]
fn two_recordings_never_write_one_run() {
    races(12);
}

#[test]
#[ignore = "minutes: 300 races"]
fn two_recordings_never_write_one_run_300_times() {
    races(300);
}

#[test]
fn what_a_kill_left_is_swept_by_who_writes_there_next() {
    let home = Home::new();
    fs::create_dir_all(home.path(".scenes.partial-a1B2c3/images")).unwrap();
    fs::create_dir_all(home.path(".other.partial-a1B2c3")).unwrap();
    home.succeed("scenes --kind toy --count 1 --size 32 --out scenes");
    let names: Vec<_> = home.names().into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(names, [".other.partial-a1B2c3"]);
}

/// Many small pictures, one of which is cut late: what was made before it is kept, and need not be made again.
#[test]
fn a_picture_that_fails_late_costs_itself() {
    let home = home();
    home.succeed("scenes --kind toy --count 300 --size 32 --out scenes");
    let late = home.path("scenes/images/000290.png");
    let picture = fs::read(&late).unwrap();
    fs::write(&late, &picture[..picture.len() / 2]).unwrap();
    let record = "record --model model --images scenes --sites image_embeds --out";
    let ran = home.run(&format!("{record} run"));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    for part in ["000290.png", "--skip-bad", "288 of 300 images are in run.partial; go on with --resume"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let skipping = home.run(&format!("{record} run --resume --skip-bad"));
    assert_eq!(
        (skipping.code, skipping.stdout.as_str()),
        (Some(0), "299 images, 1 arrays in run\n"),
        "{}",
        skipping.stderr
    );
    fs::write(&late, picture).unwrap();
    home.succeed(&format!("{record} whole"));
}
