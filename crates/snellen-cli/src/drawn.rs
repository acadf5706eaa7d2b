//! Which scenes are drawn, as `scenes` and `record` are told.

use clap::ValueEnum;
use snellen::Result;
use snellen::scene::{Canvas, SceneKind, Series, World};

/// A kind of scenes.
#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// One to five objects, no shape, colour or position twice
    Toy,
    /// Every shape in every colour at every position, one object each
    Factorial,
    /// Two objects, and the same with their colours exchanged
    Swap,
    /// Two objects side by side, and their mirror image, of a world with free places; captions say which is left of the other
    LeftOf,
    /// The same of two objects one above the other
    Above,
}

/// `count` scenes (or twins, or repeats) of `kind` of `world`, `size` pixels a side unless they are the study's.
pub fn series(kind: Kind, count: u32, size: u32, world: Option<World>, study: bool, seed: u64) -> Result<Series> {
    let (world, canvas) = match world {
        Some(world) => (world, Canvas::plain(size, size)),
        None if study => (World::study(), Canvas::study()),
        None => (World::toy(), Canvas::plain(size, size)),
    };
    let kind = match kind {
        Kind::Toy => SceneKind::Toy,
        Kind::Factorial => SceneKind::Factorial,
        Kind::Swap => SceneKind::Swap,
        Kind::LeftOf => SceneKind::LeftOf,
        Kind::Above => SceneKind::Above,
    };
    Series::new(kind, world, canvas, count as usize, seed)
}
