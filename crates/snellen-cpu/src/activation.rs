//! The non-linearities of MLPs.

use crate::Real;
use crate::level::per_level;
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_1_SQRT_2;

/// The non-linearity between the two layers of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x Phi(x)`, with the error function (arXiv 1606.08415).
    Gelu,
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`, the approximation that SigLIP has.
    GeluTanh,
    /// `x sigmoid(1.702 x)`, as OpenAI's CLIP has it.
    QuickGelu,
    /// `x sigmoid(x)`, the gate of SwiGLU (arXiv 2002.05202).
    Silu,
}

/// Of the formula of QuickGELU.
const QUICK: f64 = 1.702;
/// `2 sqrt(2 / pi)`: `(1 + tanh y) / 2` is the sigmoid of `2 y`.
const TANH: f64 = 1.595_769_121_605_730_8;
const CUBIC: f64 = 0.044_715;
/// `1 / sqrt(2 pi)`.
const DENSITY: f64 = 0.398_942_280_401_432_7;

/// Values that are handled at a time: as many as the widest vector has.
const N: usize = 16;

#[inline(always)]
fn sigmoid<F: Real, const FUSE: bool>(x: F) -> F {
    F::one() / (F::one() + (-x).power_of_e::<FUSE>())
}

/// `f(x)` of 16 values. One loop per kind, so that each becomes vector code.
#[inline(always)]
pub(crate) fn activate_16<F: Real, const FUSE: bool>(kind: Activation, x: &mut [F; N]) {
    let half = F::of(0.5);
    match kind {
        Activation::Gelu => {
            x.iter_mut().for_each(|x| *x = half * *x * (F::one() + (*x * F::of(FRAC_1_SQRT_2)).erf::<FUSE>()));
        }
        Activation::GeluTanh => x.iter_mut().for_each(|x| {
            let inner = F::of(TANH) * *x * (F::one() + F::of(CUBIC) * *x * *x);
            *x /= F::one() + (-inner).power_of_e::<FUSE>();
        }),
        Activation::QuickGelu => {
            x.iter_mut().for_each(|x| *x /= F::one() + (F::of(-QUICK) * *x).power_of_e::<FUSE>());
        }
        Activation::Silu => x.iter_mut().for_each(|x| *x /= F::one() + (-*x).power_of_e::<FUSE>()),
    }
}

/// `dy f'(x)` of 16 values.
#[inline(always)]
fn chain_16<F: Real, const FUSE: bool>(kind: Activation, x: &[F; N], dy: &mut [F; N]) {
    let half = F::of(0.5);
    let pairs = x.iter().zip(dy);
    match kind {
        Activation::Gelu => pairs.for_each(|(x, dy)| {
            let below = half * (F::one() + (*x * F::of(FRAC_1_SQRT_2)).erf::<FUSE>());
            let density = (-half * *x * *x).power_of_e::<FUSE>() * F::of(DENSITY);
            *dy *= below + *x * density;
        }),
        Activation::GeluTanh => pairs.for_each(|(x, dy)| {
            let square = *x * *x;
            let s = sigmoid::<F, FUSE>(F::of(TANH) * *x * (F::one() + F::of(CUBIC) * square));
            let slope = F::of(TANH) * *x * (F::one() + F::of(3.0 * CUBIC) * square);
            *dy *= s * (F::one() + slope * (F::one() - s));
        }),
        Activation::QuickGelu => pairs.for_each(|(x, dy)| {
            let s = sigmoid::<F, FUSE>(F::of(QUICK) * *x);
            *dy *= s * (F::one() + F::of(QUICK) * *x * (F::one() - s));
        }),
        Activation::Silu => pairs.for_each(|(x, dy)| {
            let s = sigmoid::<F, FUSE>(*x);
            *dy *= s * (F::one() + *x * (F::one() - s));
        }),
    }
}

/// `f(x)` of every value of `row`, each as it would be anywhere else.
#[inline(always)]
pub(crate) fn activate_row<F: Real, const FUSE: bool>(kind: Activation, row: &mut [F]) {
    let (chunks, rest) = row.as_chunks_mut::<N>();
    for chunk in chunks {
        activate_16::<F, FUSE>(kind, chunk);
    }
    if !rest.is_empty() {
        let mut chunk = [F::zero(); N];
        chunk[..rest.len()].copy_from_slice(rest);
        activate_16::<F, FUSE>(kind, &mut chunk);
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

per_level! {
    /// `y = f(x)`.
    pub fn activate[F: Real](kind: Activation, x: &[F], y: &mut [F]) {
        y.copy_from_slice(x);
        activate_row::<F, FUSE>(kind, y);
    }

    /// `dy *= f'(x)`.
    pub fn activation_gradient[F: Real](kind: Activation, x: &[F], dy: &mut [F]) {
        assert_eq!(x.len(), dy.len(), "values and gradients");
        let ((xs, x), (dys, dy)) = (x.as_chunks::<N>(), dy.as_chunks_mut::<N>());
        for (x, dy) in xs.iter().zip(dys) {
            chain_16::<F, FUSE>(kind, x, dy);
        }
        let (mut end, mut gradient) = ([F::zero(); N], [F::zero(); N]);
        end[..x.len()].copy_from_slice(x);
        gradient[..dy.len()].copy_from_slice(dy);
        chain_16::<F, FUSE>(kind, &end, &mut gradient);
        dy.copy_from_slice(&gradient[..dy.len()]);
    }
}
