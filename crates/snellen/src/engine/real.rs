//! The two scalar types that everything runs in.

use std::iter::Sum;

/// `f32` for models, `f64` for checking them.
pub trait Real:
    faer::traits::ComplexField + num_traits::Float + num_traits::NumAssign + Sum + Default + std::fmt::Debug + 'static
{
    /// From a constant of a formula.
    fn of(x: f64) -> Self;
    /// From a stored value, exactly.
    fn narrow(x: f32) -> Self;
    /// To the precision that statistics are made in.
    fn wide(self) -> f64;
    /// The error function.
    fn erf(self) -> Self;
    /// `e^x`; for `f32` to 2e-7 of its value between -87 and 88, flushed to 0 below and held at `e^88` above.
    fn power_of_e(self) -> Self;
    /// The values as `f32`, in place where they are `f32` already.
    fn as_f32(values: &mut [Self]) -> Option<&mut [f32]>;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn narrow(x: f32) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self as f64
    }
    fn erf(self) -> Self {
        libm::erff(self)
    }
    #[inline(always)]
    fn power_of_e(self) -> Self {
        // Cephes' expf: x = n ln 2 + r with |r| <= ln 2 / 2, then a polynomial in r; without a branch, so that loops over it become vector code.
        const ROUND: f32 = 12_582_912.0;
        let x = if self > 88.0 { 88.0 } else { self };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * 0.693_359_4;
        let r = r + n * 2.121_944_4e-4;
        let mut p = 1.987_569_1e-4;
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = p * r + c;
        }
        let value = (p * r * r + r + 1.0) * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
        if x < -87.0 { 0.0 } else { value }
    }
    fn as_f32(values: &mut [Self]) -> Option<&mut [f32]> {
        Some(values)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn narrow(x: f32) -> Self {
        x as f64
    }
    fn wide(self) -> f64 {
        self
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn power_of_e(self) -> Self {
        self.exp()
    }
    fn as_f32(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn powers_of_e_are_right_to_2e_7() {
        for i in -8_700..=8_800 {
            let x = i as f32 / 100.0;
            let (got, expected) = (x.power_of_e() as f64, (x as f64).exp());
            assert!((got - expected).abs() <= 2e-7 * expected, "e^{x}: {got} against {expected}");
        }
        let bits = [f32::NEG_INFINITY, -1e9, 0.0].map(|x| x.power_of_e().to_bits());
        assert_eq!(bits, [0f32, 0.0, 1.0].map(f32::to_bits));
        assert!(f32::NAN.power_of_e().is_nan() && f32::INFINITY.power_of_e() > 1e38);
    }
}
