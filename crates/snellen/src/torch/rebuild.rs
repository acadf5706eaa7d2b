//! What the names of a file make of values: the meaning of the functions in `torch._utils`, without them.

use super::heap::{Heap, Id, MAX_AXES, Node, Storage, View};
use super::names::{Means, Name};
use crate::Result;
use safetensors::Dtype;

/// What an application gives.
pub(super) enum Made {
    New(Node),
    Known(Id),
}

/// `name` applied to the tuple `arguments`; a new object of that class where it is `new`.
pub(super) fn applied(heap: &Heap<'_>, class: Id, arguments: Id, new: bool) -> Result<Made> {
    let (Node::Name(name), Node::Tuple(arguments)) = (heap.node(class), heap.node(arguments)) else {
        return Err(heap.error("a name and the values that it is applied to", "something else"));
    };
    if new != (name.means == Means::Module) {
        return Err(refused(heap, name));
    }
    match (name.means, &arguments[..]) {
        (Means::Module, []) => Ok(Made::New(Node::Module { class, state: None })),
        (Means::Dict, arguments) => dict(heap, arguments),
        (Means::Items, []) => Ok(Made::New(Node::List(Vec::new()))),
        (Means::Items, [items, ..]) => match heap.node(*items) {
            Node::List(_) | Node::Tuple(_) => Ok(Made::Known(*items)),
            _ => Err(heap.error("items", "something else")),
        },
        (Means::First, [first, ..]) => Ok(Made::Known(*first)),
        (Means::Encode, [text, ..]) => match heap.node(*text) {
            Node::Text(text) if text.chars().all(|c| (c as u32) < 256) => {
                heap.copy(text.len())?;
                Ok(Made::New(Node::Bytes(text.chars().map(|c| c as u32 as u8).collect())))
            }
            _ => Err(heap.error("bytes as a text of Latin 1", "something else")),
        },
        (Means::Tensor, arguments) => tensor(heap, arguments, false).map(|view| Made::New(Node::Tensor(view))),
        (Means::TypedTensor, arguments) => tensor(heap, arguments, true).map(|view| Made::New(Node::Tensor(view))),
        (Means::Applied, [inner, _class, inner_arguments, ..]) => match heap.node(*inner) {
            Node::Name(name) if matches!(name.means, Means::Tensor | Means::TypedTensor | Means::First) => {
                applied(heap, *inner, *inner_arguments, false)
            }
            _ => Err(heap.error("a function that makes a tensor", "something else")),
        },
        _ => Err(refused(heap, name)),
    }
}

fn refused(heap: &Heap<'_>, name: &Name) -> crate::Error {
    heap.error("a name that is applied as data is written", format!("`{}` applied otherwise", name.as_str()))
}

/// A dictionary that is empty, another, or made of pairs.
fn dict(heap: &Heap<'_>, arguments: &[Id]) -> Result<Made> {
    let wrong = || heap.error("a dictionary or pairs", "something else");
    let Some(first) = arguments.first() else { return Ok(Made::New(Node::Dict(Vec::new()))) };
    let pair = |id: &Id| match heap.node(*id) {
        Node::List(pair) | Node::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
        _ => Err(wrong()),
    };
    match heap.node(*first) {
        Node::Dict(_) => Ok(Made::Known(*first)),
        Node::List(pairs) | Node::Tuple(pairs) => {
            heap.copy(size_of_val(&pairs[..]))?;
            pairs.iter().map(pair).collect::<Result<_>>().map(|entries| Made::New(Node::Dict(entries)))
        }
        _ => Err(wrong()),
    }
}

/// What a persistent id refers to: `('storage', kind, key, device, count)`, in older files with `None` behind it.
pub(super) fn storage(heap: &Heap<'_>, id: Id) -> Result<Storage> {
    let wrong = |what: &str| heap.error("('storage', kind, key, device, count)", what);
    let Node::Tuple(parts) = heap.node(id) else { return Err(wrong("something else")) };
    let (what, kind, key, count) = match parts[..] {
        [what, kind, key, _, count] => (what, kind, key, count),
        [what, kind, key, _, count, view] if matches!(heap.node(view), Node::None) => (what, kind, key, count),
        _ => return Err(wrong("another tuple")),
    };
    if !matches!(heap.node(what), Node::Text(what) if what == "storage") {
        return Err(wrong("something that is not a storage"));
    }
    let Node::Name(Name { means: Means::Storage(dtype), .. }) = heap.node(kind) else {
        return Err(wrong("another kind of storage"));
    };
    if !matches!(heap.node(key), Node::Text(_)) {
        return Err(wrong("a key that is no text"));
    }
    let Some(count) = whole(heap, count) else { return Err(wrong("a count that is no size")) };
    Ok(Storage { key, dtype: *dtype, count })
}

/// `(storage, offset, shape, strides, ...)`; where it is `typed`, with a type behind what concerns gradients.
fn tensor(heap: &Heap<'_>, arguments: &[Id], typed: bool) -> Result<View> {
    let expected = "a storage, an offset, a shape and strides";
    let [storage, offset, shape, strides, ref rest @ ..] = arguments[..] else {
        return Err(heap.error(expected, format!("{} values", arguments.len())));
    };
    let Node::Storage(storage) = heap.node(storage) else { return Err(heap.error(expected, "no storage")) };
    let offset = whole(heap, offset).ok_or_else(|| heap.error(expected, "an offset that is no size"))?;
    let sizes = |id| {
        let wrong = || heap.error(format!("at most {MAX_AXES} sizes"), "something else");
        heap.sizes(id).ok_or_else(wrong)
    };
    let (axes, steps) = (sizes(shape)?.len(), sizes(strides)?.len());
    if axes != steps {
        return Err(heap.error(format!("{axes} strides"), steps));
    }
    let dtype = match (typed, rest, storage.dtype) {
        (true, [_, _, dtype, ..], _) => match heap.node(*dtype) {
            Node::Name(Name { means: Means::Dtype(dtype), .. }) => Some(*dtype),
            _ => None,
        },
        (true, ..) => None,
        (false, _, dtype) => dtype.or(Some(Dtype::U8)),
    };
    let dtype = dtype.ok_or_else(|| heap.error("a type of numbers", "something else"))?;
    // Behind it may stand that numbers are to be negated or conjugated when they are read.
    let marks = rest.get(if typed { 3 } else { 2 }).map(|id| heap.node(*id));
    if marks.is_some_and(|marks| !matches!(marks, Node::None) && !matches!(marks, Node::Dict(map) if map.is_empty())) {
        return Err(heap.error("a tensor as it is stored", "one that is negated or conjugated"));
    }
    Ok(View { storage: *storage, dtype, offset, shape, strides })
}

fn whole(heap: &Heap<'_>, id: Id) -> Option<u64> {
    match heap.node(id) {
        Node::Int(Some(value)) => u64::try_from(*value).ok(),
        _ => None,
    }
}
