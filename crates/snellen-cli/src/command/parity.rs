//! `snellen parity`

use crate::models::{self, Load};
use crate::terminal;
use clap::Args;
use snellen::model::parity::{Parity as Compared, parity};
use snellen::{Error, Result};
use std::path::PathBuf;

/// The script that makes references, as it stands in the repository, and the modules that it imports there, by what an import of
/// each begins with.
const SCRIPT: &str = include_str!("../../../../scripts/dump_reference.py");
const MODULES: [(&str, &str); 4] = [
    ("from reference.recording import ", include_str!("../../../../scripts/reference/recording.py")),
    ("from reference.checkpoint import ", include_str!("../../../../scripts/reference/checkpoint.py")),
    ("from reference.of_transformers import ", include_str!("../../../../scripts/reference/of_transformers.py")),
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
    /// Print the Python script that makes a reference with transformers or open_clip, and nothing else
    #[arg(long, exclusive = true)]
    print_script: bool,
}

/// Runs `snellen parity`; a model that does not agree is a failure.
pub fn run(args: &Parity) -> Result<()> {
    let (Some(model), Some(reference)) = (&args.model, &args.reference) else {
        return terminal::say(script().trim_end());
    };
    let model = args.load.open(model)?;
    let compared = parity(&model, reference, args.tolerance)?;
    if args.json {
        terminal::say(serde_json::to_string_pretty(&compared).map_err(|e| Error::malformed("json", e))?)?;
    } else {
        table(&compared)?;
    }
    if compared.holds() {
        return Ok(());
    }
    Err(Error::Disagrees { place: reference.display().to_string(), summary: summary(&compared) })
}

/// The script in one file: every module in place of its import.
fn script() -> String {
    let import = |line: &str| MODULES.iter().find(|(import, _)| line.starts_with(import));
    let own = |module: &str| module.lines().filter(|line| import(line).is_none()).collect::<Vec<_>>().join("\n");
    let lines = SCRIPT.lines().map(|line| import(line).map_or_else(|| line.to_owned(), |(_, module)| own(module)));
    lines.collect::<Vec<_>>().join("\n")
}

fn table(compared: &Compared) -> Result<()> {
    terminal::say(format!("against {}\n", compared.source))?;
    let verdict = |agrees: bool| if agrees { "" } else { "  <-- differs" };
    if let Some(pixels) = &compared.pixels {
        let line = format!(
            "{} pictures: at most {:.3}/255 off, {:.3} % of values exact",
            pixels.pictures,
            pixels.max_steps,
            100.0 * pixels.exact
        );
        terminal::say(format!("{line}{}", verdict(pixels.agrees())))?;
    }
    if let Some(captions) = &compared.captions {
        let agrees = captions.same == captions.captions;
        let line = format!("{} of {} captions: same token ids", captions.same, captions.captions);
        terminal::say(format!("{line}{}", verdict(agrees)))?;
    }
    terminal::say(format!("\n{:<36} {:>12} {:>12} {:>12}", "site", "max error", "RMS", "max / RMS"))?;
    for site in &compared.sites {
        let line = format!("{:<36} {:>12.3e} {:>12.3e} {:>12.3e}", site.site, site.max_error, site.rms, site.relative);
        let shape = site.other_shape.as_ref().map(|other| format!("  shape {other:?}, expected {:?}", site.shape));
        let agrees = verdict(site.agrees(compared.tolerance));
        terminal::say(format!("{line}{agrees}{}", shape.unwrap_or_default()))?;
    }
    terminal::say(format!("\n{}", summary(compared)))
}

fn summary(compared: &Compared) -> String {
    let agree = compared.sites.iter().filter(|site| site.agrees(compared.tolerance)).count();
    let worst = compared.sites.iter().max_by(|a, b| a.relative.total_cmp(&b.relative));
    let worst =
        worst.map_or(String::new(), |w| format!("; the largest error is {:.1e} of its RMS, at {}", w.relative, w.site));
    let unknown = match &compared.unknown[..] {
        [] => String::new(),
        [first, ..] => format!("; {} tensors are no site of this model, such as `{first}`", compared.unknown.len()),
    };
    let pixels = compared.pixels.as_ref().filter(|pixels| !pixels.agrees());
    let pixels =
        pixels.map_or(String::new(), |p| format!("; pictures are prepared differently, {:.1}/255 off", p.max_steps));
    let captions = compared.captions.as_ref().filter(|captions| captions.same < captions.captions);
    let captions = captions
        .map_or(String::new(), |c| format!("; {} of {} captions get other token ids", c.captions - c.same, c.captions));
    let total = compared.sites.len();
    format!(
        "{agree} of {total} sites agree within {:.0e} of their RMS{worst}{pixels}{captions}{unknown}",
        compared.tolerance
    )
}
