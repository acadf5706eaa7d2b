//! What a person at a terminal sees while waiting. Nothing of it goes to a pipe or a file.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A bar with rate and time left on standard error; invisible where that is no terminal.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = "{msg:<28} {wide_bar} {human_pos}/{human_len}  {per_sec:>10}  {eta:>4} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.set_message(what.to_owned());
    bar
}

/// Writes a line to standard output.
pub fn say(line: impl std::fmt::Display) -> snellen::Result<()> {
    writeln!(std::io::stdout(), "{line}").map_err(snellen::Error::io("standard output"))
}

/// Whether Ctrl-C was pressed; the second time ends the program at once.
pub fn interrupted() -> &'static AtomicBool {
    static FLAG: OnceLock<AtomicBool> = OnceLock::new();
    let flag = FLAG.get_or_init(|| AtomicBool::new(false));
    static HANDLER: OnceLock<()> = OnceLock::new();
    HANDLER.get_or_init(|| {
        let set = move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        };
        // Without a handler Ctrl-C ends the program, which is safe as well: outputs appear by rename.
        let _ = ctrlc::set_handler(set);
    });
    flag
}
