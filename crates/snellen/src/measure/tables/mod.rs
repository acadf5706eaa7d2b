//! The Parquet files of a measurement, and the mark that they are whole.

pub(crate) mod columns;
pub mod concepts_table;
pub mod control;
pub mod mark;
pub mod pairs_table;
pub mod sites_table;
pub mod unit_concepts_table;
pub mod units_table;
pub mod writer;
