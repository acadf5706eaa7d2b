//! Code of others that may panic on a hostile file: what it says then is an error like any other.

use crate::{Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `decode` gives of the file at `place`; what it worked on is not to be used any more once that is an error.
pub(crate) fn decoded<T>(place: impl std::fmt::Display, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch(decode).unwrap_or_else(|said| Err(Error::malformed(place, said)))
}

/// What `f` gives, or what its panic said.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| said(panic.as_ref()))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("it can not be decoded").to_owned()
}
