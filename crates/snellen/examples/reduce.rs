//! What token policies cost while a model runs: `cargo run --release --example reduce -- MODEL [BATCH] [ROUNDS]`. The model is a
//! name of `bench-engine`, such as `vit-l-14`, or a folder.
//!
//! Milliseconds per image of the forward to the last MLP with hooks that only look on, and with hooks that make mean and
//! largest value of every unit (and check that all is finite). The least of the rounds, which alternate.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use snellen::Result;
use snellen::bench::{named, towers};
use snellen::engine::{Precision, Tape, Tensor};
use snellen::model::{ActivationMut, BlockPoint, Hook, LoadConfig, Model, Point, Site};
use snellen::record::TokenPolicy;
use snellen::record::reduce::{Tokens, reduce};
use std::time::Instant;

/// Wants what every MLP's activation function gives.
struct Reduce {
    /// Whether to do anything with it.
    reduce: bool,
    rows: usize,
}

impl Hook for Reduce {
    fn wants(&self, site: Site) -> bool {
        matches!(site.point, Point::Block(_, BlockPoint::MlpPost))
    }

    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        if self.reduce {
            let tokens = Tokens {
                values: x.data,
                images: x.shape[0],
                units: x.shape[2],
                class: true,
                registers: 0,
                covers: &[],
                counts: &[],
            };
            let reduced = reduce(tokens, &[TokenPolicy::Mean, TokenPolicy::Max]);
            self.rows += reduced.map_or(0, |rows| rows.len());
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("usage: reduce MODEL [BATCH] [ROUNDS]")?;
    let mut number = |otherwise| args.next().map_or(Ok(otherwise), |n| n.parse::<usize>());
    let (batch, rounds) = (number(8)?, number(3)?);
    let (config, towers) = match named(&model) {
        Some(config) => towers(&config, Precision::F32, 0).map(|towers| (config, towers)),
        None => Model::open(&model, &LoadConfig::plain(), &()).map(|model| (model.config, model.towers)),
    }?;
    let side = config.vision.image;
    let values = (0..batch * 3 * side * side).map(|i| (i % 255) as f32 / 127.5 - 1.0).collect();
    let pixels = Tensor::new([batch, 3, side, side], values);
    let mut tape = Tape::off();
    let mut least = [f64::INFINITY; 2];
    for _ in 0..rounds {
        for (least, reduce) in least.iter_mut().zip([false, true]) {
            let start = Instant::now();
            towers.observe_images(&mut tape, &pixels, &mut Reduce { reduce, rows: 0 })?;
            *least = least.min(start.elapsed().as_secs_f64() * 1e3 / batch as f64);
        }
    }
    let [plain, reduced] = least;
    println!("{plain:.2} ms an image, {reduced:.2} ms with mean and max: {:+.2} %", 100.0 * (reduced / plain - 1.0));
    Ok(())
}
