//! `snellen scenes`

use crate::drawn::{Kind, series};
use crate::terminal;
use clap::Args;
use snellen::Result;
use snellen::scene::folder::write_folder;
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

/// Runs `snellen scenes`.
pub fn run(args: &Scenes) -> Result<()> {
    let series = series(args.kind, args.count, args.size, args.study, args.seed)?;
    let scenes = (0..series.len()).map(|i| series.scene(i)).collect::<Result<Vec<_>>>()?;
    write_folder(&args.out, series.world(), &scenes, series.canvas())?;
    terminal::say(format!("{} images in {}", scenes.len(), args.out.display()))
}
