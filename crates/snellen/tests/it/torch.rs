//! Files of PyTorch against what PyTorch reads from them, and files that nobody should read.

use proptest::prelude::*;
use safetensors::Dtype;
use serde_json::{Value as Json, json};
use snellen::torch::{Kind, TorchFile, Value};
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch").join(name)
}

fn expected() -> serde_json::Map<String, Json> {
    let json: Json = serde_json::from_slice(&fs::read(fixture("expected.json")).unwrap()).unwrap();
    json.as_object().unwrap().clone()
}

/// The numbers of a tensor as JSON has them.
fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<Json> {
    fn each<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> Json) -> Vec<Json> {
        bytes.as_chunks().0.iter().map(|b| one(*b)).collect()
    }
    match dtype {
        Dtype::F64 => each(bytes, |b| json!(f64::from_le_bytes(b))),
        Dtype::F32 | Dtype::C64 => each(bytes, |b| json!(f32::from_le_bytes(b) as f64)),
        Dtype::F16 => each(bytes, |b| json!(half::f16::from_le_bytes(b).to_f64())),
        Dtype::BF16 => each(bytes, |b| json!(half::bf16::from_le_bytes(b).to_f64())),
        Dtype::I64 => each(bytes, |b| json!(i64::from_le_bytes(b))),
        Dtype::I32 => each(bytes, |b| json!(i32::from_le_bytes(b))),
        Dtype::I16 => each(bytes, |b| json!(i16::from_le_bytes(b))),
        Dtype::I8 => each(bytes, |b| json!(i8::from_le_bytes(b))),
        Dtype::U8 => each(bytes, |b: [u8; 1]| json!(b[0])),
        Dtype::U16 => each(bytes, |b| json!(u16::from_le_bytes(b))),
        Dtype::U32 => each(bytes, |b| json!(u32::from_le_bytes(b))),
        Dtype::U64 => each(bytes, |b| json!(u64::from_le_bytes(b))),
        Dtype::BOOL => each(bytes, |b: [u8; 1]| json!(b[0] == 1)),
        Dtype::F8_E4M3 => each(bytes, |b: [u8; 1]| json!(f8(b[0], 3, 7))),
        Dtype::F8_E5M2 => each(bytes, |b: [u8; 1]| json!(f8(b[0], 2, 15))),
        Dtype::F8_E4M3FNUZ => each(bytes, |b: [u8; 1]| json!(f8(b[0], 3, 8))),
        Dtype::F8_E5M2FNUZ => each(bytes, |b: [u8; 1]| json!(f8(b[0], 2, 16))),
        other => panic!("{other:?}"),
    }
}

/// A number of eight bits that is finite: so many bits of fraction, and this bias.
fn f8(byte: u8, fraction: u32, bias: i32) -> f64 {
    let (low, exponent) = (byte & ((1 << fraction) - 1), (byte & 0x7f) >> fraction);
    let part = f64::from(low) / f64::from(1 << fraction);
    if exponent == 0 { part * 2_f64.powi(1 - bias) } else { (1.0 + part) * 2_f64.powi(i32::from(exponent) - bias) }
}

fn as_json(file: &TorchFile, value: Value<'_>) -> Json {
    if let Some(tensor) = file.tensor(value).unwrap() {
        let bytes = file.bytes(&tensor).unwrap();
        let kind = format!("{:?}", tensor.dtype);
        return json!({"tensor": kind, "shape": tensor.shape, "numbers": numbers(tensor.dtype, &bytes)});
    }
    match value.kind() {
        Kind::None => Json::Null,
        Kind::Bool(value) => json!(value),
        Kind::Int(Some(value)) => json!(value),
        Kind::Int(None) => json!({"beyond": true}),
        Kind::Float(value) => json!(value),
        Kind::Text(text) => json!(text),
        Kind::Bytes(bytes) => json!({"bytes": bytes}),
        Kind::List => json!({"list": value.items().map(|item| as_json(file, item)).collect::<Vec<_>>()}),
        Kind::Dict => {
            let pair = |(key, item)| json!([as_json(file, key), as_json(file, item)]);
            json!({"dict": value.entries().map(pair).collect::<Vec<_>>()})
        }
        Kind::Name(name) => json!({"name": name}),
        Kind::Tensor | Kind::Module(_) => panic!("{}", value.described()),
    }
}

/// Whether two values are the same, numbers as numbers.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            a.as_f64() == b.as_f64() && a.as_i64().zip(b.as_i64()).is_none_or(|(a, b)| a == b)
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn every_value_and_tensor_is_what_pytorch_reads() {
    let expected = expected();
    assert!(expected.len() >= 12, "{}", expected.len());
    for (name, expected) in expected {
        let file = TorchFile::open(&fixture(&format!("{name}.pt"))).unwrap_or_else(|e| panic!("{e}"));
        if name == "script" {
            let state = file.state().unwrap();
            assert!(file.is_script());
            assert_eq!(state.tensors.len(), expected.as_object().unwrap().len());
            for (name, tensor) in state.tensors {
                let got = numbers(tensor.dtype, &file.bytes(&tensor).unwrap());
                let got = json!({"tensor": format!("{:?}", tensor.dtype), "shape": tensor.shape, "numbers": got});
                assert!(same(&got, &expected[&name]), "{name}: {got} and not {}", expected[&name]);
            }
            continue;
        }
        assert!(!file.is_script());
        let got = as_json(&file, file.root());
        let (Some(got), Some(want)) = (got["dict"].as_array(), expected["dict"].as_array()) else { panic!("{name}") };
        assert_eq!(got.len(), want.len(), "{name}");
        for (got, want) in got.iter().zip(want) {
            assert!(same(got, want), "{name}: {got} and not {want}");
        }
    }
}

#[test]
fn values_are_found_by_name() {
    let file = TorchFile::open(&fixture("values.pt")).unwrap();
    let root = file.root();
    assert_eq!(root.get("large").unwrap().int(), Some(1 << 40));
    assert_eq!(root.get("large").unwrap().float(), Some(2_f64.powi(40)));
    assert_eq!(root.get("float").unwrap().float(), Some(0.1));
    assert_eq!(root.get("text").unwrap().text(), Some("naïve ☃"));
    assert_eq!(root.get("ordered").unwrap().get("b").unwrap().int(), Some(2));
    assert!(root.get("nothing").is_none() && root.get("text").unwrap().get("x").is_none());
    let state = file.state().unwrap();
    assert_eq!(state.tensors.keys().collect::<Vec<_>>(), ["tensor"]);
    assert!(state.beside.contains(&"counted (a dictionary)".to_owned()), "{:?}", state.beside);
}

#[test]
fn the_weights_of_a_training_checkpoint_are_found_and_the_rest_is_named() {
    let state = TorchFile::open(&fixture("training.pt")).unwrap().state().unwrap();
    assert_eq!(state.tensors.keys().collect::<Vec<_>>(), ["module.bias", "module.weight"]);
    assert_eq!(
        state.beside,
        ["epoch (a whole number)", "name (a text)", "optimizer (a dictionary)", "scaler (a dictionary)"]
    );
}

fn refusal(path: &Path) -> String {
    let error = match TorchFile::open(path) {
        Ok(file) => file.state().err().unwrap_or_else(|| panic!("{} was read", path.display())),
        Err(error) => error,
    };
    assert!(error.is_bad_input(), "{error}");
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    error.to_string()
}

#[test]
fn what_is_not_data_is_refused_by_name_and_place() {
    for (name, says) in [
        ("module", "`__main__.Outer`"),
        ("module_legacy", "`__main__.Outer`"),
        ("called", "`posix.getpid`"),
        ("called_protocol_4", "`posix.getpid`"),
        ("called_legacy", "`posix.getpid`"),
        ("settings", "`__main__.Settings`"),
        ("sparse", "`torch._utils._rebuild_sparse_tensor`"),
        ("quantized", "`torch._utils._rebuild_qtensor`"),
        ("conjugated", "negated or conjugated"),
        ("complex128", "`torch.ComplexDoubleStorage`"),
        ("list", "a dictionary of tensors, or one under `state_dict`"),
        ("no_tensors", "a dictionary of a (a whole number), b (a dictionary)"),
    ] {
        let error = refusal(&fixture(&format!("refused/{name}.pt")));
        assert!(error.contains(says), "{name}: {error}");
        let place = error.contains(" at byte ") || matches!(name, "list" | "no_tensors");
        assert!(place, "{name}: {error}");
    }
    let seen = fs::read_dir(fixture("refused")).unwrap().count();
    assert_eq!(seen, 12);
}

/// An archive with this pickle, and storages by key.
fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
    use std::io::Write;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(file.path()).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("x/data.pkl", options).unwrap();
    zip.write_all(pickle).unwrap();
    for (key, bytes) in storages {
        zip.start_file(format!("x/data/{key}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    file
}

/// `{'w': tensor}` of a storage of `count` numbers, with this offset, shape and strides.
fn tensor_pickle(count: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let int = |value: i32| [b"J", &value.to_le_bytes()[..]].concat();
    let tuple = |values: &[i32]| [b"(", &values.iter().flat_map(|v| int(*v)).collect::<Vec<_>>()[..], b"t"].concat();
    let mut pickle = b"\x80\x02}".to_vec();
    pickle.extend([text("w"), b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(), text("storage")].concat());
    pickle.extend([b"ctorch\nFloatStorage\n".to_vec(), text("0"), text("cpu"), int(count), b"tQ".to_vec()].concat());
    pickle.extend([int(offset), tuple(shape), tuple(strides), b"\x89NtRs.".to_vec()].concat());
    pickle
}

#[test]
fn tensors_beyond_their_storages_are_refused() {
    let storage = [0_u8; 48];
    let open = |count, offset, shape: &[i32], strides: &[i32]| {
        let file = archive(&tensor_pickle(count, offset, shape, strides), &[("0", &storage)]);
        let torch = TorchFile::open(file.path());
        torch.and_then(|torch| torch.state().map(|state| state.tensors["w"].clone())).map_err(|e| e.to_string())
    };
    assert_eq!(open(12, 0, &[3, 4], &[4, 1]).unwrap().strides, None);
    assert_eq!(open(12, 0, &[4, 3], &[1, 4]).unwrap().strides, Some(vec![1, 4]));
    assert_eq!(open(12, 2, &[2, 5], &[5, 1]).unwrap().span, 40);
    assert_eq!(open(12, 12, &[0], &[1]).unwrap().count(), 0);
    for (count, offset, shape, strides) in [
        (12, 0, &[3, 5][..], &[5, 1][..]),
        (12, 1, &[3, 4], &[4, 1]),
        (12, 0, &[2, 2], &[11, 1]),
        (12, 12, &[], &[]),
        (13, 0, &[3, 4], &[4, 1]),
        (12, -1, &[3], &[1]),
        (-12, 0, &[3], &[1]),
        (12, 0, &[-3], &[1]),
        (12, 0, &[3], &[-1]),
        (12, 0, &[3, 4], &[1]),
        (12, 0, &[i32::MAX, i32::MAX, i32::MAX], &[0, 0, 0]),
        (12, 0, &[i32::MAX, i32::MAX, i32::MAX], &[i32::MAX, i32::MAX, 1]),
        (12, 0, &[1 << 30], &[0]),
        (12, i32::MAX, &[1], &[1]),
    ] {
        let error = open(count, offset, shape, strides).unwrap_err();
        assert!(error.contains("storage `0`") || error.contains(" at byte "), "{shape:?}, {strides:?}: {error}");
    }
    let file = archive(&tensor_pickle(12, 0, &[3], &[1]), &[("1", &storage)]);
    assert!(refusal(file.path()).contains("storage `0`: expected its numbers, got none"));
}

#[test]
fn hostile_pickles_are_refused() {
    let many = |start: &[u8], step: &[u8], count: usize, end: &[u8]| {
        let mut pickle = start.to_vec();
        (0..count).for_each(|_| pickle.extend(step));
        pickle.extend(end);
        pickle
    };
    let nested = many(b"\x80\x02", b"]", 3_000_000, b".");
    // The same pairs, made a dictionary again and again.
    let pairs = many(b"\x80\x02](", b"NN\x86", 1_000_000, b"e\x85q\0ccollections\nOrderedDict\nq\x01");
    let copies = [pairs, many(b"(", b"h\x01h\0R", 20, b"t.")].concat();
    let encoded = [
        b"\x80\x02c_codecs\nencode\nq\0X\0\0\x80\0".to_vec(),
        vec![b'a'; 0x80_0000],
        b"\x85q\x01".to_vec(),
        many(b"(", b"h\0h\x01R", 100, b"t."),
    ];
    for (pickle, says) in [
        (b"".to_vec(), "expected 1 bytes more, got 0"),
        (b"\x80\x02".to_vec(), "expected 1 bytes more"),
        (b"\x80\x02.".to_vec(), "expected a value, got none"),
        (b"\x80\x02X\xff\xff\xff\xff".to_vec(), "expected 4294967295 bytes more"),
        (b"\x80\x05\x8d\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), "expected 18446744073709551615 bytes more"),
        (b"\x80\x02h\x07.".to_vec(), "got number 7"),
        (b"\x80\x02(((t.".to_vec(), "got a list"),
        (b"\x80\x02N(a.".to_vec(), "expected a value, got none"),
        (b"\x80\x02t.".to_vec(), "got no mark"),
        (b"\x80\x02}]a.".to_vec(), "a list or a dictionary to add to"),
        (b"\x80\x02}(K\x01u.".to_vec(), "a value for every key"),
        (b"\x80\x02]Nb.".to_vec(), "to give a state to"),
        (b"\x80\x02N)R.".to_vec(), "a name and the values"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.".to_vec(), "`collections.OrderedDict` applied otherwise"),
        (b"\x80\x02c__builtin__\neval\n.".to_vec(), "`__builtin__.eval`"),
        (b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.".to_vec(), "`posix.system`"),
        (b"\x80\x02c__torch__.m\nM\n)\x81.".to_vec(), "`__torch__.m.M`"),
        (many(b"\x80\x02c", b"x", 5000, b"\nx\n."), "a name that ends with its line"),
        (b"\x80\x02S'x'\n.".to_vec(), "the instruction 'S'"),
        (many(b"\x80\x02", b"(", 5000, b"."), "at most 1024 marks"),
        (many(b"\x80\x02", b"N", 5_000_000, b"."), "at most 4194304 values"),
        (nested, "a dictionary of tensors"),
        (copies, "of values in others"),
        (encoded.concat(), "of values in others"),
        // A list inside itself, and a dictionary.
        (b"\x80\x02]q\0h\0a.".to_vec(), "a dictionary of tensors"),
        (b"\x80\x02}q\0X\x0a\0\0\0state_dicth\0s.".to_vec(), "a dictionary of state_dict (a dictionary)"),
    ] {
        let file = archive(&pickle, &[]);
        let error = refusal(file.path());
        assert!(error.contains(says), "{:?}: {error}", String::from_utf8_lossy(&pickle[..pickle.len().min(40)]));
    }
}

#[test]
fn modules_inside_themselves_end() {
    let pickle = b"\x80\x02c__torch__\nM\nq\0)\x81q\x01}(X\x01\0\0\0ah\x01X\x01\0\0\0bh\x01ub.";
    let home = tempfile::NamedTempFile::new().unwrap();
    let mut out = zip::ZipWriter::new(fs::File::create(home.path()).unwrap());
    for (name, bytes) in [("m/data.pkl", &pickle[..]), ("m/constants.pkl", b"")] {
        use std::io::Write;
        out.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap();
    let error = refusal(home.path());
    assert!(error.contains("64 modules deep"), "{error}");
}

#[test]
fn archives_of_others_are_named() {
    let file = archive(b"", &[]);
    fs::write(file.path(), b"PK\x03\x04 and nothing").unwrap();
    assert!(refusal(file.path()).contains("a whole zip archive, got one that is cut off"));
    fs::write(file.path(), b"\x80\x02}q\0.").unwrap();
    assert!(refusal(file.path()).contains("another pickle, which can run code"));
    fs::write(file.path(), b"no").unwrap();
    assert!(refusal(file.path()).contains("a zip archive or a pickle"));
}

fn check(bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let Ok(torch) = TorchFile::open(file.path()) else { return };
    let Ok(state) = torch.state() else { return };
    for tensor in state.tensors.values() {
        assert!(tensor.count() < 1 << 22);
        let _ = torch.bytes(tensor);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Files that were cut, or of which bytes were changed, are read or refused; nothing panics.
    #[test]
    fn damaged_files_never_panic(
        name in prop::sample::select(vec!["types", "views", "values", "training", "views_legacy", "script", "attributes"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fs::read(fixture(&format!("{name}.pt"))).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(&bytes);
    }

    /// Instructions in any order.
    #[test]
    fn any_pickle_is_read_or_refused(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                &b"("[..], b"t", b"]", b"}", b")", b"a", b"e", b"s", b"u", b"N", b"K\x01", b"J\xff\xff\xff\xff", b"\x88",
                b"X\x01\0\0\0a", b"q\0", b"h\0", b"r\x01\0\0\0", b"\x94", b"0", b"1", b"2", b"\x85", b"\x86", b"\x87", b"R",
                b"b", b"Q", b"\x8f", b"\x90", b"\x8a\x02\x01\x02", b"ctorch._utils\n_rebuild_tensor_v2\n",
                b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", b"X\x07\0\0\0storage", b"\x81",
            ]),
            0..60,
        ),
    ) {
        let pickle = [b"\x80\x02".to_vec(), pieces.concat(), b".".to_vec()].concat();
        check(&fs::read(archive(&pickle, &[("a", &[0; 16])]).path()).unwrap());
    }
}
