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

/// `1 / (1 + e^-x)` of 16 values, in place.
#[inline(always)]
fn sigmoids<F: Real, const SET: u8>(x: &mut [F; N]) {
    x.iter_mut().for_each(|x| *x = -*x);
    // SAFETY: the callers are compiled for a level, of which `SET` is, and which was asked of the processor.
    unsafe { F::powers_of_e::<SET>(x) };
    x.iter_mut().for_each(|e| *e = F::one() / (F::one() + *e));
}

/// `f(x)` of 16 values. One loop per kind, so that each becomes vector code.
#[inline(always)]
fn activate_16<F: Real, const SET: u8>(kind: Activation, x: &mut [F; N]) {
    let half = F::of(0.5);
    let mut e = *x;
    match kind {
        Activation::Gelu => {
            x.iter_mut().for_each(|x| *x = half * *x * (F::one() + (*x * F::of(FRAC_1_SQRT_2)).erf::<SET>()));
            return;
        }
        Activation::GeluTanh => {
            e.iter_mut().for_each(|e| *e = -(F::of(TANH) * *e * (F::one() + F::of(CUBIC) * *e * *e)));
        }
        Activation::QuickGelu => e.iter_mut().for_each(|e| *e *= F::of(-QUICK)),
        Activation::Silu => e.iter_mut().for_each(|e| *e = -*e),
    }
    // SAFETY: as above.
    unsafe { F::powers_of_e::<SET>(&mut e) };
    for (x, e) in x.iter_mut().zip(&e) {
        *x /= F::one() + *e;
    }
}

/// `dy f'(x)` of 16 values.
#[inline(always)]
fn chain_16<F: Real, const SET: u8>(kind: Activation, x: &[F; N], dy: &mut [F; N]) {
    let half = F::of(0.5);
    let mut s = *x;
    match kind {
        Activation::Gelu => s.iter_mut().for_each(|s| *s = -half * *s * *s),
        Activation::GeluTanh => {
            s.iter_mut().for_each(|s| *s = F::of(TANH) * *s * (F::one() + F::of(CUBIC) * (*s * *s)));
        }
        Activation::QuickGelu => s.iter_mut().for_each(|s| *s *= F::of(QUICK)),
        Activation::Silu => {}
    }
    match kind {
        // SAFETY: as above.
        Activation::Gelu => unsafe { F::powers_of_e::<SET>(&mut s) },
        _ => sigmoids::<F, SET>(&mut s),
    }
    let all = dy.iter_mut().zip(x).zip(&s);
    match kind {
        Activation::Gelu => all.for_each(|((dy, x), density)| {
            let below = half * (F::one() + (*x * F::of(FRAC_1_SQRT_2)).erf::<SET>());
            *dy *= below + *x * (*density * F::of(DENSITY));
        }),
        Activation::GeluTanh => all.for_each(|((dy, x), s)| {
            let slope = F::of(TANH) * *x * (F::one() + F::of(3.0 * CUBIC) * (*x * *x));
            *dy *= *s * (F::one() + slope * (F::one() - *s));
        }),
        Activation::QuickGelu => {
            all.for_each(|((dy, x), s)| *dy *= *s * (F::one() + F::of(QUICK) * *x * (F::one() - *s)));
        }
        Activation::Silu => all.for_each(|((dy, x), s)| *dy *= *s * (F::one() + *x * (F::one() - *s))),
    }
}

/// Runs a loop whose kind of activation is known beforehand.
macro_rules! for_kind {
    ($kind:expr, $known:ident => $run:expr) => {
        match $kind {
            Activation::Gelu => for_kind!(@ $known, Activation::Gelu, $run),
            Activation::GeluTanh => for_kind!(@ $known, Activation::GeluTanh, $run),
            Activation::QuickGelu => for_kind!(@ $known, Activation::QuickGelu, $run),
            Activation::Silu => for_kind!(@ $known, Activation::Silu, $run),
        }
    };
    (@ $known:ident, $kind:expr, $run:expr) => {{
        let $known = $kind;
        $run
    }};
}

/// `f(x)` of every value of `row`, each as it would be anywhere else.
#[inline(always)]
pub(crate) fn activate_row<F: Real, const SET: u8>(kind: Activation, row: &mut [F]) {
    let (chunks, rest) = row.as_chunks_mut::<N>();
    for_kind!(kind, known => for chunk in chunks {
        activate_16::<F, SET>(known, chunk);
    });
    if !rest.is_empty() {
        let mut chunk = [F::zero(); N];
        chunk[..rest.len()].copy_from_slice(rest);
        activate_16::<F, SET>(kind, &mut chunk);
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

per_level! {
    /// `y = f(x)`.
    pub fn activate[F: Real](kind: Activation, x: &[F], y: &mut [F]) {
        y.copy_from_slice(x);
        activate_row::<F, SET>(kind, y);
    }

    /// `dy *= f'(x)`.
    pub fn activation_gradient[F: Real](kind: Activation, x: &[F], dy: &mut [F]) {
        assert_eq!(x.len(), dy.len(), "values and gradients");
        let ((xs, x), (dys, dy)) = (x.as_chunks::<N>(), dy.as_chunks_mut::<N>());
        for_kind!(kind, known => for (x, dy) in xs.iter().zip(dys) {
            chain_16::<F, SET>(known, x, dy);
        });
        let (mut end, mut gradient) = ([F::zero(); N], [F::zero(); N]);
        end[..x.len()].copy_from_slice(x);
        gradient[..dy.len()].copy_from_slice(dy);
        chain_16::<F, SET>(kind, &end, &mut gradient);
        dy.copy_from_slice(&gradient[..dy.len()]);
    }
}
