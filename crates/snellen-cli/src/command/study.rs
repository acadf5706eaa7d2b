//! `snellen study`

use crate::scratch::Scratch;
use crate::terminal::{self, Bars, Downloads};
use clap::{Args, ValueEnum};
use snellen::lab::Origin;
use snellen::model::{Backend, LoadConfig, Model, Orientation};
use snellen::output::StagedDir;
use snellen::progress::Stages;
use snellen::scene::labels_csv::read_labels;
use snellen::study::link::Link;
use snellen::study::{Embeddings, Study as Done, StudyConfig, Truth, embeddings, from_embeddings, from_model};
use snellen::{Error, Result};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// A study that can be done again.
#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// "Do VLMs Have Bad Eyes?"
    #[value(name = "2508.16652")]
    BadEyes,
}

/// Arguments of `study`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("from").required(true).args(["model", "embeddings"])))]
pub struct Study {
    /// Which study, by its arXiv number
    #[arg(value_enum, value_name = "ARXIV")]
    which: Which,
    #[arg(long, value_name = "MODEL", help = format!("{}: the whole chain from pictures", crate::models::HELP))]
    model: Option<String>,
    /// Folder of images with labels.csv for --model; the study's own pictures, drawn anew, where not given
    #[arg(long, value_name = "DIR", conflicts_with = "embeddings")]
    images: Option<PathBuf>,
    /// Safetensors, .npy or .npz file with image embeddings, a row per image: what follows from embeddings alone
    #[arg(long, value_name = "FILE", requires = "labels")]
    embeddings: Option<PathBuf>,
    /// The tensor of --embeddings; where not given, image_embeds or the only one that can be embeddings
    #[arg(long, value_name = "NAME", requires = "embeddings", visible_alias = "tensors")]
    embeddings_tensor: Option<String>,
    /// What the images of --embeddings show, in the order of its rows
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    labels: Option<PathBuf>,
    /// Numbers per embedding, for other encoders than the study's
    #[arg(long, value_name = "N", conflicts_with = "model", default_value_t = embeddings::WIDTH)]
    width: usize,
    /// Look at pairs on t-SNE maps too, which takes about a minute
    #[arg(long)]
    tsne: bool,
    /// Whose arithmetic pictures go through in the exam of the model as it is: pil (the default), torchvision. The study's own is
    /// Pillow's
    #[arg(long, value_name = "NAME", conflicts_with = "embeddings")]
    preprocessing: Option<Backend>,
    #[arg(long, value_name = "WHAT", default_value_t = Orientation::Honour, help = crate::models::ORIENTATION)]
    orientation: Orientation,
    /// Of random sets of images, folds and permutations that are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

/// What becomes of the result.
#[derive(Args)]
struct Output {
    /// New folder for study.html, study.json, pairs.csv, units.csv and checks.csv
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Exit with code 1 when a number differs from the printed one
    #[arg(long)]
    strict: bool,
    /// Print study.json, nothing else
    #[arg(long)]
    json: bool,
    /// Don't open study.html in a browser
    #[arg(long)]
    no_open: bool,
}

impl Study {
    fn config(&self) -> StudyConfig {
        StudyConfig { seed: self.seed, tsne: self.tsne }
    }
}

/// Runs `snellen study`.
pub fn run(args: &Study) -> Result<()> {
    let Which::BadEyes = args.which;
    let bars = Bars::new();
    let out = args.output.out.as_deref().map(StagedDir::begin).transpose()?;
    let (study, units) = match (&args.embeddings, &args.labels, &args.model) {
        (Some(embeddings), Some(labels), _) => (of_embeddings(embeddings, labels, args, &bars)?, Vec::new()),
        (_, _, Some(model)) => {
            let scratch = Scratch::new()?;
            let folder = out.as_ref().map_or(scratch.path(), StagedDir::path);
            let load = |with: &LoadConfig| {
                let backend = args.preprocessing.filter(|_| with.preprocessing.is_none());
                let with = LoadConfig { backend, orientation: args.orientation, ..with.clone() };
                Model::open(model, &with, &Downloads)
            };
            let training = |model: &Model| Origin::training_of(&model.folder);
            from_model(&load, &training, args.images.as_deref(), args.config(), folder, &bars)?
        }
        _ => return Err(Error::mismatch("study", "--model, or --embeddings and --labels", "neither")),
    };
    let written = out.map(|out| -> Result<PathBuf> {
        study.write(out.path(), &units)?;
        out.publish()
    });
    let written = written.transpose()?;
    if args.output.json {
        terminal::say(String::from_utf8_lossy(&study.to_json()?).trim_end())?;
    } else {
        summarise(&study, written.as_deref())?;
    }
    if let Some(folder) = &written
        && !args.output.json
        && !args.output.no_open
        && std::io::stdout().is_terminal()
    {
        // The page is written; that no browser is there is no failure.
        let _ = opener::open(folder.join("study.html"));
    }
    if args.output.strict { study.agrees() } else { Ok(()) }
}

fn of_embeddings(path: &Path, labels: &Path, args: &Study, bars: &Bars) -> Result<Done> {
    let _bar = bars.begin("120 pairs");
    let truth = Truth::of(&read_labels(labels)?, &labels.display().to_string())?;
    let embeddings = Embeddings::read(path, args.embeddings_tensor.as_deref(), truth.images(), args.width)?;
    embeddings.notes().iter().for_each(terminal::note);
    from_embeddings(&embeddings, &truth, args.config())
}

fn summarise(study: &Done, written: Option<&Path>) -> Result<()> {
    terminal::say(format!("The study {}, {} images\n", study.study, study.images))?;
    terminal::say(format!("{:<42} {:>8} {:>8} {:>20}", "printed", "numbers", "differ", "largest difference"))?;
    for check in &study.checks {
        let largest = check.largest_difference.map_or("-".to_owned(), |x| format!("{x:.1e}"));
        terminal::say(format!("{:<42} {:>8} {:>8} {largest:>20}", check.quantity, check.printed, check.differing))?;
    }
    if study.model.is_some() {
        let whose = "openai/clip-vit-large-patch14 on the study's own pictures; of others they differ";
        terminal::say(format!("Printed were the numbers of {whose}"))?;
    }
    let number = |x: Option<f64>, digits: usize| x.map_or("-".to_owned(), |x| format!("{x:.digits$}"));
    terminal::say(format!(
        "\n{:<42} {:>8} {:>8} {:>8} {:>11}   r without one feature",
        "sum of ratios against", "r", "rho", "p naive", "p relabelled"
    ))?;
    let line = |name: &str, link: &Link| {
        terminal::say(format!(
            "{name:<42} {:>8} {:>8} {:>8} {:>12}   {} to {}",
            number(link.pearson, 3),
            number(link.spearman, 3),
            number(link.p_naive, 4),
            number(link.p_label_permutation, 4),
            number(link.leave_one_out_min, 2),
            number(link.leave_one_out_max, 2)
        ))
    };
    line("distance", &study.links.full_distance)?;
    line("misclassification", &study.links.full_misclassification)?;
    line("distance, principal components", &study.links.pca_distance)?;
    line("misclassification, principal components", &study.links.pca_misclassification)?;
    if let Some(maps) = &study.tsne {
        line("distance, t-SNE", &maps.distance)?;
        line("misclassification, t-SNE", &maps.misclassification)?;
    }
    terminal::say("")?;
    study.findings.iter().try_for_each(|finding| terminal::say(format!("- {finding}")))?;
    match written {
        Some(folder) => terminal::say(format!("\n{}", folder.join("study.html").display())),
        None => terminal::say("\n--out DIR writes study.html, study.json and tables"),
    }
}
