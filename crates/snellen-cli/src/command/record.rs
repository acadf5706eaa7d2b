//! `snellen record`

use crate::models::{self, Load};
use crate::terminal::{self, Bars};
use clap::Args;
use snellen::Result;
use snellen::exam::Stages;
use snellen::record::{RecordConfig, Source, TokenPolicy, record};
use std::path::PathBuf;

/// Arguments of `record`.
#[derive(Args)]
pub struct Record {
    #[arg(long, value_name = "MODEL", help = models::HELP)]
    model: String,
    #[command(flatten)]
    load: Load,
    /// Folder of images, with labels.csv or without
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Sites by name or pattern, separated by commas: `blocks.*.mlp.hook_post`
    #[arg(long, value_delimiter = ',', default_value = "blocks.*.mlp.hook_post,image_embeds")]
    sites: Vec<String>,
    /// How tokens become one row per image: cls, mean, mean_all, max, object, background, all
    #[arg(long, value_delimiter = ',', default_value = "mean")]
    tokens: Vec<TokenPolicy>,
    /// Images per forward
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// New folder for the run
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Kept in run.json for the stages that follow
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print run.json, nothing else
    #[arg(long)]
    json: bool,
}

/// Runs `snellen record`.
pub fn run(args: Record) -> Result<()> {
    let source = Source::open(&args.images)?;
    let model = args.load.open(&args.model)?;
    let config = RecordConfig { sites: args.sites, policies: args.tokens, batch: args.batch as usize, seed: args.seed };
    let bars = Bars::new();
    let bar = bars.begin("recording activations");
    let run = record(&model, &source, &config, &args.out, bar.as_ref())?;
    drop(bar);
    if args.json {
        let json = serde_json::to_string_pretty(&run).map_err(|e| snellen::Error::malformed("json", e))?;
        return terminal::say(json);
    }
    let arrays: usize = run.sites.iter().map(|s| s.policies.len()).sum();
    terminal::say(format!("{} images, {arrays} arrays in {}", run.images.count, args.out.display()))
}
