//! Initial weights.

use crate::Result;
use crate::engine::Tensor;
use crate::model::checkpoint::{Parameters, Weights};
use crate::model::initial::Fresh;
use crate::model::{ModelConfig, Towers};

/// Fresh weights for `config`, by name.
pub(crate) fn weights(config: &ModelConfig, seed: u64) -> Result<Weights> {
    let mut source = Kept { weights: Weights::new(), fresh: Fresh { seed, config } };
    Towers::<f32>::new(config, &mut source)?;
    Ok(source.weights)
}

struct Kept<'a> {
    weights: Weights,
    fresh: Fresh<'a>,
}

impl Parameters<f32> for Kept<'_> {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<f32>> {
        let tensor = self.fresh.get(name, shape)?;
        self.weights.insert(name.to_owned(), tensor.clone());
        Ok(tensor)
    }
}
