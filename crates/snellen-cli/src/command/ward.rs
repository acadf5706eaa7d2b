//! `snellen lab ward`

use crate::{signals, terminal};
use clap::Args;
use snellen::lab::Event;
use snellen::lab::ward::{self, Bed, Kind, NAMED, Stem, called};
use snellen::measure::Confidence;
use snellen::output::Claim;
use snellen::{Error, Result};
use std::path::PathBuf;

/// Arguments of `lab ward`.
#[derive(Args)]
pub struct Ward {
    /// Kinds of patients: healthy, blurred, unbound-image, entangled, unbound-text, mismatched, memoriser; all where not given
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', value_parser = str::parse::<Kind>)]
    kinds: Vec<Kind>,
    /// Patients of each kind, of seeds 1 to N: those that DIR lacks are bred, some minutes each; those that DIR holds where not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=999))]
    seeds: Option<u16>,
    /// How many stems (sizes of the towers) they have: plain, fine and wide, the first N of these
    #[arg(long, value_name = "N", default_value_t = 1, requires = "seeds", value_parser = clap::value_parser!(u8).range(1..=3))]
    stems: u8,
    /// Folder of the patients, each in KIND-SEED, or KIND-STEM-SEED of other stems than the plain one
    #[arg(long, value_name = "DIR", default_value = "snellen-ward")]
    dir: PathBuf,
    /// Folder for ward.parquet and ward.html; DIR where not given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Of the exam's scenes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Fail where a patient is not named right
    #[arg(long)]
    strict: bool,
    /// Print patients and shares as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `snellen lab ward`.
pub fn run(args: &Ward) -> Result<()> {
    let kinds = if args.kinds.is_empty() { Kind::ALL.to_vec() } else { args.kinds.clone() };
    signals::listen();
    let out = args.out.as_ref().unwrap_or(&args.dir);
    if args.seeds.is_none() && !args.dir.is_dir() {
        return Err(Error::mismatch(args.dir.display(), "a folder of patients, or --seeds to breed some", "none"));
    }
    // Before anything is computed: the right to write there, and that it can be.
    let _claim = Claim::on(&out.join("ward.parquet"))?;
    let beds = beds(args, &kinds)?;
    let mut patients = Vec::new();
    for bed in &beds {
        let mut observe = |bed: &Bed, event: &Event| {
            if let Event::Evaluated(evaluation) = event {
                terminal::complain(format!("{}: step {}\n", bed.name(), evaluation.step));
            }
        };
        bed.fill(&mut observe, &signals::Listening)?;
        let patient = bed.examine(args.seed)?;
        if !args.json {
            let mark = if patient.right { "" } else { "  <- wrong" };
            let (kind, stem) = (bed.kind.name(), bed.stem.name());
            terminal::say(format!("{kind:<14} {stem:<6}{:>3}  {}{mark}", bed.seed, called(patient.named)))?;
        }
        patients.push(patient);
    }
    let ward = ward::Ward::of(patients, Confidence::new(0.95)?)?;
    ward.write(out)?;
    if args.json {
        let json = serde_json::to_string_pretty(&ward).map_err(|e| Error::malformed("ward", e))?;
        terminal::say(json)?;
    } else {
        table(&ward)?;
        terminal::say(format!("\n{}", out.join("ward.html").display()))?;
    }
    let wrong: Vec<String> = ward
        .patients
        .iter()
        .filter(|p| !p.right)
        .map(|p| {
            let bed = Bed::new(&args.dir, p.kind, p.stem, p.seed);
            format!("{} named {}", bed.name(), called(p.named))
        })
        .collect();
    if args.strict && !wrong.is_empty() {
        return Err(Error::mismatch("ward", "every patient named right", wrong.join(", ")));
    }
    Ok(())
}

/// Who is to lie there, or lies there.
fn beds(args: &Ward, kinds: &[Kind]) -> Result<Vec<Bed>> {
    if let Some(seeds) = args.seeds {
        std::fs::create_dir_all(&args.dir).map_err(Error::io(&args.dir))?;
        let stems = &Stem::ALL[..usize::from(args.stems)];
        let each = kinds.iter().flat_map(|kind| stems.iter().map(|stem| (*kind, *stem)));
        let of = |(kind, stem)| (1..=u64::from(seeds)).map(move |seed| Bed::new(&args.dir, kind, stem, seed));
        return Ok(each.flat_map(of).collect());
    }
    let (beds, others) = Bed::all(&args.dir, kinds)?;
    if let Some((path, why)) = others.first().filter(|_| args.strict) {
        return Err(Error::mismatch(path.display(), "a patient in every folder of the ward", why));
    }
    let passed = |(path, why): &(PathBuf, String)| terminal::note(format!("passed over {}: {why}", path.display()));
    others.iter().for_each(passed);
    Ok(beds)
}

/// What was bred against what was named.
fn table(ward: &ward::Ward) -> Result<()> {
    let heads = NAMED.map(|failure| format!("{:>11}", called(failure))).concat();
    terminal::say(format!("\n{:<14}{heads}", "bred"))?;
    for kind in Kind::ALL {
        if ward.patients.iter().any(|patient| patient.kind == kind) {
            let counts = NAMED.map(|failure| format!("{:>11}", ward.count(kind, failure))).concat();
            terminal::say(format!("{:<14}{counts}", kind.name()))?;
        }
    }
    let share = |name: &str, of: &snellen::measure::proportion::Proportion| {
        let [estimate, lo, hi] = [of.estimate, of.lo, of.hi].map(|x| 100.0 * x);
        terminal::say(format!("{name:<14}{estimate:>6.1} %  [{lo:.1}, {hi:.1}] of {}", of.n))
    };
    terminal::say("")?;
    share("named right", &ward.right)?;
    share("can't tell", &ward.cant_tell)?;
    ward.called_ill.as_ref().map_or(Ok(()), |of| share("healthy, ill", of))
}
