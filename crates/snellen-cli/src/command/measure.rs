//! `snellen measure`

use crate::terminal::{self, Bars};
use clap::Args;
use snellen::Result;
use snellen::exam::{Stages, measure_units};
use snellen::measure::Confidence;
use snellen::measure::encodes::Criterion;
use std::path::PathBuf;

/// Arguments of `measure`.
#[derive(Args)]
pub struct Measure {
    /// A recording of labelled images; unit_concepts.parquet is written into it
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
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
    let bars = Bars::new();
    let bar = bars.begin("measuring units");
    let units = measure_units(&args.run, &criterion, bar.as_ref())?;
    drop(bar);
    if args.json {
        let json = serde_json::to_string_pretty(&units).map_err(|e| snellen::Error::malformed("json", e))?;
        return terminal::say(json);
    }
    terminal::say(format!("{:<40} {:>8} {:>12} {:>10}", "site/tokens", "units", "encode any", "by chance"))?;
    units.sites.iter().try_for_each(|s| {
        let name = format!("{}/{}", s.site, s.tokens);
        terminal::say(format!("{name:<40} {:>8} {:>12} {:>10}", s.units, s.encoding.any, s.null.any))
    })?;
    terminal::say(args.run.join("unit_concepts.parquet").display())
}
