//! The subcommands.

mod lab;

use clap::Subcommand;
use snellen::{Error, Result};

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Train small CLIPs from scratch on generated scenes
    #[command(subcommand)]
    Lab(lab::Lab),
}

/// Runs a command on as many threads as asked.
pub fn run(command: Command, threads: Option<u16>) -> Result<()> {
    if let Some(threads) = threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build_global();
        pool.map_err(|e| Error::malformed("threads", e))?;
    }
    match command {
        Command::Lab(lab) => lab::run(lab),
    }
}
