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
    for name in ["c", "fortran", "half", "big_endian", "version_2"] {
        let tensors = Tensors::open(&path(&format!("{name}.npy"))).unwrap();
        assert_eq!(tensors.names().collect::<Vec<_>>(), [name]);
        assert_eq!((tensors.shape(name).unwrap(), tensors.one("other").unwrap()), ([3, 4], name));
        assert_eq!(tensors.numbers(name, |x| x).unwrap(), expected(1.0), "{name}");
    }
    for name in ["plain.npz", "packed.npz"] {
        let tensors = Tensors::open(&path(name)).unwrap();
        assert_eq!(tensors.names().collect::<Vec<_>>(), ["layer 0", "layer 1"]);
        assert_eq!(tensors.numbers("layer 0", |x| x).unwrap(), expected(1.0));
        assert_eq!(tensors.numbers("layer 1", |x| x).unwrap(), expected(-1.0));
        assert_eq!(tensors.one("layer 1").unwrap(), "layer 1");
        let refused = tensors.one("layer 2").unwrap_err().to_string();
        assert!(refused.contains("`layer 2`") && refused.contains("\"layer 0\", \"layer 1\""), "{refused}");
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
        let name = tensors.one("a")?.to_owned();
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
    says("integers.npy", &["\"a\"", "f16, f32 or f64", "i8"]);
    says("cube.npy", &["[image, unit]", "[1, 3, 4]"]);
    says("objects.npy", &["f16, f32 or f64", "|O"]);
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
    for shape in ["4294967295, 4294967295", "18446744073709551615, 2", "0, 4", "3", "", "-3, 4", "a, b"] {
        refusal(&with_header(&header(shape)));
    }
    // Nested, so that a parser might run out of stack.
    for (open, close) in [("(", ")"), ("[", "]"), ("{", "}")] {
        let nested = format!("{{'descr': {}{}}}", open.repeat(1900), close.repeat(1900));
        assert!(refusal(&with_header(&nested)).contains("header"));
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
    assert!(refusal(&large).contains("bytes"));
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
