//! Names of factors and of their values.

use crate::{Error, Result};

/// The longest name of a value or factor, in bytes.
pub const MAX_NAME: usize = 1024;

/// Whether `name` can stand in labels and captions: not empty, at most [`MAX_NAME`] bytes, no control characters, no blanks at
/// its ends.
pub(super) fn check_name(place: impl Fn() -> String, name: &str) -> Result<()> {
    if name.len() > MAX_NAME {
        return Err(Error::mismatch(place(), format!("at most {MAX_NAME} bytes"), format!("{} bytes", name.len())));
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::mismatch(place(), "text without control characters", format!("{name:?}")));
    }
    if name.trim() != name {
        return Err(Error::mismatch(place(), "text without blanks at its ends", format!("{name:?}")));
    }
    Ok(())
}

/// Whether `name` can be that of a factor: a concept is written `factor=value`, and has to be read back.
pub(super) fn check_factor(place: impl Fn() -> String, name: &str) -> Result<()> {
    check_name(&place, name)?;
    if name.contains('=') {
        return Err(Error::mismatch(place(), "a factor's name without `=`", format!("`{name}`")));
    }
    Ok(())
}
