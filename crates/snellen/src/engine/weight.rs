//! The matrix of a linear map: as it was read, or packed for the kernels.

use super::{Level, Precision, Real, Tensor};
use snellen_cpu::{Finish, Job, View};

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
    Packed(F::Packed),
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
            self.values =
                Values::Packed(F::pack(Level::current(), precision, columns(plain.data(), self.to, self.from)));
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

    /// Its values in order, `[to, from]`, as they are multiplied.
    pub(super) fn dense(&self) -> Tensor<F> {
        match &self.values {
            Values::Plain(plain) => plain.clone(),
            Values::Packed(packed) => {
                let by_input = F::unpack(packed);
                let at = |i: usize, j: usize| by_input[j * self.to + i];
                let values = (0..self.to).flat_map(|i| (0..self.from).map(move |j| at(i, j))).collect();
                Tensor::new([self.to, self.from], values)
            }
        }
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
