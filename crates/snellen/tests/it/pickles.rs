//! Weights in PyTorch's own files: which of them are taken, what is said of them, and what describes itself.

use super::families::folder;
use snellen::model::config::TextPooling;
use snellen::model::{LoadConfig, Model, ModelConfig};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of a family's files.
fn copy(family: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder(family)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "reference.safetensors" {
            fs::copy(entry.path(), home.path().join(entry.file_name())).unwrap();
        }
    }
    home
}

fn torch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

fn refused(path: &Path) -> String {
    let error = Model::load(path).err().unwrap_or_else(|| panic!("{} was read", path.display()));
    assert!(error.is_bad_input(), "{error}");
    error.to_string()
}

#[test]
fn safetensors_go_before_pickles_and_one_file_before_several() {
    let home = copy("clip_vision");
    for name in ["pytorch_model.bin", "pytorch_model.bin.index.json"] {
        fs::write(home.path().join(name), "no weights").unwrap();
    }
    Model::load(home.path()).unwrap();

    let home = copy("clip_bin");
    fs::write(home.path().join("pytorch_model.bin.index.json"), "no index").unwrap();
    fs::write(home.path().join("model.fp16.safetensors"), "no weights").unwrap();
    let model = Model::load(home.path()).unwrap();
    assert!(model.config.assumed.iter().all(|assumed| !assumed.starts_with("weights")), "{:?}", model.config.assumed);
    // The name may be said, or the file itself given.
    let named = LoadConfig { weights: Some("pytorch_model.bin".to_owned()), ..LoadConfig::plain() };
    assert_eq!(Model::load_with(home.path(), &named).unwrap().weights_hash, model.weights_hash);
    assert_eq!(Model::load(&home.path().join("pytorch_model.bin")).unwrap().weights_hash, model.weights_hash);
}

#[test]
fn shards_are_files_of_their_kind_beside_the_index() {
    let home = copy("siglip_bin");
    let index = home.path().join("pytorch_model.bin.index.json");
    let sound = fs::read_to_string(&index).unwrap();
    fs::write(&index, sound.replace("pytorch_model-00001-of-00002.bin", "pytorch_model-00001-of-00002.pickle"))
        .unwrap();
    assert!(refused(home.path()).contains("expected the name of a .bin file beside the index"));
    fs::write(&index, sound).unwrap();
    Model::load(home.path()).unwrap();
    fs::remove_file(home.path().join("pytorch_model-00002-of-00002.bin")).unwrap();
    assert!(refused(home.path()).contains("pytorch_model-00002-of-00002.bin: expected a file"));
}

#[test]
fn what_lies_beside_the_weights_is_listed() {
    let model = Model::load(&folder("open_clip_bin")).unwrap();
    for beside in ["epoch (a whole number)", "name (a text)", "optimizer (a dictionary)"] {
        assert!(model.config.left_alone.tensors.contains(&beside.to_owned()), "{:?}", model.config.left_alone);
    }
}

#[test]
fn openais_files_describe_themselves() {
    let home = copy("openai_script");
    let model = Model::load(&home.path().join("ViT-nano.pt")).unwrap();
    let (vision, text) = (&model.config.vision, model.config.text().unwrap());
    assert_eq!(
        (vision.image, vision.patch, vision.tower.width, vision.tower.layers, vision.tower.heads),
        (14, 7, 64, 1, 1)
    );
    assert_eq!((text.positions, text.tower.width, text.tower.heads, text.projection), (10, 64, 1, 12));
    assert_eq!((text.pooling, text.kept_positions), (TextPooling::LargestId, None));
    assert_eq!(model.config.assumed, ["quick_gelu = true", "heads of 64 units"]);
    assert!(model.tokenizer.is_some());
    let same = ModelConfig::open(home.path().join("ViT-nano.pt").to_str().unwrap(), &LoadConfig::plain(), &());
    assert_eq!(same.unwrap(), model.config);
    // Also beside a configuration that is for other files.
    fs::copy(folder("clip_f16").join("config.json"), home.path().join("config.json")).unwrap();
    assert_eq!(Model::load(&home.path().join("ViT-nano.pt")).unwrap().weights_hash, model.weights_hash);
    // In a folder by its name.
    let named = LoadConfig { weights: Some("ViT-nano.pt".to_owned()), ..LoadConfig::plain() };
    assert_eq!(Model::load_with(home.path(), &named).unwrap().weights_hash, model.weights_hash);
}

#[test]
fn long_clip_keeps_its_first_positions() {
    let model = Model::load(&folder("long_clip").join("longclip-nano.pt")).unwrap();
    let text = model.config.text().unwrap();
    assert_eq!((text.positions, text.kept_positions), (22, Some(20)));
}

#[test]
fn weights_that_do_not_say_what_they_are_for_need_a_configuration() {
    let home = copy("open_clip_bin");
    let config = home.path().join("open_clip_config.json");
    fs::remove_file(&config).unwrap();
    let error = refused(&home.path().join("open_clip_pytorch_model.bin"));
    assert!(error.contains("an open_clip_config.json beside it, which says which activation"), "{error}");
    let other = home.path().join("other.pt");
    fs::copy(torch("types.pt"), &other).unwrap();
    assert!(refused(&other).contains("config.json: expected a file"));
    fs::write(&other, "PK\x03\x04").unwrap();
    assert!(refused(&other).contains("other.pt"));
}

#[test]
fn what_would_have_to_be_run_is_named() {
    let home = copy("clip_bin");
    for (name, says) in
        [("module", "`__main__.Outer`"), ("called", "`posix.getpid`"), ("settings", "`__main__.Settings`")]
    {
        fs::copy(torch(&format!("refused/{name}.pt")), home.path().join("pytorch_model.bin")).unwrap();
        let error = refused(home.path());
        assert!(error.contains("pytorch_model.bin: data.pkl at byte ") && error.contains(says), "{error}");
    }
    let home = copy("open_clip_bin");
    fs::remove_file(home.path().join("open_clip_pytorch_model.bin")).unwrap();
    assert!(refused(home.path()).contains("open_clip_model.safetensors: expected a file"));
}
