//! Operations change what they are called after and nothing else, and a ward counts what was named.

use crate::lab::recipe;
use snellen::Error;
use snellen::engine::Tape;
use snellen::lab::ward::{Bed, Kind, Patient, Stem, Ward};
use snellen::lab::{Operation, Origin, Recipe, TrainConfig, operate, train};
use snellen::measure::Confidence;
use snellen::model::Model;
use snellen::report::verdict::{Failure, Verdict};
use snellen::scene::generate::{factorial, swap_twins};
use snellen::scene::{Canvas, Combinations, Scene, World, render};
use std::path::{Path, PathBuf};

/// The healthy patient that comes with the program.
fn healthy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/ward/healthy-1")
}

/// Embeddings `[scene][unit]`, not normalised.
fn images(folder: &Path, world: &World, scenes: &[&Scene]) -> Vec<Vec<f64>> {
    let model = Model::load(folder).unwrap();
    let side = model.config.vision.image as u32;
    let pictures: Vec<_> = scenes.iter().map(|s| render(s, world, &Canvas::plain(side, side))).collect();
    let rows = model.towers.embed_images(&mut Tape::off(), &model.pixels(&pictures).unwrap(), &mut ()).unwrap();
    rows.data().chunks(rows.width()).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect()
}

fn length(rows: impl Iterator<Item = f64>) -> f64 {
    rows.map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn what_is_erased_is_what_twins_differ_in_and_attributes_stay() {
    let parent = tempfile::tempdir().unwrap();
    let (healthy, erased) = (healthy(), parent.path().join("erased"));
    let world = Origin::read(&healthy).unwrap().unwrap().recipe.world;
    operate(&healthy, Operation::EraseImage, 5, &erased).unwrap();
    let all = Combinations::all(&world);
    // Other scenes than those that directions were estimated on.
    let twins = swap_twins(&world, world.swapped_factor().unwrap(), &all, &all, 100, 77).unwrap();
    let scenes: Vec<&Scene> = twins.iter().flat_map(|twin| [&twin.scene, &twin.twin]).collect();
    let apart = |folder: &Path| {
        let rows = images(folder, &world, &scenes);
        length(rows.chunks(2).flat_map(|pair| pair[0].iter().zip(&pair[1]).map(|(a, b)| a - b).collect::<Vec<_>>()))
    };
    let (before, after) = (apart(&healthy), apart(&erased));
    assert!(after < 0.5 * before, "{after} of {before}");
    let singles = factorial(&world, &all, 4, 78).unwrap();
    let red: Vec<&Scene> = singles.iter().filter(|scene| scene.objects[0].values[1] == 0).collect();
    let rest: Vec<&Scene> = singles.iter().filter(|scene| scene.objects[0].values[1] == 1).collect();
    let effect = |folder: &Path| -> Vec<f64> {
        let mean = |scenes: &[&Scene]| -> Vec<f64> {
            let rows = images(folder, &world, scenes);
            (0..rows[0].len()).map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64).collect()
        };
        mean(&red).iter().zip(mean(&rest)).map(|(a, b)| a - b).collect()
    };
    let (before, after) = (effect(&healthy), effect(&erased));
    let moved = length(before.iter().zip(&after).map(|(a, b)| a - b));
    assert!(moved < 0.1 * length(before.iter().copied()), "{moved}: {before:?} {after:?}");
}

#[test]
fn a_bag_of_words_says_the_same_of_swap_twins_and_still_tells_values() {
    let parent = tempfile::tempdir().unwrap();
    let (healthy, bag) = (healthy(), parent.path().join("bag"));
    operate(&healthy, Operation::BagOfWords, 5, &bag).unwrap();
    let texts = |folder: &Path, captions: &[&str]| -> Vec<Vec<f64>> {
        let model = Model::load(folder).unwrap();
        let tokens = model.tokenizer().unwrap().encode(captions).unwrap();
        let rows = model.towers.embed_texts(&mut Tape::off(), &tokens, &mut ()).unwrap();
        rows.data().chunks(rows.width()).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect()
    };
    let cosine = |a: &[f64], b: &[f64]| {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let twins = ["a photo of a red circle and a blue square", "a photo of a blue circle and a red square"];
    let [before, after] = [&healthy, &bag].map(|folder| texts(folder, &twins));
    assert!(cosine(&before[0], &before[1]) < 0.99);
    assert!(1.0 - cosine(&after[0], &after[1]) < 1e-5, "{}", cosine(&after[0], &after[1]));
    // Of single objects every caption is nearest to its own of before.
    let world = Origin::read(&healthy).unwrap().unwrap().recipe.world;
    let names = |f: usize| world.factors[f].values.iter().map(|value| value.name.clone());
    let captions: Vec<String> =
        names(1).flat_map(|color| names(0).map(move |shape| format!("a {color} {shape}"))).collect();
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    let (before, after) = (texts(&healthy, &captions), texts(&bag, &captions));
    let nearest = |row: &[f64]| {
        (0..before.len()).max_by(|a, b| cosine(row, &before[*a]).total_cmp(&cosine(row, &before[*b]))).unwrap()
    };
    let right = (0..after.len()).filter(|i| nearest(&after[*i]) == *i).count();
    assert!(right >= 28, "{right} of {}", after.len());
}

#[test]
fn an_operation_changes_what_it_says_and_is_noted() {
    let parent = tempfile::tempdir().unwrap();
    let healthy = healthy();
    let weights = |folder: &Path| {
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        file.tensors()
            .into_iter()
            .map(|(name, view)| (name, view.data().to_vec()))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = weights(&healthy);
    for operation in Operation::ALL {
        let out = parent.path().join(operation.name());
        operate(&healthy, operation, 5, &out).unwrap();
        let after = weights(&out);
        let changed: Vec<&String> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect();
        let name = match operation {
            Operation::Blur => Some("vision_model.embeddings.patch_embedding.weight"),
            Operation::Turn => Some("text_projection.weight"),
            Operation::EraseImage | Operation::Entangle => Some("visual_projection.weight"),
            Operation::BagOfWords => None,
        };
        match name {
            Some(name) => assert_eq!(changed, [name]),
            None => assert!(changed.iter().all(|name| name.starts_with("text_")), "{changed:?}"),
        }
        assert_eq!(Origin::read(&out).unwrap().unwrap().operation, Some(operation));
        let again = operate(&out, operation, 5, &parent.path().join("again")).unwrap_err();
        assert!(again.is_bad_input() && again.to_string().contains("as it was trained"), "{again}");
    }
    // The same seed, the same bytes.
    let again = parent.path().join("same");
    operate(&healthy, Operation::Entangle, 5, &again).unwrap();
    assert_eq!(weights(&again), weights(&parent.path().join("entangle")));
    assert!(matches!(operate(&healthy, Operation::Turn, 5, &again), Err(Error::Exists { .. })));
}

#[test]
fn a_bed_with_another_in_it_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("healthy-3");
    train(&recipe(), &TrainConfig { seed: 3, resume: false }, &folder, &mut |_| (), &()).unwrap();
    let fine = Bed::new(parent.path(), Kind::Healthy, Stem::Fine, 3);
    train(&recipe(), &TrainConfig { seed: 3, resume: false }, &fine.folder, &mut |_| (), &()).unwrap();
    for other in ["blurred-2", "healthy-plain-2", "healthy-x", "memoriser-01", ".hidden", "blurred-3.partial"] {
        std::fs::create_dir(parent.path().join(other)).unwrap();
    }
    std::fs::write(parent.path().join("ward.html"), "").unwrap();
    let (beds, others) = Bed::all(parent.path(), &Kind::ALL).unwrap();
    assert_eq!(beds, [Bed::new(parent.path(), Kind::Healthy, Stem::Plain, 3), fine]);
    assert_eq!(beds.iter().map(Bed::name).collect::<Vec<_>>(), ["healthy-3", "healthy-fine-3"]);
    let named = |(path, why): &(PathBuf, String)| format!("{} {why}", path.file_name().unwrap().to_string_lossy());
    let no_name = "its name is no KIND-SEED or KIND-STEM-SEED";
    let all = others.iter().map(named).collect::<Vec<_>>();
    assert_eq!(
        all,
        [
            "blurred-2 no model.safetensors in it".to_owned(),
            // The plain stem's name is left out.
            format!("healthy-plain-2 {no_name}"),
            format!("healthy-x {no_name}"),
            format!("memoriser-01 {no_name}")
        ]
    );
    assert_eq!(Bed::all(parent.path(), &[Kind::Memoriser]).unwrap().1.len(), 3);
    for (bed, stem) in beds.iter().zip(["stem plain", "stem fine"]) {
        let refused = bed.fill(&mut |_, _| (), &()).unwrap_err();
        assert!(refused.is_bad_input() && refused.to_string().contains("`healthy`"), "{refused}");
        assert!(refused.to_string().contains(stem), "{refused}");
    }
    // So small an embedding has no direction to spare.
    let turned = operate(&folder, Operation::Turn, 1, &parent.path().join("turned")).unwrap_err();
    assert!(turned.is_bad_input() && turned.to_string().contains("no attribute takes"), "{turned}");
}

#[test]
fn stems_are_sizes_that_recipes_can_have() {
    for name in ["healthy", "memoriser"] {
        let plain = Recipe::named_or_read(name).unwrap();
        let stems = Stem::ALL.map(|stem| stem.of(plain.clone()));
        assert_eq!(stems[0], plain);
        for stem in &stems {
            let text = toml::to_string(stem).unwrap();
            assert_eq!(&Recipe::parse(&text, "stem").unwrap(), stem);
            assert!(stem.scenes == plain.scenes && stem.training == plain.training && stem.world == plain.world);
        }
        assert!(stems[1].model != plain.model && stems[2].model != plain.model && stems[1].model != stems[2].model);
    }
}

#[test]
fn a_ward_counts_what_was_named() {
    let patient = |kind: Kind, named: Option<Failure>| Patient {
        kind,
        seed: 1,
        stem: Stem::Wide,
        sizes: "<small>".to_owned(),
        named,
        right: named == kind.failure(),
        verdict: Verdict { rows: Vec::new(), failure: named, sentence: "a < b".to_owned() },
    };
    let patients = vec![
        patient(Kind::Healthy, None),
        patient(Kind::Healthy, Some(Failure::CantTell)),
        patient(Kind::Healthy, Some(Failure::Text)),
        patient(Kind::Entangled, Some(Failure::Entangled)),
        patient(Kind::Entangled, Some(Failure::Absent)),
    ];
    let ward = Ward::of(patients, Confidence::new(0.95).unwrap()).unwrap();
    assert_eq!((ward.right.successes, ward.right.n), (2.0, 5));
    assert_eq!(ward.cant_tell.successes, 1.0);
    let ill = ward.called_ill.unwrap();
    assert_eq!((ill.successes, ill.n), (1.0, 3));
    assert_eq!(ward.count(Kind::Entangled, Some(Failure::Absent)), 1);
    let folder = tempfile::tempdir().unwrap();
    ward.write(folder.path()).unwrap();
    let page = std::fs::read_to_string(folder.path().join("ward.html")).unwrap();
    assert!(page.contains("a &lt; b") && !page.contains("a < b"), "{page}");
    assert!(page.contains("wide (&lt;small&gt;)"), "{page}");
    assert!(folder.path().join("ward.parquet").is_file());
    assert!(Ward::of(Vec::new(), Confidence::new(0.95).unwrap()).unwrap_err().is_bad_input());
}
