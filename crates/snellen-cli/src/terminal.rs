//! What a person at a terminal sees while waiting. Nothing of it goes to a pipe or a file.

use indicatif::{ProgressBar, ProgressStyle};
use snellen::exam::Stages;
use snellen::model::hub::Download;
use snellen::record::Progress;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

/// A bar with rate and time left on standard error; invisible where that is no terminal.
pub fn bar(total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    count(&bar);
    bar.set_message(what.to_owned());
    bar
}

fn count(bar: &ProgressBar) {
    let template = "{msg:<28} {wide_bar} {human_pos}/{human_len}  {per_sec:>10}  {eta:>4} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
}

/// A bar per stage of a longer piece of work; Ctrl-C stops it between two steps.
pub struct Bars;

impl Bars {
    /// Listens for Ctrl-C from now on.
    pub fn new() -> Self {
        interrupted();
        Self
    }
}

impl Stages for Bars {
    fn begin(&self, stage: &str) -> Box<dyn Progress + '_> {
        // Until the stage says how much there is to do.
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{msg:<28} {spinner} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Box::new(Bar(bar))
    }
}

/// The bar of one stage; gone when it ends.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn advance(&self, done: usize, total: usize) {
        let first = self.0.length().is_none();
        if first {
            count(&self.0);
        }
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
        if first {
            // What was done before says nothing of the rate.
            self.0.reset_eta();
        }
    }

    fn is_cancelled(&self) -> bool {
        interrupted().load(Ordering::SeqCst)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar for each file that comes from the Hub; Ctrl-C stops, and what came is kept.
pub struct Downloads(Mutex<Option<(String, ProgressBar)>>);

impl Downloads {
    pub fn new() -> Self {
        Self(Mutex::new(None))
    }
}

impl Download for Downloads {
    fn advance(&self, file: &str, done: u64, total: u64) {
        let Ok(mut current) = self.0.lock() else { return };
        if current.as_ref().is_none_or(|(name, _)| name != file) {
            let bar = ProgressBar::new(total);
            let template = "{msg:<28} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec:>12}  {eta:>4} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_message(file.to_owned());
            *current = Some((file.to_owned(), bar));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_position(done);
            if total > 0 && done >= total {
                bar.finish_and_clear();
            }
        }
    }

    fn note(&self, what: &str) {
        note(what);
    }

    fn is_cancelled(&self) -> bool {
        interrupted().load(Ordering::SeqCst)
    }
}

/// Writes a line about what is done to standard error.
pub fn note(what: impl std::fmt::Display) {
    // Nothing is lost if nobody hears it.
    let _ = writeln!(std::io::stderr(), "snellen: {what}");
}

/// Writes a line to standard output.
pub fn say(line: impl std::fmt::Display) -> snellen::Result<()> {
    writeln!(std::io::stdout(), "{line}").map_err(snellen::Error::io("standard output"))
}

/// Whether Ctrl-C was pressed; the second time ends the program at once.
pub fn interrupted() -> &'static AtomicBool {
    static FLAG: AtomicBool = AtomicBool::new(false);
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        let set = || {
            if FLAG.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        };
        // Without a handler Ctrl-C ends the program, which is safe as well: outputs appear by rename.
        let _ = ctrlc::set_handler(set);
    });
    &FLAG
}
