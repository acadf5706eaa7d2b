//! `snellen exam`

use crate::bundled;
use crate::models::{self, Load};
use crate::terminal::{self, Bars};
use clap::Args;
use snellen::exam::{ExamConfig, examine};
use snellen::lab::Origin;
use snellen::model::Model;
use snellen::record::{LabelsFrom, RunManifest};
use snellen::report::{Rate, Report};
use snellen::scene::World;
use snellen::{Error, Result};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Arguments of `exam`.
#[derive(Args)]
pub struct Exam {
    #[arg(long, value_name = "MODEL", help = format!("{}; a small bundled CLIP where not given", models::HELP))]
    model: Option<String>,
    #[command(flatten)]
    load: Load,
    /// What scenes are made of: name of a world (`snellen scenes worlds`), or a TOML file of one; what a model of the lab was trained on, toy
    /// for any other, where not given
    #[arg(long, value_name = "FILE|NAME")]
    world: Option<String>,
    /// Folder of labelled images for the unit measures; generated scenes where not given
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// What the images show: `file` (labels.csv or metadata.csv), or `folders` (each is a class)
    #[arg(long, value_name = "FROM", default_value_t = LabelsFrom::File, requires = "images", value_parser = some_labels)]
    labels: LabelsFrom,
    /// New folder for the report and everything it was made from
    #[arg(long, value_name = "DIR", default_value = "snellen-exam")]
    out: PathBuf,
    /// Of scenes, halves and nulls
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print report.json, nothing else
    #[arg(long)]
    json: bool,
    /// Don't open the report in a browser
    #[arg(long)]
    no_open: bool,
}

/// What says what the images show: something has to.
fn some_labels(text: &str) -> Result<LabelsFrom> {
    match text.parse()? {
        LabelsFrom::Nothing => {
            Err(Error::mismatch("labels", "file or folders, as units are measured by labels", "`none`"))
        }
        from => Ok(from),
    }
}

/// Runs `snellen exam`.
pub fn run(args: Exam) -> Result<()> {
    let bars = Bars::new();
    // Before anything is computed.
    if args.out.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: args.out });
    }
    let mut config = ExamConfig::standard(args.seed)?;
    config.world = args.world.as_deref().map(World::named_or_read).transpose()?;
    config.images = args.images;
    config.labels = args.labels;
    let report = match &args.model {
        Some(model) => {
            let model = args.load.open(model)?;
            held(&model, &model.name, &config, &args.out, &bars)?
        }
        None => bundled::with_model(|folder| {
            let model = Model::load_with(folder, &args.load.config()?)?;
            held(&model, bundled::NAME, &config, &args.out, &bars)
        })?,
    };
    let run = RunManifest::read(&args.out.join("run"))?;
    run.images
        .iter()
        .flat_map(|images| &images.passed_over)
        .for_each(|passed| terminal::note(format!("passed over: {passed}")));
    if args.json {
        return terminal::say(String::from_utf8_lossy(&report.to_json()?).trim_end());
    }
    summarise(&report, &args.out)?;
    if !args.no_open && std::io::stdout().is_terminal() {
        // The report is written; that no browser is there is no failure.
        let _ = opener::open(args.out.join("report.html"));
    }
    Ok(())
}

/// Examines `model` in the world that it was trained on, where the lab made it.
fn held(model: &Model, name: &str, config: &ExamConfig, out: &Path, bars: &Bars) -> Result<Report> {
    let training = Origin::read(&model.folder)?.map(|origin| origin.training()).transpose()?;
    examine(model, name, training.as_ref(), config, out, bars)
}

fn summarise(report: &Report, out: &Path) -> Result<()> {
    let line = |name: &str, rate: &Rate| {
        let a = &rate.accuracy;
        terminal::say(format!(
            "{name:<34} {:>5.1} %  [{:>5.1}, {:>5.1}]  chance {:>4.1} %",
            100.0 * a.estimate,
            100.0 * a.lo,
            100.0 * a.hi,
            100.0 * rate.chance
        ))
    };
    terminal::say(format!("Eye exam of {}", report.name))?;
    for question in &report.questions {
        terminal::say(format!("\n{}: {}", question.title, question.purpose))?;
        question.rates.iter().try_for_each(|named| line(&format!("  {}", named.title), &named.rate))?;
    }
    terminal::say("")?;
    report.findings.iter().try_for_each(|finding| terminal::say(format!("- {finding}")))?;
    terminal::say(format!("\n{}", out.join("report.html").display()))
}
