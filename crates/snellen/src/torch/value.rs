//! Values of a file, as a tree to walk.
//!
//! What the file says once and refers to twice is one value, so the tree can be a graph, and a hostile one can have circles. Who
//! walks it sets a depth.

use super::heap::{Id, Node, Values};

/// A value of a file.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    pub(super) values: &'a Values,
    pub(super) id: Id,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind<'a> {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number; `None` where it takes more than 64 bits.
    Int(Option<i64>),
    /// A number.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list, tuple or set: [`Value::items`].
    List,
    /// A dictionary: [`Value::entries`].
    Dict,
    /// A module of TorchScript, of this class: [`Value::entries`] are its attributes.
    Module(&'a str),
    /// A tensor: [`TorchFile::tensor`](super::TorchFile::tensor).
    Tensor,
    /// The name of a class, a function or a type of numbers.
    Name(&'a str),
}

impl<'a> Value<'a> {
    pub(super) fn new(values: &'a Values, id: Id) -> Self {
        Self { values, id }
    }

    pub(super) fn node(self) -> &'a Node {
        self.values.node(self.id)
    }

    /// What it is.
    pub fn kind(self) -> Kind<'a> {
        match self.node() {
            Node::None => Kind::None,
            Node::Bool(value) => Kind::Bool(*value),
            Node::Int(value) => Kind::Int(*value),
            Node::Float(value) => Kind::Float(*value),
            Node::Text(text) => Kind::Text(text),
            Node::Bytes(bytes) => Kind::Bytes(bytes),
            Node::List(_) | Node::Tuple(_) => Kind::List,
            Node::Dict(_) => Kind::Dict,
            Node::Module { class, .. } => match self.values.node(*class) {
                Node::Name(class) => Kind::Module(class.as_str()),
                _ => Kind::Module(""),
            },
            Node::Tensor(_) => Kind::Tensor,
            Node::Name(name) => Kind::Name(name.as_str()),
            Node::Storage(_) => Kind::Name("a storage"),
        }
    }

    /// What it is, for messages.
    pub fn described(self) -> &'static str {
        match self.kind() {
            Kind::None => "None",
            Kind::Bool(_) => "a truth value",
            Kind::Int(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::Bytes(_) => "bytes",
            Kind::List => "a list",
            Kind::Dict => "a dictionary",
            Kind::Module(_) => "a module",
            Kind::Tensor => "a tensor",
            Kind::Name(_) => "a name",
        }
    }

    /// The whole number that it is.
    pub fn int(self) -> Option<i64> {
        match self.kind() {
            Kind::Int(value) => value,
            _ => None,
        }
    }

    /// The number that it is, whole or not.
    pub fn float(self) -> Option<f64> {
        match self.kind() {
            Kind::Float(value) => Some(value),
            Kind::Int(value) => value.map(|value| value as f64),
            _ => None,
        }
    }

    /// The text that it is.
    pub fn text(self) -> Option<&'a str> {
        match self.kind() {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list, tuple or set; none of anything else.
    pub fn items(self) -> impl ExactSizeIterator<Item = Self> {
        let items: &[Id] = match self.node() {
            Node::List(items) | Node::Tuple(items) => items,
            _ => &[],
        };
        items.iter().map(move |id| Self::new(self.values, *id))
    }

    /// Keys and values of a dictionary, or the attributes of a module, in the order of the file; none of anything else. Where a key
    /// comes twice, the last one counts.
    pub fn entries(self) -> impl ExactSizeIterator<Item = (Self, Self)> {
        let entries: &[(Id, Id)] = match self.node() {
            Node::Dict(entries) => entries,
            Node::Module { state: Some(state), .. } => match self.values.node(*state) {
                Node::Dict(entries) => entries,
                _ => &[],
            },
            _ => &[],
        };
        entries.iter().map(move |(key, value)| (Self::new(self.values, *key), Self::new(self.values, *value)))
    }

    /// What a dictionary has under a text, or a module as an attribute.
    pub fn get(self, key: &str) -> Option<Self> {
        self.entries().filter(|(own, _)| own.text() == Some(key)).last().map(|(_, value)| value)
    }
}
