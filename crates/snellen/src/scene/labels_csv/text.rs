//! What a `labels.csv` is written in: its encoding and its separator.

use crate::{Error, Result};
use std::borrow::Cow;

/// What separates fields, in the order in which they are tried.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// `bytes` as text without its byte order mark: UTF-8, or UTF-16 that begins with one.
///
/// # Errors
/// Names the line where it is no such text.
pub(crate) fn decode<'a>(name: &str, bytes: &'a [u8]) -> Result<Cow<'a, str>> {
    let utf16 = |of: fn([u8; 2]) -> u16, rest: &[u8]| {
        let (pairs, odd) = rest.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| of(*pair)).collect();
        let text = String::from_utf16(&units).ok().filter(|_| odd.is_empty());
        text.map(|text| without_hint(Cow::Owned(text)))
            .ok_or_else(|| Error::mismatch(name, "text in UTF-16, as its first bytes say", "other bytes"))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return utf16(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => return utf16(u16::from_be_bytes, rest),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|source| {
        let at = source.valid_up_to();
        let place = format!("{name}:{}", 1 + line_ends(&bytes[..at]));
        let got = format!("byte {:#04x}, as in Latin-1 or Windows-1252", bytes[at]);
        Error::mismatch(place, "text in UTF-8 (a spreadsheet saves it as `CSV UTF-8`)", got)
    })?;
    Ok(without_hint(Cow::Borrowed(text)))
}

/// `text` with an empty first line in place of one by which spreadsheets tell the separator, such as `sep=;`.
fn without_hint(text: Cow<'_, str>) -> Cow<'_, str> {
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    let hint = text[..end].trim_matches('"').strip_prefix("sep=").is_some_and(|rest| rest.chars().count() == 1);
    if hint { Cow::Owned(text[end..].to_owned()) } else { text }
}

/// The first separator by which `is_name` holds for a field of the header of `text`; a comma where it does for none.
pub(crate) fn separator(text: &str, is_name: impl Fn(&str) -> bool) -> u8 {
    let header = text.lines().find(|line| !line.trim_matches('\r').is_empty()).unwrap_or_default();
    let header = header.split('\r').find(|line| !line.is_empty()).unwrap_or_default();
    let named = |separator: &u8| {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).delimiter(*separator).from_reader(header.as_bytes());
        let record = reader.records().next().and_then(std::result::Result::ok);
        record.is_some_and(|record| record.iter().any(|name| is_name(name.trim())))
    };
    SEPARATORS.into_iter().find(named).unwrap_or(b',')
}

/// Ends of lines in `bytes`: `\n`, `\r` or both together.
pub(crate) fn line_ends(bytes: &[u8]) -> usize {
    let lone = |i: &usize| bytes[*i] == b'\n' || (bytes[*i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    (0..bytes.len()).filter(lone).count()
}
