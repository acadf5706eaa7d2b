//! How long a model takes to load, and how much memory: `cargo run --release --example load -- MODEL [f32|bf16] [REPEATS]`.
//!
//! Seconds from the name to the model that is ready, the bytes that its weights take in f32, and the process's peak of memory over
//! those (on Linux). The first run may read from disk; the others have a warm cache.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use snellen::engine::Precision;
use snellen::model::{LoadConfig, Model};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let model = args.next().ok_or("usage: load MODEL [f32|bf16] [REPEATS]")?;
    let precision = args.next().map_or(Ok(Precision::F32), |name| name.parse())?;
    let repeats = args.next().map_or(Ok(3), |n| n.parse::<usize>())?;
    let config = LoadConfig { precision, ..LoadConfig::plain() };
    for _ in 0..repeats {
        let start = Instant::now();
        let loaded = Model::open(&model, &config, &())?;
        let (seconds, bytes) = (start.elapsed().as_secs_f64(), 4 * loaded.parameters);
        drop(loaded);
        let peak = peak().map_or_else(String::new, |peak| format!(", peak {:.3} x that", peak as f64 / bytes as f64));
        println!("{seconds:.2} s, {:.3} GB in f32{peak}", bytes as f64 / 1e9);
    }
    Ok(())
}

/// Peak of resident memory, in bytes.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?)
}
