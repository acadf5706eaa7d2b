//! Whether models agree with a reference, and what is no agreement.

use crate::models::{PARITY, home, parse};
use crate::program::{Home, Ran};
use crate::weights::Weights;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

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
