//! The built program, run as a user runs it: what it prints, writes, refuses and leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod acts;
mod bench;
mod exam;
mod faults;
mod fetched;
mod folders;
mod help;
mod hostile;
mod inputs;
mod interrupt;
mod interventions;
mod models;
mod parity;
mod program;
mod recording;
mod refuse_images;
mod refuse_model;
mod refuse_usage;
#[allow(dead_code, reason = "shared with the library's tests")]
#[path = "../../../snellen/tests/it/hub/server.rs"]
mod server;
mod study;
mod texts;
mod trace;
#[path = "../../../snellen/tests/it/weights.rs"]
mod weights;
mod worlds;
