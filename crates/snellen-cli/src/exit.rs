//! Exit codes: 0 fine, 1 failed, 2 usage (given by `clap`), 3 bad input, 4 nothing differs but not everything was compared
//! (`parity`), 130 interrupted.

use snellen::Error;
use std::process::ExitCode;

/// Prints the error, if any, and says how the program ends.
pub fn code(result: snellen::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // The reader of a pipe may have gone: that is no failure of ours.
    if let Error::Io { source, .. } = &error
        && source.kind() == std::io::ErrorKind::BrokenPipe
    {
        return ExitCode::SUCCESS;
    }
    // One line, whatever a parser said.
    eprintln!("snellen: {}", error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" "));
    ExitCode::from(match &error {
        Error::Interrupted { .. } => 130,
        Error::NotCompared { .. } => 4,
        error if error.is_bad_input() => 3,
        _ => 1,
    })
}
