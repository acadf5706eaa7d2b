//! `snellen scenes`

use crate::drawn::{Kind, series};
use crate::terminal;
use clap::{Args, Subcommand};
use snellen::scene::folder::write_series;
use snellen::scene::{WORLDS, World};
use snellen::{Error, Result};
use std::path::PathBuf;

/// Arguments of `scenes`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Scenes {
    #[command(subcommand)]
    what: Option<What>,
    /// Which scenes
    #[arg(long, value_enum, required = true)]
    kind: Option<Kind>,
    /// New folder: images/, masks/, labels.csv, captions.csv, scenes.json
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// How many: toy scenes, or swap twins (two images each), or repeats of the factorial grid
    #[arg(long, default_value_t = 500, default_value_if("kind", "factorial", "1"), value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Height and width, in pixels
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u32).range(1..=8192))]
    size: u32,
    /// Of what is drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Name of a world (`snellen scenes worlds`), or a TOML file of one; toy where not given
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "study")]
    world: Option<String>,
    /// Draw on the canvas of arXiv 2508.16652 (232 x 231 pixels), objects of one size at fixed places
    #[arg(long)]
    study: bool,
}

/// What to do but draw.
#[derive(Subcommand)]
enum What {
    /// List the worlds that come with the program, or print one as TOML, to start a world of your own from
    Worlds {
        /// Which one to print
        name: Option<String>,
    },
}

/// Runs `snellen scenes`.
pub fn run(args: &Scenes) -> Result<()> {
    if let Some(What::Worlds { name }) = &args.what {
        return worlds(name.as_deref());
    }
    let (Some(kind), Some(out)) = (args.kind, &args.out) else {
        return Err(Error::mismatch("scenes", "--kind and --out", "neither"));
    };
    let world = args.world.as_deref().map(World::named_or_read).transpose()?;
    let series = series(kind, args.count, args.size, world, args.study, args.seed)?;
    let images = write_series(out, &series)?;
    terminal::say(format!("{images} images in {}", out.display()))
}

fn worlds(name: Option<&str>) -> Result<()> {
    let Some(name) = name else {
        return WORLDS.iter().try_for_each(|world| terminal::say(format!("{:<12} {}", world.name, world.about)));
    };
    if let Some(world) = WORLDS.iter().find(|world| world.name == name) {
        return terminal::say(world.text.trim_end());
    }
    let names = WORLDS.map(|world| world.name).join(", ");
    Err(Error::mismatch("world", format!("one of {names}"), format!("`{name}`")))
}
