//! Reverse-mode differentiation: operations leave their backwards on a tape, which is then played in reverse.

use super::memory::Memory;
use super::{Level, Real, Tensor};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Values that one task adds.
const PIECE: usize = 1 << 14;

/// From the gradient of an operation's output to those of its inputs.
type Backward<F> = Box<dyn FnOnce(&[F], &mut Gradients<F>)>;

/// A record of the operations of one forward; without a record, the memory that forwards use again.
pub struct Tape<F> {
    recording: bool,
    memory: Memory<F>,
    /// `None` for leaves.
    steps: Vec<Option<Backward<F>>>,
    /// Nodes of operations whose gradients are kept as those of leaves are.
    kept: BTreeSet<usize>,
}

/// A place on a tape whose gradient is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(usize);

impl<F: Real> Tape<F> {
    /// Keeps nothing but memory: for running a model. Batches that follow one another are faster on one tape.
    pub fn off() -> Self {
        Self { recording: false, memory: Memory::new(), steps: Vec::new(), kept: BTreeSet::new() }
    }

    /// Records: for training one.
    pub fn on() -> Self {
        Self::on_in(&Memory::new())
    }

    /// Records, in memory that was used before: steps that follow one another are faster.
    pub fn on_in(memory: &Memory<F>) -> Self {
        Self { recording: true, memory: memory.clone(), steps: Vec::new(), kept: BTreeSet::new() }
    }

    /// Whether operations leave their backwards.
    pub fn records(&self) -> bool {
        self.recording
    }

    /// Memory for `len` values that an operation writes, all of them.
    pub(super) fn buffer(&self, len: usize) -> Vec<F> {
        self.memory.take(len)
    }

    /// A tensor in memory from [`Tape::buffer`].
    pub(super) fn tensor(&self, shape: impl Into<Vec<usize>>, values: Vec<F>) -> Tensor<F> {
        Tensor::lent(shape, values, &self.memory)
    }

    /// `tensor` as something to differentiate by; its number in [`Gradients`] is the count of leaves and operations so far.
    pub fn leaf(&mut self, tensor: &Tensor<F>) -> Tensor<F> {
        let mut tensor = tensor.clone();
        if self.recording {
            tensor.node = Some(self.steps.len());
            self.steps.push(None);
        }
        tensor
    }

    /// Keeps the gradient of `tensor`, wherever it comes from, until [`Gradients::at`] is asked for it; `None` on a tape that does not
    /// record.
    pub fn keep(&mut self, tensor: &mut Tensor<F>) -> Option<Node> {
        if !self.recording {
            return None;
        }
        if tensor.node.is_none() {
            *tensor = self.leaf(tensor);
        }
        let node = tensor.node?;
        self.kept.insert(node);
        Some(Node(node))
    }

    /// The output of an operation on inputs at the nodes `inputs`; `backward` is kept only if one of them is to be differentiated.
    pub(super) fn push(
        &mut self,
        mut output: Tensor<F>,
        inputs: &[Option<usize>],
        backward: impl FnOnce(&[F], &mut Gradients<F>) + 'static,
    ) -> Tensor<F> {
        if self.recording && inputs.iter().any(Option::is_some) {
            output.node = Some(self.steps.len());
            self.steps.push(Some(Box::new(backward)));
        }
        output
    }

    /// The gradient of `loss`, a single value, with respect to every leaf.
    pub fn backward(self, loss: &Tensor<F>) -> Gradients<F> {
        let mut gradients = Gradients { by_node: vec![None; self.steps.len()], memory: self.memory };
        gradients.add(loss.node, |_| vec![F::one()]);
        for (node, step) in self.steps.into_iter().enumerate().rev() {
            if let Some(backward) = step
                && let Some(gradient) = gradients.by_node[node].take()
            {
                backward(&gradient, &mut gradients);
                if self.kept.contains(&node) {
                    gradients.by_node[node] = Some(gradient);
                } else {
                    gradients.memory.put(gradient);
                }
            }
        }
        gradients
    }
}

/// Gradients of leaves and of what was kept.
pub struct Gradients<F> {
    by_node: Vec<Option<Vec<F>>>,
    memory: Memory<F>,
}

impl<F> Drop for Gradients<F> {
    fn drop(&mut self) {
        self.by_node.drain(..).flatten().for_each(|gradient| self.memory.put(gradient));
    }
}

impl<F: Real> Gradients<F> {
    /// The gradient with respect to a leaf; `None` where the loss does not depend on it.
    pub fn of(&self, leaf: &Tensor<F>) -> Option<&[F]> {
        self.by_node.get(leaf.node?)?.as_deref()
    }

    /// The gradient of what [`Tape::keep`] kept; `None` where the loss does not depend on it.
    pub fn at(&self, Node(node): Node) -> Option<&[F]> {
        self.by_node.get(node)?.as_deref()
    }

    /// Adds to the gradient of `node`; what is not differentiated is not computed.
    pub(super) fn add(&mut self, node: Option<usize>, gradient: impl FnOnce(&Memory<F>) -> Vec<F>) {
        let Some(node) = node else { return };
        let new = gradient(&self.memory);
        match &mut self.by_node[node] {
            Some(sum) => {
                let pieces = sum.par_chunks_mut(PIECE).zip(new.par_chunks(PIECE));
                pieces.for_each(|(sum, x)| F::add_into(Level::current(), sum, x));
                self.memory.put(new);
            }
            empty => *empty = Some(new),
        }
    }
}
