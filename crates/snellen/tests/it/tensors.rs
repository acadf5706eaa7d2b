//! Matrices from files that numpy wrote, and from files that nobody should have.

use proptest::prelude::*;
use snellen::tensors::Tensors;
use std::fs;
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays").join(name)
}

fn expected(sign: f64) -> Vec<f64> {
    (0..12).map(|at| sign * (f64::from(10 * (at / 4) + at % 4) + 0.5)).collect()
}

#[test]
fn arrays_of_numpy_are_read() {
    for name in ["c", "fortran", "half", "big_endian", "version_2", "bf16"] {
        let tensors = Tensors::open(&path(&format!("{name}.npy"))).unwrap();
        assert_eq!(tensors.names().collect::<Vec<_>>(), [name]);
        assert_eq!(tensors.shape(name).unwrap(), [3, 4]);
        assert_eq!(tensors.choose_one(None, "other", 3).unwrap().names, [name]);
        assert_eq!(tensors.numbers(name, |x| x).unwrap(), expected(1.0), "{name}");
    }
    for name in ["plain.npz", "packed.npz"] {
        let tensors = Tensors::open(&path(name)).unwrap();
        assert_eq!(tensors.names().collect::<Vec<_>>(), ["layer 0", "layer 1"]);
        assert_eq!(tensors.numbers("layer 0", |x| x).unwrap(), expected(1.0));
        assert_eq!(tensors.numbers("layer 1", |x| x).unwrap(), expected(-1.0));
        assert_eq!(tensors.choose_one(None, "layer 1", 3).unwrap().names, ["layer 1"]);
        let refused = tensors.choose_one(None, "layer 2", 3).unwrap_err().to_string();
        assert!(refused.contains("`layer 2`") && refused.contains("\"layer 0\" (f32 [3, 4])"), "{refused}");
        assert!(tensors.numbers("layer 2", |x| x).is_err());
    }
}

/// What is said of the file of `bytes`.
fn refusal(bytes: &[u8]) -> String {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a.npy");
    fs::write(&file, bytes).unwrap();
    let read = || {
        let tensors = Tensors::open(&file)?;
        let name = tensors.choose_one(None, "a", 3)?.names.remove(0);
        tensors.shape(&name)?;
        tensors.numbers(&name, |x| x)
    };
    read().unwrap_err().to_string()
}

#[test]
fn what_is_no_matrix_of_floats_is_refused_by_name() {
    let says = |name: &str, words: &[&str]| {
        let said = refusal(&fs::read(path(name)).unwrap());
        assert!(said.contains("a.npy") && words.iter().all(|word| said.contains(word)), "{said}");
    };
    says("cube.npy", &["\"a\"", "[image, unit]", "f32 [1, 3, 4]", "x.mean(1)"]);
    says("objects.npy", &["a matrix of numbers", "objects", "pickles", "never read"]);
    says("float8.npy", &["a matrix of numbers", "bytes without a type (V1)", ".astype('float32')"]);
    says("sparse.npz", &["a sparse matrix", "scipy.sparse.load_npz", ".toarray()"]);
}

#[test]
fn numbers_of_every_type_are_read() {
    let read = |name: &str| {
        let tensors = Tensors::open(&path("types.npz")).unwrap();
        tensors.numbers(name, |x| x).unwrap()
    };
    for name in ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "gi4", "gi8", "gu2", "gf2", "gf8"] {
        assert_eq!(read(name), [0.0, 1.0, 2.0, 120.0], "{name}");
    }
    assert_eq!(read("b1"), [0.0, 1.0, 1.0, 1.0]);
    for (name, sign) in [("i1", -1.0), ("i4", -1.0), ("i8", -1.0), ("gi2", -1.0)] {
        assert_eq!(read(&format!("negative_{name}")), [0.0, sign, 2.0 * sign, 120.0 * sign], "{name}");
    }
}

/// What is chosen of `beside.npz` for 3 images, and what is left alone.
fn chosen(asked: &[&str], rows: usize) -> Result<(Vec<String>, Vec<String>), String> {
    let tensors = Tensors::open(&path("beside.npz")).unwrap();
    let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
    let chosen = tensors.choose(&asked, rows, "row of labels.csv").map_err(|error| error.to_string())?;
    Ok((chosen.names, chosen.left_alone))
}

#[test]
fn tensors_are_chosen_by_name_or_where_nothing_else_can_be_meant() {
    let (names, left) = chosen(&[], 3).unwrap();
    assert_eq!(names, ["acts", "layer 1, x"]);
    assert_eq!(
        left,
        [
            "\"cube\" (f32 [3, 2, 4])",
            "\"epoch\" (i64 [])",
            "\"fields\" (fields [3])",
            "\"labels\" (i64 [3])",
            "\"onehot\" (i64 [3, 2])",
            "\"paths\" (pickled objects [3])",
            "\"scores\" (f32 [3])",
            "\"texts\" (text [3])",
            "\"weights\" (f32 [4, 4])",
        ]
    );
    // By name: integers too, in the order that was asked for, and names with commas.
    let some = |asked: &[&str]| chosen(asked, 3).unwrap().0;
    assert_eq!(some(&["onehot"]), ["onehot"]);
    assert_eq!(some(&["layer 1, x,acts"]), ["layer 1, x", "acts"]);
    assert_eq!(some(&["onehot", "acts"]), ["onehot", "acts"]);
    for (asked, says) in [
        (&["act"][..], "\"act\": expected a tensor of this file"),
        (&["acts,acts"], "\"acts\": expected a tensor once"),
        (&["weights"], "\"weights\": expected 3 rows, one for each row of labels.csv, got 4 ([4, 4])"),
        (&["cube"], "\"cube\": expected a matrix [image, unit]"),
        (&["paths"], "never read"),
        (&["texts"], "expected a matrix of numbers, got text"),
    ] {
        let said = chosen(asked, 3).unwrap_err();
        assert!(said.contains(says), "{asked:?}: {said}");
    }
    assert!(chosen(&["act"], 3).unwrap_err().contains("\"acts\" (f32 [3, 4])"));
    let none = chosen(&[], 5).unwrap_err();
    assert!(
        none.contains("floats with 5 rows") && none.contains("--tensors") && none.contains("\"weights\" (f32 [4, 4])"),
        "{none}"
    );
    assert!(chosen(&["acts"], 4).unwrap_err().contains("got 3 ([3, 4]); its columns are as many"));
}

#[test]
fn formats_that_are_not_read_are_named_with_what_converts_them() {
    let home = tempfile::tempdir().unwrap();
    let said = |name: &str, bytes: &[u8]| {
        let file = home.path().join(name);
        fs::write(&file, bytes).unwrap();
        Tensors::open(&file).err().unwrap_or_else(|| panic!("{name} was read")).to_string()
    };
    let mut tar = [0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (name, bytes, says) in [
        ("acts.parquet", &b"PAR1\x15\x04"[..], &["a Parquet file", "pandas.read_parquet"][..]),
        ("acts.csv", b"0.5,1\n2,3\n", &["a CSV file", "numpy.loadtxt"]),
        ("acts.csv", b"\"name\",u0\na,1\n", &["a CSV file", "pandas.read_csv"]),
        ("acts.tsv", b"a\tb\n1\t2\n", &["with tabs", "sep='\\t'"]),
        ("acts.txt", b"1 2 3\n4 5 6\n", &["a table of text", "numpy.loadtxt"]),
        ("acts.json", b"[[1, 2]]", &["a JSON file", "json.load"]),
        ("acts.arrow", b"ARROW1\0\0", &["an Arrow file", "read_feather"]),
        ("acts.arrow", b"\xff\xff\xff\xff\x78\0\0\0", &["an Arrow stream", "open_stream"]),
        ("acts.h5", b"\x89HDF\r\n\x1a\n", &["an HDF5 file", "h5py"]),
        ("acts.mat", b"MATLAB 5.0 MAT-file", &["a MATLAB file", "loadmat"]),
        ("acts.npy.gz", b"\x1f\x8b\x08\0", &["a gzip file", "gunzip"]),
        ("acts.tar", &tar, &["a tar archive", "tar -xf"]),
        ("acts.pkl", b"\x80\x04\x95\x10\0\0\0\0\0\0\0", &["a pickle", "never read"]),
        ("acts.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", &["torch.save", "weights_only=True"]),
        ("acts.safetensors", b"version https://git-lfs.github.com/spec/v1\n", &["Git LFS", "git lfs pull"]),
        ("acts.safetensors", b"<!DOCTYPE html>\n", &["a page"]),
        ("acts.npy", b"", &["an empty file"]),
        ("acts.bin", &[7; 40], &["expected safetensors, .npy or .npz"]),
    ] {
        let said = said(name, bytes);
        assert!(said.contains(name) && says.iter().all(|words| said.contains(words)), "{name}: {said}");
    }
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("acts/data.pkl", zip::write::SimpleFileOptions::default()).unwrap();
    assert!(said("acts.pt", &zip.finish().unwrap().into_inner()).contains("torch.save"));
    assert!(Tensors::open(home.path()).err().unwrap().to_string().contains("a folder"));
}

/// `c.npy` with another header.
fn with_header(text: &str) -> Vec<u8> {
    let whole = fs::read(path("c.npy")).unwrap();
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(&whole[whole.len() - 48..]);
    bytes
}

#[test]
fn files_that_lie_are_refused_at_once() {
    let header = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n");
    assert!(refusal(&with_header(&header("3, 5"))).contains("data for [3, 5]"));
    for shape in [
        "4294967295, 4294967295",
        "18446744073709551615, 2",
        "0, 4",
        "3",
        "",
        "-3, 4",
        "a, b",
        "99999999999999999999, 1",
    ] {
        refusal(&with_header(&header(shape)));
    }
    // Nested, so that a parser might run out of stack.
    for (open, close) in [("(", ")"), ("[", "]"), ("{", "}")] {
        let nested = format!("{{'descr': {}{}}}", open.repeat(1900), close.repeat(1900));
        refusal(&with_header(&nested));
    }
    let npy = fs::read(path("c.npy")).unwrap();
    for length in 0..npy.len() {
        refusal(&npy[..length]);
    }
    let npz = fs::read(path("packed.npz")).unwrap();
    for length in 0..npz.len() {
        refusal(&npz[..length]);
    }
    // An archive that says that it unpacks to 64 GiB.
    let mut large = fs::read(path("packed.npz")).unwrap();
    let size = 176_u32.to_le_bytes();
    let places: Vec<usize> = (0..large.len() - 4).filter(|at| large[*at..at + 4] == size).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| large[at..at + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes()));
    assert!(refusal(&large).contains("another size"));
}

proptest! {
    #[test]
    fn bytes_that_change_are_read_or_refused(at in 0_usize..560, to: u8, which in 0_usize..3) {
        let mut bytes = fs::read(path(["c.npy", "plain.npz", "packed.npz"][which])).unwrap();
        let at = at % bytes.len();
        bytes[at] = to;
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.npy");
        fs::write(&file, bytes).unwrap();
        if let Ok(tensors) = Tensors::open(&file) {
            for name in tensors.names() {
                if let Ok(numbers) = tensors.numbers(name, |x| x) {
                    let [rows, columns] = tensors.shape(name).unwrap();
                    prop_assert_eq!(numbers.len(), rows * columns);
                }
            }
        }
    }
}
