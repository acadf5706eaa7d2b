//! `measure.json`: that the tables beside it are whole and of one measurement.
//!
//! Tables replace those of an earlier measurement together: they are written aside, then the mark is removed, then the old tables,
//! then the new ones are renamed into place, and last the new mark is written. Whenever that ends, what is there is of one
//! measurement; that nothing of it is missing is what the mark says, by name and hash of each.

use crate::measure::encodes::Criterion;
use crate::output::{durable, fault, in_folder, write_file};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The mark's name, beside the tables.
pub const FILE: &str = "measure.json";

/// The `schema` that is written and read.
pub const SCHEMA: u32 = 1;

/// What the names of tables end in.
const TABLE: &str = "parquet";

/// The largest mark that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The contents of `measure.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of snellen that measured.
    pub snellen: String,
    /// What was measured by.
    pub criterion: Criterion,
    /// The tables' names, and the BLAKE3 of each in hexadecimal.
    pub tables: BTreeMap<String, String>,
}

impl Mark {
    /// The mark in `folder`; `None` where there is none: nothing was measured, by an earlier version, or not to the end.
    ///
    /// # Errors
    /// When it is malformed or of another schema.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(Error::io(&path))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(&path))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::mismatch(path.display(), format!("at most {MAX_BYTES} bytes"), "more"));
        }
        let malformed = |source| Error::malformed(path.display(), source);
        let head: Head = serde_json::from_slice(&bytes).map_err(malformed)?;
        if head.schema != SCHEMA {
            return Err(Error::mismatch(format!("{}: `schema`", path.display()), SCHEMA, head.schema));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(malformed)
    }

    /// Whether all tables in `folder` are what this says of them.
    ///
    /// # Errors
    /// Names the first one that is missing or another.
    pub fn check(&self, folder: &Path) -> Result<()> {
        self.tables.iter().try_for_each(|(name, hash)| {
            let path = folder.join(name);
            let got = hash_of(&path)?;
            if got == *hash {
                return Ok(());
            }
            let expected = format!("hash {hash}, as {FILE} says; measure again");
            Err(Error::mismatch(path.display(), expected, got))
        })
    }

    /// Whether the table at `path` is what the mark beside it says, where there is one that speaks of it.
    ///
    /// # Errors
    /// When it is another.
    pub(in crate::measure) fn check_table(path: &Path) -> Result<()> {
        let Some(mut mark) = Self::read(durable::parent(path))? else { return Ok(()) };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        mark.tables.retain(|table, _| *table == name);
        mark.check(durable::parent(path))
    }
}

/// Tables that are to appear together.
pub struct TableSet {
    folder: PathBuf,
    aside: TempDir,
}

impl TableSet {
    /// Begins tables that are to stand in `folder`. Who does so has the claim on its mark, where others may do the same.
    pub fn begin(folder: &Path) -> Result<Self> {
        let aside = in_folder(folder, Path::new(FILE)).map_err(Error::io(folder))?;
        Ok(Self { folder: folder.to_owned(), aside })
    }

    /// Where to write them meanwhile.
    pub fn path(&self) -> &Path {
        self.aside.path()
    }

    /// Puts what was written in place of the tables in the folder, and marks it as measured by `criterion`.
    pub fn replace(self, criterion: &Criterion) -> Result<()> {
        let (folder, mark) = (&self.folder, self.folder.join(FILE));
        let new = names(self.path())?;
        let hash = |name: &String| Ok((name.clone(), hash_of(&self.path().join(name))?));
        let tables = new.iter().map(hash).collect::<Result<_>>()?;
        let snellen = env!("CARGO_PKG_VERSION").to_owned();
        let contents = Mark { schema: SCHEMA, snellen, criterion: *criterion, tables };
        let mut json = serde_json::to_vec_pretty(&contents).map_err(|e| Error::malformed(mark.display(), e))?;
        json.push(b'\n');
        remove(&mark)?;
        durable::folder(folder)?;
        new.iter().try_for_each(|name| remove(&folder.join(name)))?;
        for name in &new {
            let path = folder.join(name);
            fs::rename(self.path().join(name), &path).map_err(Error::io(&path))?;
            fault::point(&path)?;
        }
        durable::folder(folder)?;
        write_file(&mark, &json)
    }
}

/// The tables in `folder`, in byte order.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let name =
            path.file_name().and_then(|name| name.to_str()).filter(|_| path.extension().is_some_and(|e| e == TABLE));
        names.extend(name.map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn remove(path: &Path) -> Result<()> {
    fault::point(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

fn hash_of(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(Error::io(path))?;
    hasher.update_reader(file).map_err(Error::io(path))?;
    Ok(hasher.finalize().to_hex().to_string())
}
