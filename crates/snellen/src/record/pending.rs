//! Rows that wait for their shard to be full, within fixed memory however many arrays there are.
//!
//! A shard of a few megabytes times hundreds of sites would be gigabytes. What exceeds [`PENDING_BYTES`] goes to files, one
//! for each array, the fullest first; they are read back once, when the shard is full. They are no part of the result and are
//! worth nothing to a recording that goes on: its rows are computed anew.

use crate::{Error, Result};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The most bytes of rows that wait in memory, over all arrays.
pub const PENDING_BYTES: usize = 1 << 26;

/// Rows of every array, in memory and in files.
pub(super) struct Pending {
    folder: PathBuf,
    arrays: Vec<Waiting>,
    /// Values in memory, over all arrays.
    held: usize,
}

#[derive(Clone, Default)]
struct Waiting {
    /// Values in the file; they come first.
    filed: usize,
    held: Vec<f32>,
}

impl Pending {
    /// Nothing yet for each of `arrays` arrays; files are to be in `folder`, where nothing is left from before.
    pub fn begin(folder: &Path, arrays: usize) -> Result<Self> {
        let pending = Self { folder: folder.to_owned(), arrays: vec![Waiting::default(); arrays], held: 0 };
        pending.clear()?;
        Ok(pending)
    }

    /// How many values of an array wait.
    pub fn values(&self, array: usize) -> usize {
        self.arrays[array].filed + self.arrays[array].held.len()
    }

    /// Adds values.
    pub fn extend(&mut self, array: usize, values: &[f32]) -> Result<()> {
        self.arrays[array].held.extend_from_slice(values);
        self.held += values.len();
        while self.held * size_of::<f32>() > PENDING_BYTES {
            self.file_fullest()?;
        }
        Ok(())
    }

    /// All values of an array that wait; none do any more.
    pub fn take(&mut self, array: usize) -> Result<Vec<f32>> {
        let path = self.path(array);
        let Waiting { filed, held } = std::mem::take(&mut self.arrays[array]);
        self.held -= held.len();
        if filed == 0 {
            return Ok(held);
        }
        let bytes = fs::read(&path).map_err(Error::io(&path))?;
        fs::remove_file(&path).map_err(Error::io(&path))?;
        if bytes.len() != filed * size_of::<f32>() {
            return Err(Error::mismatch(path.display(), format!("{filed} values"), format!("{} bytes", bytes.len())));
        }
        let mut values: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        values.extend(held);
        Ok(values)
    }

    /// Removes the files.
    pub fn remove(self) -> Result<()> {
        self.clear()
    }

    fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&self.folder)(error)),
            _ => Ok(()),
        }
    }

    fn path(&self, array: usize) -> PathBuf {
        self.folder.join(array.to_string())
    }

    /// Moves what the array with the most values in memory has there to its file.
    fn file_fullest(&mut self) -> Result<()> {
        let fullest = (0..self.arrays.len()).max_by_key(|&array| self.arrays[array].held.len()).unwrap_or(0);
        let path = self.path(fullest);
        fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder))?;
        let held = std::mem::take(&mut self.arrays[fullest].held);
        let bytes: Vec<u8> = held.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::io(&path))?;
        file.write_all(&bytes).map_err(Error::io(&path))?;
        self.held -= held.len();
        self.arrays[fullest].filed += held.len();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{PENDING_BYTES, Pending};

    #[test]
    fn what_exceeds_the_memory_comes_back_in_order() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("pending");
        let mut pending = Pending::begin(&folder, 3).unwrap();
        let most = PENDING_BYTES / size_of::<f32>();
        let piece = most / 8 + 1;
        for k in 0..20_usize {
            let values: Vec<f32> = (0..piece).map(|i| (k * piece + i) as f32).collect();
            pending.extend(k % 2, &values).unwrap();
            assert!(pending.held <= most);
        }
        assert_eq!((pending.values(0), pending.values(1), pending.values(2)), (10 * piece, 10 * piece, 0));
        assert!(folder.read_dir().unwrap().count() > 0, "more than fits was added");
        for array in [0, 1] {
            let of = |k: usize| (2 * k + array) * piece;
            let expected = (0..10).flat_map(|k| (0..piece).map(move |i| (of(k) + i) as f32));
            assert!(pending.take(array).unwrap().into_iter().eq(expected));
            assert_eq!(pending.values(array), 0);
        }
        assert_eq!(pending.held, 0);
        pending.remove().unwrap();
        assert!(!folder.exists());
    }
}
