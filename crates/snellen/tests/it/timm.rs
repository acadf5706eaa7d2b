//! Towers of timm: what names stand for, its own files, and what lies beside OpenCLIP's.

use super::families::folder;
use serde_json::{Value, json};
use snellen::engine::Activation;
use snellen::model::config::{Positions, Rotary};
use snellen::model::{Model, ModelConfig, Tokenizer, VisionConfig, VisionPooling};
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A tower as the script describes timm's.
fn described(vision: &VisionConfig) -> Value {
    let tower = &vision.tower;
    let activation = match tower.activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_tanh",
        Activation::QuickGelu => "quick_gelu",
        Activation::Silu => "silu",
    };
    let pool = match vision.pooling {
        Some(VisionPooling::Class) => "token",
        Some(VisionPooling::Mean) => "avg",
        Some(VisionPooling::Attention) => "map",
        None => "none",
    };
    let head = vision.head.map_or((tower.heads, tower.mlp), |head| (head.heads, head.mlp));
    let head = (pool == "map").then(|| json!([head.0, head.1, true]));
    let rotary = vision.rotary.map(|rotary| match rotary {
        Rotary::Indexed { first, reference, columns_first } => json!([first, reference, columns_first]),
        Rotary::Centred { .. } => json!("centred"),
    });
    let biases = tower.biases;
    assert_eq!((vision.positions, vision.projection, vision.distillation), (Positions::Learned, None, false));
    assert!(biases.out && biases.mlp);
    json!({
        "image": vision.image, "patch": vision.patch, "patch_bias": vision.patch_bias, "width": tower.width,
        "layers": tower.layers, "heads": tower.heads, "mlp": tower.mlp, "gated": tower.gated, "activation": activation,
        "eps": tower.eps, "biases": [biases.query, biases.key, biases.value], "layer_scale": tower.layer_scale,
        "norms": [tower.attention_norm, tower.mlp_norm], "class_token": vision.class_token,
        "class_position": vision.class_position, "registers": vision.registers, "norm_pre": vision.norm_pre,
        "pool": pool, "norm_after_pooling": vision.norm_after_pooling, "head": head, "rotary": rotary,
    })
}

#[test]
fn names_stand_for_what_timm_builds() {
    let all = fixture("timm.json");
    let (mut read, mut left) = (Vec::new(), Vec::new());
    for (name, expected) in all.as_object().unwrap() {
        match ModelConfig::parse_timm(&json!({"architecture": name}), "config.json") {
            Ok(config) => {
                assert_eq!(described(&config.vision), *expected, "{name}");
                read.push(name.as_str());
            }
            Err(error) => {
                assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
                left.push((name.as_str(), expected.is_object()));
            }
        }
    }
    let plain: Vec<&str> = left.into_iter().filter(|(_, plain)| *plain).map(|(name, _)| name).collect();
    assert!(read.len() >= 120, "read {}; plain and not read: {plain:?}", read.len());
    for name in [
        "vit_so400m_patch14_siglip_384",
        "eva02_large_patch14_clip_336",
        "vit_pe_core_gigantic_patch14_448",
        "deit3_huge_patch14_224",
    ] {
        assert!(read.contains(&name), "{name}");
    }
}

fn refused(config: &Value) -> String {
    ModelConfig::parse_timm(config, "config.json").err().unwrap_or_else(|| panic!("{config} was read")).to_string()
}

#[test]
fn arguments_change_an_architecture_or_are_refused() {
    let with = |arguments: Value| json!({"architecture": "vit_tiny_patch16_224", "model_args": arguments});
    let parse = |arguments: Value| ModelConfig::parse_timm(&with(arguments), "config.json").unwrap().vision;
    assert_eq!(parse(json!({"img_size": [384, 384]})).image, 384);
    assert!(parse(json!({"global_pool": "avg"})).norm_after_pooling);
    assert!(!parse(json!({"global_pool": "avg", "fc_norm": false})).norm_after_pooling);
    assert!(parse(json!({"init_values": 1e-5})).tower.layer_scale);
    assert_eq!(parse(json!({"embed_dim": 48, "num_heads": 4})).tower.width, 48);
    for (arguments, says) in [
        (json!({"qk_norm": true}), "`qk_norm`: expected false"),
        (json!({"in_chans": 1}), "`in_chans`: expected 3"),
        (json!({"block_fn": "x"}), "got `block_fn`"),
        (json!({"num_heads": 5}), "heads that divide the width (192)"),
        (json!({"embed_dim": 0}), "`embed_dim`"),
        (json!({"img_size": [224, 384]}), "one size, or two equal ones"),
        (json!({"patch_size": 300}), "patches of at most 224 pixels"),
        (json!({"global_pool": "map"}), "patches alone"),
        (json!({"class_token": false}), "a class token"),
        (json!({"reg_tokens": 4}), "registers without positions"),
        (json!({"act_layer": "relu"}), "got `relu`"),
        (json!({"mlp_ratio": 1e-2, "embed_dim": 3, "num_heads": 1}), "at least one hidden unit"),
    ] {
        let error = refused(&with(arguments.clone()));
        assert!(error.starts_with("config.json") && error.contains(says), "{arguments}: {error}");
    }
    let error = refused(&json!({"architecture": "eva02_base_patch16_clip_224", "model_args": {"mlp_ratio": 4}}));
    assert!(error.contains("`mlp_ratio`"), "{error}");
    for name in [
        "convnext_base",
        "vit_base_patch16_",
        "vit_base_patch16_0224",
        "vit_base_patch16_+224",
        "",
        "eva02_base_patch16_224",
    ] {
        assert!(refused(&json!({"architecture": name})).contains("an architecture of timm that is known"), "{name}");
    }
    assert!(refused(&json!({"architecture": 7})).contains("expected a string"));
}

#[test]
fn open_clip_asks_timm_for_a_pooling_and_a_projection() {
    let parse = |vision: Value| {
        let text = json!({"context_length": 9, "width": 18, "heads": 3, "layers": 1});
        let config = json!({"model_cfg": {"embed_dim": 768, "vision_cfg": vision, "text_cfg": text}});
        ModelConfig::parse_open_clip(&config, "config").map_err(|e| e.to_string())
    };
    let named =
        |name: &str, pool: &str, proj: Value| json!({"timm_model_name": name, "timm_pool": pool, "timm_proj": proj});
    let siglip = "vit_base_patch16_siglip_224";
    let vision = parse(named(siglip, "map", json!("none"))).unwrap().vision;
    assert_eq!((vision.projection, vision.embedding()), (None, Some(768)));
    let vision = parse(named("vit_large_patch14_clip_224", "token", Value::Null)).unwrap().vision;
    assert_eq!((vision.projection, vision.projection_bias, vision.tower.width), (Some(768), true, 1024));
    for (vision, says) in [
        (named(siglip, "max", json!("none")), "`timm_pool`: expected `token`, `avg` or `map`, got `max`"),
        (named(siglip, "token", json!("none")), "a class token, where it is what is pooled"),
        (named(siglip, "map", json!("mlp")), "`timm_proj`: expected `none` or null"),
        (
            named("vit_large_patch16_siglip_256", "map", json!("none")),
            "`embed_dim`: expected the vision tower's width (1024)",
        ),
        (named("convnext_base", "", json!("linear")), "`timm_model_name`"),
        (
            json!({"timm_model_name": siglip, "timm_pool": "map", "timm_proj": "none", "image_size": 384}),
            "expected 224, as in",
        ),
        (json!({"timm_model_name": siglip, "width": 7}), "got `width`"),
    ] {
        let error = parse(vision.clone()).err().unwrap_or_else(|| panic!("{vision} was read"));
        assert!(error.contains(says), "{vision}: {error}");
    }
}

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

fn edit(path: &Path, pointer: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    *json.pointer_mut(pointer).unwrap() = value;
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn pictures_are_prepared_as_the_file_says_or_it_is_refused() {
    let home = copy("timm_vit");
    let config = home.path().join("config.json");
    Model::load(home.path()).unwrap();
    for (pointer, value, says) in [
        ("/pretrained_cfg/crop_mode", json!("border"), "`center` or `squash`, got `border`"),
        ("/pretrained_cfg/interpolation", json!("random"), "`interpolation`"),
        ("/pretrained_cfg/crop_pct", json!(0), "`crop_pct`: expected a number from 0.01 to 1"),
        ("/pretrained_cfg/input_size", json!([3, 25, 26]), "`input_size`"),
        ("/pretrained_cfg/input_size", json!([1, 25, 25]), "[3, side, side]"),
        ("/pretrained_cfg/input_size", json!([3, 224, 224]), "25 x 25 pixels, as the model's arguments say"),
        ("/pretrained_cfg/std", json!([0.5, 0.0, 0.5]), "`std`"),
    ] {
        let sound = fs::read(&config).unwrap();
        edit(&config, pointer, value.clone());
        let error = Model::load(home.path()).err().unwrap_or_else(|| panic!("{pointer}: {value} was read")).to_string();
        assert!(error.contains("config.json") && error.contains(says), "{pointer}: {error}");
        fs::write(&config, sound).unwrap();
    }
}

#[test]
fn the_classifier_is_left_alone_and_other_layers_are_refused() {
    let model = Model::load(&folder("timm_vit")).unwrap();
    assert_eq!(model.config.left_alone.tensors, ["head.* (2 tensors)"]);
    assert_eq!((model.config.model_type.as_str(), model.tokenizer.is_some()), ("timm", false));
    let home = copy("timm_vit");
    edit(&home.path().join("config.json"), "/model_args/depth", json!(1));
    let error = Model::load(home.path()).err().unwrap().to_string();
    assert!(error.contains("only tensors that the configuration speaks of, got `blocks.1."), "{error}");
}

#[test]
fn open_clips_own_pair_goes_before_timms() {
    let home = copy("open_clip");
    for name in ["config.json", "model.safetensors"] {
        fs::copy(folder("timm_vit").join(name), home.path().join(name)).unwrap();
    }
    let model = Model::load(home.path()).unwrap();
    assert_eq!(model.config.model_type, "open_clip");
    assert_eq!(model.config.left_alone.files, ["config.json"]);
    // The file itself is timm's.
    assert_eq!(Model::load(&home.path().join("model.safetensors")).unwrap().config.model_type, "timm");
}

#[test]
fn the_separator_of_clipa_becomes_nothing() {
    let all = fixture("tokens/bert.json");
    let texts: Vec<String> = serde_json::from_value(all["texts"].clone()).unwrap();
    let config = fs::read(folder("open_clip_clipa").join("open_clip_config.json")).unwrap();
    let config = ModelConfig::parse_open_clip(&serde_json::from_slice(&config).unwrap(), "config").unwrap();
    let cases = all["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let home = copy("open_clip_clipa");
        for (key, value) in case["settings"].as_object().unwrap() {
            let path = home.path().join("tokenizer_config.json");
            let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            json[key] = value.clone();
            fs::write(&path, json.to_string()).unwrap();
        }
        let tokenizer = Tokenizer::load(&home.path(), &config).unwrap().unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(case["ids"].clone()).unwrap();
        for (text, expected) in texts.iter().zip(expected) {
            let got = tokenizer.encode_truncated(&[text]).unwrap();
            assert_eq!(got.ids(), expected, "{}: {text:?}", case["settings"]);
        }
    }
    let home = copy("open_clip_clipa");
    edit(&home.path().join("tokenizer_config.json"), "/sep_token", json!("[NONE]"));
    let error = Tokenizer::load(&home.path(), &config).err().unwrap().to_string();
    assert!(error.contains("`sep_token`"), "{error}");
}
