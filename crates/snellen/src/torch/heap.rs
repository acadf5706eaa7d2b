//! The values of a pickle, by number, and those that are made so far.

use super::names::Name;
use crate::{Error, Result};
use safetensors::Dtype;
use std::cell::Cell;

/// A value's number.
pub(super) type Id = u32;

/// The most bytes that are copied from values into others: an instruction of a few bytes can name a long one.
const MAX_COPIED: usize = 1 << 26;

/// A value, with those inside it by number.
pub(super) enum Node {
    None,
    Bool(bool),
    Int(Option<i64>),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Name(Name),
    /// Of a class that is a name.
    Module {
        class: Id,
        state: Option<Id>,
    },
    Storage(Storage),
    Tensor(View),
}

/// Numbers that lie in a place of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    /// A text.
    pub(super) key: Id,
    /// `None` where it is bytes.
    pub(super) dtype: Option<Dtype>,
    /// How many numbers, or bytes.
    pub(super) count: u64,
}

/// A tensor: which numbers of a storage, in which order.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) storage: Storage,
    pub(super) dtype: Dtype,
    /// Of the first number, in numbers.
    pub(super) offset: u64,
    /// Lengths of the axes, a tuple.
    pub(super) shape: Id,
    /// How far apart numbers are along each axis, in numbers, a tuple.
    pub(super) strides: Id,
}

/// All values of a pickle.
pub(super) struct Values {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Id,
}

impl Values {
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    /// The storages that are spoken of, by key.
    pub(super) fn storages(&self) -> impl Iterator<Item = (&str, Storage)> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some((self.key(*storage), *storage)),
            _ => None,
        })
    }

    /// The key of a storage.
    pub(super) fn key(&self, storage: Storage) -> &str {
        match self.node(storage.key) {
            Node::Text(key) => key,
            _ => "",
        }
    }

    /// The whole numbers, none below 0, of a tuple or list of at most [`MAX_AXES`].
    pub(super) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        sizes(&self.nodes, id)
    }
}

/// The most axes of a tensor.
pub(super) const MAX_AXES: usize = 64;

fn sizes(nodes: &[Node], id: Id) -> Option<Vec<usize>> {
    let (Node::Tuple(items) | Node::List(items)) = &nodes[id as usize] else { return None };
    let size = |id: &Id| match nodes[*id as usize] {
        Node::Int(Some(value)) => usize::try_from(value).ok(),
        _ => None,
    };
    (items.len() <= MAX_AXES).then(|| items.iter().map(size).collect()).flatten()
}

/// The values so far of a pickle that is being read.
pub(super) struct Heap<'a> {
    pub(super) nodes: Vec<Node>,
    /// The pickle's name in messages.
    pub(super) place: &'a str,
    /// Where the instruction begins that is being followed.
    pub(super) start: usize,
    /// Bytes that were copied from values.
    copied: Cell<usize>,
}

impl<'a> Heap<'a> {
    /// Without any, of the pickle `place`.
    pub(super) fn new(place: &'a str) -> Self {
        Self { nodes: Vec::new(), place, start: 0, copied: Cell::new(0) }
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        sizes(&self.nodes, id)
    }

    /// Notes that `bytes` are copied from one value into another.
    pub(super) fn copy(&self, bytes: usize) -> Result<()> {
        self.copied.set(self.copied.get().saturating_add(bytes));
        if self.copied.get() > MAX_COPIED {
            return Err(self.error(format!("at most {MAX_COPIED} bytes of values in others"), "more"));
        }
        Ok(())
    }

    pub(super) fn error(&self, expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Error {
        Error::mismatch(format!("{} at byte {}", self.place, self.start), expected, got)
    }
}
