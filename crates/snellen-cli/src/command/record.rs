//! `snellen record`

use crate::drawn::{Kind, series};
use crate::models::{self, Load};
use crate::terminal::{self, Bars};
use clap::Args;
use snellen::Result;
use snellen::exam::Stages;
use snellen::record::{
    IMAGE_COLUMN, Part, RecordConfig, RunManifest, SceneSource, Source, TokenPolicy, Unfinished, open_source, record,
};
use std::path::{Path, PathBuf};

/// Arguments of `record`.
#[derive(Args)]
pub struct Record {
    #[arg(long, value_name = "MODEL", help = models::HELP)]
    model: String,
    #[command(flatten)]
    load: Load,
    /// Folder of images, with labels.csv or without; WebDataset .tar file, or folder of them; or .parquet file
    #[arg(long, value_name = "PATH", required_unless_present = "scenes")]
    images: Option<PathBuf>,
    /// Column of a .parquet file that holds the images
    #[arg(long, value_name = "NAME", default_value = IMAGE_COLUMN)]
    image_column: String,
    #[command(flatten)]
    drawn: Drawn,
    /// Sites by name or pattern, separated by commas: `blocks.*.mlp.hook_post`
    #[arg(long, value_delimiter = ',', default_value = "blocks.*.mlp.hook_post,image_embeds")]
    sites: Vec<String>,
    /// How tokens become one row per image: cls, mean, mean_all, max, object, background, all
    #[arg(long, value_delimiter = ',', default_value = "mean")]
    tokens: Vec<TokenPolicy>,
    /// Images per forward
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// New folder for the run; DIR.partial while it is recorded
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on with an interrupted recording in DIR.partial
    #[arg(long)]
    resume: bool,
    /// Record part I of N only, to be put together by `snellen merge`
    #[arg(long, value_name = "I/N")]
    shard: Option<Part>,
    /// Of scenes that are drawn; kept in run.json for the stages that follow
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print run.json, nothing else
    #[arg(long)]
    json: bool,
}

/// Scenes instead of images.
#[derive(Args)]
struct Drawn {
    /// Draw scenes, as `snellen scenes` does, instead of reading images; they never touch the disk
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "images")]
    scenes: Option<Kind>,
    /// How many: toy scenes, or swap twins (two images each), or repeats of the factorial grid
    #[arg(long, conflicts_with = "images", default_value_t = 500, default_value_if("scenes", "factorial", "1"), value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Height and width of scenes, in pixels; what the model takes where not given
    #[arg(long, conflicts_with = "images", value_parser = clap::value_parser!(u32).range(1..=8192))]
    size: Option<u32>,
    /// Draw on the canvas of arXiv 2508.16652 (232 x 231 pixels), objects of one size at fixed places
    #[arg(long, conflicts_with = "images")]
    study: bool,
}

/// Runs `snellen record`.
pub fn run(args: Record) -> Result<()> {
    // Before the model is loaded.
    let images = args.images.as_deref().map(|images| open_source(images, &args.image_column)).transpose()?;
    let model = args.load.open(&args.model)?;
    let source: Box<dyn Source> = match (images, args.drawn.scenes) {
        (None, Some(kind)) => {
            let size = args.drawn.size.unwrap_or(model.config.vision.image as u32);
            Box::new(SceneSource(series(kind, args.drawn.count, size, args.drawn.study, args.seed)?))
        }
        (Some(images), _) => images,
        (None, None) => return Err(snellen::Error::mismatch("record", "--images or --scenes", "neither")),
    };
    let config = RecordConfig {
        sites: args.sites,
        policies: args.tokens,
        batch: args.batch as usize,
        seed: args.seed,
        part: args.shard,
        unfinished: if args.resume { Unfinished::Resume } else { Unfinished::Keep },
    };
    let bars = Bars::new();
    let bar = bars.begin("recording activations");
    let run = record(&model, source.as_ref(), &config, &args.out, bar.as_ref());
    drop(bar);
    report(&run?, &args.out, args.json)
}

/// Says what stands in `out`.
pub fn report(run: &RunManifest, out: &Path, json: bool) -> Result<()> {
    if json {
        let json = serde_json::to_string_pretty(run).map_err(|e| snellen::Error::malformed("json", e))?;
        return terminal::say(json);
    }
    let arrays: usize = run.sites.iter().map(|s| s.policies.len()).sum();
    let part = run.part.as_ref().map_or(String::new(), |part| format!(" (part {}/{})", part.index, part.of));
    terminal::say(format!("{} images, {arrays} arrays in {}{part}", run.images.count, out.display()))
}
