//! Recording as a user does it: killed and gone on with, in parts, from every kind of input, in fixed memory.

use crate::program::{Home, Ran, assert_same_files, copy, files};
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// The bundled model in `model`.
fn home() -> Home {
    let home = Home::new();
    copy("../models/toy", &home.path("model"), &[]);
    home
}

/// Shards of 32 images.
const RECORD: &str = "record --model model --scenes toy --count 150 --seed 3 --batch 4 --tokens all";

/// Waits for `child` until it ends or `limit` has passed; whether it ended.
fn ended(child: &mut Child, limit: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

#[test]
fn a_killed_recording_goes_on_to_the_same_bytes() {
    let home = home();
    let begun = Instant::now();
    home.succeed(&format!("{RECORD} --out whole"));
    let whole = begun.elapsed();
    let expected = files(&home.path("whole"));
    let partial = home.path("run.partial");
    let (mut killed, mut kept, mut finished) = (0, 0, 0);
    // Shares of the whole time: early, in between and late; then it ends, or is gone on with.
    for moment in [0.1, 0.3, 0.05, 0.5, 0.2, 0.02, 0.4, 0.15, 0.6, 0.25].iter().cycle().take(40) {
        if killed >= 6 && kept >= 2 && finished >= 1 && !partial.exists() {
            break;
        }
        let resume = if partial.exists() { "--resume" } else { "" };
        let mut child = home.start(&format!("{RECORD} --out run {resume}"));
        if ended(&mut child, whole.mul_f64(*moment)) {
            let ran = Ran::from(child.wait_with_output().unwrap());
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            assert!(files(&home.path("run")) == expected, "not the same bytes after {killed} interruptions");
            assert!(!partial.exists());
            fs::remove_dir_all(home.path("run")).unwrap();
            finished += 1;
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        if home.path("run").exists() {
            assert!(files(&home.path("run")) == expected, "the run appears whole");
            if !partial.exists() {
                fs::remove_dir_all(home.path("run")).unwrap();
            }
        }
        kept += usize::from(partial.join("run/activations.zarr/blocks.3.mlp.hook_post/all/c/0/0/0").exists());
    }
    assert!(killed >= 4 && kept >= 1, "killed {killed} times, {kept} of them with shards to go on from");
    if partial.exists() {
        home.succeed(&format!("{RECORD} --out run --resume"));
        assert!(files(&home.path("run")) == expected, "not the same bytes after {killed} interruptions");
    }
}

/// The journal has place in 64 kilobytes, a shard has not.
#[test]
fn a_recording_that_finds_no_place_says_where_and_goes_on_later() {
    let home = home();
    home.succeed(&format!("{RECORD} --out whole"));
    let ran = Ran::from(home.cramped(128, &format!("{RECORD} --out run")).output().unwrap());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    for part in ["snellen: run.partial/run/activations.zarr/", "os error 27", "go on with --resume"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert!(!home.path("run").exists() && home.path("run.partial").exists());
    home.succeed(&format!("{RECORD} --out run --resume"));
    assert!(files(&home.path("run")) == files(&home.path("whole")), "not the same bytes as with enough place");
}

#[test]
fn what_an_unfinished_recording_needs_is_said() {
    let home = home();
    let record = "record --model model --scenes toy --count 3 --out run";
    home.refuse(&format!("{record} --resume"), &["run.partial: expected an unfinished recording", "got none"]);
    fs::create_dir(home.path("run.partial")).unwrap();
    home.refuse(record, &["run.partial: expected no unfinished recording", "--resume", "remove it to start anew"]);
    home.succeed(&format!("{record} --resume"));
    home.refuse(record, &["run: expected a path that does not exist yet"]);
}

#[test]
fn shards_merge_to_the_same_bytes() {
    let home = home();
    let record = "record --model model --scenes swap --count 7 --seed 2 --tokens mean,object --batch 4";
    home.succeed(&format!("{record} --out whole"));
    for part in 1..=3 {
        let said = home.succeed(&format!("{record} --shard {part}/3 --out part-{part}"));
        assert_eq!(said, format!("{} images, 9 arrays in part-{part} (part {part}/3)\n", [4, 5, 5][part - 1]));
    }
    home.refuse("merge part-1 part-3 --out run", &["expected all 3", "no part 2/3"]);
    assert_eq!(home.succeed("merge part-2 part-3 part-1 --out run"), "14 images, 9 arrays in run\n");
    assert_same_files(&home.path("whole"), &home.path("run"));
    home.refuse("merge whole --out other", &["whole/run.json: `part`: expected a part of a run"]);
    home.refuse("measure --run part-1", &["expected", "got"]);
    home.succeed("measure --run run");
}

#[test]
fn scenes_need_not_be_drawn_to_disk() {
    let home = home();
    home.succeed("scenes --kind factorial --size 56 --seed 4 --out scenes");
    home.succeed("record --model model --images scenes --seed 4 --out from-folder");
    home.succeed("record --model model --scenes factorial --seed 4 --out from-scenes");
    let activations = |run: &str| files(&home.path(&format!("{run}/activations.zarr")));
    assert_eq!(activations("from-folder"), activations("from-scenes"));
    let labels = |run: &str| fs::read(home.path(run).join("labels.csv")).unwrap();
    assert_eq!(labels("from-folder"), labels("from-scenes"));
    home.succeed("measure --run from-scenes");
    let home_of = |says: &str, args: &str| {
        let ran = home.run(&format!("record --model model --out other {args}"));
        assert_eq!(ran.code, Some(2), "{args}");
        assert!(ran.stderr.contains(says), "{args}: {}", ran.stderr);
    };
    home_of("--images <PATH>", "");
    home_of("cannot be used with", "--images scenes --scenes toy");
    home_of("cannot be used with", "--images scenes --count 3");
    home_of("two numbers, as in 2/5", "--images scenes --shard 3");
    home.refuse("record --model model --images scenes --out other --shard 1/200", &["part 1/200", "150 images"]);
    home.refuse(
        "record --model model --images model/config.json --out other",
        &["config.json", "a .tar file or a .parquet file"],
    );
}

/// The most memory that recording `count` scenes took, in kilobytes. Shards have 2048 rows: what it takes to write one is known
/// after two.
fn peak(home: &Home, count: usize) -> u64 {
    let out = format!("run-{count}");
    let args = format!(
        "--threads 2 record --model model --scenes toy --count {count} --batch 8 --sites blocks.0.mlp.hook_post --tokens mean,max --out {out}"
    );
    let most = home.peak(&args);
    fs::remove_dir_all(home.path(&out)).unwrap();
    most
}

#[test]
fn memory_does_not_grow_with_the_images() {
    if !Path::new("/proc/self/status").exists() {
        eprintln!("SKIPPED memory_does_not_grow_with_the_images: there is no /proc that tells the peak of a process");
        return;
    }
    let home = home();
    let (few, many) = (peak(&home, 4_400), peak(&home, 13_200));
    eprintln!("peak of 4,400 scenes {few} kB, of 13,200 {many} kB");
    assert!(few > 10_000, "{few} kB is less than the weights");
    assert!(many < few + 6_000, "{few} kB for 4,400 scenes, {many} kB for 13,200");
}
