//! Parity with `transformers` at every site, gradients against PyTorch's, and the promises of hooks.

use safetensors::SafeTensors;
use snellen::engine::{Real, Tape, Tensor, ops};
use snellen::model::checkpoint::{Checkpoint, Parameters};
use snellen::model::tokenizer::Tokens;
use snellen::model::{ActivationMut, Hook, Model, Site, Tower, Towers};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

const CHECKPOINTS: [&str; 3] = ["quick_gelu", "gelu", "legacy_eos"];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn folder(name: &str) -> PathBuf {
    fixtures().join("clip").join(name)
}

/// A tensor of a fixture, as f32.
fn tensor(file: &SafeTensors<'_>, name: &str) -> Tensor<f32> {
    let view = file.tensor(name).unwrap_or_else(|_| panic!("the fixture has no `{name}`"));
    let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Tensor::new(view.shape(), data)
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Vec<Vec<u32>> {
    let view = file.tensor(name).unwrap();
    let flat: Vec<u32> =
        view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32).collect();
    flat.chunks(view.shape()[1]).map(<[u32]>::to_vec).collect()
}

/// Keeps what it sees, and counts.
#[derive(Default)]
struct Recorder(BTreeMap<Site, (usize, Vec<usize>, Vec<f32>)>);

impl Hook for Recorder {
    fn wants(&self, _: Site) -> bool {
        true
    }
    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> snellen::Result<()> {
        let seen = self.0.get(&site).map_or(0, |s| s.0);
        self.0.insert(site, (seen + 1, x.shape.to_vec(), x.data.to_vec()));
        Ok(())
    }
}

/// Both towers on a fixture's inputs.
fn run(name: &str, hook: &mut dyn Hook) -> (Model, Vec<f32>, Vec<f32>) {
    let model = Model::load(&folder(name)).unwrap();
    let bytes = std::fs::read(folder(name).join("activations.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tokens = Tokens::new(&ids(&file, "input.input_ids"), model.config.text().unwrap(), "ids").unwrap();
    let image = model.towers.embed_images(&mut Tape::off(), &tensor(&file, "input.pixel_values"), hook).unwrap();
    let text = model.towers.embed_texts(&mut Tape::off(), &tokens, hook).unwrap();
    (model, image.data().to_vec(), text.data().to_vec())
}

#[test]
fn every_site_agrees_with_transformers() {
    for name in CHECKPOINTS {
        let mut seen = Recorder::default();
        let (model, ..) = run(name, &mut seen);
        let bytes = std::fs::read(folder(name).join("activations.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let sites = [Site::all(&model.config, Tower::Vision), Site::all(&model.config, Tower::Text)].concat();
        let in_fixture = file.names().iter().filter(|n| n.contains("hook") || n.ends_with("_embeds")).count();
        assert_eq!(sites.len(), in_fixture, "{name}: as many sites as the fixture has");
        for site in sites {
            let expected = tensor(&file, &site.to_string());
            let (_, shape, got) = &seen.0[&site];
            assert_eq!(shape, expected.shape(), "{name}: {site}");
            let finite: Vec<f64> = expected.data().iter().filter(|x| x.is_finite()).map(|x| *x as f64).collect();
            let rms = (finite.iter().map(|x| x * x).sum::<f64>() / finite.len() as f64).sqrt();
            for (i, (x, y)) in got.iter().zip(expected.data()).enumerate() {
                let same = if y.is_finite() { ((x - y).abs() as f64) < 1e-4 * rms } else { x == y };
                assert!(same, "{name}: {site}[{i}]: {x} against {y}, RMS {rms}");
            }
        }
    }
}

#[test]
fn sites_fire_once_with_their_documented_shape() {
    for name in CHECKPOINTS {
        let mut seen = Recorder::default();
        let (model, ..) = run(name, &mut seen);
        let text_length = seen.0[&Site::all(&model.config, Tower::Text)[0]].1[1];
        for tower in [Tower::Vision, Tower::Text] {
            let rows = if tower == Tower::Vision { 2 } else { 3 };
            for site in Site::all(&model.config, tower) {
                let (count, shape, _) = seen.0.remove(&site).unwrap_or_else(|| panic!("{name}: {site} did not fire"));
                assert_eq!(count, 1, "{name}: {site}");
                assert_eq!(shape, site.shape(&model.config, rows, text_length), "{name}: {site}");
            }
        }
        assert!(seen.0.is_empty(), "{name}: sites that no list names: {:?}", seen.0.keys());
    }
}

/// Changes one site.
struct Edit(Site);

impl Hook for Edit {
    fn wants(&self, site: Site) -> bool {
        site == self.0
    }
    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> snellen::Result<()> {
        // Unequal changes, so that neither layer norm nor softmax takes them back.
        for (i, x) in x.data.iter_mut().enumerate() {
            *x += ((i * 7919 % 13) as f32 - 6.0) / 10.0;
        }
        Ok(())
    }
}

#[test]
fn an_edit_at_any_site_changes_the_output() {
    for name in CHECKPOINTS {
        let (model, image, text) = run(name, &mut ());
        for tower in [Tower::Vision, Tower::Text] {
            for site in Site::all(&model.config, tower) {
                let (_, image_after, text_after) = run(name, &mut Edit(site));
                assert_eq!(image == image_after, tower == Tower::Text, "{name}: {site} and the image embedding");
                assert_eq!(text == text_after, tower == Tower::Vision, "{name}: {site} and the text embedding");
            }
        }
    }
}

#[test]
fn observing_does_not_change_the_output() {
    let (_, image, text) = run("gelu", &mut ());
    let (_, image_seen, text_seen) = run("gelu", &mut (Recorder::default(), Recorder::default()));
    assert_eq!((image, text), (image_seen, text_seen));
}

#[test]
fn sites_have_names_that_read_back() {
    let config = Model::load(&folder("gelu")).unwrap().config;
    for site in [Site::all(&config, Tower::Vision), Site::all(&config, Tower::Text)].concat() {
        assert_eq!(site.to_string().parse::<Site>().unwrap(), site);
    }
    for wrong in [
        "",
        "blocks",
        "blocks.1",
        "blocks.x.hook_resid_pre",
        "blocks.01.hook_resid_pre",
        "blocks.1.hook_resid",
        "text.image_embeds",
        "text.hook_ln_pre",
    ] {
        assert!(wrong.parse::<Site>().is_err(), "`{wrong}` is no site");
    }
}

/// Weights that are leaves of a tape, by name.
struct Leaves<'a, F> {
    source: Checkpoint,
    tape: &'a mut Tape<F>,
    by_name: HashMap<String, Tensor<F>>,
}

impl<F: Real> Parameters<F> for Leaves<'_, F> {
    fn get(&mut self, name: &str, shape: &[usize]) -> snellen::Result<Tensor<F>> {
        let leaf = self.tape.leaf(&self.source.get(name, shape)?);
        self.by_name.insert(name.to_owned(), leaf.clone());
        Ok(leaf)
    }
}

fn gradients_agree<F: Real>(name: &str, tolerance: f64) {
    let bytes = std::fs::read(fixtures().join("gradients.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let model = Model::load(&folder(name)).unwrap();
    let mut tape: Tape<F> = Tape::on();
    let mut parameters = Leaves {
        source: Checkpoint::open(&folder(name).join("model.safetensors")).unwrap(),
        tape: &mut tape,
        by_name: HashMap::new(),
    };
    let clip = Towers::new(&model.config, &mut parameters).unwrap();
    let leaves = parameters.by_name;
    let pixels = tensor(&file, &format!("{name}/input.pixel_values"));
    let pixels = Tensor::new(pixels.shape(), pixels.data().iter().map(|x| F::of(*x as f64)).collect());
    let tokens =
        Tokens::new(&ids(&file, &format!("{name}/input.input_ids")), model.config.text().unwrap(), "ids").unwrap();
    let image = clip.embed_images(&mut tape, &pixels, &mut ()).unwrap();
    let text = clip.embed_texts(&mut tape, &tokens, &mut ()).unwrap();
    let (image, text) = (ops::unit_rows(&mut tape, &image), ops::unit_rows(&mut tape, &text));
    let loss = ops::contrastive_loss(&mut tape, &image, &text, clip.logit_scale().unwrap());
    let expected_loss = tensor(&file, &format!("{name}/loss")).data()[0] as f64;
    assert!(
        (loss.data()[0].wide() - expected_loss).abs() < tolerance,
        "{name}: loss {:?} against {expected_loss}",
        loss.data()
    );
    let gradients = tape.backward(&loss);
    let mut compared = 0;
    for (parameter, leaf) in &leaves {
        let expected = tensor(&file, &format!("{name}/{parameter}"));
        let got = gradients.of(leaf).unwrap_or_else(|| panic!("{name}: no gradient for {parameter}"));
        let largest = expected.data().iter().fold(1e-2, |m: f64, x| m.max(x.abs() as f64));
        for (i, (x, y)) in got.iter().zip(expected.data()).enumerate() {
            let (x, y) = (x.wide(), *y as f64);
            assert!((x - y).abs() < tolerance * largest, "{name}: {parameter}[{i}]: {x} against {y}");
        }
        compared += 1;
    }
    let in_fixture = file.names().iter().filter(|n| n.starts_with(&format!("{name}/"))).count() - 3;
    assert_eq!(compared, in_fixture, "{name}: as many parameters as the fixture has");
}

#[test]
fn gradients_agree_with_pytorch() {
    for name in ["quick_gelu", "gelu"] {
        gradients_agree::<f64>(name, 1e-6);
        gradients_agree::<f32>(name, 1e-4);
    }
}

#[test]
fn captions_become_the_ids_that_transformers_gives() {
    for name in CHECKPOINTS {
        let model = Model::load(&folder(name)).unwrap();
        let bytes = std::fs::read(folder(name).join("activations.safetensors")).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let captions: Vec<String> = serde_json::from_str(&header.metadata().as_ref().unwrap()["captions"]).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tokens = model.tokenizer().unwrap().encode(&captions).unwrap();
        assert_eq!(tokens.ids(), ids(&file, "input.input_ids").concat(), "{name}");
    }
}

#[test]
fn pixels_agree_with_the_processor_of_transformers() {
    let bytes = std::fs::read(fixtures().join("clip/preprocess.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let preprocessing = Model::load(&folder("quick_gelu")).unwrap().preprocessing;
    let pictures = file.names().iter().filter(|n| n.starts_with("image.")).count();
    assert!(pictures >= 6);
    let step = preprocessing.std.map(|s| (1.0 / 255.0 / s) as f32);
    for i in 0..pictures {
        let view = file.tensor(&format!("image.{i}")).unwrap();
        let (h, w) = (view.shape()[0] as u32, view.shape()[1] as u32);
        let picture = image::RgbImage::from_raw(w, h, view.data().to_vec()).unwrap();
        let got = preprocessing.apply(&picture.into()).unwrap();
        let expected = tensor(&file, &format!("pixels.{i}"));
        let plane = got.len() / 3;
        let off = got.iter().zip(expected.data()).enumerate().filter(|(_, (x, y))| (*x - *y).abs() > 1e-5).count();
        for (at, (x, y)) in got.iter().zip(expected.data()).enumerate() {
            assert!((x - y).abs() <= step[at / plane] * 1.01, "image {i}, value {at}: {x} against {y}");
        }
        assert!(off * 1000 <= got.len(), "image {i}: {off} of {} values are not exact", got.len());
    }
}
