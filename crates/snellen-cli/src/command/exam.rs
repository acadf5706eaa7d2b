//! `snellen exam`

use crate::subject::Subject;
use crate::terminal::{self, Bars};
use clap::Args;
use serde_json::{Value, json};
use snellen::exam::{Cache, ExamConfig, QUESTIONS, Question, examine, questions};
use snellen::output;
use snellen::record::{LabelsFrom, RunManifest, Unfinished};
use snellen::report::verdict::{Cell, CellAnswer, Failure, Verdict};
use snellen::report::{Rate, Report};
use snellen::{Error, Result};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Arguments of `exam`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Exam {
    #[command(flatten)]
    subject: Subject,
    /// Folder of labelled pictures to examine on instead of drawn scenes (captions.csv, if there, is used)
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// What the images show: `file` (labels.csv or metadata.csv), or `folders` (each is a class)
    #[arg(long, value_name = "FROM", default_value_t = LabelsFrom::File, requires = "images", value_parser = some_labels)]
    labels: LabelsFrom,
    /// Columns of labels.csv or metadata.csv to take as labels, whatever is in them; where not given, all numbered ones (shape_0), or where
    /// there are none those in which some value comes twice
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "images")]
    label_columns: Vec<String>,
    /// New folder for the report and everything it was made from; where not given snellen-exam, or where that is there snellen-exam-2
    /// and so on
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with an exam that ended early: what it had found (questions, verdict, recorded images, untrained models) is in OUT.partial
    #[arg(long)]
    resume: bool,
    /// Of scenes, halves and nulls
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Fewer scenes and controls: wider intervals, in a third of the time
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// More scenes and controls: narrower intervals, in three times the time
    #[arg(long)]
    full: bool,
    /// Untrained models of each kind (weights drawn anew, weights shuffled) beside which the units are counted; 0 for none [default: 3,
    /// with --quick 2, with --full 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=99))]
    controls: Option<u8>,
    /// Ask only these: questions, `verdict` (which link fails) and `units`, separated by commas; --list names them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    questions: Vec<String>,
    /// List what can be asked (with --json as JSON), and ask nothing
    #[arg(long)]
    list: bool,
    /// Measure untrained models anew, and keep nothing of them for the next exam (in the user's cache, snellen/untrained)
    #[arg(long)]
    no_cache: bool,
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
    if args.list {
        return list(args.json);
    }
    let bars = Bars::new();
    // Before anything is computed.
    let out = match &args.out {
        Some(out) => out.clone(),
        None if args.resume => unfinished("snellen-exam")?,
        None => free("snellen-exam"),
    };
    // One that ended after it had appeared is tidied up.
    if out.symlink_metadata().is_ok() && !(args.resume && is_there(&output::unfinished(&out))) {
        return Err(Error::Exists { path: out });
    }
    let mut config = match (args.quick, args.full) {
        (true, _) => ExamConfig::quick(args.seed)?,
        (_, true) => ExamConfig::full(args.seed)?,
        _ => ExamConfig::standard(args.seed)?,
    };
    config.unfinished = if args.resume { Unfinished::Resume } else { Unfinished::Keep };
    config.world = args.subject.world()?;
    config.images = args.images;
    config.labels = args.labels;
    config.label_columns = args.label_columns;
    chosen(&args.questions, &mut config)?;
    config.cache = if args.no_cache { None } else { cache() };
    config.controls = args.controls.map_or(config.controls, usize::from);
    let report = args.subject.with(|of| examine(&of.model, &of.name, of.training.as_ref(), &config, &out, &bars))?;
    if config.units {
        let images = RunManifest::read(&out.join("run"))?.images;
        let passed = images.iter().flat_map(|images| &images.passed_over);
        passed.for_each(|passed| terminal::note(format!("passed over: {passed}")));
    }
    if args.json {
        return terminal::say(String::from_utf8_lossy(&report.to_json()?).trim_end());
    }
    summarise(&report, &out)?;
    if !args.no_open && std::io::stdout().is_terminal() {
        // The report is written; that no browser is there is no failure.
        let _ = opener::open(out.join("report.html"));
    }
    Ok(())
}

/// Where measures of untrained models are kept; nowhere where the user has no home or the program can't be read.
fn cache() -> Option<Cache> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // One that isn't absolute is to be ignored, says the XDG base directory specification.
    let named = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let home = named.or_else(|| variable("HOME").map(|home| home.join(".cache")))?;
    let program = std::fs::read(std::env::current_exe().ok()?).ok()?;
    Some(Cache::new(home.join("snellen/untrained"), &program))
}

/// What is asked beside questions.
const PARTS: [(&str, &str); 2] = [
    ("verdict", "which link fails, for every attribute and every binding"),
    ("units", "what each unit stands for, beside untrained models"),
];

/// Says names and purposes of all that can be asked.
fn list(json: bool) -> Result<()> {
    let questions = QUESTIONS.map(|question| (question.id(), question.purpose()));
    let mut all = PARTS[..1].iter().chain(&questions).chain(&PARTS[1..]);
    if json {
        let all: Vec<_> = all.map(|(name, purpose)| json!({ "name": name, "purpose": purpose })).collect();
        return terminal::say(format!("{:#}", Value::from(all)));
    }
    all.try_for_each(|(name, purpose)| terminal::say(format!("{name:<16}{purpose}")))
}

/// Leaves of `config` what is called `names`; all where there are none, and own pictures where they are given.
fn chosen(names: &[String], config: &mut ExamConfig) -> Result<()> {
    if names.is_empty() {
        // All others are named with the reason why they can't be asked of pictures.
        if config.images.is_some() {
            config.questions = QUESTIONS.to_vec();
        }
        return Ok(());
    }
    let known: Vec<&str> = PARTS.iter().map(|(part, _)| *part).chain(QUESTIONS.map(Question::id)).collect();
    if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Error::mismatch("questions", known.join(", "), format!("`{}`", other.escape_debug())));
    }
    let asked = |part: &str| names.iter().any(|name| name == part);
    let own: Vec<String> = names.iter().filter(|name| PARTS.iter().all(|(part, _)| part != name)).cloned().collect();
    config.questions = questions(&own)?;
    config.verdict = config.verdict.filter(|_| asked("verdict"));
    config.units = asked("units");
    Ok(())
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// `name`, `name-2`, ...
fn numbered(name: &str) -> impl Iterator<Item = PathBuf> {
    std::iter::once(PathBuf::from(name)).chain((2..).map(move |k| PathBuf::from(format!("{name}-{k}"))))
}

/// The first of these names that no exam has, finished or not.
fn free(name: &str) -> PathBuf {
    let taken = |path: &PathBuf| is_there(path) || is_there(&output::unfinished(path));
    numbered(name).find(|path| !taken(path)).unwrap_or_else(|| PathBuf::from(name))
}

/// The first of these names that an unfinished exam has.
fn unfinished(name: &str) -> Result<PathBuf> {
    let mut first = numbered(name).take_while(|path| is_there(path) || is_there(&output::unfinished(path)));
    let found = first.find(|path| is_there(&output::unfinished(path)));
    let none =
        || Error::mismatch(format!("{name}.partial"), "an unfinished exam to go on with (--out names it)", "none");
    found.ok_or_else(none)
}

/// Which link of the chain fails, a row for every attribute and binding.
fn chart(verdict: &Verdict) -> Result<()> {
    let answer = |cell: &Cell| {
        let said = match cell.answer {
            CellAnswer::Yes => "yes",
            CellAnswer::No => "NO",
            CellAnswer::CantTell => "unclear",
            CellAnswer::NotAsked => "-",
        };
        let number = cell.estimate.filter(|_| cell.chance.is_some() && cell.answer != CellAnswer::NotAsked);
        number.map_or(said.to_owned(), |share| format!("{said} {:.0}", 100.0 * share))
    };
    if verdict.rows.is_empty() {
        return Ok(());
    }
    let heads = ["in image", "accessible", "in text", "match", "new pairs"].map(|name| format!("{name:>12}")).concat();
    terminal::say(format!("\n{:<18}{heads}", ""))?;
    for row in &verdict.rows {
        let cells = row.cells.each().map(|(_, cell)| format!("{:>12}", answer(cell))).concat();
        terminal::say(format!("{:<18}{cells}", row.content.replace("color", "colour")))?;
    }
    terminal::say("")?;
    if let Some(failure) = verdict.failure {
        terminal::say(format!("Failure: {}.", said(failure)))?;
    }
    terminal::say(&verdict.sentence)
}

/// What a failure is called in words.
fn said(failure: Failure) -> &'static str {
    match failure {
        Failure::NotSeen => "not seen",
        Failure::Absent => "absent",
        Failure::Entangled => "entangled",
        Failure::Text => "text",
        Failure::Mismatched => "mismatched",
        Failure::Memorised => "memorised",
        Failure::CantTell => "can't be told",
    }
}

/// Columns of the names of rates.
const NAMES: usize = 34;

fn summarise(report: &Report, out: &Path) -> Result<()> {
    let line = |name: &str, rate: &Rate| {
        let a = &rate.accuracy;
        // A long name has a line of its own, so that numbers stay in their columns.
        let name =
            if name.chars().count() > NAMES { format!("{name}\n{:NAMES$}", "") } else { format!("{name:<NAMES$}") };
        terminal::say(format!(
            "{name} {:>5.1} %  [{:>5.1}, {:>5.1}]  chance {:>4.1} %",
            100.0 * a.estimate,
            100.0 * a.lo,
            100.0 * a.hi,
            100.0 * rate.chance
        ))
    };
    let world = report.world.as_ref().map_or(String::new(), |name| format!(", in the world `{name}`"));
    terminal::say(format!("Eye exam of {}{world}", report.name))?;
    report.verdict.as_ref().map_or(Ok(()), chart)?;
    for question in report.questions.iter().filter(|question| question.left_out.is_none()) {
        terminal::say(format!("\n{}: {}", question.title, question.purpose))?;
        question.left_out_parts.iter().try_for_each(|part| terminal::say(format!("  left out: {part}")))?;
        question.rates.iter().try_for_each(|named| line(&format!("  {}", named.title), &named.rate))?;
    }
    let unasked = report.questions.iter().filter_map(|question| Some((question, question.left_out.as_ref()?)));
    for (k, (question, why)) in unasked.enumerate() {
        let head = if k == 0 { "\nnot asked:\n" } else { "" };
        terminal::say(format!("{head}  {}: {why}", question.title))?;
    }
    terminal::say("")?;
    let said = usize::from(report.verdict.is_some());
    report.findings.iter().skip(said).try_for_each(|finding| terminal::say(format!("- {finding}")))?;
    terminal::say(format!("\n{}", out.join("report.html").display()))
}
