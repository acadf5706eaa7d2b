//! How long scenes take: `cargo run --release --example scenes -- [COUNT] [SIDE]`.
//!
//! Of every world that comes with the program, COUNT toy scenes (10,000) are made and drawn, SIDE pixels a side (224), on all cores or
//! RAYON_NUM_THREADS, once without and once with their masks. Nothing is written.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use rayon::prelude::*;
use snellen::scene::mask::index_mask;
use snellen::scene::{Canvas, SceneKind, Series, WORLDS, World, render};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let count: usize = args.next().map_or(Ok(10_000), |count| count.parse())?;
    let side: u32 = args.next().map_or(Ok(224), |side| side.parse())?;
    for known in WORLDS {
        let world = World::named_or_read(known.name)?;
        let series = Series::new(SceneKind::Toy, world, Canvas::plain(side, side), count, 0)?;
        let round = |masks: bool| -> snellen::Result<f64> {
            let start = Instant::now();
            (0..count).into_par_iter().try_for_each(|i| {
                let scene = series.scene(i)?;
                black_box(render(&scene, series.world(), series.canvas()));
                if masks {
                    black_box(index_mask(&scene, series.world(), series.canvas()));
                }
                Ok(())
            })?;
            Ok(start.elapsed().as_secs_f64())
        };
        println!("{:<8} {:6.2} s, with masks {:6.2} s", known.name, round(false)?, round(true)?);
    }
    Ok(())
}
