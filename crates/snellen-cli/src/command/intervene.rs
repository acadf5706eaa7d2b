//! `snellen intervene`

use crate::subject::{Loaded, Subject};
use crate::terminal::{self, Bars};
use clap::Args;
use snellen::exam::readable;
use snellen::intervene::{Action, Against, Edit, Effect, Intervention, Restored, Shown, Tokens, Units, write_cause};
use snellen::measure::{Confidence, Interval};
use snellen::model::Site;
use snellen::output::{StagedDir, write_file};
use snellen::progress::Stages;
use snellen::scene::caption::TEMPLATES;
use snellen::{Error, Result};
use std::path::PathBuf;

/// Scenes that probes learn from.
const PROBE_SCENES: usize = 400;

/// Arguments of `intervene`.
#[derive(Args)]
pub struct Intervene {
    #[command(flatten)]
    subject: Subject,
    /// The activation that is changed, of either tower: `blocks.3.mlp.hook_post` (`snellen sites` lists them)
    #[arg(long)]
    site: Site,
    /// One head of q, k, v, z, scores or pattern
    #[arg(long, value_name = "N")]
    head: Option<usize>,
    /// Where: all, class, patches, background, registers, object:K (the patches of object K by its mask); of texts all, start, end,
    /// object:K (the words of object K)
    #[arg(long, value_name = "GROUP", default_value_t = Tokens::All)]
    tokens: Tokens,
    /// Which units: all; indices such as 0,5,7-9; top:N (those that differ most between twins); class:NAME or
    /// shared:FACTOR=VALUE,FACTOR=VALUE (measured on scenes); file:PATH (indices in a text file, # before comments)
    #[arg(long)]
    units: Units,
    /// What becomes of them: mean, zero, resample:SEED (what another scene has there), patch (what the swap twin has there),
    /// add:SCALE:FILE, project-out:FILE (a direction: .npy or safetensors, a number for each unit), rescale:FACTOR
    #[arg(long, default_value_t = Action::Mean)]
    edit: Action,
    /// Swap twins, in two pictures and two captions each
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    twins: u32,
    /// Ask linear probes of the embedding as well, of every attribute and its binding, which learn from 400 other scenes
    #[arg(long)]
    probes: bool,
    /// Random sets beside each set, of units that are like its own
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(19..=1_000_000))]
    draws: u32,
    /// The set as a whole, without its first 1, 2, 5, 10, ... units
    #[arg(long)]
    whole: bool,
    /// Of the intervals
    #[arg(long, default_value_t = 0.95)]
    confidence: f64,
    /// Of twins, captions and random sets
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// New folder for cause.parquet and cause.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print cause.json, nothing else
    #[arg(long)]
    json: bool,
}

/// Runs `snellen intervene`.
pub fn run(args: &Intervene) -> Result<()> {
    // Before anything is computed.
    let staged = args.out.as_deref().map(StagedDir::begin).transpose()?;
    let found = args.subject.with(|of| made(of, args))?;
    let json = serde_json::to_string_pretty(&found).map_err(|e| Error::malformed("json", e))?;
    if let Some(staged) = staged {
        write_cause(&staged.path().join("cause.parquet"), &found.effects)?;
        write_file(&staged.path().join("cause.json"), format!("{json}\n").as_bytes())?;
        staged.publish()?;
    }
    if args.json { terminal::say(json) } else { summarise(&found, args) }
}

/// The edit of a model, in the world that it was trained on, where the lab made it.
fn made(of: &Loaded, args: &Intervene) -> Result<Intervention> {
    let (model, world) = (&of.model, of.world());
    let own = of.training.as_ref().map(|training| training.templates.iter().map(String::as_str).collect::<Vec<_>>());
    let templates = readable(model, &world, &own.unwrap_or_else(|| TEMPLATES.to_vec()))?;
    let edit = Edit {
        site: args.site,
        head: args.head,
        tokens: args.tokens,
        units: args.units.clone(),
        action: args.edit.clone(),
    };
    let bars = Bars::new();
    let bar = bars.begin("editing");
    let shown = Shown {
        world: &world,
        templates: &templates,
        twins: args.twins as usize,
        doses: !args.whole,
        probes: if args.probes { PROBE_SCENES } else { 0 },
    };
    let against = Against {
        draws: args.draws as usize,
        seed: args.seed,
        confidence: Confidence::new(args.confidence)?,
        progress: bar.as_ref(),
    };
    snellen::intervene::intervene(model, &edit, shown, against)
}

fn summarise(found: &Intervention, args: &Intervene) -> Result<()> {
    let ends = |lo: f64, hi: f64| format!("[{:.2}, {:.2}]", hundredths(lo), hundredths(hi));
    let range = |of: &Interval| format!("{:>5.2} {:>14}", hundredths(of.estimate), ends(of.lo, of.hi));
    let world = found.world.as_ref().map_or(String::new(), |name| format!(" of the world `{name}`"));
    terminal::say(format!("{}\n{} twins{world}, {} random sets beside each", found.edit, found.twins, args.draws))?;
    terminal::say("Margins, and what the edit changes of them, in spreads between twins\n")?;
    for clean in &found.clean {
        terminal::say(format!("  clean {:<19} {}", short(&clean.target), range(&clean.margin)))?;
    }
    // Of small effects two digits would show nothing.
    let largest = found.effects.iter().flat_map(|e| [e.effect.lo, e.effect.hi, e.null.lo, e.null.hi]).fold(0.0, size);
    let (by, named) = if largest < SMALL { (1000.0, "effect in 1/1000") } else { (1.0, "effect") };
    let scaled = |of: &Interval| Interval { estimate: by * of.estimate, lo: by * of.lo, hi: by * of.hi };
    terminal::say(format!(
        "\n{:>5} {:<17} {:>20} {:>14} {:>5} {:>5} {:>7}",
        "units", "target", named, "random sets", "p", "q", "changed"
    ))?;
    for effect in &found.effects {
        terminal::say(format!(
            "{:>5} {:<17} {:>20} {:>14} {:>5.3} {:>5.3} {:>7}",
            effect.size,
            short(&effect.target),
            range(&scaled(&effect.effect)),
            ends(by * effect.null.lo, by * effect.null.hi),
            effect.p,
            effect.q,
            effect.changed
        ))?;
    }
    found.effects.iter().try_for_each(patched)?;
    found.left_out.iter().for_each(|left| terminal::note(format!("not shown: {left}")));
    args.out.as_ref().map_or(Ok(()), |out| terminal::say(format!("\n{}", out.join("cause.parquet").display())))
}

/// Where all ends of intervals lie within this, effects are said in thousandths.
const SMALL: f64 = 0.05;

/// The larger of `most` and the size of `x`.
fn size(most: f64, x: f64) -> f64 {
    most.max(x.abs())
}

/// The name of a target in a column.
fn short(target: &str) -> String {
    target.replace(" x ", "*")
}

/// Rounded to two digits; never -0.
fn hundredths(x: f64) -> f64 {
    (100.0 * x).round() / 100.0 + 0.0
}

/// What a patch brought back.
fn patched(effect: &Effect) -> Result<()> {
    let Some(restored) = &effect.restored else { return Ok(()) };
    let named = format!("{} units, {}", effect.size, short(&effect.target));
    match restored {
        Restored::Share(share) => terminal::say(format!(
            "{named}: patched into the twin (denoising) they restore {:.0} % [{:.0}, {:.0}] of the clean margin",
            100.0 * hundredths(share.estimate),
            100.0 * hundredths(share.lo),
            100.0 * hundredths(share.hi)
        )),
        Restored::NothingToRestore => {
            terminal::say(format!("{named}: nothing to restore, no clean margin above noise"))
        }
    }
}
