//! Where a model's files are, and which of them are its configuration and its weights.

use super::checkpoint::{Checkpoint, prefix};
use super::config::ModelConfig;
use super::layout::Layout;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest configuration, index or tokenizer that is read, in bytes.
const MAX_JSON_BYTES: u64 = 1 << 26;

/// A place that a model's files can be had from: a folder, or a repository of the Hub.
pub trait Files {
    /// Where the file `name` is on this machine; `None` where there is none, or none that can be had.
    fn file(&self, name: &str) -> Result<Option<PathBuf>>;

    /// What is said where `name` is needed and there is none.
    fn missing(&self, name: &str) -> Error {
        Error::mismatch(self.place(name), "a file", "no such file")
    }

    /// What `name` is called in messages.
    fn place(&self, name: &str) -> String;
}

impl Files for &Path {
    fn file(&self, name: &str) -> Result<Option<PathBuf>> {
        let path = self.join(name);
        Ok(path.symlink_metadata().is_ok().then_some(path))
    }

    fn place(&self, name: &str) -> String {
        self.join(name).display().to_string()
    }
}

/// The contents of a small file of the model, and where it is; `None` where there is none.
pub(super) fn read(files: &dyn Files, name: &str) -> Result<Option<(PathBuf, Vec<u8>)>> {
    let Some(path) = files.file(name)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(Error::io(&path))?;
    file.take(MAX_JSON_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(&path))?;
    if bytes.len() as u64 > MAX_JSON_BYTES {
        return Err(Error::mismatch(path.display(), format!("at most {MAX_JSON_BYTES} bytes"), "more"));
    }
    Ok(Some((path, bytes)))
}

pub(super) fn json(path: &Path, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|e| Error::malformed(path.display(), e))
}

/// What describes the model's image processor: `processor_config.json` where that does, else `preprocessor_config.json`.
pub(super) fn processor(files: &dyn Files) -> Result<(PathBuf, Value)> {
    if let Some((path, bytes)) = read(files, "processor_config.json")? {
        let json = json(&path, &bytes)?;
        if json.get("image_processor").is_some() {
            return Ok((path, json));
        }
    }
    let name = "preprocessor_config.json";
    let (path, bytes) = read(files, name)?.ok_or_else(|| files.missing(name))?;
    let json = json(&path, &bytes)?;
    Ok((path, json))
}

/// The two ways of laying out a model's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `config.json`, `model.safetensors`, `preprocessor_config.json`.
    Transformers,
    /// `open_clip_config.json`, `open_clip_model.safetensors`.
    OpenClip,
}

impl Format {
    pub(super) fn config(self) -> &'static str {
        match self {
            Self::Transformers => "config.json",
            Self::OpenClip => "open_clip_config.json",
        }
    }

    fn weights(self) -> &'static str {
        match self {
            Self::Transformers => "model.safetensors",
            Self::OpenClip => "open_clip_model.safetensors",
        }
    }

    /// The format of the files; that of `transformers` where they are in both.
    pub(super) fn of(files: &dyn Files, weights: Option<&str>) -> Result<Self> {
        let both = [Self::Transformers, Self::OpenClip];
        let mut described = Vec::new();
        for format in both {
            if files.file(format.config())?.is_some() {
                described.push(format);
            }
        }
        if let Some(weights) = weights {
            let named = if weights.starts_with("open_clip") { Self::OpenClip } else { Self::Transformers };
            return Ok(if described.contains(&named) { named } else { *described.first().unwrap_or(&named) });
        }
        for format in &described {
            let index = format!("{}.index.json", format.weights());
            if files.file(format.weights())?.is_some() || files.file(&index)?.is_some() {
                return Ok(*format);
            }
        }
        Ok(*described.first().unwrap_or(&Self::Transformers))
    }
}

/// Opens the weights: the file `named`, or what `format` calls them, in one file or in shards.
pub(super) fn weights(
    files: &dyn Files,
    format: Format,
    named: Option<&str>,
    config: &ModelConfig,
) -> Result<Checkpoint> {
    let text = config.text.is_some();
    let single = named.unwrap_or(format.weights());
    let index = format!("{}.index.json", format.weights());
    if let Some(path) = files.file(single)? {
        return Checkpoint::of_files(&path, std::slice::from_ref(&path))?.named(config.layout, text);
    }
    let Some((path, bytes)) = read(files, &index)? else {
        return Err(match pickled(files)? {
            Some(pickle) => {
                let got = format!("only {pickle}, a pickle, which can run code when it is read; {}", convert(&pickle));
                Error::mismatch(files.place(single), "weights as safetensors", got)
            }
            None => files.missing(single),
        });
    };
    let shards = shards(&path, &bytes, config.layout)?;
    let find = |name: &String| files.file(name)?.ok_or_else(|| files.missing(name));
    let shards = shards.iter().map(find).collect::<Result<Vec<_>>>()?;
    Checkpoint::of_files(&path, &shards)?.named(config.layout, text)
}

/// The shards that an index names; inside a larger model only those that hold some of the tower.
fn shards(path: &Path, bytes: &[u8], layout: Layout) -> Result<BTreeSet<String>> {
    let index = json(path, bytes)?;
    let place = format!("{}: `weight_map`", path.display());
    let map: &Map<String, Value> = index
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| Error::mismatch(&place, "an object from tensors to files", "none"))?;
    let names: Vec<&str> = map.keys().map(String::as_str).collect();
    let vision = prefix(&names, layout.landmark(false), path)?;
    let wanted = |name: &str| layout != Layout::Transformers { inside: true } || name.starts_with(&vision);
    let mut shards = BTreeSet::new();
    for (name, file) in map {
        let plain = |file: &&str| !file.contains(['/', '\\']) && file.ends_with(".safetensors");
        let Some(file) = file.as_str().filter(plain) else {
            let place = format!("{place}: `{name}`");
            return Err(Error::mismatch(place, "the name of a .safetensors file beside the index", file));
        };
        if wanted(name) {
            shards.insert(file.to_owned());
        }
    }
    Ok(shards)
}

/// A file of weights that holds Python objects.
fn pickled(files: &dyn Files) -> Result<Option<String>> {
    let names = ["pytorch_model.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin"];
    for name in names {
        if files.file(name)?.is_some() {
            return Ok(Some(name.trim_end_matches(".index.json").to_owned()));
        }
    }
    Ok(None)
}

/// How to make safetensors of a pickle, or of a TorchScript archive as OpenAI published them. The latter's names are OpenCLIP's.
pub(super) fn convert(pickle: &str) -> String {
    let open_clip =
        pickle.starts_with("open_clip") || Path::new(pickle).extension().is_some_and(|ending| ending == "pt");
    let (safe, config) =
        if open_clip { ("open_clip_model", "open_clip_config.json") } else { ("model", "config.json") };
    format!(
        "convert it where you trust it, beside its {config}: \
         python -c \"import torch, zipfile; from safetensors.torch import save_file; p = '{pickle}'; \
         script = zipfile.is_zipfile(p) and any(n.endswith('constants.pkl') for n in zipfile.ZipFile(p).namelist()); \
         w = torch.jit.load(p, map_location='cpu').state_dict() if script \
         else torch.load(p, map_location='cpu', weights_only=True); w = w.get('state_dict', w); \
         save_file({{k.removeprefix('module.'): v.clone().contiguous() for k, v in w.items() if v.is_floating_point()}}, \
         '{safe}.safetensors')\""
    )
}
