//! Which images a recording has met, kept while it runs: a line for each, only ever added to.
//!
//! A line is a JSON array of file name, width, height, BLAKE3 and a check of the line and its number, so that a line that was
//! cut short, or that the system never wrote, is known for one. The line of a picture that was passed over has its file name, the
//! reason and the check. Lines are made durable before the shards that hold their
//! rows. A recording that goes on compares the images that it reads again with what is written here.

use super::images::ImageRow;
use super::skipped::{Met, Skipped};
use crate::output::fault;
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
    /// Those of them that are no pictures that were passed over.
    images: usize,
    /// Those of these that are durable.
    kept: usize,
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
        let (mut rows, mut images) = (0, 0);
        let mut whole = 0;
        while let Some(met) = lines.next_row()? {
            rows += 1;
            images += usize::from(matches!(met, Met::Image(_)));
            whole = lines.bytes;
        }
        file.set_len(whole).map_err(Error::io(path))?;
        let mut to = BufWriter::new(file);
        to.seek(SeekFrom::Start(whole)).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), to, known: Lines::open(path)?, rows, images, kept: images })
    }

    /// Images that are listed.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Images that are listed, whatever happens.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Rows of the source that are listed: images, and pictures that were passed over.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many rows there are up to and with the first `images` images, at most [`images`](Self::images).
    pub fn rows_of(&mut self, images: usize) -> Result<usize> {
        let mut lines = Lines::open(&self.path)?;
        let mut met = 0;
        while met < images {
            match lines.next_row()? {
                Some(Met::Image(_)) => met += 1,
                Some(Met::Skipped(_)) => {}
                None => return Err(Error::mismatch(self.path.display(), format!("{images} images"), met)),
            }
        }
        Ok(lines.row)
    }

    /// Says that the next row is `row`, at most [`rows`](Self::rows).
    pub fn start_at(&mut self, row: usize) -> Result<()> {
        self.known = Lines::open(&self.path)?;
        for _ in 0..row {
            self.known.next_row()?;
        }
        Ok(())
    }

    /// Adds the next row, or compares it with what is listed.
    ///
    /// # Errors
    /// When it is not the row that was there before.
    pub fn push(&mut self, row: &Met) -> Result<()> {
        if self.known.row < self.rows {
            let known = self.known.next_row()?;
            if known.as_ref() == Some(row) {
                return Ok(());
            }
            let place = format!("image `{}`", row.filename());
            let said = |row: &Met| match row {
                Met::Image(ImageRow { filename, width, height, hash }) => {
                    format!("`{filename}`, {width} x {height} pixels, hash {hash}")
                }
                Met::Skipped(Skipped { filename, reason, .. }) => format!("`{filename}`, passed over: {reason}"),
            };
            let expected = known.as_ref().map_or("an image".to_owned(), said);
            return Err(Error::mismatch(place, format!("{expected}, as when recording began"), said(row)));
        }
        let line = line(self.rows, row)?;
        self.to.write_all(line.as_bytes()).map_err(Error::io(&self.path))?;
        self.rows += 1;
        self.images += usize::from(matches!(row, Met::Image(_)));
        self.known.row += 1;
        Ok(())
    }

    /// Makes durable what was added.
    pub fn sync(&mut self) -> Result<()> {
        fault::point(&self.path)?;
        self.to.flush().map_err(Error::io(&self.path))?;
        self.to.get_ref().sync_data().map_err(Error::io(&self.path))?;
        self.kept = self.images;
        fault::point(&self.path)
    }

    /// Calls `each` with all rows, in order.
    pub fn read(&mut self, mut each: impl FnMut(Met) -> Result<()>) -> Result<()> {
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

    fn next_row(&mut self) -> Result<Option<Met>> {
        let mut bytes = Vec::new();
        self.from.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(Error::io(&self.path))?;
        let Some(row) = parse(self.row, &bytes) else { return Ok(None) };
        self.row += 1;
        self.bytes += bytes.len() as u64;
        Ok(Some(row))
    }
}

fn line(number: usize, row: &Met) -> Result<String> {
    let check = check(number, row);
    let line = match row {
        Met::Image(row) => {
            let hash = row.hash.to_hex();
            serde_json::to_string(&(&row.filename, row.width, row.height, hash.as_str(), check))
        }
        Met::Skipped(row) => serde_json::to_string(&(&row.filename, row.row, &row.reason, check)),
    };
    Ok(line.map_err(|source| Error::malformed(row.filename(), source))? + "\n")
}

fn parse(number: usize, line: &[u8]) -> Option<Met> {
    let line = line.strip_suffix(b"\n")?;
    let (row, said) = if let Ok((filename, width, height, hash, said)) = serde_json::from_slice(line) {
        let (hash, said): (String, String) = (hash, said);
        (Met::Image(ImageRow { filename, width, height, hash: blake3::Hash::from_hex(hash).ok()? }), said)
    } else {
        let (filename, row, reason, said): (String, usize, String, String) = serde_json::from_slice(line).ok()?;
        (Met::Skipped(Skipped { row, filename, reason }), said)
    };
    (check(number, &row) == said).then_some(row)
}

fn check(number: usize, row: &Met) -> String {
    let mut hasher = blake3::Hasher::new();
    match row {
        Met::Image(row) => {
            for number in [number as u64, row.width.into(), row.height.into()] {
                hasher.update(&number.to_le_bytes());
            }
            hasher.update(row.hash.as_bytes()).update(row.filename.as_bytes());
        }
        Met::Skipped(row) => {
            for number in [number as u64, row.row as u64, row.filename.len() as u64] {
                hasher.update(&number.to_le_bytes());
            }
            hasher.update(row.filename.as_bytes()).update(row.reason.as_bytes());
        }
    }
    hasher.finalize().to_hex()[..CHECK].to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{ImageRow, Journal, Met, Skipped};
    use std::fs;

    fn image(k: usize) -> ImageRow {
        ImageRow { filename: format!("a \"b\"\n{k}.png"), width: 7, height: 8, hash: blake3::hash(&[k as u8]) }
    }

    /// Row 3 was passed over.
    fn row(k: usize) -> Met {
        match k {
            3 => Met::Skipped(Skipped { row: 3, filename: "3.png".to_owned(), reason: "no \"end\"".to_owned() }),
            k => Met::Image(image(k)),
        }
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
            assert_eq!((journal.rows(), journal.images()), (lines, lines - usize::from(lines > 3)));
            assert_eq!(journal.rows_of(journal.images()).unwrap(), if lines == 4 { 3 } else { lines });
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
        let said = journal.push(&Met::Image(ImageRow { hash: blake3::hash(b""), ..image(2) })).unwrap_err().to_string();
        assert!(said.contains("as when recording began") && said.contains("2.png"), "{said}");
    }
}
