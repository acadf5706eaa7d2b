//! Token groups: which tokens of images and captions show what.

use crate::families::{families, load};
use crate::tokenizer::of_every_kind;
use snellen::intervene::{TokenMap, Tokens, Twins};
use snellen::model::{LoadConfig, Model, Site, TokenAxis, Tower};
use snellen::scene::caption::{Wording, caption};
use snellen::scene::generate::swap_twins;
use snellen::scene::{Canvas, Combinations, World};
use std::path::Path;

fn toy() -> Model {
    Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy")).unwrap()
}

#[test]
fn groups_divide_the_tokens_of_every_family() {
    for name in families() {
        let model = load(&name, &LoadConfig::plain());
        let patches = model.config.vision.patches();
        // The first patch mostly of object 1, the last of both alike, some free.
        let mut covers = vec![vec![0.0; patches]; 2];
        (covers[0][0], covers[1][0], covers[0][patches - 1], covers[1][patches - 1]) = (0.1, 0.2, 0.5, 0.5);
        let map = TokenMap::of_covers(&covers);
        for site in Site::all(&model.config, Tower::Vision) {
            let all = Tokens::All.positions(&model.config, site, &map).unwrap();
            let shape = site.shape(&model.config, 1, 0);
            let TokenAxis::Tokens { class, registers } = site.tokens(&model.config) else {
                let of_attention = site.tokens(&model.config) == TokenAxis::Attention;
                assert_eq!(all.len(), if of_attention { shape[2] } else { 1 }, "{name}, {site}");
                continue;
            };
            assert_eq!(all, (0..shape[1]).collect::<Vec<_>>(), "{name}, {site}");
            let first = usize::from(class) + registers;
            let of = |tokens: Tokens| tokens.positions(&model.config, site, &map);
            assert_eq!(of(Tokens::Object(0)).unwrap(), [first + patches - 1], "{name}, {site}");
            assert_eq!(of(Tokens::Object(1)).unwrap(), [first], "{name}, {site}");
            assert_eq!(of(Tokens::Patches).unwrap(), (first..shape[1]).collect::<Vec<_>>());
            assert_eq!(of(Tokens::Class).ok(), class.then(|| vec![0]), "{name}, {site}");
            assert_eq!(of(Tokens::Registers).unwrap_or_default().len(), registers, "{name}, {site}");
            let mut divided: Vec<usize> = [Tokens::Class, Tokens::Registers, Tokens::Background]
                .into_iter()
                .chain([Tokens::Object(0), Tokens::Object(1)])
                .flat_map(|tokens| of(tokens).unwrap_or_default())
                .collect();
            divided.sort_unstable();
            assert_eq!(divided, all, "{name}, {site}");
        }
        let groups = Tokens::groups(&model.config, &map);
        let any = Site::all(&model.config, Tower::Vision)[0];
        assert!(groups.contains(&Tokens::Background) && groups.contains(&Tokens::Object(1)) && groups.len() >= 3);
        let error = Tokens::Object(2).positions(&model.config, any, &map).unwrap_err().to_string();
        assert!(
            error.contains("object:2") && error.contains("2 objects") && error.contains(&any.to_string()),
            "{error}"
        );
        let error = Tokens::End.positions(&model.config, any, &map).unwrap_err().to_string();
        assert!(error.contains("one of a text's"), "{error}");
        let blind = TokenMap::of_patches(patches);
        let error = Tokens::Background.positions(&model.config, any, &blind).unwrap_err().to_string();
        assert!(error.contains("masks"), "{error}");
    }
}

#[test]
fn objects_are_where_they_are_drawn() {
    let model = toy();
    let world = World::toy();
    let all = Combinations::all(&world);
    let side = model.config.vision.image as u32;
    let canvas = Canvas::plain(side, side);
    let grid = model.config.vision.grid();
    let site: Site = "blocks.0.hook_resid_post".parse().unwrap();
    for twin in swap_twins(&world, world.factor("color").unwrap(), &all, &all, 20, 3).unwrap() {
        let map = TokenMap::of_scenes(&[&twin.scene, &twin.twin], &world, &canvas, &model);
        for (k, object) in twin.scene.objects.iter().enumerate() {
            let positions = Tokens::Object(k).positions(&model.config, site, &map).unwrap();
            // The patch of the object's centre, behind the class token.
            let at = |share: f64| ((share * grid as f64) as usize).min(grid - 1);
            assert!(positions.contains(&(1 + at(object.y) * grid + at(object.x))), "{positions:?}");
            // All of its patches are within its box.
            let half = object.size / 2.0 + 1.0 / grid as f64;
            for position in &positions {
                let (x, y) = ((position - 1) % grid, (position - 1) / grid);
                let near = |patch: usize, centre: f64| ((patch as f64 + 0.5) / grid as f64 - centre).abs() <= half;
                assert!(near(x, object.x) && near(y, object.y));
            }
        }
    }
}

#[test]
fn objects_of_wide_pictures_are_where_they_are_drawn() {
    let model = load("siglip2_naflex", &LoadConfig::plain());
    let world = World::toy();
    let all = Combinations::all(&world);
    let mut asked = 0;
    for [width, height] in [[96, 32], [32, 96]] {
        let canvas = Canvas::plain(width, height);
        let [rows, columns] = model.preprocessing.grid([height as usize, width as usize]).unwrap();
        assert_ne!(rows, columns);
        for twin in swap_twins(&world, world.factor("color").unwrap(), &all, &all, 20, 3).unwrap() {
            let map = TokenMap::of_scenes(&[&twin.scene], &world, &canvas, &model);
            let TokenMap::Image { patches, objects } = map else { panic!("of an image") };
            assert_eq!(patches, rows * columns);
            let centre = |k: usize| {
                let object = &twin.scene.objects[k];
                let at = |share: f64, count: usize| ((share * count as f64) as usize).min(count - 1);
                at(object.y, rows) * columns + at(object.x, columns)
            };
            // Where both have a patch of their own.
            for k in (0..2).filter(|_| centre(0) != centre(1)) {
                asked += 1;
                assert!(objects.as_ref().unwrap()[k].contains(&centre(k)), "{objects:?}, {rows} x {columns}, {twin:?}");
            }
        }
    }
    assert!(asked > 20, "{asked} objects have a patch of their own");
}

#[test]
fn words_of_an_object_are_found_by_every_tokenizer() {
    let world = World::toy();
    let all = Combinations::all(&world);
    let [color, shape] = ["color", "shape"].map(|name| world.factor(name).unwrap());
    let twins = swap_twins(&world, color, &all, &all, 8, 5).unwrap();
    let mut tokenizers = of_every_kind();
    tokenizers.push(("toy", toy().tokenizer.unwrap()));
    for (name, tokenizer) in tokenizers {
        let ids = |text: &str| {
            let tokens = tokenizer.encode(&[text]).unwrap();
            tokens.ids()[tokens.own()[0].clone()].to_vec()
        };
        for twin in &twins {
            for (template, order) in [("{}", vec![0, 1]), ("{}", vec![1, 0]), ("a photo of {}", vec![1, 0])] {
                if name == "toy" && template != "{}" {
                    continue;
                }
                let wording = Wording { order, template };
                let text = caption(&twin.scene, &world, &wording);
                let map = TokenMap::of_caption(&twin.scene, &world, &wording, &tokenizer).unwrap();
                let TokenMap::Text { own, start, end, objects } = &map else { panic!("{map:?}") };
                let row = tokenizer.encode(&[&text]).unwrap();
                assert_eq!((own, end), (&row.own()[0], &row.ends()[0]), "{name}");
                assert_eq!(start.len(), usize::from(name == "clip" || name == "toy"), "{name}: {start:?}");
                for (k, object) in twin.scene.objects.iter().enumerate() {
                    let found: Vec<u32> = objects.as_ref().unwrap()[k].iter().map(|at| row.ids()[*at]).collect();
                    let words = format!("{} {}", object.name(&world, color), object.name(&world, shape));
                    let article = if text.contains(&format!("an {words}")) { "an" } else { "a" };
                    // The same words by themselves, behind the article and before what ends a text.
                    let (alone, before) = (ids(&format!("{article} {words}")), ids(article));
                    assert_eq!(found, alone[before.len() - 1..alone.len() - 1], "{name}: {text}");
                    assert!(found.len() >= 2, "{name}: {text}");
                }
            }
        }
    }
}

#[test]
fn words_that_are_not_told_apart_are_no_hindrance_elsewhere() {
    let world = World::toy();
    let (mut told, mut untold) = (Vec::new(), Vec::new());
    for name in families() {
        let model = load(&name, &LoadConfig::plain());
        if model.tokenizer().is_err() {
            continue;
        }
        let twins = match Twins::draw(&model, &world, &["{}"], 8, 1) {
            Ok(twins) => twins,
            // Fixtures have few tokens or positions.
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("tokens") || said.contains("vocabulary"), "{name}: {said}");
                continue;
            }
        };
        let rest = twins.rest("blocks.0.hook_resid_post".parse().unwrap()).unwrap();
        twins.trial(&rest, None, Tokens::Object(0)).unwrap();
        let rest = twins.rest("text.blocks.0.hook_resid_post".parse().unwrap()).unwrap();
        twins.trial(&rest, None, Tokens::End).unwrap();
        match twins.trial(&rest, None, Tokens::Object(0)) {
            Ok(_) => told.push(name),
            Err(error) => {
                assert!(error.to_string().contains("tells an object's words"), "{name}: {error}");
                untold.push(name);
            }
        }
    }
    assert!(told.len() > 4, "{told:?}, not {untold:?}");
}

#[test]
fn texts_have_no_patches() {
    let model = toy();
    let map = TokenMap::of_text("a red circle", model.tokenizer().unwrap()).unwrap();
    let site: Site = "text.blocks.0.mlp.hook_post".parse().unwrap();
    for (tokens, said) in [(Tokens::Patches, "one of an image's"), (Tokens::Object(0), "a caption of a scene")] {
        let error = tokens.positions(&model.config, site, &map).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("text.blocks.0.mlp.hook_post"), "{error}");
    }
    let other: Site = "blocks.0.mlp.hook_post".parse().unwrap();
    let error = Tokens::All.positions(&model.config, other, &map).unwrap_err().to_string();
    assert!(error.contains("the other tower's"), "{error}");
}
