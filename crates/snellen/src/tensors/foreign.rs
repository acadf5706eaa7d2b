//! What a file is that holds no tensors for us: its name, and the command that makes one of it that does.
//!
//! A pickle runs what it says when it is read, so none is read here: PyTorch's `.pt` and arrays of objects are named and left alone.

use std::path::Path;

/// First bytes of a file that are looked at.
pub(super) const LOOKED_AT: usize = 4096;

/// A file of another format.
#[derive(Debug, PartialEq)]
pub(super) struct Foreign {
    /// What it is.
    pub(super) what: &'static str,
    /// What helps, with its command.
    pub(super) helps: String,
}

/// Formats by their first bytes.
const MAGIC: [(&[u8], &str, Way); 19] = [
    (
        b"PAR1",
        "a Parquet file",
        Way::Numpy("pandas", "pandas.read_parquet(FILE).select_dtypes('number').to_numpy('float32')"),
    ),
    (
        b"ARROW1",
        "an Arrow file",
        Way::Numpy("pandas", "pandas.read_feather(FILE).select_dtypes('number').to_numpy('float32')"),
    ),
    (
        b"\xff\xff\xff\xff",
        "an Arrow stream, as datasets keeps tables",
        Way::Numpy(
            "pyarrow",
            "pyarrow.ipc.open_stream(open(FILE, 'rb')).read_all().to_pandas().select_dtypes('number').to_numpy('float32')",
        ),
    ),
    (
        b"FEA1",
        "a Feather file",
        Way::Numpy("pandas", "pandas.read_feather(FILE).select_dtypes('number').to_numpy('float32')"),
    ),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", Way::Numpy("h5py", "h5py.File(FILE)['NAME'][:]")),
    (b"CDF", "a NetCDF file", Way::Numpy("xarray", "xarray.open_dataset(FILE)['NAME'].to_numpy()")),
    (b"MATLAB 5.0", "a MATLAB file", Way::Numpy("scipy.io", "scipy.io.loadmat(FILE)['NAME']")),
    (b"MATLAB 7.3", "a MATLAB file", Way::Numpy("h5py", "h5py.File(FILE)['NAME'][:].T")),
    (b"GGUF", "a GGUF file", Way::Say("it holds weights of a language model, no activations")),
    (b"\x1f\x8b", "a gzip file", Way::Say("`gunzip FILE` unpacks it")),
    (b"BZh", "a bzip2 file", Way::Say("`bunzip2 FILE` unpacks it")),
    (b"\xfd7zXZ\0", "an xz file", Way::Say("`unxz FILE` unpacks it")),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", Way::Say("`zstd -d FILE` unpacks it")),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", Way::Say("`7z x FILE` unpacks it")),
    (
        b"version https://git-lfs",
        "what Git LFS leaves in a file's place",
        Way::Say("`git lfs pull` gets the file itself"),
    ),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a file of torch.save, a pickle", Way::Torch),
    (b"\x89PNG", "a picture", Way::Say("activations are numbers; `snellen record` makes them from pictures")),
    (b"\xff\xd8\xff", "a picture", Way::Say("activations are numbers; `snellen record` makes them from pictures")),
    (b"<", "a page or XML", Way::Say("a download may have been answered with a page")),
];

/// How another format becomes one that is read.
#[derive(Clone, Copy)]
enum Way {
    /// A module of Python, and an expression with the numbers.
    Numpy(&'static str, &'static str),
    /// Of PyTorch, one tensor or several by name.
    Torch,
    /// In words.
    Say(&'static str),
}

/// What the file at `path` is, which begins with `head`; `None` where nothing speaks against safetensors.
pub(super) fn foreign(path: &Path, head: &[u8]) -> Option<Foreign> {
    let named = |what: &'static str, way: Way| Some(Foreign { what, helps: helps(path, way) });
    if is_safetensors(head) {
        return None;
    }
    if head.is_empty() {
        return named("an empty file", Way::Say("safetensors, .npy and .npz are read"));
    }
    if let Some((_, what, way)) = MAGIC.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return named(what, *way);
    }
    if head.get(257..262) == Some(b"ustar") {
        return named("a tar archive", Way::Say("`tar -xf FILE` unpacks it"));
    }
    if matches!(head, [0x80, 2..=5, ..]) {
        return named(
            "a pickle, which can run code and is never read",
            Way::Say("numpy.save(\"acts.npy\", x) where it was made keeps a matrix of numbers"),
        );
    }
    text(head).map(|text| of_text(path, text)).and_then(|(what, way)| named(what, way))
}

/// Whether a file begins as safetensors do: the length of a header, then its JSON. Such a length may look like another format's
/// first bytes.
fn is_safetensors(head: &[u8]) -> bool {
    head.get(8) == Some(&b'{') && head[4..8] == [0; 4]
}

/// What an archive (zip) of others is, by the names in it; `None` where it may be NumPy's.
pub(super) fn foreign_archive<'a>(path: &Path, mut names: impl Iterator<Item = &'a str>) -> Option<Foreign> {
    let found = names.find_map(|name| match name {
        "[Content_Types].xml" => Some((
            "a spreadsheet or document",
            Way::Numpy("pandas", "pandas.read_excel(FILE).select_dtypes('number').to_numpy('float32')"),
        )),
        _ if name == "data.pkl" || name.ends_with("/data.pkl") => Some(("a file of torch.save, a pickle", Way::Torch)),
        _ => None,
    });
    found.map(|(what, way)| Foreign { what, helps: helps(path, way) })
}

/// The command that makes one matrix of a sparse one.
pub(super) fn sparse(path: &Path) -> String {
    helps(path, Way::Numpy("scipy.sparse", "scipy.sparse.load_npz(FILE).toarray()"))
}

/// The beginning of a file as text, if it is one.
fn text(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character that is cut off.
        Err(error) if head.len() - error.valid_up_to() < 4 => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!text.contains(control)).then_some(text)
}

fn of_text(path: &Path, text: &str) -> (&'static str, Way) {
    let line = text.lines().next().unwrap_or_default();
    if matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[')) {
        return ("a JSON file", Way::Numpy("json", "numpy.array(json.load(open(FILE)), 'float32')"));
    }
    let tabs = line.contains('\t');
    let numbers = |separator: char| line.split(separator).all(|cell| cell.trim().parse::<f64>().is_ok());
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if tabs {
        let way = if numbers('\t') {
            "numpy.loadtxt(FILE, delimiter='\\t', dtype='float32', ndmin=2)"
        } else {
            "pandas.read_csv(FILE, sep='\\t').select_dtypes('number').to_numpy('float32')"
        };
        return ("a table of text with tabs", Way::Numpy(module(way), way));
    }
    if line.contains(',') || ending.eq_ignore_ascii_case("csv") {
        let way = if numbers(',') {
            "numpy.loadtxt(FILE, delimiter=',', dtype='float32', ndmin=2)"
        } else {
            "pandas.read_csv(FILE).select_dtypes('number').to_numpy('float32')"
        };
        return ("a CSV file", Way::Numpy(module(way), way));
    }
    if line.split_whitespace().all(|cell| cell.parse::<f64>().is_ok()) {
        return ("a table of text", Way::Numpy("numpy", "numpy.loadtxt(FILE, dtype='float32', ndmin=2)"));
    }
    ("a text file", Way::Say("safetensors, .npy and .npz are read"))
}

/// The module that an expression begins with.
fn module(expression: &'static str) -> &'static str {
    expression.split('.').next().unwrap_or_default()
}

/// What helps, with the file's own name where a shell takes it as it is.
fn helps(path: &Path, way: Way) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let name = path.to_str().filter(|name| name.chars().all(plain) && !name.starts_with('-')).unwrap_or("FILE");
    let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.chars().all(plain)).unwrap_or("acts");
    match way {
        Way::Say(what) => what.replace("FILE", name),
        Way::Numpy(module, expression) => {
            let import = if module == "numpy" { "numpy".to_owned() } else { format!("numpy, {module}") };
            let expression = expression.replace("FILE", &format!("'{name}'"));
            format!("`python -c \"import {import}; numpy.save('{stem}.npy', {expression})\"` converts it")
        }
        Way::Torch => format!(
            "`python -c \"import torch; from safetensors.torch import save_file; x = torch.load('{name}', \
             map_location='cpu', weights_only=True); x = x if isinstance(x, dict) else {{'{stem}': x}}; \
             save_file({{k: v.contiguous() for k, v in x.items()}}, '{stem}.safetensors')\"` converts it"
        ),
    }
}
