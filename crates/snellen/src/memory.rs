//! How much memory there is to be had: what asks for more is refused, where it would otherwise be ended by the system.
//!
//! Only Linux says so without asking for it in code that is not safe; elsewhere nothing is refused for that.

use crate::{Error, Result};
use std::fs;
use std::path::Path;

/// Refuses what takes at least `bytes` where there are fewer; `place` and `what`, such as `a batch`, are for the message.
pub(crate) fn check(place: impl std::fmt::Display, what: &str, bytes: u64) -> Result<()> {
    match available() {
        Some(there) if bytes > there => {
            let expected = format!("{what} that fits in the memory that there is, {there} bytes");
            Err(Error::mismatch(place, expected, format!("one that takes {bytes} bytes or more")))
        }
        _ => Ok(()),
    }
}

/// Bytes that this process can still have: what the machine has left, its control group and its own limit allow.
fn available() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").map(|text| {
        let kilobytes = |key: &str| field(&text, key).unwrap_or(0);
        // Swap is slow and is had all the same.
        (kilobytes("MemAvailable:") + kilobytes("SwapFree:")) * 1024
    });
    let own = read("/proc/self/limits").and_then(|text| {
        let most = field(&text, "Max address space")?;
        let used = field(&read("/proc/self/status")?, "VmSize:")? * 1024;
        Some(most.saturating_sub(used))
    });
    [machine.filter(|bytes| *bytes > 0), own, of_group(Path::new("/sys/fs/cgroup"))].into_iter().flatten().min()
}

/// What the control group whose files are in `folder` has left; pages of files are given back when they are needed.
fn of_group(folder: &Path) -> Option<u64> {
    let most: u64 = fs::read_to_string(folder.join("memory.max")).ok()?.trim().parse().ok()?;
    let used = field(&fs::read_to_string(folder.join("memory.stat")).ok()?, "anon ")?;
    Some(most.saturating_sub(used))
}

/// The number behind `key` at the beginning of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{check, field};

    #[test]
    fn what_exceeds_all_memory_is_refused() {
        let limits =
            "Limit  Soft  Hard  Units\nMax address space         unlimited            unlimited            bytes\n";
        assert_eq!(field(limits, "Max address space"), None);
        assert_eq!(field("MemTotal: 2 kB\nMemAvailable:   12345 kB\n", "MemAvailable:"), Some(12345));
        check("here", "a batch", 1 << 20).unwrap();
        if cfg!(target_os = "linux") {
            let said = check("here", "a batch", 1 << 60).unwrap_err().to_string();
            assert!(said.starts_with("here: expected a batch that fits in the memory that there is, "), "{said}");
        }
    }
}
