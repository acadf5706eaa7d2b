//! Position embeddings, and what becomes of them at another picture size than the one they were trained at.

use super::checkpoint::Parameters;
use super::config::{Positions, VisionConfig};
use super::resample::cubic;
use crate::Result;
use crate::engine::{Real, Tensor};

/// The position embeddings of the class token and of every patch, `[token, unit]`. Interpolated ones are constants to the tape.
pub(super) fn fit<F: Real>(p: &mut dyn Parameters<F>, config: &VisionConfig) -> Result<Tensor<F>> {
    let (class, d) = (usize::from(config.class_token), config.tower.width);
    let (grid, old) = match config.positions {
        Positions::Learned => (config.grid(), config.grid()),
        Positions::Bicubic { trained, .. } => (config.grid(), trained / config.patch),
    };
    let table = p.get("vision_model.embeddings.position_embedding.weight", &[class + old * old, d])?;
    let Positions::Bicubic { antialias, .. } = config.positions else { return Ok(table) };
    if old == grid {
        return Ok(table);
    }
    let (class_rows, patches) = table.data().split_at(class * d);
    let windows: Vec<Vec<(usize, f64)>> = (0..grid).map(|i| window(i, old, grid, antialias)).collect();
    let mut data = class_rows.to_vec();
    for down in &windows {
        for across in &windows {
            let mut sum = vec![0.0; d];
            for (row, a) in down {
                for (column, b) in across {
                    let from = &patches[(row * old + column) * d..][..d];
                    sum.iter_mut().zip(from).for_each(|(s, x)| *s += a * b * x.wide());
                }
            }
            data.extend(sum.into_iter().map(F::of));
        }
    }
    Ok(Tensor::new([class + grid * grid, d], data))
}

/// Which of `old` places the place `i` of `new` ones is made of, and with what weights.
fn window(i: usize, old: usize, new: usize, antialias: bool) -> Vec<(usize, f64)> {
    let scale = old as f64 / new as f64;
    let centre = (i as f64 + 0.5) * scale;
    if antialias {
        let stretch = scale.max(1.0);
        let start = ((centre - 2.0 * stretch + 0.5).max(0.0)) as usize;
        let end = ((centre + 2.0 * stretch + 0.5) as usize).min(old);
        let weigh = |at: usize| (at, cubic(-0.5, (at as f64 + 0.5 - centre) / stretch));
        let weights: Vec<_> = (start..end).map(weigh).collect();
        let total: f64 = weights.iter().map(|(_, w)| w).sum();
        return weights.into_iter().map(|(at, w)| (at, w / total)).collect();
    }
    let first = (centre - 0.5).floor();
    let at = |k: i64| (first as i64 + k).clamp(0, old as i64 - 1) as usize;
    (-1..3).map(|k| (at(k), cubic(-0.75, first + k as f64 + 0.5 - centre))).collect()
}
