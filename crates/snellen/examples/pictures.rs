//! How long decoding and preparing pictures takes: `cargo run --release --example pictures -- FOLDER [--on-demand] [BACKEND]`.
//!
//! Every picture of the folder is decoded and becomes what a CLIP of 224 x 224 pixels sees: resized (bicubic), cropped and
//! normalised, by the backend `pil` (the default) or `torchvision`. One thread, files in memory; milliseconds a picture, decoding and
//! the rest apart, of three rounds. With `--on-demand` a round is run for every line on standard input, for
//! `scripts/peers/preprocess.py`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use snellen::model::{Backend, Preprocessing};
use std::error::Error;
use std::hint::black_box;
use std::io::stdin;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What `CLIPImageProcessor` writes, with the numbers of OpenAI.
const CLIP: &str = r#"{"image_processor_type": "CLIPImageProcessor", "do_convert_rgb": true, "do_resize": true,
    "size": {"shortest_edge": 224}, "resample": 3, "do_center_crop": true, "crop_size": {"height": 224, "width": 224},
    "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("usage: pictures FOLDER [--on-demand] [BACKEND]")?;
    let (flags, names): (Vec<String>, Vec<String>) = args.partition(|arg| arg == "--on-demand");
    let backend = names.first().map_or(Ok(Backend::Pil), |name| name.parse())?;
    let preprocessing = Preprocessing::parse(&serde_json::from_str(CLIP)?, "CLIP")?.with_backend(backend)?;
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    let files = paths.into_iter().map(|path| Ok((std::fs::read(&path)?, path))).collect::<std::io::Result<Vec<_>>>()?;
    let round = || -> snellen::Result<[f64; 2]> {
        let mut times = [Duration::ZERO; 2];
        for (bytes, path) in &files {
            let start = Instant::now();
            let picture = preprocessing.read(path, bytes)?;
            times[0] += start.elapsed();
            let start = Instant::now();
            black_box(preprocessing.apply(&picture)?);
            times[1] += start.elapsed();
        }
        Ok(times.map(|time| time.as_secs_f64() * 1e3 / files.len() as f64))
    };
    if !flags.is_empty() {
        println!("ready");
        for line in stdin().lines() {
            line?;
            let [decoding, preparing] = round()?;
            println!("{decoding} {preparing}");
        }
        return Ok(());
    }
    for _ in 0..3 {
        let [decoding, preparing] = round()?;
        println!("{decoding:.3} ms decoding + {preparing:.3} ms preparing = {:.3} ms", decoding + preparing);
    }
    Ok(())
}
