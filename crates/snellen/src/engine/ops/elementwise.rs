//! Operations that act on each value by itself.

use crate::engine::{Real, Tape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

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

impl Activation {
    fn value<F: Real>(self, x: F) -> F {
        match self {
            Self::Gelu => F::of(0.5) * x * (F::one() + (x * F::of(std::f64::consts::FRAC_1_SQRT_2)).erf()),
            Self::QuickGelu => x / (F::one() + (F::of(-1.702) * x).exp()),
        }
    }

    fn slope<F: Real>(self, x: F) -> F {
        match self {
            Self::Gelu => {
                let phi = F::of(0.5) * (F::one() + (x * F::of(std::f64::consts::FRAC_1_SQRT_2)).erf());
                let density = (F::of(-0.5) * x * x).exp() * F::of(0.398_942_280_401_432_7);
                phi + x * density
            }
            Self::QuickGelu => {
                let s = F::one() / (F::one() + (F::of(-1.702) * x).exp());
                s * (F::one() + F::of(1.702) * x * (F::one() - s))
            }
        }
    }
}

/// `kind` of every value.
pub fn activate<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, kind: Activation) -> Tensor<F> {
    let mut out = vec![F::zero(); x.data().len()];
    out.par_chunks_mut(PIECE).zip(x.data().par_chunks(PIECE)).for_each(|(out, x)| {
        for (y, x) in out.iter_mut().zip(x) {
            *y = kind.value(*x);
        }
    });
    let x = x.clone();
    tape.push(Tensor::new(x.shape(), out), &[&x.clone()], move |dy, gradients| {
        gradients.add(x.node, || {
            let mut dx = dy.to_vec();
            dx.par_chunks_mut(PIECE).zip(x.data().par_chunks(PIECE)).for_each(|(dx, x)| {
                for (d, x) in dx.iter_mut().zip(x) {
                    *d *= kind.slope(*x);
                }
            });
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
