//! `snellen intervene`: what it prints, writes and refuses.

use crate::program::{Home, copy_fixture};
use serde_json::Value;

/// Of the bundled model, with little to compute.
const LITTLE: &str = "intervene --twins 8 --draws 19 --seed 3";

#[test]
fn an_edit_stands_beside_random_sets() {
    let home = Home::new();
    let said =
        home.succeed(&format!("{LITTLE} --site blocks.3.mlp.hook_post --tokens class --units top:6 --out cause"));
    for part in
        ["blocks.3.mlp.hook_post tokens=class units=top:6 mean", "8 twins, 19 random sets", "clean swap", "attribute:"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(home.path("cause/cause.parquet").is_file());
    let json: Value = serde_json::from_slice(&std::fs::read(home.path("cause/cause.json")).unwrap()).unwrap();
    let printed: Value = serde_json::from_str(
        &home.succeed(&format!("{LITTLE} --site blocks.3.mlp.hook_post --tokens class --units top:6 --json")),
    )
    .unwrap();
    assert_eq!(json, printed);
    // The same at any number of threads.
    let one = home
        .succeed(&format!("{LITTLE} --threads 1 --site blocks.3.mlp.hook_post --tokens class --units top:6 --json"));
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), printed);
    let effects = json["effects"].as_array().unwrap();
    let shown = effects.len() + 3 * json["left_out"].as_array().unwrap().len();
    // The whole set and its first 1, 2 and 5 units, each of three targets.
    assert_eq!(shown, 12, "{json}");
    for effect in effects {
        assert_eq!(effect["null"]["draws"], 19);
        assert!(effect["p"].as_f64().unwrap() >= 0.05 && effect["changed"].as_u64().unwrap() > 0);
        assert!(effect["q"].as_f64().unwrap() + 1e-12 >= effect["p"].as_f64().unwrap());
    }
    home.refuse(&format!("{LITTLE} --site blocks.3.mlp.hook_post --units 1 --out cause"), &["cause", "does not exist"]);
}

#[test]
fn patches_say_what_they_restore() {
    let home = Home::new();
    let said = home.succeed(&format!(
        "{LITTLE} --site text.blocks.1.hook_resid_post --tokens end --units top:20 --edit patch --whole"
    ));
    assert!(said.contains("denoising") || said.contains("nothing to restore"), "{said}");
}

#[test]
fn what_can_not_be_edited_is_refused() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    let little = |rest: &str| format!("{LITTLE} {rest}");
    let cases: [(&str, &[&str]); 8] = [
        // Behind the last attention only the class token is read.
        (
            "--site blocks.3.mlp.hook_post --units top:6 --tokens object:0 --edit zero",
            &["top:6", "nor any random set reaches an embedding"],
        ),
        ("--site blocks.9.mlp.hook_post --units 1", &["blocks.9.mlp.hook_post", "none of its sites"]),
        ("--site blocks.0.mlp.hook_post --units 1,999", &["indices below 384", "999"]),
        ("--site blocks.0.mlp.hook_post --units 1 --tokens object:7", &["object:7", "2 objects", "twin 0"]),
        ("--site blocks.0.mlp.hook_post --units 1 --tokens registers", &["registers", "none"]),
        (
            "--site blocks.0.mlp.hook_post --units all --edit zero --whole",
            &["something to stand beside", "384 of 384 have too few units like them"],
        ),
        ("--site blocks.0.mlp.hook_post --units shared:color=mauve,shape=circle", &["color=mauve", "concepts among"]),
        ("--site blocks.0.mlp.hook_post --units file:none.txt", &["none.txt"]),
    ];
    for (rest, said) in cases {
        home.refuse(&little(rest), said);
    }
}

#[test]
fn recordings_say_under_which_edits_they_were_made() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    let record = "record --model model --scenes swap --count 2 --sites blocks.1.mlp.hook_post,image_embeds --out run";
    let edit = "blocks.0.mlp.hook_post units=1,2 zero";
    let ran = home.command(record).args(["--edit", edit]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() && said.contains("edited: blocks.0.mlp.hook_post tokens=all units=1,2 zero"),
        "{said}"
    );
    let run: Value = serde_json::from_slice(&std::fs::read(home.path("run/run.json")).unwrap()).unwrap();
    assert_eq!(run["model"]["edits"][0]["edit"], "blocks.0.mlp.hook_post tokens=all units=1,2 zero");
    // The same once more changes nothing.
    let again = record.replace("--out run", "--out again");
    let ran = home.command(&again).args(["--edit", edit, "--edit", edit]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(3) && said.contains("an edit that changes values"), "{said}");
    let ran = home.command(&again).args(["--edit", "blocks.0.mlp.hook_post units=1,2 zeros"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
}
