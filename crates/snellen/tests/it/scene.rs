//! Scenes: made, drawn, masked, said, written and read.

mod caption;
mod draw;
mod folder;
mod generate;
mod labels;
mod study;
mod world;

use snellen::scene::{Color, Position, World};

/// Five shapes, six colours, a 3 x 3 grid of places, sizes and jitter.
fn grid_world() -> World {
    let place =
        |k: usize| Position { name: format!("p{k}"), x: (0.5 + (k % 3) as f64) / 3.0, y: (0.5 + (k / 3) as f64) / 3.0 };
    World { positions: (0..9).map(place).collect(), size: [0.15, 0.25], jitter: 0.04, ..World::study() }
}

/// `world` with `count` colours called `c0`, `c1`, ...
fn with_colors(world: World, count: usize) -> World {
    let color = |k: usize| Color { name: format!("c{k}"), rgb: [k as u8, 90, 200] };
    World { colors: (0..count).map(color).collect(), ..world }
}
