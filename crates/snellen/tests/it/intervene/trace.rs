//! The map: exact, complete, and on towers of which it is known where a binding is carried.

use crate::families::load;
use snellen::engine::{Precision, Tape, Tensor};
use snellen::intervene::trace::{
    CANNOT_MATTER, Direction, EMPTY, Entry, Input, Node, Pairs, Part, PartKind, Plan, SAME, TowerMap, TraceConfig,
    Twins, exact, picture, screen, sweep, trace as trace_model, trace_units, write_trace,
};
use snellen::intervene::{Change, Donors, Prepared, TokenMap, Tokens as Group};
use snellen::measure::{Confidence, Interval};
use snellen::model::checkpoint::Parameters;
use snellen::model::tokenizer::Tokens;
use snellen::model::{ActivationMut, Hook, LoadConfig, Model, ModelConfig, Pixels, Site, Tower, Towers};
use snellen::scene::World;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Numbers that look random and are the same everywhere.
pub fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1 << 24) as f32 * 2.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

pub fn clip() -> Model {
    Model::load(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip/quick_gelu")).unwrap()
}

/// Two objects that share the patches with the background.
pub fn map(patches: usize) -> TokenMap {
    let cover = |k: usize| (0..patches).map(|p| if p % 3 == k { 0.7 } else { 0.0 }).collect();
    TokenMap::of_covers(&[cover(0), cover(1)])
}

pub fn readouts(twins: usize, width: usize) -> Vec<Vec<f64>> {
    let of = |i: usize| noise(width, 700 + i as u64).into_iter().map(f64::from).collect();
    (0..twins).map(of).collect()
}

pub fn pictures(model: &Model, twins: usize) -> Pairs {
    let vision = &model.config.vision;
    let (pixels, patches) = if vision.is_flexible() {
        let (patches, wide) = (vision.patches(), 3 * vision.patch * vision.patch);
        let values = Tensor::new([2 * twins, patches, wide], noise(2 * twins * patches * wide, 1));
        (Pixels { values, grids: vec![[2, 3]; 2 * twins] }, 6)
    } else {
        let shape = [2 * twins, 3, vision.image, vision.image];
        (Tensor::new(shape, noise(shape.iter().product(), 2)).into(), vision.patches())
    };
    let readout = readouts(twins, vision.embedding().unwrap());
    Pairs { input: Input::Images(pixels), maps: vec![map(patches); twins], readout }
}

pub fn captions(model: &Model, twins: usize) -> Pairs {
    let text = model.config.text().unwrap();
    let row = |i: usize| -> Vec<u32> {
        let words = noise(5, 40 + i as u64).into_iter().map(|x| ((x + 1.0) * 200.0) as u32 + 3);
        [574].into_iter().chain(words).chain([575, 575]).collect()
    };
    let rows: Vec<_> = (0..2 * twins).map(row).collect();
    let map = TokenMap::Text { own: 0..7, start: 0..1, end: 6, objects: Some(vec![vec![2], vec![4, 5]]) };
    Pairs {
        input: Input::Texts(Tokens::new(&rows, text, "ids").unwrap()),
        maps: vec![map; twins],
        readout: readouts(twins, text.projection),
    }
}

/// Keeps what it sees.
#[derive(Default)]
pub struct Recorder(pub BTreeMap<Site, Vec<f32>>);

impl Hook for Recorder {
    fn wants(&self, _: Site) -> bool {
        true
    }
    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> snellen::Result<()> {
        self.0.insert(site, x.data.to_vec());
        Ok(())
    }
}

pub fn embed(model: &Model, input: &Input, hook: &mut dyn Hook) -> Tensor<f32> {
    let mut tape = Tape::off();
    match input {
        Input::Images(pixels) => model.towers.embed_images(&mut tape, pixels, hook).unwrap(),
        Input::Texts(tokens) => model.towers.embed_texts(&mut tape, tokens, hook).unwrap(),
    }
}

/// Row `row` of `input` alone.
pub fn one(input: &Input, row: usize) -> Input {
    match input {
        Input::Images(pixels) => {
            let shape = [&[1], &pixels.values.shape()[1..]].concat();
            let long: usize = shape.iter().product();
            let values = Tensor::new(shape, pixels.values.data()[row * long..][..long].to_vec());
            Input::Images(Pixels { values, grids: pixels.grids.get(row).copied().into_iter().collect() })
        }
        Input::Texts(tokens) => Input::Texts(tokens.rows(&[row])),
    }
}

pub fn margin(embedding: &[f32], readout: &[f64]) -> f64 {
    let along: f64 = embedding.iter().zip(readout).map(|(x, r)| f64::from(*x) * r).sum();
    along / embedding.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// Every patch again, each by a hook in a whole forward.
fn check(name: &str, model: &Model, pairs: &Pairs, direction: Direction) -> usize {
    let plan = Plan {
        parts: PartKind::ALL.to_vec(),
        groups: pairs.groups(&model.config),
        direction,
        nulls: pairs.len(),
        seed: 5,
    };
    let swept = sweep(&model.towers, &model.config, pairs, &plan, &()).unwrap();
    let mut seen = Recorder::default();
    let embeds = embed(model, &pairs.input, &mut seen);
    let tower = pairs.input.tower();
    let long = |site: &Site| seen.0[site].len() / (2 * pairs.len());
    let mut compared = 0;
    for patched in &swept.patches {
        let place = format!("{name}: {tower:?} layer {} {} {}", patched.layer, patched.part, patched.group);
        let site = patched.part.site(tower, patched.layer);
        let head = if let Part::Head(head) = patched.part { Some(head) } else { None };
        let edit = Prepared { site, head, tokens: patched.group, units: None, change: Change::Donated };
        for i in 0..pairs.len() {
            let [base, source] = if direction == Direction::Denoise { [2 * i + 1, 2 * i] } else { [2 * i, 2 * i + 1] };
            let at = edit.positions(&model.config, &pairs.maps[i]).unwrap();
            let input = one(&pairs.input, base);
            let before = margin(&embeds.data()[base * embeds.width()..][..embeds.width()], &pairs.readout[i]);
            let of = |row: usize| {
                let values = &seen.0[&site][row * long(&site)..][..long(&site)];
                let positions = [at.clone()];
                let donors = Donors { values, rows: &[0], positions: &positions };
                let mut hook = edit.on(&positions, Some(donors));
                margin(embed(model, &input, &mut hook).data(), &pairs.readout[i]) - before
            };
            let (got, expected) = (patched.effects[i].unwrap(), of(source));
            assert!((got - expected).abs() < 1e-14, "{place}, twin {i}: {got} against {expected}");
            if !patched.matters {
                assert!(expected.abs() < 1e-14 && patched.changed == 0, "{place}, twin {i}: {expected}");
            }
            let others = (0..pairs.len()).filter(|j| *j != i).map(|j| of(2 * j));
            match patched.nulls[i] {
                Some(null) => assert!(others.clone().any(|other| (other - null).abs() < 1e-14), "{place}: {null}"),
                None => assert!(!patched.matters, "{place}"),
            }
            compared += 1;
        }
    }
    compared
}

#[test]
fn every_patch_is_what_a_hook_in_a_whole_forward_does() {
    let mut compared = 0;
    for direction in [Direction::Denoise, Direction::Noise] {
        let model = clip();
        compared += check("clip", &model, &pictures(&model, 2), direction);
        compared += check("clip", &model, &captions(&model, 3), direction);
    }
    for name in ["siglip", "siglip2_naflex", "dinov3_gated", "open_clip_avg", "dinov2_registers"] {
        let model = load(name, &LoadConfig::plain());
        compared += check(name, &model, &pictures(&model, 2), Direction::Denoise);
    }
    let model = load("siglip", &LoadConfig { precision: Precision::Bf16, ..LoadConfig::plain() });
    compared += check("siglip in bf16", &model, &pictures(&model, 2), Direction::Noise);
    assert!(compared > 800, "{compared}");
}

/// Weights by formula: layer norms that change nothing, and nothing else but what is written.
pub struct Planted {
    weights: BTreeMap<String, Vec<f32>>,
    eps: f64,
}

impl Parameters<f32> for Planted {
    fn get(&mut self, name: &str, shape: &[usize]) -> snellen::Result<Tensor<f32>> {
        let n = shape.iter().product();
        // With so large an eps a norm divides by its root, whatever the values.
        let rest = if name.contains("norm") && name.ends_with("weight") { self.eps.sqrt() as f32 } else { 0.0 };
        Ok(Tensor::new(shape, self.weights.remove(name).unwrap_or_else(|| vec![rest; n])))
    }
}

/// What a planted tower's heads read: the head, the patch that the class token looks at, and how much of its colour it takes.
pub type Reads<'a> = &'a [(usize, usize, f32)];

pub const WIDTH: usize = 16;
pub const HEADS: usize = 2;
pub const LAYERS: usize = 3;
/// The layer whose heads read.
pub const READING: usize = 1;

/// A tower of four patches whose class token takes colours only in layer 1, by the heads of `reads`, and gives `constant` beside them.
///
/// Signals are pairs of units, +s and -s, so that no mean is taken away: 0 is `I am the class token`, 1 to 4 `I am patch p`, 5 the colour, 6
/// the colour that was read, 7 the constant.
pub fn planted(reads: Reads<'_>, constant: f32) -> (ModelConfig, Towers<f32>) {
    planted_with(reads, constant, BTreeMap::new())
}

/// The same with some weights of one's own.
pub fn planted_with(reads: Reads<'_>, constant: f32, own: BTreeMap<String, Vec<f32>>) -> (ModelConfig, Towers<f32>) {
    let mut config = clip().config;
    config.text = None;
    let vision = &mut config.vision;
    (vision.image, vision.patch, vision.projection) = (4, 2, Some(2));
    (vision.tower.width, vision.tower.heads, vision.tower.layers, vision.tower.mlp) = (WIDTH, HEADS, LAYERS, 8);
    vision.tower.eps = 1e8;
    let mut weights = BTreeMap::new();
    let pair = |signal: usize, s: f32| {
        let mut units = vec![0.0; WIDTH];
        (units[2 * signal], units[2 * signal + 1]) = (s, -s);
        units
    };
    // Red is the colour, the mean of a patch.
    let colour = pair(5, 0.25).into_iter().flat_map(|weight| {
        let channels = [weight, 0.0, 0.0];
        channels.into_iter().flat_map(|weight| [weight; 4])
    });
    weights.insert("vision_model.embeddings.patch_embedding.weight".to_owned(), colour.collect());
    let class = pair(0, 1.0).into_iter().zip(pair(7, constant)).map(|(a, b)| a + b).collect();
    weights.insert("vision_model.embeddings.class_embedding".to_owned(), class);
    let positions = (0..5).flat_map(|token| if token == 0 { vec![0.0; WIDTH] } else { pair(token, 1.0) });
    weights.insert("vision_model.embeddings.position_embedding.weight".to_owned(), positions.collect());
    let mut maps: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; WIDTH * WIDTH]);
    for (head, patch, share) in reads {
        let unit = head * WIDTH / HEADS;
        let [q, k, v, out] = &mut maps;
        let read = |signal: usize, factor: f32| pair(signal, factor / 2.0);
        q[unit * WIDTH..][..WIDTH].copy_from_slice(&read(0, 120.0));
        k[unit * WIDTH..][..WIDTH].copy_from_slice(&read(1 + patch, 1.0));
        v[unit * WIDTH..][..WIDTH].copy_from_slice(&read(5, *share));
        (out[12 * WIDTH + unit], out[13 * WIDTH + unit]) = (1.0, -1.0);
    }
    for (name, map) in ["q_proj", "k_proj", "v_proj", "out_proj"].into_iter().zip(maps) {
        weights.insert(format!("vision_model.encoder.layers.{READING}.self_attn.{name}.weight"), map);
    }
    let projection = [pair(7, 0.5), pair(6, 0.5)].concat();
    weights.insert("visual_projection.weight".to_owned(), projection);
    weights.extend(own);
    let mut planted = Planted { weights, eps: config.vision.tower.eps };
    let towers = Towers::packed(&config, &mut planted, &[], Precision::F32).unwrap();
    assert!(planted.weights.is_empty(), "{:?}", planted.weights.keys());
    (config, towers)
}

/// Twins whose objects, on patches 0 and 1, exchange colours: what patch 0 has, patch 1 has the opposite of; some bright, some dim.
pub fn coloured(twins: usize) -> Pairs {
    let (mut values, mut readout) = (Vec::new(), Vec::new());
    for (i, x) in noise(twins, 9).into_iter().enumerate() {
        let sign = if i % 3 == 0 { -1.0 } else { 1.0 };
        let colour = sign * (1.0 + 0.5 * x);
        for colour in [colour, -colour] {
            // Patch 0 is above left, patch 1 above right.
            let red = [colour, colour, -colour, -colour];
            values.extend([red, red, [0.0; 4], [0.0; 4]].concat());
            values.extend([0.0; 32]);
        }
        readout.push(vec![0.0, f64::from(sign)]);
    }
    let cover = |k: usize| (0..4).map(|p| if p == k { 1.0 } else { 0.0 }).collect();
    Pairs {
        input: Input::Images(Tensor::new([2 * twins, 3, 4, 4], values).into()),
        maps: vec![TokenMap::of_covers(&[cover(0), cover(1)]); twins],
        readout,
    }
}

pub fn trace(reads: Reads<'_>, constant: f32, direction: Direction) -> TowerMap {
    let (config, towers) = planted(reads, constant);
    let pairs = coloured(48);
    let groups = pairs.groups(&config);
    let plan = Plan { parts: PartKind::ALL.to_vec(), groups, direction, nulls: 48, seed: 1 };
    let swept = sweep(&towers, &config, &pairs, &plan, &()).unwrap();
    let confidence = Confidence::new(0.95).unwrap();
    TowerMap::of(&swept, (Tower::Vision, LAYERS, direction), Vec::new(), (confidence, 1)).unwrap()
}

#[test]
fn a_planted_binding_is_found_where_it_is_and_nowhere_else() {
    let (class, object, other) = (Group::Class, Group::Object(0), Group::Object(1));
    for direction in [Direction::Denoise, Direction::Noise] {
        let map = trace(&[(1, 0, 1.0)], 1.0, direction);
        assert!(map.restorable && map.spread > 0.05, "{map:?}");
        let sign = if direction == Direction::Denoise { 1.0 } else { -1.0 };
        assert!(sign * map.total.lo > 0.0, "{:?}", map.total);
        let carried = |layer: usize, part: Part, group: Group| match part {
            Part::ResidPost => match group {
                Group::All => true,
                Group::Object(0) => layer < READING,
                Group::Class => layer >= READING,
                _ => false,
            },
            Part::AttnOut | Part::Head(1) => layer == READING && matches!(group, Group::Class | Group::All),
            _ => false,
        };
        let mut found = 0;
        for entry in &map.entries {
            let place = format!("{direction}: layer {} {} {}", entry.layer, entry.part, entry.group);
            if carried(entry.layer, entry.part, entry.group) {
                let effect = entry.effect.unwrap();
                assert!((effect.estimate - map.total.estimate).abs() < 1e-4, "{place}: {entry:?}");
                assert!((entry.share.unwrap() - 1.0).abs() < 1e-4, "{place}");
                assert!(entry.beyond_null() && entry.changed > 0 && entry.note.is_none(), "{place}: {entry:?}");
                found += 1;
            } else {
                let effect = entry.effect.map_or(0.0, |effect| effect.estimate);
                assert!(effect.abs() < 1e-4, "{place}: {entry:?}");
                assert_eq!(entry.effect.is_none(), entry.note.is_some(), "{place}");
            }
        }
        // Residual: all in three layers, object 0 in one, class in two; attention and its head: class and all.
        assert_eq!(found, 6 + 4, "{direction}");
        let note = |layer, part, group| map.entry(layer, part, group).unwrap().note;
        // Behind the last attention, and where twins are the same.
        assert_eq!(note(2, Part::ResidPost, object), Some(CANNOT_MATTER));
        assert_eq!(note(2, Part::Head(0), other), Some(CANNOT_MATTER));
        assert_eq!(note(0, Part::ResidPost, class), Some(SAME));
        assert_eq!(note(0, Part::ResidPost, Group::Background), Some(SAME));
        assert_eq!(note(1, Part::MlpOut, Group::All), Some(SAME));
        // What changes and goes nowhere is no silent nothing either.
        let beside = map.entry(0, Part::ResidPost, other).unwrap();
        assert!(beside.note.is_none() && beside.changed > 0 && !beside.beyond_null(), "{beside:?}");
    }
}

#[test]
fn effects_in_a_linear_tower_add_up() {
    // Beside a large constant the embedding's length is the same: the margin is linear.
    let map = trace(&[(0, 1, -0.3), (1, 0, 0.7)], 1e4, Direction::Denoise);
    let effect = |layer, part, group| map.entry(layer, part, group).unwrap().effect.map_or(0.0, |e| e.estimate);
    let near = |a: f64, b: f64, what: &str| assert!((a - b).abs() < 1e-3 * b.abs(), "{what}: {a} against {b}");
    let all = map.total.estimate;
    let heads: f64 = (0..HEADS).map(|head| effect(READING, Part::Head(head), Group::Class)).sum();
    near(heads, effect(READING, Part::AttnOut, Group::Class), "heads");
    near(heads, all, "heads and all");
    let groups = [Group::Class, Group::Object(0), Group::Object(1), Group::Background];
    near(groups.iter().map(|group| effect(0, Part::ResidPost, *group)).sum(), all, "groups");
    near(effect(0, Part::ResidPost, Group::Object(0)), 0.7 * all, "object 0");
    near(effect(READING, Part::Head(0), Group::All), 0.3 * all, "head 0");
}

#[test]
fn groups_that_are_empty_and_twins_that_are_too_few_are_said() {
    let (config, towers) = planted(&[(1, 0, 1.0)], 1.0);
    let mut pairs = coloured(6);
    pairs.maps = vec![TokenMap::of_covers(&[vec![1.0; 4], vec![0.0; 4]]); 6];
    let plan = |twins: usize| Plan {
        parts: vec![PartKind::ResidPost],
        groups: vec![Group::Object(1), Group::Background, Group::All],
        direction: Direction::Denoise,
        nulls: twins,
        seed: 1,
    };
    let swept = sweep(&towers, &config, &pairs, &plan(6), &()).unwrap();
    let confidence = Confidence::new(0.95).unwrap();
    let of = |swept| TowerMap::of(swept, (Tower::Vision, LAYERS, Direction::Denoise), Vec::new(), (confidence, 1));
    let map = of(&swept).unwrap();
    for group in [Group::Object(1), Group::Background] {
        let entry = map.entry(0, Part::ResidPost, group).unwrap();
        assert_eq!((entry.note, entry.twins, entry.effect), (Some(EMPTY), 0, None));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.parquet");
    write_trace(&path, std::slice::from_ref(&map)).unwrap();
    let first = std::fs::read(&path).unwrap();
    write_trace(&path, &[map]).unwrap();
    assert_eq!(first, std::fs::read(&path).unwrap());
    pairs.readout[2].push(1.0);
    let refused = sweep(&towers, &config, &pairs, &plan(6), &()).unwrap_err().to_string();
    assert!(refused.contains("readouts of 2 numbers"), "{refused}");
    pairs.maps.pop();
    assert!(sweep(&towers, &config, &pairs, &plan(6), &()).unwrap_err().to_string().contains("5 twins"));
    let swept = sweep(&towers, &config, &coloured(3), &plan(3), &()).unwrap();
    assert!(of(&swept).unwrap_err().to_string().contains("4 twins"));
}

#[test]
fn many_twins_are_traced_as_few_are() {
    // More than are in memory at a time.
    const TWINS: usize = 131;
    let model = clip();
    let world = World::toy();
    let config = TraceConfig {
        world: world.clone(),
        twins: TWINS,
        nulls: 0,
        towers: vec![Tower::Vision],
        parts: vec![PartKind::MlpOut],
        groups: vec![Group::Class, Group::Object(1)],
        direction: Direction::Denoise,
        confidence: Confidence::new(0.95).unwrap(),
        seed: 2,
    };
    let found = trace_model(&model, &config, &()).unwrap();
    let pairs = Twins::draw(&world, TWINS, 2).unwrap().images(&model, 0..TWINS).unwrap();
    let plan = Plan {
        parts: config.parts.clone(),
        groups: config.groups.clone(),
        direction: config.direction,
        nulls: 0,
        seed: 2,
    };
    let swept = sweep(&model.towers, &model.config, &pairs, &plan, &()).unwrap();
    let map = TowerMap::of(&swept, (Tower::Vision, 2, config.direction), Vec::new(), (config.confidence, config.seed))
        .unwrap();
    assert_eq!(found, [TowerMap { world: Some("toy"), ..map }]);

    let units = trace_units(&model, &config, 3, &()).unwrap();
    let estimates = screen(&model.towers, &model.config, &pairs, config.direction, &()).unwrap();
    for (node, estimate) in units[0].nodes.iter().zip(&estimates) {
        let expected = estimate.estimate / units[0].spread;
        let near = (node.estimate - expected).abs() < 1e-9 + 1e-6 * expected.abs();
        assert!(near, "layer {} {}: {} against {expected}", node.layer, node.node, node.estimate);
    }
    let patched: Vec<(usize, Node)> =
        units[0].families.iter().flat_map(|f| &f.exact).map(|node| (node.layer, node.node)).collect();
    let effects = exact(&model.towers, &model.config, &pairs, (&patched, config.direction), &()).unwrap();
    for (node, exact) in units[0].families.iter().flat_map(|f| &f.exact).zip(effects) {
        let expected = exact.effects.iter().sum::<f64>() / TWINS as f64 / units[0].spread;
        assert!((node.effect.unwrap().estimate - expected).abs() < 1e-12, "layer {} {}", node.layer, node.node);
        assert_eq!(node.changed, exact.changed);
    }
}

#[test]
fn what_is_furthest_from_another_scene_is_said_first() {
    let interval = |estimate: f64| Interval { estimate, lo: estimate - 0.05, hi: estimate + 0.05 };
    let entry = |layer: usize, effect: f64, null: f64, q: f64| Entry {
        layer,
        part: Part::ResidPost,
        group: Group::All,
        twins: 9,
        effect: Some(interval(effect)),
        null: Some(interval(null)),
        p: Some(q),
        q: Some(q),
        share: None,
        changed: 1,
        note: None,
    };
    let map = |entries: Vec<Entry>| TowerMap {
        tower: "vision",
        world: None,
        direction: Direction::Denoise,
        layers: 3,
        twins: 9,
        refused: Vec::new(),
        spread: 0.1,
        clean: interval(0.4),
        corrupt: interval(-0.4),
        total: interval(0.8),
        restorable: true,
        entries,
    };
    // The largest effect is nearly what another scene's values do; that of layer 2 may be chance.
    let all = vec![entry(0, 0.8, 0.7, 0.01), entry(1, 0.02, -0.5, 0.01), entry(2, 0.9, 0.0, 0.2)];
    let lines = map(all.clone()).lines();
    let listed: Vec<&String> = lines.iter().filter(|line| line.starts_with("layer ") && line.contains("e-2")).collect();
    assert!(listed.len() == 2 && listed[0].starts_with("layer 1") && listed[1].starts_with("layer 0"), "{lines:?}");
    let drawn = picture(&[map(all)]);
    let said = "Furthest of 2 that can be told from another scene's: layer 1 resid_post all, +0.02";
    assert!(drawn.contains(said), "{drawn}");
    let none = map(vec![entry(0, 0.8, 0.7, 0.2)]);
    assert!(none.lines().iter().any(|line| line.starts_with("no patch can be told")), "{:?}", none.lines());
    assert!(picture(&[none]).contains("No patch can be told from the same of another scene"));
}
