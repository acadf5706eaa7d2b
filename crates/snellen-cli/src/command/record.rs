//! `snellen record`

use crate::drawn::{Kind, series};
use crate::models::{self, Load};
use crate::terminal::{self, Bars};
use clap::Args;
use snellen::Result;
use snellen::exam::Stages;
use snellen::record::skipped::{self, Skipped};
use snellen::record::{
    IMAGE_COLUMN, LabelsFrom, Only, Part, RecordConfig, RunManifest, SceneSource, Source, SourceConfig, TokenPolicy,
    Unfinished, open_source, record,
};
use std::path::{Path, PathBuf};

/// Pictures that were passed over and are named on the terminal; `skipped.csv` has all.
const NAMED: usize = 20;

/// Arguments of `record`.
#[derive(Args)]
pub struct Record {
    #[arg(long, value_name = "MODEL", help = models::HELP)]
    model: String,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    given: Given,
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
    /// List pictures that can not be read in skipped.csv, and go on without them
    #[arg(long)]
    skip_bad: bool,
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

/// Images, and how they are read.
#[derive(Args)]
struct Given {
    /// Folder of images, of WebDataset tar files or of Parquet files, however deep; or one such tar (plain, gzip or zstd) or .parquet file
    #[arg(long, value_name = "PATH", required_unless_present = "scenes")]
    images: Option<PathBuf>,
    /// What the images of a folder show: `file` (labels.csv or metadata.csv, where there is one), `folders` (each is a class), `none`
    #[arg(long, value_name = "FROM", default_value_t = LabelsFrom::File, conflicts_with = "scenes")]
    labels: LabelsFrom,
    /// Of a folder that holds several kinds, what to read: pictures, tars, parquet
    #[arg(long, value_name = "KIND", conflicts_with = "scenes")]
    only: Option<Only>,
    /// Of tars where keys have several pictures, the field that is meant: the first of these that a key has, or `*` for all
    #[arg(long, value_name = "FIELD", value_delimiter = ',', conflicts_with = "scenes")]
    image_field: Vec<String>,
    /// Column of Parquet files that holds the images
    #[arg(long, value_name = "NAME", default_value = IMAGE_COLUMN, conflicts_with = "scenes")]
    image_column: String,
    /// Which image of a column of lists, from 0
    #[arg(long, value_name = "N", conflicts_with = "scenes")]
    image_index: Option<u32>,
    /// Where the files are that a Parquet file names without holding them; its own folder where not given
    #[arg(long, value_name = "DIR", conflicts_with = "scenes")]
    image_root: Option<PathBuf>,
}

impl Given {
    fn open(self, skip_bad: bool) -> Result<Option<Box<dyn Source>>> {
        let Some(images) = self.images else { return Ok(None) };
        let config = SourceConfig {
            column: self.image_column,
            index: self.image_index.map(|index| index as usize),
            root: self.image_root,
            fields: self.image_field.iter().map(|field| field.trim_start_matches('.').to_lowercase()).collect(),
            labels: self.labels,
            only: self.only,
            skip_bad,
        };
        let source = open_source(&images, &config)?;
        source.passed_over().iter().for_each(|passed| terminal::note(format!("passed over: {passed}")));
        Ok(Some(source))
    }
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
    let images = args.given.open(args.skip_bad)?;
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
        skip_bad: args.skip_bad,
    };
    let bars = Bars::new();
    let bar = bars.begin("recording activations");
    let run = record(&model, source.as_ref(), &config, &args.out, bar.as_ref());
    drop(bar);
    report(&run?, &args.out, args.json)
}

/// Says what stands in `out`.
pub fn report(run: &RunManifest, out: &Path, json: bool) -> Result<()> {
    if let Some(passed) = &run.images.skipped {
        let (rows, _) = Skipped::read(&out.join(skipped::FILE))?;
        rows.iter()
            .take(NAMED)
            .for_each(|row| terminal::note(format!("skipped {}: {}", row.filename.escape_debug(), row.reason)));
        let all = if rows.len() > NAMED { ", the first of which are named above" } else { "" };
        terminal::note(format!(
            "skipped {} pictures that can not be read{all}: {}",
            passed.count,
            out.join(skipped::FILE).display()
        ));
    }
    if json {
        let json = serde_json::to_string_pretty(run).map_err(|e| snellen::Error::malformed("json", e))?;
        return terminal::say(json);
    }
    let arrays: usize = run.sites.iter().map(|s| s.policies.len()).sum();
    let part = run.part.as_ref().map_or(String::new(), |part| format!(" (part {}/{})", part.index, part.of));
    terminal::say(format!("{} images, {arrays} arrays in {}{part}", run.images.count, out.display()))
}
