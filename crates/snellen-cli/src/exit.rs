//! Exit codes: 0 fine, 1 failed, 2 usage (given by `clap`), 3 bad input, 4 nothing differs but not everything was compared
//! (`parity`), 101 a defect of ours, 130 interrupted.

use crate::{defect, signals, terminal};
use snellen::{Error, ErrorKind};
use std::process::ExitCode;

/// Says the error, if any, and how the program ends.
pub fn code(result: snellen::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // The reader of a pipe may have gone: that is no failure of ours.
    if let Error::Io { source, .. } = &error
        && source.kind() == std::io::ErrorKind::BrokenPipe
    {
        return ExitCode::SUCCESS;
    }
    terminal::note(&error);
    ExitCode::from(match error.kind() {
        ErrorKind::Interrupted => signals::INTERRUPTED,
        ErrorKind::NotCompared => 4,
        ErrorKind::Input | ErrorKind::Exists => 3,
        _ => 1,
    })
}

/// Says what arguments there are, or what is wrong with those that were given.
pub fn usage(usage: &clap::Error) -> ExitCode {
    if usage.use_stderr() {
        terminal::complain(usage.render());
    } else {
        // Nothing is lost if nobody hears it.
        let _ = usage.print();
    }
    ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2))
}

/// Says what a panic said.
pub fn defect([said, trace]: &[String; 2]) -> ExitCode {
    terminal::note(said);
    terminal::complain(trace);
    ExitCode::from(defect::DEFECT)
}
