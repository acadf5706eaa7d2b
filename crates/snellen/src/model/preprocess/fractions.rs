//! DINOv3's order of steps: values become fractions before they are resized, and are not rounded to 255ths again.

use super::{Preprocessing, resize};
use crate::Result;
use crate::model::picture::Decoded;
use crate::model::resample::FloatPass;
use std::array::from_fn;

/// What [`Preprocessing::apply_into`] is for one that rescales first.
pub(super) fn apply(with: &Preprocessing, picture: &Decoded, out: &mut [f32]) -> Result<()> {
    let mut now = Decoded::from_rgb([picture.height, picture.width], picture.rgb());
    let values: [f32; 256] = from_fn(|byte| byte as f32 * with.rescale as f32);
    let size = [now.height, now.width];
    let to = with.resize.first().map_or(size, |resize| resize.sides(size));
    resize::check(to)?;
    resize::check([size[0], to[1]])?;
    let passes = [0, 1].map(|axis| FloatPass::new(size[axis], to[axis], with.filter));
    let (planes, size, start) = match passes {
        [Some(down), Some(across)] if to != size => {
            let wide = across.along_rows(&now.data, size[1], &values);
            (down.down_columns(&wide, size[0], to[1]), to, with.start(to))
        }
        _ => {
            // The nearest of the bytes is the nearest of the fractions.
            now = now.resized(to, (with.filter, with.backend)).window(with.start(to), [with.image; 2], &[0; 3]);
            let channel = |channel: usize| now.data.iter().skip(channel).step_by(3).map(|byte| values[*byte as usize]);
            ((0..3).flat_map(channel).collect(), [with.image; 2], [0; 2])
        }
    };
    let side = with.image;
    for (channel, (plane, out)) in planes.chunks(size[0] * size[1]).zip(out.chunks_exact_mut(side * side)).enumerate() {
        let (mean, std) = (with.mean[channel] as f32, with.std[channel] as f32);
        let finish = |value: f32| if with.normalise { (value - mean) / std } else { value };
        for (at, out) in out.iter_mut().enumerate() {
            let (row, column) = (start[0] + (at / side) as i64, start[1] + (at % side) as i64);
            let inside = (0..size[0] as i64).contains(&row) && (0..size[1] as i64).contains(&column);
            *out = finish(if inside { plane[row as usize * size[1] + column as usize] } else { 0.0 });
        }
    }
    Ok(())
}
