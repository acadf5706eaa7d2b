//! Affine maps, and what follows them.

use super::{activate, add, scale};
use crate::engine::product::{column_sums, transposed};
use crate::engine::{Activation, Real, Tape, Tensor, Weight};
use snellen_cpu::Finish;
use std::array::from_fn;
use std::mem::take;

/// `x [.., from]`, `w [to, from]`, `bias [to]` -> `x w^T + bias`, `[.., to]`, when somebody needs it.
pub fn linear<'a, F: Real>(x: &Tensor<F>, w: &'a Weight<F>, bias: Option<&'a Tensor<F>>) -> Pending<'a, F> {
    Pending(State::Waiting(Product { x: x.clone(), w, bias, activation: None, gain: None, add: None }))
}

/// An input `[.., from]`, a matrix `[to, from]` and a bias `[to]`.
pub type Affine<'a, F> = (&'a Tensor<F>, &'a Weight<F>, Option<&'a Tensor<F>>);

/// Several maps as [`linear`] makes them. Where nothing is recorded and all are packed, threads share the work of all of them, and
/// do not wait for each other in between.
pub fn linears<F: Real, const N: usize>(tape: &mut Tape<F>, maps: [Affine<'_, F>; N]) -> [Tensor<F>; N] {
    if tape.records() || !maps.iter().all(|(_, w, _)| w.is_packed()) {
        return maps.map(|(x, w, bias)| linear(x, w, bias).make(tape));
    }
    let mut outs = maps.map(|(x, w, _)| tape.buffer(x.data().len() / w.inputs() * w.outputs()));
    let jobs = maps.into_iter().zip(&mut outs).filter_map(|((x, w, bias), out)| {
        w.job(out, x.data(), Finish { bias: bias.map(Tensor::data), ..Finish::default() })
    });
    F::products(&mut jobs.collect::<Vec<_>>());
    from_fn(|i| tape.tensor(output_shape(maps[i].0, maps[i].1), take(&mut outs[i])))
}

/// The shape of `x`, with as many values in a row as `w` gives.
fn output_shape<F: Real>(x: &Tensor<F>, w: &Weight<F>) -> Vec<usize> {
    let mut shape = x.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = w.outputs();
    }
    shape
}

/// The output of a linear map that is made when somebody needs it, together with what follows: then an activation, a gain and a sum
/// with the residual stream cost no further pass over memory. The bytes are the same as those of one step after the other.
///
/// On a tape that records, only the sum is put off: the other backwards need what comes before them.
pub struct Pending<'a, F: Real>(State<'a, F>);

enum State<'a, F: Real> {
    Waiting(Product<'a, F>),
    Made(Tensor<F>),
}

struct Product<'a, F: Real> {
    x: Tensor<F>,
    w: &'a Weight<F>,
    bias: Option<&'a Tensor<F>>,
    activation: Option<Activation>,
    gain: Option<&'a Tensor<F>>,
    add: Option<Tensor<F>>,
}

impl<F: Real> From<Tensor<F>> for Pending<'_, F> {
    fn from(made: Tensor<F>) -> Self {
        Self(State::Made(made))
    }
}

impl<'a, F: Real> Pending<'a, F> {
    /// `kind` of every value.
    #[must_use]
    pub fn activate(self, tape: &mut Tape<F>, kind: Activation) -> Self {
        match self.0 {
            State::Waiting(p) if p.activation.is_none() && p.gain.is_none() && p.add.is_none() && !tape.records() => {
                Self(State::Waiting(Product { activation: Some(kind), ..p }))
            }
            state => {
                let made = Self(state).make(tape);
                activate(tape, &made, kind).into()
            }
        }
    }

    /// Every row times `gain`.
    #[must_use]
    pub fn scale(self, tape: &mut Tape<F>, gain: &'a Tensor<F>) -> Self {
        match self.0 {
            State::Waiting(p) if p.gain.is_none() && p.add.is_none() && !tape.records() => {
                Self(State::Waiting(Product { gain: Some(gain), ..p }))
            }
            state => {
                let made = Self(state).make(tape);
                scale(tape, &made, gain).into()
            }
        }
    }

    /// The sum with `x`, which is of the same shape.
    #[must_use]
    pub fn add(self, tape: &mut Tape<F>, x: &Tensor<F>) -> Self {
        match self.0 {
            State::Waiting(p) if p.add.is_none() => Self(State::Waiting(Product { add: Some(x.clone()), ..p })),
            state => {
                let made = Self(state).make(tape);
                add(tape, x, &made).into()
            }
        }
    }

    /// The values.
    pub fn make(self, tape: &mut Tape<F>) -> Tensor<F> {
        match self.0 {
            State::Waiting(product) => product.make(tape),
            State::Made(tensor) => tensor,
        }
    }
}

impl<F: Real> Product<'_, F> {
    fn make(self, tape: &mut Tape<F>) -> Tensor<F> {
        let Self { x, w, bias, activation, gain, add } = self;
        let (n, k) = (w.outputs(), w.inputs());
        let mut out = tape.buffer(x.data().len() / k * n);
        let finish = Finish {
            bias: bias.map(Tensor::data),
            activation,
            gain: gain.map(Tensor::data),
            add: add.as_ref().map(Tensor::data),
        };
        w.product(&mut out, x.data(), finish);
        let out = tape.tensor(output_shape(&x, w), out);
        if !tape.records() {
            return out;
        }
        let (x_node, w_node, bias_node) = (x.node, w.node(), bias.and_then(|bias| bias.node));
        let add_node = add.as_ref().and_then(|add| add.node);
        let w = w.clone();
        tape.push(out, &[x_node, w_node, bias_node, add_node], move |dy, gradients| {
            gradients.add(x_node, |memory| w.back(memory, dy));
            gradients.add(w_node, |memory| transposed(memory, dy, x.data(), n, k));
            gradients.add(bias_node, |_| column_sums(dy, n));
            gradients.add(add_node, |memory| memory.copy(dy));
        })
    }
}
