//! From what a user calls a model to weights under one set of names: which files are what, where a tensor stands in them, first values.

pub mod checkpoint;
pub(in crate::model) mod files;
pub(in crate::model) mod headers;
pub(in crate::model) mod hub_id;
pub(crate) mod initial;
pub(in crate::model) mod layout;
pub(in crate::model) mod openai;
pub(in crate::model) mod prefixes;
pub(in crate::model) mod rest;
pub(in crate::model) mod source;
mod subfolder;
pub(in crate::model) mod untrained;
