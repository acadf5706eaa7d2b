//! Where a model's files are, and which of them are its configuration and its weights.

use crate::model::checkpoint::Checkpoint;
use crate::model::config::{LeftAlone, ModelConfig, shown};
use crate::model::headers::Header;
use crate::model::layout::Layout;
use crate::model::prefixes::{Prefixes, lack_text};
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

    /// Whether there is a file `name`; nothing is fetched for that.
    fn has(&self, name: &str) -> Result<bool> {
        Ok(self.file(name)?.is_some())
    }

    /// The beginning of the safetensors file `name`, where that can be had without the rest.
    fn header(&self, name: &str) -> Result<Option<Header>> {
        let _ = name;
        Ok(None)
    }

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

    fn missing(&self, name: &str) -> Error {
        let inner = if name == Format::Transformers.config() { described_inside(self) } else { Vec::new() };
        let got = match &inner[..] {
            [] => "no such file".to_owned(),
            names => format!("no such file, but one in {}: choose with --subfolder", names.join(", ")),
        };
        Error::mismatch(self.place(name), "a file", got)
    }

    fn place(&self, name: &str) -> String {
        self.join(name).display().to_string()
    }
}

/// The first few folders in `folder` that a model is described in.
fn described_inside(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten().take(1000);
    let described = |path: &PathBuf| path.join(Format::Transformers.config()).is_file();
    let names = entries.map(|entry| entry.path()).filter(described);
    let mut names: Vec<_> = names.filter_map(|path| Some(shown(path.file_name()?.to_str()?))).collect();
    names.sort();
    names.truncate(8);
    names
}

/// The contents of a small file of the model, and where it is; `None` where there is none.
pub(in crate::model) fn read(files: &dyn Files, name: &str) -> Result<Option<(PathBuf, Vec<u8>)>> {
    let Some(path) = files.file(name)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(Error::io(&path))?;
    file.take(MAX_JSON_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(&path))?;
    if bytes.len() as u64 > MAX_JSON_BYTES {
        return Err(Error::mismatch(path.display(), format!("at most {MAX_JSON_BYTES} bytes"), "more"));
    }
    Ok(Some((path, bytes)))
}

pub(in crate::model) fn json(path: &Path, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|e| Error::malformed(path.display(), e))
}

/// What describes the model's image processor: `processor_config.json` where that does, else `preprocessor_config.json`.
pub(in crate::model) fn processor(files: &dyn Files) -> Result<(PathBuf, Value)> {
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

/// The ways of laying out a model's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Format {
    /// `config.json`, `model.safetensors`, `preprocessor_config.json`.
    Transformers,
    /// `open_clip_config.json`, `open_clip_model.safetensors`.
    OpenClip,
    /// A `config.json` that names an architecture of timm, `model.safetensors`.
    Timm,
}

impl Format {
    pub(in crate::model) fn config(self) -> &'static str {
        match self {
            Self::Transformers | Self::Timm => "config.json",
            Self::OpenClip => "open_clip_config.json",
        }
    }

    fn weights(self) -> &'static str {
        match self {
            Self::Transformers | Self::Timm => "model.safetensors",
            Self::OpenClip => "open_clip_model.safetensors",
        }
    }

    /// The files of PyTorch's own format, which are read where there are no safetensors.
    fn pickled(self) -> &'static [&'static str] {
        match self {
            Self::Transformers => &["pytorch_model.bin", "pytorch_model.bin.index.json"],
            Self::OpenClip => &["open_clip_pytorch_model.bin"],
            Self::Timm => &["pytorch_model.bin"],
        }
    }

    /// The format of the files; that of `transformers` where they are in both. What else could have been read goes to `left_alone`.
    pub(in crate::model) fn of(files: &dyn Files, weights: Option<&str>, left_alone: &mut LeftAlone) -> Result<Self> {
        let described = Self::described(files)?;
        let format = Self::choose(files, weights, &described)?;
        left_alone
            .files
            .extend(described.iter().filter(|other| **other != format).map(|other| other.config().to_owned()));
        Ok(format)
    }

    /// The formats that there is a configuration for. Beside OpenCLIP's, timm writes a `config.json` of its own, which then stands
    /// behind it.
    fn described(files: &dyn Files) -> Result<Vec<Self>> {
        let open_clip = files.file(Self::OpenClip.config())?.is_some().then_some(Self::OpenClip);
        let other = match read(files, Self::Transformers.config())? {
            Some((path, bytes)) => Self::of_config(&json(&path, &bytes)?, open_clip.is_some()),
            None => None,
        };
        let timm = other.filter(|format| *format == Self::Timm);
        Ok(other.filter(|_| timm.is_none()).into_iter().chain(open_clip).chain(timm).collect())
    }

    /// Whose a `config.json` is; with another configuration `beside` it may be nobody's.
    fn of_config(json: &Value, beside: bool) -> Option<Self> {
        let says = |key: &str| json.get(key).is_some_and(Value::is_string);
        let of_timm = json.get("model_type").is_none_or(|kind| !kind.is_string() || kind == "timm_wrapper");
        if of_timm && says("architecture") {
            return Some(Self::Timm);
        }
        (says("model_type") || !beside).then_some(Self::Transformers)
    }

    fn choose(files: &dyn Files, weights: Option<&str>, described: &[Self]) -> Result<Self> {
        if let Some(weights) = weights {
            let open_clip = weights.starts_with("open_clip");
            let named = described.iter().find(|format| (**format == Self::OpenClip) == open_clip);
            return Ok(*named.or(described.first()).unwrap_or(&Self::Transformers));
        }
        if described.contains(&Self::Timm) {
            return Ok(*described.first().unwrap_or(&Self::Timm));
        }
        for format in described {
            let index = format!("{}.index.json", format.weights());
            let names = [format.weights(), &index].into_iter().chain(format.pickled().iter().copied());
            for name in names {
                if files.has(name)? {
                    return Ok(*format);
                }
            }
        }
        Ok(*described.first().unwrap_or(&Self::Transformers))
    }
}

/// Endings of the names under which `transformers` keeps weights of another type beside or instead of the usual ones, the most exact
/// first.
const VARIANTS: [&str; 3] = ["fp32", "bf16", "fp16"];

/// Opens the weights: the file `named`, or what `format` calls them, in one file or in shards. A text tower that they lack is taken
/// from `config`.
pub(in crate::model) fn weights(
    files: &dyn Files,
    format: Format,
    named: Option<&str>,
    config: &mut ModelConfig,
) -> Result<Checkpoint> {
    let (path, shards) = match named {
        Some(name) => stored(files, name, config.layout)?.ok_or_else(|| files.missing(name))?,
        None => usual(files, format, config)?,
    };
    let checkpoint = Checkpoint::of_files(&path, &shards)?;
    if config.text.is_some() && lack_text(checkpoint.names().map(String::as_str), config.layout) {
        config.text = None;
        config.logit_bias = false;
        config.left_alone.keys.push("text_config".to_owned());
    }
    checkpoint.named(config.layout, config.text.is_some())?.without_adapters()
}

/// The file `name`, or the files that it names if it is an index; `None` where there is none.
fn stored(files: &dyn Files, name: &str, layout: Layout) -> Result<Option<(PathBuf, Vec<PathBuf>)>> {
    if Path::new(name).extension().is_none_or(|ending| ending != "json") {
        return Ok(files.file(name)?.map(|path| (path.clone(), vec![path])));
    }
    let Some((path, bytes)) = read(files, name)? else { return Ok(None) };
    let shards = shards(&path, &bytes, layout)?;
    let find = |name: &String| files.file(name)?.ok_or_else(|| files.missing(name));
    let shards = shards.iter().map(find).collect::<Result<Vec<_>>>()?;
    Ok(Some((path, shards)))
}

/// The first that there is of what weights are called, in the order of the library: one file goes before several, and safetensors before
/// pickles.
fn usual(files: &dyn Files, format: Format, config: &mut ModelConfig) -> Result<(PathBuf, Vec<PathBuf>)> {
    let single = format.weights();
    let stem = single.trim_end_matches(".safetensors");
    let index = format!("{single}.index.json");
    if let Some(found) = stored(files, single, config.layout)? {
        if files.has(&index)? {
            config.left_alone.files.push(index);
        }
        return Ok(found);
    }
    let variants = VARIANTS.map(|kind| [format!("{stem}.{kind}.safetensors"), format!("{single}.index.{kind}.json")]);
    let pickled = format.pickled().iter().map(|name| (*name).to_owned());
    let plain = (format == Format::OpenClip).then(|| Format::Transformers.weights().to_owned());
    let names = std::iter::once(index).chain(pickled).chain(variants.into_iter().flatten()).chain(plain);
    for name in names {
        if let Some(found) = stored(files, &name, config.layout)? {
            if !name.ends_with(".index.json") && !format.pickled().contains(&name.as_str()) {
                config.assumed.push(format!("weights = {name}"));
            }
            return Ok(found);
        }
    }
    Err(files.missing(single))
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
    let vision = Prefixes::find(&names, layout, false, path)?.vision;
    let wanted = |name: &str| layout != Layout::Transformers { inside: true } || name.starts_with(&vision);
    let mut shards = BTreeSet::new();
    for (name, file) in map {
        let ending = if path.to_string_lossy().contains(".bin.index") { ".bin" } else { ".safetensors" };
        let plain = |file: &&str| !file.contains(['/', '\\']) && file.ends_with(ending);
        let Some(file) = file.as_str().filter(plain) else {
            let place = format!("{place}: `{name}`");
            return Err(Error::mismatch(place, format!("the name of a {ending} file beside the index"), file));
        };
        if wanted(name) {
            shards.insert(file.to_owned());
        }
    }
    Ok(shards)
}

/// Refuses files that an adapter lies beside: PEFT would change the weights by it, and `transformers` asks PEFT where it is there.
pub(in crate::model) fn no_adapter(files: &dyn Files) -> Result<()> {
    let name = "adapter_config.json";
    if files.file(name)?.is_none() {
        return Ok(());
    }
    let expected = "a model, not an adapter of one (merge it first: PEFT's `merge_and_unload`, then `save_pretrained`; where \
                    the weights have it already, take this file away)";
    Err(Error::mismatch(files.place(name), expected, "an adapter"))
}
