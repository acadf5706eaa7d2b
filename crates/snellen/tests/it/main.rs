//! Every integration test of the library, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod engine;
mod model;
