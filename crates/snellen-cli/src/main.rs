//! The `snellen` command: one file per subcommand under `command`.

// What is said goes through `terminal`, which neither panics nor passes on what a terminal would obey.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod bundled;
mod clock;
mod command;
mod defect;
mod drawn;
mod exit;
mod models;
mod printable;
mod scratch;
mod signals;
mod subject;
mod terminal;

use clap::Parser;
use snellen::engine::Level;
use std::process::ExitCode;

/// An eye exam for vision-language encoders.
#[derive(Parser)]
#[command(name = "snellen", version, long_about = None, propagate_version = true)]
struct Cli {
    /// Threads to compute on; results do not depend on it. All cores where not given
    #[arg(long, global = true, display_order = 900, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Instructions to compute with: portable, avx2, avx512, avx512-bf16, amx-bf16. The best of this processor where not given
    #[arg(long, global = true, display_order = 901, value_name = "LEVEL")]
    engine_level: Option<Level>,

    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    let run = || match Cli::try_parse() {
        Ok(cli) => exit::code(command::run(cli.command, cli.threads, cli.engine_level)),
        Err(usage) => exit::usage(&usage),
    };
    defect::caught(run).unwrap_or_else(|said| exit::defect(&said))
}
