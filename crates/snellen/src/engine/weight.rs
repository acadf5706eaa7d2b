//! The matrix of a linear map: as it was read, or packed for the kernels.

use super::{Level, Memory, Precision, Real, Tensor};
use snellen_cpu::{Finish, Job, Threads, View};
use std::sync::Arc;

/// A matrix `[to, from]` that maps rows of `from` values to rows of `to`.
///
/// It is plain where it is trained or changed, and packed where it is only multiplied by: packing reorders it (and for bf16 rounds
/// it) once instead of at every product.
#[derive(Clone, Debug)]
pub struct Weight<F: Real> {
    to: usize,
    from: usize,
    values: Values<F>,
}

#[derive(Clone, Debug)]
enum Values<F: Real> {
    Plain(Tensor<F>),
    Packed(Arc<F::Packed>),
}

impl<F: Real> From<Tensor<F>> for Weight<F> {
    /// Of a tensor `[to, from]`.
    fn from(plain: Tensor<F>) -> Self {
        let (to, from) = (plain.dim(0), plain.dim(1));
        Self { to, from, values: Values::Plain(plain) }
    }
}

impl<F: Real> Weight<F> {
    /// Values of an output row.
    pub fn outputs(&self) -> usize {
        self.to
    }

    /// Values of an input row.
    pub fn inputs(&self) -> usize {
        self.from
    }

    /// Packs it for the current [`Level`], once; the plain values are given up.
    pub fn pack(&mut self, precision: Precision) {
        if let Values::Plain(plain) = &self.values {
            let packed = F::pack(Level::current(), precision, columns(plain.data(), self.to, self.from));
            self.values = Values::Packed(Arc::new(packed));
        }
    }

    /// The values as they were read, to change them; `None` once it is packed.
    pub fn plain_mut(&mut self) -> Option<&mut Tensor<F>> {
        match &mut self.values {
            Values::Plain(plain) => Some(plain),
            Values::Packed(_) => None,
        }
    }

    /// Whether it is packed.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.values, Values::Packed(_))
    }

    /// Where it is on the tape; nowhere once it is packed.
    pub(super) fn node(&self) -> Option<usize> {
        match &self.values {
            Values::Plain(plain) => plain.node,
            Values::Packed(_) => None,
        }
    }

    /// `dy [rows, to]` through it: the gradient of its input, `[rows, from]`.
    pub(super) fn back(&self, memory: &Memory<F>, dy: &[F]) -> Vec<F> {
        let (rows, to, from) = (dy.len() / self.to, self.to, self.from);
        let dy = View::new(dy, rows, to, to);
        let mut out = memory.take(rows * from);
        let mut product = |w| F::product_once(Level::current(), Precision::F32, Threads::All, (&mut out, from), dy, w);
        match &self.values {
            Values::Plain(plain) => product(View::new(plain.data(), to, from, from)),
            // Of a packed operand the rows are inputs.
            Values::Packed(packed) => product(View::new(&F::unpack(packed), from, to, to).transposed()),
        }
        out
    }

    /// What [`Weight::product`] makes, to be made together with others; `None` unless it is packed.
    pub(super) fn job<'a>(
        &'a self,
        out: &'a mut [F],
        x: &'a [F],
        finish: Finish<'a, F>,
    ) -> Option<Job<'a, F, F::Packed>> {
        let Values::Packed(b) = &self.values else { return None };
        let a = View::new(x, x.len() / self.from, self.from, self.from);
        Some(Job { out, stride: self.to, a, b, finish })
    }

    /// `out = finish(x w^T)`, for `x [.., from]` and `out [.., to]`.
    pub(super) fn product(&self, out: &mut [F], x: &[F], finish: Finish<'_, F>) {
        let x = View::new(x, x.len() / self.from, self.from, self.from);
        match &self.values {
            Values::Packed(packed) => F::product(out, self.to, x, packed, finish),
            Values::Plain(plain) => {
                let w = columns(plain.data(), self.to, self.from);
                F::product(out, self.to, x, &F::pack(Level::current(), Precision::F32, w), finish);
            }
        }
    }
}

/// `[to, from]` as the right operand of a product.
fn columns<F: Copy>(values: &[F], to: usize, from: usize) -> View<'_, F> {
    View::new(values, to, from, from).transposed()
}
