//! `snellen bench-engine`

use super::verify::verdict;
use crate::{clock, terminal};
use clap::Args;
use serde_json::{Value, json};
use snellen::bench::{Forward, NAMES, Training, named, towers};
use snellen::model::{LoadConfig, Model, ModelConfig, Site, Tower, Towers};
use snellen::record::{TokenPolicy, select};
use snellen::{Error, Result};
use snellen_cpu::{Level, Precision, peak};
use std::path::Path;

/// Measurements of the peak before and after each case.
const PEAKS: usize = 5;
/// What the small CLIP in training is called.
const SMALL: &str = "small-clip";

/// Arguments of `bench-engine`.
#[allow(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[derive(Args)]
pub struct BenchEngine {
    /// vit-l-14, vit-b-32, vit-b-16 and lab (all with random weights), or folders of models, separated by commas
    #[arg(long, value_name = "NAMES|DIRS", value_delimiter = ',', default_value = "vit-b-32")]
    model: Vec<String>,
    /// What weights and activations are rounded to before they are multiplied, separated by commas
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "f32")]
    dtype: Vec<Precision>,
    /// Images of a forward, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "8", value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: Vec<u32>,
    /// Rounds of a tenth of a second or one forward, whichever is longer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also keep copies of the activations at these sites, given by name or pattern, separated by commas
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    hook: Vec<String>,
    /// Measure a training step of a small CLIP on 32 pairs instead: forward, loss, backward and AdamW
    #[arg(long, conflicts_with_all = ["model", "dtype", "batch", "hook"])]
    train: bool,
    /// Measure one case, each time a line on standard input says how many runs to make; print `ready`, then seconds a run
    #[arg(long, conflicts_with_all = ["rounds", "json"])]
    on_demand: bool,
    /// Say in one line whether this machine reaches what its level should, by forwards of vit-b-32 in either type; end with 1 where not
    #[arg(long, conflicts_with_all = ["model", "dtype", "batch", "hook", "train", "on_demand", "json"])]
    verify: bool,
    /// Of the weights and images
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print a list of JSON objects, one for each measurement
    #[arg(long)]
    json: bool,
}

/// What is measured, in the words of the output.
struct Case<'a> {
    model: &'a str,
    operation: &'static str,
    dtype: Precision,
    batch: u32,
    flops: u64,
}

/// Runs `snellen bench-engine`.
pub fn run(args: &BenchEngine) -> Result<()> {
    if args.on_demand && [args.model.len(), args.dtype.len(), args.batch.len()] != [1; 3] {
        return Err(Error::mismatch("--on-demand", "one model, one dtype and one batch", "several"));
    }
    if args.verify {
        return verify(args);
    }
    let mut rows = Vec::new();
    let mut measure = |case: &Case<'_>, once: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        if args.on_demand {
            return serve(once);
        }
        let row = measurement(case, args.rounds, once)?;
        if !args.json {
            print(&row, rows.is_empty())?;
        }
        rows.push(row);
        Ok(())
    };
    if args.train {
        let (dtype, batch) = (Precision::F32, 32);
        let mut training = Training::new(batch as usize, args.seed)?;
        let case = Case { model: SMALL, operation: "training step", dtype, batch, flops: training.flops() };
        measure(&case, &mut || training.run().map(drop))?;
    } else {
        forwards(args, &mut measure)?;
    }
    if args.json {
        terminal::say(serde_json::to_string_pretty(&rows).map_err(|e| Error::malformed("json", e))?)?;
    }
    Ok(())
}

fn verify(args: &BenchEngine) -> Result<()> {
    let (model, batch, mut reached) = ("vit-b-32", 8, Vec::new());
    for dtype in Precision::ALL {
        let (config, towers) = open(model, dtype, args.seed)?;
        let mut forward = Forward::new(&towers, &config, (batch as usize, args.seed), Vec::new());
        let case = Case { model, operation: "forward", dtype, batch, flops: forward.flops() };
        let row = measurement(&case, args.rounds, &mut || forward.run())?;
        reached.push((dtype, row["fraction_of_peak"].as_f64().unwrap_or_default()));
    }
    let (line, result) = verdict(Level::current(), rayon::current_num_threads(), &reached);
    terminal::say(line)?;
    result
}

/// Hands every forward that is asked for to `measure`.
fn forwards(
    args: &BenchEngine,
    measure: &mut dyn FnMut(&Case<'_>, &mut dyn FnMut() -> Result<()>) -> Result<()>,
) -> Result<()> {
    // Before any work: the last of a long list may be wrong.
    args.model.iter().try_for_each(|name| known(name))?;
    for name in &args.model {
        for &dtype in &args.dtype {
            let (config, towers) = open(name, dtype, args.seed)?;
            let sites = sites(&config, &args.hook)?;
            for &batch in &args.batch {
                let mut forward = Forward::new(&towers, &config, (batch as usize, args.seed), sites.clone());
                let case = Case { model: name, operation: "forward", dtype, batch, flops: forward.flops() };
                measure(&case, &mut || forward.run())?;
            }
        }
    }
    Ok(())
}

fn known(name: &str) -> Result<()> {
    if NAMES.contains(&name) || Path::new(name).exists() {
        return Ok(());
    }
    let expected = format!("one of {}, or the folder of a model", NAMES.join(", "));
    Err(Error::mismatch("--model", expected, format!("`{name}`")))
}

/// A named shape with random weights, or what is in a folder, ready to run in `dtype`.
fn open(name: &str, dtype: Precision, seed: u64) -> Result<(ModelConfig, Towers<f32>)> {
    if let Some(config) = named(name) {
        return towers(&config, dtype, seed).map(|towers| (config, towers));
    }
    let config = LoadConfig { precision: dtype, ..LoadConfig::plain() };
    Model::load_with(Path::new(name), &config).map(|model| (model.config, model.towers))
}

/// The sites that the patterns name; none where there are none.
fn sites(config: &ModelConfig, patterns: &[String]) -> Result<Vec<Site>> {
    if patterns.is_empty() {
        return Ok(Vec::new());
    }
    let selected = select(config, Tower::Vision, patterns, &[TokenPolicy::All])?;
    Ok(selected.into_iter().map(|selected| selected.site).collect())
}

/// Answers every count on standard input with the seconds that a run took.
fn serve(once: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    clock::seconds(2, once)?;
    terminal::say("ready")?;
    for (number, line) in std::io::stdin().lines().enumerate() {
        let line = line.map_err(Error::io("standard input"))?;
        let count = line.trim().parse().ok().filter(|count| *count > 0);
        let place = || format!("standard input:{}", number + 1);
        let count = count.ok_or_else(|| Error::mismatch(place(), "a number of runs above 0", format!("`{line}`")))?;
        terminal::say(format!("{:.9}", clock::seconds(count, once)?))?;
    }
    Ok(())
}

fn measurement(case: &Case<'_>, rounds: u32, once: &mut dyn FnMut() -> Result<()>) -> Result<Value> {
    let (level, threads, precision) = (Level::current(), rayon::current_num_threads(), case.dtype);
    let highest = || peak(level, precision, threads, PEAKS) / 1e9;
    clock::forget_peak();
    let bar = terminal::bar(rounds.into(), &format!("{} {} x {}", case.model, case.dtype, case.batch));
    let before = highest();
    let times = clock::rounds(rounds, once, &|| bar.inc(1));
    bar.finish_and_clear();
    let (times, peak) = (times?, before.max(highest()));
    let memory = clock::memory();
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    let gflops = case.flops as f64 / least / 1e9;
    Ok(json!({
        "model": case.model,
        "operation": case.operation,
        "dtype": case.dtype.to_string(),
        "batch": case.batch,
        "threads": threads,
        "level": level.to_string(),
        "ms_min": 1e3 * least,
        "ms_median": 1e3 * clock::median(&times),
        "images_per_second": f64::from(case.batch) / least,
        "gflop": case.flops as f64 / 1e9,
        "gflops": gflops,
        "peak_gflops": peak,
        "fraction_of_peak": gflops / peak,
        "rss_mib": memory.map(|memory| memory.resident),
        "peak_rss_mib": memory.map(|memory| memory.peak),
    }))
}

/// A line of the table, under its heading where it is the first.
fn print(row: &Value, first: bool) -> Result<()> {
    if first {
        terminal::say(format!(
            "{:<12} {:<5} {:>5} {:>7} {:<12} {:>10} {:>10} {:>9} {:>8} {:>8} {:>7} {:>8} {:>8}",
            "model",
            "dtype",
            "batch",
            "threads",
            "level",
            "min ms",
            "median ms",
            "images/s",
            "GFLOP/s",
            "peak",
            "of peak",
            "MiB",
            "peak MiB"
        ))?;
    }
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let number = |key: &str, digits: usize| row[key].as_f64().map_or("-".to_owned(), |x| format!("{x:.digits$}"));
    terminal::say(format!(
        "{:<12} {:<5} {:>5} {:>7} {:<12} {:>10} {:>10} {:>9} {:>8} {:>8} {:>7} {:>8} {:>8}",
        text("model"),
        text("dtype"),
        row["batch"].to_string(),
        row["threads"].to_string(),
        text("level"),
        number("ms_min", 3),
        number("ms_median", 3),
        number("images_per_second", 2),
        number("gflops", 1),
        number("peak_gflops", 1),
        number("fraction_of_peak", 3),
        number("rss_mib", 0),
        number("peak_rss_mib", 0),
    ))
}
