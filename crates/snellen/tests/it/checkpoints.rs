//! Checkpoints as trainers, classifiers and other libraries leave them: the same tower under other names, with other things beside it.

use super::families::folder;
use super::weights::Weights;
use snellen::engine::{Tape, Tensor};
use snellen::model::{LoadConfig, Model, ModelConfig};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of a family's files.
struct Home(tempfile::TempDir);

impl Home {
    fn of(family: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.copy(family, "");
        home
    }

    /// Copies a family's files into the folder `to` of it.
    fn copy(&self, family: &str, to: &str) {
        fs::create_dir_all(self.path(to)).unwrap();
        for entry in fs::read_dir(folder(family)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "reference.safetensors" {
                fs::copy(entry.path(), self.path(to).join(entry.file_name())).unwrap();
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn weights(&self, edit: impl FnOnce(&mut Weights)) -> &Self {
        let path = ["model.safetensors", "open_clip_model.safetensors"].map(|name| self.path(name));
        let path = path.iter().find(|path| path.exists()).unwrap();
        let mut weights = Weights::read(path);
        edit(&mut weights);
        weights.write(path);
        self
    }

    fn rename(&self, from: &str, to: &str) -> &Self {
        fs::rename(self.path(from), self.path(to)).unwrap();
        self
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn load(&self) -> Model {
        self.load_with(&LoadConfig::plain())
    }

    fn load_with(&self, with: &LoadConfig) -> Model {
        let model = Model::load_with(self.0.path(), with).unwrap();
        // What is said of a model without its weights is the same.
        let listed = ModelConfig::open(self.0.path().to_str().unwrap(), with, &()).unwrap();
        assert_eq!(listed, model.config);
        model
    }

    fn refused(&self) -> String {
        let error = Model::load(self.0.path()).err().expect("a refusal");
        assert!(error.is_bad_input(), "{error}");
        let listed = ModelConfig::open(self.0.path().to_str().unwrap(), &LoadConfig::plain(), &());
        assert_eq!(listed.unwrap_err().to_string(), error.to_string());
        error.to_string()
    }
}

/// What the vision tower makes of two pictures.
fn embed(model: &Model) -> Vec<f32> {
    let side = model.config.vision.image;
    let pixels = (0..2 * 3 * side * side).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect();
    let pixels = Tensor::new([2, 3, side, side], pixels);
    model.towers.embed_images(&mut Tape::off(), &pixels, &mut ()).unwrap().data().to_vec()
}

fn own(family: &str) -> Vec<f32> {
    embed(&Model::load(&folder(family)).unwrap())
}

fn floats(name: &str, shape: &[usize]) -> (String, String, Vec<usize>, Vec<u8>) {
    let count: usize = shape.iter().product();
    (name.to_owned(), "F32".to_owned(), shape.to_vec(), (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect())
}

#[test]
fn towers_are_found_under_any_prefix() {
    for (family, prefixes) in [
        ("clip_bf16", &["module.", "model.", "clip.", "module.model.clip."][..]),
        ("siglip", &["module.", "siglip."]),
        ("clip_vision", &["module.", "clip."]),
        ("siglip_vision", &["vision_model.", "module.", "siglip.vision_model."]),
        ("dinov2", &["dinov2.", "module.", "module.dinov2.", "model."]),
        ("dinov2_registers", &["dinov2_with_registers."]),
        ("vit", &["vit.", "module."]),
        ("vit_classifier", &["module."]),
        ("deit", &["module."]),
        ("dinov3", &["module.", "backbone."]),
        ("metaclip2", &["module."]),
        ("metaclip2_vision", &["module."]),
        ("open_clip", &["module."]),
        ("open_clip_custom", &["module."]),
    ] {
        let expected = own(family);
        for prefix in prefixes {
            let home = Home::of(family);
            home.weights(|w| w.0.iter_mut().for_each(|tensor| tensor.0.insert_str(0, prefix)));
            let model = home.load();
            assert_eq!(embed(&model), expected, "{family} under {prefix}");
            let plain = Model::load(&folder(family)).unwrap().config;
            let beside = |config: &ModelConfig| !config.left_alone.tensors.is_empty();
            assert_eq!(beside(&model.config), beside(&plain), "{:?}", model.config.left_alone);
            assert_eq!(model.towers.logit_scale().is_some(), plain.text.is_some(), "{family}");
        }
    }
}

/// A tensor of two halves as two, with other names.
fn halved(
    (name, kind, shape, bytes): &(String, String, Vec<usize>, Vec<u8>),
) -> [(String, String, Vec<usize>, Vec<u8>); 2] {
    let half = |name: &str, bytes: &[u8]| {
        (name.to_owned(), kind.clone(), [&[shape[0] / 2], &shape[1..]].concat(), bytes.to_vec())
    };
    let (gate, up) = bytes.split_at(bytes.len() / 2);
    [half(&name.replace("weights_in", "gate_proj"), gate), half(&name.replace("weights_in", "up_proj"), up)]
}

#[test]
fn names_that_a_library_has_in_memory_are_read_as_those_it_saves() {
    let vit = &[
        ("encoder.layer.", "layers."),
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
    ][..];
    let dinov2 = &[vit[1], vit[2], vit[3], vit[4], ("weights_out", "down_proj")][..];
    for (family, names) in [
        ("vit", vit),
        ("vit_classifier", vit),
        ("deit", vit),
        ("dinov2", dinov2),
        ("dinov2_swiglu", dinov2),
        ("dinov2_registers", dinov2),
        ("dinov3", &[("layer.", "model.layer.")]),
        ("dinov3_gated", &[("layer.", "model.layer.")]),
    ] {
        let home = Home::of(family);
        home.weights(|w| {
            let before: Vec<String> = w.0.iter().map(|tensor| tensor.0.clone()).collect();
            for tensor in &mut w.0 {
                names.iter().for_each(|(old, new)| tensor.0 = tensor.0.replace(old, new));
            }
            assert!(w.0.iter().zip(before).filter(|(tensor, old)| tensor.0 != **old).count() > 10, "{family}");
            let (packed, rest) =
                std::mem::take(&mut w.0).into_iter().partition(|tensor| tensor.0.contains("weights_in"));
            w.0 = rest;
            w.0.extend(packed.iter().flat_map(halved));
        });
        assert_eq!(embed(&home.load()), own(family), "{family}");
    }
}

#[test]
fn the_tower_of_a_classifier_loads() {
    for (family, prefix, width) in [
        ("siglip_vision", "", 27),
        ("siglip_vision", "vision_model.", 27),
        ("clip_vision_plain", "", 22),
        ("dinov2", "dinov2.", 36),
        ("dinov2", "", 36),
        ("dinov2", "module.", 36),
        ("dinov2_registers", "dinov2_with_registers.", 42),
        ("metaclip2_vision", "", 18),
    ] {
        let home = Home::of(family);
        home.weights(|w| {
            w.0.iter_mut().for_each(|tensor| tensor.0.insert_str(0, prefix));
            let outer = if prefix == "module." { prefix } else { "" };
            w.0.push(floats(&format!("{outer}classifier.weight"), &[5, width]));
            w.0.push(floats(&format!("{outer}classifier.bias"), &[5]));
        });
        let model = home.load();
        assert_eq!(embed(&model), own(family), "{family} under {prefix:?}");
        let [listed] = &model.config.left_alone.tensors[..] else { panic!("{:?}", model.config.left_alone) };
        assert!(listed.ends_with("classifier.* (2 tensors)"), "{listed}");
    }
}

#[test]
fn a_vision_tower_loads_by_the_configuration_of_the_whole() {
    for (family, architecture, projected) in [
        ("siglip", "SiglipForImageClassification", true),
        ("clip_bf16", "CLIPForImageClassification", false),
        ("clip_bf16", "CLIPVisionModel", false),
        ("clip_bf16", "CLIPVisionModelWithProjection", true),
    ] {
        let home = Home::of(family);
        let config = fs::read_to_string(home.path("config.json")).unwrap();
        home.write("config.json", &config.replace("CLIPModel", architecture).replace("SiglipModel", architecture));
        home.weights(|w| {
            w.0.retain(|tensor| tensor.0.starts_with("vision_model.") || projected && tensor.0.starts_with("visual_"));
            w.0.push(floats("classifier.weight", &[5, 22]));
        });
        let model = home.load();
        assert!(model.config.text.is_none() && model.tokenizer.is_none(), "{architecture}");
        assert_eq!(model.config.left_alone.keys, ["text_config"], "{architecture}");
        assert_eq!(model.config.left_alone.tensors, ["classifier.weight"], "{architecture}");
        assert_eq!(model.config.embeds(), if family == "clip_bf16" && projected { 13 } else { 22 }, "{architecture}");
        if projected {
            assert_eq!(embed(&model), own(family), "{architecture}");
        }
    }
    // A classifier whose text section is of another width than its pictures: nothing of it is read.
    let home = Home::of("siglip");
    let config = fs::read_to_string(home.path("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["architectures"] = serde_json::json!(["SiglipForImageClassification"]);
    config["text_config"]["hidden_size"] = serde_json::json!(16);
    config["text_config"].as_object_mut().unwrap().remove("projection_size");
    home.write("config.json", &config.to_string());
    home.weights(|w| w.0.retain(|tensor| tensor.0.starts_with("vision_model.")));
    let model = home.load();
    assert_eq!((embed(&model), model.config.left_alone.keys), (own("siglip"), vec!["text_config".to_owned()]));
    // A class that ends with a projection has one.
    let home = Home::of("clip_bf16");
    let config = fs::read_to_string(home.path("config.json")).unwrap();
    home.write("config.json", &config.replace("CLIPModel", "CLIPVisionModelWithProjection"));
    home.weights(|w| w.0.retain(|tensor| tensor.0.starts_with("vision_model.")));
    assert!(home.refused().contains("`visual_projection.weight`: expected shape [13, 22]"), "{}", home.refused());
}

/// The width of a model's image embedding.
trait Embeds {
    fn embeds(&self) -> usize;
}

impl Embeds for ModelConfig {
    fn embeds(&self) -> usize {
        self.vision.embedding().unwrap()
    }
}

#[test]
fn a_text_tower_alone_sees_no_pictures() {
    for family in ["clip_bf16", "siglip"] {
        let home = Home::of(family);
        home.weights(|w| w.0.retain(|tensor| tensor.0.starts_with("text_model.")));
        let error = home.refused();
        assert!(error.contains("expected a vision tower") && error.contains("a text tower alone"), "{error}");
    }
}

#[test]
fn what_old_files_carry_beside_changes_nothing() {
    let home = Home::of("clip_bf16");
    home.weights(|w| {
        assert_eq!(w.tensor("vision_model.embeddings.position_ids").1, "I64");
        w.0.push(floats("logit_bias", &[]));
        w.tensor("logit_scale").2 = vec![1];
    });
    let model = home.load();
    assert_eq!(embed(&model), own("clip_bf16"));
    assert_eq!(model.config.left_alone.tensors, ["logit_bias"]);
}

#[test]
fn types_of_numbers_may_be_mixed() {
    let widened = |tensor: &mut (String, String, Vec<usize>, Vec<u8>)| {
        let bf16 = tensor.3.as_chunks().0.iter().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f64());
        tensor.3 = bf16.flat_map(f64::to_le_bytes).collect();
        "F64".clone_into(&mut tensor.1);
    };
    for every in [1, 3] {
        let home = Home::of("clip_bf16");
        home.weights(|w| w.0.iter_mut().filter(|tensor| tensor.1 == "BF16").step_by(every).for_each(widened));
        assert_eq!(embed(&home.load()), own("clip_bf16"));
    }
    let home = Home::of("clip_bf16");
    home.weights(|w| {
        let tensor = w.tensor("vision_model.post_layernorm.bias");
        widened(tensor);
        tensor.3[..8].copy_from_slice(&1e300_f64.to_le_bytes());
    });
    let error = Model::load(home.0.path()).err().unwrap().to_string();
    assert!(
        error.contains("`vision_model.post_layernorm.bias`: expected finite values, got inf at element 0"),
        "{error}"
    );
    home.weights(|w| w.tensor("vision_model.post_layernorm.bias").1 = "I64".to_owned());
    let error = Model::load(home.0.path()).err().unwrap().to_string();
    assert!(error.contains("expected dtype F32, F16, BF16 or F64, got I64"), "{error}");
}

#[test]
fn weights_that_change_others_are_refused_by_name() {
    for name in [
        "vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.vision_model.encoder.layers.0.mlp.fc1.lora_B.default.weight",
        "vision_model.encoder.layers.0.self_attn.q_proj.base_layer.weight",
        "lora_unet.lora_down.weight",
    ] {
        let home = Home::of("clip_bf16");
        home.weights(|w| w.0.push(floats(name, &[4, 22])));
        let error = home.refused();
        assert!(error.contains("weights without an adapter") && error.contains(name), "{error}");
    }
    let home = Home::of("clip_bf16");
    home.write("adapter_config.json", "{\"peft_type\": \"LORA\"}");
    assert!(home.refused().contains("adapter_config.json: expected a model, not an adapter"), "{}", home.refused());
    // That of the language model around a tower does not change the tower.
    let home = Home::of("llava");
    home.weights(|w| w.0.push(floats("language_model.layers.0.mlp.lora_A.weight", &[4, 4])));
    assert_eq!(embed(&home.load()), own("llava"));
    // Another architecture than the configuration's.
    for name in ["vision_model.register_tokens", "text_model.adapter.weight", "visual_projection.bias"] {
        let home = Home::of("clip_bf16");
        home.weights(|w| w.0.push(floats(name, &[4, 22])));
        let error = home.refused();
        assert!(error.contains(&format!("the configuration speaks of, got `{name}`")), "{error}");
    }
}

#[test]
fn a_larger_model_lists_what_is_around_its_tower() {
    let tensors = Home::of("llava").load().config.left_alone.tensors;
    assert!(tensors.iter().any(|line| line.starts_with("multi_modal_projector.* (4 tensors)")), "{tensors:?}");
    let home = Home::of("dinov2");
    home.weights(|w| {
        w.0.iter_mut().for_each(|tensor| tensor.0.insert_str(0, "dinov2."));
        (0..300).for_each(|i| w.0.push(floats(&format!("head{i}\u{7}"), &[1])));
    });
    let tensors = home.load().config.left_alone.tensors;
    assert_eq!((tensors.len(), tensors[100].as_str()), (101, "200 more"));
    assert_eq!(tensors[0], "head0\\u{7}");
}

#[test]
fn weights_of_another_type_stand_in_for_the_usual() {
    let home = Home::of("siglip_vision");
    home.rename("model.safetensors", "model.fp16.safetensors");
    let model = home.load();
    assert_eq!(embed(&model), own("siglip_vision"));
    assert!(
        model.config.assumed.contains(&"weights = model.fp16.safetensors".to_owned()),
        "{:?}",
        model.config.assumed
    );
    // The more exact of two, unless another is asked for.
    fs::copy(home.path("model.fp16.safetensors"), home.path("model.fp32.safetensors")).unwrap();
    home.write("model.fp16.safetensors", "broken");
    assert_eq!(embed(&home.load()), own("siglip_vision"));
    home.rename("model.fp32.safetensors", "other.safetensors");
    let asked = LoadConfig { weights: Some("other.safetensors".to_owned()), ..LoadConfig::plain() };
    assert_eq!(embed(&home.load_with(&asked)), own("siglip_vision"));
    let missing = LoadConfig { weights: Some("none.safetensors".to_owned()), ..LoadConfig::plain() };
    let error = Model::load_with(home.0.path(), &missing).err().unwrap().to_string();
    assert!(error.contains("none.safetensors: expected a file, got no such file"), "{error}");
}

/// As in `transformers`; the index may be of weights that are gone.
#[test]
fn one_file_goes_before_an_index() {
    let home = Home::of("clip_f16");
    let parts = ["00001", "00002", "00003"].map(|number| format!("model-{number}-of-00003.safetensors"));
    let all = parts.iter().flat_map(|part| Weights::read(&home.path(part)).0).collect();
    Weights(all).write(&home.path("model.safetensors"));
    parts.iter().for_each(|part| fs::remove_file(home.path(part)).unwrap());
    let model = home.load();
    assert_eq!(embed(&model), own("clip_f16"));
    assert_eq!(model.config.left_alone.files, ["model.safetensors.index.json"]);
    let asked = LoadConfig { weights: Some("model.safetensors.index.json".to_owned()), ..LoadConfig::plain() };
    let error = Model::load_with(home.0.path(), &asked).err().unwrap().to_string();
    assert!(error.contains("model-00001-of-00003.safetensors: expected a file, got no such file"), "{error}");
}

#[test]
fn open_clip_uses_its_own_pair() {
    let timm =
        r#"{"architecture": "vit_base_patch32_clip_224", "num_classes": 512, "pretrained_cfg": {"tag": "openai"}}"#;
    let expected = own("open_clip");
    let wrapped = &timm.replacen('{', r#"{"model_type": "timm_wrapper", "#, 1);
    for config in [timm, wrapped, "{}", "[]"] {
        let home = Home::of("open_clip");
        home.write("config.json", config);
        assert_eq!(embed(&home.load()), expected, "{config}");
        let other = Weights(vec![floats("cls_token", &[1, 1, 8])]);
        other.write(&home.path("model.safetensors"));
        let model = home.load();
        assert_eq!((model.config.model_type.as_str(), embed(&model)), ("open_clip", expected.clone()), "{config}");
    }
    // Its weights under the other library's name.
    let home = Home::of("open_clip");
    home.rename("open_clip_model.safetensors", "model.safetensors");
    assert_eq!(embed(&home.load()), expected);
    // A configuration without the outermost level, as the library reads it too.
    let home = Home::of("open_clip");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(home.path("open_clip_config.json")).unwrap()).unwrap();
    let flat = ModelConfig::parse_open_clip(&json["model_cfg"], "flat").unwrap();
    assert_eq!(flat, ModelConfig::parse_open_clip(&json, "whole").unwrap());
}

/// LAION's folders hold the same model for both libraries.
#[test]
fn of_two_whole_models_that_of_transformers_is_taken_and_the_other_named() {
    let home = Home::of("open_clip");
    for name in ["config.json", "model.safetensors", "preprocessor_config.json"] {
        fs::copy(folder("clip_vision").join(name), home.path(name)).unwrap();
    }
    let model = home.load();
    assert_eq!(model.config.left_alone.files, ["open_clip_config.json"]);
    assert_eq!(embed(&model), own("clip_vision"));
    let asked = LoadConfig { weights: Some("open_clip_model.safetensors".to_owned()), ..LoadConfig::plain() };
    let model = home.load_with(&asked);
    assert_eq!(model.config.left_alone.files, ["config.json"]);
    assert_eq!(embed(&model), own("open_clip"));
    // The same by the path of the file.
    assert_eq!(embed(&Model::load(&home.path("open_clip_model.safetensors")).unwrap()), own("open_clip"));
}

#[test]
fn a_model_in_a_sub_folder_is_read() {
    let home = Home(tempfile::tempdir().unwrap());
    home.copy("clip_vision", "image_encoder");
    home.copy("siglip", "variants/base");
    let inside = |name: &str| LoadConfig { subfolder: Some(name.to_owned()), ..LoadConfig::plain() };
    for name in ["image_encoder", "image_encoder/", "./image_encoder"] {
        let model = home.load_with(&inside(name));
        assert_eq!(embed(&model), own("clip_vision"));
        assert!(model.name.ends_with("/image_encoder"), "{}", model.name);
    }
    let model = home.load_with(&inside("variants/base"));
    assert_eq!(embed(&model), own("siglip"));
    assert!(model.tokenizer.is_some());
    // A pipeline keeps the image processor beside; others keep it above.
    let processor = "preprocessor_config.json";
    for place in ["feature_extractor", ""] {
        fs::create_dir_all(home.path(place)).unwrap();
        fs::rename(home.path("image_encoder").join(processor), home.path(place).join(processor)).unwrap();
        let model = home.load_with(&inside("image_encoder"));
        assert_eq!(embed(&model), own("clip_vision"));
        let said = model.config.assumed.last().unwrap();
        assert!(said.starts_with("preprocessing = ") && said.ends_with(processor), "{said}");
        fs::rename(home.path(place).join(processor), home.path("image_encoder").join(processor)).unwrap();
    }
    for bad in ["", "/", "..", "image_encoder/../variants", "/etc", "a\\b", "a\nb"] {
        let error = Model::load_with(home.0.path(), &inside(bad)).err().unwrap();
        assert!(error.to_string().contains("subfolder: expected the name of a folder"), "{bad:?}: {error}");
    }
    let error = Model::load_with(home.0.path(), &inside("nowhere")).err().unwrap().to_string();
    assert!(error.contains(&format!("{}: expected", Path::new("nowhere").join("config.json").display())), "{error}");
    let error =
        Model::load_with(&home.path("image_encoder/model.safetensors"), &inside("x")).err().unwrap().to_string();
    assert!(error.contains("a sub-folder is asked for"), "{error}");
    // The folder around it names what could have been meant.
    let error = Model::load(home.0.path()).err().unwrap().to_string();
    assert!(error.contains("image_encoder") && error.contains("--subfolder"), "{error}");
}

/// A processor's file of 2021 names no class: the model's type says which it is.
#[test]
fn a_processor_without_a_class_is_that_of_the_models_type() {
    for (family, file) in [
        ("clip_bf16", r#"{"size": 26, "crop_size": 26}"#),
        ("siglip_vision", r#"{"size": {"height": 23, "width": 23}, "image_processor_type": null}"#),
    ] {
        let home = Home::of(family);
        home.write("preprocessor_config.json", file);
        assert_eq!(home.load().preprocessing, Model::load(&folder(family)).unwrap().preprocessing, "{family}");
    }
}
