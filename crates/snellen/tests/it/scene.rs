//! Scenes: made, drawn, masked, said, written and read.

mod caption;
mod controls;
mod draw;
mod foils;
mod folder;
mod free;
mod generate;
mod labels;
mod stable;
mod study;
mod world;

use snellen::scene::{Look, Object, Said, Scene, World, WorldFactor};

/// The factors of the study's world, by index.
const SHAPE: usize = 0;
const COLOR: usize = 1;
const POSITION: usize = 2;

/// Five shapes, six colours, a 3 x 3 grid of places, sizes and jitter.
fn grid_world() -> World {
    let place = |k: usize| [(0.5 + (k % 3) as f64) / 3.0, (0.5 + (k / 3) as f64) / 3.0];
    let places = (0..9).map(|k| (format!("p{k}"), Look::Place(place(k))));
    let mut world = World { size: [0.15, 0.25], jitter: 0.04, ..World::study() };
    world.factors[POSITION] = WorldFactor::new("position", Said::No, places);
    world
}

/// `world` with `count` colours called `c0`, `c1`, ...
fn with_colors(mut world: World, count: usize) -> World {
    let colors = (0..count).map(|k| (format!("c{k}"), Look::Paint([k as u8, 90, 200])));
    world.factors[COLOR] = WorldFactor::new("color", Said::Adjective, colors);
    world
}

/// An object of the study's world.
fn object([shape, color, position]: [u32; 3], x: f64, y: f64, size: f64) -> Object {
    Object { values: vec![shape, color, position], x, y, size }
}

/// A scene of one object in the middle.
fn alone(shape: u32, size: f64) -> Scene {
    Scene::from(vec![object([shape, 0, 0], 0.5, 0.5, size)])
}
