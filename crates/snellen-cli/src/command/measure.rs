//! `snellen measure`

use crate::terminal::{self, Bars};
use clap::Args;
use snellen::Result;
use snellen::measure::Confidence;
use snellen::measure::encodes::Criterion;
use snellen::measure::factorial::UnitClass;
use snellen::output::StagedDir;
use snellen::progress::Stages;
use snellen::units::{Acts, Second, measure_given, measure_run};
use std::path::PathBuf;

/// Arguments of `measure`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["run", "acts"])))]
pub struct Measure {
    /// A recording of labelled images; the tables are written into it
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Activations of your own: a safetensors, .npy or .npz file with a tensor [image, unit] for each site, named after it
    #[arg(long, value_name = "FILE", requires = "labels", requires = "out")]
    acts: Option<PathBuf>,
    /// The tensors of --acts to measure, of any type of number; where not given, the only one there is, or all matrices of floats with a row per row of the labels
    #[arg(long, value_name = "NAME,...", requires = "acts", conflicts_with = "run")]
    tensors: Vec<String>,
    /// What the images of --acts show, in the order of its rows
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    labels: Option<PathBuf>,
    /// Columns of --labels to take as labels, whatever is in them (of shape_0, shape_1, ... say shape); where not given, all numbered ones,
    /// or where there are none those in which some value comes twice
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "labels", conflicts_with = "run")]
    label_columns: Vec<String>,
    /// New folder for the tables of --acts
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    out: Option<PathBuf>,
    /// A second encoder's embeddings [image, width] of the images, for the monosemanticity score: safetensors, .npy or .npz
    #[arg(long, value_name = "FILE")]
    embeddings: Option<PathBuf>,
    /// The tensor of --embeddings; where not given, image_embeds or the only one that can be embeddings
    #[arg(long, value_name = "NAME", requires = "embeddings")]
    embeddings_tensor: Option<String>,
    /// The same of an untrained model, beside which the counts stand: a recording of the same images and sites, or with --acts a file
    /// with the same tensors; may be repeated, once for each seed
    #[arg(long, value_name = "DIR|FILE")]
    control: Vec<PathBuf>,
    /// The adjusted p that a unit's choosing half may not exceed
    #[arg(long, default_value_t = 0.05)]
    q: f64,
    /// The effect (2 AUROC - 1) that its held-out half must reach
    #[arg(long, default_value_t = 0.3)]
    min_effect: f64,
    /// Of the intervals
    #[arg(long, default_value_t = 0.95)]
    confidence: f64,
    /// Of the halves and the null
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `snellen measure`.
pub fn run(args: &Measure) -> Result<()> {
    let confidence = Confidence::new(args.confidence)?;
    let criterion = Criterion { q: args.q, min_effect: args.min_effect, confidence, seed: args.seed };
    let second = args.embeddings.as_deref().map(|file| Second { file, tensor: args.embeddings_tensor.as_deref() });
    let bars = Bars::new();
    let bar = bars.begin("measuring units");
    let (measured, folder) = match (&args.run, &args.acts, &args.labels, &args.out) {
        (Some(run), ..) => (measure_run(run, second, &args.control, &criterion, bar.as_ref())?, run.clone()),
        (None, Some(acts), Some(labels), Some(out)) => {
            let staged = StagedDir::begin(out)?;
            let acts = Acts { file: acts, tensors: &args.tensors, labels, label_columns: &args.label_columns };
            let measured = measure_given(acts, second, &args.control, staged.path(), &criterion, bar.as_ref())?;
            (measured, staged.publish()?)
        }
        _ => return Err(snellen::Error::mismatch("measure", "--run, or --acts with --labels and --out", "neither")),
    };
    drop(bar);
    let units = &measured.units;
    measured.notes.iter().for_each(terminal::note);
    if args.json {
        let json = serde_json::to_string_pretty(units).map_err(|e| snellen::Error::malformed("json", e))?;
        return terminal::say(json);
    }
    let classes = UnitClass::ALL.into_iter().filter(|class| units.sites.iter().any(|s| s.classes.contains_key(class)));
    let classes: Vec<UnitClass> = classes.collect();
    let names = classes.iter().map(|class| format!(" {:>12}", class.name())).collect::<Vec<_>>().concat();
    terminal::say(format!("{:<40} {:>8} {:>12} {:>10}{names}", "site/tokens", "units", "encode any", "by chance"))?;
    units.sites.iter().try_for_each(|s| {
        let name = if s.tokens.is_empty() { s.site.clone() } else { format!("{}/{}", s.site, s.tokens) };
        let of = |class| s.classes.get(class).copied().unwrap_or(0);
        let counts = classes.iter().map(|class| format!(" {:>12}", of(class))).collect::<Vec<_>>().concat();
        terminal::say(format!("{name:<40} {:>8} {:>12} {:>10}{counts}", s.units, s.encoding.any, s.null.any))?;
        s.controls.iter().try_for_each(|control| {
            let of = |class| control.classes.get(class).map_or(0.0, |spread| spread.mean);
            let counts = classes.iter().map(|class| format!(" {:>12.0}", of(class))).collect::<Vec<_>>().concat();
            let name = format!("  untrained ({}, {})", control.name, control.models);
            terminal::say(format!("{name:<40} {:>8} {:>12.0} {:>10}{counts}", "", control.encoding.mean, ""))
        })
    })?;
    let tables = ["units", "unit_concepts", "concepts", "pairs", "sites"];
    tables.into_iter().try_for_each(|table| terminal::say(folder.join(format!("{table}.parquet")).display()))
}
