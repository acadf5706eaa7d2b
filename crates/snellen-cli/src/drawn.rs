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
}

/// `count` scenes (or twins, or repeats) of `kind`, `size` pixels a side unless they are the study's.
pub fn series(kind: Kind, count: u32, size: u32, study: bool, seed: u64) -> Result<Series> {
    let (world, canvas) =
        if study { (World::study(), Canvas::study()) } else { (World::toy(), Canvas::plain(size, size)) };
    let kind = match kind {
        Kind::Toy => SceneKind::Toy,
        Kind::Factorial => SceneKind::Factorial,
        Kind::Swap => SceneKind::Swap,
    };
    Series::new(kind, world, canvas, count as usize, seed)
}
