//! A dense array in row-major order that remembers where on the tape it came from.

use super::memory::{Buffer, Memory};
use std::sync::Arc;

/// Values in row-major order. Cloning shares the values.
#[derive(Clone, Debug)]
pub struct Tensor<F> {
    shape: Vec<usize>,
    data: Arc<Buffer<F>>,
    pub(super) node: Option<usize>,
}

impl<F> Tensor<F> {
    /// `data` holds the product of `shape` values.
    ///
    /// # Panics
    /// If it does not: shapes are checked where files are read, so a mismatch here is a defect of this crate.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<F>) -> Self {
        Self::of_buffer(shape.into(), Buffer::new(data, None))
    }

    /// The same; the values go back to `memory` when nobody needs them any more.
    pub(super) fn lent(shape: impl Into<Vec<usize>>, data: Vec<F>, memory: &Memory<F>) -> Self {
        Self::of_buffer(shape.into(), Buffer::new(data, Some(memory.clone())))
    }

    fn of_buffer(shape: Vec<usize>, data: Buffer<F>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "a tensor of shape {shape:?}");
        Self { shape, data: Arc::new(data), node: None }
    }

    /// The extent of every axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The extent of axis `i`.
    pub fn dim(&self, i: usize) -> usize {
        self.shape[i]
    }

    /// The extent of the last axis.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The values.
    pub fn data(&self) -> &[F] {
        &self.data
    }

    /// The values for writing; copied first where they are shared.
    pub fn data_mut(&mut self) -> &mut [F]
    where
        F: Clone,
    {
        let buffer: &mut Buffer<F> = Arc::make_mut(&mut self.data);
        buffer
    }

    /// The same values under another shape of the same size.
    #[must_use]
    pub fn reshape(mut self, shape: impl Into<Vec<usize>>) -> Self {
        self.shape = shape.into();
        assert_eq!(self.shape.iter().product::<usize>(), self.data.len(), "reshaped to {:?}", self.shape);
        self
    }
}
