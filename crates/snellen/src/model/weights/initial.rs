//! How weights begin, before anything is learnt.

use crate::engine::Tensor;
use crate::model::ModelConfig;
use crate::model::checkpoint::Parameters;
use crate::{Result, random};

/// CLIP's first temperature: `ln(1 / 0.07)`.
const LOGIT_SCALE: f32 = 2.6593;

/// How a weight begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    /// All values are this one.
    Constant(f32),
    /// Values are normal with mean 0 and this deviation.
    Normal(f64),
}

/// How the weight of this name begins.
///
/// Matrices are normal with variance `1 / inputs`, divided by `2 layers` where they write to the residual stream (as in GPT-2 and
/// CLIP); embeddings have a deviation of 0.02; gains and layer scales are 1, biases 0.
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
    } else if name.ends_with("weight") || name.contains("layer_scale") {
        Start::Constant(1.0)
    } else {
        Start::Constant(0.0)
    }
}

/// Weights of a model of this configuration that has learnt nothing, each drawn as [`start`] says from `seed` and its name.
pub(crate) struct Fresh<'a> {
    pub(crate) seed: u64,
    pub(crate) config: &'a ModelConfig,
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
        Ok(Tensor::new(shape, data))
    }
}
