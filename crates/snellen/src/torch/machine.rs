//! The machine that a pickle is a program for, as far as data needs it.
//!
//! Every instruction makes at most one value, and takes at least one byte: what a file can make us hold is bounded by its length.
//! Names become values of the kinds in [`names`](super::names), and applying one (`REDUCE`) is what
//! [`rebuild`](super::rebuild) makes of it.

use super::heap::{Heap, Id, Node, Values};
use super::names::known;
use super::rebuild;
use crate::Result;
use std::collections::HashMap;

/// The most values of a file, of places on the stack, and of what is remembered.
const MAX_VALUES: usize = 1 << 22;

/// The most marks that are open at a time.
const MAX_MARKS: usize = 1 << 10;

/// The longest name of a function or class.
const MAX_NAME: usize = 1 << 10;

/// Reads the pickle that `bytes` begin with: its values, and how many bytes it takes. `place` is its name in messages; `script` files have
/// classes of their own.
pub(super) fn read(bytes: &[u8], place: &str, script: bool) -> Result<(Values, usize)> {
    let mut machine = Machine {
        bytes,
        at: 0,
        script,
        heap: Heap::new(place),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        if let Some(root) = machine.step()? {
            let Machine { heap, at, .. } = machine;
            return Ok((Values { nodes: heap.nodes, root }, at));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    script: bool,
    heap: Heap<'a>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Follows one instruction; the whole pickle's value at its end.
    fn step(&mut self) -> Result<Option<Id>> {
        self.heap.start = self.at;
        let code = self.take(1)?[0];
        match code {
            0x80 => {
                let version = self.take(1)?[0];
                if version > 5 {
                    return Err(self.heap.error("a pickle of protocol 0 to 5", version));
                }
            }
            0x95 => {
                self.take(8)?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => {
                if self.marks.len() == MAX_MARKS {
                    return Err(self.heap.error(format!("at most {MAX_MARKS} marks"), "more"));
                }
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.since_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.push_id(top)?;
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(code)?,
            b'N' | 0x88 | 0x89 | b'K' | b'M' | b'J' | 0x8a | 0x8b | b'G' => self.number(code)?,
            b'X' | 0x8c | 0x8d | b'U' | b'T' | b'C' | b'B' | 0x8e | 0x96 => self.text(code)?,
            b')' | b't' | 0x85..=0x87 | b']' | b'}' | 0x8f | 0x91 | b'l' | b'd' => self.container(code)?,
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(code)?,
            b'c' | 0x93 => self.name(code)?,
            b'R' | 0x81 | b'b' => self.apply(code)?,
            b'Q' => {
                let id = self.pop()?;
                let storage = rebuild::storage(&self.heap, id)?;
                self.push(Node::Storage(storage))?;
            }
            other => {
                let got = format!("the instruction {:?} ({other:#04x})", char::from(other));
                return Err(self.heap.error("an instruction that data is written with", got));
            }
        }
        Ok(None)
    }

    /// Memo: what was made, for the places that refer to it.
    fn remember(&mut self, code: u8) -> Result<()> {
        let index = match code {
            b'q' | b'h' => u32::from(self.take(1)?[0]),
            b'r' | b'j' => u32::from_le_bytes(self.array()?),
            _ => self.memo.len() as u32,
        };
        if matches!(code, b'h' | b'j') {
            let Some(id) = self.memo.get(&index).copied() else {
                return Err(self.heap.error("a value that was made before", format!("number {index}")));
            };
            return self.push_id(id);
        }
        if self.memo.len() >= MAX_VALUES {
            return Err(self.heap.error(format!("at most {MAX_VALUES} values to remember"), "more"));
        }
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn number(&mut self, code: u8) -> Result<()> {
        let node = match code {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'K' => Node::Int(Some(i64::from(self.take(1)?[0]))),
            b'M' => Node::Int(Some(i64::from(u16::from_le_bytes(self.array()?)))),
            b'J' => Node::Int(Some(i64::from(i32::from_le_bytes(self.array()?)))),
            b'G' => Node::Float(f64::from_be_bytes(self.array()?)),
            _ => {
                let length = match code {
                    0x8a => u64::from(self.take(1)?[0]),
                    _ => u64::from(u32::from_le_bytes(self.array()?)),
                };
                let bytes = self.take(length)?;
                let negative = bytes.last().is_some_and(|last| *last >= 0x80);
                let mut whole = [if negative { 0xff } else { 0 }; 8];
                let small = bytes.iter().skip(8).all(|byte| *byte == whole[0]);
                whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                let value = i64::from_le_bytes(whole);
                Node::Int((small && (bytes.len() <= 8 || (value < 0) == negative)).then_some(value))
            }
        };
        self.push(node)
    }

    fn text(&mut self, code: u8) -> Result<()> {
        let length = match code {
            0x8c | b'U' | b'C' => u64::from(self.take(1)?[0]),
            0x8d | 0x8e | 0x96 => u64::from_le_bytes(self.array()?),
            _ => u64::from(u32::from_le_bytes(self.array()?)),
        };
        let bytes = self.take(length)?;
        let node = match code {
            b'C' | b'B' | 0x8e | 0x96 => Node::Bytes(bytes.to_vec()),
            // Strings of Python 2 are Latin 1 as often as not.
            b'U' | b'T' => match std::str::from_utf8(bytes) {
                Ok(text) => Node::Text(text.to_owned()),
                Err(_) => Node::Bytes(bytes.to_vec()),
            },
            // Python writes halves of surrogate pairs as they are.
            _ => Node::Text(String::from_utf8_lossy(bytes).into_owned()),
        };
        self.push(node)
    }

    fn container(&mut self, code: u8) -> Result<()> {
        let node = match code {
            b')' => Node::Tuple(Vec::new()),
            b']' | 0x8f => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            b't' => Node::Tuple(self.since_mark()?),
            b'l' | 0x91 => Node::List(self.since_mark()?),
            b'd' => {
                let items = self.since_mark()?;
                Node::Dict(self.pairs(&items)?)
            }
            _ => {
                let length = usize::from(code - 0x84);
                let first = self.stack.len().checked_sub(length).filter(|first| *first >= self.floor());
                let Some(first) = first else { return Err(self.heap.error(format!("{length} values"), "fewer")) };
                Node::Tuple(self.stack.split_off(first))
            }
        };
        self.push(node)
    }

    /// Puts values into what is below them.
    fn fill(&mut self, code: u8) -> Result<()> {
        let items = match code {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.since_mark()?,
        };
        self.heap.copy(items.len() * size_of::<Id>())?;
        let pairs = if matches!(code, b's' | b'u') { self.pairs(&items)? } else { Vec::new() };
        let below = self.top()?;
        match (&mut self.heap.nodes[below as usize], code) {
            (Node::List(list), b'a' | b'e' | 0x90) => list.extend(items),
            (Node::Dict(dict), b's' | b'u') => dict.extend(pairs),
            _ => return Err(self.heap.error("a list or a dictionary to add to", "something else")),
        }
        Ok(())
    }

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.heap.error("a value for every key", "a key without one"));
        }
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    }

    /// A function or class by its name.
    fn name(&mut self, code: u8) -> Result<()> {
        let (module, name) = if code == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let text = |id: Id| match &self.heap.nodes[id as usize] {
                Node::Text(text) if text.len() <= MAX_NAME => Ok(text.clone()),
                _ => Err(self.heap.error("a name", "something else")),
            };
            (text(module)?, text(name)?)
        };
        self.heap.copy(module.len() + name.len())?;
        if let Some(known) = known(&module, &name, self.script) {
            return self.push(Node::Name(known));
        }
        let got: String = format!("{module}.{name}").chars().take(200).flat_map(char::escape_debug).collect();
        Err(self.heap.error("a name that data is written with (nothing in a file is run)", format!("`{got}`")))
    }

    /// Applies a name to values, or gives an object its state.
    fn apply(&mut self, code: u8) -> Result<()> {
        let argument = self.pop()?;
        if code == b'b' {
            let below = self.top()?;
            return match &mut self.heap.nodes[below as usize] {
                Node::Module { state, .. } => {
                    *state = Some(argument);
                    Ok(())
                }
                // What a dictionary or a tensor of Python carries besides, such as `_metadata`.
                Node::Dict(_) | Node::Tensor(_) => Ok(()),
                _ => Err(self.heap.error("a dictionary, tensor or module to give a state to", "something else")),
            };
        }
        let name = self.pop()?;
        let node = rebuild::applied(&self.heap, name, argument, code == 0x81)?;
        match node {
            rebuild::Made::New(node) => self.push(node),
            rebuild::Made::Known(id) => self.push_id(id),
        }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let left = self.bytes.len() - self.at;
        if length > left as u64 {
            return Err(self.heap.error(format!("{length} bytes more"), format!("{left}")));
        }
        let from = self.at;
        self.at += length as usize;
        Ok(&self.bytes[from..self.at])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().take(MAX_NAME).position(|byte| *byte == b'\n') else {
            return Err(self.heap.error("a name that ends with its line", "none"));
        };
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    /// Where the values of the innermost mark begin.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default()
    }

    fn pop(&mut self) -> Result<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(id) if self.stack.len() > self.floor() => Ok(*id),
            _ => Err(self.heap.error("a value", "none")),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.heap.error("values behind a mark", "no mark")),
        }
    }

    fn push(&mut self, node: Node) -> Result<()> {
        if self.heap.nodes.len() >= MAX_VALUES {
            return Err(self.heap.error(format!("at most {MAX_VALUES} values"), "more"));
        }
        self.heap.nodes.push(node);
        self.push_id(self.heap.nodes.len() as Id - 1)
    }

    fn push_id(&mut self, id: Id) -> Result<()> {
        if self.stack.len() >= MAX_VALUES {
            return Err(self.heap.error(format!("at most {MAX_VALUES} values at a time"), "more"));
        }
        self.stack.push(id);
        Ok(())
    }
}
