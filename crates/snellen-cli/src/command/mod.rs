//! The subcommands.

mod bench_engine;
mod calibrate;
mod exam;
mod intervene;
mod lab;
mod measure;
mod merge;
mod parity;
mod record;
mod scenes;
mod sites;
mod study;
mod trace;
mod verify;
mod ward;

use clap::Subcommand;
use snellen::engine::Level;
use snellen::{Error, Result};

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Hold the whole exam: scenes, activations, measures, report
    Exam(exam::Exam),
    /// Draw scenes with their labels, masks and captions
    Scenes(scenes::Scenes),
    /// Record a model's activations on images, scenes or texts
    Record(Box<record::Record>),
    /// Put the parts of a recording together
    Merge(merge::Merge),
    /// Measure the units of a recording
    Measure(measure::Measure),
    /// Change activations and see what that does to what the model binds
    Intervene(intervene::Intervene),
    /// List every activation of a model with its shape
    Sites(sites::Sites),
    /// Compare a model, site by site, with what another program made of it
    Parity(parity::Parity),
    /// Map where in a model a binding is carried, by patching between swap twins
    Trace(trace::Trace),
    /// Do a published study again, its printed numbers beside ours
    Study(study::Study),
    /// Train small CLIPs from scratch on generated scenes
    #[command(subcommand)]
    Lab(lab::Lab),
    /// Try the unit measures on planted truth
    Calibrate(calibrate::Calibrate),
    /// Measure the engine: time, throughput, fraction of this machine's peak, memory
    BenchEngine(bench_engine::BenchEngine),
}

/// Runs a command on as many threads and with such instructions as asked.
pub fn run(command: Command, threads: Option<u16>, level: Option<Level>) -> Result<()> {
    if let Some(level) = level {
        let refused = |level| Error::mismatch("--engine-level", "instructions that this processor has", level);
        level.use_for_all().map_err(refused)?;
    }
    if let Some(threads) = threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build_global();
        pool.map_err(|e| Error::malformed("threads", e))?;
    }
    match command {
        Command::Exam(args) => exam::run(args),
        Command::Scenes(args) => scenes::run(&args),
        Command::Record(args) => record::run(*args),
        Command::Merge(args) => merge::run(&args),
        Command::Measure(args) => measure::run(&args),
        Command::Intervene(args) => intervene::run(&args),
        Command::Sites(args) => sites::run(&args),
        Command::Parity(args) => parity::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Lab(args) => lab::run(args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::BenchEngine(args) => bench_engine::run(&args),
    }
}
