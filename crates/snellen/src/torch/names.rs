//! The functions and classes that a file may name, and what each stands for. None of them is Python's: what they would do to the
//! values of a file is done in [`rebuild`](super::rebuild).

use safetensors::Dtype;

/// A name that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// As the file has it.
    path: String,
    pub(super) means: Means,
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.path
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// `OrderedDict`, `Counter`.
    Dict,
    /// Of a list, set or tuple, or a list of TorchScript: the same items.
    Items,
    /// Of a value and something about it: the value.
    First,
    /// Bytes as a text of Latin 1.
    Encode,
    /// A tensor of a storage.
    Tensor,
    /// The same with a type of its own beside the storage.
    TypedTensor,
    /// Another of these names, applied: a tensor with attributes.
    Applied,
    /// The kind of a storage; `None` for one of bytes.
    Storage(Option<Dtype>),
    /// A type of numbers.
    Dtype(Dtype),
    /// A class that is only spoken of.
    Class,
    /// A module's class in a TorchScript archive.
    Module,
}

/// The name `module.name`; `None` where it is not known. `script` files have classes of their own.
pub(super) fn known(module: &str, name: &str, script: bool) -> Option<Name> {
    // Python 2 had another name for it, which pickles of protocol 2 still use.
    let module = if module == "__builtin__" { "builtins" } else { module };
    let means = match (module, name) {
        ("collections", "OrderedDict" | "Counter") => Means::Dict,
        ("builtins", "set" | "list" | "tuple")
        | ("torch", "Size")
        | ("torch.jit._pickle", "build_intlist" | "build_tensorlist" | "build_doublelist" | "build_boollist") => {
            Means::Items
        }
        ("builtins", "bytearray")
        | ("torch", "device")
        | ("torch.jit._pickle", "restore_type_tag")
        | ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Means::First,
        ("torch.nn.parameter", "Parameter" | "Buffer") | ("torch" | "torch._tensor", "Tensor") => Means::Class,
        ("_codecs", "encode") => Means::Encode,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Means::Tensor,
        ("torch._utils", "_rebuild_tensor_v3") => Means::TypedTensor,
        ("torch._tensor", "_rebuild_from_type_v2") => Means::Applied,
        ("torch.storage" | "torch", "UntypedStorage") => Means::Storage(None),
        ("torch" | "torch.cuda" | "torch.storage", _) if name.ends_with("Storage") => {
            Means::Storage(Some(of_storage(name)?))
        }
        ("torch", _) => Means::Dtype(of_dtype(name)?),
        _ if script && (module == "__torch__" || module.starts_with("__torch__.")) => Means::Module,
        _ => return None,
    };
    Some(Name { path: format!("{module}.{name}"), means })
}

fn of_storage(name: &str) -> Option<Dtype> {
    Some(match name.strip_suffix("Storage")? {
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Double" => Dtype::F64,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::BOOL,
        "ComplexFloat" => Dtype::C64,
        _ => return None,
    })
}

fn of_dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "float64" => Dtype::F64,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint8" => Dtype::U8,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "bool" => Dtype::BOOL,
        "complex64" => Dtype::C64,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        "float8_e5m2" => Dtype::F8_E5M2,
        "float8_e8m0fnu" => Dtype::F8_E8M0,
        "float8_e4m3fnuz" => Dtype::F8_E4M3FNUZ,
        "float8_e5m2fnuz" => Dtype::F8_E5M2FNUZ,
        _ => return None,
    })
}
