//! How far activations in bf16 are from those in f32, by kind of site: the numbers of METHODS.md.
//!
//! `cargo run --release --example bf16 -- vit-l-14`
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use snellen::bench::{Copies, named, towers};
use snellen::engine::{Precision, Tape, Tensor};
use snellen::model::{Point, Site, Tower};
use std::collections::BTreeMap;

fn main() -> snellen::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "vit-l-14".to_owned());
    let config =
        named(&name).ok_or_else(|| snellen::Error::mismatch("model", "vit-l-14, vit-b-32, vit-b-16 or lab", &name))?;
    let side = config.vision.image;
    let values = (0..3 * side * side).map(|i| ((i * 7919 % 255) as f32 - 127.0) / 64.0);
    let pixels = Tensor::new([1, 3, side, side], values.collect());
    let sites = Site::all(&config, Tower::Vision);
    let run = |precision: Precision| -> snellen::Result<_> {
        let mut copies = Copies::of(&sites);
        towers(&config, precision, 0)?.embed_images(&mut Tape::off(), &pixels, &mut copies)?;
        Ok(copies.kept)
    };
    let (exact, rounded) = (run(Precision::F32)?, run(Precision::Bf16)?);
    let mut worst: BTreeMap<String, (f64, Site)> = BTreeMap::new();
    for (site, (_, expected)) in &exact {
        let pairs = || rounded[site].1.iter().zip(expected).filter(|(_, y)| y.is_finite());
        let size = pairs().map(|(_, y)| (*y as f64).powi(2)).sum::<f64>();
        let error = (pairs().map(|(x, y)| (*x as f64 - *y as f64).powi(2)).sum::<f64>() / size).sqrt();
        let text = site.to_string();
        let kind = match site.point {
            Point::Block(layer, _) => text.replace(&format!("blocks.{layer}."), "blocks.*."),
            _ => text,
        };
        let entry = worst.entry(kind).or_insert((error, *site));
        if error > entry.0 {
            *entry = (error, *site);
        }
    }
    for (kind, (error, site)) in worst {
        println!("{kind:<32} {error:.1e}  at {site}");
    }
    Ok(())
}
