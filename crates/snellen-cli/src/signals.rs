//! Ctrl-C and its kin: the first asks the work to stop, which then keeps what can be gone on with; the second ends the program at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use snellen::progress::Progress;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The exit code of a program that was asked to stop.
pub const INTERRUPTED: u8 = 130;

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Listens from now on.
pub fn listen() {
    ASKED.get_or_init(|| {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in signals() {
            // In this order: at the second one it was asked already. Without handlers signals end the program, which is safe as well:
            // outputs appear by rename.
            let _ = flag::register_conditional_shutdown(signal, INTERRUPTED.into(), asked.clone());
            let _ = flag::register(signal, asked.clone());
        }
        asked
    });
}

/// Whether the program was asked to stop since it listens.
pub fn interrupted() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::SeqCst))
}

/// Says nothing of how far work has come, and stops it when the program was asked to.
pub struct Listening;

impl Progress for Listening {
    fn advance(&self, _: usize, _: usize) {}

    fn is_cancelled(&self) -> bool {
        interrupted()
    }
}

/// What asks to stop: also that a terminal was closed, unless that is to be ignored, as `nohup` has it.
fn signals() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM];
    #[cfg(unix)]
    if !ignored(signal_hook::consts::SIGHUP) {
        signals.push(signal_hook::consts::SIGHUP);
    }
    signals
}

/// Whether the program was started so that it ignores `signal`. Where the system does not say it is taken for one that is: what it does
/// then, ending or not, stays as it is.
#[cfg(unix)]
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}
