//! Position embeddings, and what becomes of them at another picture size than the one they were trained at.

use crate::Result;
use crate::engine::ops::Angles;
use crate::engine::{Real, Tensor};
use crate::model::checkpoint::Parameters;
use crate::model::config::{Positions, Rotary, VisionConfig};
use crate::model::resample::cubic;
use std::f64::consts::PI;

/// The position embeddings of the tokens before the patches and of every patch, `[token, unit]`; `None` where there are none.
/// Interpolated ones are constants to the tape; where pictures keep their aspect ratio, they are those that are interpolated from.
pub(in crate::model) fn fit<F: Real>(p: &mut dyn Parameters<F>, config: &VisionConfig) -> Result<Option<Tensor<F>>> {
    let (class, d) = (config.placed(), config.tower.width);
    let (grid, old) = match config.positions {
        Positions::Learned => (config.grid(), config.grid()),
        Positions::Bicubic { trained, .. } => (config.grid(), trained / config.patch),
        Positions::None => return Ok(None),
        Positions::Flexible { trained, .. } => (trained, trained),
    };
    let table = p.get("vision_model.embeddings.position_embedding.weight", &[class + old * old, d])?;
    let Positions::Bicubic { antialias, .. } = config.positions else { return Ok(Some(table)) };
    if old == grid {
        return Ok(Some(table));
    }
    let (class_rows, patches) = table.data().split_at(class * d);
    let windows = || (0..grid).map(|i| bicubic(i, old, grid, antialias)).collect();
    let mut data = class_rows.to_vec();
    data.extend(interpolated(patches, old, d, [windows(), windows()]));
    Ok(Some(Tensor::new([class + grid * grid, d], data)))
}

/// What queries and keys of the patches are turned by; `None` where they are not. The first half of a head's pairs turns with one side of
/// the picture, the second with the other.
pub(in crate::model) fn angles<F: Real>(config: &VisionConfig) -> Option<Angles<F>> {
    let rotary = config.rotary?;
    let (grid, quarter) = (config.grid(), config.tower.width / config.tower.heads / 4);
    let place = |i: usize| match rotary {
        Rotary::Centred { .. } => 2.0 * ((i as f64 + 0.5) / grid as f64) - 1.0,
        Rotary::Indexed { first, reference, .. } => (i as f64 + first) / grid as f64 * reference as f64,
    };
    let speed = |pair: usize| match rotary {
        Rotary::Centred { base } => 2.0 * PI / base.powf(pair as f64 / quarter as f64),
        Rotary::Indexed { .. } => 10_000_f64.powf(pair as f64 / quarter as f64).recip(),
    };
    let columns_first = matches!(rotary, Rotary::Indexed { columns_first: true, .. });
    let mut angles = Vec::with_capacity(grid * grid * 2 * quarter);
    for (row, column) in (0..grid).flat_map(|row| (0..grid).map(move |column| (row, column))) {
        for at in if columns_first { [column, row] } else { [row, column] } {
            angles.extend((0..quarter).map(|pair| place(at) * speed(pair)));
        }
    }
    let table = |f: fn(f64) -> f64| {
        Tensor::new([grid * grid, 2 * quarter], angles.iter().map(|angle| F::of(f(*angle))).collect())
    };
    let neighbours = matches!(rotary, Rotary::Indexed { .. });
    Some(Angles { cos: table(f64::cos), sin: table(f64::sin), first: config.prefix(), neighbours })
}

/// The positions of every picture of a batch, whose rows and columns of patches are `grids`, `[image, patch, unit]`, from `table
/// [trained * trained, unit]`. Padding has those of the picture's first patch. Constants to the tape.
pub(in crate::model) fn of_pictures<F: Real>(
    table: &Tensor<F>,
    trained: usize,
    grids: &[[usize; 2]],
    patches: usize,
) -> Tensor<F> {
    let d = table.width();
    let mut data = Vec::with_capacity(grids.len() * patches * d);
    for [rows, columns] in grids {
        let begin = data.len();
        let windows = |new: usize| (0..new).map(|i| bilinear(i, trained, new)).collect();
        data.extend(interpolated(table.data(), trained, d, [windows(*rows), windows(*columns)]));
        let first: Vec<F> = data[begin..begin + d].to_vec();
        (rows * columns..patches).for_each(|_| data.extend_from_slice(&first));
    }
    Tensor::new([grids.len(), patches, d], data)
}

/// Which of the old places a new one is made of, and with what weights.
type Window = Vec<(usize, f64)>;

/// Rows of `d` values, in rows of `old` -> as many as there are windows down and across.
fn interpolated<F: Real>(patches: &[F], old: usize, d: usize, [down, across]: [Vec<Window>; 2]) -> Vec<F> {
    let mut data = Vec::with_capacity(down.len() * across.len() * d);
    for down in &down {
        for across in &across {
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
    data
}

/// The place `i` of `new` ones among `old`, bicubic.
fn bicubic(i: usize, old: usize, new: usize, antialias: bool) -> Window {
    if antialias {
        return antialiased(i, old, new, 2.0, |x| cubic(-0.5, x));
    }
    let centre = (i as f64 + 0.5) * (old as f64 / new as f64);
    let first = (centre - 0.5).floor();
    let at = |k: i64| (first as i64 + k).clamp(0, old as i64 - 1) as usize;
    (-1..3).map(|k| (at(k), cubic(-0.75, first + k as f64 + 0.5 - centre))).collect()
}

/// The same, bilinear and antialiased.
fn bilinear(i: usize, old: usize, new: usize) -> Window {
    antialiased(i, old, new, 1.0, |x| (1.0 - x.abs()).max(0.0))
}

/// The same through a filter that reaches `reach` places, and is stretched when shrinking.
fn antialiased(i: usize, old: usize, new: usize, reach: f64, filter: impl Fn(f64) -> f64) -> Window {
    let scale = old as f64 / new as f64;
    let (centre, stretch) = ((i as f64 + 0.5) * scale, scale.max(1.0));
    let start = ((centre - reach * stretch + 0.5).max(0.0)) as usize;
    let end = ((centre + reach * stretch + 0.5) as usize).min(old);
    let weights: Window = (start..end).map(|at| (at, filter((at as f64 + 0.5 - centre) / stretch))).collect();
    let total: f64 = weights.iter().map(|(_, w)| w).sum();
    weights.into_iter().map(|(at, w)| (at, w / total)).collect()
}
