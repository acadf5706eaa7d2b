//! Initial weights.

use crate::engine::Tensor;
use crate::model::checkpoint::{Parameters, Weights};
use crate::model::{ModelConfig, Towers};
use crate::{Result, random};

/// CLIP's first temperature: `ln(1 / 0.07)`.
const LOGIT_SCALE: f32 = 2.6593;

/// How a weight begins.
pub(crate) enum Start {
    /// All values are this one.
    Constant(f32),
    /// Values are normal with mean 0 and this deviation.
    Normal(f64),
}

/// How the weight of this name begins.
///
/// Matrices are normal with variance `1 / inputs`, divided by `2 layers` where they write to the residual stream (as in GPT-2 and
/// CLIP); embeddings have a deviation of 0.02; gains are 1 and biases 0.
pub(crate) fn start(config: &ModelConfig, name: &str, shape: &[usize]) -> Start {
    let text = config.text.as_ref().filter(|_| name.starts_with("text"));
    let layers = text.map_or(config.vision.tower.layers, |text| text.tower.layers);
    if name == "logit_scale" {
        Start::Constant(LOGIT_SCALE)
    } else if name.contains("embedding") && !name.contains("patch_embedding") {
        Start::Normal(0.02)
    } else if shape.len() > 1 {
        let inputs: usize = shape[1..].iter().product();
        let writes = name.contains("out_proj") || name.contains("fc2");
        Start::Normal((1.0 / inputs as f64).sqrt() / if writes { (2.0 * layers as f64).sqrt() } else { 1.0 })
    } else if name.ends_with("weight") {
        Start::Constant(1.0)
    } else {
        Start::Constant(0.0)
    }
}

/// Fresh weights for `config`, by name, each as [`start`] says.
pub(crate) fn weights(config: &ModelConfig, seed: u64) -> Result<Weights> {
    let mut source = Fresh { weights: Weights::new(), seed, config };
    Towers::<f32>::new(config, &mut source)?;
    Ok(source.weights)
}

struct Fresh<'a> {
    weights: Weights,
    seed: u64,
    config: &'a ModelConfig,
}

impl Parameters<f32> for Fresh<'_> {
    fn get(&mut self, name: &str, shape: &[usize]) -> Result<Tensor<f32>> {
        let n = shape.iter().product();
        let data = match start(self.config, name, shape) {
            Start::Constant(value) => vec![value; n],
            Start::Normal(deviation) => {
                let mut rng = random::stream(self.seed, name, 0);
                (0..n).map(|_| (random::normal(&mut rng) * deviation) as f32).collect()
            }
        };
        let tensor = Tensor::new(shape, data);
        self.weights.insert(name.to_owned(), tensor.clone());
        Ok(tensor)
    }
}
