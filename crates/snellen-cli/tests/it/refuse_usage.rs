//! Commands that are not understood (exit code 2), and recipes.

use crate::program::Home;
use std::fs;

#[test]
fn usage_errors() {
    let home = Home::new();
    let before = home.names();
    let cases = [
        ("", "Usage: snellen"),
        ("examine", "unrecognized subcommand 'examine'"),
        ("exam --modle x", "unexpected argument '--modle'"),
        ("exam extra", "unexpected argument 'extra'"),
        ("--threads 0 exam", "invalid value '0' for '--threads <N>'"),
        ("--threads many exam", "invalid value 'many' for '--threads <N>'"),
        ("exam --seed -1", "'-1'"),
        ("exam --images x --labels none", "expected file or folders, as units are measured by labels, got `none`"),
        ("record --images x --out y", "--model <MODEL>"),
        (
            "record --model x --images x --out y --tokens eyes",
            "expected one of cls, eos, mean, mean_all, max, max_all, object, background, all, pooled, got `eyes`",
        ),
        ("record --model x --images x --out y --batch 0", "'0' for '--batch <BATCH>'"),
        ("record --model x --out y", "--images <PATH>"),
        ("record --model x --images x --out y --shard 4/3", "expected a number of 1 to 3, got 4"),
        ("merge --out x", "<PART>..."),
        ("scenes --kind toy --out x --count 0", "'0' for '--count <COUNT>'"),
        ("scenes --kind toy --out x --size 9000", "'9000' for '--size <SIZE>'"),
        ("scenes --kind maze --out x", "[possible values: toy, factorial, swap, left-of, above]"),
        ("scenes --out x", "--kind <KIND>"),
        ("scenes", "--kind <KIND>"),
        ("record --model x --images x --world hard --out y", "'--images <PATH>'"),
        ("lab", "Usage: snellen lab"),
        ("measure --run x --q much", "'much' for '--q <Q>'"),
        ("bench-engine --dtype f64", "expected f32 or bf16, got `f64`"),
        (
            "scenes --kind toy --out x --engine-level mmx",
            "expected one of portable, avx2, avx512, avx512-bf16, amx-bf16, got `mmx`",
        ),
        ("bench-engine --batch 8,0", "'0' for '--batch <BATCH>'"),
        ("bench-engine --train --model lab", "'--train' cannot be used with '--model <NAMES|DIRS>'"),
    ];
    for (args, says) in cases {
        let ran = home.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "snellen {args}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "snellen {args}: {}", ran.stderr);
    }
    assert_eq!(home.names(), before);
}

#[test]
fn recipes() {
    let home = Home::new();
    let printed = home.succeed("lab recipes toy");
    assert!(printed.contains("purpose = ") && printed.contains("[training]"), "{printed}");
    home.refuse("lab recipes other", &["recipe", "one of: toy", "`other`"]);
    let listed = home.succeed("lab recipes");
    assert!(listed.starts_with("toy "), "{listed}");
    home.refuse(
        "lab train --recipe toys --out x",
        &["recipe: expected a TOML file, or one of: toy, healthy, memoriser, got `toys`"],
    );
    let tiny = include_str!("tiny.toml");
    let refuse = |from: &str, to: &str, says: &[&str]| {
        assert_eq!(tiny.matches(from).count(), 1, "{from}");
        fs::write(home.path("my.toml"), tiny.replace(from, to)).unwrap();
        home.refuse("lab train --recipe my.toml --out x", &[&["my.toml:"], says].concat());
    };
    refuse(
        "width = 24",
        "width = \"wide\"",
        &["my.toml:6, key `width`: invalid type: string \"wide\", expected usize"],
    );
    refuse("width = 24", "wdith = 24", &["my.toml:6: unknown field `wdith`", "`width`"]);
    refuse("[training]", "[training", &["my.toml:21: unclosed table"]);
    refuse("heads = 2", "heads = 5", &["model.heads: expected a divisor of model.width, got 5"]);
    refuse("jitter = 0.0", "jitter = 0.7", &["world: jitter: expected", "got 0.7"]);
    // Found out only by training: too many combinations for this seed, too long a caption, a loss that is no number.
    let fail = |from: &str, to: &str, says: &[&str]| {
        fs::write(home.path("my.toml"), tiny.replace(from, to)).unwrap();
        home.refuse("lab train --recipe my.toml --out x", says);
    };
    fail("held_out = 10", "held_out = 30", &["held-out combinations: expected", "got 30"]);
    fail("positions = 48", "positions = 5", &["the text ", "expected at most 5 tokens, got"]);
    fail("learning_rate = 1e-3", "learning_rate = 1e30", &["training, step", "expected a finite loss"]);
    fs::write(home.path("my.toml"), b"purpose = \"\xff\"").unwrap();
    home.refuse("lab train --recipe my.toml --out x", &["my.toml: "]);
    home.refuse(
        "lab train --recipe toy --out x --resume",
        &["x: expected a run of this recipe and seed to resume, got no recipe.toml"],
    );
}
