//! A folder of labelled images, or of images alone, however deep.

use super::classes::classes;
use super::config::{LabelsFrom, SourceConfig};
use super::listing::{Kind, Listing, within};
use super::passed::{PassedOver, said, some};
use super::{Content, Image, Source, format, unreadable};
use crate::record::picture::{MAX_FILE_BYTES, read_bytes};
use crate::scene::folder::ImageFolder;
use crate::scene::labels::LabelTable;
use crate::scene::labels_csv::{self, LabelFile, write_labels};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The image files of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSource {
    /// The folder.
    pub folder: PathBuf,
    /// Paths relative to the folder, parts separated by `/`: in the order of the labels' file, or sorted by bytes where there is
    /// none.
    pub filenames: Vec<String>,
    /// The masks in the same order, where the folder has them.
    pub masks: Option<Vec<PathBuf>>,
    /// What they show, where that is known.
    pub labels: Option<FolderLabels>,
    /// What was found and is no image.
    pub passed_over: Vec<PassedOver>,
}

/// What the images of a folder show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderLabels {
    /// What it is called in errors: a file, or the folder.
    pub place: String,
    /// As a table.
    pub table: LabelTable,
    /// As a `labels.csv`.
    pub bytes: Vec<u8>,
}

impl FolderSource {
    /// Opens `folder` with its labels' file, where it has one.
    ///
    /// # Errors
    /// As [`FolderSource::open_with`].
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_with(folder, &SourceConfig::default())
    }

    /// Reads the labels' file of `folder`, masks and what it names, as [`read_folder`](crate::scene::folder::read_folder) does; where
    /// there is none, lists all pictures of `folder` and the folders in it.
    ///
    /// # Errors
    /// When labels or masks are refused, a labelled image is missing or a picture is of a format that is not read (unless
    /// [`SourceConfig::skip_bad`] passes over them), there is no image, or a file name is not Unicode.
    pub fn open_with(folder: &Path, config: &SourceConfig) -> Result<Self> {
        Self::of_listing(folder, &Listing::of(folder)?, config)
    }

    pub(super) fn of_listing(folder: &Path, listing: &Listing, config: &SourceConfig) -> Result<Self> {
        let file = (config.labels == LabelsFrom::File).then(|| labels_file(folder)).flatten();
        let source = match file {
            Some(file) => Self::of_labels(folder, listing, &file, config)?,
            None if !config.label_columns.is_empty() => {
                let expected = format!("labels.csv or metadata.csv with columns {}", config.label_columns.join(", "));
                return Err(Error::mismatch(folder.display(), expected, "neither"));
            }
            None => Self::of_pictures(folder, listing, config.labels == LabelsFrom::Folders)?,
        };
        if source.filenames.is_empty() {
            let expected = format!("images ({}) or labels.csv with rows", format::PICTURES.join(", "));
            let got = format!("none, but {}", said(&source.passed_over));
            return Err(Error::mismatch(folder.display(), expected, got));
        }
        if !config.skip_bad {
            source.check(listing)?;
        }
        Ok(source)
    }

    fn of_pictures(folder: &Path, listing: &Listing, by_folder: bool) -> Result<Self> {
        // Of a scene folder; elsewhere `masks` is a name like any other.
        let scenes = folder.join("scenes.json").is_file();
        let is_mask = |name: &str| scenes && name.starts_with("masks/");
        let filenames: Vec<String> = listing.pictures().filter(|name| !is_mask(name)).map(str::to_owned).collect();
        let labels = by_folder.then(|| {
            let table = classes(folder, &filenames)?;
            let mut bytes = Vec::new();
            write_labels(&table, &mut bytes)?;
            Ok::<_, Error>(FolderLabels { place: folder.display().to_string(), table, bytes })
        });
        let used = |name: &str, kind| matches!(kind, Kind::Picture | Kind::Unread(_)) && !is_mask(name);
        let passed = listing.passed("masks of scenes", used).list();
        Ok(Self { folder: folder.to_owned(), filenames, masks: None, labels: labels.transpose()?, passed_over: passed })
    }

    fn of_labels(folder: &Path, listing: &Listing, file: &Path, config: &SourceConfig) -> Result<Self> {
        let mut bytes = labels_csv::read_bytes(file)?;
        let place = file.display().to_string();
        let LabelFile { table, ignored, .. } = LabelFile::parse_columns(&place, &bytes, &config.label_columns)?;
        if !config.skip_bad {
            all_there(folder, &place, &table)?;
        }
        let ImageFolder { masks, labels: table, .. } = ImageFolder::labelled(folder, table)?;
        let filenames: Vec<String> = table.rows.iter().map(|row| row.filename.clone()).collect();
        let mut own: BTreeSet<&str> = filenames.iter().map(String::as_str).collect();
        let mask = |mask: &PathBuf| format!("masks/{}", mask.file_name().unwrap_or_default().to_string_lossy());
        let masks_names: Vec<String> = masks.iter().flatten().map(mask).collect();
        own.extend(masks_names.iter().map(String::as_str));
        let labels_name = file.file_name().unwrap_or_default().to_string_lossy();
        own.extend([labels_name.as_ref(), "captions.csv", "scenes.json"]);
        let unlabelled = format!("pictures that {labels_name} does not name (--labels none records them all)");
        let mut passed = listing.passed(&unlabelled, |name, _| own.contains(name));
        for column in ignored {
            passed.add(format!("columns of {labels_name} that are no factors"), column);
        }
        if !config.label_columns.is_empty() {
            bytes.clear();
            write_labels(&table, &mut bytes)?;
        }
        let labels = Some(FolderLabels { place, table, bytes });
        Ok(Self { folder: folder.to_owned(), filenames, masks, labels, passed_over: passed.list() })
    }

    /// Whether every image is of a format that is read.
    fn check(&self, listing: &Listing) -> Result<()> {
        let place = self.folder.display().to_string();
        let own: BTreeSet<&str> = self.filenames.iter().map(String::as_str).collect();
        let unread = listing.files.iter().filter_map(|(name, kind)| match kind {
            Kind::Unread(what) if own.contains(name.as_str()) => Some((name.as_str(), *what)),
            _ => None,
        });
        let unread: Vec<_> = unread.collect();
        if unread.is_empty() { Ok(()) } else { Err(unreadable(&place, &unread)) }
    }

    /// Where the image of row `row` is.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn path(&self, row: usize) -> PathBuf {
        within(&self.folder, &self.filenames[row])
    }
}

/// Whether all images of `folder` that `table`, called `place`, names are there.
fn all_there(folder: &Path, place: &str, table: &LabelTable) -> Result<()> {
    let names = table.rows.iter().map(|row| row.filename.as_str());
    let missing: Vec<&str> = names.filter(|name| !within(folder, name).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let got = format!("{} that are not there: {}", missing.len(), some(missing.iter().copied()));
    Err(Error::mismatch(place, format!("the {} images that it names", table.rows.len()), got))
}

/// The labels' file of `folder`, where it has one.
pub(super) fn labels_file(folder: &Path) -> Option<PathBuf> {
    ["labels.csv", "metadata.csv"].iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

impl Source for FolderSource {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn len(&self) -> usize {
        self.filenames.len()
    }

    fn name(&self, row: usize) -> String {
        self.filenames[row].clone()
    }

    fn has_masks(&self) -> bool {
        self.masks.is_some()
    }

    fn labels(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.labels.as_ref().map(|labels| labels.bytes.clone()))
    }

    fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    fn read<'a>(&'a self, rows: Range<usize>) -> Result<Box<dyn Iterator<Item = Result<Image<'a>>> + Send + 'a>> {
        Ok(Box::new(rows.map(|row| {
            let path = self.path(row);
            let mask = self.masks.as_ref().map(|masks| masks[row].clone());
            let content = read_bytes(&path, MAX_FILE_BYTES).map(|bytes| Content::File { bytes, mask });
            let content = content.unwrap_or_else(Content::Bad);
            Ok(Image { name: self.name(row), place: path.display().to_string(), content })
        })))
    }
}
