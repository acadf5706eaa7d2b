//! Every integration test of the library, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp, missing_docs)]

mod battery;
mod bench;
mod checkpoints;
mod engine;
mod exam;
mod extending;
mod families;
mod forward;
mod gradients;
mod hub;
mod intervene;
mod lab;
mod loader;
mod measure;
mod model;
mod oracles;
mod pickles;
mod preprocess;
mod readers;
mod record;
mod resume;
mod scene;
mod shapes;
mod study;
mod tensors;
mod timm;
mod tokenizer;
mod torch;
mod verdict;
mod ward;
mod weights;
