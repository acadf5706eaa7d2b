//! Models that are refused: every file of the folder, damaged in every way that a download or an editor damages it.

use crate::program::{Home, copy_fixture, edit_json};
use crate::weights::{Weights, with_header};
use serde_json::{Value, json};
use std::fs;

const EXAM: &str = "exam --quick --model model --out out --json";
const PATCH: &str = "vision_model.embeddings.patch_embedding.weight";

/// A sound model in `model`, which the exam would pass.
fn home() -> Home {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    home
}

#[test]
fn what_is_no_model_folder() {
    let home = home();
    home.refuse(
        "exam --quick --model nowhere --out out",
        &["nowhere: expected a folder with config.json", "a name on the Hub", "no such folder"],
    );
    home.refuse("exam --quick --model model/config.json --out out", &["model/config.json: expected a folder", "got"]);
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"] {
        let path = home.path("model").join(name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        home.refuse(EXAM, &[&format!("model/{name}: expected"), "got no such file"]);
        fs::create_dir(&path).unwrap();
        home.refuse(EXAM, &[&format!("model/{name}: "), "directory"]);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        home.refuse(EXAM, &[&format!("model/{name}: ")]);
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        home.refuse(EXAM, &[&format!("model/{name}: ")]);
        fs::write(&path, b"\x00\xff garbage \x80\n\n\n{[").unwrap();
        home.refuse(EXAM, &[&format!("model/{name}: ")]);
        fs::write(&path, bytes).unwrap();
    }
}

/// Refuses the model whose file `name` was changed by `edit`, and puts the file back.
fn refuse_json(home: &Home, name: &str, edit: impl FnOnce(&mut Value), says: &[&str]) {
    let path = home.path("model").join(name);
    let bytes = fs::read(&path).unwrap();
    edit_json(&path, edit);
    assert_ne!(fs::read(&path).unwrap(), bytes);
    let place = format!("model/{name}: ");
    home.refuse(EXAM, &[&[place.as_str(), "expected", "got"], says].concat());
    fs::write(&path, bytes).unwrap();
}

#[test]
fn configurations_whose_maths_is_not_known() {
    let home = home();
    let refuse = |edit: &dyn Fn(&mut Value), says: &[&str]| refuse_json(&home, "config.json", edit, says);
    refuse(&|c| *c = json!([1]), &["an object", "a list"]);
    refuse(&|c| *c = json!({"model_type": "vit_mae"}), &["`model_type`: expected a type of model", "\"vit_mae\""]);
    let larger = |c: &mut Value| {
        c["model_type"] = json!("llava");
        c["vision_config"]["model_type"] = json!("vit_mae");
    };
    refuse(&larger, &["vision_config: `model_type`", "\"vit_mae\""]);
    refuse(&|c| drop(c.as_object_mut().unwrap().remove("model_type")), &["config.json", "`model_type`"]);
    refuse(&|c| c["text_config"] = json!(7), &["text_config: expected an object, got a number"]);
    refuse(&|c| c["vision_config"]["hidden_act"] = json!("relu"), &["vision_config: `hidden_act`", "`relu`"]);
    refuse(&|c| c["quantization_config"] = json!({"bits": 4}), &["`quantization_config`: expected null", "bits"]);
    refuse(&|c| c["auto_map"] = json!({"AutoModel": "own.Model"}), &["`auto_map`: expected no code", "\"AutoModel\""]);
    refuse(&|c| c["vision_config"]["num_channels"] = json!(1), &["`num_channels`: expected 3, got 1"]);
    refuse(&|c| c["text_config"]["layer_norm_eps"] = json!(-1), &["`layer_norm_eps`", "got -1"]);
    refuse(&|c| c["vision_config"]["num_attention_heads"] = json!(5), &["`num_attention_heads`", "divisor", "got 5"]);
    refuse(&|c| c["vision_config"]["patch_size"] = json!(25), &["`patch_size`: expected at most", "got 25"]);
    for (tower, keys) in [
        ("text_config", &["vocab_size", "max_position_embeddings"][..]),
        ("vision_config", &["image_size", "patch_size"][..]),
    ] {
        let both = ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"];
        for key in [&both[..], keys].concat() {
            for bad in [json!(1_u64 << 40), json!(0), json!(-3), json!(2.5), json!("12")] {
                let got = format!("{tower}: `{key}`: expected a whole number from 1 to 1048576, got {bad}");
                refuse(&|c| c[tower][key] = bad.clone(), &[&got]);
            }
        }
    }
}

/// What its class takes for granted in a file that leaves something out, the weights may contradict.
#[test]
fn configurations_whose_defaults_do_not_fit() {
    let home = home();
    let path = home.path("model/config.json");
    let sound = fs::read(&path).unwrap();
    let whole: Value = serde_json::from_slice(&sound).unwrap();
    let sizes = ["hidden_size", "num_hidden_layers", "intermediate_size"];
    let of = |tower: &'static str, keys: &[&'static str]| -> Vec<_> {
        [&sizes[..], keys].concat().into_iter().map(|key| (tower, key)).collect()
    };
    let all = [of("text_config", &["vocab_size", "max_position_embeddings"]), of("vision_config", &["patch_size"])];
    for (tower, key) in all.concat() {
        for null in [false, true] {
            let mut json = whole.clone();
            match (null, json[tower].as_object_mut().unwrap()) {
                (true, section) => section.insert(key.to_owned(), Value::Null),
                (false, section) => section.remove(key),
            };
            fs::write(&path, json.to_string()).unwrap();
            // Heads, and the pictures' size, may be at odds with it before any weight is looked at.
            if key == "hidden_size" || key == "patch_size" {
                home.refuse(EXAM, &["model/"]);
            } else {
                home.refuse(EXAM, &["taken from the format's defaults: ", &format!("{tower}.{key} = ")]);
            }
        }
    }
    fs::write(&path, sound).unwrap();
    edit_json(&path, |c| drop(c.as_object_mut().unwrap().remove("projection_dim")));
    home.refuse(EXAM, &["visual_projection.weight", "taken from the format's defaults: ", "projection_dim = 512"]);
}

#[test]
fn preprocessing_that_is_not_told_or_does_not_fit() {
    let home = home();
    let refuse = |edit: &dyn Fn(&mut Value), says: &[&str]| refuse_json(&home, "preprocessor_config.json", edit, says);
    refuse(&|c| c["image_processor_type"] = json!("OtherImageProcessor"), &["`image_processor_type`", "`Other"]);
    refuse(&|c| c["rescale_factor"] = json!(null), &["`rescale_factor`: expected a value, or no such key", "got null"]);
    refuse(&|c| c["crop_size"] = json!(32), &["24 x 24 pixels", "got 32 x 32"]);
    refuse(&|c| c["do_center_crop"] = json!(false), &["square", "got any size"]);
    refuse(&|c| c["size"] = json!({"shortest_edge": 1_u64 << 40}), &["`size`", "got 1099511627776"]);
    refuse(&|c| c["resample"] = json!(9), &["`resample`: expected 0 to 5, a filter of Pillow, got 9"]);
    refuse(&|c| c["image_std"] = json!([0.2, 0.0, 0.2]), &["`image_std`: expected three numbers", "0.0"]);
    refuse(&|c| c["do_normalize"] = json!("yes"), &["`do_normalize`: expected true or false, got \"yes\""]);
}

#[test]
fn tokenizers_that_do_not_fit() {
    let home = home();
    let smaller = |c: &mut Value| c["text_config"]["vocab_size"] = json!(570);
    let mut weights = Weights::read(&home.path("model/model.safetensors"));
    let table = weights.tensor("text_model.embeddings.token_embedding.weight");
    table.2[0] = 570;
    table.3.truncate(570 * table.2[1] * 4);
    weights.write(&home.path("model/model.safetensors"));
    edit_json(&home.path("model/config.json"), smaller);
    home.refuse(
        EXAM,
        &["model/tokenizer.json: the text \"a red circle", "ids below the model's vocab_size (570)", "got 574"],
    );

    let shorter = Home::new();
    copy_fixture("quick_gelu", &shorter.path("model"));
    let mut weights = Weights::read(&shorter.path("model/model.safetensors"));
    let positions = weights.tensor("text_model.embeddings.position_embedding.weight");
    positions.2[0] = 8;
    positions.3.truncate(8 * positions.2[1] * 4);
    weights.write(&shorter.path("model/model.safetensors"));
    edit_json(&shorter.path("model/config.json"), |c| c["text_config"]["max_position_embeddings"] = json!(8));
    shorter
        .refuse(EXAM, &["model/tokenizer.json: the text \"a red circle and a red circle\"", "at most 8 tokens, got"]);
}

#[test]
fn words_that_a_tokenizer_does_not_know() {
    let home = Home::new();
    crate::program::copy("../models/toy", &home.path("model"), &[]);
    let recipe = home.path("model/recipe.toml");
    let text = fs::read_to_string(&recipe).unwrap();
    assert!(text.contains("\"red\""), "{text}");
    fs::write(&recipe, text.replace("\"red\"", "\"mauve\"")).unwrap();
    home.refuse(EXAM, &["model/tokenizer.json: the text \"a mauve circle and a mauve circle\""]);
    fs::write(&recipe, text.replace("[recipe.model]", "[recipe.model]\ndepth = 3")).unwrap();
    home.refuse(EXAM, &["model/recipe.toml:", "unknown field `depth`"]);
    fs::write(&recipe, text.replace("seed", "sead")).unwrap();
    home.refuse(EXAM, &["model/recipe.toml:", "missing field `seed`"]);
}

/// Changes the F32 values of the tensor of this name.
fn edit(weights: &mut Weights, name: &str, edit: impl Fn(usize, f32) -> f32) {
    for (i, bytes) in weights.tensor(name).3.as_chunks_mut().0.iter_mut().enumerate() {
        *bytes = edit(i, f32::from_le_bytes(*bytes)).to_le_bytes();
    }
}

#[test]
fn weights_of_another_model() {
    let home = home();
    let path = home.path("model/model.safetensors");
    let refuse = |edit: &dyn Fn(&mut Weights), says: &[&str]| {
        let bytes = fs::read(&path).unwrap();
        let mut weights = Weights::read(&path);
        edit(&mut weights);
        weights.write(&path);
        home.refuse(EXAM, &[&["model/model.safetensors: ", "expected", "got"], says].concat());
        fs::write(&path, bytes).unwrap();
    };
    let name = format!("tensor `{PATCH}`");
    refuse(&|w| w.tensor(PATCH).2 = vec![32, 192], &[&name, "shape [32, 3, 8, 8]", "[32, 192]"]);
    // By the tensor of the patches a tower is found; another one is missed under its full name.
    refuse(&|w| w.0.retain(|tensor| tensor.0 != PATCH), &["a tensor `embeddings.patch_embedding.weight`"]);
    let bias = "vision_model.encoder.layers.1.mlp.fc1.bias";
    let lost = format!("tensor `{bias}`: expected shape [48], got no such tensor");
    refuse(&|w| w.0.retain(|tensor| tensor.0 != bias), &[&lost]);
    let square = "text_model.encoder.layers.0.mlp.fc1.weight";
    let transposed = format!("tensor `{square}`: expected shape [40, 24], got [24, 40]");
    refuse(&|w| w.tensor(square).2.reverse(), &[&transposed]);
    let adapter = "vision_model.encoder.layers.0.self_attn.q_proj.lora_A.weight";
    refuse(&|w| w.0.push((adapter.into(), "F32".into(), vec![1], vec![0; 4])), &[adapter]);
    for (dtype, bytes) in [("I32", 4), ("F8_E4M3", 1), ("BOOL", 1)] {
        let other = |w: &mut Weights| {
            let tensor = w.tensor(PATCH);
            tensor.1 = dtype.to_owned();
            tensor.3.resize(tensor.3.len() / 4 * bytes, 0);
        };
        refuse(&other, &[&name, "dtype F32, F16, BF16 or F64", dtype]);
    }
    refuse(
        &|w| edit(w, PATCH, |i, x| if i == 7 { f32::NAN } else { x }),
        &[&name, "finite values", "NaN at element 7"],
    );
    refuse(&|w| edit(w, PATCH, |i, x| if i == 0 { f32::NEG_INFINITY } else { x }), &[&name, "finite values", "-inf"]);
}

#[test]
fn weights_that_are_finite_but_whose_embeddings_are_not() {
    let home = home();
    let path = home.path("model/model.safetensors");
    let refuse = |tensor: &str, factor: f32, says: &[&str]| {
        let bytes = fs::read(&path).unwrap();
        let mut weights = Weights::read(&path);
        edit(&mut weights, tensor, |_, x| x.signum() * factor);
        weights.write(&path);
        home.refuse(EXAM, &[&["model: site", "expected an embedding of finite length", "got"], says].concat());
        fs::write(&path, bytes).unwrap();
    };
    refuse("text_projection.weight", 3e38, &["`text.text_embeds`, the text \"a red circle\""]);
    refuse("text_projection.weight", 1e25, &["`text.text_embeds`"]);
    refuse("text_projection.weight", 0.0, &["`text.text_embeds`", "length 0"]);
    refuse("visual_projection.weight", 3e38, &["`image_embeds`, picture 0"]);
}

#[test]
fn hostile_weight_files_take_no_memory() {
    let home = home();
    home.succeed("scenes --kind toy --study --count 1 --out scenes");
    fs::rename(home.path("scenes/images"), home.path("pictures")).unwrap();
    let path = home.path("model/model.safetensors");
    let sound = fs::read(&path).unwrap();
    let claims = |length: u64| [&length.to_le_bytes(), &sound[8..]].concat();
    let tensor = |shape: Value, end: u64| {
        with_header(&json!({PATCH: {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}), &[0; 64])
    };
    let files = [
        ("a header of 2^60 bytes", claims(1 << 60)),
        ("a header of 2^64 - 1 bytes", claims(u64::MAX)),
        ("a header of 2^32 bytes", claims(1 << 32)),
        ("a header beyond the file", claims(sound.len() as u64)),
        ("a header cut short", claims(100)),
        ("a tensor of 2^120 values", tensor(json!([1_u64 << 60, 1_u64 << 60]), 64)),
        ("a tensor of 2^61 values", tensor(json!([1_u64 << 61]), u64::MAX)),
        ("a tensor of 2^40 values", tensor(json!([1_u64 << 40]), 1 << 42)),
        ("a tensor of 17 values in 64 bytes", tensor(json!([17]), 68)),
        ("seven bytes", sound[..7].to_vec()),
        ("a file cut short", sound[..sound.len() - 1].to_vec()),
        ("a file with a tail", [&sound[..], &[0; 5]].concat()),
    ];
    // Enough for the program and its threads, far less than any of these claim.
    let kilobytes = 1 << 20;
    for (name, bytes) in files {
        fs::write(&path, bytes).unwrap();
        home.refused(home.bounded(kilobytes, EXAM), name, &["model/model.safetensors: "]);
    }
    fs::write(&path, sound).unwrap();
    // Sizes that a configuration may have, and that these weights have not.
    let config = home.path("model/config.json");
    let described = fs::read(&config).unwrap();
    let keys = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"];
    for (tower, keys) in [
        ("vision_config", &keys[..]),
        ("vision_config", &keys[2..3]),
        ("text_config", &keys[..]),
        ("text_config", &["vocab_size", "max_position_embeddings"]),
    ] {
        edit_json(&config, |json| keys.iter().for_each(|key| json[tower][*key] = json!(1 << 20)));
        for command in ["sites --model model", "record --model model --images pictures --out out"] {
            let says = ["model/model.safetensors: tensor `", "expected shape", "got "];
            home.refused(home.bounded(kilobytes, command), &format!("{command}, {keys:?}"), &says);
        }
        fs::write(&config, &described).unwrap();
    }
    let ran = home.bounded(kilobytes, "record --model model --images model --out out").output().unwrap();
    let says = String::from_utf8(ran.stderr).unwrap();
    assert!(says.contains("model: expected images"), "the sound file is read within the bound: {says}");
}
