//! Faults on demand, in debug builds only: what tests kill a program, fill its disk and refuse its writes with, between any two of
//! them.
//!
//! `SNELLEN_FAULT=kill:N` ends the process at the N-th point, from 1, as SIGKILL would: nothing is tidied up. `full:N` has the disk
//! full from there on, `refuse:N` refuses that one write. Points are where something on disk is about to change or just has.

use crate::{Error, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Passes a point at which `path` is written.
#[cfg(debug_assertions)]
pub(crate) fn point(path: &Path) -> Result<()> {
    use std::io::ErrorKind;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    static FAULT: OnceLock<Option<(String, usize)>> = OnceLock::new();
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let fault = FAULT.get_or_init(|| {
        let said = std::env::var("SNELLEN_FAULT").ok()?;
        let (kind, number) = said.split_once(':')?;
        Some((kind.to_owned(), number.parse().ok()?))
    });
    let Some((kind, number)) = fault else { return Ok(()) };
    let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    match kind.as_str() {
        "kill" if passed == *number => std::process::abort(),
        "full" if passed >= *number => Err(Error::io(path)(ErrorKind::StorageFull.into())),
        "refuse" if passed == *number => Err(Error::io(path)(ErrorKind::PermissionDenied.into())),
        _ => Ok(()),
    }
}

/// Passes nothing: there are no such points in what users run.
#[cfg(not(debug_assertions))]
#[allow(clippy::unnecessary_wraps, reason = "as in debug builds")]
pub(crate) fn point(_: &Path) -> Result<()> {
    Ok(())
}

/// Writes `bytes` to `file`, which is to become `path`, with a point in their middle.
pub(crate) fn write_all(path: &Path, file: &mut File, bytes: &[u8]) -> Result<()> {
    let (one, other) = bytes.split_at(if cfg!(debug_assertions) { bytes.len() / 2 } else { 0 });
    file.write_all(one).map_err(Error::io(path))?;
    point(path)?;
    file.write_all(other).map_err(Error::io(path))
}
