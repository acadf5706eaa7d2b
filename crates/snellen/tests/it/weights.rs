//! Weight files written by hand, since no library writes the bad ones.

use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// The tensors of a safetensors file: name, dtype, shape and bytes, in the order of the file.
pub struct Weights(pub Vec<(String, String, Vec<usize>, Vec<u8>)>);

impl Weights {
    pub fn read(path: &Path) -> Self {
        let file = fs::read(path).unwrap();
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&file[8..8 + length]).unwrap();
        let tensor = |(name, entry): (String, Value)| {
            let numbers = |key: &str| -> Vec<usize> { serde_json::from_value(entry[key].clone()).unwrap() };
            let offsets = numbers("data_offsets");
            let bytes = file[8 + length..][offsets[0]..offsets[1]].to_vec();
            (name, entry["dtype"].as_str().unwrap().to_owned(), numbers("shape"), bytes)
        };
        Self(header.into_iter().filter(|(name, _)| name != "__metadata__").map(tensor).collect())
    }

    pub fn write(&self, path: &Path) {
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, dtype, shape, bytes) in &self.0 {
            let offsets = [data.len(), data.len() + bytes.len()];
            header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
            data.extend_from_slice(bytes);
        }
        fs::write(path, with_header(&Value::Object(header), &data)).unwrap();
    }

    /// The tensor of this name.
    pub fn tensor(&mut self, name: &str) -> &mut (String, String, Vec<usize>, Vec<u8>) {
        self.0.iter_mut().find(|tensor| tensor.0 == name).unwrap()
    }
}

/// A file of this header and data.
pub fn with_header(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}
