//! Examinees with one failure each, made by formula: the verdict has to name it.

use crate::oracles::{Oracle, Seen, bag, bound, by_heart};
use snellen::exam::{ExamConfig, Examinee, Shows, examine};
use snellen::report::verdict::{CellAnswer, Failure, Verdict};
use snellen::scene::World;

/// Which shapes and colours; which with which, in two places; two signs.
const ROOM: usize = 11 + 30 + 30 + 2;

fn parts(bag: Vec<f32>, first: Vec<f32>, second: Vec<f32>, signs: [f32; 2]) -> Vec<f32> {
    let row = [bag, first, second, signs.to_vec()].concat();
    assert_eq!(row.len(), ROOM);
    row
}

fn none() -> Vec<f32> {
    vec![0.0; 30]
}

fn whole(world: &World, seen: &[Seen]) -> Vec<f32> {
    parts(bag(world, seen), bound(world, seen), none(), [0.0; 2])
}

fn loose(world: &World, seen: &[Seen]) -> Vec<f32> {
    parts(bag(world, seen), none(), none(), [0.0; 2])
}

/// Bindings where nobody looks for them.
fn elsewhere(world: &World, seen: &[Seen]) -> Vec<f32> {
    parts(bag(world, seen), none(), bound(world, seen), [0.0; 2])
}

/// The binding is the product of two signs.
fn product(world: &World, seen: &[Seen]) -> Vec<f32> {
    let mut signs = [0.0; 2];
    // Objects come by colour.
    if let [a, b] = seen {
        let sign = |yes: bool| if yes { 1.0 } else { -1.0 };
        // Which way round the second sign is to be read, no colour tells.
        let first = sign((a[0] + b[0]) % 2 == 0);
        signs = [first, first * sign(a[0] < b[0])];
    }
    parts(bag(world, seen), none(), none(), signs)
}

/// No shapes.
fn shapeless(world: &World, seen: &[Seen]) -> Vec<f32> {
    let mut row = bag(world, seen);
    row[..5].fill(0.0);
    parts(row, none(), none(), [0.0; 2])
}

fn verdict(examinee: &dyn Examinee, seed: u64) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let standard = ExamConfig::standard(seed).unwrap();
    let config = ExamConfig {
        twins: 20,
        repeats: 2,
        world: Some(World::toy()),
        verdict: Some(Shows { single: 300, twins: 260, most: 480 }),
        cause: None,
        ..standard
    };
    let report = examine(examinee, "oracle", None, &config, &folder.path().join("exam"), &()).unwrap();
    let page = std::fs::read_to_string(folder.path().join("exam/report.html")).unwrap();
    assert!(page.contains("used by the match") && page.contains(&report.verdict.as_ref().unwrap().sentence[..20]));
    report.verdict.unwrap()
}

#[test]
fn every_failure_that_is_planted_is_named() {
    let cases: [(&str, Oracle, Option<Failure>); 6] = [
        ("healthy", Oracle::of(whole, whole), None),
        ("no shapes in the image", Oracle::of(shapeless, whole), Some(Failure::NotSeen)),
        ("no binding in the image", Oracle::of(loose, whole), Some(Failure::Absent)),
        ("a product in the image", Oracle::of(product, whole), Some(Failure::Entangled)),
        ("no binding in the text", Oracle::of(whole, loose), Some(Failure::Text)),
        ("bindings in two places", Oracle::of(whole, elsewhere), Some(Failure::Mismatched)),
    ];
    for (name, oracle, failure) in cases {
        let found = verdict(&oracle, 4);
        assert_eq!(found.failure, failure, "{name}: {found:#?}");
        let contents: Vec<&str> = found.rows.iter().map(|row| row.content.as_str()).collect();
        assert_eq!(contents, ["shape", "color", "shape x color"]);
        // Of a binding whose attribute fails nothing is asked.
        let asked = found.rows[2].cells.image_contained.answer != CellAnswer::NotAsked;
        assert_eq!(asked, failure != Some(Failure::NotSeen), "{name}");
    }
}

#[test]
fn one_that_learnt_by_heart_is_told_without_its_list() {
    let found = verdict(&Oracle::of(by_heart, by_heart), 4);
    assert_eq!(found.failure, Some(Failure::Memorised), "{found:#?}");
    assert!(found.rows.iter().all(|row| row.cells.matched.answer == CellAnswer::Yes), "{found:#?}");
}
