//! The two scalar types that everything runs in.

use std::iter::Sum;

/// `f32` for models, `f64` for checking them.
pub trait Real:
    faer::traits::ComplexField + num_traits::Float + num_traits::NumAssign + Sum + Default + std::fmt::Debug + 'static
{
    /// From a constant of a formula.
    fn of(x: f64) -> Self;
    /// To the precision that statistics are made in.
    fn wide(self) -> f64;
    /// The error function.
    fn erf(self) -> Self;
    /// The values as `f32`, in place where they are `f32` already.
    fn as_f32(values: &mut [Self]) -> Option<&mut [f32]>;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn wide(self) -> f64 {
        self as f64
    }
    fn erf(self) -> Self {
        libm::erff(self)
    }
    fn as_f32(values: &mut [Self]) -> Option<&mut [f32]> {
        Some(values)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn as_f32(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}
