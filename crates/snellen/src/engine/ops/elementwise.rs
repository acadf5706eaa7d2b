//! Operations that act on each value by itself.

use crate::engine::{Real, Tape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_1_SQRT_2;

/// Values that one task handles.
const PIECE: usize = 1 << 14;

/// The non-linearity between the two layers of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x Phi(x)`, with the error function (arXiv 1606.08415).
    Gelu,
    /// `x sigmoid(1.702 x)`, as OpenAI's CLIP has it.
    QuickGelu,
}

/// Of the formula of QuickGELU.
const QUICK: f64 = 1.702;

impl Activation {
    /// `y = f(x)`; one loop per kind, so that each becomes vector code.
    fn values<F: Real>(self, x: &[F], y: &mut [F]) {
        let half = F::of(0.5);
        let pairs = x.iter().zip(y);
        match self {
            Self::Gelu => pairs.for_each(|(x, y)| *y = half * *x * (F::one() + (*x * F::of(FRAC_1_SQRT_2)).erf())),
            Self::QuickGelu => pairs.for_each(|(x, y)| *y = *x / (F::one() + (F::of(-QUICK) * *x).power_of_e())),
        }
    }

    /// `dy *= f'(x)`.
    fn chain<F: Real>(self, x: &[F], dy: &mut [F]) {
        let half = F::of(0.5);
        let pairs = x.iter().zip(dy);
        match self {
            Self::Gelu => pairs.for_each(|(x, dy)| {
                let below = half * (F::one() + (*x * F::of(FRAC_1_SQRT_2)).erf());
                let density = (-half * *x * *x).power_of_e() * F::of(0.398_942_280_401_432_7);
                *dy *= below + *x * density;
            }),
            Self::QuickGelu => pairs.for_each(|(x, dy)| {
                let s = F::one() / (F::one() + (F::of(-QUICK) * *x).power_of_e());
                *dy *= s * (F::one() + F::of(QUICK) * *x * (F::one() - s));
            }),
        }
    }
}

/// `kind` of every value.
pub fn activate<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, kind: Activation) -> Tensor<F> {
    let mut out = vec![F::zero(); x.data().len()];
    out.par_chunks_mut(PIECE).zip(x.data().par_chunks(PIECE)).for_each(|(y, x)| kind.values(x, y));
    let x = x.clone();
    tape.push(Tensor::new(x.shape(), out), &[&x.clone()], move |dy, gradients| {
        gradients.add(x.node, || {
            let mut dx = dy.to_vec();
            dx.par_chunks_mut(PIECE).zip(x.data().par_chunks(PIECE)).for_each(|(dx, x)| kind.chain(x, dx));
            dx
        });
    })
}

/// `x + y`, of one shape.
pub fn add<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, y: &Tensor<F>) -> Tensor<F> {
    let sum = x.data().iter().zip(y.data()).map(|(x, y)| *x + *y).collect();
    let (a, b) = (x.node, y.node);
    tape.push(Tensor::new(x.shape(), sum), &[x, y], move |dy, gradients| {
        gradients.add(a, || dy.to_vec());
        gradients.add(b, || dy.to_vec());
    })
}
