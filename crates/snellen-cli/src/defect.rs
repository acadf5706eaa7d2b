//! Panics. Those that the library catches, because a file made a decoder of others panic, become errors and are said as such; one that
//! nobody catches is a defect of this program, and is said in a line that can be reported.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// The exit code of Rust's programs that panicked.
pub const DEFECT: u8 = 101;

/// What the last panic said, and where it was where `RUST_BACKTRACE` asks for that.
static SAID: Mutex<[String; 2]> = Mutex::new([String::new(), String::new()]);

/// Runs `f`; an error is what its panic said, and where it was where that was asked for.
pub fn caught<T>(f: impl FnOnce() -> T) -> Result<T, [String; 2]> {
    std::panic::set_hook(Box::new(|panic| {
        let said = panic.to_string();
        // Of a thread that waited for another, which said more.
        if !said.contains("a scoped thread panicked")
            && let Ok(mut last) = SAID.lock()
        {
            let trace = Backtrace::capture();
            let trace = if trace.status() == BacktraceStatus::Captured { trace.to_string() } else { String::new() };
            *last = [said, trace];
        }
    }));
    catch_unwind(AssertUnwindSafe(f)).map_err(|_| {
        let [said, trace] = SAID.lock().map(|said| said.clone()).unwrap_or_default();
        [format!("a defect of this program, please report it: {said}"), trace]
    })
}
