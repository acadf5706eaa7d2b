//! Which images a recording has met, kept while it runs: a line for each, only ever added to.
//!
//! A line is a JSON array of file name, width, height, BLAKE3 and a check of the line and its number, so that a line that was
//! cut short, or that the system never wrote, is known for one. Lines are made durable before the shards that hold their
//! rows. A recording that goes on compares the images that it reads again with what is written here.

use super::images::ImageRow;
use crate::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The longest line, in bytes.
const MAX_LINE: u64 = 1 << 16;

/// Digits of a line's check.
const CHECK: usize = 16;

/// The images so far. Locked while it is open: no two recordings write one folder.
pub(super) struct Journal {
    path: PathBuf,
    to: BufWriter<File>,
    /// What an earlier recording has written and this one has not reached.
    known: Lines,
    /// Rows in the file and the buffer.
    rows: usize,
}

impl Journal {
    /// Opens the journal at `path`, or begins it; what follows the first line that is not whole is cut off.
    ///
    /// # Errors
    /// When another process has it open, or the system refuses.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::io(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let expected = "a recording that no other process goes on with";
                return Err(Error::mismatch(path.display(), expected, "one that another process has open"));
            }
            Err(TryLockError::Error(source)) => return Err(Error::io(path)(source)),
        }
        let mut lines = Lines::open(path)?;
        let mut rows = 0;
        let mut whole = 0;
        while lines.next_row()?.is_some() {
            rows += 1;
            whole = lines.bytes;
        }
        file.set_len(whole).map_err(Error::io(path))?;
        let mut to = BufWriter::new(file);
        to.seek(SeekFrom::Start(whole)).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), to, known: Lines::open(path)?, rows })
    }

    /// Images that are listed.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Says that the next image is that of `row`, at most [`rows`](Self::rows).
    pub fn start_at(&mut self, row: usize) -> Result<()> {
        self.known = Lines::open(&self.path)?;
        for _ in 0..row {
            self.known.next_row()?;
        }
        Ok(())
    }

    /// Adds the next image, or compares it with what is listed.
    ///
    /// # Errors
    /// When it is not the image that was there before.
    pub fn push(&mut self, row: &ImageRow) -> Result<()> {
        if self.known.row < self.rows {
            let known = self.known.next_row()?;
            if known.as_ref() == Some(row) {
                return Ok(());
            }
            let place = format!("image `{}`", row.filename);
            let said = |row: &ImageRow| {
                let ImageRow { filename, width, height, hash } = row;
                format!("`{filename}`, {width} x {height} pixels, hash {hash}")
            };
            let expected = known.as_ref().map_or("an image".to_owned(), said);
            return Err(Error::mismatch(place, format!("{expected}, as when recording began"), said(row)));
        }
        let line = line(self.rows, row)?;
        self.to.write_all(line.as_bytes()).map_err(Error::io(&self.path))?;
        self.rows += 1;
        self.known.row += 1;
        Ok(())
    }

    /// Makes durable what was added.
    pub fn sync(&mut self) -> Result<()> {
        self.to.flush().map_err(Error::io(&self.path))?;
        self.to.get_ref().sync_data().map_err(Error::io(&self.path))
    }

    /// Calls `each` with all images, in order.
    pub fn read(&mut self, mut each: impl FnMut(ImageRow) -> Result<()>) -> Result<()> {
        self.sync()?;
        let mut lines = Lines::open(&self.path)?;
        for _ in 0..self.rows {
            let row = lines.next_row()?;
            each(row.ok_or_else(|| Error::mismatch(self.path.display(), format!("{} images", self.rows), lines.row))?)?;
        }
        Ok(())
    }
}

/// The lines of a journal, as far as they are whole.
struct Lines {
    path: PathBuf,
    from: BufReader<File>,
    /// The number of the next line.
    row: usize,
    /// Bytes of the lines before it.
    bytes: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), from: BufReader::new(file), row: 0, bytes: 0 })
    }

    fn next_row(&mut self) -> Result<Option<ImageRow>> {
        let mut bytes = Vec::new();
        self.from.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(Error::io(&self.path))?;
        let Some(row) = parse(self.row, &bytes) else { return Ok(None) };
        self.row += 1;
        self.bytes += bytes.len() as u64;
        Ok(Some(row))
    }
}

fn line(number: usize, row: &ImageRow) -> Result<String> {
    let hash = row.hash.to_hex();
    let fields = (&row.filename, row.width, row.height, hash.as_str(), check(number, row));
    let line = serde_json::to_string(&fields).map_err(|source| Error::malformed(&row.filename, source))?;
    Ok(line + "\n")
}

fn parse(number: usize, line: &[u8]) -> Option<ImageRow> {
    let line = line.strip_suffix(b"\n")?;
    let (filename, width, height, hash, said): (String, u32, u32, String, String) =
        serde_json::from_slice(line).ok()?;
    let row = ImageRow { filename, width, height, hash: blake3::Hash::from_hex(hash).ok()? };
    (check(number, &row) == said).then_some(row)
}

fn check(number: usize, row: &ImageRow) -> String {
    let mut hasher = blake3::Hasher::new();
    for number in [number as u64, row.width.into(), row.height.into()] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(row.hash.as_bytes()).update(row.filename.as_bytes());
    hasher.finalize().to_hex()[..CHECK].to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{ImageRow, Journal};
    use std::fs;

    fn row(k: usize) -> ImageRow {
        ImageRow { filename: format!("a \"b\"\n{k}.png"), width: 7, height: 8, hash: blake3::hash(&[k as u8]) }
    }

    #[test]
    fn whatever_is_left_of_it_is_a_beginning() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        (0..5).for_each(|k| journal.push(&row(k)).unwrap());
        journal.sync().unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] == b'\n').map(|i| i + 1).collect();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let lines = ends.iter().filter(|end| **end <= length).count();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.rows(), lines);
            journal.start_at(lines / 2).unwrap();
            (lines / 2..5).for_each(|k| journal.push(&row(k)).unwrap());
            journal.sync().unwrap();
            drop(journal);
            assert_eq!(fs::read(&path).unwrap(), whole, "{length}");
        }
        // Changed anywhere, it ends before the line that was changed.
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            let line = ends.iter().filter(|end| **end <= at).count();
            assert_eq!(Journal::open(&path).unwrap().rows(), line, "byte {at}");
        }
        fs::write(&path, vec![b'['; 1 << 20]).unwrap();
        assert_eq!(Journal::open(&path).unwrap().rows(), 0);
    }

    #[test]
    fn another_image_than_before_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        (0..3).for_each(|k| journal.push(&row(k)).unwrap());
        journal.sync().unwrap();
        let second = Journal::open(&path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(second.contains("another process"), "{second}");
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        journal.start_at(1).unwrap();
        journal.push(&row(1)).unwrap();
        let said = journal.push(&ImageRow { hash: blake3::hash(b""), ..row(2) }).unwrap_err().to_string();
        assert!(said.contains("as when recording began") && said.contains("2.png"), "{said}");
    }
}
