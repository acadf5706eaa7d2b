//! Forwards that go on from a layer: the bytes of whole ones.

use crate::families::{Recorder, Reference, families, load};
use snellen::engine::{Precision, Tape, Tensor};
use snellen::model::tokenizer::Tokens;
use snellen::model::{BlockPoint, LoadConfig, Model, Pixels, Point, Site, Tower};

fn tokens(model: &Model, reference: &Reference) -> Option<Tokens> {
    let (ids, mask) = (reference.ids()?, reference.mask());
    Some(Tokens::masked(&ids, mask.as_deref(), model.config.text().unwrap(), "ids").unwrap())
}

/// The residual stream before `layer`, as a whole forward showed it.
fn stream(seen: &Recorder, tower: Tower, layer: usize, layers: usize) -> Tensor<f32> {
    let point = if layer < layers {
        Point::Block(layer, BlockPoint::ResidPre)
    } else {
        Point::Block(layer - 1, BlockPoint::ResidPost)
    };
    let (shape, values) = &seen.0[&Site { tower, point }];
    Tensor::new(shape.clone(), values.clone())
}

/// Goes on from every layer of `name`, with `hook`s that record and without.
fn check(name: &str, model: &Model) -> usize {
    let reference = Reference::read(name);
    let mut tape = Tape::off();
    let mut whole = Recorder::default();
    let pixels = Pixels { values: reference.tensor("input.pixel_values"), grids: reference.grids() };
    let images = model.towers.embed_images(&mut tape, &pixels, &mut whole).unwrap();
    let texts = tokens(model, &reference);
    let text = texts.as_ref().map(|texts| model.towers.embed_texts(&mut tape, texts, &mut whole).unwrap());
    let mut resumed = 0;
    for tower in [Tower::Vision, Tower::Text] {
        let (layers, expected) = match (tower, &text) {
            (Tower::Vision, _) => (model.config.vision.tower.layers, &images),
            (Tower::Text, Some(text)) => (model.config.text().unwrap().tower.layers, text),
            (Tower::Text, None) => continue,
        };
        for layer in 0..=layers {
            let x = || (layer, stream(&whole, tower, layer, layers));
            let mut go = |hook: &mut dyn snellen::model::Hook| match tower {
                Tower::Vision => model.towers.resume_images(&mut tape, x(), &pixels.grids, hook).unwrap(),
                Tower::Text => model.towers.resume_texts(&mut tape, x(), texts.as_ref().unwrap(), hook).unwrap(),
            };
            let mut seen = Recorder::default();
            for embeds in [go(&mut ()), go(&mut seen)] {
                assert_eq!(embeds.shape(), expected.shape(), "{name}: {tower:?} from layer {layer}");
                let same = embeds.data().iter().zip(expected.data()).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{name}: {tower:?} from layer {layer}");
            }
            let rest = whole.0.range(Site { tower, point: Point::Block(layer, BlockPoint::ResidPre) }..);
            let rest: Vec<_> = rest.filter(|(site, _)| site.tower == tower).collect();
            assert_eq!(rest.len(), seen.0.len(), "{name}: sites behind layer {layer}");
            for (site, values) in rest {
                // Scores are minus infinity where nothing is seen.
                assert_eq!(Some(values), seen.0.get(site), "{name}: {site} from layer {layer}");
            }
            resumed += 1;
        }
    }
    resumed
}

#[test]
fn a_forward_that_goes_on_from_a_layer_gives_the_bytes_of_a_whole_one() {
    let resumed: usize = families().iter().map(|name| check(name, &load(name, &LoadConfig::plain()))).sum();
    assert!(resumed > 150, "{resumed}");
    let bf16 = LoadConfig { precision: Precision::Bf16, ..LoadConfig::plain() };
    for name in ["siglip", "open_clip", "dinov3", "siglip2_naflex"] {
        check(name, &load(name, &bf16));
    }
}

#[test]
fn rows_of_texts_go_on_by_themselves() {
    for name in ["clip_f16", "siglip", "siglip2"] {
        let model = load(name, &LoadConfig::plain());
        let texts = tokens(&model, &Reference::read(name)).unwrap();
        let mut tape = Tape::off();
        let mut seen = Recorder::default();
        let all = model.towers.embed_texts(&mut tape, &texts, &mut seen).unwrap();
        let whole = stream(&seen, Tower::Text, 1, model.config.text().unwrap().tower.layers);
        let rows = [2, 0, 2];
        let long = whole.dim(1) * whole.width();
        let picked = rows.iter().flat_map(|row| &whole.data()[row * long..][..long]).copied().collect();
        let x = Tensor::new([3, whole.dim(1), whole.width()], picked);
        let some = model.towers.resume_texts(&mut tape, (1, x), &texts.rows(&rows), &mut ()).unwrap();
        for (row, at) in some.data().chunks(all.width()).zip(rows) {
            assert_eq!(row, &all.data()[at * all.width()..][..all.width()], "{name}: text {at}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let model = load("clip_f16", &LoadConfig::plain());
    let (layers, tokens, width) =
        (model.config.vision.tower.layers, model.config.vision.tokens(), model.config.vision.tower.width);
    let go = |layer: usize, shape: &[usize]| {
        let x = Tensor::new(shape, vec![0.5; shape.iter().product()]);
        model.towers.resume_images(&mut Tape::off(), (layer, x), &[], &mut ()).map(|_| ()).map_err(|e| e.to_string())
    };
    assert!(go(layers, &[2, tokens, width]).is_ok());
    assert!(go(layers + 1, &[2, tokens, width]).unwrap_err().contains(&format!("0 to {layers}")));
    for shape in [&[2, tokens + 1, width][..], &[2, tokens, width + 1], &[2, tokens * width]] {
        let refused = go(0, shape).unwrap_err();
        assert!(refused.contains("residual stream before layer 0"), "{refused}");
    }
    let naflex = load("siglip2_naflex", &LoadConfig::plain());
    let x = Tensor::new([1, 5, naflex.config.vision.tower.width], vec![0.5; 5 * naflex.config.vision.tower.width]);
    let refused = naflex.towers.resume_images(&mut Tape::off(), (0, x), &[[3, 2]], &mut ());
    assert!(refused.unwrap_err().to_string().contains("1 to 5 patches"));
}
