//! The rest of a forward against the whole of it.

use crate::families::{families, load};
use snellen::engine::{Tape, Tensor, ops};
use snellen::intervene::{
    Action, Against, Asked, Change, KnownUnits, ModelRest, Prepared, Rest, Set, Target, Term, TokenMap, Tokens, Trial,
};
use snellen::measure::Confidence;
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
            assert!(rest.batches().iter().eq([&(0..2)]));
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

#[test]
fn captions_whose_words_stand_elsewhere_are_not_patched() {
    let model = Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy")).unwrap();
    let texts = ["a red circle and a blue square", "a blue square"].repeat(8);
    let tokenizer = model.tokenizer().unwrap();
    let site = "text.blocks.0.hook_resid_post".parse().unwrap();
    let rest = ModelRest::of_texts(&model, site, &tokenizer.encode(&texts).unwrap()).unwrap();
    let positions: Vec<Vec<usize>> = texts
        .iter()
        .map(|text| Tokens::End.positions(&model.config, rest.site(), &TokenMap::of_text(text, tokenizer).unwrap()))
        .map(Result::unwrap)
        .collect();
    assert_ne!(positions[0], positions[1]);
    let width = model.config.text().unwrap().projection;
    let with = |k: usize| (0..width).map(|i| ((i + k) % 3) as f32 - 1.0).collect::<Vec<f32>>();
    let twins = (0..8).map(|twin| [0, 1].map(|k| Term { row: 2 * twin + k, with: with(k + twin) }).to_vec()).collect();
    let targets = [Target { name: "swap".to_owned(), twins, constants: Vec::new() }];
    let asked = Asked { tokens: Tokens::End, head: None, positions, strata: vec![0; 16], targets: &targets };
    let trial = Trial::new(&rest, asked).unwrap();
    let against = Against { draws: 19, seed: 1, confidence: Confidence::new(0.95).unwrap(), progress: &() };
    let set = [Set::new("some", vec![1, 2], false)];
    let error = trial.effects(&Action::Patch, &Change::Donated, &set, against).unwrap_err().to_string();
    for part in ["text.blocks.0.hook_resid_post", "tokens `end`", "at the same places", "rows 0 and 1"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // Nor are units ranked by what they differ between such twins.
    assert!(trial.ranked().unwrap_err().to_string().contains("at the same places"));
    // From another text of the group each token has its like.
    assert!(trial.effects(&Action::Resample(1), &Change::Donated, &set, against).is_ok());
}
