//! `snellen record`

use crate::drawn::{Kind, series};
use crate::models::{self, Load};
use crate::terminal::{self, Bars};
use clap::Args;
use clap::builder::ArgPredicate;
use snellen::intervene::Edit;
use snellen::progress::Stages;
use snellen::record::skipped::{self, Skipped};
use snellen::record::{
    IMAGE_COLUMN, LabelsFrom, Only, Part, RecordConfig, RunManifest, SceneSource, Source, SourceConfig, Texts,
    TokenPolicy, Unfinished, open_source, record, record_texts,
};
use snellen::scene::{Series, World};
use snellen::{Error, Result};
use std::path::{Path, PathBuf};

/// Pictures that were passed over and are named on the terminal; `skipped.csv` has all.
const NAMED: usize = 20;
/// What `--texts` is given for the captions of images or scenes.
const CAPTIONS: &str = "captions";
/// Height and width of the canvas of scenes that are not drawn, in pixels.
const SIDE: u32 = 224;

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
    #[command(flatten)]
    said: Said,
    /// Sites by name or pattern, separated by commas: `blocks.*.mlp.hook_post`; of texts by default
    /// `text.blocks.*.mlp.hook_post,text.text_embeds`
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "blocks.*.mlp.hook_post,image_embeds",
        default_value_if("texts", ArgPredicate::IsPresent, "text.blocks.*.mlp.hook_post,text.text_embeds")
    )]
    sites: Vec<String>,
    /// How tokens become one row per image: cls, mean, mean_all, max, max_all, object, background, all; per text: eos (the token that is
    /// pooled), mean, max, all
    #[arg(long, value_delimiter = ',', default_value = "mean")]
    tokens: Vec<TokenPolicy>,
    /// Images or texts per forward
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// New folder for the run; DIR.partial while it is recorded
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// List pictures that can not be read in skipped.csv, and go on without them
    #[arg(long, conflicts_with = "texts")]
    skip_bad: bool,
    /// Change activations while recording, in this order; may be repeated: 'SITE [head=H] [tokens=GROUP] [units=UNITS] ACTION', as in
    /// 'blocks.3.mlp.hook_post tokens=class units=0,5,7-9 zero' (groups all, class, patches, registers; of texts all, start, end; units all,
    /// indices or file:PATH; actions zero, add:SCALE:FILE, project-out:FILE, rescale:FACTOR). It stands in run.json
    #[arg(long, value_name = "EDIT")]
    edit: Vec<Edit>,
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
    #[arg(long, value_name = "PATH", required_unless_present_any = ["scenes", "texts"])]
    images: Option<PathBuf>,
    /// What the images of a folder, or texts, show: `file` (labels.csv or metadata.csv, where there is one), `folders` (each is a class), `none`
    #[arg(long, value_name = "FROM", default_value_t = LabelsFrom::File, conflicts_with = "scenes")]
    labels: LabelsFrom,
    /// Columns of labels.csv or metadata.csv to take as labels, whatever is in them (of shape_0, shape_1, ... say shape); where not given,
    /// all numbered ones, or where there are none those in which some value comes twice
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', conflicts_with_all = ["scenes", "texts"])]
    label_columns: Vec<String>,
    /// Of a folder that holds several kinds, what to read: pictures, tars, parquet
    #[arg(long, value_name = "KIND", conflicts_with_all = ["scenes", "texts"])]
    only: Option<Only>,
    /// Of tars where keys have several pictures, the field that is meant: the first of these that a key has, or `*` for all
    #[arg(long, value_name = "FIELD", value_delimiter = ',', conflicts_with_all = ["scenes", "texts"])]
    image_field: Vec<String>,
    /// Column of Parquet files that holds the images
    #[arg(long, value_name = "NAME", default_value = IMAGE_COLUMN, conflicts_with_all = ["scenes", "texts"])]
    image_column: String,
    /// Which image of a column of lists, from 0
    #[arg(long, value_name = "N", conflicts_with_all = ["scenes", "texts"])]
    image_index: Option<u32>,
    /// Where the files are that a Parquet file names without holding them; its own folder where not given
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scenes", "texts"])]
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
            label_columns: self.label_columns,
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
    /// Name of a world (`snellen scenes worlds`), or a TOML file of one; toy where not given
    #[arg(long, value_name = "FILE|NAME", conflicts_with_all = ["images", "study"])]
    world: Option<String>,
}

impl Drawn {
    fn world(&self) -> Result<Option<World>> {
        self.world.as_deref().map(World::named_or_read).transpose()
    }

    fn series(&self, kind: Kind, size: u32, seed: u64) -> Result<Series> {
        series(kind, self.count, size, self.world()?, self.study, seed)
    }
}

/// Texts instead of images.
#[derive(Args)]
struct Said {
    /// Record the text tower instead of the vision tower: on a CSV file with a column `text` or `caption` (and `filename`, and labels
    /// `<factor>_<k>`, or a labels.csv beside it), or on the `captions` of --images FOLDER or --scenes KIND
    #[arg(long, value_name = "FILE|captions")]
    texts: Option<PathBuf>,
    /// Cut texts that are longer than the model takes, as transformers does; otherwise they are refused
    #[arg(long, requires = "texts")]
    truncate: bool,
}

impl Said {
    /// The texts, where they are asked for; `images` and `scenes` are what is said by them.
    fn open(&self, images: Option<&Path>, labels: LabelsFrom, scenes: Option<&Series>) -> Result<Option<Texts>> {
        let Some(file) = &self.texts else { return Ok(None) };
        let texts = match (file.as_os_str() == CAPTIONS, images, scenes) {
            (true, Some(folder), _) => Texts::captions(folder, labels),
            (true, None, Some(scenes)) => Texts::of_scenes(scenes),
            (false, None, None) => Texts::read(file, labels),
            (true, None, None) => {
                Err(Error::mismatch("--texts captions", "--images FOLDER or --scenes KIND", "neither"))
            }
            (false, ..) => {
                let expected = format!("{CAPTIONS} beside --images or --scenes, or neither of these");
                Err(Error::mismatch("--texts", expected, file.display()))
            }
        }?;
        texts.passed_over().iter().for_each(|passed| terminal::note(format!("passed over: {passed}")));
        Ok(Some(texts))
    }
}

/// Runs `snellen record`.
pub fn run(mut args: Record) -> Result<()> {
    let config = RecordConfig {
        sites: std::mem::take(&mut args.sites),
        policies: std::mem::take(&mut args.tokens),
        batch: args.batch as usize,
        seed: args.seed,
        part: args.shard,
        unfinished: if args.resume { Unfinished::Resume } else { Unfinished::Keep },
        skip_bad: args.skip_bad,
        edits: std::mem::take(&mut args.edit),
        bases: Vec::new(),
    };
    if args.said.texts.is_some() {
        return run_texts(&args, &config);
    }
    // Before the model is loaded.
    args.drawn.world()?;
    let images = args.given.open(args.skip_bad)?;
    let model = args.load.open(&args.model)?;
    let source: Box<dyn Source> = match (images, args.drawn.scenes) {
        (None, Some(kind)) => {
            let size = args.drawn.size.unwrap_or(model.config.vision.image as u32);
            Box::new(SceneSource(args.drawn.series(kind, size, args.seed)?))
        }
        (Some(images), _) => images,
        (None, None) => return Err(Error::mismatch("record", "--images or --scenes", "neither")),
    };
    let bars = Bars::new();
    let bar = bars.begin("recording activations");
    let run = record(&model, source.as_ref(), &config, &args.out, bar.as_ref());
    drop(bar);
    report(&run?, &args.out, args.json)
}

fn run_texts(args: &Record, config: &RecordConfig) -> Result<()> {
    // Captions of scenes are the same whatever they are drawn on.
    let scenes = args.drawn.scenes.map(|kind| args.drawn.series(kind, args.drawn.size.unwrap_or(SIDE), args.seed));
    let texts = args.said.open(args.given.images.as_deref(), args.given.labels, scenes.transpose()?.as_ref())?;
    let Some(texts) = texts else { return Err(Error::mismatch("record", "--texts", "none")) };
    let model = args.load.open(&args.model)?;
    let bars = Bars::new();
    let bar = bars.begin("recording activations");
    let run = record_texts(&model, (&texts, args.said.truncate), config, &args.out, bar.as_ref());
    drop(bar);
    report(&run?, &args.out, args.json)
}

/// Says what stands in `out`.
pub fn report(run: &RunManifest, out: &Path, json: bool) -> Result<()> {
    if let Some(passed) = run.images.as_ref().and_then(|images| images.skipped.as_ref()) {
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
    run.model.edits.iter().for_each(|edit| terminal::note(format!("edited: {}", edit.edit)));
    if json {
        let json = serde_json::to_string_pretty(run).map_err(|e| Error::malformed("json", e))?;
        return terminal::say(json);
    }
    let arrays: usize = run.sites.iter().map(|s| s.policies.len()).sum();
    let part = run.part.as_ref().map_or(String::new(), |part| format!(" (part {}/{})", part.index, part.of));
    terminal::say(format!("{} {}, {arrays} arrays in {}{part}", run.rows(), run.things(), out.display()))
}
