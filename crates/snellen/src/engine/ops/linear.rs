//! Affine maps.

use crate::engine::product::{column_sums, linear as product, plain, transposed};
use crate::engine::{Real, Tape, Tensor};

/// `x [.., k] @ w [n, k]^T + bias [n]` -> `[.., n]`.
pub fn linear<F: Real>(tape: &mut Tape<F>, x: &Tensor<F>, w: &Tensor<F>, bias: Option<&Tensor<F>>) -> Tensor<F> {
    let (n, k) = (w.dim(0), w.dim(1));
    let mut shape = x.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = n;
    }
    let out = Tensor::new(shape, product(x.data(), w.data(), bias.map(Tensor::data), k, n));
    let bias_node = bias.and_then(|b| b.node);
    let (x, w) = (x.clone(), w.clone());
    let inputs: Vec<Tensor<F>> = [Some(&x), Some(&w), bias].into_iter().flatten().cloned().collect();
    tape.push(out, &inputs.iter().collect::<Vec<_>>(), move |dy, gradients| {
        gradients.add(x.node, || plain(dy, w.data(), n, k));
        gradients.add(w.node, || transposed(dy, x.data(), n, k));
        gradients.add(bias_node, || column_sums(dy, n));
    })
}
