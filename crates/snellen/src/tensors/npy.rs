//! The header of a NumPy array: its type, shape and order (NumPy's format, versions 1 to 3).
//!
//! Read by hand rather than by the crate `npyz`: its parser goes down as deep as a header nests and multiplies shapes unchecked, and
//! it knows no bf16. What is looked for are three values of one Python dictionary, whatever else stands in it.

use super::number::Number;
use crate::{Error, Result};

/// What an array begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header, in bytes: a table of many named columns has the longest of those that NumPy writes.
pub(super) const MAX_HEADER: usize = 1 << 16;
/// More axes than NumPy has.
const MAX_AXES: usize = 64;

/// What a header says.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// The numbers and whether their bytes are in the other order; `Err` says in words what is no number.
    pub(super) number: std::result::Result<(Number, bool), String>,
    pub(super) shape: Vec<usize>,
    /// Whether columns stand one after another rather than rows.
    pub(super) fortran: bool,
    /// Where the data begin, in bytes.
    pub(super) data: u64,
}

impl Header {
    /// From the first bytes of an array, `place` for messages.
    ///
    /// # Errors
    /// When this is no header, or one that no array has.
    pub(super) fn read(bytes: &[u8], place: &str) -> Result<Self> {
        let wrong = |got: &str| Error::mismatch(place, "an array of numpy", got);
        if !bytes.starts_with(MAGIC) {
            return Err(wrong("other first bytes"));
        }
        let (first, length) = match bytes.get(6) {
            Some(1) => (10, bytes.get(8..10).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))),
            Some(2 | 3) => (12, bytes.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize)),
            Some(_) => return Err(wrong("a version of its format that is not known")),
            None => return Err(wrong("a header that is cut off")),
        };
        let length = length.ok_or_else(|| wrong("a header that is cut off"))?;
        if length > MAX_HEADER {
            return Err(wrong(&format!("a header of {length} bytes, more than {MAX_HEADER}")));
        }
        let text = bytes.get(first..first + length).ok_or_else(|| wrong("a header that is cut off"))?;
        let text = String::from_utf8_lossy(text);
        let entries = entries(&text).ok_or_else(|| wrong("a header that is no dictionary"))?;
        let entry = |key: &str| {
            let found = entries.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| *value).ok_or_else(|| wrong(&format!("a header without `{key}`")))
        };
        let fortran = match entry("fortran_order")? {
            "True" => true,
            "False" => false,
            _ => return Err(wrong("a `fortran_order` that is neither True nor False")),
        };
        let shape = shape(entry("shape")?).ok_or_else(|| wrong("a `shape` that is no tuple of numbers"))?;
        Ok(Self { number: number(entry("descr")?), shape, fortran, data: (first + length) as u64 })
    }
}

/// Keys and values of a Python dictionary, the values as they stand there; `None` where it is none.
fn entries(text: &str) -> Option<Vec<(&str, &str)>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut parts = Vec::new();
    let (mut quote, mut escaped, mut depth, mut start) = (None, false, 0_usize, 0);
    for (at, c) in inner.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.checked_sub(1)?,
            (None, ',') if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quote.is_some() || depth > 0 {
        return None;
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once(':')?;
            Some((unquoted(key.trim())?, value.trim()))
        })
        .collect()
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

/// The extents of a tuple; Python 2 wrote `60L`.
fn shape(text: &str) -> Option<Vec<usize>> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    let parts = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
    let extents: Option<Vec<usize>> = parts.map(|part| part.strip_suffix('L').unwrap_or(part).parse().ok()).collect();
    extents.filter(|extents| extents.len() <= MAX_AXES)
}

/// What a `descr` says; `Err` in words where it is no number that is read.
fn number(descr: &str) -> std::result::Result<(Number, bool), String> {
    let Some(plain) = unquoted(descr) else {
        let objects = descr.contains("'|O'") || descr.contains("'O'");
        return Err(if objects { "fields with pickled objects".to_owned() } else { "fields".to_owned() });
    };
    let (big_endian, kind) = match plain.as_bytes().first() {
        Some(b'<' | b'=' | b'|') => (false, &plain[1..]),
        Some(b'>') => (true, &plain[1..]),
        _ => (false, plain),
    };
    let number = match kind {
        "b1" | "?" => Number::Bool,
        "u1" => Number::U8,
        "u2" => Number::U16,
        "u4" => Number::U32,
        "u8" => Number::U64,
        "i1" => Number::I8,
        "i2" => Number::I16,
        "i4" => Number::I32,
        "i8" => Number::I64,
        "f2" => Number::F16,
        "f4" => Number::F32,
        "f8" => Number::F64,
        // NumPy has no bf16: ml_dtypes' is saved as two bytes without a type, as JAX and PyTorch's numpy bridges save it.
        "V2" | "bfloat16" => Number::Bf16,
        _ => {
            return Err(match kind.as_bytes().first() {
                Some(b'O') => "pickled objects".to_owned(),
                Some(b'U') => "text".to_owned(),
                Some(b'S' | b'a') => "byte strings".to_owned(),
                Some(b'c') => "complex numbers".to_owned(),
                Some(b'M' | b'm') => "times".to_owned(),
                Some(b'V') => format!("bytes without a type ({})", clipped(kind)),
                _ => format!("another type ({})", clipped(kind)),
            });
        }
    };
    Ok((number, big_endian))
}

fn clipped(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_however_they_are_written() {
        let read = |text: &str| {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([1, 0]);
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text.as_bytes());
            Header::read(&bytes, "a")
        };
        let header = |number, shape: &[usize], fortran, length: u64| Header {
            number,
            shape: shape.to_vec(),
            fortran,
            data: 10 + length,
        };
        for (text, number, shape, fortran) in [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  \n",
                Ok((Number::F32, false)),
                &[3, 4][..],
                false,
            ),
            ("{\"shape\":(60L,),\"descr\":\">f8\",\"fortran_order\":True}", Ok((Number::F64, true)), &[60], true),
            ("{'descr': '|V2', 'fortran_order': False, 'shape': ()}", Ok((Number::Bf16, false)), &[], false),
            ("{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }", Err("text".to_owned()), &[2], false),
            (
                "{'descr': [('a,}\\'', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (2,), }",
                Err("fields with pickled objects".to_owned()),
                &[2],
                false,
            ),
        ] {
            assert!(read(text).is_ok_and(|read| read == header(number, shape, fortran, text.len() as u64)), "{text}");
        }
        for text in
            ["", "{}", "{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", "{'descr': '<f4', 'shape': (2), ]}", "{'x'"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
