//! What a path is: pictures, tars or Parquet, one file or a folder of them.

use super::config::{IMAGE_COLUMN, LabelsFrom, Only, SourceConfig};
use super::format::{self, Format};
use super::listing::{Kind, Listing, within};
use super::passed::{said, some};
use super::{FolderSource, ParquetSource, Source, TarSource};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Opens what `path` is: a folder of images, `.tar` files (packed by gzip or zstd or not) or `.parquet` files, or one such file.
///
/// # Errors
/// When it is none of these, or a folder that holds several kinds and none was chosen; when an option is given that what is
/// there knows nothing of; and when [`FolderSource::open`], [`TarSource::open`] or [`ParquetSource::open`] refuses it.
pub fn open_source(path: &Path, config: &SourceConfig) -> Result<Box<dyn Source>> {
    if path.is_dir() {
        return open_folder(path, config);
    }
    std::fs::metadata(path).map_err(Error::io(path))?;
    if !path.is_file() {
        return Err(Error::mismatch(path.display(), "a folder or a file", "neither"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let found = Format::of_file(path)?;
    match found {
        Some(Format::Tar | Format::Gzip | Format::Zstd) => open_tars(path, vec![path.to_owned()], config),
        Some(Format::Parquet) => open_parquet(path, vec![path.to_owned()], config),
        _ if format::parquet_stem(&name).is_some() && found.is_none() => {
            open_parquet(path, vec![path.to_owned()], config)
        }
        _ if format::tar_stem(&name).is_some() && found.is_none() => open_tars(path, vec![path.to_owned()], config),
        _ => {
            let got = found.map_or("a file of a format that is not known".to_owned(), Format::said);
            Err(Error::mismatch(path.display(), "a folder, a .tar file or a .parquet file", got))
        }
    }
}

fn open_folder(path: &Path, config: &SourceConfig) -> Result<Box<dyn Source>> {
    let listing = Listing::of(path)?;
    let labelled = config.labels == LabelsFrom::Folders
        || (config.labels == LabelsFrom::File && super::folder::labels_file(path).is_some());
    let has = |only| match only {
        Only::Pictures => listing.pictures().next().is_some(),
        Only::Tars => listing.of_kind(Kind::Tar).next().is_some(),
        Only::Parquet => listing.files.iter().any(is_shard),
    };
    let there: Vec<Only> = Only::ALL.into_iter().filter(|only| has(*only)).collect();
    let read = match (config.only, &there[..]) {
        (Some(only), _) => only,
        (None, _) if labelled => Only::Pictures,
        (None, [one]) => *one,
        (None, []) => return Err(nothing(path, &listing)),
        (None, _) => return Err(several(path, &listing)),
    };
    let files = |kind| -> Vec<PathBuf> { listing.of_kind(kind).map(|name| within(path, name)).collect() };
    let passed = |read: Kind| listing.passed("pictures", |_, kind| kind == read).list();
    match read {
        _ if !(has(read) || labelled && read == Only::Pictures) => Err(nothing(path, &listing)),
        Only::Pictures => {
            refuse_options(path, config, "pictures", [false, false])?;
            Ok(Box::new(FolderSource::of_listing(path, &listing, config)?))
        }
        Only::Tars => {
            refuse_options(path, config, "tar files", [true, false])?;
            Ok(Box::new(TarSource::of_files(path, files(Kind::Tar), config, passed(Kind::Tar))?))
        }
        Only::Parquet => {
            refuse_options(path, config, "Parquet files", [false, true])?;
            Ok(Box::new(ParquetSource::of_files(path, files(Kind::Parquet), config, passed(Kind::Parquet))?))
        }
    }
}

/// Whether it is a Parquet file of images; `metadata.parquet` speaks of the pictures beside it.
fn is_shard((name, kind): &(String, Kind)) -> bool {
    *kind == Kind::Parquet && !name.ends_with("metadata.parquet")
}

fn open_tars(path: &Path, files: Vec<PathBuf>, config: &SourceConfig) -> Result<Box<dyn Source>> {
    refuse_options(path, config, "a tar file", [true, false])?;
    Ok(Box::new(TarSource::of_files(path, files, config, Vec::new())?))
}

fn open_parquet(path: &Path, files: Vec<PathBuf>, config: &SourceConfig) -> Result<Box<dyn Source>> {
    refuse_options(path, config, "a Parquet file", [false, true])?;
    Ok(Box::new(ParquetSource::of_files(path, files, config, Vec::new())?))
}

/// Options that would have no effect on `what`, which is tars or Parquet or neither.
fn refuse_options(path: &Path, config: &SourceConfig, what: &str, [tars, parquet]: [bool; 2]) -> Result<()> {
    let options = [
        ("--image-field", tars || config.fields.is_empty(), "tar files"),
        ("--image-column", parquet || config.column == IMAGE_COLUMN, "Parquet files"),
        ("--image-index", parquet || config.index.is_none(), "Parquet files"),
        ("--image-root", parquet || config.root.is_none(), "Parquet files"),
        ("--label-columns", !(tars || parquet) || config.label_columns.is_empty(), "a folder of pictures"),
        ("--labels folders", !(tars || parquet) || config.labels != LabelsFrom::Folders, "a folder of pictures"),
    ];
    match options.iter().find(|option| !option.1) {
        None => Ok(()),
        Some((option, _, of)) => Err(Error::mismatch(path.display(), format!("{of}, for {option}"), what)),
    }
}

fn nothing(path: &Path, listing: &Listing) -> Error {
    let arrow =
        listing.files.iter().any(|(name, _)| name.rsplit_once('.').is_some_and(|(_, ending)| ending == "arrow"));
    let saved =
        ["state.json", "dataset_info.json"].iter().any(|name| listing.files.iter().any(|file| file.0.ends_with(name)));
    let zip = listing.files.iter().any(|(name, _)| name.to_ascii_lowercase().ends_with(".zip"));
    let help = if arrow && saved {
        "; that is a folder of `Dataset.save_to_disk`: `pyarrow.parquet.write_table(datasets.load_from_disk(DIR).with_format('arrow')[:], \
         'images.parquet')` makes a file of it that is read"
    } else if arrow {
        "; .arrow files are read by pyarrow or `datasets`: `pyarrow.parquet.write_table` makes a file of them that is read"
    } else if zip {
        "; unpack the .zip files first"
    } else {
        ""
    };
    let endings = format::PICTURES.join(", ");
    let expected = format!("images ({endings}), .tar or .parquet files, or labels.csv with rows");
    Error::mismatch(
        path.display(),
        expected,
        format!("none of these, but {}{help}", said(&listing.passed("pictures", |_, _| false).list())),
    )
}

fn several(path: &Path, listing: &Listing) -> Error {
    let kinds = [
        (Only::Pictures, "pictures", listing.pictures().collect::<Vec<_>>()),
        (Only::Tars, "tar files", listing.of_kind(Kind::Tar).collect()),
        (Only::Parquet, "Parquet files", listing.of_kind(Kind::Parquet).collect()),
    ];
    let kinds: Vec<_> = kinds.into_iter().filter(|(_, _, names)| !names.is_empty()).collect();
    let got: Vec<String> = kinds
        .iter()
        .map(|(_, what, names)| format!("{what}: {} ({})", names.len(), some(names.iter().copied())))
        .collect();
    let options: Vec<String> = kinds.iter().map(|(only, ..)| format!("--only {only}")).collect();
    let expected = format!("images of one kind, or {} to say which are meant", options.join(" or "));
    Error::mismatch(path.display(), expected, got.join(" and "))
}
