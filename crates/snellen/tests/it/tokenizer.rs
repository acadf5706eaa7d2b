//! Token ids against `transformers`' and OpenCLIP's, and tokenizers that are refused.

use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use snellen::model::config::{Cleaning, OpenClipTokenizer};
use snellen::model::{ModelConfig, TextConfig, Tokenizer};
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The 500 captions.
fn captions() -> Vec<String> {
    let captions: Vec<String> = serde_json::from_value(read_json(&fixtures("tokens/captions.json"))).unwrap();
    assert_eq!(captions.len(), 500);
    captions
}

/// The rows of ids that `transformers` made, `[caption][token]`.
fn expected(name: &str) -> Vec<Vec<u32>> {
    let bytes = fs::read(fixtures("tokens/expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let ids = view.data().chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()).try_into().unwrap());
    ids.collect::<Vec<u32>>().chunks(view.shape()[1]).map(<[u32]>::to_vec).collect()
}

/// A model of a family's kind with enough tokens and positions for the captions.
fn config(family: &str, model_type: &str, positions: usize) -> ModelConfig {
    let place = fixtures(family).join("config.json");
    let config = ModelConfig::parse(&read_json(&place), "config.json").unwrap();
    let text = TextConfig { positions, vocabulary: 1 << 16, ..config.text.clone().unwrap() };
    ModelConfig { model_type: model_type.to_owned(), text: Some(text), ..config }
}

fn siglip() -> ModelConfig {
    config("families/siglip", "siglip", 64)
}

/// One of each kind, with its name: byte pairs, SentencePiece's unigrams, and those of Gemma.
pub fn of_every_kind() -> Vec<(&'static str, Tokenizer)> {
    let load = |name, config: &ModelConfig| {
        (name, Tokenizer::load(&fixtures("tokens").join(name).as_path(), config).unwrap().unwrap())
    };
    let lower = config("families/siglip2", "siglip2", 64);
    vec![load("clip", &clip()), load("siglip", &siglip()), load("siglip2", &lower)]
}

/// Whole rows, padding included.
fn rows(tokenizer: &Tokenizer, captions: &[String]) -> Vec<Vec<u32>> {
    let tokens = tokenizer.encode_truncated(captions).unwrap();
    tokens.ids().chunks(tokens.length()).map(<[u32]>::to_vec).collect()
}

fn assert_rows(name: &str, got: &[Vec<u32>], expected: &[Vec<u32>]) {
    for ((i, caption), (got, expected)) in captions().iter().enumerate().zip(got.iter().zip(expected)) {
        assert_eq!(got, expected, "{name}: caption {i}, {caption:?}");
    }
    assert_eq!(got.len(), expected.len());
}

#[test]
fn hard_captions_get_the_ids_of_transformers() {
    let captions = captions();
    let load = |folder: &str, config: &ModelConfig| {
        Tokenizer::load(&fixtures(folder).as_path(), config).unwrap().expect("a tokenizer")
    };
    let mut clip = config("clip/quick_gelu", "clip", 77);
    let end = 1213;
    clip.text.as_mut().unwrap().pooling = snellen::model::config::TextPooling::First(end);
    let tokenizer = load("tokens/clip", &clip);
    assert_rows("clip", &rows(&tokenizer, &captions), &expected("clip"));
    assert_rows("siglip", &rows(&load("tokens/siglip", &siglip()), &captions), &expected("siglip"));
    let lower = config("families/siglip2", "siglip2", 64);
    assert_rows("siglip2", &rows(&load("tokens/siglip2", &lower), &captions), &expected("siglip2"));
    let kept = config("families/siglip2", "siglip", 64);
    let kept = rows(&load("tokens/siglip2", &kept), &captions);
    assert_rows("siglip2 as siglip", &kept, &expected("siglip2_as_siglip"));
    assert!(kept != expected("siglip2"), "case matters to some captions");

    // Texts by themselves: no longer than they need be, since nothing behind their end is seen; or an error, never a part.
    let mut long = 0;
    for (caption, expected) in captions.iter().zip(expected("clip")) {
        let alone = tokenizer.encode_truncated(&[caption]).unwrap();
        let length = expected.iter().position(|id| *id == end).unwrap() + 1;
        assert!(alone.length() <= expected.len() && alone.ends() == [length - 1], "{caption:?}");
        assert_eq!(alone.ids()[..length], expected[..length], "{caption:?}");
        match tokenizer.encode(&[caption]) {
            Ok(whole) => assert_eq!(whole, alone, "{caption:?}"),
            Err(error) => {
                long += 1;
                assert!(error.to_string().contains("expected at most 77 tokens, got"), "{error}");
                assert_eq!(length, 77, "{caption:?}");
            }
        }
    }
    assert!((5..100).contains(&long), "{long} captions are too long");
}

/// Where `spiece.model` is missing, `tokenizer.json` is taken, which is known to differ on a few captions only.
#[test]
fn without_its_model_siglip_takes_what_is_there() {
    let home = tempfile::tempdir().unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixtures("tokens/siglip").join(name), home.path().join(name)).unwrap();
    }
    let tokenizer = Tokenizer::load(&home.path(), &siglip()).unwrap().unwrap();
    let got = rows(&tokenizer, &captions());
    assert_rows("siglip by json", &got, &expected("siglip_json"));
    let differing = got.iter().zip(expected("siglip")).filter(|(a, b)| **a != *b).count();
    assert_eq!(differing, 24);
    fs::remove_file(home.path().join("tokenizer.json")).unwrap();
    assert!(Tokenizer::load(&home.path(), &siglip()).unwrap().is_none());
}

/// `vocab.json` and `merges.txt` of the tokenizer in `tokens/clip`, in a folder.
fn two_files(files: &Value) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let model = &read_json(&fixtures("tokens/clip/tokenizer.json"))["model"];
    let merges: Vec<String> = model["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| match pair {
            Value::String(pair) => pair.clone(),
            pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        })
        .collect();
    fs::write(home.path().join("vocab.json"), model["vocab"].to_string()).unwrap();
    fs::write(home.path().join("merges.txt"), format!("#version: 0.2\n{}\n", merges.join("\n"))).unwrap();
    for (name, value) in files.as_object().unwrap() {
        fs::write(home.path().join(name), value.to_string()).unwrap();
    }
    home
}

/// Of a CLIP that is read at its tokenizer's end token.
fn clip() -> ModelConfig {
    let mut clip = config("clip/quick_gelu", "clip", 77);
    clip.text.as_mut().unwrap().pooling = snellen::model::config::TextPooling::First(1213);
    clip
}

#[test]
fn a_vocabulary_and_its_merges_give_the_ids_of_transformers() {
    let all = read_json(&fixtures("tokens/clip_files.json"));
    let texts: Vec<String> = serde_json::from_value(all["texts"].clone()).unwrap();
    let cases = all["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 7);
    for (name, case) in cases {
        let home = two_files(&case["files"]);
        let tokenizer = Tokenizer::load(&home.path(), &clip()).unwrap().unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(case["ids"].clone()).unwrap();
        for ((text, got), expected) in texts.iter().zip(rows(&tokenizer, &texts)).zip(&expected) {
            assert_eq!(got, *expected, "{name}: {text:?}");
        }
    }
    let home = two_files(&json!({}));
    let tokenizer = Tokenizer::load(&home.path(), &clip()).unwrap().unwrap();
    assert_rows("two files", &rows(&tokenizer, &captions()), &expected("clip"));
}

#[test]
fn a_vocabulary_that_is_none_is_refused() {
    let refused = |edit: &dyn Fn(&Path)| {
        let home = two_files(&json!({}));
        edit(home.path());
        let error = Tokenizer::load(&home.path(), &clip()).err().expect("a refusal");
        assert!(error.is_bad_input(), "{error}");
        error.to_string()
    };
    let write = |name: &'static str, text: &'static str| move |home: &Path| fs::write(home.join(name), text).unwrap();
    let without = refused(&|home| fs::remove_file(home.join("merges.txt")).unwrap());
    assert!(without.contains("merges.txt: expected a file"), "{without}");
    for (name, text, says) in [
        ("merges.txt", "a b\na b c\n", "merges.txt:2: expected two tokens"),
        ("merges.txt", "no such\n", "vocab.json"),
        ("vocab.json", "[]", "vocab.json: expected an object"),
        ("vocab.json", "{\"a\": -1}", "vocab.json: expected an object"),
        ("tokenizer_config.json", "{\"bos_token\": 3}", "`bos_token`: expected a token"),
        (
            "tokenizer_config.json",
            "{\"added_tokens_decoder\": {\"x\": \"y\"}}",
            "`added_tokens_decoder`: expected tokens by id",
        ),
        ("tokenizer_config.json", "{\"padding_side\": \"left\"}", "`padding_side`: expected \"right\""),
    ] {
        let said = refused(&write(name, text));
        assert!(said.contains(says), "{name} {text}: {said}");
    }
}

/// SigLIP 2's class pads on the left and returns a mask, unless its files say otherwise.
#[test]
fn padding_and_mask_are_those_of_the_class() {
    let tokenizer = |edit: &dyn Fn(&mut Value)| {
        let home = tempfile::tempdir().unwrap();
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let mut json = read_json(&fixtures("families/siglip2_left").join(name));
            if name == "tokenizer_config.json" {
                edit(&mut json);
            }
            fs::write(home.path().join(name), json.to_string()).unwrap();
        }
        Tokenizer::load(&home.path(), &config("families/siglip2_left", "siglip", 8)).unwrap().unwrap()
    };
    let tokens = |edit: &dyn Fn(&mut Value)| tokenizer(edit).encode_truncated(&["a"]).unwrap();
    let text = tokens(&|json| json["padding_side"] = json!("right"));
    let length = text.ids().iter().position(|id| *id == 1).unwrap() + 1;
    let (ids, padding) = text.ids().split_at(length);
    assert!(length < 8 && padding.iter().all(|id| *id == 0), "{text:?}");
    let seen = |left: bool| (0..8).map(|at| if left { at >= 8 - length } else { at < length }).collect::<Vec<_>>();
    assert_eq!(text.mask().unwrap(), seen(false));
    let left = tokens(&|_| {});
    assert_eq!((left.ids(), left.mask().unwrap()), (&[padding, ids].concat()[..], &seen(true)[..]));
    let unmasked = tokens(&|json| json["model_input_names"] = json!(["input_ids"]));
    assert_eq!((unmasked.ids(), unmasked.mask()), (left.ids(), None));
    // Gemma's class pads on the left as well, T5's on the right; both return a mask.
    let gemma = tokens(&|json| json["tokenizer_class"] = json!("GemmaTokenizer"));
    assert_eq!((gemma.ids(), gemma.mask()), (left.ids(), left.mask()));
    let t5 = tokens(&|json| json["tokenizer_class"] = json!("T5Tokenizer"));
    assert_eq!((t5.ids(), t5.mask()), (text.ids(), text.mask()));
    // A text that fills all positions hides nothing.
    assert_eq!(tokenizer(&|_| {}).encode_truncated(&["a ".repeat(90)]).unwrap().mask(), None);
}

/// The captions of every family's reference, as the library tokenised them.
#[test]
fn captions_of_every_family_get_the_ids_of_its_library() {
    let mut compared = 0;
    for entry in fs::read_dir(fixtures("families")).unwrap() {
        let folder = entry.unwrap().path();
        let bytes = fs::read(folder.join("reference.safetensors")).unwrap();
        let header = SafeTensors::read_metadata(&bytes).unwrap().1;
        let Some(captions) = header.metadata().as_ref().unwrap().get("captions") else { continue };
        let captions: Vec<String> = serde_json::from_str(captions).unwrap();
        let model =
            super::families::load(folder.file_name().unwrap().to_str().unwrap(), &snellen::model::LoadConfig::plain());
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor("input.input_ids").unwrap();
        let ids: Vec<u32> = view.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect();
        for (caption, expected) in captions.iter().zip(ids.chunks(view.shape()[1])) {
            let got = model.tokenizer().unwrap().encode_truncated(&[caption]).unwrap();
            let masked = file.tensor("input.attention_mask").is_ok();
            assert_eq!(got.mask().is_some(), masked, "{}: {caption:?}", folder.display());
            let seen =
                if model.config.text.as_ref().unwrap().sees_padding() { expected.len() } else { got.ends()[0] + 1 };
            assert_eq!(got.ids()[..seen], expected[..seen], "{}: {caption:?}", folder.display());
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared}");
}

/// The refusal of SigLIP's tokenizer with one file changed.
fn refused(config: &ModelConfig, name: &str, edit: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let home = tempfile::tempdir().unwrap();
    for name in ["spiece.model", "tokenizer_config.json", "special_tokens_map.json"] {
        fs::copy(fixtures("tokens/siglip").join(name), home.path().join(name)).unwrap();
    }
    let path = home.path().join(name);
    let before = fs::read(&path).unwrap();
    fs::write(&path, edit(before)).unwrap();
    let error = Tokenizer::load(&home.path(), config).err().unwrap_or_else(|| panic!("{name} was accepted"));
    assert!(error.is_bad_input(), "{error}");
    let error = error.to_string();
    assert!(error.contains(name), "{error}");
    error
}

#[test]
fn settings_that_would_change_ids_are_refused() {
    let config = siglip();
    for (key, value, says) in [
        ("do_lower_case", json!(false), "`do_lower_case`: expected true, got false"),
        ("sp_model_kwargs", json!({"enable_sampling": true}), "`sp_model_kwargs`: expected {}"),
        ("tokenizer_class", json!("LlamaTokenizer"), "`tokenizer_class`: expected a class whose ids are known"),
        ("tokenizer_class", json!(7), "`tokenizer_class`: expected a string, got 7"),
        ("auto_map", json!({"AutoTokenizer": "own.py"}), "`auto_map`: expected no code"),
        ("padding_side", json!("middle"), "`padding_side`: expected \"right\" or \"left\", got \"middle\""),
        ("pad_token", json!("<hole>"), "`pad_token`: expected pieces of"),
        ("pad_token", json!(3), "`pad_token`: expected a token"),
        ("eos_token", json!({"content": "<end>"}), "`eos_token`: expected pieces of"),
        ("added_tokens_decoder", json!({"1": {"content": "<unk>"}}), "`added_tokens_decoder`: expected pieces"),
        ("added_tokens_decoder", json!({"x": {"content": "<unk>"}}), "special tokens by id"),
        ("added_tokens_decoder", json!({"2": {"content": "<unk>", "normalized": true}}), "not `normalized`"),
    ] {
        let edit = |bytes: Vec<u8>| {
            let mut json: Value = serde_json::from_slice(&bytes).unwrap();
            json[key] = value.clone();
            serde_json::to_vec(&json).unwrap()
        };
        let error = refused(&config, "tokenizer_config.json", edit);
        assert!(error.contains(says), "{key}: {error}");
    }
    assert!(refused(&config, "tokenizer_config.json", |_| b"[]".to_vec()).contains("expected an object"));
    assert!(refused(&config, "tokenizer_config.json", |b| b[..b.len() / 2].to_vec()).contains("EOF"));
}

/// A field of a protobuf message.
fn field(number: u8, kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[number << 3 | kind][..], payload].concat()
}

fn bytes_field(number: u8, payload: &[u8]) -> Vec<u8> {
    field(number, 2, &[&[payload.len() as u8][..], payload].concat())
}

#[test]
fn sentencepiece_models_of_another_kind_are_refused() {
    let piece = |text: &[u8], score: f32, kind: u8| {
        let score = field(2, 5, &score.to_le_bytes());
        bytes_field(1, &[bytes_field(1, text), score, field(3, 0, &[kind])].concat())
    };
    let more = |bytes: Vec<u8>, tail: Vec<u8>| [bytes, tail].concat();
    for (tail, says) in [
        (bytes_field(2, &field(3, 0, &[2])), "`trainer_spec`: `model_type`: expected 1, got Varint(2)"),
        (bytes_field(3, &field(3, 0, &[0])), "`normalizer_spec`: `add_dummy_prefix`: expected 1"),
        (piece(b"mine", 0.0, 4), "\"mine\": expected a piece that is normal (1)"),
        (piece(b"<0x41>", 0.0, 6), "got type 6"),
        (piece(b"again", 0.0, 2), "one piece for what is unknown"),
        (piece(b"</s>", 0.0, 1), "\"</s>\" twice"),
        (piece(b"new", f32::NAN, 1), "expected a finite score, got NaN"),
        (piece(b"\xff\xfe", 0.0, 1), "invalid utf-8"),
        (piece(b"", 0.0, 1), "expected a text of 1 to 256 bytes, got 0 bytes"),
        (bytes_field(1, &field(1, 0, &[7])), "field 1 is of another kind"),
        (field(1, 0, &[7]), "expected a message in field 1"),
        (field(9, 3, &[]), "field 9 has the wire type 3"),
        (field(9, 2, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), "bytes where 0 are left"),
        (field(9, 0, &[0xff; 11]), "more than 64 bits"),
        (bytes_field(3, &bytes_field(2, &[1, 2])), "`precompiled_charsmap`: expected 4 bytes of length, got 2"),
        (bytes_field(3, &bytes_field(2, &[8, 0, 0, 0, 1])), "`precompiled_charsmap`: expected a trie"),
    ] {
        let error = refused(&siglip(), "spiece.model", |bytes| more(bytes, tail));
        assert!(error.contains(says), "{says}: {error}");
    }
    assert!(refused(&siglip(), "spiece.model", |_| Vec::new()).contains("one piece for what is unknown"));
}

#[test]
fn padding_that_is_seen_has_to_be_named() {
    let home = tempfile::tempdir().unwrap();
    let fixture = fixtures("tokens/siglip2");
    fs::copy(fixture.join("tokenizer.json"), home.path().join("tokenizer.json")).unwrap();
    let config = config("families/siglip2", "siglip", 64);
    let mut settings = read_json(&fixture.join("tokenizer_config.json"));
    settings.as_object_mut().unwrap().remove("pad_token");
    let load = |settings: &Value| {
        fs::write(home.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
        Tokenizer::load(&home.path(), &config).map(|tokenizer| tokenizer.unwrap().encode(&["a red cube"]).unwrap())
    };
    let named = load(&read_json(&fixture.join("tokenizer_config.json"))).unwrap();
    // The tokenizer.json of this folder names one as well, unless that is taken away.
    let mut json = read_json(&fixture.join("tokenizer.json"));
    json["padding"] = Value::Null;
    fs::write(home.path().join("tokenizer.json"), json.to_string()).unwrap();
    // Gemma's class has one of its own, others have none.
    assert_eq!(load(&settings).unwrap(), named);
    settings["tokenizer_class"] = json!("PreTrainedTokenizerFast");
    let error = load(&settings).unwrap_err().to_string();
    assert!(error.contains("`pad_token`: expected the token that texts are padded with, got no such key"), "{error}");
    fs::write(home.path().join("special_tokens_map.json"), r#"{"pad_token": {"content": "<pad>"}}"#).unwrap();
    assert_eq!(load(&settings).unwrap(), named);
    fs::write(home.path().join("special_tokens_map.json"), r#"{"pad_token": "<bos>"}"#).unwrap();
    assert_ne!(load(&settings).unwrap(), named);
}

#[test]
fn open_clip_cleans_texts_first() {
    let open_clip = |cleaning| {
        let json = read_json(&fixtures("families/open_clip/open_clip_config.json"));
        let config = ModelConfig::parse_open_clip(&json, "open_clip_config.json").unwrap();
        assert_eq!(
            config.open_clip_tokenizer,
            Some(OpenClipTokenizer { library: None, cleaning: Cleaning::Lower, strip_separator: false })
        );
        let config = ModelConfig {
            open_clip_tokenizer: Some(OpenClipTokenizer { library: None, cleaning, strip_separator: false }),
            ..config
        };
        Tokenizer::load(&fixtures("families/open_clip").as_path(), &config).unwrap().unwrap()
    };
    let ids = |cleaning, text: &str| open_clip(cleaning).encode_truncated(&[text]).unwrap();
    for cleaning in [Cleaning::Whitespace, Cleaning::Lower, Cleaning::Canonicalize] {
        assert_eq!(ids(cleaning, "  a\u{a0} red\n\tcube "), ids(cleaning, "a red cube"), "{cleaning:?}");
    }
    assert_eq!(ids(Cleaning::Canonicalize, "a_red, cube!"), ids(Cleaning::Canonicalize, "a red cube"));
    assert_ne!(ids(Cleaning::Lower, "a_red, cube!"), ids(Cleaning::Lower, "a red cube"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever a download did to it: an error, or a tokenizer that gives ids, at once and without a panic.
    #[test]
    fn damaged_models_are_no_danger(
        at in any::<proptest::sample::Index>(),
        damage in proptest::collection::vec(any::<u8>(), 1..12),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let home = tempfile::tempdir().unwrap();
        let fixture = fixtures("tokens/siglip");
        fs::copy(fixture.join("tokenizer_config.json"), home.path().join("tokenizer_config.json")).unwrap();
        let mut bytes = fs::read(fixture.join("spiece.model")).unwrap();
        let at = at.index(bytes.len());
        for (byte, damage) in bytes[at..].iter_mut().zip(&damage) {
            *byte = *damage;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(home.path().join("spiece.model"), bytes).unwrap();
        match Tokenizer::load(&home.path(), &siglip()) {
            Err(error) => prop_assert!(error.is_bad_input(), "{error}"),
            Ok(tokenizer) => for caption in captions().iter().step_by(10) {
                if let Err(error) = tokenizer.as_ref().unwrap().encode_truncated(&[caption]) {
                    prop_assert!(error.is_bad_input(), "{error}");
                }
            },
        }
    }
}
