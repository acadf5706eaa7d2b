//! `snellen calibrate`

use crate::terminal::{self, Bars};
use clap::Args;
use snellen::lab::bias::{Bias, pair_power, site_biases};
use snellen::lab::calibrate::{Calibration, Trial, calibrate};
use snellen::lab::phantom::Noise;
use snellen::measure::Confidence;
use snellen::measure::proportion::Proportion;
use snellen::output::write_file;
use snellen::progress::Stages;
use snellen::scene::labels::LabelTable;
use snellen::scene::labels_csv::read_labels;
use snellen::scene::{Combinations, World, generate};
use snellen::{Error, Result};
use std::path::PathBuf;

/// Arguments of `calibrate`.
#[derive(Args)]
pub struct Calibrate {
    /// Labels of the images that units are planted on; toy scenes where not given
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Toy scenes
    #[arg(long, value_name = "N", default_value_t = 2000, conflicts_with = "labels", value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    images: u32,
    /// Units of each phantom
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(6..=1_000_000))]
    units: u32,
    /// Signal-to-noise ratios, of variances
    #[arg(long, value_delimiter = ',', default_value = "1,0.25")]
    ratio: Vec<f64>,
    /// What is added to signals: normal, heavy-tailed, correlated
    #[arg(long, value_delimiter = ',', default_value = "normal")]
    noise: Vec<Noise>,
    /// The adjusted p that a term may not exceed
    #[arg(long, default_value_t = 0.05)]
    q: f64,
    /// Of scenes, signals and noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// New file for all of it, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print all of it as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `snellen calibrate`.
pub fn run(args: &Calibrate) -> Result<()> {
    if !(args.q > 0.0 && args.q <= 1.0) {
        return Err(Error::mismatch("--q", "a number above 0, at most 1", args.q));
    }
    let (labels, images) = match &args.labels {
        Some(path) => (read_labels(path)?, path.display().to_string()),
        None => (toys(args.images as usize, args.seed)?, "toy scenes".to_owned()),
    };
    let images = format!("{} {images}", labels.rows.len());
    if let Some(out) = args.out.as_ref().filter(|out| out.exists()) {
        return Err(Error::mismatch(out.display(), "a path that does not exist yet", "a file"));
    }
    let ratio = args.ratio.first().copied().unwrap_or(1.0);
    let bars = Bars::new();
    let bar = bars.begin("phantoms");
    let (mut found, total) = (Vec::new(), args.ratio.len() * args.noise.len());
    for noise in &args.noise {
        for ratio in &args.ratio {
            bar.advance(found.len(), total);
            if bar.is_cancelled() {
                return Err(Error::Interrupted { kept: "nothing was kept".to_owned() });
            }
            let images = images.clone();
            let (units, q, seed) = (args.units as usize, args.q, args.seed);
            let trial = Trial { images, ratio: *ratio, noise: *noise, units, q, seed };
            found.push(calibrate(&labels, &trial, Confidence::new(0.95)?)?);
        }
    }
    drop(bar);
    let confidence = Confidence::new(0.95)?;
    let bar = bars.begin("shared units");
    let pairs = pair_power(&labels, args.units as usize, ratio, 2.0, args.seed, confidence, bar.as_ref())?;
    drop(bar);
    let bar = bars.begin("directions");
    let sites = site_biases(&labels, ratio, args.seed, confidence, bar.as_ref())?;
    drop(bar);
    let json = serde_json::json!({ "phantoms": found, "sites": sites, "pairs": pairs });
    let json = serde_json::to_string_pretty(&json).map_err(|e| Error::malformed("json", e))?;
    if let Some(out) = &args.out {
        write_file(out, format!("{json}\n").as_bytes())?;
    }
    if args.json {
        return terminal::say(json);
    }
    found.iter().try_for_each(show)?;
    let share = |share: &Option<Proportion>| share.as_ref().map_or("-".to_owned(), proportion);
    terminal::say(format!("measures of sites, at a ratio of {ratio}\n"))?;
    show_biases(&sites)?;
    terminal::say("\nunits that stand for two concepts, twice as often as by chance\n")?;
    terminal::say(format!("found {}", share(&pairs.power)))?;
    terminal::say(format!("pairs by chance said to be more or fewer {}", share(&pairs.false_alarms)))
}

/// The labels of `images` toy scenes.
fn toys(images: usize, seed: u64) -> Result<LabelTable> {
    let world = World::study();
    let most = generate::most_objects(&world);
    let scenes = generate::toy(&world, &Combinations::all(&world), 1..=most, images, seed)?;
    let names: Vec<String> = (0..images).map(|i| format!("{i}.png")).collect();
    LabelTable::from_scenes(&world, &scenes, &names)
}

fn show(found: &Calibration) -> Result<()> {
    let Calibration { images, ratio, noise, units, .. } = found;
    terminal::say(format!("{units} units on {images}, signal-to-noise ratio {ratio}, {noise} noise\n"))?;
    terminal::say(format!("{:<16} {:>26} {:>26} {:>8}", "class", "precision", "recall", "F1"))?;
    for score in &found.classes {
        let share = |share: &Option<Proportion>| share.as_ref().map_or("-".to_owned(), proportion);
        let (precision, recall) = (share(&score.precision), share(&score.recall));
        terminal::say(format!("{:<16} {precision:>26} {recall:>26} {:>8.3}", score.class.name(), score.f1))?;
    }
    let [lo, hi] = found.macro_f1_interval;
    terminal::say(format!("macro F1 {:.4} [{lo:.4}, {hi:.4}]", found.macro_f1))?;
    if let Some(share) = &found.false_discoveries {
        let (got, nominal) = (share.estimate, found.nominal);
        terminal::say(format!("false discoveries {got:.4} [{:.4}, {:.4}], nominal {nominal}", share.lo, share.hi))?;
    }
    if let Some(share) = &found.conjunctions_called_polysemantic {
        let (estimate, lo, hi) = (share.estimate, share.lo, share.hi);
        terminal::say(format!("conjunctions called polysemantic {estimate:.4} [{lo:.4}, {hi:.4}]"))?;
    }
    terminal::say("")?;
    show_biases(&found.biases)?;
    terminal::say("")
}

fn proportion(share: &Proportion) -> String {
    format!("{:.3} [{:.3}, {:.3}]", share.estimate, share.lo, share.hi)
}

fn show_biases(biases: &[Bias]) -> Result<()> {
    let heads = format!("{:<24} {:<30} {:>7} {:>9}", "measure", "of", "answers", "planted");
    terminal::say(format!("{heads} {:>28} {:>22}", "bias", "interval holds it"))?;
    biases.iter().try_for_each(|Bias { measure, of, n, planted, bias, coverage }| {
        let bias = format!("{:+.4} [{:+.4}, {:+.4}]", bias.estimate, bias.lo, bias.hi);
        let coverage = coverage.as_ref().map_or(String::new(), proportion);
        let line = format!("{measure:<24} {of:<30} {n:>7} {planted:>9.4} {bias:>28} {coverage:>22}");
        terminal::say(line.trim_end())
    })
}
