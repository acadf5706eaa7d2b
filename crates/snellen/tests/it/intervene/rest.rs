//! The rest of a forward against the whole of it.

use crate::families::{families, load};
use snellen::engine::{Tape, Tensor, ops};
use snellen::intervene::{Change, ModelRest, Prepared, Rest, TokenMap, Tokens};
use snellen::model::{LoadConfig, Model, Pixels, Site, Tower};
use std::path::Path;

fn pixels(model: &Model) -> Pixels<f32> {
    let vision = &model.config.vision;
    let values = |count: usize| (0..count).map(|i| ((i * 7919 % 255) as f32 - 127.0) / 100.0).collect();
    if vision.is_flexible() {
        let shape = [2, vision.patches(), 3 * vision.patch * vision.patch];
        let values = Tensor::new(shape, values(shape.iter().product()));
        return Pixels { values, grids: vec![[2, 3], [vision.grid(); 2]] };
    }
    Tensor::new([2, 3, vision.image, vision.image], values(2 * 3 * vision.image * vision.image)).into()
}

#[test]
fn going_on_from_a_site_gives_the_bytes_of_a_whole_forward() {
    let unit = |x: &Tensor<f32>| ops::unit_rows(&mut Tape::off(), x).data().to_vec();
    let mut compared = 0;
    for name in families() {
        let model = load(&name, &LoadConfig::plain());
        if model.config.vision.pooling.is_none() {
            continue;
        }
        let batches = [pixels(&model)];
        let map = TokenMap::of_patches(6.min(model.config.vision.patches()));
        let clean = model.towers.embed_images(&mut Tape::off(), &batches[0], &mut ()).unwrap();
        for site in Site::all(&model.config, Tower::Vision) {
            let rest = ModelRest::of_images(&model, site, &batches).unwrap();
            assert_eq!(rest.batches(), [0..2]);
            let (shape, values) = rest.values(0);
            let again = rest.go_on(0, values.to_vec()).unwrap();
            let rows = |matrix: &snellen::measure::Matrix| [matrix.row(0), matrix.row(1)].concat();
            assert_eq!(rows(&again), unit(&clean), "{name}, {site}");

            let edit = Prepared {
                site,
                head: None,
                tokens: Tokens::All,
                units: Some(vec![1]),
                change: Change::Add(vec![0.5]),
            };
            let positions = vec![edit.positions(&model.config, &map).unwrap(); 2];
            let mut changed = values.to_vec();
            edit.on(&positions, None).apply(shape, &mut changed).unwrap();
            let edited = rest.go_on(0, changed).unwrap();
            let mut hook = edit.on(&positions, None);
            let whole = model.towers.embed_images(&mut Tape::off(), &batches[0], &mut hook).unwrap();
            assert_eq!(rows(&edited), unit(&whole), "{name}, {site}, edited");
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn so_it_does_in_the_text_tower() {
    let model = Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy")).unwrap();
    // One of another length: padded.
    let texts = ["a red circle and a blue square", "a blue circle and a red square", "a red circle", "a blue square"];
    let tokens = model.tokenizer().unwrap().encode(&texts).unwrap();
    let clean = model.encode_texts(&texts, &mut ()).unwrap();
    for site in Site::all(&model.config, Tower::Text) {
        let rest = ModelRest::of_texts(&model, site, &tokens).unwrap();
        let (shape, values) = rest.values(0);
        let again = rest.go_on(0, values.to_vec()).unwrap();
        let rows =
            |matrix: &snellen::measure::Matrix| (0..4).flat_map(|row| matrix.row(row).to_vec()).collect::<Vec<_>>();
        assert_eq!(rows(&again), clean.data(), "{site}");
        let edit =
            Prepared { site, head: None, tokens: Tokens::End, units: Some(vec![1]), change: Change::Add(vec![0.5]) };
        let edit = if site.to_string() == "text.text_embeds" { Prepared { tokens: Tokens::All, ..edit } } else { edit };
        let maps = texts.map(|text| TokenMap::of_text(text, model.tokenizer().unwrap()).unwrap());
        let positions: Vec<_> = maps.iter().map(|map| edit.positions(&model.config, map).unwrap()).collect();
        let mut changed = values.to_vec();
        edit.on(&positions, None).apply(shape, &mut changed).unwrap();
        let edited = rest.go_on(0, changed).unwrap();
        let whole = model.encode_texts(&texts, &mut edit.on(&positions, None)).unwrap();
        assert_eq!(rows(&edited), whole.data(), "{site}, edited");
    }
}
