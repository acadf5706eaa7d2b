//! `snellen merge`

use super::record::report;
use crate::terminal::Bars;
use clap::Args;
use snellen::Result;
use snellen::progress::Stages;
use snellen::record::merge;
use std::path::PathBuf;

/// Arguments of `merge`.
#[derive(Args)]
pub struct Merge {
    /// Folders of all parts, in any order
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,
    /// New folder for the run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print run.json, nothing else
    #[arg(long)]
    json: bool,
}

/// Runs `snellen merge`.
pub fn run(args: &Merge) -> Result<()> {
    let bars = Bars::new();
    let bar = bars.begin("merging rows");
    let run = merge(&args.parts, &args.out, bar.as_ref());
    drop(bar);
    report(&run?, &args.out, args.json)
}
