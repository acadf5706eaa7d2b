//! The tests of the library that see it from outside.
#![allow(clippy::unwrap_used)]

mod scene;
