//! Models of the Hub: fetched once, or their headers alone.

use crate::models::home;
use crate::program::{Home, Ran, copy_fixture, edit_json, files};
use crate::server::{Reply, Request, Server};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
