//! Named changes to weights that leave the function as it is but not every activation, as ViT-Prisma and TransformerLens make
//! them. None is made unless it is asked for, and a run records which were.

use super::towers::Towers;
use crate::engine::{Real, Tensor};
use crate::model::block::{Block, Linear, Norm};
use crate::model::text::TextTower;
use crate::model::vision::VisionTower;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A change to all weights of a model that changes no embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// `fold-ln`: gain and bias of every layer norm of the residual stream move into the linear maps that read from it. Of the sites only
    /// `ln_final.hook_normalized` changes; it stays as it is where nothing linear follows.
    FoldLn,
    /// `center-writing`: what is written to the residual stream loses its mean over units: position embeddings, and the maps that end
    /// attention and MLP. Layer scales move into these maps. (As in ViT-Prisma, patch and class embeddings stay as they are.)
    CenterWriting,
}

impl Transform {
    /// Every transform, in the order in which they are made.
    pub const ALL: [Self; 2] = [Self::FoldLn, Self::CenterWriting];
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FoldLn => "fold-ln",
            Self::CenterWriting => "center-writing",
        })
    }
}

impl FromStr for Transform {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = || Self::ALL.map(|t| format!("`{t}`")).join(" or ");
        let found = Self::ALL.into_iter().find(|t| t.to_string() == name);
        found.ok_or_else(|| Error::mismatch("weight transform", known(), format!("`{name}`")))
    }
}

impl<F: Real> Towers<F> {
    /// Changes the weights outside the blocks.
    pub(in crate::model) fn transform_ends(&mut self, transform: Transform) {
        self.vision.transform_ends(transform);
        if let Some(text) = &mut self.text {
            text.transform_ends(transform);
        }
    }
}

impl<F: Real> VisionTower<F> {
    fn transform_ends(&mut self, transform: Transform) {
        match transform {
            Transform::CenterWriting => self.positions.iter_mut().for_each(center_rows),
            Transform::FoldLn => match (&mut self.head, &mut self.projection) {
                (Some(head), _) => {
                    fold(&mut self.ln_final, &mut [&mut head.attention.k, &mut head.attention.v]);
                    fold(&mut head.norm, &mut head.mlp.readers());
                }
                (None, Some(projection)) => fold(&mut self.ln_final, &mut [projection]),
                (None, None) => {}
            },
        }
    }
}

impl<F: Real> TextTower<F> {
    fn transform_ends(&mut self, transform: Transform) {
        match transform {
            Transform::CenterWriting => center_rows(&mut self.positions),
            Transform::FoldLn => {
                if let Some(projection) = &mut self.projection {
                    fold(&mut self.ln_final, &mut [projection]);
                }
            }
        }
    }
}

impl<F: Real> Block<F> {
    /// Changes its weights, which are not packed yet.
    pub(in crate::model) fn transform(&mut self, transform: Transform) {
        let Self { ln1, attention, ln2, mlp, .. } = self;
        match transform {
            Transform::FoldLn => {
                fold(ln1, &mut [&mut attention.q, &mut attention.k, &mut attention.v]);
                fold(ln2, &mut mlp.readers());
            }
            Transform::CenterWriting => {
                center_output(&mut attention.out, self.scale1.take());
                center_output(&mut mlp.down, self.scale2.take());
            }
        }
    }
}

/// `W (g x + b) + c` is `(W g) x + (W b + c)`.
fn fold<F: Real>(norm: &mut Norm<F>, readers: &mut [&mut Linear<F>]) {
    let (gain, shift) = (norm.gain.data().to_vec(), norm.bias.data().to_vec());
    for map in readers {
        let Some(weight) = map.weight.plain_mut() else { unreachable!("weights are changed before they are packed") };
        let width = weight.width();
        let old = map.bias.as_ref().map(|bias| bias.data().to_vec());
        let mut bias = Vec::with_capacity(weight.dim(0));
        for (i, row) in weight.data_mut().chunks_mut(width).enumerate() {
            let moved: f64 = row.iter().zip(&shift).map(|(w, b)| w.wide() * b.wide()).sum();
            bias.push(F::of(moved + old.as_ref().map_or(0.0, |old| old[i].wide())));
            row.iter_mut().zip(&gain).for_each(|(w, g)| *w *= *g);
        }
        map.bias = Some(Tensor::new([bias.len()], bias));
    }
    norm.gain.data_mut().fill(F::one());
    norm.bias.data_mut().fill(F::zero());
}

/// What `map` gives, times `scale` unit by unit, without its mean over units.
fn center_output<F: Real>(map: &mut Linear<F>, scale: Option<Tensor<F>>) {
    let Some(weight) = map.weight.plain_mut() else { unreachable!("weights are changed before they are packed") };
    let width = weight.width();
    let scale = scale.map(|scale| scale.data().to_vec());
    let center = |values: &mut [F], width: usize| {
        let rows = values.len() / width;
        if let Some(scale) = &scale {
            values.chunks_mut(width).zip(scale).for_each(|(row, s)| row.iter_mut().for_each(|x| *x *= *s));
        }
        for column in 0..width {
            let mean = (0..rows).map(|row| values[row * width + column].wide()).sum::<f64>() / rows as f64;
            (0..rows).for_each(|row| values[row * width + column] -= F::of(mean));
        }
    };
    center(weight.data_mut(), width);
    if let Some(bias) = &mut map.bias {
        center(bias.data_mut(), 1);
    }
}

fn center_rows<F: Real>(table: &mut Tensor<F>) {
    let width = table.width();
    for row in table.data_mut().chunks_mut(width) {
        let mean = F::of(row.iter().map(|x| x.wide()).sum::<f64>() / width as f64);
        row.iter_mut().for_each(|x| *x -= mean);
    }
}
