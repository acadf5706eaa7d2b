//! The hook that holds every site against the reference's.

use super::SiteParity;
use super::reference::Reference;
use crate::Result;
use crate::model::{ActivationMut, BlockPoint, Hook, Point, Site};

/// Compares every site that the reference holds, one at a time, so that memory holds one of them.
pub(super) struct Compare<'a> {
    pub(super) reference: &'a Reference,
    pub(super) found: Vec<SiteParity>,
}

impl Hook for Compare<'_> {
    fn wants(&self, site: Site) -> bool {
        self.reference.holds(&site.to_string())
    }

    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let name = site.to_string();
        let Some((shape, expected)) = self.reference.floats(&name)? else { return Ok(()) };
        let other_shape = (shape != x.shape).then(|| x.shape.to_vec());
        // A score is minus infinity where a key is hidden; nothing else is infinite in a model that works.
        let hides = matches!(site.point, Point::Block(_, BlockPoint::AttnScores) | Point::Head(BlockPoint::AttnScores));
        let (max_error, rms) = errors(x.data, &expected, hides);
        let relative = if max_error == 0.0 { 0.0 } else { max_error / rms };
        self.found.push(SiteParity { site: name, shape, other_shape, max_error, rms, relative });
        Ok(())
    }
}

/// The largest error, infinite where a value is no number, and the root mean square of the finite values that are expected.
fn errors(got: &[f32], expected: &[f32], hides: bool) -> (f64, f64) {
    let (mut squares, mut finite, mut largest) = (0.0, 0_usize, 0.0_f64);
    for (got, expected) in got.iter().zip(expected) {
        let (got, expected) = (f64::from(*got), f64::from(*expected));
        let hidden = hides && got == f64::NEG_INFINITY && expected == f64::NEG_INFINITY;
        if hidden {
            continue;
        }
        if expected.is_finite() {
            squares += expected * expected;
            finite += 1;
        }
        let error = (got - expected).abs();
        largest = if error.is_nan() { f64::INFINITY } else { largest.max(error) };
    }
    (largest, (squares / finite.max(1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_never_agrees() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let error = |got, expected, hides| errors(&[got, 2.0], &[expected, 2.0], hides).0;
        for (got, expected, hides) in [
            (nan, nan, true),
            (nan, 1.0, false),
            (1.0, nan, false),
            (inf, inf, true),
            (-inf, -inf, false),
            (-inf, 1.0, true),
        ] {
            let error = error(got, expected, hides);
            assert!(error.is_infinite() && error > 0.0, "{got} against {expected}: {error}");
        }
        assert!(error(-inf, -inf, true).abs() < 1e-12 && (error(1.5, 1.0, false) - 0.5).abs() < 1e-12);
    }
}
