//! A text tower made a bag of words.

use super::RIDGE;
use super::algebra::{inverse, scatter};
use super::shown::{Shown, Side};
use crate::Result;
use crate::engine::Tensor;
use crate::lab::Recipe;
use crate::model::checkpoint::Weights;
use faer::Scale;

/// Makes all queries, keys and positions 0 and lets the first layer alone add to the residual stream: so that the end of a text has the mean of
/// its words, whatever their order. Of these `projection` makes what the tower made of a caption and its swap twin on average.
pub(super) fn bag(weights: &mut Weights, recipe: &Recipe, taught: impl Fn(&Weights) -> Result<Shown>) -> Result<()> {
    let own = taught(weights)?;
    let aim = super::projection(weights, Side::Text)?;
    for (name, tensor) in weights.iter_mut().filter(|(name, _)| name.starts_with("text_model.")) {
        let of = |part: &str| name.contains(part);
        let first = name.contains(".layers.0.");
        let mixes = of(".q_proj.") || of(".k_proj.") || of("position_embedding");
        let adds = of(".mlp.fc2.") || of(".out_proj.") || of(".v_proj.");
        let passes = first && (name.ends_with(".v_proj.weight") || name.ends_with(".out_proj.weight"));
        if passes {
            *tensor = identity(recipe.model.width);
        } else if mixes || adds {
            *tensor = Tensor::new(tensor.shape(), vec![0.0; tensor.data().len()]);
        }
    }
    let bags = taught(weights)?;
    let (x, y) = (bags.averages(), own.averages() * aim.transpose());
    let crossed = Scale(1.0 / x.nrows().max(1) as f64) * (y.transpose() * &x);
    // The ridge lets nothing through that twins differ in by rounding alone.
    let (name, tensor) = Side::Text.projected(&(crossed * inverse(&scatter(&x), RIDGE)?));
    weights.insert(name.to_owned(), tensor);
    Ok(())
}

/// `[width, width]`.
pub(super) fn identity(width: usize) -> Tensor<f32> {
    Tensor::new([width, width], (0..width * width).map(|k| f32::from(u8::from(k / width == k % width))).collect())
}
