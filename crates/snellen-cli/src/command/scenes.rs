//! `snellen scenes`

use crate::terminal;
use clap::{Args, ValueEnum};
use snellen::Result;
use snellen::scene::folder::write_folder;
use snellen::scene::{Canvas, Pairs, World, generate};
use std::path::PathBuf;

/// Arguments of `scenes`.
#[derive(Args)]
pub struct Scenes {
    /// Which scenes
    #[arg(long, value_enum)]
    kind: Kind,
    /// New folder: images/, masks/, labels.csv, captions.csv, scenes.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many: toy scenes, or swap twins (two images each), or repeats of the factorial grid
    #[arg(long, default_value_t = 500, default_value_if("kind", "factorial", "1"), value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Height and width, in pixels
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u32).range(1..=8192))]
    size: u32,
    /// Of what is drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draw on the canvas of arXiv 2508.16652 (232 x 231 pixels), objects of one size at fixed places
    #[arg(long)]
    study: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// One to five objects, no shape, colour or position twice
    Toy,
    /// Every shape in every colour at every position, one object each
    Factorial,
    /// Two objects, and the same with their colours exchanged
    Swap,
}

/// Runs `snellen scenes`.
pub fn run(args: &Scenes) -> Result<()> {
    let (world, canvas) = if args.study {
        (World::study(), Canvas::study())
    } else {
        (World::toy(), Canvas::plain(args.size, args.size))
    };
    let (all, count) = (Pairs::all(&world), args.count as usize);
    let scenes = match args.kind {
        Kind::Toy => generate::toy(&world, &all, 1..=5, count, args.seed)?,
        Kind::Factorial => generate::factorial(&world, &all, count, args.seed)?,
        Kind::Swap => {
            let twins = generate::swap_twins(&world, &all, &all, count, args.seed)?;
            twins.into_iter().flat_map(|t| [t.scene, t.twin]).collect()
        }
    };
    write_folder(&args.out, &world, &scenes, &canvas)?;
    terminal::say(format!("{} images in {}", scenes.len(), args.out.display()))
}
