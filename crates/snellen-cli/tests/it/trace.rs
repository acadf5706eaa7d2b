//! `snellen trace`: what it prints and writes, and what it refuses.

use crate::program::{Home, copy_fixture};
use std::fs;

fn home() -> Home {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    home
}

#[test]
fn a_map_is_printed_and_written() {
    let home = home();
    let small = "trace --model model --twins 24 --tower both --seed 3";
    let said = home.succeed(&format!("{small} --out map"));
    let written = ["map/trace.json", "map/trace.parquet", "map/trace.svg"];
    assert!(written.iter().all(|file| home.names().iter().any(|name| name == file)), "{:?}", home.names());
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("vision tower, 24 twins of the world `hard`: clean values into the corrupt twin"),
        "{said}"
    );
    assert!(lines.iter().any(|line| line.starts_with("text tower, ")), "{said}");
    for part in ["resid_post", "attn_out", "mlp_out"] {
        assert_eq!(lines.iter().filter(|line| **line == part).count(), 2, "{said}");
    }
    // Two layers, of which nothing but the class token counts behind the last.
    assert!(lines.iter().any(|line| line.split_whitespace().filter(|cell| *cell == "x").count() == 3), "{said}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80 || line.contains("left out")), "{said}");
    let svg = fs::read_to_string(home.path("map/trace.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("heads, object:1") && svg.contains("cannot matter"), "{svg}");
    let json = fs::read_to_string(home.path("map/trace.json")).unwrap();
    // The same again, on any number of threads, whatever is printed.
    assert_eq!(json.trim_end(), home.succeed(&format!("{small} --json --threads 1")).trim_end());
    let towers: serde_json::Value = serde_json::from_str(&json).unwrap();
    let entries = towers[0]["entries"].as_array().unwrap();
    // Two layers; three parts and four heads; class, two objects, background and all.
    assert_eq!(entries.len(), 2 * (3 + 4) * 5);
    for entry in entries {
        assert_eq!(entry["effect"].is_null(), !entry["note"].is_null(), "{entry}");
        assert_eq!(entry["effect"].is_null(), entry["null"].is_null(), "no effect without its null: {entry}");
    }
}

#[test]
fn parts_tokens_and_nulls_are_as_asked() {
    let home = home();
    let json = home.succeed(
        "trace --model model --twins 6 --nulls 3 --parts heads,mlp_out --tokens class,patches --direction noise --json",
    );
    let towers: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(towers[0]["direction"], "noise");
    assert_eq!(towers[0]["entries"].as_array().unwrap().len(), 2 * 5 * 2);
    // Of two towers each has its own.
    let json = home.succeed(
        "trace --model model --twins 24 --seed 3 --nulls 0 --parts mlp_out --tower both --tokens class,end,object:0 --json",
    );
    let towers: serde_json::Value = serde_json::from_str(&json).unwrap();
    let groups = |tower: usize| {
        let entries = towers[tower]["entries"].as_array().unwrap().iter();
        entries.filter(|entry| entry["layer"] == 0).map(|entry| entry["group"].clone()).collect::<Vec<_>>()
    };
    assert_eq!([groups(0), groups(1)], [["class", "object:0"], ["end", "object:0"]]);
}

#[test]
fn units_are_screened_and_some_patched() {
    let home = home();
    let said = home.succeed("trace --model model --twins 8 --units 5 --out units");
    // Two layers of 48 units, and of four heads.
    assert!(said.contains("hidden units: 96 screened, 5 strongest and 5 others patched"), "{said}");
    assert!(said.contains("queries and keys of heads: 16 screened, 5 strongest and 5 others patched"), "{said}");
    assert!(said.contains("with 95 % confidence at most 45.1 % of the 91 others exceed"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    let json = fs::read_to_string(home.path("units/trace.json")).unwrap();
    assert_eq!(json.trim_end(), home.succeed("trace --model model --twins 8 --units 5 --json").trim_end());
    let towers: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(towers[0]["families"][0]["exact"].as_array().unwrap().len(), 10);
    assert!(fs::read(home.path("units/units.parquet")).unwrap().starts_with(b"PAR1"));
    let all = home.succeed("trace --model model --twins 8 --units 1000 --json");
    let towers: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(towers[0]["families"][0]["missed_at_most"], 0.0);
    assert_eq!(towers[0]["families"][0]["exact"].as_array().unwrap().len(), 96);
}

#[test]
fn what_is_not_there_is_refused() {
    let home = home();
    let says = |args: &str, code: i32, said: &str| {
        let ran = home.run(&format!("trace --model model --twins 24 {args}"));
        assert_eq!(ran.code, Some(code), "{args}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{args}: {}", ran.stderr);
    };
    says("--tokens registers", 3, "registers");
    says("--tokens object:2", 3, "object:2");
    says("--tokens class --tower text --seed 3", 3, "text tower");
    says("--parts resid", 2, "resid_post, attn_out");
    says("--units 0", 2, "0");
    says("--units --parts heads", 2, "--parts");
    says("--tokens object:01", 2, "object:01");
    says("--world nowhere", 3, "nowhere");
    says("--confidence 2", 3, "confidence");
    says("--seed 0 --nulls x", 2, "x");
    fs::create_dir(home.path("there")).unwrap();
    says("--out there", 3, "there");
}
