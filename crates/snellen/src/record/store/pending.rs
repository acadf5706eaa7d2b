//! Rows that wait for their shard to be full, within fixed memory however many arrays there are.
//!
//! A shard of a few megabytes times hundreds of sites would be gigabytes. What exceeds [`PENDING_BYTES`] goes to files, one
//! for each array, the fullest first; they are read back once, when the shard is full. They are no part of the result.
//!
//! `Pending::checkpoint` makes all that waits durable, so that a recording that goes on need not compute it again: `checkpoint.json`
//! says how many values of each file are meant, and their hash. What follows them may be torn and is cut off.

use crate::output::{durable, fault, write_file};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The most bytes of rows that wait in memory, over all arrays.
pub const PENDING_BYTES: usize = 1 << 26;

/// What the files hold.
const CHECKPOINT: &str = "checkpoint.json";

/// The `schema` of [`CHECKPOINT`].
const SCHEMA: u32 = 1;

/// Bytes of a value.
const VALUE: usize = size_of::<f32>();

/// Bytes of a file that are read at a time.
const PIECE: usize = 1 << 16;

/// Rows of every array, in memory and in files.
pub(super) struct Pending {
    folder: PathBuf,
    arrays: Vec<Waiting>,
    /// Values in memory, over all arrays.
    held: usize,
    /// Files of rows that wait no longer.
    over: Vec<PathBuf>,
}

#[derive(Clone, Default)]
struct Waiting {
    /// The row of the array that comes first; only what waits for one shard is ever here.
    first: usize,
    /// Values in the file; they come first.
    filed: usize,
    /// Of their bytes.
    hash: blake3::Hasher,
    /// Those of them that the checkpoint speaks of.
    kept: usize,
    held: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    schema: u32,
    arrays: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    first: usize,
    values: usize,
    /// BLAKE3 of the values, f32 in little-endian order, in hexadecimal.
    hash: String,
}

impl Pending {
    /// Nothing yet for each of `arrays` arrays; files are to be in `folder`, where nothing is left from before.
    pub fn begin(folder: &Path, arrays: usize) -> Result<Self> {
        let pending = Self::none(folder, arrays);
        pending.clear()?;
        Ok(pending)
    }

    fn none(folder: &Path, arrays: usize) -> Self {
        Self { folder: folder.to_owned(), arrays: vec![Waiting::default(); arrays], held: 0, over: Vec::new() }
    }

    /// What the last checkpoint in `folder` kept, for arrays the first of whose rows that wait are `first`; an array of which it kept
    /// other rows, or whose file is not what it says, has none.
    pub fn resume(folder: &Path, first: &[usize]) -> Result<Self> {
        let read = fs::read(folder.join(CHECKPOINT)).ok();
        let checkpoint: Option<Checkpoint> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known = checkpoint.filter(|of| of.schema == SCHEMA && of.arrays.len() == first.len());
        let Some(Checkpoint { arrays, .. }) = known else { return Self::begin(folder, first.len()) };
        let mut pending = Self::none(folder, first.len());
        for (array, (kept, first)) in arrays.iter().zip(first).enumerate() {
            let file = pending.path(array, *first);
            let hash = (kept.first == *first && kept.values > 0).then(|| hash(&file, kept.values)).flatten();
            let Some(hash) = hash.filter(|hash| hash.finalize().to_hex().as_str() == kept.hash) else {
                continue;
            };
            let length = (kept.values * VALUE) as u64;
            OpenOptions::new().write(true).open(&file).and_then(|f| f.set_len(length)).map_err(Error::io(&file))?;
            pending.arrays[array] =
                Waiting { first: *first, filed: kept.values, hash, kept: kept.values, held: Vec::new() };
        }
        pending.remove_others()?;
        Ok(pending)
    }

    /// How many values of an array wait.
    pub fn values(&self, array: usize) -> usize {
        self.arrays[array].filed + self.arrays[array].held.len()
    }

    /// How many of them a recording that goes on finds, from the first one on.
    pub fn kept(&self, array: usize) -> usize {
        self.arrays[array].kept
    }

    /// Adds values of an array of which the rows before `first` are in shards.
    pub fn extend(&mut self, array: usize, first: usize, values: &[f32]) -> Result<()> {
        let waiting = &mut self.arrays[array];
        if waiting.filed + waiting.held.len() == 0 {
            waiting.first = first;
        }
        waiting.held.extend_from_slice(values);
        self.held += values.len();
        while self.held * VALUE > PENDING_BYTES {
            let most = (0..self.arrays.len()).max_by_key(|&array| self.arrays[array].held.len()).unwrap_or(0);
            self.file(most)?;
        }
        Ok(())
    }

    /// All values of an array that wait, with place for `more`.
    pub fn all(&self, array: usize, more: usize) -> Result<Vec<f32>> {
        let Waiting { first, filed, held, .. } = &self.arrays[array];
        let mut values = Vec::with_capacity(filed + held.len() + more);
        if *filed > 0 {
            let path = self.path(array, *first);
            let mut file = File::open(&path).map_err(Error::io(&path))?;
            let length = file.metadata().map_err(Error::io(&path))?.len();
            if length != (filed * VALUE) as u64 {
                return Err(Error::mismatch(path.display(), format!("{filed} values"), format!("{length} bytes")));
            }
            let mut piece = vec![0; PIECE];
            while values.len() < *filed {
                let bytes = &mut piece[..((filed - values.len()) * VALUE).min(PIECE)];
                file.read_exact(bytes).map_err(Error::io(&path))?;
                values.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
        }
        values.extend(held);
        Ok(values)
    }

    /// Says that the values of an array that wait are in a shard. Their file stays until [`tidy`](Self::tidy): the shard may not be in its
    /// place yet.
    pub fn forget(&mut self, array: usize) {
        let Waiting { first, filed, held, .. } = std::mem::take(&mut self.arrays[array]);
        self.held -= held.len();
        if filed > 0 {
            self.over.push(self.path(array, first));
        }
    }

    /// Removes the files of values that wait no longer.
    pub fn tidy(&mut self) -> Result<()> {
        self.over.drain(..).try_for_each(|path| fs::remove_file(&path).map_err(Error::io(&path)))
    }

    /// Makes durable all that waits.
    pub fn checkpoint(&mut self) -> Result<()> {
        if self.arrays.iter().all(|of| of.held.is_empty() && of.filed == of.kept) {
            return Ok(());
        }
        let mut files = Vec::new();
        for array in 0..self.arrays.len() {
            if !self.arrays[array].held.is_empty() {
                self.file(array)?;
            }
            let Waiting { first, filed, kept, .. } = &self.arrays[array];
            if filed > kept {
                files.push(self.path(array, *first));
            }
        }
        durable::files(&self.folder, &files)?;
        let kept =
            |of: &Waiting| Kept { first: of.first, values: of.filed, hash: of.hash.finalize().to_hex().to_string() };
        let checkpoint = Checkpoint { schema: SCHEMA, arrays: self.arrays.iter().map(kept).collect() };
        let path = self.folder.join(CHECKPOINT);
        let json = serde_json::to_vec(&checkpoint).map_err(|source| Error::malformed(path.display(), source))?;
        write_file(&path, &json)?;
        self.arrays.iter_mut().for_each(|of| of.kept = of.filed);
        Ok(())
    }

    /// Removes the files.
    pub fn remove(self) -> Result<()> {
        self.clear()
    }

    fn clear(&self) -> Result<()> {
        fault::point(&self.folder)?;
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&self.folder)(error)),
            _ => Ok(()),
        }
    }

    /// Removes files of rows that don't wait.
    fn remove_others(&self) -> Result<()> {
        let waits = |array: &usize| self.arrays[*array].filed > 0;
        let known: Vec<PathBuf> =
            (0..self.arrays.len()).filter(waits).map(|array| self.path(array, self.arrays[array].first)).collect();
        for entry in fs::read_dir(&self.folder).map_err(Error::io(&self.folder))? {
            let path = entry.map_err(Error::io(&self.folder))?.path();
            if !known.contains(&path) && path != self.folder.join(CHECKPOINT) {
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok(())
    }

    fn path(&self, array: usize, first: usize) -> PathBuf {
        self.folder.join(format!("{array}-{first}"))
    }

    /// Moves what an array has in memory to its file.
    fn file(&mut self, array: usize) -> Result<()> {
        let path = self.path(array, self.arrays[array].first);
        if !self.folder.is_dir() {
            fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder))?;
            durable::folder(durable::parent(&self.folder))?;
        }
        let waiting = &mut self.arrays[array];
        let mut bytes = vec![0; waiting.held.len() * VALUE];
        bytes.as_chunks_mut().0.iter_mut().zip(&waiting.held).for_each(|(to, value)| *to = value.to_le_bytes());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut file = file.map_err(Error::io(&path))?;
        // What a write that failed left behind them is not theirs.
        let end = (waiting.filed * VALUE) as u64;
        file.set_len(end).map_err(Error::io(&path))?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(end)).map_err(Error::io(&path))?;
        fault::write_all(&path, &mut file, &bytes)?;
        waiting.hash.update(&bytes);
        self.held -= waiting.held.len();
        waiting.filed += waiting.held.len();
        waiting.held = Vec::new();
        Ok(())
    }
}

/// Of the first `values` values of a file; `None` where it has not so many.
fn hash(path: &Path, values: usize) -> Option<blake3::Hasher> {
    let length = (values as u64).checked_mul(VALUE as u64)?;
    let file = File::open(path).ok()?;
    if file.metadata().ok()?.len() < length {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(BufReader::new(file).take(length)).ok()?;
    Some(hasher)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{PENDING_BYTES, Pending};
    use std::fs;

    #[test]
    fn what_exceeds_the_memory_comes_back_in_order() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("pending");
        let mut pending = Pending::begin(&folder, 3).unwrap();
        let most = PENDING_BYTES / size_of::<f32>();
        let piece = most / 8 + 1;
        for k in 0..20_usize {
            let values: Vec<f32> = (0..piece).map(|i| (k * piece + i) as f32).collect();
            pending.extend(k % 2, 0, &values).unwrap();
            assert!(pending.held <= most);
        }
        assert_eq!((pending.values(0), pending.values(1), pending.values(2)), (10 * piece, 10 * piece, 0));
        assert!(folder.read_dir().unwrap().count() > 0, "more than fits was added");
        for array in [0, 1] {
            let of = |k: usize| (2 * k + array) * piece;
            let expected = (0..10).flat_map(|k| (0..piece).map(move |i| (of(k) + i) as f32));
            assert!(pending.all(array, 0).unwrap().into_iter().eq(expected));
            pending.forget(array);
            assert_eq!(pending.values(array), 0);
        }
        assert!(folder.read_dir().unwrap().count() > 0, "shards may not be in their places");
        pending.tidy().unwrap();
        assert_eq!(folder.read_dir().unwrap().count(), 0);
        assert_eq!(pending.held, 0);
        pending.remove().unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn what_a_checkpoint_kept_is_there_and_no_more() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("pending");
        let begin = || {
            let mut pending = Pending::begin(&folder, 3).unwrap();
            pending.extend(0, 0, &[1.0, 2.0]).unwrap();
            pending.extend(1, 8, &[3.0]).unwrap();
            pending.checkpoint().unwrap();
            assert_eq!([0, 1, 2].map(|array| pending.kept(array)), [2, 1, 0]);
            pending.extend(0, 0, &[4.0]).unwrap();
            pending
        };
        let left = |first: &[usize]| {
            let pending = Pending::resume(&folder, first).unwrap();
            (0..3).map(|array| pending.all(array, 0).unwrap()).collect::<Vec<_>>()
        };
        drop(begin());
        assert_eq!(left(&[0, 8, 0]), [vec![1.0, 2.0], vec![3.0], vec![]]);
        // The shard of the second is there.
        assert_eq!(left(&[0, 16, 0]), [vec![1.0, 2.0], vec![], vec![]]);
        assert!(!folder.join("1-8").exists());
        drop(begin());
        fs::write(folder.join("0-0"), [0; 400]).unwrap();
        fs::write(folder.join("1-8"), [3.0_f32.to_le_bytes(), [7; 4]].concat()).unwrap();
        assert_eq!(left(&[0, 8, 0]), [vec![], vec![3.0], vec![]]);
        // It goes on where it was, and may be cut there again.
        let mut pending = begin();
        pending.checkpoint().unwrap();
        drop(pending);
        let mut pending = Pending::resume(&folder, &[0, 8, 0]).unwrap();
        pending.extend(1, 8, &[5.0]).unwrap();
        pending.checkpoint().unwrap();
        drop(pending);
        assert_eq!(left(&[0, 8, 0]), [vec![1.0, 2.0, 4.0], vec![3.0, 5.0], vec![]]);
        fs::write(folder.join("checkpoint.json"), "{").unwrap();
        assert_eq!(left(&[0, 8, 0]), [vec![], vec![], vec![0.0_f32; 0]]);
    }
}
