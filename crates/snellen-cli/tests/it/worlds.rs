//! Worlds as files: listed, printed, changed, refused.

use crate::program::{Home, copy_fixture};
use serde_json::Value;
use std::fmt::Write;
use std::fs;

#[test]
fn worlds_are_listed_printed_and_drawn() {
    let home = Home::new();
    let listed = home.succeed("scenes worlds");
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.starts_with(&["study", "toy", "hard"]), "{listed}");
    for name in &names {
        fs::write(home.path("mine.toml"), home.succeed(&format!("scenes worlds {name}"))).unwrap();
        for (world, out) in [(*name, "named"), ("mine.toml", "mine")] {
            home.succeed(&format!("scenes --kind swap --count 3 --size 40 --world {world} --out {out}"));
        }
        let drawn = |out: &str| fs::read(home.path(out).join("scenes.json")).unwrap();
        assert_eq!(drawn("named"), drawn("mine"), "{name}");
        ["named", "mine"].iter().for_each(|out| fs::remove_dir_all(home.path(out)).unwrap());
    }
    // Without a name it is what it has always been.
    home.succeed("scenes --kind toy --count 5 --size 40 --out old");
    home.succeed("scenes --kind toy --count 5 --size 40 --world toy --out new");
    assert_eq!(fs::read(home.path("old/scenes.json")).unwrap(), fs::read(home.path("new/scenes.json")).unwrap());
    home.succeed("scenes --kind toy --count 5 --size 40 --world hard --out hard");
    let labels = fs::read_to_string(home.path("hard/labels.csv")).unwrap();
    assert!(
        labels.starts_with("filename,shape_0,color_0,shape_1,color_1,") && !labels.contains("position"),
        "{labels}"
    );
    home.refuse("scenes worlds hardest", &["world: expected one of study, toy, hard", "got `hardest`"]);
}

#[test]
fn relations_are_drawn_and_said() {
    let home = Home::new();
    home.succeed("scenes --kind left-of --count 4 --size 40 --world hard --out beside");
    let captions = fs::read_to_string(home.path("beside/captions.csv")).unwrap();
    let said: Vec<_> = captions.lines().skip(1).filter_map(|line| line.split_once(',')).map(|(_, said)| said).collect();
    assert!(said.len() == 8 && said.iter().all(|said| said.contains(" left of a")), "{captions}");
    let turned = said[0].split_once(" left of ").map(|(a, b)| format!("{b} left of {a}"));
    assert_eq!(turned.as_deref(), Some(said[1]), "the twin is the mirror image");
    home.refuse("scenes --kind above --out x", &["world: free: expected free places for two objects, for relations"]);
}

#[test]
fn a_world_of_ones_own_is_recorded_and_examined() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    let toml = home.succeed("scenes worlds hard");
    fs::write(
        home.path("mine.toml"),
        toml.replace("name = \"pink\", paint = [255, 192, 203]", "name = \"navy\", paint = [9, 9, 99]"),
    )
    .unwrap();
    home.succeed("record --model model --scenes toy --count 12 --world mine.toml --sites image_embeds --out run");
    let run: Value = serde_json::from_slice(&fs::read(home.path("run/run.json")).unwrap()).unwrap();
    assert_eq!(run["images"]["scenes"]["world"]["free"]["objects"], 5);
    let labels = fs::read_to_string(home.path("run/labels.csv")).unwrap();
    assert!(labels.contains("navy") && !labels.contains("pink"), "{labels}");
    let exam: Value =
        serde_json::from_str(&home.succeed("exam --quick --model model --world mine.toml --out exam --json")).unwrap();
    let rates = exam["questions"][0]["rates"].as_array().unwrap();
    let chances: Vec<_> = rates.iter().map(|rate| rate["chance"].as_f64().unwrap()).collect();
    assert!((chances[0] - 0.2).abs() < 1e-12 && (chances[2] - 1.0 / 30.0).abs() < 1e-12, "{chances:?}");
    let drawn = fs::read_to_string(home.path("exam/scenes/scenes.json")).unwrap();
    assert!(drawn.contains("navy") && drawn.contains("\"free\""));
}

#[test]
fn a_world_that_is_none_is_refused_by_file_key_and_value() {
    let home = Home::new();
    let hard = home.succeed("scenes worlds hard");
    let refuse = |text: &[u8], says: &[&str]| {
        fs::write(home.path("my.toml"), text).unwrap();
        home.refuse("scenes --kind toy --world my.toml --out x", says);
        home.refuse("record --model nowhere --scenes toy --world my.toml --out x", says);
        home.refuse("exam --quick --model nowhere --world my.toml --out x", says);
    };
    let changed = |from: &str, to: &str, says: &[&str]| {
        assert_eq!(hard.matches(from).count(), 1, "{from}");
        refuse(hard.replace(from, to).as_bytes(), says);
    };
    changed("size = [0.14, 0.24]", "size = [0.14, nan]", &["my.toml: world: size: expected", "got [0.14, NaN]"]);
    changed("size = [0.14, 0.24]", "size = [0.14]", &["my.toml:4, key `size`: invalid length 1"]);
    changed("size = [0.14, 0.24]", "", &["my.toml:", "missing field `size`"]);
    changed("objects = 5", "objects = 50", &["my.toml: world: free.objects: expected at most 9", "got 50"]);
    changed("objects = 5", "objects = -5", &["my.toml:10, key `objects`: invalid value: integer `-5`, expected usize"]);
    changed("objects = 5", "objects = 99999999999999999999", &["my.toml:10"]);
    changed("gap = 0.02", "gap = \"wide\"", &["my.toml:10, key `gap`: invalid type: string \"wide\", expected f64"]);
    changed("gap = 0.02", "distance = 0.02", &["my.toml:10: unknown field `distance`, expected `objects` or `gap`"]);
    changed(
        "equal_areas = true",
        "jitter = 0.1",
        &["my.toml: world: jitter: expected 0, since places are free, got 0.1"],
    );
    changed("paint = [255, 0, 0]", "paint = [256, 0, 0]", &["my.toml:", "key `paint`", "integer `256`, expected u8"]);
    changed("paint = [255, 0, 0]", "paint = [0, 0, 255]", &["my.toml: world: color[2].paint", "which is `red` too"]);
    changed("outline = \"square\"", "outline = \"star\"", &["my.toml:", "key `outline`: unknown variant `star`"]);
    changed("name = \"color\"", "name = \"c=d\"", &["my.toml: world: factors[1].name", "without `=`"]);
    changed("{ name = \"red\",", "{ name = \" red\",", &["my.toml: world: color[0]", "without blanks", "\" red\""]);
    changed("said = \"noun\"", "said = \"verb\"", &["my.toml:", "key `said`: unknown variant `verb`"]);
    let long = "x".repeat(2000);
    changed(
        "{ name = \"red\",",
        &format!("{{ name = \"{long}\","),
        &["my.toml: world: color[0]: expected at most 1024 bytes"],
    );
    let mut many = String::new();
    (0..5000).for_each(|k| write!(many, "{{ name = \"c{k}\", paint = [{}, {}, 7] }},", k % 256, k / 256).unwrap());
    changed(
        "values = [\n    { name = \"red\",",
        &format!("values = [{many}{{ name = \"red\","),
        &["my.toml: world: color: expected at most 1000 values, got 5006"],
    );
    refuse(b"", &["my.toml:1: missing field"]);
    refuse(b"size = [0.1, 0.2]\nfactors = []", &["my.toml: world: factors: expected 1 to 16, got 0"]);
    refuse(b"size = [0.1, 0.2]\nsize = [0.1, 0.2]", &["my.toml:2", "duplicate key"]);
    refuse(b"\xff\xfe", &["my.toml: expected TOML, which is UTF-8, got byte 0 that is not"]);
    refuse("[".repeat(100_000).as_bytes(), &["my.toml:1"]);
    refuse(format!("size = {}", "[".repeat(100_000)).as_bytes(), &["my.toml:1"]);
    refuse(&vec![b'#'; (1 << 24) + 1], &["my.toml: expected a world of at most 16777216 bytes, got more"]);
    home.refuse(
        "scenes --kind toy --world nowhere.toml --out x",
        &["world: expected a TOML file, or one of: study, toy, hard", "got `nowhere.toml`"],
    );
    let both = home.run("scenes --kind toy --world hard --study --out x");
    assert_eq!(both.code, Some(2), "{}", both.stderr);
    assert!(!home.path("x").exists());
}
