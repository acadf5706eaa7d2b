//! Models of every family by folder, file and name: what is listed of them, and what changes them.

use crate::program::{Home, copy, copy_fixture, edit_json, files};
use crate::weights::Weights;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A home with this family's folder as `model`, and what its library made of it as `reference.safetensors`.
pub fn home(family: &str) -> Home {
    let home = Home::new();
    let from = format!("snellen/tests/fixtures/families/{family}");
    copy(&from, &home.path("model"), &["reference.safetensors"]);
    copy(&from, &home.path("more"), &[]);
    fs::rename(home.path("more/reference.safetensors"), home.path("reference.safetensors")).unwrap();
    fs::remove_dir_all(home.path("more")).unwrap();
    home
}

pub fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

pub const PARITY: &str = "parity --model model --reference reference.safetensors";

#[test]
fn sites_are_listed_with_their_shapes() {
    let home = home("siglip");
    let listed = home.succeed("sites --model model");
    for line in [
        "hook_embed                           patch 16 x unit 22",
        "blocks.1.attn.hook_pattern           head 2 x query 16 x key 16",
        "head.attn.hook_q                     token 1 x head 2 x unit 11",
        "image_embeds                         unit 22",
        "text.text_embeds                     unit 22",
    ] {
        assert!(listed.lines().any(|listed| listed == line), "{line}\n{listed}");
    }
    let json = parse(&home.succeed("sites --model model --json"));
    assert_eq!(json["model_type"], "siglip");
    let sites = json["sites"].as_array().unwrap();
    assert_eq!(sites.len(), listed.lines().filter(|line| line.contains("unit ") || line.contains("head ")).count());
    let find = |name: &str| sites.iter().find(|site| site["site"] == name).unwrap();
    assert_eq!(find("blocks.0.attn.hook_z")["axes"], json!(["token", "head", "unit"]));
    assert_eq!(find("blocks.0.attn.hook_z")["shape"], json!([16, 2, 11]));
    // Every site of the reference is among them.
    let reference = Weights::read(&home.path("reference.safetensors"));
    for (name, ..) in
        reference.0.iter().filter(|tensor| !tensor.0.starts_with("input.") && tensor.0 != "logits_per_image")
    {
        assert!(sites.iter().any(|site| site["site"] == *name), "{name}");
    }
    // The file of the weights stands for its folder.
    assert_eq!(home.succeed("sites --model model/model.safetensors"), listed);
    home.refuse("sites --model model/config.json", &["model/config.json: expected a folder", "got `config.json`"]);
}

#[test]
fn what_was_left_to_defaults_is_said() {
    let home = home("open_clip");
    let listed = home.succeed("sites --model model");
    assert!(listed.contains("\nnot in the files, taken from their format's defaults: "), "{listed}");
    assert!(listed.contains("text_cfg.no_causal_mask = false"), "{listed}");
    let assumed = &parse(&home.succeed("sites --model model --json"))["assumed"];
    assert!(assumed.as_array().unwrap().iter().any(|line| line == "text_cfg.no_causal_mask = false"), "{assumed}");
}

#[test]
fn what_changes_a_model_is_recorded() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    home.succeed("scenes --kind toy --study --count 4 --out scenes");
    let record = |name: &str, args: &str| {
        home.succeed(&format!(
            "record --model model --images scenes --sites *.hook_mlp_out --tokens mean --out {name} {args}"
        ));
        parse(&fs::read_to_string(home.path(name).join("run.json")).unwrap())
    };
    let plain = record("plain", "");
    assert_eq!(plain["model"]["transforms"], json!([]));
    assert_eq!(plain["preprocessing"]["source"], "model");
    let centred = record("centred", "--transforms center-writing,fold-ln,fold-ln");
    assert_eq!(centred["model"]["transforms"], json!(["fold-ln", "center-writing"]));
    assert_eq!(centred["model"]["weights_hash"], plain["model"]["weights_hash"], "of the weights in the file");
    let data =
        |name: &str| files(&home.path(name)).into_iter().filter(|(path, _)| path.contains("/c/")).collect::<Vec<_>>();
    assert_ne!(data("plain"), data("centred"));
    assert_eq!(data("plain").len(), data("centred").len());
    let study = record("study", "--preprocessing study");
    assert_eq!(study["preprocessing"]["source"], "study");
    assert_ne!(data("plain"), data("study"));
    fs::copy(home.path("model/preprocessor_config.json"), home.path("mine.json")).unwrap();
    let mine = record("mine", "--preprocessing mine.json");
    assert_eq!(mine["preprocessing"]["source"], "mine.json");
    assert_eq!(data("plain"), data("mine"));
    let args = "record --model model --images scenes --out x";
    home.refuse(&format!("{args} --preprocessing studie"), &["preprocessing", "`study`", "studie"]);
    home.refuse(&format!("{args} --preprocessing other.json"), &["other.json: expected a file, got no such file"]);
    assert_eq!(home.run(&format!("{args} --transforms fold")).code, Some(2));
}

#[test]
fn the_backend_of_preprocessing_is_chosen_and_recorded() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    // Pictures that have to be resized.
    home.succeed("scenes --kind toy --size 60 --count 12 --out scenes");
    let record = |name: &str, args: &str| {
        let what = "record --model model --images scenes --sites *.hook_mlp_out --tokens mean";
        home.succeed(&format!("{what} --out {name} {args}"));
        let run = parse(&fs::read_to_string(home.path(name).join("run.json")).unwrap());
        let data = files(&home.path(name)).into_iter().filter(|(path, _)| path.contains("/c/"));
        (run["preprocessing"]["backend"].clone(), data.collect::<Vec<_>>())
    };
    let (plain, pil, torchvision) =
        (record("plain", ""), record("pil", "--preprocessing pil"), record("tv", "--preprocessing torchvision"));
    assert_eq!([&plain.0, &pil.0, &torchvision.0], [&json!("pil"), &json!("pil"), &json!("torchvision")]);
    assert_eq!(plain.1, pil.1);
    assert_ne!(pil.1, torchvision.1);
    fs::copy(home.path("model/preprocessor_config.json"), home.path("mine.json")).unwrap();
    let mine = record("mine", "--preprocessing mine.json --preprocessing torchvision");
    assert_eq!(mine, torchvision);
    let args = "record --model model --images scenes --out x";
    let refuse = |more: &str, says: &[&str]| home.refuse(&format!("{args} {more}"), says);
    refuse("--preprocessing pil --preprocessing torchvision", &["--preprocessing", "pil and torchvision"]);
    refuse("--preprocessing study --preprocessing torchvision", &["`study`", "torchvision"]);
    let exam = home.succeed("exam --quick --model model --images scenes --out exam --preprocessing torchvision --json");
    assert_eq!(parse(&exam)["model"]["preprocessing"]["backend"], "torchvision");
}

#[test]
fn pictures_that_are_not_upright_are_turned_unless_that_is_ignored() {
    let home = Home::new();
    copy_fixture("quick_gelu", &home.path("model"));
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../snellen/tests/fixtures/pictures");
    for (folder, file) in [("turned", "rgb8_exif6.png"), ("stored", "rgb8.png")] {
        fs::create_dir(home.path(folder)).unwrap();
        fs::copy(pictures.join(file), home.path(folder).join("a.png")).unwrap();
    }
    let record = |images: &str, name: &str, args: &str| {
        let what = format!("record --model model --images {images} --sites image_embeds --out {name}");
        home.succeed(&format!("{what} {args}"));
        let run = parse(&fs::read_to_string(home.path(name).join("run.json")).unwrap());
        let data = files(&home.path(name)).into_iter().filter(|(path, _)| path.contains("/c/"));
        (run["preprocessing"]["orientation"].clone(), data.collect::<Vec<_>>())
    };
    let (turned, ignored) = (record("turned", "a", ""), record("turned", "b", "--orientation ignore"));
    assert_eq!([&turned.0, &ignored.0], [&json!("honour"), &json!("ignore")]);
    assert_ne!(turned.1, ignored.1);
    assert_eq!(record("stored", "c", "").1, ignored.1);
    assert_eq!(home.run("record --model model --images turned --out d --orientation sideways").code, Some(2));
}

#[test]
fn a_model_without_texts_is_asked_of_images_alone() {
    let home = home("dinov2_registers");
    home.succeed("scenes --kind toy --study --count 4 --out scenes");
    home.succeed("record --model model --images scenes --sites *.hook_resid_post,image_embeds --out run");
    let report = parse(&home.succeed("exam --quick --model model --out out --json"));
    let left_out = |id: &str| {
        let card = report["questions"].as_array().unwrap().iter().find(|card| card["id"] == id).unwrap();
        card["left_out"] == json!("it has no text tower")
    };
    assert_eq!(["recognition", "binding", "generalisation"].map(left_out), [true, true, false]);
    let findings = report["findings"].to_string();
    assert!(findings.contains("The verdict is left out: it has no text tower"), "{findings}");
    assert!(!findings.contains("recognises") && !findings.contains("not seeing"), "{findings}");
    home.refuse(
        "exam --model model --questions recognition,verdict --out none",
        &["something that can be asked", "it has no text tower"],
    );
    home.refuse("record --model model --images scenes --sites text.* --out x", &["text."]);
}

#[test]
fn an_exam_of_another_family_runs_through() {
    let home = home("siglip2");
    let report = parse(&home.succeed("exam --quick --model model --out out --json"));
    assert_eq!(report["name"], "model");
    assert!(home.path("out/report.html").is_file());
}

#[test]
fn what_was_left_alone_is_said() {
    let home = home("dinov2");
    let path = home.path("model/model.safetensors");
    let mut weights = Weights::read(&path);
    weights.0.push(("classifier.weight".into(), "F32".into(), vec![5, 36], vec![0; 5 * 36 * 4]));
    weights.0.push(("classifier.bias".into(), "F32".into(), vec![5], vec![0; 20]));
    weights.write(&path);
    edit_json(&home.path("model/config.json"), |c| c["window\n\u{1b}size"] = json!(3));
    let expected = json!({"keys": ["window\\n\\u{1b}size"], "tensors": ["classifier.* (2 tensors)"], "files": []});
    let listed = home.succeed("sites --model model");
    let line = "\nin the files, and not read: window\\n\\u{1b}size, classifier.* (2 tensors)\n";
    assert!(listed.contains(line), "{listed}");
    assert_eq!(parse(&home.succeed("sites --model model --json"))["left_alone"], expected);
    home.succeed("scenes --kind toy --study --count 2 --out scenes");
    home.succeed("record --model model --images scenes --sites image_embeds --out run");
    assert_eq!(parse(&fs::read_to_string(home.path("run/run.json")).unwrap())["model"]["left_alone"], expected);
    home.succeed(PARITY);
}

#[test]
fn a_model_inside_a_folder_and_other_weights_are_chosen() {
    let home = home("clip_vision");
    let listed = home.succeed("sites --model model");
    fs::create_dir_all(home.path("pipeline")).unwrap();
    fs::rename(home.path("model"), home.path("pipeline/image_encoder")).unwrap();
    home.refuse("sites --model pipeline", &["no such file, but one in image_encoder: choose with --subfolder"]);
    let place = "--model pipeline --subfolder image_encoder";
    assert_eq!(home.succeed(&format!("sites {place}")), listed);
    home.succeed(&format!("parity {place} --reference reference.safetensors"));
    home.succeed("scenes --kind toy --study --count 2 --out scenes");
    home.succeed(&format!("record {place} --images scenes --sites image_embeds --out run"));
    let run = parse(&fs::read_to_string(home.path("run/run.json")).unwrap());
    assert_eq!(run["model"]["name"], "pipeline/image_encoder");
    let folder = home.path("pipeline/image_encoder");
    fs::rename(folder.join("model.safetensors"), folder.join("mine.safetensors")).unwrap();
    home.refuse(&format!("sites {place}"), &["model.safetensors: expected a file"]);
    assert_eq!(home.succeed(&format!("sites {place} --weights mine.safetensors")), listed);
    home.succeed(&format!("parity {place} --weights mine.safetensors --reference reference.safetensors"));
    home.refuse(&format!("sites {place}/.."), &["subfolder: expected the name of a folder"]);
}
