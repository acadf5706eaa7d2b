//! Checkpoints that are refused: whatever is wrong with one, the message names file and tensor or key, and nothing panics.

use super::families::folder;
use super::weights::{Weights, with_header};
use proptest::prelude::*;
use serde_json::{Value, json};
use snellen::model::{Model, ModelConfig};
use std::fs;
use std::path::{Path, PathBuf};

/// One family of each layout and type of numbers, by the name of the file that is damaged.
const DAMAGED: [(&str, &str); 10] = [
    ("clip_bf16", "model.safetensors"),
    ("clip_f16", "model-00002-of-00003.safetensors"),
    ("clip_vision", "model.safetensors"),
    ("siglip", "model.safetensors"),
    ("dinov2_swiglu", "model.safetensors"),
    ("dinov2_registers", "model.safetensors"),
    ("llava", "model.safetensors"),
    ("smolvlm", "model.safetensors"),
    ("open_clip", "open_clip_model.safetensors"),
    ("open_clip_custom", "open_clip_model.safetensors"),
];

/// A copy of a family's files in a folder of its own.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(family: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(folder(family)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "reference.safetensors" {
                fs::copy(entry.path(), home.path().join(entry.file_name())).unwrap();
            }
        }
        Self(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> snellen::Result<Model> {
        Model::load(self.0.path())
    }

    /// The message of a refusal that names `name`, a file of the folder.
    fn refused(&self, name: &str) -> String {
        let error = self.load().err().unwrap_or_else(|| panic!("a damaged {name} was accepted"));
        assert!(error.is_bad_input(), "{error}");
        let error = error.to_string();
        assert!(error.contains(&*self.path(name).to_string_lossy()), "{error} does not name {name}");
        error
    }

    fn write(&self, name: &str, json: &Value) {
        fs::write(self.path(name), json.to_string()).unwrap();
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Whether the forward has no use for a tensor.
fn unused(name: &str) -> bool {
    let tower = ["vision", "visual", "text", "head", "embeddings", "encoder", "layernorm", "token_embedding"];
    let inside = tower.iter().any(|part| name.contains(part));
    let text = ["positional_embedding", "transformer.", "ln_final"].iter().any(|part| name.starts_with(part));
    let language = ["language", "lm_head", "text_model.layers", "text_model.embed_tokens", "text_model.norm"];
    !(inside || text)
        || name.contains("mask_token")
        || name.ends_with("position_ids")
        || language.iter().any(|part| name.contains(part))
}

#[test]
fn every_tensor_that_is_missing_turned_or_no_number_is_named() {
    let mut tried = 0;
    for (family, file) in DAMAGED {
        let copy = Copy::of(family);
        let path = copy.path(file);
        let sound = fs::read(&path).unwrap();
        copy.load().unwrap();
        let names: Vec<String> = Weights::read(&path).0.into_iter().map(|tensor| tensor.0).collect();
        for name in names.iter().filter(|name| !unused(name) && !name.contains("logit")) {
            let damage = |edit: &dyn Fn(&mut Weights)| {
                let mut weights = Weights::read(&path);
                edit(&mut weights);
                weights.write(&path);
                let load = copy.load().err();
                fs::write(&path, &sound).unwrap();
                let error = load.unwrap_or_else(|| panic!("{family}: {name} was not needed"));
                assert!(error.is_bad_input(), "{error}");
                error.to_string()
            };
            let error = damage(&|weights| weights.0.retain(|tensor| tensor.0 != *name));
            // The tensor that a tower is found by is called without its prefix.
            let landmark = name.ends_with("patch_embedding.weight") || name.ends_with("projection.weight");
            let landmark = landmark || name.ends_with("conv1.weight") || name.ends_with("token_embedding.weight");
            assert!(error.contains(&format!("`{name}`")) || landmark, "{family} without {name}: {error}");
            assert!(error.contains("no such tensor"), "{family} without {name}: {error}");

            let error = damage(&|weights| {
                let tensor = weights.tensor(name);
                let (width, bytes) = match tensor.1.as_str() {
                    "F32" => (4, f32::NAN.to_le_bytes().to_vec()),
                    "F16" => (2, half::f16::NAN.to_le_bytes().to_vec()),
                    _ => (2, half::bf16::NAN.to_le_bytes().to_vec()),
                };
                let last = tensor.3.len() - width;
                tensor.3[last..].copy_from_slice(&bytes);
            });
            let says = error.contains(&format!("tensor `{name}`: expected finite values, got NaN at element"));
            assert!(says, "{family}, NaN in {name}: {error}");

            let shape = Weights::read(&path).tensor(name).2.clone();
            let plain: Vec<_> = shape.iter().copied().skip_while(|extent| *extent == 1).collect();
            if plain.len() > 1 && plain.iter().rev().ne(&plain) {
                let error = damage(&|weights| weights.tensor(name).2.reverse());
                let turned: Vec<_> = shape.iter().rev().collect();
                assert!(error.contains(&format!("tensor `{name}`: expected shape [")), "{family}, {name}: {error}");
                assert!(error.contains(&format!("got {turned:?}")), "{family}, {name}: {error}");
            }
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn files_that_are_cut_short_or_go_on_are_named() {
    for (family, file) in DAMAGED {
        let copy = Copy::of(family);
        let path = copy.path(file);
        let sound = fs::read(&path).unwrap();
        for length in [0, 1, 7, 8, 9, 100, sound.len() / 2, sound.len() - 1] {
            fs::write(&path, &sound[..length]).unwrap();
            copy.refused(file);
        }
        fs::write(&path, [&sound[..], &[0]].concat()).unwrap();
        let error = copy.refused(file);
        assert!(error.contains(" of tensors, got "), "{family}: {error}");
    }
}

#[test]
fn tensors_that_nothing_asks_for_are_named_unless_they_are_empty() {
    for family in ["clip_bf16", "open_clip", "dinov2", "llava"] {
        let copy = Copy::of(family);
        let file = if family == "open_clip" { "open_clip_model.safetensors" } else { "model.safetensors" };
        let mut weights = Weights::read(&copy.path(file));
        let first = weights.0.iter().find(|tensor| tensor.0.contains("vis") || family == "dinov2").unwrap().0.clone();
        let name = format!("{}.adapter.weight", first.rsplit_once('.').unwrap().0);
        weights.0.push((name.clone(), "F32".into(), vec![1, 0, 4], Vec::new()));
        weights.write(&copy.path(file));
        copy.load().unwrap();
        *weights.tensor(&name) = (name.clone(), "F32".into(), vec![1], vec![0; 4]);
        weights.write(&copy.path(file));
        let error = copy.refused(file);
        assert!(error.contains(&format!("only tensors that the configuration speaks of, got `{name}`")), "{error}");
    }
}

#[test]
fn what_git_lfs_left_is_recognised() {
    let copy = Copy::of("clip_bf16");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 1710671599\n";
    fs::write(copy.path("model.safetensors"), pointer).unwrap();
    assert!(copy.refused("model.safetensors").contains("git lfs pull"));
}

#[test]
fn headers_that_lie_are_refused() {
    let copy = Copy::of("siglip");
    let path = copy.path("model.safetensors");
    let tensor = |dtype: &str, shape: Value, offsets: [u64; 2]| json!({"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}});
    for (header, says) in [
        (json!([1]), "invalid type"),
        (json!({"x": 1}), "invalid type"),
        (tensor("F31", json!([16]), [0, 64]), "F31"),
        (tensor("F32", json!([-16]), [0, 64]), "invalid value"),
        (tensor("F32", json!([16]), [0, 60]), "tensor `x`: expected bytes 0 to 64"),
        (tensor("F32", json!([16]), [64, 0]), "tensor `x`: expected bytes 0 to 64"),
        (tensor("F32", json!([12]), [16, 64]), "tensor `x`: expected bytes 0 to 48"),
        (tensor("F32", json!([u64::MAX, 2]), [0, 64]), "tensor `x`: expected a shape of fewer than 2^64 bits"),
        (tensor("F32", json!([1_u64 << 40]), [0, 1 << 42]), "of tensors, got"),
        (tensor("F32", json!([17]), [0, 68]), "68 of tensors, got"),
        (
            (0..15_u64)
                .map(|i| {
                    (
                        i.to_string(),
                        json!({"dtype": "U8", "shape": [1_u64 << 60],
                "data_offsets": [i << 60, (i + 1) << 60]}),
                    )
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
            "of tensors, got",
        ),
        (json!({}), "a tensor `embeddings.patch_embedding.weight`, under some prefix"),
        (
            json!({"a.embeddings.patch_embedding.weight": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]},
                   "b.embeddings.patch_embedding.weight": {"dtype": "F32", "shape": [8], "data_offsets": [32, 64]}}),
            "one tower with a tensor",
        ),
    ] {
        let data: &[u8] = if header == json!({}) { &[] } else { &[0; 64] };
        fs::write(&path, with_header(&header, data)).unwrap();
        let error = copy.refused("model.safetensors");
        assert!(error.contains(says), "{header}: {error}");
    }
}

#[test]
fn indices_are_not_trusted() {
    let copy = Copy::of("clip_f16");
    let name = "model.safetensors.index.json";
    let sound = read_json(&copy.path(name));
    let first = sound["weight_map"].as_object().unwrap().keys().next().unwrap().clone();
    let refuse = |index: &Value, says: &str| {
        copy.write(name, index);
        let error = copy.refused(name);
        assert!(error.contains(says), "{index}: {error}");
    };
    refuse(&json!([]), "`weight_map`: expected an object");
    refuse(&json!({"weight_map": 7}), "`weight_map`: expected an object");
    refuse(&json!({"weight_map": {}}), "a tensor `embeddings.patch_embedding.weight`");
    for shard in ["../other.safetensors", "/etc/passwd", "a/b.safetensors", "a\\b.safetensors", "model.bin", ""] {
        let mut index = sound.clone();
        index["weight_map"][&first] = json!(shard);
        refuse(&index, &format!("`weight_map`: `{first}`: expected the name of a .safetensors file"));
    }
    let mut index = sound.clone();
    index["weight_map"][&first] = json!(3);
    refuse(&index, &format!("`weight_map`: `{first}`"));

    index["weight_map"][&first] = json!("model-00009-of-00003.safetensors");
    copy.write(name, &index);
    assert!(copy.refused("model-00009-of-00003.safetensors").contains("expected a file, got no such file"));
    copy.write(name, &sound);
    fs::remove_file(copy.path("model-00003-of-00003.safetensors")).unwrap();
    assert!(copy.refused("model-00003-of-00003.safetensors").contains("expected a file, got no such file"));
    // The same tensors twice.
    fs::copy(copy.path("model-00001-of-00003.safetensors"), copy.path("model-00003-of-00003.safetensors")).unwrap();
    let error = copy.refused("model-00003-of-00003.safetensors");
    assert!(error.contains("expected one tensor of that name, got another in"), "{error}");
    fs::write(copy.path(name), "{\"weight_map\": {").unwrap();
    assert!(copy.refused(name).contains("EOF"));
}

/// Keys whose effect is not known, values that no maths is known for, and sizes that contradict each other.
#[test]
fn configurations_of_every_family_are_read_with_care() {
    let refuse = |family: &str, pointer: &str, value: Value, says: &str| {
        let open = family.starts_with("open_clip");
        let name = if open { "open_clip_config.json" } else { "config.json" };
        let mut json = read_json(&folder(family).join(name));
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
        let parsed = if open { ModelConfig::parse_open_clip(&json, name) } else { ModelConfig::parse(&json, name) };
        let error = parsed.err().unwrap_or_else(|| panic!("{family}: {pointer} was accepted"));
        assert!(error.is_bad_input() && error.to_string().starts_with(name), "{error}");
        let error = error.to_string();
        let key = if says.starts_with("only keys") { "" } else { key };
        assert!(error.contains(key) && error.contains(says), "{family}: {pointer}: {error}");
    };
    for (family, pointer, value, says) in [
        ("siglip", "/vision_config/hidden_act", json!("relu"), "got `relu`"),
        ("siglip", "/text_config/num_attention_heads", json!(7), "expected a divisor of"),
        ("siglip", "/vision_config/model_type", json!("siglip2_vision_model"), "siglip2_vision_model"),
        ("siglip", "/model_type", json!("siglip2"), "siglip2"),
        ("siglip", "/vision_config/hidden_size", json!(1_u64 << 40), "expected a whole number from 1 to 1048576"),
        ("siglip", "/text_config/projection_size", json!(3), "expected the vision tower's width"),
        ("siglip", "/vision_config/num_channels", json!(1), "expected 3, got 1"),
        ("dinov2", "/image_size", json!([28, 30]), "one size, or two equal ones"),
        ("dinov2", "/mlp_ratio", json!(1e9), "expected a number from 0.01 to 1000"),
        ("dinov2", "/mlp_ratio", json!(-1), "expected a number from 0.01 to 1000"),
        ("dinov2", "/hidden_act", json!("relu6"), "got `relu6`"),
        ("dinov2", "/use_swiglu_ffn", json!("yes"), "expected true or false"),
        ("dinov2_registers", "/num_register_tokens", json!(-4), "expected a whole number"),
        ("llava", "/vision_config/model_type", json!("pixtral"), "a vision tower that is known"),
        ("llava", "/vision_config/patch_size", json!(999), "expected at most image_size"),
        ("paligemma", "/vision_config/layer_norm_eps", json!("small"), "expected a number from 0 to 1"),
        ("open_clip", "/model_cfg/vision_cfg/pool_type", json!("cls_avg"), "`tok` or `avg`"),
        ("open_clip", "/model_cfg/vision_cfg/attentional_pool", json!(true), "expected false, got true"),
        ("open_clip", "/model_cfg/vision_cfg/layers", json!([3, 4, 6, 3]), "expected a whole number"),
        ("open_clip", "/model_cfg/vision_cfg/act_kwargs", json!({"approximate": "erf"}), "`tanh` or `none`"),
        ("open_clip", "/model_cfg/vision_cfg/head_width", json!(13), "expected a divisor of width"),
        ("open_clip", "/model_cfg/vision_cfg/image_size", json!(0), "expected a whole number from 1"),
        ("open_clip", "/model_cfg/text_cfg/hf_model_name", json!("roberta-base"), "expected null"),
        ("open_clip", "/model_cfg/text_cfg/pool_type", json!("cls"), "`argmax`, `last` or `eos`"),
        ("open_clip", "/model_cfg/text_cfg/tokenizer_mode", json!("clips"), "expected null"),
        ("open_clip", "/model_cfg/text_cfg/tokenizer_kwargs", json!({"strip_sep_token": true}), "strip_sep_token"),
        ("open_clip", "/model_cfg/text_cfg/tokenizer_kwargs", json!({"clean": "soap"}), "`canonicalize`"),
        ("open_clip", "/model_cfg/multimodal_cfg", json!({"layers": 2}), "expected null"),
        ("open_clip", "/model_cfg/surprise", json!(1), "only keys whose effect is known, got `surprise`"),
        ("open_clip", "/model_cfg/embed_dim", json!(1_u64 << 40), "expected a whole number from 1 to 1048576"),
        (
            "open_clip_siglip",
            "/model_cfg/vision_cfg/timm_model_name",
            json!("resnet50"),
            "an architecture of timm that is known",
        ),
        (
            "open_clip_siglip",
            "/model_cfg/vision_cfg/timm_model_name",
            json!("vit_base_patch99999999999999999999_siglip_224"),
            "an architecture of timm that is known",
        ),
        ("open_clip_siglip", "/model_cfg/vision_cfg/timm_model_name", json!("vit_base_patch16_siglip_0"), "siglip_0"),
        ("open_clip_siglip", "/model_cfg/vision_cfg/timm_model_name", json!("vit_base_patch32_siglip_16"), "siglip_16"),
        ("open_clip_clipa", "/model_cfg/text_cfg/proj_type", json!("mlp"), "`linear` or `none`"),
        ("open_clip_clipa", "/model_cfg/text_cfg/hf_tokenizer_name", Value::Null, "a tokenizer of `transformers`"),
    ] {
        refuse(family, pointer, value, says);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Bytes of the header, and of configurations, changed at random.
    #[test]
    fn damaged_bytes_are_no_danger(
        family in 0..DAMAGED.len(),
        of_config in any::<bool>(),
        at in any::<proptest::sample::Index>(),
        damage in proptest::collection::vec(any::<u8>(), 1..6),
    ) {
        let (family, file) = DAMAGED[family];
        let copy = Copy::of(family);
        let config = if family.starts_with("open_clip") { "open_clip_config.json" } else { "config.json" };
        let path = copy.path(if of_config { config } else { file });
        let mut bytes = fs::read(&path).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        let end = if of_config { bytes.len() } else { 8 + header as usize };
        let at = at.index(end);
        for (byte, damage) in bytes[at..end].iter_mut().zip(&damage) {
            *byte = *damage;
        }
        fs::write(&path, bytes).unwrap();
        if let Err(error) = copy.load() {
            prop_assert!(error.is_bad_input(), "{error}");
            prop_assert!(error.to_string().contains(&*copy.0.path().to_string_lossy()), "{error}");
        }
    }
}
