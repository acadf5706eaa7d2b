//! Every family of models against the library that it comes from, site by site.

use safetensors::SafeTensors;
use snellen::engine::{Tape, Tensor};
use snellen::model::{ActivationMut, Hook, Model, Site, Tower, Transform};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families").join(name)
}

/// All of them, so that a new one is not forgotten.
fn families() -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    names
}

/// A reference: inputs and activations by name.
struct Reference(Vec<u8>);

impl Reference {
    fn read(name: &str) -> Self {
        Self(std::fs::read(folder(name).join("reference.safetensors")).unwrap())
    }
    fn names(&self) -> Vec<String> {
        SafeTensors::deserialize(&self.0).unwrap().names().into_iter().map(str::to_owned).collect()
    }
    fn tensor(&self, name: &str) -> Tensor<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap_or_else(|_| panic!("no `{name}`"));
        Tensor::new(
            view.shape(),
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        )
    }
    fn ids(&self) -> Option<Vec<Vec<u32>>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor("input.input_ids").ok()?;
        let flat: Vec<u32> =
            view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32).collect();
        Some(flat.chunks(view.shape()[1]).map(<[u32]>::to_vec).collect())
    }
}

/// Keeps what it sees.
#[derive(Default)]
struct Recorder(BTreeMap<Site, (Vec<usize>, Vec<f32>)>);

impl Hook for Recorder {
    fn wants(&self, _: Site) -> bool {
        true
    }
    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> snellen::Result<()> {
        let twice = self.0.insert(site, (x.shape.to_vec(), x.data.to_vec()));
        assert!(twice.is_none(), "{site} fired twice");
        Ok(())
    }
}

fn run(model: &Model, reference: &Reference, hook: &mut dyn Hook) -> (Vec<f32>, Option<Vec<f32>>) {
    let mut tape = Tape::off();
    let image = model.towers.embed_images(&mut tape, &reference.tensor("input.pixel_values"), hook).unwrap();
    let text = reference.ids().map(|ids| {
        let tokens = model.tokenizer().unwrap().tokens(&ids).unwrap();
        model.towers.embed_texts(&mut tape, &tokens, hook).unwrap().data().to_vec()
    });
    (image.data().to_vec(), text)
}

#[test]
fn every_site_of_every_family_agrees_with_its_library() {
    for name in families() {
        let model = Model::load(&folder(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let reference = Reference::read(&name);
        let mut seen = Recorder::default();
        run(&model, &reference, &mut seen);
        let sites = [Site::all(&model.config, Tower::Vision), Site::all(&model.config, Tower::Text)].concat();
        let expected: Vec<String> =
            reference.names().into_iter().filter(|n| !n.starts_with("input.") && n != "logits_per_image").collect();
        assert_eq!(sites.len(), expected.len(), "{name}: {expected:?}");
        for site in sites {
            let expected = reference.tensor(&site.to_string());
            let (shape, got) = seen.0.remove(&site).unwrap_or_else(|| panic!("{name}: {site} did not fire"));
            assert_eq!(shape, expected.shape(), "{name}: {site}");
            let rows = shape[0];
            let length = if site.tower == Tower::Text { reference.ids().unwrap()[0].len() } else { 0 };
            assert_eq!(shape, site.shape(&model.config, rows, length), "{name}: {site}");
            let finite = || expected.data().iter().filter(|x| x.is_finite()).map(|x| *x as f64);
            let rms = (finite().map(|x| x * x).sum::<f64>() / finite().count() as f64).sqrt();
            for (i, (x, y)) in got.iter().zip(expected.data()).enumerate() {
                let same = if y.is_finite() { ((x - y).abs() as f64) < 1e-4 * rms } else { x == y };
                assert!(same, "{name}: {site}[{i}]: {x} against {y}, RMS {rms}");
            }
        }
        assert!(seen.0.is_empty(), "{name}: sites that no list names: {:?}", seen.0.keys());
    }
}

#[test]
fn transforms_change_no_embedding() {
    let _ = Transform::ALL;
}
