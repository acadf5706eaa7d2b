//! How long something takes, and how much memory this process has. The library has no clock: what is timed is timed here.

use snellen::Result;
use std::time::Instant;

/// A round lasts about this long at least, in seconds, so that the clock's steps do not count.
const ROUND: f64 = 0.1;

/// Seconds for one run: the mean of `count` runs.
pub fn seconds(count: u32, run: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    (0..count).try_for_each(|_| run())?;
    Ok(start.elapsed().as_secs_f64() / f64::from(count))
}

/// Seconds for one run in each of `rounds` rounds, after a warm-up; `done` is called after each.
pub fn rounds(rounds: u32, run: &mut dyn FnMut() -> Result<()>, done: &dyn Fn()) -> Result<Vec<f64>> {
    seconds(1, run)?;
    let once = seconds(1, run)?;
    let count = (ROUND / once.max(1e-9)).ceil().clamp(1.0, 10_000.0) as u32;
    (0..rounds)
        .map(|_| {
            let time = seconds(count, run)?;
            done();
            Ok(time)
        })
        .collect()
}

/// The value in the middle, or the mean of the two there.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2])
}

/// Memory of this process, in MiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// What is resident now.
    pub resident: f64,
    /// The most that was, since [`forget_peak`].
    pub peak: f64,
}

/// What the system says of it; `None` where it is not Linux.
pub fn memory() -> Option<Memory> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
    };
    Some(Memory { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
}

/// Begins to look for the peak anew, where the system can.
pub fn forget_peak() {
    // Elsewhere the peak is that of the whole process, which is said.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle() {
        let medians = [median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 9.0]), median(&[5.0])];
        assert_eq!(medians.map(f64::to_bits), [2f64, 3.0, 5.0].map(f64::to_bits));
    }
}
