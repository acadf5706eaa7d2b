//! What a patch does, over twins: in spreads between twins, beside its null.

use crate::measure::{Confidence, Interval};
use crate::random;
use crate::{Error, Result};
use rand::Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Random signs that a test draws.
const FLIPS: usize = 99_999;

/// Twins whose signs are looked up together.
const BITS: usize = 8;

/// Mean and Student's interval of `values`; without an end where there is one value, `None` where there is none.
pub(super) fn mean(values: &[f64], confidence: Confidence) -> Result<Option<Interval>> {
    let n = values.len() as f64;
    if values.is_empty() {
        return Ok(None);
    }
    let estimate = values.iter().sum::<f64>() / n;
    if values.len() == 1 {
        return Ok(Some(Interval { estimate, lo: f64::NEG_INFINITY, hi: f64::INFINITY }));
    }
    let failed = |_| Error::mismatch("interval of a mean", "two values", n);
    let student = StudentsT::new(0.0, 1.0, n - 1.0).map_err(failed)?;
    let half = student.inverse_cdf(f64::midpoint(1.0, confidence.level())) * deviation(values, estimate) / n.sqrt();
    Ok(Some(Interval { estimate, lo: estimate - half, hi: estimate + half }))
}

/// The standard deviation of `values` around their mean `centre`, over one less than their number.
pub(super) fn deviation(values: &[f64], centre: f64) -> f64 {
    (values.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)).sqrt()
}

/// Random signs of twins, the same for every patch.
pub(super) struct Signs {
    /// For each draw, for each eight twins, which of them change sign.
    draws: Vec<u8>,
    bytes: usize,
}

impl Signs {
    /// Of `twins` twins.
    pub(super) fn new(twins: usize, seed: u64) -> Self {
        let bytes = twins.div_ceil(BITS);
        let mut draws = vec![0; FLIPS * bytes];
        random::stream(seed, "signs of twins", 0).fill_bytes(&mut draws);
        Self { draws, bytes }
    }

    /// Two-sided p of `differences`, one for each twin (`None` where there is none), having a mean of 0: each may as well have had the other
    /// sign. `None` of fewer than two.
    pub(super) fn p(&self, differences: &[Option<f64>]) -> Option<f64> {
        if differences.iter().flatten().count() < 2 {
            return None;
        }
        let mut table = vec![0.0; self.bytes << BITS];
        for (byte, twins) in differences.chunks(BITS).enumerate() {
            for signs in 0..1 << BITS {
                let signed = |(bit, x): (usize, &Option<f64>)| {
                    let x = x.unwrap_or(0.0);
                    if (signs >> bit) & 1 == 1 { -x } else { x }
                };
                table[(byte << BITS) | signs] = twins.iter().enumerate().map(signed).sum::<f64>();
            }
        }
        let sum = |signs: &[u8]| -> f64 {
            signs.iter().enumerate().map(|(byte, signs)| table[(byte << BITS) | usize::from(*signs)]).sum()
        };
        let size: f64 = differences.iter().flatten().map(|x| x.abs()).sum();
        // Sums of the same numbers in another order are equal but for rounding.
        let observed = differences.iter().flatten().sum::<f64>().abs() - 1e-12 * size;
        let as_large = self.draws.chunks(self.bytes).filter(|signs| sum(signs).abs() >= observed).count();
        Some((1 + as_large) as f64 / (1 + FLIPS) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_students_interval() -> Result<()> {
        // Of 1 to 5: mean 3, error sqrt(2.5 / 5), and 2.776445 of Student's t of 4 degrees.
        let found = mean(&[1.0, 2.0, 3.0, 4.0, 5.0], Confidence::new(0.95)?)?;
        let found = found.ok_or_else(|| Error::mismatch("mean", "one", "none"))?;
        let half = 2.776_445_105 * 0.5f64.sqrt();
        assert!((found.estimate - 3.0).abs() < 1e-12);
        assert!((found.lo - (3.0 - half)).abs() < 1e-6 && (found.hi - (3.0 + half)).abs() < 1e-6, "{found:?}");
        assert_eq!(mean(&[], Confidence::new(0.95)?)?, None);
        Ok(())
    }

    #[test]
    fn the_test_of_signs_is_that_of_all_signs() {
        // Of four numbers: 16 signs, of whose sums 2 are as large as 10 (all plus, all minus), 4 as large as 8.
        let signs = Signs::new(9, 3);
        let four = |x: [f64; 4]| {
            let mut twins = vec![None; 9];
            [0, 3, 7, 8].into_iter().zip(x).for_each(|(at, x)| twins[at] = Some(x));
            signs.p(&twins)
        };
        for (x, expected) in [([1.0, 2.0, 3.0, 4.0], 2.0 / 16.0), ([-1.0, 2.0, 3.0, 4.0], 4.0 / 16.0)] {
            let p = four(x).unwrap_or_default();
            assert!((p - expected).abs() < 0.005, "{p} against {expected}");
        }
        assert_eq!(four([0.0; 4]), Some(1.0));
        assert_eq!(Signs::new(2, 3).p(&[Some(1.0), None]), None);
    }
}
