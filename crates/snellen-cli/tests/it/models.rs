//! Models of every family by folder, file and name; what is listed of them, and whether they agree with a reference.

use crate::program::{Home, Ran, copy, copy_fixture, edit_json, files};
use crate::server::{Reply, Request, Server};
use crate::weights::Weights;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A home with this family's folder as `model`, and what its library made of it as `reference.safetensors`.
fn home(family: &str) -> Home {
    let home = Home::new();
    let from = format!("snellen/tests/fixtures/families/{family}");
    copy(&from, &home.path("model"), &["reference.safetensors"]);
    copy(&from, &home.path("more"), &[]);
    fs::rename(home.path("more/reference.safetensors"), home.path("reference.safetensors")).unwrap();
    fs::remove_dir_all(home.path("more")).unwrap();
    home
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

const PARITY: &str = "parity --model model --reference reference.safetensors";

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
fn a_model_agrees_with_its_library() {
    for family in ["clip_f16", "siglip2", "dinov2_registers", "llava_next", "open_clip_avg"] {
        let home = home(family);
        let table = home.succeed(PARITY);
        let compared = parse(&home.succeed(&format!("{PARITY} --json")));
        let sites = compared["sites"].as_array().unwrap();
        assert!(
            table.contains(&format!("\nsites    agrees         {0} of {0} sites agree within 1e-4", sites.len())),
            "{family}: {table}"
        );
        assert!(
            table.contains("\npixels   agrees         2 pictures: at most 0.000/255 off, 100.000 % of values exact"),
            "{family}: {table}"
        );
        let kinds: Vec<&str> =
            compared["lines"].as_array().unwrap().iter().map(|line| line["kind"].as_str().unwrap()).collect();
        assert_eq!((kinds, &compared["verdict"]), (vec!["pixels", "ids", "sites"], &json!("agrees")), "{family}");
        assert_eq!(compared["not_compared"], json!([]), "{family}");
        assert!(sites.len() > 15, "{family}");
        let listed = parse(&home.succeed("sites --model model --json"));
        assert_eq!(sites.len(), listed["sites"].as_array().unwrap().len(), "{family}");
        for site in sites {
            assert!(site["relative"].as_f64().unwrap() < 1e-4, "{family}: {site}");
            assert!(table.contains(site["site"].as_str().unwrap()), "{family}: {table}");
        }
        assert_eq!(compared["pixels"]["found"]["exact"], 1.0, "{family}");
        // Which backend they are of, whichever the model is loaded with; of OpenCLIP's transform there is one.
        let backends = if family.starts_with("open_clip") { &["pil"][..] } else { &["pil", "torchvision"] };
        for with in backends {
            let args = format!("{PARITY} --preprocessing {with}");
            let pixels = &parse(&home.run(&format!("{args} --json")).stdout)["pixels"]["found"];
            let of =
                |key: &str| pixels["backends"].as_array().unwrap().iter().map(|of| of[key].clone()).collect::<Vec<_>>();
            assert_eq!(
                (&pixels["made_by"], of("backend")),
                (&json!("pil"), backends.iter().map(|b| json!(b)).collect())
            );
            assert_eq!(of("same")[0], of("values")[0], "{family}");
            assert!(backends.len() == 1 || of("same")[1].as_u64() < of("values")[1].as_u64(), "{family}");
            let table = home.run(&args).stdout;
            for line in
                [" pil: ", " values the same to the last bit, at most 0.000/255 off\n", " made by pil, going by that\n"]
            {
                assert!(table.contains(line), "{family}: {table}");
            }
            assert_eq!(table.contains(" torchvision: "), backends.len() == 2, "{family}: {table}");
        }
        let ids = &compared["ids"];
        if family.starts_with("dinov2") || family == "llava_next" {
            assert_eq!(ids, "nothing", "{family}");
        } else {
            assert_eq!((&ids["found"]["same"], &ids["found"]["captions"]), (&json!(3), &json!(3)), "{family}");
        }
        // Without a tokenizer sites still agree, and that is not agreement.
        if home.path("model/tokenizer.json").exists() {
            fs::remove_file(home.path("model/tokenizer.json")).unwrap();
            let ran = uncompared(&home, &format!("{PARITY} --json"), "ids");
            assert_eq!(parse(&ran.stdout)["sites"], compared["sites"], "{family}");
        }
    }
}

/// What was not compared: its own exit code, and one line that ends with the kinds.
fn uncompared(home: &Home, args: &str, kinds: &str) -> Ran {
    let ran = home.run(args);
    assert_eq!(ran.code, Some(4), "{args}: {ran:?}");
    assert_eq!(ran.stderr, format!("snellen: reference.safetensors: not compared: {kinds}\n"), "{args}");
    if args.contains("--json") {
        let compared = parse(&ran.stdout);
        assert_eq!(compared["verdict"], "not compared");
        assert_eq!(compared["not_compared"], json!(kinds.split(", ").collect::<Vec<_>>()));
    } else {
        assert_eq!(ran.stdout.lines().last(), Some(format!("not compared: {kinds}").as_str()), "{args}");
    }
    ran
}

/// Changes what a reference says of itself.
fn say(path: &Path, edit: &dyn Fn(&mut Value)) {
    let (mut header, data) = header(path);
    edit(&mut header["__metadata__"]);
    fs::write(path, crate::weights::with_header(&header, &data)).unwrap();
}

#[test]
fn what_a_reference_lacks_is_said_and_is_no_agreement() {
    let home = home("clip_f16");
    let path = home.path("reference.safetensors");
    let sound = fs::read(&path).unwrap();
    let without = |edit: &dyn Fn(&mut Weights), kinds: &str| {
        fs::write(&path, &sound).unwrap();
        change(&path, edit);
        uncompared(&home, &format!("{PARITY} --json"), kinds);
        uncompared(&home, PARITY, kinds)
    };
    let ran = without(&|w| w.0.retain(|t| !t.0.starts_with("input.picture")), "pixels");
    assert!(ran.stdout.contains("\npixels   not compared   the reference holds no pictures"), "{}", ran.stdout);
    let ran = without(&|w| w.0.retain(|t| t.0 != "input.picture.1"), "pixels");
    assert!(ran.stdout.contains("the reference holds 1 of the 2 pictures"), "{}", ran.stdout);
    let ran = without(&|w| w.0.retain(|t| t.0 != "image_embeds" && t.0 != "blocks.0.hook_resid_mid"), "sites");
    assert!(ran.stdout.contains("2 are not in the reference, such as `blocks.0.hook_resid_mid`"), "{}", ran.stdout);
    assert!(ran.stdout.lines().any(|line| line.starts_with("image_embeds ") && line.ends_with("not in the reference")));
    let ran = without(&|w| w.0.retain(|t| !t.0.starts_with("text.") && t.0 != "input.input_ids"), "ids, sites");
    assert!(ran.stdout.contains("\nids      not compared   the reference holds no token ids"), "{}", ran.stdout);
    // Captions that are not there; and why, as the reference says itself, without what a terminal would obey.
    fs::write(&path, &sound).unwrap();
    say(&path, &|says| {
        says.as_object_mut().unwrap().remove("captions");
        says["without_ids"] = "no tokenizer\u{1b}[2J there".into();
        says["processor"] = "CLIPImageProcessorPil".into();
        says["backend"] = "pil".into();
        says["versions"] = "{\"torch\": \"2.15.0\"}".into();
    });
    let ran = uncompared(&home, PARITY, "ids");
    assert!(ran.stdout.contains("\nids      not compared   no tokenizer[2J there\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("; pixels by CLIPImageProcessorPil (pil) (torch 2.15.0)\n"), "{}", ran.stdout);
    // What differs beside it is a difference.
    change(&path, &|w| {
        w.0.retain(|t| !t.0.starts_with("input.picture"));
        w.tensor("image_embeds").3[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    differ(
        &home,
        PARITY,
        &["sites differ: ", "the largest error is inf of its RMS, at image_embeds", "not compared: pixels, ids"],
    );
}

#[test]
fn a_reference_of_other_weights_is_noticed() {
    let home = home("siglip2_left");
    let path = home.path("reference.safetensors");
    assert!(home.succeed(PARITY).contains("\nmade from the same files of weights\n"));
    assert_eq!(parse(&home.succeed(&format!("{PARITY} --json")))["weights"], "same");
    say(&path, &|says| says["weights"] = format!("{{\"model.safetensors\": \"{}\"}}", "0".repeat(64)).into());
    differ(&home, PARITY, &["the reference was made from another model.safetensors"]);
    say(&path, &|says| says["weights"] = "{\"../model/model.safetensors\": \"0\"}".into());
    assert!(
        home.succeed(PARITY).contains("made from unknown weights: the model's files of weights are called otherwise")
    );
    // Another mask is another input.
    change(&path, &|w| w.tensor("input.attention_mask").3[..8].copy_from_slice(&1_i64.to_le_bytes()));
    differ(&home, PARITY, &["ids differ: ", "sites differ: "]);
    change(&path, &|w| w.tensor("input.attention_mask").3[..8].copy_from_slice(&2_i64.to_le_bytes()));
    home.refuse(PARITY, &["tensor `input.attention_mask`: expected 0 or 1"]);
}

/// Comparisons that do not hold: exit code 1, the table, and one line that says where.
fn differ(home: &Home, args: &str, says: &[&str]) {
    let ran = home.run(args);
    assert_eq!(ran.code, Some(1), "{args}: {ran:?}");
    assert!(ran.stderr.starts_with("snellen: reference.safetensors: ") && ran.stderr.lines().count() == 1, "{ran:?}");
    for part in says {
        assert!(ran.stderr.contains(part), "{args}: {:?} does not say {part:?}", ran.stderr);
    }
}

#[test]
fn a_model_that_differs_is_not_said_to_agree() {
    let home = home("siglip");
    let path = home.path("model/model.safetensors");
    let sound = fs::read(&path).unwrap();
    let sites = parse(&home.succeed(&format!("{PARITY} --json")))["sites"].as_array().unwrap().len();
    // One weight of one block, by a thousandth of what it is beside.
    let mut weights = Weights::read(&path);
    let bias = &mut weights.tensor("vision_model.encoder.layers.1.mlp.fc2.bias").3;
    let first = f32::from_le_bytes(bias[..4].try_into().unwrap()) + 1e-3;
    bias[..4].copy_from_slice(&first.to_le_bytes());
    weights.write(&path);
    differ(&home, PARITY, &[&format!(" of {sites} sites agree"), "the largest error is"]);
    let ran = home.run(PARITY);
    let differing = |site: &str| {
        let line = ran.stdout.lines().find(|line| line.split_whitespace().next() == Some(site)).unwrap();
        line.ends_with("<-- differs")
    };
    assert!(differing("blocks.1.hook_mlp_out") && differing("image_embeds"), "{}", ran.stdout);
    assert!(!differing("blocks.1.mlp.hook_post") && !differing("text.text_embeds"), "{}", ran.stdout);
    home.succeed(&format!("{PARITY} --tolerance 0.1"));
    fs::write(&path, &sound).unwrap();
    // Other pixels, and other ids, than the library made of the same.
    differ(&home, &format!("{PARITY} --preprocessing study"), &["pixels differ: 2 pictures: at most "]);
    let other_id = |w: &mut Weights| w.tensor("input.input_ids").3[..8].copy_from_slice(&9_i64.to_le_bytes());
    change(&home.path("reference.safetensors"), &other_id);
    differ(&home, PARITY, &["ids differ: 2 of 3 captions get the same token ids (allowed: all)"]);
}

#[test]
fn references_that_are_none_are_refused() {
    let home = home("clip_f16");
    let path = home.path("reference.safetensors");
    let sound = fs::read(&path).unwrap();
    home.refuse("parity --model model --reference nothing.safetensors", &["nothing.safetensors: "]);
    home.refuse("parity --model model --reference model/model-00001-of-00003.safetensors", &["expected a reference"]);
    home.refuse(&format!("{PARITY} --tolerance 0"), &["tolerance: expected a number above 0, got 0"]);
    home.refuse(&format!("{PARITY} --tolerance NaN"), &["tolerance: expected a number above 0, got NaN"]);
    let refuse = |edit: &dyn Fn(&mut Weights), says: &[&str]| {
        change(&path, edit);
        home.refuse(PARITY, &[&["reference.safetensors: "], says].concat());
        fs::write(&path, &sound).unwrap();
    };
    refuse(&|w| w.0.retain(|t| t.0 != "input.pixel_values"), &["a tensor `input.pixel_values`"]);
    refuse(&|w| w.tensor("input.pixel_values").2.swap(0, 1), &["`input.pixel_values`: expected shape"]);
    refuse(&|w| w.0.retain(|t| t.0.starts_with("input.")), &["a site of this model to compare"]);
    refuse(&|w| w.0.retain(|t| t.0 != "input.input_ids"), &["`text.", "expected a tensor `input.input_ids`"]);
    refuse(&|w| w.tensor("input.input_ids").3[..8].copy_from_slice(&(-3_i64).to_le_bytes()), &["token ids, got -3"]);
    refuse(
        &|w| w.tensor("input.input_ids").3[..8].copy_from_slice(&(1_i64 << 20).to_le_bytes()),
        &["ids below the model's vocab_size (576)"],
    );
    refuse(&|w| w.tensor("image_embeds").1 = "I32".to_owned(), &["`image_embeds`: expected dtype F32, got I32"]);
}

/// The header of a safetensors file, and what stands behind it.
fn header(path: &Path) -> (Value, Vec<u8>) {
    let file = fs::read(path).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    (parse(std::str::from_utf8(&file[8..8 + length]).unwrap()), file[8 + length..].to_vec())
}

/// Changes the tensors of a reference and leaves what it says of itself.
fn change(path: &Path, edit: &dyn Fn(&mut Weights)) {
    let (before, _) = header(path);
    let mut reference = Weights::read(path);
    edit(&mut reference);
    reference.write(path);
    let (mut after, data) = header(path);
    after["__metadata__"] = before["__metadata__"].clone();
    fs::write(path, crate::weights::with_header(&after, &data)).unwrap();
}

#[test]
fn the_script_of_references_is_at_hand() {
    let home = Home::new();
    let scripts = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts"));
    let printed = home.succeed("parity --print-script");
    assert!(!printed.contains("from reference"), "the printed script needs a module that stands beside another file");
    // Every line of the script and of its modules, but for imports of each other, is there once for each time that it stands there.
    let mut parts = vec![scripts.join("dump_reference.py")];
    parts.extend(fs::read_dir(scripts.join("reference")).unwrap().map(|entry| entry.unwrap().path()));
    parts.retain(|path| path.extension().is_some_and(|ending| ending == "py"));
    assert_eq!(parts.len(), 6);
    let mut expected: Vec<String> = Vec::new();
    for part in &parts {
        let text = fs::read_to_string(part).unwrap();
        expected.extend(text.lines().filter(|line| !line.starts_with("from reference")).map(str::to_owned));
    }
    let mut got: Vec<&str> = printed.lines().collect();
    expected.sort_unstable();
    got.sort_unstable();
    assert_eq!(got, expected);
    // What is used when the file is read stands before its use.
    let place = |text: &str| printed.find(text).unwrap_or_else(|| panic!("no {text:?}"));
    let order =
        ["class Refusal", "class Tower", "def find_file", "def load_transformers", "def load_open_clip", "def main("];
    assert!(order.is_sorted_by_key(|text| place(text)), "{order:?} in another order");
    assert_eq!(home.run("parity --model model").code, Some(2));
    assert_eq!(home.run("parity --print-script --model model").code, Some(2));
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
fn a_model_without_texts_is_recorded_and_not_examined() {
    let home = home("dinov2_registers");
    home.succeed("scenes --kind toy --study --count 4 --out scenes");
    home.succeed("record --model model --images scenes --sites *.hook_resid_post,image_embeds --out run");
    home.refuse("exam --quick --model model --out out", &["`dinov2_with_registers`: expected a text tower, got none"]);
    home.refuse("record --model model --images scenes --sites text.* --out x", &["text."]);
}

#[test]
fn an_exam_of_another_family_runs_through() {
    let home = home("siglip2");
    let report = parse(&home.succeed("exam --quick --model model --out out --json"));
    assert_eq!(report["name"], "model");
    assert!(home.path("out/report.html").is_file());
}

/// The Hub as it answers for `owner/name`, whose files are those of a folder.
fn hub(folder: &Path) -> Server {
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    let files: Vec<(String, Vec<u8>)> =
        files(folder).into_iter().filter_map(|(name, bytes)| Some((name, bytes?))).collect();
    Server::start(move |request: &Request| {
        if request.path.starts_with("/api/models/owner/name/revision/main") {
            let siblings: Vec<_> = files.iter().map(|(name, _)| json!({ "rfilename": name })).collect();
            let body = json!({ "id": "owner/name", "sha": COMMIT, "siblings": siblings }).to_string().into_bytes();
            return Reply::ok(body).header("Content-Type", "application/json");
        }
        let name = request.path.strip_prefix(&format!("/owner/name/resolve/{COMMIT}/"));
        match files.iter().find(|(file, _)| Some(file.as_str()) == name) {
            Some((_, bytes)) => {
                let tag = format!("\"{:x}\"", bytes.len());
                Reply::ranged(bytes, request).header("ETag", &tag).header("X-Repo-Commit", COMMIT)
            }
            None => Reply::status(404).header("X-Error-Code", "EntryNotFound"),
        }
    })
}

#[test]
fn models_of_the_hub_are_fetched_once() {
    let home = home("clip_f16");
    let server = hub(&home.path("model"));
    let run = |args: &str, offline: bool| -> Ran {
        let mut command: Command = home.command(args);
        command.env("HF_HOME", home.path("hf")).env("HF_ENDPOINT", server.address());
        if offline {
            command.env("HF_HUB_OFFLINE", "1");
        }
        command.output().unwrap().into()
    };
    let sites = "sites --model owner/name";
    let before = run(sites, true);
    assert_eq!(before.code, Some(3), "{before:?}");
    assert!(before.stderr.contains("owner/name") && before.stderr.contains("HF_HUB_OFFLINE"), "{before:?}");
    assert!(server.asked().is_empty());

    // The ETags of this server are no checksums, which is said once.
    let unchecked = |ran: &Ran| ran.stderr.contains("gives no checksum of it") && ran.stderr.lines().count() == 1;
    let first = run(sites, false);
    assert!(first.code == Some(0) && unchecked(&first), "{first:?}");
    assert_eq!(first.stdout, home.succeed("sites --model model"));
    let weights = || server.fetched(".safetensors").iter().map(Request::range).collect::<Vec<_>>();
    let headers = weights();
    assert!(headers.iter().all(|range| *range == Some((0, Some(262_143)))) && !headers.is_empty(), "{headers:?}");
    let online = run("parity --model owner/name --reference reference.safetensors", false);
    assert!(online.code == Some(0) && unchecked(&online), "{online:?}");
    assert_eq!(weights().len(), 2 * headers.len(), "headers are not kept");
    let fetched = server.asked().len();
    let parity = run("parity --model owner/name --reference reference.safetensors --json", true);
    assert_eq!((parity.code, parity.stderr.as_str()), (Some(0), ""));
    assert_eq!(server.asked().len(), fetched, "what is in the cache is not asked for again");
    // A cache that was filled otherwise does not say which files the repository lacks.
    let cached = home.path("hf/hub/models--owner--name");
    fs::remove_dir_all(cached.join(".no_exist")).unwrap();
    let parity = run("parity --model owner/name --reference reference.safetensors --json", true);
    assert_eq!((parity.code, parity.stderr.as_str()), (Some(0), ""));
    // Neither there nor to be had: said with what to do.
    let snapshot = fs::read_dir(cached.join("snapshots")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(snapshot.join("preprocessor_config.json")).unwrap();
    let lost = run(sites, true);
    assert_eq!(lost.code, Some(3), "{lost:?}");
    assert!(lost.stderr.contains("hf download owner/name preprocessor_config.json"), "{lost:?}");
    assert_eq!(run(sites, false).stdout, first.stdout, "it is fetched again");
    // Without HF_HUB_OFFLINE the cache stands in for a Hub that is gone, and that is said.
    let mut gone: Command = home.command(sites);
    gone.env("HF_HOME", home.path("hf")).env("HF_ENDPOINT", "http://127.0.0.1:9");
    let gone: Ran = gone.output().unwrap().into();
    assert_eq!((gone.code, &gone.stdout), (Some(0), &first.stdout), "{gone:?}");
    assert!(gone.stderr.contains("what was cached, which may be old") && gone.stderr.lines().count() == 1, "{gone:?}");
    let unknown = run("sites --model owner/name@branch", false);
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    assert!(unknown.stderr.contains("branch"), "{unknown:?}");
    let other = run("sites --model owner/other", false);
    assert_eq!(other.code, Some(3), "{other:?}");
    assert!(other.stderr.contains("owner/other"), "{other:?}");
}

/// The configuration of a CLIP ViT-L/14, and the header of its weights with a note in it that makes it long.
fn large_clip() -> (Value, Vec<u8>, usize) {
    let tower = |width: usize, mlp: usize, heads: usize| json!({ "hidden_size": width, "intermediate_size": mlp, "num_attention_heads": heads });
    let (mut vision, mut text) = (tower(1024, 4096, 16), tower(768, 3072, 12));
    (vision["num_hidden_layers"], vision["patch_size"]) = (24.into(), 14.into());
    text["eos_token_id"] = 49_407.into();
    let config = json!({ "model_type": "clip", "projection_dim": 768, "vision_config": vision, "text_config": text });
    let mut tensors: Vec<(String, Vec<usize>)> = vec![
        ("logit_scale".into(), vec![]),
        ("text_model.embeddings.position_embedding.weight".into(), vec![77, 768]),
        ("text_model.embeddings.token_embedding.weight".into(), vec![49_408, 768]),
        ("text_model.final_layer_norm.bias".into(), vec![768]),
        ("text_model.final_layer_norm.weight".into(), vec![768]),
        ("text_projection.weight".into(), vec![768, 768]),
        ("vision_model.embeddings.class_embedding".into(), vec![1024]),
        ("vision_model.embeddings.patch_embedding.weight".into(), vec![1024, 3, 14, 14]),
        ("vision_model.embeddings.position_embedding.weight".into(), vec![257, 1024]),
        ("visual_projection.weight".into(), vec![768, 1024]),
    ];
    for norm in ["pre_layrnorm", "post_layernorm"] {
        tensors.extend(["weight", "bias"].map(|part| (format!("vision_model.{norm}.{part}"), vec![1024])));
    }
    for (prefix, layers, width, mlp) in [("vision_model", 24, 1024, 4096), ("text_model", 12, 768, 3072)] {
        let linear = |name: &str| ["q_proj", "k_proj", "v_proj", "out_proj"].contains(&name);
        for layer in 0..layers {
            for name in ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "layer_norm1", "layer_norm2"] {
                let (group, weight, bias) = match name {
                    "fc1" => ("mlp.", vec![mlp, width], mlp),
                    "fc2" => ("mlp.", vec![width, mlp], width),
                    name if linear(name) => ("self_attn.", vec![width, width], width),
                    _ => ("", vec![width], width),
                };
                let of = format!("{prefix}.encoder.layers.{layer}.{group}{name}");
                tensors.extend([(format!("{of}.weight"), weight), (format!("{of}.bias"), vec![bias])]);
            }
        }
    }
    let mut header = json!({ "__metadata__": { "note": "x".repeat(300_000) } });
    let mut end = 0;
    for (name, shape) in tensors {
        let next = end + 4 * shape.iter().product::<usize>();
        header[name] = json!({ "dtype": "F32", "shape": shape, "data_offsets": [end, next] });
        end = next;
    }
    let header = header.to_string().into_bytes();
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_slice()].concat();
    let length = bytes.len() + end;
    (config, bytes, length)
}

#[test]
fn listing_sites_fetches_no_weights() {
    let home = Home::new();
    copy_fixture("gelu", &home.path("model"));
    let (config, header, length) = large_clip();
    assert!(length > 1_700_000_000 && header.len() > 300_000);
    fs::write(home.path("model/config.json"), config.to_string()).unwrap();
    edit_json(&home.path("model/preprocessor_config.json"), |json| {
        json["size"] = json!({ "shortest_edge": 224 });
        json["crop_size"] = json!({ "height": 224, "width": 224 });
    });
    fs::remove_file(home.path("model/model.safetensors")).unwrap();
    let others = files(&home.path("model"));
    fs::write(home.path("model/model.safetensors"), "").unwrap();
    let names = files(&home.path("model"));
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let server = Server::start(move |request: &Request| {
        let name = request.path.rsplit('/').next().unwrap();
        let body = if request.path.starts_with("/api/") {
            let siblings: Vec<_> = names.keys().map(|name| json!({ "rfilename": name })).collect();
            json!({ "id": "owner/name", "sha": "0".repeat(40), "siblings": siblings }).to_string().into_bytes()
        } else if name == "model.safetensors" {
            let Some((start, Some(last))) = request.range().filter(|_| request.method == "GET") else {
                let whole = Reply::status(if request.method == "HEAD" { 200 } else { 416 });
                return whole.header("X-Linked-Etag", &"a".repeat(64)).header("X-Linked-Size", &length.to_string());
            };
            let part: Vec<u8> = (start..=last).map(|at| header.get(at).copied().unwrap_or(0)).collect();
            counted.fetch_add(part.len(), Ordering::SeqCst);
            return Reply::part(part, &format!("bytes {start}-{last}/{length}"));
        } else {
            others[name].clone().unwrap()
        };
        counted.fetch_add(body.len(), Ordering::SeqCst);
        Reply::ok(body).header("ETag", "\"1\"")
    });
    let mut command = home.command("sites --model owner/name");
    command.env("HF_HOME", home.path("hf")).env("HF_ENDPOINT", server.address());
    let ran: Ran = command.output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("blocks.23.mlp.hook_post") && ran.stdout.contains("text.blocks.11."), "{ran:?}");
    let sent = sent.load(Ordering::SeqCst);
    assert!((300_000..2_000_000).contains(&sent), "{sent} bytes were fetched");
    assert!(home.names().iter().all(|name| !name.starts_with("tmp/")), "nothing of it is kept");
}

#[test]
fn a_server_that_is_not_there_is_no_fault_of_the_input() {
    let home = Home::new();
    let mut command = home.command("sites --model owner/name");
    command.env("HF_HOME", home.path("hf")).env("HF_ENDPOINT", "http://127.0.0.1:9").env("HF_HUB_ETAG_TIMEOUT", "1");
    let ran: Ran = command.output().unwrap().into();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("127.0.0.1:9"), "{ran:?}");
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
