//! Configurations as releases of many years wrote them: whichever wrote the file, the model is the same.

use super::families::folder;
use serde_json::{Value, json};
use snellen::model::config::{LeftAlone, TextPooling};
use snellen::model::{Model, ModelConfig, Preprocessing};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of `kind` that `scripts/fixtures/make_config_shapes.py` made, with the family that each is of.
fn shapes(kind: &str) -> Vec<(String, PathBuf)> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
    let names = |folder: &Path| {
        let mut names: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    let family = |folder: &PathBuf| folder.file_name().unwrap().to_str().unwrap().to_owned();
    names(&home).iter().flat_map(|folder| names(folder).into_iter().map(move |file| (family(folder), file))).collect()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a configuration says of the maths.
fn plain(config: ModelConfig) -> ModelConfig {
    ModelConfig { assumed: Vec::new(), left_alone: LeftAlone::default(), ..config }
}

#[test]
fn every_release_wrote_the_same_model() {
    let shapes = shapes("configs");
    assert!(shapes.len() >= 30, "{}", shapes.len());
    for release in ["4.16.2", "4.21.3", "4.30.2", "4.40.2", "4.46.3", "4.57.6", "5.23.0"] {
        let of_release = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(release);
        assert!(shapes.iter().any(|(_, path)| of_release(path)), "no shape of {release}");
    }
    for (family, path) in shapes {
        let own = ModelConfig::parse(&read(&folder(&family).join("config.json")), "own").unwrap();
        let shape = ModelConfig::parse(&read(&path), "shape").unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(plain(shape), plain(own), "{}", path.display());
    }
}

#[test]
fn every_release_is_loaded_with_its_weights() {
    for (family, path) in shapes("configs") {
        let home = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(folder(&family)).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, home.path().join(from.file_name().unwrap())).unwrap();
        }
        fs::copy(&path, home.path().join("config.json")).unwrap();
        let own = Model::load(&folder(&family)).unwrap();
        let shape = Model::load(home.path()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(shape.weights_hash, own.weights_hash, "{}", path.display());
        assert_eq!(shape.config.vision, own.config.vision, "{}", path.display());
        assert_eq!(shape.config.text, own.config.text, "{}", path.display());
    }
}

#[test]
fn every_release_prepares_pictures_alike() {
    let shapes = shapes("processors");
    assert!(shapes.len() >= 10, "{}", shapes.len());
    for (family, path) in shapes {
        let own = Preprocessing::parse(&read(&folder(&family).join("preprocessor_config.json")), "own").unwrap();
        let shape = Preprocessing::parse(&read(&path), "shape").unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(shape, own, "{}", path.display());
    }
}

/// A family's configuration with `value` at `pointer`, whose parent is there.
fn edited(family: &str, pointer: &str, value: Value) -> snellen::Result<ModelConfig> {
    let mut json = read(&folder(family).join("config.json"));
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    json.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    ModelConfig::parse(&json, "config.json")
}

#[test]
fn keys_that_no_class_knows_change_nothing_and_are_listed() {
    for (family, pointer, listed) in [
        ("clip_bf16", "/vision_config/rope_theta", "vision_config.rope_theta"),
        ("clip_bf16", "/vision_config/vision_use_head", "vision_config.vision_use_head"),
        ("clip_bf16", "/text_config/num_channels", "text_config.num_channels"),
        ("clip_bf16", "/surprise", "surprise"),
        ("siglip", "/text_config_dict", "text_config_dict"),
        ("siglip_vision", "/window_size", "window_size"),
        ("dinov2_registers", "/a\u{1b}[31m\nkey", "a\\u{1b}[31m\\nkey"),
        ("llava", "/vision_config/mm_tower", "vision_config.mm_tower"),
    ] {
        let own = ModelConfig::parse(&read(&folder(family).join("config.json")), "own").unwrap();
        let config = edited(family, pointer, json!({"any": 7})).unwrap();
        assert_eq!(config.left_alone.keys, [listed], "{family}");
        assert_eq!(plain(config), plain(own.clone()), "{family}");
        // Null is as good as not there, and not worth a line.
        assert_eq!(edited(family, pointer, Value::Null).unwrap(), own, "{family}");
    }
    // What trainers, attention and hubs leave behind is not either.
    for key in ["_commit_hash", "_attn_implementation", "attn_implementation", "gradient_checkpointing", "is_decoder"] {
        let own = ModelConfig::parse(&read(&folder("clip_bf16").join("config.json")), "own").unwrap();
        assert_eq!(edited("clip_bf16", &format!("/text_config/{key}"), json!(true)).unwrap(), own, "{key}");
    }
}

#[test]
fn lists_of_keys_end() {
    let mut json = read(&folder("dinov2").join("config.json"));
    for number in 0..1000 {
        json[format!("key{number}")] = json!(1);
    }
    json["z".repeat(100_000)] = json!(1);
    let keys = ModelConfig::parse(&json, "config.json").unwrap().left_alone.keys;
    assert_eq!((keys.len(), keys.last().unwrap().as_str()), (101, "901 more"));
    let long = edited("dinov2", &format!("/{}", "z".repeat(100_000)), json!(1)).unwrap().left_alone.keys;
    assert!(long[0].len() < 200, "{}", long[0].len());
}

#[test]
fn keys_that_change_the_maths_are_refused_by_name() {
    for (family, pointer, value) in [
        ("clip_bf16", "/quantization_config", json!({"quant_method": "bitsandbytes"})),
        ("llava", "/quantization_config", json!({"quant_method": "awq"})),
        ("siglip", "/compression_config", json!({"format": "int"})),
        ("clip_bf16", "/vision_config/per_layer_config", json!({"0": {"num_attention_heads": 1}})),
        ("clip_bf16", "/text_config/is_causal", json!(false)),
        ("siglip_vision", "/num_channels", json!(4)),
        ("clip_bf16", "/auto_map", json!({"AutoModel": "modeling_evaclip.EvaCLIPModel"})),
        ("dinov2", "/auto_map", json!({"AutoConfig": "own.Config"})),
    ] {
        let key = pointer.rsplit_once('/').unwrap().1;
        let error = edited(family, pointer, value).err().unwrap_or_else(|| panic!("{family}: {pointer} was accepted"));
        assert!(error.is_bad_input() && error.to_string().contains(&format!("`{key}`: expected")), "{error}");
        edited(family, pointer, Value::Null).unwrap();
    }
    edited("clip_bf16", "/auto_map", json!({"AutoProcessor": "own.Processor"})).unwrap();
    // What earlier releases pruned would be missing from the weights.
    edited("dinov2", "/pruned_heads", json!({"0": [1]})).unwrap();
    edited("clip_bf16", "/vision_config/pruned_heads", json!({"0": [1]})).unwrap();
    for (family, kind) in [("clip_vision", "clip_text_model"), ("siglip_vision", "siglip_text_model")] {
        let error = edited(family, "/model_type", json!(kind)).unwrap_err().to_string();
        assert!(error.contains("expected a model of pictures") && error.contains(kind), "{error}");
    }
}

#[test]
fn what_a_file_leaves_out_has_the_default_of_its_class() {
    let clip = ModelConfig::parse(&json!({"model_type": "clip"}), "c").unwrap();
    let text = clip.text.clone().unwrap();
    assert_eq!((clip.vision.tower.width, clip.vision.patch, clip.vision.image), (768, 32, 224));
    assert_eq!((text.vocabulary, text.positions, text.projection), (49408, 77, 512));
    assert_eq!(text.pooling, TextPooling::First(49407));
    assert!(clip.assumed.contains(&"vision_config.patch_size = 32".to_owned()), "{:?}", clip.assumed);
    let registers = ModelConfig::parse(&json!({"model_type": "dinov2_with_registers"}), "c").unwrap();
    assert_eq!((registers.vision.patch, registers.vision.registers), (16, 4));
    assert_eq!(ModelConfig::parse(&json!({"model_type": "dinov2"}), "c").unwrap().vision.patch, 14);
    // Null is as good as left out.
    let null =
        json!({"model_type": "clip", "text_config": null, "vision_config": {"eos_token_id": null, "patch_size": null}});
    assert_eq!(ModelConfig::parse(&null, "c").unwrap(), clip);
}

/// As `transformers` 5.23: the section that `vision_config_dict` makes, defaults included, goes before `vision_config`.
#[test]
fn sections_given_twice_are_read_as_the_library_reads_them() {
    let mut json = read(&folder("clip_bf16").join("config.json"));
    json["vision_config_dict"] = json!({"hidden_size": 48, "image_size": null, "surprise": 1});
    let config = ModelConfig::parse(&json, "c").unwrap();
    assert_eq!((config.vision.tower.width, config.vision.image, config.vision.patch), (48, 224, 32));
    assert_eq!(config.text.as_ref().unwrap().tower.width, 20, "the other section is not touched");
    assert!(config.assumed.contains(&"vision_config_dict.image_size = 224".to_owned()), "{:?}", config.assumed);
    assert_eq!(config.left_alone.keys, ["vision_config.surprise"]);
}
