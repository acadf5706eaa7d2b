//! Which of a file's values are the weights: the dictionary of them that training programs wrap in others.

use super::{Kind, Tensor, TorchFile, Value};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Where training programs keep the weights, the first that there is.
const WEIGHTS: [&str; 4] = ["state_dict", "model_state_dict", "model", "module"];

/// How deep modules may lie in one another.
const MAX_DEPTH: usize = 64;

/// The most tensors of a file, and of attributes that are looked at for them.
const MAX_TENSORS: usize = 1 << 20;

/// The longest name of an attribute.
const MAX_NAME: usize = 500;

/// How many others are named.
const MAX_BESIDE: usize = 1000;

/// How often a file's numbers may be in its tensors: weights can be shared, but not by all.
const MOST_SHARED: u128 = 8;

/// Tensors by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Those of the dictionary of weights, or of a TorchScript's modules by the path of their attributes (`visual.conv1.weight`).
    pub tensors: BTreeMap<String, Tensor>,
    /// What stands beside them and is no tensor of theirs, as `optimizer (a dictionary)`.
    pub beside: Vec<String>,
}

impl TorchFile {
    /// The weights: a dictionary of tensors, alone or under `state_dict`, `model_state_dict`, `model` or `module` of another, or
    /// the tensors of TorchScript modules.
    ///
    /// # Errors
    /// When there is no such dictionary, a tensor's numbers are not in the file, or tensors together have more numbers than
    /// files hold.
    pub fn state(&self) -> Result<State> {
        let mut state = State { tensors: BTreeMap::new(), beside: Vec::new() };
        let mut seen = 0;
        match self.root().kind() {
            Kind::Module(_) => self.attributes(self.root(), "", (MAX_DEPTH, &mut seen), &mut state)?,
            Kind::Dict => self.entries(&mut state)?,
            _ => return Err(self.none(format_args!("{}", self.root().described()))),
        }
        let size = |tensor: &Tensor| (tensor.count() * tensor.dtype.bitsize() / 8) as u128;
        let bytes: u128 = state.tensors.values().map(size).sum();
        let held: u128 = self.storages.values().map(|extent| u128::from(extent.bytes)).sum();
        let most = MOST_SHARED * held + (1 << 26);
        if bytes > most {
            return Err(Error::mismatch(self.path.display(), format!("tensors of at most {most} bytes"), bytes));
        }
        Ok(state)
    }

    fn none(&self, got: std::fmt::Arguments<'_>) -> Error {
        let expected = "a dictionary of tensors, or one under `state_dict`, `model_state_dict`, `model` or `module`";
        Error::mismatch(self.path.display(), expected, got)
    }

    fn entries(&self, state: &mut State) -> Result<()> {
        let holds = |value: Value<'_>| value.entries().any(|(_, value)| value.kind() == Kind::Tensor);
        let root = self.root();
        let inner = WEIGHTS.into_iter().find(|key| root.get(key).is_some_and(holds));
        let inner = inner.filter(|_| !holds(root));
        let weights = inner.and_then(|key| root.get(key)).unwrap_or(root);
        let said = |key: Value<'_>, value: Value<'_>| {
            let key: String = key.text().unwrap_or("?").chars().take(100).flat_map(char::escape_debug).collect();
            format!("{key} ({})", value.described())
        };
        if inner.is_some() {
            let others = root.entries().filter(|(key, _)| key.text() != inner);
            state.beside.extend(others.take(MAX_BESIDE).map(|(key, value)| said(key, value)));
        }
        for (key, value) in weights.entries() {
            match (key.text(), self.tensor(value)?) {
                (Some(key), Some(tensor)) => {
                    state.tensors.insert(key.to_owned(), tensor);
                }
                _ if state.beside.len() < MAX_BESIDE => state.beside.push(said(key, value)),
                _ => {}
            }
        }
        if state.tensors.is_empty() {
            let mut keys: Vec<String> = std::mem::take(&mut state.beside);
            keys.truncate(8);
            return Err(self.none(format_args!("a dictionary of {}", keys.join(", "))));
        }
        Ok(())
    }

    /// The tensors of a module, and of those inside it.
    fn attributes(
        &self,
        module: Value<'_>,
        prefix: &str,
        (depth, seen): (usize, &mut usize),
        state: &mut State,
    ) -> Result<()> {
        for (key, value) in module.entries() {
            *seen += 1;
            if *seen > MAX_TENSORS || depth == 0 {
                let expected = format!("at most {MAX_TENSORS} attributes, {MAX_DEPTH} modules deep");
                return Err(Error::mismatch(self.path.display(), expected, "more"));
            }
            let Some(key) = key.text() else { continue };
            if key.len() > MAX_NAME {
                let expected = format!("names of at most {MAX_NAME} bytes");
                return Err(Error::mismatch(self.path.display(), expected, key.len()));
            }
            match value.kind() {
                Kind::Module(_) => self.attributes(value, &format!("{prefix}{key}."), (depth - 1, seen), state)?,
                _ => {
                    if let Some(tensor) = self.tensor(value)? {
                        state.tensors.insert(format!("{prefix}{key}"), tensor);
                    }
                }
            }
        }
        Ok(())
    }
}
