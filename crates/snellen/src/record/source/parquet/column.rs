//! Columns that hold images: bytes, the `struct<bytes, path>` of Hugging Face's `datasets`, paths, or lists of these.

use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema};
use parquet::schema::types::SchemaDescriptor;

/// Where a column's images stand among the leaves of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// The leaf of the bytes, where there is one.
    pub bytes: Option<usize>,
    /// The leaf of the files' paths, where there is one.
    pub path: Option<usize>,
    /// Whether every row holds a list of images.
    pub list: bool,
}

/// What a type holds.
enum Holds {
    Bytes,
    Path,
    Both { bytes: bool, path: bool },
    List,
}

impl Column {
    /// The column `name` of a file with these schemas; `place` is the file.
    ///
    /// # Errors
    /// When there is none, or it holds no images; says which columns do.
    pub fn find(place: &str, name: &str, schema: &Schema, leaves: &SchemaDescriptor) -> Result<Self> {
        let here = format!("{place}: column `{name}`");
        let Ok(field) = schema.field_with_name(name) else {
            let all: Vec<_> = schema.fields().iter().take(20).map(|field| field.name().as_str()).collect();
            let images: Vec<_> = schema
                .fields()
                .iter()
                .filter(|f| holds(f.data_type()).is_some_and(|h| !matches!(h, Holds::Path)))
                .take(20)
                .collect();
            let images: Vec<_> = images.iter().map(|field| format!("--image-column {}", field.name())).collect();
            let hint =
                if images.is_empty() { String::new() } else { format!("; {} may be meant", images.join(" or ")) };
            return Err(Error::mismatch(here, "one of its columns", format!("[{}]{hint}", all.join(", "))));
        };
        let kind = holds(field.data_type());
        let (list, inner) = match (kind, field.data_type()) {
            (
                Some(Holds::List),
                DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _),
            ) => (true, holds(inner.data_type())),
            (kind, _) => (false, kind),
        };
        let of = |last: Option<&str>| {
            let under = leaves.columns().iter().enumerate().filter(|(_, leaf)| {
                let parts = leaf.path().parts();
                parts.first().is_some_and(|root| root == name)
                    && last.is_none_or(|last| parts.last().is_some_and(|l| l == last))
            });
            let mut under = under.map(|(number, _)| number);
            under.next().filter(|_| under.next().is_none())
        };
        let column = match inner {
            Some(Holds::Bytes) => Self { bytes: of(None), path: None, list },
            Some(Holds::Path) => Self { bytes: None, path: of(None), list },
            Some(Holds::Both { bytes, path }) => {
                Self { bytes: of(Some("bytes")).filter(|_| bytes), path: of(Some("path")).filter(|_| path), list }
            }
            _ => {
                let got = format!("{}", field.data_type()).chars().take(200).collect::<String>();
                return Err(Error::mismatch(
                    here,
                    "bytes, a struct with `bytes` or `path`, paths, or lists of these",
                    got,
                ));
            }
        };
        if column.bytes.is_none() && column.path.is_none() {
            return Err(Error::mismatch(here, "bytes or paths in a column of their own", "none"));
        }
        Ok(column)
    }
}

fn holds(kind: &DataType) -> Option<Holds> {
    let bytes = |kind: &DataType| matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView);
    let text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match kind {
        kind if bytes(kind) => Some(Holds::Bytes),
        kind if text(kind) => Some(Holds::Path),
        DataType::Struct(fields) => {
            let has = |name: &str, of: &dyn Fn(&DataType) -> bool| {
                fields.iter().any(|f| f.name() == name && of(f.data_type()))
            };
            let (bytes, path) = (has("bytes", &bytes), has("path", &text));
            (bytes || path).then_some(Holds::Both { bytes, path })
        }
        DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
            holds(inner.data_type()).filter(|inner| !matches!(inner, Holds::List)).map(|_| Holds::List)
        }
        _ => None,
    }
}

/// What a row of a column holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub bytes: Option<Vec<u8>>,
    pub path: Option<String>,
    /// Of a list: how many images it has, where that is too few.
    pub short: Option<usize>,
}

impl Cell {
    /// Row `row` of `column`; of a list its image `index`.
    pub fn of(column: &ArrayRef, row: usize, index: usize) -> Self {
        if row >= column.len() || column.is_null(row) {
            return Self::default();
        }
        let list = match column.data_type() {
            DataType::List(_) => column.as_list_opt::<i32>().map(|list| list.value(row)),
            DataType::LargeList(_) => column.as_list_opt::<i64>().map(|list| list.value(row)),
            DataType::FixedSizeList(..) => column.as_fixed_size_list_opt().map(|list| list.value(row)),
            _ => None,
        };
        let Some(list) = list else { return Self::element(column, row) };
        if index >= list.len() {
            return Self { short: Some(list.len()), ..Self::default() };
        }
        if list.is_null(index) { Self::default() } else { Self::element(&list, index) }
    }

    fn element(values: &ArrayRef, at: usize) -> Self {
        let Some(fields) = values.as_struct_opt() else {
            return Self { bytes: bytes(values, at), path: text(values, at), short: None };
        };
        let named = |name| fields.column_by_name(name);
        let bytes = named("bytes").and_then(|values| bytes(values, at));
        Self { bytes, path: named("path").and_then(|values| text(values, at)), short: None }
    }
}

fn bytes(values: &ArrayRef, at: usize) -> Option<Vec<u8>> {
    if at >= values.len() || values.is_null(at) {
        return None;
    }
    let value = match values.data_type() {
        DataType::Binary => values.as_binary_opt::<i32>().map(|bytes| bytes.value(at)),
        DataType::LargeBinary => values.as_binary_opt::<i64>().map(|bytes| bytes.value(at)),
        _ => values.as_binary_view_opt().map(|bytes| bytes.value(at)),
    };
    value.map(<[u8]>::to_vec)
}

fn text(values: &ArrayRef, at: usize) -> Option<String> {
    if at >= values.len() || values.is_null(at) {
        return None;
    }
    let value = match values.data_type() {
        DataType::Utf8 => values.as_string_opt::<i32>().map(|text| text.value(at)),
        DataType::LargeUtf8 => values.as_string_opt::<i64>().map(|text| text.value(at)),
        _ => values.as_string_view_opt().map(|text| text.value(at)),
    };
    value.map(str::to_owned)
}
