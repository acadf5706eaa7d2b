//! Folders as labels: the name of the folder that an image is in is its class.

use crate::scene::Factor;
use crate::scene::labels::{LabelRow, LabelTable};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// The factor's name.
const FACTOR: &str = "class";

/// The labels of the images `names` of `folder`: of each the folder that it is in.
///
/// # Errors
/// When they do not all lie equally deep in folders, so that it isn't clear which folders are classes, or a folder's name can
/// not be a label.
pub(super) fn classes(folder: &Path, names: &[String]) -> Result<LabelTable> {
    let depth = |name: &str| name.matches('/').count();
    let (first, depths) = (names.first().map_or("", String::as_str), names.iter().map(|name| depth(name)));
    let depths: BTreeSet<usize> = depths.collect();
    if depths.len() != 1 || depths.contains(&0) {
        let other = names.iter().find(|name| depth(name) != depth(first));
        let got = other.map_or(format!("{first:?}"), |other| format!("{first:?} and {other:?}"));
        let expected = "every image in the folder of its class, all equally deep, for --labels folders";
        return Err(Error::mismatch(folder.display(), expected, got));
    }
    let class = |name: &str| name.rsplit('/').nth(1).unwrap_or_default().to_owned();
    let values: Vec<String> = names.iter().map(|name| class(name)).collect::<BTreeSet<_>>().into_iter().collect();
    let number = |name: &str| values.binary_search(&class(name)).ok().map(|value| value as u32);
    let rows =
        names.iter().map(|name| LabelRow { filename: name.clone(), objects: vec![vec![number(name)]] }).collect();
    let table = LabelTable { factors: vec![Factor { name: FACTOR.to_owned(), values }], rows };
    table.check().map_err(|source| Error::malformed(folder.display(), source))?;
    Ok(table)
}
