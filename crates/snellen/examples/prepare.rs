//! What the library makes of pictures, for `scripts/peers/sweep_pictures.py`: `cargo run --release --example prepare`.
//!
//! Every line on standard input is JSON: `file`, `config` (a preprocessor_config.json; for OpenCLIP an open_clip_config.json), `backend`,
//! `orientation`. For each, a line on standard output: the side of the result, and the file that holds its values (f32, little
//! endian, channel by channel), which is `out`; or `refused: ` and why.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use serde_json::Value;
use snellen::model::Preprocessing;
use snellen::{Error, Result};
use std::io::stdin;
use std::path::Path;

fn main() -> std::io::Result<()> {
    for line in stdin().lines() {
        match prepared(&line?) {
            Ok(said) => println!("{said}"),
            Err(error) => println!("refused: {}", error.to_string().replace('\n', " ")),
        }
    }
    Ok(())
}

fn prepared(line: &str) -> Result<String> {
    let job: Value = serde_json::from_str(line).map_err(|e| Error::malformed("standard input", e))?;
    let text = |key: &str| job[key].as_str().ok_or_else(|| Error::mismatch(key, "a text", &job[key]));
    let config = &job["config"];
    let parsed = match config.get("preprocess_cfg") {
        Some(_) => Preprocessing::parse_open_clip(config, "config")?,
        None => Preprocessing::parse(config, "config")?,
    };
    let parsed = parsed.with_backend(text("backend")?.parse()?)?;
    let preprocessing = Preprocessing { orientation: text("orientation")?.parse()?, ..parsed };
    let (path, out) = (Path::new(text("file")?), Path::new(text("out")?));
    let picture = preprocessing.read(path, &std::fs::read(path).map_err(Error::io(path))?)?;
    let values: Vec<u8> = preprocessing.apply(&picture)?.into_iter().flat_map(f32::to_le_bytes).collect();
    std::fs::write(out, values).map_err(Error::io(out))?;
    Ok(preprocessing.image.to_string())
}
