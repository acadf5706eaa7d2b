//! Pictures against Pillow, and what is made of them against `transformers` and OpenCLIP: to the last bit.

mod parity;
mod refuse;
mod view;

use serde_json::Value;
use snellen::model::{Decoded, Preprocessing};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

fn picture(file: &str) -> Decoded {
    let path = folder().join(file);
    Decoded::read(&path, &std::fs::read(&path).unwrap()).unwrap()
}

fn decode(bytes: &[u8]) -> snellen::Result<Decoded> {
    Decoded::read(Path::new("some.picture"), bytes)
}

/// What an `open_clip_config.json` with this `preprocess_cfg` holds.
fn open_clip(size: &Value, config: &Value) -> Value {
    serde_json::json!({"model_cfg": {"vision_cfg": {"image_size": size}}, "preprocess_cfg": config})
}

fn parse(json: &Value) -> snellen::Result<Preprocessing> {
    Preprocessing::parse(json, "preprocessor_config.json")
}

fn parse_open_clip(json: &Value) -> snellen::Result<Preprocessing> {
    Preprocessing::parse_open_clip(json, "open_clip_config.json")
}

fn assert_refused<T: std::fmt::Debug>(result: snellen::Result<T>, words: &[&str]) {
    let error = result.unwrap_err().to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}: expected {words:?}");
}
