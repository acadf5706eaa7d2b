//! Operations that act on each value by itself.

use crate::engine::product::column_sums;
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

fn sigmoid<F: Real>(x: F) -> F {
    F::one() / (F::one() + (-x).power_of_e())
}

impl Activation {
    /// `y = f(x)`; one loop per kind, so that each becomes vector code.
    fn values<F: Real>(self, x: &[F], y: &mut [F]) {
        let half = F::of(0.5);
        let pairs = x.iter().zip(y);
        match self {
            Self::Gelu => pairs.for_each(|(x, y)| *y = half * *x * (F::one() + (*x * F::of(FRAC_1_SQRT_2)).erf())),
            Self::GeluTanh => pairs.for_each(|(x, y)| {
                let inner = F::of(TANH) * *x * (F::one() + F::of(CUBIC) * *x * *x);
                *y = *x / (F::one() + (-inner).power_of_e());
            }),
            Self::QuickGelu => pairs.for_each(|(x, y)| *y = *x / (F::one() + (F::of(-QUICK) * *x).power_of_e())),
            Self::Silu => pairs.for_each(|(x, y)| *y = *x / (F::one() + (-*x).power_of_e())),
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
            Self::GeluTanh => pairs.for_each(|(x, dy)| {
                let square = *x * *x;
                let s = sigmoid(F::of(TANH) * *x * (F::one() + F::of(CUBIC) * square));
                let slope = F::of(TANH) * *x * (F::one() + F::of(3.0 * CUBIC) * square);
                *dy *= s * (F::one() + slope * (F::one() - s));
            }),
            Self::QuickGelu => pairs.for_each(|(x, dy)| {
                let s = sigmoid(F::of(QUICK) * *x);
                *dy *= s * (F::one() + F::of(QUICK) * *x * (F::one() - s));
            }),
            Self::Silu => pairs.for_each(|(x, dy)| {
                let s = sigmoid(*x);
                *dy *= s * (F::one() + *x * (F::one() - s));
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

/// `x * y`, of one shape.
pub fn multiply<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, y: &Tensor<F>) -> Tensor<F> {
    let times = |a: &[F], b: &[F]| a.iter().zip(b).map(|(a, b)| *a * *b).collect::<Vec<F>>();
    let out = Tensor::new(x.shape(), times(x.data(), y.data()));
    let (x, y) = (x.clone(), y.clone());
    tape.push(out, &[&x.clone(), &y.clone()], move |dy, gradients| {
        gradients.add(x.node, || times(dy, y.data()));
        gradients.add(y.node, || times(dy, x.data()));
    })
}

/// Every row of `x [.., d]` times `gain [d]`.
pub fn scale<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, gain: &Tensor<F>) -> Tensor<F> {
    let d = x.width();
    let by_gain = move |values: &[F], gain: &[F]| -> Vec<F> {
        values.chunks(d).flat_map(|row| row.iter().zip(gain).map(|(x, g)| *x * *g)).collect()
    };
    let out = Tensor::new(x.shape(), by_gain(x.data(), gain.data()));
    let (x, gain) = (x.clone(), gain.clone());
    tape.push(out, &[&x.clone(), &gain.clone()], move |dy, gradients| {
        gradients.add(x.node, || by_gain(dy, gain.data()));
        gradients.add(gain.node, || {
            let products: Vec<F> = dy.iter().zip(x.data()).map(|(g, x)| *g * *x).collect();
            column_sums(&products, d)
        });
    })
}
