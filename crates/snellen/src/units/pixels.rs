//! Raw pixels through the same measures as activations: what of a site's numbers the picture has as it is.

use super::driver::measure_matrices;
use crate::measure::Matrix;
use crate::measure::encodes::Criterion;
use crate::model::Preprocessing;
use crate::readers::Prepared;
use crate::record::{FolderSource, read_rgb};
use crate::report::SiteUnits;
use crate::{Error, Result};
use image::imageops::{FilterType, resize};
use rayon::prelude::*;

/// Height and width of the pictures, in pixels.
const SIDE: u32 = 32;
/// Principal components that stand for the pixels, at most.
const COMPONENTS: usize = 256;
/// The most images whose components are searched.
const MOST: usize = 4000;

/// What the leading principal components of the pixels of `source` give, each a unit; `None` of more than 4,000 images.
///
/// # Errors
/// When a picture cannot be read, or the images have no labels.
pub(crate) fn pixels(
    source: &FolderSource,
    preprocessing: &Preprocessing,
    criterion: &Criterion,
) -> Result<Option<SiteUnits>> {
    let Some(labels) = source.labels.as_ref().filter(|labels| labels.table.rows.len() <= MOST) else { return Ok(None) };
    let row = |i: usize| -> Result<Vec<f32>> {
        let small = resize(&read_rgb(&source.path(i), preprocessing)?, SIDE, SIDE, FilterType::Triangle);
        Ok(small.into_raw().into_iter().map(|x| f32::from(x) / 255.0).collect())
    };
    let rows: Vec<Vec<f32>> = (0..source.filenames.len()).into_par_iter().map(row).collect::<Result<_>>()?;
    let images = Matrix::new(rows.len(), rows.first().map_or(0, Vec::len), rows.concat())?;
    let components = Prepared::new("raw pixels", &images)?.leading(COMPONENTS)?;
    let measured = measure_matrices(vec![("raw pixels".to_owned(), components)], &labels.table, criterion)?;
    let missing = || Error::mismatch("raw pixels", "one site", "none");
    measured.units.sites.into_iter().next().ok_or_else(missing).map(Some)
}
