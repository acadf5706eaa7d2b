//! Sums in lanes: faster than one running sum, more accurate, and in a fixed order.

use super::Real;

/// Running sums kept side by side.
const LANES: usize = 16;

/// The sum of `f(x)` over `x`.
#[inline]
pub(super) fn sum_of<F: Real>(x: &[F], f: impl Fn(F) -> F) -> F {
    let mut lanes = [F::zero(); LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f(*x);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += f(*x);
    }
    lanes.into_iter().sum()
}

/// The sum of `f(x, y)` over `x` and `y`, of one length.
#[inline]
pub(super) fn sum_of_two<F: Real>(x: &[F], y: &[F], f: impl Fn(F, F) -> F) -> F {
    let mut lanes = [F::zero(); LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest = (xs.remainder(), ys.remainder());
    for (xs, ys) in xs.zip(ys) {
        for ((lane, x), y) in lanes.iter_mut().zip(xs).zip(ys) {
            *lane += f(*x, *y);
        }
    }
    for ((lane, x), y) in lanes.iter_mut().zip(rest.0).zip(rest.1) {
        *lane += f(*x, *y);
    }
    lanes.into_iter().sum()
}
