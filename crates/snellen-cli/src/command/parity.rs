//! `snellen parity`

use crate::models::{self, Load};
use crate::terminal;
use clap::Args;
use serde_json::{Value, json};
use snellen::model::parity::{Line, Made, Parity as Compared, Verdict, Weights, parity};
use snellen::{Error, Result};
use std::path::PathBuf;

/// The script that makes references, as it stands in the repository, and the modules that it imports there, by what an import of
/// each begins with.
const SCRIPT: &str = include_str!("../../../../scripts/dump_reference.py");
const MODULES: [(&str, &str); 5] = [
    ("from reference.recording import ", include_str!("../../../../scripts/reference/recording.py")),
    ("from reference.checkpoint import ", include_str!("../../../../scripts/reference/checkpoint.py")),
    ("from reference.of_transformers import ", include_str!("../../../../scripts/reference/of_transformers.py")),
    ("from reference.of_timm import ", include_str!("../../../../scripts/reference/of_timm.py")),
    ("from reference.of_open_clip import ", include_str!("../../../../scripts/reference/of_open_clip.py")),
];

/// Arguments of `parity`.
#[derive(Args)]
pub struct Parity {
    #[arg(long, value_name = "MODEL", help = models::HELP, required_unless_present = "print_script")]
    model: Option<String>,
    /// What another program made of the same checkpoint, as the script writes it
    #[arg(long, value_name = "FILE", required_unless_present = "print_script")]
    reference: Option<PathBuf>,
    /// Largest error of a site, in root mean squares of the reference
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
    #[command(flatten)]
    load: Load,
    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
    /// Print the Python script that makes a reference with transformers, open_clip or timm, and nothing else
    #[arg(long, exclusive = true)]
    print_script: bool,
}

/// Runs `snellen parity`; a model that does not agree is a failure, and so is a comparison that was not made.
pub fn run(args: &Parity) -> Result<()> {
    let (Some(model), Some(reference)) = (&args.model, &args.reference) else {
        return terminal::say(script().trim_end());
    };
    let model = args.load.open(model)?;
    let compared = parity(&model, reference, args.tolerance)?;
    if args.json {
        let malformed = |e| Error::malformed("json", e);
        let mut json = json!({
            "verdict": compared.verdict(), "not_compared": compared.not_compared(), "lines": compared.lines(),
        });
        if let (Value::Object(all), Value::Object(more)) =
            (&mut json, serde_json::to_value(&compared).map_err(malformed)?)
        {
            all.extend(more);
        }
        terminal::say(serde_json::to_string_pretty(&json).map_err(malformed)?)?;
    } else {
        table(&compared)?;
    }
    let place = reference.display().to_string();
    match compared.verdict() {
        Verdict::Agrees => Ok(()),
        Verdict::NotCompared => Err(Error::NotCompared { place, what: compared.not_compared().join(", ") }),
        Verdict::Differs => Err(Error::Disagrees { place, summary: differs(&compared) }),
    }
}

/// The script in one file: every module in place of its import.
fn script() -> String {
    let import = |line: &str| MODULES.iter().find(|(import, _)| line.starts_with(import));
    let own = |module: &str| module.lines().filter(|line| import(line).is_none()).collect::<Vec<_>>().join("\n");
    let lines = SCRIPT.lines().map(|line| import(line).map_or_else(|| line.to_owned(), |(_, module)| own(module)));
    lines.collect::<Vec<_>>().join("\n")
}

fn table(compared: &Compared) -> Result<()> {
    terminal::say(made(&compared.made))?;
    terminal::say(match &compared.weights {
        Weights::Same => "made from the same files of weights".to_owned(),
        Weights::Other(name) => format!("made from another {name}  <-- differs"),
        Weights::Unknown(why) => format!("made from unknown weights: {why}"),
    })?;
    terminal::say(format!("\n{:<36} {:>12} {:>12} {:>12}", "site", "max error", "RMS", "max / RMS"))?;
    for site in &compared.sites {
        let line = format!("{:<36} {:>12.3e} {:>12.3e} {:>12.3e}", site.site, site.max_error, site.rms, site.relative);
        let shape = site.other_shape.as_ref().map(|other| format!("  shape {other:?}, expected {:?}", site.shape));
        let verdict = if site.agrees(compared.tolerance) { "" } else { "  <-- differs" };
        terminal::say(format!("{line}{verdict}{}", shape.unwrap_or_default()))?;
    }
    for (names, what) in [(&compared.missing, "not in the reference"), (&compared.unknown, "no site of this model")] {
        names.iter().try_for_each(|name| terminal::say(format!("{:<36} {what}", printable(name))))?;
    }
    terminal::say("")?;
    for Line { kind, verdict, says } in compared.lines() {
        terminal::say(format!("{kind:<8} {:<14} {}", verdict.name(), printable(&says)))?;
        if kind == "pixels" {
            compared.of_backends().iter().try_for_each(|line| terminal::say(format!("{:<23} {line}", "")))?;
        }
    }
    let not_compared = compared.not_compared();
    if not_compared.is_empty() { Ok(()) } else { terminal::say(format!("not compared: {}", not_compared.join(", "))) }
}

/// Who made the reference, and with what.
fn made(made: &Made) -> String {
    let by = match (&made.processor, &made.backend) {
        (Some(processor), Some(backend)) => format!("; pixels by {processor} ({backend})"),
        (Some(processor), None) => format!("; pixels by {processor}"),
        (None, _) => String::new(),
    };
    let ids = made.tokenizer.as_ref().map_or(String::new(), |tokenizer| format!("; ids by {tokenizer}"));
    let versions: Vec<String> = made.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let versions = if versions.is_empty() { String::new() } else { format!(" ({})", versions.join(", ")) };
    format!("against {}{by}{ids}{versions}", made.source)
}

/// A name from a file, as a terminal takes it.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// What differs, and what was not compared beside it.
fn differs(compared: &Compared) -> String {
    let lines = compared.lines();
    let differing = lines.iter().filter(|line| line.verdict == Verdict::Differs);
    let mut parts: Vec<String> =
        differing.map(|line| format!("{} differ: {}", line.kind, printable(&line.says))).collect();
    if let Weights::Other(name) = &compared.weights {
        parts.push(format!("the reference was made from another {name}"));
    }
    let not_compared = compared.not_compared();
    if !not_compared.is_empty() {
        parts.push(format!("not compared: {}", not_compared.join(", ")));
    }
    parts.join("; ")
}
