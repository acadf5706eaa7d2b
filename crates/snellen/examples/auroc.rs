//! How long the stratified AUROC alone takes: `cargo run --release --example auroc -- [UNITS] [IMAGES]`, 1,000,000 units and 500 images
//! where not said, 16 concepts in images of one to five objects.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use rand::RngExt;
use snellen::measure::auroc::aurocs;
use snellen::measure::{Design, Matrix};
use snellen::random::stream;
use snellen::scene::labels::LabelTable;
use snellen::scene::{Combinations, World, generate};
use snellen::{Error, Result};
use std::time::{Duration, Instant};

/// Units that are in memory at once.
const BLOCK: usize = 1 << 16;

fn main() -> Result<()> {
    let number = |at: usize, without: usize| match std::env::args().nth(at) {
        Some(text) => text.parse().map_err(|_| Error::mismatch("auroc", "a number", text)),
        None => Ok(without),
    };
    let (units, images) = (number(1, 1_000_000)?, number(2, 500)?);
    let world = World::study();
    let scenes = generate::toy(&world, &Combinations::all(&world), 1..=5, images, 0)?;
    let names: Vec<String> = (0..images).map(|i| format!("{i}.png")).collect();
    let design = Design::from_labels(&LabelTable::from_scenes(&world, &scenes, &names)?)?;
    let (mut spent, mut sum, mut rng) = (Duration::ZERO, 0.0, stream(0, "noise", 0));
    for first in (0..units).step_by(BLOCK) {
        let width = BLOCK.min(units - first);
        let matrix = Matrix::new(images, width, (0..images * width).map(|_| rng.random()).collect())?;
        let begun = Instant::now();
        let found = aurocs(&matrix, &design)?;
        spent += begun.elapsed();
        sum += found.iter().flatten().sum::<f64>();
    }
    let concepts = design.concepts().len();
    let mean = sum / (units * concepts) as f64;
    println!("{units} units x {concepts} concepts x {images} images: {:.2} s, mean {mean:.5}", spent.as_secs_f64());
    Ok(())
}
