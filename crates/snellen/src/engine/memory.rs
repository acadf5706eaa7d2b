//! Memory that is used again: layers and steps need the same sizes, and fresh pages from the system cost as much as a pass over
//! them.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// The most vectors that are kept.
const KEPT: usize = 512;

/// Vectors that nobody uses at the moment. A clone shares them.
pub struct Memory<F>(Arc<Mutex<Vec<Vec<F>>>>);

impl<F> Clone for Memory<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F> Default for Memory<F> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<F> Memory<F> {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of `values`.
    pub(super) fn copy(&self, values: &[F]) -> Vec<F>
    where
        F: Copy + Default,
    {
        let mut copy = self.take(values.len());
        copy.copy_from_slice(values);
        copy
    }

    /// A vector of `len` values, whatever they are: to be written before it is read.
    pub(super) fn take(&self, len: usize) -> Vec<F>
    where
        F: Copy + Default,
    {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |v: &Vec<F>| v.capacity() >= len && v.capacity() / 2 <= len;
        let found = kept.iter().enumerate().filter(|(_, v)| fits(v)).min_by_key(|(_, v)| v.capacity());
        let mut values = match found.map(|(i, _)| i) {
            Some(i) => kept.remove(i),
            None => return vec![F::default(); len],
        };
        values.resize(len, F::default());
        values
    }

    /// Takes back what nobody needs any more.
    pub(super) fn put(&self, values: Vec<F>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(values);
    }
}

/// Values that go back to where they were taken from.
pub(super) struct Buffer<F> {
    values: Vec<F>,
    home: Option<Memory<F>>,
}

impl<F> Buffer<F> {
    pub(super) fn new(values: Vec<F>, home: Option<Memory<F>>) -> Self {
        Self { values, home }
    }
}

impl<F: Clone> Clone for Buffer<F> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), home: self.home.clone() }
    }
}

impl<F> Drop for Buffer<F> {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.put(std::mem::take(&mut self.values));
        }
    }
}

impl<F> Deref for Buffer<F> {
    type Target = [F];

    fn deref(&self) -> &[F] {
        &self.values
    }
}

impl<F> DerefMut for Buffer<F> {
    fn deref_mut(&mut self) -> &mut [F] {
        &mut self.values
    }
}

impl<F: fmt::Debug> fmt::Debug for Buffer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}
