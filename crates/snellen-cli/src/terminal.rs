//! All that is said: results on standard output, all else on standard error. What can't be written there is no reason to panic. Bars are
//! for a person at a terminal who waits; nothing of them goes to a pipe or a file.

use crate::printable::{line, lines, printable};
use crate::signals;
use indicatif::{ProgressBar, ProgressStyle};
use snellen::progress::{Progress, Stages};
use std::cell::{Cell, OnceCell};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

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

/// A bar per stage of a longer piece of work, or where there is no terminal a line; Ctrl-C and its kin stop it between two steps.
pub struct Bars {
    begun: Instant,
}

impl Bars {
    /// Listens for Ctrl-C and its kin from now on.
    pub fn new() -> Self {
        signals::listen();
        Self { begun: Instant::now() }
    }
}

impl Stages for Bars {
    fn begin(&self, stage: &str) -> Box<dyn Progress + '_> {
        if !std::io::stderr().is_terminal() {
            note(format!("{} s: {stage}", self.begun.elapsed().as_secs()));
        }
        // Until the stage says how much there is to do.
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{msg:<28} {spinner} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Box::new(Bar(bar, Cell::new((Instant::now(), KEPT_EVERY))))
    }
}

/// How often a recording makes durable what it has done.
const KEPT_EVERY: Duration = Duration::from_secs(10);

/// The most of the time that may go into that: one part of so many.
const KEEPING: u32 = 100;

/// The bar of one stage; gone when it ends. When something was kept last, and how long until it is again.
struct Bar(ProgressBar, Cell<(Instant, Duration)>);

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
        signals::interrupted()
    }

    fn may_keep(&self, keep: &mut dyn FnMut() -> snellen::Result<()>) -> snellen::Result<()> {
        let (last, pause) = self.1.get();
        if last.elapsed() < pause {
            return Ok(());
        }
        let begun = Instant::now();
        keep()?;
        self.1.set((Instant::now(), KEPT_EVERY.max(begun.elapsed() * KEEPING)));
        Ok(())
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar for each file that comes from the Hub; Ctrl-C stops, and what came is kept.
pub struct Downloads;

impl Stages for Downloads {
    fn begin(&self, file: &str) -> Box<dyn Progress + '_> {
        // The server says what it is called.
        Box::new(Download { file: line(file), bar: OnceCell::new() })
    }

    fn note(&self, what: &str) {
        note(what);
    }
}

/// One file. It has a bar once something of it comes.
struct Download {
    file: String,
    bar: OnceCell<ProgressBar>,
}

impl Progress for Download {
    fn advance(&self, done: usize, total: usize) {
        let bar = self.bar.get_or_init(|| {
            let bar = ProgressBar::new(total as u64);
            let template = "{msg:<28} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec:>12}  {eta:>4} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_message(self.file.clone());
            bar
        });
        bar.set_position(done as u64);
        if total > 0 && done >= total {
            bar.finish_and_clear();
        }
    }

    fn is_cancelled(&self) -> bool {
        signals::interrupted()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

/// The bar of a training run, in images.
pub struct Training {
    bar: ProgressBar,
    /// Of a step.
    images: u64,
    begun: Cell<bool>,
}

impl Training {
    /// Of `steps` steps; listens for Ctrl-C and its kin from now on.
    pub fn new(steps: usize, images: usize) -> Self {
        signals::listen();
        let (steps, images) = (steps as u64, images as u64);
        Self { bar: bar(steps * images, "training (images)"), images, begun: Cell::new(false) }
    }

    /// Says what is said beside the bar.
    pub fn say(&self, what: String) {
        self.bar.set_message(what);
    }

    /// Writes a line above the bar.
    pub fn complain(&self, what: impl std::fmt::Display) {
        self.bar.suspend(|| complain(what));
    }
}

impl Progress for Training {
    fn advance(&self, done: usize, _: usize) {
        self.bar.set_position(done as u64 * self.images);
        if !self.begun.replace(true) {
            // A resumed run does not start at nothing.
            self.bar.reset_eta();
        }
    }

    fn is_cancelled(&self) -> bool {
        signals::interrupted()
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Writes a line about what is done to standard error.
pub fn note(what: impl std::fmt::Display) {
    complain(format!("snellen: {}\n", line(&what.to_string())));
}

/// Writes to standard error.
pub fn complain(what: impl std::fmt::Display) {
    // Nothing is lost if nobody hears it.
    let _ = std::io::stderr().write_all(lines(&what.to_string()).as_bytes());
}

/// Writes a line to standard output.
pub fn say(line: impl std::fmt::Display) -> snellen::Result<()> {
    let (mut out, line) = (std::io::stdout(), line.to_string());
    // A program that reads it gets all of it.
    let shown = if out.is_terminal() { lines(&line) } else { printable(&line) };
    out.write_all(format!("{shown}\n").as_bytes()).map_err(snellen::Error::io("standard output"))
}
