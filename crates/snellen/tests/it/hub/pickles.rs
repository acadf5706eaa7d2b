//! Repositories that have weights in PyTorch's own files only: these are fetched, and nothing beside them.

use super::*;
use crate::families::folder;
use snellen::model::{LoadConfig, Model};

/// A repository with the files of a family.
fn family(name: &'static str, without: &'static [&'static str]) -> Bench {
    bench(move |request| {
        let files =
            std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let files: Vec<String> =
            files.filter(|file| file != "reference.safetensors" && !without.contains(&file.as_str())).collect();
        let asked = request.path.strip_prefix(&format!("/{REPO}/resolve/{COMMIT}/"));
        match asked {
            _ if request.path == LISTING => listing(&files.iter().map(String::as_str).collect::<Vec<_>>()),
            Some(file) if files.iter().any(|own| own == file) => {
                large(&std::fs::read(folder(name).join(file)).unwrap(), request)
            }
            _ => Reply::status(404).header("X-Error-Code", "EntryNotFound"),
        }
    })
}

impl Bench {
    fn load(&self, weights: Option<&str>) -> snellen::Result<Model> {
        let repo = self.hub.open(&REPO.parse()?, &())?;
        Model::of_files(&repo, weights, REPO.to_owned(), &LoadConfig::plain())
    }

    /// The files that were fetched, in order of their names.
    fn taken(&self) -> Vec<String> {
        let asked =
            self.server.asked().into_iter().filter(|request| request.method == "GET" && request.path != LISTING);
        let mut names: Vec<String> = asked.map(|request| request.path.rsplit('/').next().unwrap().to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }
}

#[test]
fn a_repository_of_pickles_alone_loads() {
    for (name, weights) in [
        ("clip_bin", &["pytorch_model.bin"][..]),
        (
            "siglip_bin",
            &["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"],
        ),
        ("open_clip_bin", &["open_clip_pytorch_model.bin"]),
    ] {
        let bench = family(name, &[]);
        let model = bench.load(None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(model.weights_hash, Model::load(&folder(name)).unwrap().weights_hash);
        let taken = bench.taken();
        let bins: Vec<&String> = taken.iter().filter(|file| file.contains(".bin")).collect();
        assert_eq!(bins, weights, "{taken:?}");
    }
}

#[test]
fn a_file_of_openai_is_fetched_by_its_name() {
    let bench = family("openai_script", &[]);
    let model = bench.load(Some("ViT-nano.pt")).unwrap();
    assert_eq!(model.config.vision.image, 14);
    assert!(model.tokenizer.is_some());
}

#[test]
fn without_any_weights_nothing_large_is_fetched() {
    let bench = family("clip_bin", &["pytorch_model.bin"]);
    let error = bench.load(None).err().unwrap().to_string();
    assert!(error.contains("model.safetensors: expected a file"), "{error}");
    assert!(
        bench.taken().iter().all(|name| std::path::Path::new(name).extension().is_some_and(|of| of == "json")),
        "{:?}",
        bench.taken()
    );
}
