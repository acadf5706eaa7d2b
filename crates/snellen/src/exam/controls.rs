//! What stands beside a model where a reader reads it: raw pixels, and untrained models of its shape.

use super::examinee::Examinee;
use super::remembered::{Control, Remembered};
use super::sitting::Sitting;
use crate::Result;
use crate::measure::Matrix;
use crate::model::{Untrained, UntrainedKind};
use crate::scene::{Scene, render};
use image::imageops::{FilterType, resize};
use rayon::prelude::*;

/// Height and width of the pictures that a reader of raw pixels is given, at most.
const PIXELS: u32 = 48;

/// One untrained model of each kind, where they can be made.
pub(super) fn untrained(examinee: &dyn Examinee, seed: u64) -> Result<Vec<Control>> {
    let Some(model) = examinee.model().filter(|model| model.can_be_untrained()) else { return Ok(Vec::new()) };
    let of = |kind: UntrainedKind| {
        let model = model.untrained(Untrained { kind, seed })?;
        Ok(Control { name: format!("untrained ({})", kind.name()), model, remembered: Remembered::new(seed) })
    };
    UntrainedKind::ALL.into_iter().map(of).collect()
}

/// `[scene, value]`: the pictures, made smaller where they are large.
pub(super) fn pixels(sitting: &Sitting<'_>, scenes: &[Scene]) -> Result<Matrix> {
    let canvas = sitting.canvas();
    let row = |scene: &Scene| -> Vec<f32> {
        let picture = render(scene, sitting.world, &canvas);
        let side = picture.width().min(PIXELS);
        let small = if side < picture.width() { resize(&picture, side, side, FilterType::Triangle) } else { picture };
        small.into_raw().into_iter().map(|x| f32::from(x) / 255.0).collect()
    };
    let rows: Vec<Vec<f32>> = scenes.par_iter().map(row).collect();
    let width = rows.first().map_or(0, Vec::len);
    Matrix::new(scenes.len(), width, rows.concat())
}
