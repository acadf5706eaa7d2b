//! The screen: estimates of what patches do, the nodes that are patched exactly, and what a gradient misses.

use super::trace::{
    HEADS, READING, Recorder, WIDTH, captions, clip, coloured, embed, margin, noise, one, pictures, planted_with,
};
use crate::families::load;
use snellen::engine::Tensor;
use snellen::intervene::trace::{Direction, Estimate, Input, Node, Pairs, exact, screen};
use snellen::intervene::{Change, Donors, Prepared, Tokens as Group};
use snellen::model::{BlockPoint, LoadConfig, ModelConfig, Pixels, Point, Site, Towers};

/// Twins that are almost the same: what a gradient says of one it says of both.
fn near(mut pairs: Pairs) -> Pairs {
    let Input::Images(pixels) = &mut pairs.input else { unreachable!("images") };
    let long = pixels.values.data().len() / (2 * pairs.maps.len());
    let values = pixels.values.data_mut();
    for twin in 0..pairs.maps.len() {
        let (clean, corrupt) = values[2 * twin * long..][..2 * long].split_at_mut(long);
        let nudge = noise(long, 90 + twin as u64);
        corrupt.iter_mut().zip(clean).zip(nudge).for_each(|((to, x), nudge)| *to = *x + 3e-3 * nudge);
    }
    pairs
}

fn nodes(estimates: &[Estimate]) -> Vec<(usize, Node)> {
    estimates.iter().map(|estimate| (estimate.layer, estimate.node)).collect()
}

/// The root of the mean square.
fn size(values: impl Iterator<Item = f64> + Clone) -> f64 {
    (values.clone().map(|x| x * x).sum::<f64>() / values.count() as f64).sqrt()
}

#[test]
fn estimates_are_effects_where_twins_hardly_differ() {
    for (name, model) in [("clip", clip()), ("siglip", load("siglip", &LoadConfig::plain()))] {
        let pairs = near(pictures(&model, 3));
        for direction in [Direction::Denoise, Direction::Noise] {
            let estimates = screen(&model.towers, &model.config, &pairs, direction, &()).unwrap();
            let tower = &model.config.vision.tower;
            assert_eq!(estimates.len(), tower.layers * (tower.mlp + 2 * tower.heads));
            let exact = exact(&model.towers, &model.config, &pairs, (&nodes(&estimates), direction), &()).unwrap();
            let effect = |k: usize| exact[k].effects.iter().sum::<f64>() / 3.0;
            for family in [true, false] {
                let those = (0..estimates.len()).filter(|k| matches!(estimates[*k].node, Node::Unit(_)) == family);
                let effects = size(those.clone().map(effect));
                let wrong = size(those.clone().map(|k| estimates[k].estimate - effect(k)));
                // What is left is rounding of f32, and the square of the difference.
                assert!(effects > 1e-7 && wrong < 0.02 * effects, "{name} {direction}: {wrong:e} of {effects:e}");
                let plain = size(those.clone().map(|k| estimates[k].plain - effect(k)));
                assert!(plain < 0.02 * effects, "{name} {direction}: {plain:e} of {effects:e}");
            }
        }
    }
}

#[test]
fn of_twins_that_are_the_same_nothing_is_estimated() {
    // The softmax that is made again is then that of the forward: behind masks, padding and rotary positions, too.
    let same = |pairs: Pairs| {
        let n = pairs.len();
        let input = match &pairs.input {
            Input::Images(pixels) => {
                let long = pixels.values.data().len() / (2 * n);
                let rows = (0..2 * n).flat_map(|row| &pixels.values.data()[row / 2 * 2 * long..][..long]);
                let values = Tensor::new(pixels.values.shape(), rows.copied().collect());
                Input::Images(Pixels { values, grids: pixels.grids.clone() })
            }
            Input::Texts(tokens) => Input::Texts(tokens.rows(&(0..2 * n).map(|row| row / 2 * 2).collect::<Vec<_>>())),
        };
        Pairs { input, ..pairs }
    };
    let of = |name: &str| load(name, &LoadConfig::plain());
    let (clip, naflex, rotary) = (clip(), of("siglip2_naflex"), of("dinov3_gated"));
    let all = [(&clip, captions(&clip, 2)), (&naflex, pictures(&naflex, 2)), (&rotary, pictures(&rotary, 2))];
    for (model, pairs) in all {
        let found = |pairs: &Pairs| screen(&model.towers, &model.config, pairs, Direction::Denoise, &()).unwrap();
        let differ = found(&pairs);
        let most = differ.iter().map(|e| e.estimate.abs()).fold(0.0, f64::max);
        for estimate in found(&same(pairs)) {
            assert!(estimate.estimate.abs() < 1e-5 * most, "{}: {estimate:?} of {most}", model.name);
        }
    }
}

#[test]
fn nodes_are_patched_as_by_a_hook_in_a_whole_forward() {
    for (name, model) in [("clip", clip()), ("dinov3_gated", load("dinov3_gated", &LoadConfig::plain()))] {
        let mut all = vec![pictures(&model, 2)];
        if name == "clip" {
            all.push(captions(&model, 2));
        }
        for pairs in all {
            let tower = pairs.input.tower();
            let nodes = [
                (1, Node::Unit(3)),
                (0, Node::Key(0)),
                (0, Node::Unit(7)),
                (1, Node::Query(1)),
                (0, Node::Query(0)),
                (0, Node::Unit(0)),
            ];
            let found = exact(&model.towers, &model.config, &pairs, (&nodes, Direction::Denoise), &()).unwrap();
            let wrong = [(9, Node::Unit(0)), (0, Node::Unit(999)), (0, Node::Key(9))];
            for wrong in wrong {
                let refused = exact(&model.towers, &model.config, &pairs, (&[wrong], Direction::Noise), &());
                let refused = refused.unwrap_err().to_string();
                assert!(refused.contains(&format!("layer {}, {}", wrong.0, wrong.1)), "{refused}");
            }
            let mut seen = Recorder::default();
            let embeds = embed(&model, &pairs.input, &mut seen);
            for (exact, (layer, node)) in found.iter().zip(nodes) {
                let (point, head, units) = match node {
                    Node::Unit(unit) => (BlockPoint::MlpPost, None, Some(vec![unit])),
                    Node::Query(head) => (BlockPoint::Q, Some(head), None),
                    Node::Key(head) => (BlockPoint::K, Some(head), None),
                };
                let site = Site { tower, point: Point::Block(layer, point) };
                let edit = Prepared { site, head, tokens: Group::All, units, change: Change::Donated };
                let mut changed = 0;
                for i in 0..2 {
                    let long = seen.0[&site].len() / 4;
                    // All tokens of the row, padding among them.
                    let tokens = match &pairs.input {
                        Input::Images(_) => model.config.vision.tokens(),
                        Input::Texts(tokens) => tokens.length(),
                    };
                    let positions = [(0..tokens).collect::<Vec<_>>()];
                    let values = &seen.0[&site][2 * i * long..][..long];
                    let donors = Donors { values, rows: &[0], positions: &positions };
                    let mut hook = edit.on(&positions, Some(donors));
                    let after = embed(&model, &one(&pairs.input, 2 * i + 1), &mut hook);
                    changed += hook.changed().values as usize;
                    let base = &embeds.data()[(2 * i + 1) * embeds.width()..][..embeds.width()];
                    let expected = margin(after.data(), &pairs.readout[i]) - margin(base, &pairs.readout[i]);
                    let got = exact.effects[i];
                    assert!((got - expected).abs() < 1e-14, "{name}: {tower:?} layer {layer} {node}: {got} {expected}");
                    assert!(expected.abs() > 1e-9, "{name}: {tower:?} layer {layer} {node} does nothing");
                }
                assert_eq!(exact.changed, changed, "{name}: {tower:?} layer {layer} {node}");
            }
        }
    }
}

#[test]
fn saturated_attention_is_seen_by_a_softmax_made_again_and_not_by_a_gradient() {
    // The class token looks at whichever of patches 0 and 1 is coloured, and takes which one that is: keys carry the binding.
    let (config, towers) = planted_keys();
    let pairs = coloured(8);
    let estimates = screen(&towers, &config, &pairs, Direction::Denoise, &()).unwrap();
    let found = exact(&towers, &config, &pairs, (&nodes(&estimates), Direction::Denoise), &()).unwrap();
    for (estimate, exact) in estimates.iter().zip(&found) {
        let effect = exact.effects.iter().sum::<f64>() / 8.0;
        let carries = (estimate.layer, estimate.node) == (READING, Node::Key(1));
        let place = format!("layer {} {}: {} and {effect}", estimate.layer, estimate.node, estimate.estimate);
        assert_eq!(effect.abs() > 1e-6, carries, "{place}");
        assert!((estimate.estimate - effect).abs() < 2e-3 * effect.abs() + 1e-9, "{place}");
        assert!(estimate.plain.abs() < 1e-3 * effect.abs() + 1e-9, "{place}: {}", estimate.plain);
    }
}

/// [`planted`], but that head 1 looks at the brightest patch and reads which it is; linear in what it reads.
fn planted_keys() -> (ModelConfig, Towers<f32>) {
    let pair = |signal: usize, s: f32| {
        let mut units = vec![0.0; WIDTH];
        (units[2 * signal], units[2 * signal + 1]) = (s, -s);
        units
    };
    let unit = WIDTH / HEADS;
    let mut maps: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; WIDTH * WIDTH]);
    maps[0][unit * WIDTH..][..WIDTH].copy_from_slice(&pair(0, 100.0));
    maps[1][unit * WIDTH..][..WIDTH].copy_from_slice(&pair(5, 1.0));
    maps[2][unit * WIDTH..][..WIDTH].copy_from_slice(&pair(1, 0.5));
    let changed = ["q_proj", "k_proj", "v_proj"].into_iter().zip(maps);
    let name = |map: &str| format!("vision_model.encoder.layers.{READING}.self_attn.{map}.weight");
    planted_with(&[(1, 0, 1.0)], 1e4, changed.map(|(map, weights)| (name(map), weights)).collect())
}
