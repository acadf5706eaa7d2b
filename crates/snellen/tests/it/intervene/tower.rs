//! A vision tower by formula, of whose hidden units it is known what they do, asked through every step that a model is asked through.
//!
//! One block whose attention gives nothing, and one patch, which is pooled. Layer norms change nothing. Hidden units read the patch's colour, or
//! its opposite, and only the first two write it to where the embedding is read.

use crate::families::load;
use rand::RngExt;
use snellen::engine::{Precision, Tensor};
use snellen::intervene::{Action, Against, Asked, Change, Effects, ModelRest, Set, Target, Term, Tokens, Trial};
use snellen::measure::Confidence;
use snellen::model::checkpoint::Parameters;
use snellen::model::{LoadConfig, Model, Pixels, Site, Towers, VisionPooling};
use snellen::random;
use std::collections::BTreeMap;

const WIDTH: usize = 8;
const MLP: usize = 48;
const TWINS: usize = 40;

/// Weights that are written, norms that divide by 1 whatever the values, and nothing else.
struct Written {
    weights: BTreeMap<String, Vec<f32>>,
    eps: f64,
}

impl Parameters<f32> for Written {
    fn get(&mut self, name: &str, shape: &[usize]) -> snellen::Result<Tensor<f32>> {
        let n = shape.iter().product();
        let rest = if name.contains("norm") && name.ends_with("weight") { self.eps.sqrt() as f32 } else { 0.0 };
        Ok(Tensor::new(shape, self.weights.remove(name).unwrap_or_else(|| vec![rest; n])))
    }
}

/// Signals are pairs of units, +s and -s, so that no mean is taken away: 0 is the colour, 1 what the MLP writes, 2 a constant.
fn pair(signal: usize, s: f32) -> Vec<f32> {
    let mut units = vec![0.0; WIDTH];
    (units[2 * signal], units[2 * signal + 1]) = (s, -s);
    units
}

/// The tower: one patch, the mean of which is pooled, so that the patch is all there is.
fn tower(seed: u64) -> Model {
    let mut model = load("clip_bin", &LoadConfig::plain());
    let vision = &mut model.config.vision;
    (vision.image, vision.patch, vision.projection) = (2, 2, Some(2));
    vision.pooling = Some(VisionPooling::Mean);
    (vision.tower.width, vision.tower.heads, vision.tower.layers, vision.tower.mlp) = (WIDTH, 1, 1, MLP);
    vision.tower.eps = 1e8;
    let mut weights = BTreeMap::new();
    let red = pair(0, 0.25).into_iter().flat_map(|w| [w, 0.0, 0.0].into_iter().flat_map(|w| [w; 4]));
    weights.insert("vision_model.embeddings.patch_embedding.weight".to_owned(), red.collect());
    // The class token's position, and the patch's: the constant.
    let positions = [pair(2, 1.0), pair(2, 1.0)].concat();
    weights.insert("vision_model.embeddings.position_embedding.weight".to_owned(), positions);
    // Unit 2 k reads the colour and unit 2 k + 1 its opposite, of which a quick GELU leaves the colour between them.
    let rng = &mut random::stream(seed, "hidden units", 0);
    let (mut up, mut down) = (Vec::new(), vec![0.0; WIDTH * MLP]);
    for unit in 0..MLP {
        let sign = if unit.is_multiple_of(2) { 1.0 } else { -1.0 };
        let strength: f32 = rng.random_range(0.9..1.1);
        up.extend(pair(0, sign * strength));
        if unit < 2 {
            (down[2 * MLP + unit], down[3 * MLP + unit]) = (sign, -sign);
        }
    }
    let layer = "vision_model.encoder.layers.0.mlp";
    weights.insert(format!("{layer}.fc1.weight"), up);
    weights.insert(format!("{layer}.fc2.weight"), down);
    weights.insert("visual_projection.weight".to_owned(), [pair(1, 0.5), pair(2, 0.5)].concat());
    model.config.text = None;
    let mut written = Written { weights, eps: model.config.vision.tower.eps };
    model.towers = Towers::packed(&model.config, &mut written, &[], Precision::F32).unwrap();
    assert!(written.weights.is_empty(), "{:?}", written.weights.keys());
    model
}

/// Mean-ablates `units` on twins of opposite colours, some bright and some dim.
fn ablated(seed: u64, units: Vec<usize>) -> Effects {
    let model = tower(seed);
    let rng = &mut random::stream(seed, "colours", 0);
    let (mut pixels, mut twins) = (Vec::new(), Vec::new());
    for twin in 0..TWINS {
        let sign = if rng.random_range(0..2) == 0 { 1.0 } else { -1.0 };
        let colour: f32 = sign * rng.random_range(0.5..1.5);
        for colour in [colour, -colour] {
            pixels.extend([[colour; 4], [0.0; 4], [0.0; 4]].concat());
        }
        let term = |k: usize| Term { row: 2 * twin + k, with: vec![[0.5, -0.5][k] * sign, 0.0] };
        twins.push([0, 1].map(term).to_vec());
    }
    let batches: Vec<Pixels<f32>> =
        pixels.chunks(64 * 12).map(|rows| Tensor::new([rows.len() / 12, 3, 2, 2], rows.to_vec()).into()).collect();
    let site: Site = "blocks.0.mlp.hook_post".parse().unwrap();
    let rest = ModelRest::of_images(&model, site, &batches).unwrap();
    let targets = [Target { name: "swap".to_owned(), twins, constants: Vec::new() }];
    let rows = 2 * TWINS;
    let patch = usize::from(model.config.vision.class_token);
    let (positions, strata) = (vec![vec![patch]; rows], vec![0; rows]);
    let asked = Asked { tokens: Tokens::Patches, head: None, positions, strata, targets: &targets };
    let trial = Trial::new(&rest, asked).unwrap();
    let against = Against { draws: 99, seed, confidence: Confidence::new(0.95).unwrap(), progress: &() };
    let set = Set::new("planted", units, false);
    trial.effects(&Action::Mean, &Change::Set(trial.means()), &[set], against).unwrap()
}

#[test]
fn hidden_units_that_carry_it_are_found_and_those_that_only_go_with_it_are_not() {
    let seeds = 20;
    let (mut found, mut mistaken) = (0, 0);
    for seed in 0..seeds {
        let cause = &ablated(seed, vec![0, 1]).rows[0];
        // All of the margin is lost, which is several spreads.
        found += u32::from(cause.q <= 0.05 && cause.effect.hi < -1.0 && cause.effect.estimate < cause.null.lo);
        // They read the same colour, as strongly, and change as much.
        let along = &ablated(seed, vec![2, 3, 5]).rows[0];
        assert!(along.changed == cause.changed / 2 * 3, "{} {}", along.changed, cause.changed);
        mistaken += u32::from(along.q <= 0.05 && (along.effect.hi < 0.0 || along.effect.lo > 0.0));
    }
    assert!(found == 20 && mistaken <= 1, "{found} found, {mistaken} mistaken");
}
