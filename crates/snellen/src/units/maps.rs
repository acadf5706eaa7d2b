//! Where in its pictures a unit is active.

use crate::Result;
use crate::engine::Tape;
use crate::model::{ActivationMut, Hook, Model, Site};
use crate::record::{read_pixels, read_rgb};
use crate::report::Picture;
use std::path::PathBuf;

/// The pictures at `paths`, each under the activation of `unit` at `site`, on one scale: from the median patch of them all to the one
/// that moves it most (`lowered`: the one that lowers it most). Pictures without a map where the site has no patches.
///
/// # Errors
/// When a picture cannot be read, or the forward fails.
pub fn unit_maps(model: &Model, paths: &[PathBuf], site: Site, unit: usize, lowered: bool) -> Result<Vec<Picture>> {
    let mut map = PatchMap { site, unit, patches: model.config.vision.patches(), rows: Vec::new() };
    let pixels = read_pixels(paths, &model.preprocessing)?;
    model.towers.observe_images(&mut Tape::off(), &pixels, &mut map)?;
    // Without padding.
    map.rows.iter_mut().zip(&pixels.grids).for_each(|(row, [rows, columns])| row.truncate(rows * columns));
    let sign = if lowered { -1.0 } else { 1.0 };
    let mut all: Vec<f32> = map.rows.iter().flatten().map(|x| sign * *x).collect();
    all.sort_unstable_by(f32::total_cmp);
    // Most patches are background: what stands out from them is shown.
    let (low, high) = (all.get(all.len() / 2).copied().unwrap_or(0.0), all.last().copied().unwrap_or(0.0));
    let grid = model.config.vision.grid();
    let mut pictures = Vec::new();
    for (i, path) in paths.iter().enumerate() {
        let shown = model.preprocessing.shown(&read_rgb(path, &model.preprocessing)?);
        let values: Option<Vec<f32>> = map
            .rows
            .get(i)
            .map(|row| row.iter().map(|x| (sign * *x - low) / (high - low).max(f32::MIN_POSITIVE)).collect());
        // Only a square of patches is drawn.
        let [rows, columns] = pixels.grids.get(i).copied().unwrap_or([grid; 2]);
        let values = values.filter(|_| rows == columns);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        pictures.push(Picture::new(&shown, name, values.as_deref().map(|v| (v, rows)))?);
    }
    Ok(pictures)
}

/// A unit's activation on every patch; nothing where its site has no patches.
struct PatchMap {
    site: Site,
    unit: usize,
    patches: usize,
    rows: Vec<Vec<f32>>,
}

impl Hook for PatchMap {
    fn wants(&self, site: Site) -> bool {
        site == self.site
    }

    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> Result<()> {
        let (images, tokens) = (x.shape[0], x.shape[1]);
        if x.shape.len() < 3 {
            return Ok(());
        }
        let width = x.data.len() / (images * tokens);
        // Class token and registers, which have no place in the picture.
        let Some(first) = tokens.checked_sub(self.patches) else { return Ok(()) };
        for image in x.data.chunks(tokens * width) {
            self.rows.push(image.chunks(width).skip(first).map(|token| token[self.unit]).collect());
        }
        Ok(())
    }
}
