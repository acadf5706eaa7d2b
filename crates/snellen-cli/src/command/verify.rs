//! `snellen bench-engine --verify`: whether this machine reaches what its level of instructions should.

use snellen::{Error, Result};
use snellen_cpu::{Level, Precision};

/// What part of the peak a forward of a ViT-B/32 on 8 images reached where it was measured: on two cores of an AMD EPYC of the
/// Zen 4 generation in November 2026, by way of `--engine-level`. Nothing is known of plain code, nor of AMX, whose f32 is that of AVX-512.
const REACHED: [(Level, Precision, f64); 7] = [
    (Level::Avx2, Precision::F32, 0.86),
    (Level::Avx2, Precision::Bf16, 0.82),
    (Level::Avx512, Precision::F32, 0.87),
    (Level::Avx512, Precision::Bf16, 0.85),
    (Level::Avx512Bf16, Precision::F32, 0.87),
    (Level::Avx512Bf16, Precision::Bf16, 0.83),
    (Level::AmxBf16, Precision::F32, 0.87),
];
/// What other processors, and machines that others share, may lack of it. A kernel whose sums are in memory lacks more than half.
const SLACK: f64 = 0.7;

/// Says what was reached, as parts of the peak, in one line; whether it was enough.
pub fn verdict(level: Level, threads: usize, reached: &[(Precision, f64)]) -> (String, Result<()>) {
    let mut parts = Vec::new();
    let (mut known, mut slow) = (false, false);
    for (precision, fraction) in reached {
        let expected =
            REACHED.iter().find(|(l, p, _)| (*l, *p) == (level, *precision)).map(|(.., expected)| expected * SLACK);
        known |= expected.is_some();
        slow |= expected.is_some_and(|expected| *fraction < expected);
        let expected = expected.map_or_else(String::new, |expected| format!(" (at least {expected:.2} expected)"));
        parts.push(format!("{precision} {fraction:.2} of peak{expected}"));
    }
    let (word, result) = match (known, slow) {
        (false, _) => ("nothing is known of what to expect", Ok(())),
        (true, false) => ("as it should be", Ok(())),
        (true, true) => {
            let summary = "slower than it should be; is the machine busy with something else?".to_owned();
            ("slow", Err(Error::Disagrees { place: "bench-engine --verify".to_owned(), summary }))
        }
    };
    (format!("{level}, {threads} threads: {}: {word}", parts.join(", ")), result)
}

#[cfg(test)]
mod tests {
    use super::verdict;
    use snellen_cpu::{Level, Precision};

    #[test]
    fn what_is_far_below_what_was_reached_elsewhere_is_slow() {
        let of = |level, f32, bf16| verdict(level, 2, &[(Precision::F32, f32), (Precision::Bf16, bf16)]);
        let (line, result) = of(Level::Avx512Bf16, 0.85, 0.8);
        assert!(result.is_ok() && line.ends_with("as it should be"), "{line}");
        assert!(
            line.starts_with("avx512-bf16, 2 threads: f32 0.85 of peak (at least 0.61 expected), bf16 0.80"),
            "{line}"
        );
        for (f32, bf16) in [(0.3, 0.8), (0.8, 0.3)] {
            let (line, result) = of(Level::Avx512Bf16, f32, bf16);
            assert!(result.is_err() && line.ends_with("slow"), "{line}");
        }
        let (line, result) = of(Level::Portable, 0.1, 0.1);
        assert!(result.is_ok() && line.ends_with("nothing is known of what to expect"), "{line}");
    }
}
