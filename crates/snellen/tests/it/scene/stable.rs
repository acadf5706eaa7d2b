//! What was drawn once is drawn again: scenes, pictures and masks of the worlds with fixed places, as hashes of their bytes.

use snellen::random;
use snellen::scene::mask::index_mask;
use snellen::scene::{Canvas, Combinations, Scene, SceneKind, Series, World, generate, render};

/// BLAKE3 of the scenes as JSON, their world, and how they are drawn.
fn hash(world: &World, scenes: &[Scene], canvas: &Canvas) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&serde_json::to_vec(world).unwrap());
    hasher.update(&serde_json::to_vec(scenes).unwrap());
    for scene in scenes {
        hasher.update(&render(scene, world, canvas));
        hasher.update(&index_mask(scene, world, canvas));
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[test]
fn scenes_of_fixed_places_stay_what_they_were() {
    let series = |kind, world: World, canvas| {
        let series = Series::new(kind, world, canvas, 40, 7).unwrap();
        let scenes: Vec<Scene> = (0..series.len().min(80)).map(|i| series.scene(i).unwrap()).collect();
        hash(series.world(), &scenes, &canvas)
    };
    let mut found = Vec::new();
    for kind in [SceneKind::Toy, SceneKind::Factorial, SceneKind::Swap] {
        found.push(series(kind, World::toy(), Canvas::plain(64, 64)));
        found.push(series(kind, World::study(), Canvas::study()));
        found.push(series(kind, super::grid_world(), Canvas::plain(56, 56)));
    }
    let world = super::generate::wide_world();
    let all = Combinations::all(&world);
    let canvas = Canvas::plain(48, 48);
    let mut rng = random::stream(3, "training", 0);
    let drawn: Vec<Scene> = (0..40).map(|i| generate::random(&world, &all, 1 + i % 9, &mut rng).unwrap()).collect();
    found.push(hash(&world, &drawn, &canvas));
    found.push(hash(&world, &generate::toy(&world, &all, 1..=3, 40, 5).unwrap(), &canvas));
    let known = [
        "17a6c19cd0f63545",
        "fd5eea36a92395d0",
        "0950b242d2e99440",
        "278e28c0e7b0671f",
        "e2c90b3261255238",
        "ddb6724e9fc2ca23",
        "3715d84235e1b7ac",
        "56774df80a12e92e",
        "8ad807c4f3872614",
        "71c49ff75625f9e3",
        "21d4968ed7dd3dd9",
    ];
    assert_eq!(found, known);
}
