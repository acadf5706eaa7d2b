//! The driver of measures: activations of a recording, or of others, site by site, in memory or in blocks, to tables and a summary.
//!
//! [`measure_matrices`] takes what is in memory, [`measure_run`] and [`measure_given`] read and write files; [`unit_maps`] says where in a picture units are active.

mod blocks;
mod cards;
mod controls;
mod driver;
mod given;
mod maps;
mod measuring;
mod pass;
mod pixels;
mod second;
mod tables;

pub(crate) use controls::Untrained;
pub use driver::{Acts, Measured, measure_given, measure_matrices, measure_run};
pub(crate) use driver::{measure, pictures, sites};
pub use maps::unit_maps;
pub(crate) use pixels::pixels;
pub use second::Second;
pub use tables::Tables;
