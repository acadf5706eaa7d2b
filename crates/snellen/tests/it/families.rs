//! Every family of models against the library that it comes from, site by site.

use safetensors::SafeTensors;
use snellen::engine::{Tape, Tensor};
use snellen::model::checkpoint::Checkpoint;
use snellen::model::config::{HeadConfig, TowerConfig};
use snellen::model::parity::{Compared, Parity, Verdict, parity};
use snellen::model::tokenizer::Tokens;
use snellen::model::{
    ActivationMut, Backend, Hook, LoadConfig, Model, ModelConfig, Pixels, Preprocessing, Site, Tokenizer, Tower,
    Towers, Transform, VisionConfig,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families").join(name)
}

/// All of them, so that a new one is not forgotten.
pub fn families() -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    names
}

/// The sizes of a tower of timm stand in its name only, and timm has none as small as the fixtures': they are read under the name of
/// a large one, whose sizes are then those of the fixture: width, layers, heads and hidden units.
const OF_TIMM: [(&str, &str, &str, [usize; 4]); 5] = [
    ("open_clip_siglip", "vit_nano_patch9_siglip_29", "vit_base_patch9_siglip_29", [18, 2, 2, 45]),
    ("open_clip_eva02", "eva02_nano_patch6_clip_24", "eva02_base_patch6_clip_24", [24, 1, 3, 64]),
    ("open_clip_eva01", "eva_nano_patch7_22", "eva_giant_patch14_22", [21, 2, 3, 46]),
    ("open_clip_pe", "vit_pe_core_nano_patch5_20", "vit_pe_core_large_patch5_20", [24, 1, 2, 36]),
    ("open_clip_timm", "vit_nano_patch8_clip_23", "vit_large_patch8_clip_23", [18, 2, 3, 27]),
];

fn load_timm(folder: &Path, [small, large]: [&str; 2], [width, layers, heads, mlp]: [usize; 4]) -> Model {
    let json = std::fs::read_to_string(folder.join("open_clip_config.json")).unwrap();
    let siglip = small.contains("siglip");
    let embed = if siglip { "\"embed_dim\": 768" } else { "\"embed_dim\": 10" };
    let json = json.replace(small, large).replace("\"embed_dim\": 18", embed);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let config = ModelConfig::parse_open_clip(&json, "config").unwrap();
    let tower = TowerConfig { width, layers, heads, mlp, ..config.vision.tower.clone() };
    let mut text = config.text.clone().unwrap();
    text.projection = if siglip { 18 } else { 10 };
    let head = config.vision.head.map(|head| HeadConfig { mlp: 4 * width, ..head });
    let patch = if small == "eva_nano_patch7_22" { 7 } else { config.vision.patch };
    let config =
        ModelConfig { vision: VisionConfig { tower, head, patch, ..config.vision }, text: Some(text), ..config };
    // Everything but the towers as the loader reads it, from a folder that it knows.
    let mut model = Model::load(&self::folder("siglip")).unwrap();
    let file = Checkpoint::open(&folder.join("open_clip_model.safetensors")).unwrap();
    let mut file = file.named(config.layout, true).unwrap();
    model.towers = Towers::new(&config, &mut file).unwrap();
    file.finish().unwrap();
    model.tokenizer = Tokenizer::load(&folder, &config).unwrap();
    model.preprocessing = Preprocessing::parse_open_clip(&json, "config").unwrap();
    model.config = config;
    model
}

/// Whether a family loads by itself, with everything that can be asked for.
pub fn is_whole(name: &str) -> bool {
    OF_TIMM.iter().all(|family| family.0 != name)
}

pub fn load(name: &str, with: &LoadConfig) -> Model {
    if let Some((_, small, large, sizes)) = OF_TIMM.iter().find(|family| family.0 == name) {
        return load_timm(&folder(name), [small, large], *sizes);
    }
    let home = folder(name);
    let path = alone(&home).unwrap_or(home);
    Model::load_with(&path, with).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The file of weights of a folder without a configuration.
fn alone(folder: &Path) -> Option<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "pt"))
}

/// A reference: inputs and activations by name.
pub struct Reference(Vec<u8>);

impl Reference {
    pub fn read(name: &str) -> Self {
        Self(std::fs::read(folder(name).join("reference.safetensors")).unwrap())
    }
    fn names(&self) -> Vec<String> {
        SafeTensors::deserialize(&self.0).unwrap().names().into_iter().map(str::to_owned).collect()
    }
    pub fn tensor(&self, name: &str) -> Tensor<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap_or_else(|_| panic!("no `{name}`"));
        Tensor::new(
            view.shape(),
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        )
    }
    pub fn ids(&self) -> Option<Vec<Vec<u32>>> {
        self.rows("input.input_ids")
    }
    pub fn mask(&self) -> Option<Vec<Vec<bool>>> {
        let rows = self.rows("input.attention_mask")?;
        Some(rows.into_iter().map(|row| row.into_iter().map(|seen| seen == 1).collect()).collect())
    }
    pub fn grids(&self) -> Vec<[usize; 2]> {
        let rows = self.rows("input.spatial_shapes").unwrap_or_default();
        rows.iter().map(|row| [row[0] as usize, row[1] as usize]).collect()
    }
    fn rows(&self, name: &str) -> Option<Vec<Vec<u32>>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).ok()?;
        let flat: Vec<u32> =
            view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32).collect();
        Some(flat.chunks(view.shape()[1]).map(<[u32]>::to_vec).collect())
    }
}

/// Keeps what it sees.
#[derive(Default)]
pub struct Recorder(pub BTreeMap<Site, (Vec<usize>, Vec<f32>)>);

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
    let pixels = Pixels { values: reference.tensor("input.pixel_values"), grids: reference.grids() };
    let image = model.towers.embed_images(&mut tape, &pixels, hook).unwrap();
    let text = reference.ids().map(|ids| {
        let mask = reference.mask();
        let tokens = Tokens::masked(&ids, mask.as_deref(), model.config.text().unwrap(), "ids").unwrap();
        model.towers.embed_texts(&mut tape, &tokens, hook).unwrap().data().to_vec()
    });
    (image.data().to_vec(), text)
}

#[test]
fn every_site_of_every_family_agrees_with_its_library() {
    for name in families() {
        let model = load(&name, &LoadConfig::plain());
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

/// Largest difference of two slices, in root mean squares of the second.
fn apart(got: &[f32], expected: &[f32]) -> f64 {
    let rms = (expected.iter().map(|x| (*x as f64).powi(2)).sum::<f64>() / expected.len() as f64).sqrt();
    got.iter().zip(expected).map(|(x, y)| (*x as f64 - *y as f64).abs()).fold(0.0, f64::max) / rms
}

#[test]
fn pixels_and_ids_of_every_family_are_those_of_its_library() {
    let exact = |name: &str, compared: &Parity| {
        let Compared::Found(pixels) = &compared.pixels else { panic!("{name}: {:?}", compared.pixels) };
        assert!(pixels.exact >= 1.0 && pixels.pictures >= 2, "{name}: {pixels:?}");
    };
    let mut both = Vec::new();
    for name in families() {
        let model = load(&name, &LoadConfig::plain());
        let compared = parity(&model, &folder(&name).join("reference.safetensors"), 1e-4).unwrap();
        assert_eq!(compared.verdict(), Verdict::Agrees, "{name}: {:?}", compared.lines());
        exact(&name, &compared);
        let texts = matches!(&compared.ids, Compared::Found(ids) if ids.same == ids.captions);
        assert_eq!(texts, model.config.text.is_some(), "{name}: {:?}", compared.ids);
        let torchvision = folder(&name).join("torchvision.safetensors");
        if !torchvision.exists() {
            continue;
        }
        let with = LoadConfig { backend: Some(Backend::Torchvision), ..LoadConfig::plain() };
        let compared = parity(&load(&name, &with), &torchvision, 1e-4).unwrap();
        assert_eq!(compared.made.backend.as_deref(), Some("torchvision"), "{name}");
        exact(&name, &compared);
        both.push(name);
    }
    assert_eq!(both, ["deit", "metaclip2", "siglip2_naflex", "siglip2_naflex_vision", "vit"]);
}

#[test]
fn transforms_change_sites_as_they_say_and_no_embedding() {
    for name in families().into_iter().filter(|name| is_whole(name)) {
        let reference = Reference::read(&name);
        let record = |transforms: &[Transform]| {
            let mut seen = Recorder::default();
            let config = LoadConfig { transforms: transforms.to_vec(), ..LoadConfig::plain() };
            let (image, text) = run(&load(&name, &config), &reference, &mut seen);
            (image, text, seen.0)
        };
        let (image, text, plain) = record(&[]);
        for transforms in [&[Transform::FoldLn][..], &[Transform::CenterWriting], &Transform::ALL] {
            let (image_after, text_after, seen) = record(transforms);
            let folded = transforms.contains(&Transform::FoldLn);
            let centred = transforms.contains(&Transform::CenterWriting);
            let tokens = plain.keys().all(|site| site.to_string() != "image_embeds");
            assert!(tokens || apart(&image_after, &image) < 1e-4, "{name}: {transforms:?} and the image embedding");
            if let (Some(before), Some(after)) = (&text, &text_after) {
                assert!(apart(after, before) < 1e-4, "{name}: {transforms:?} and the text embedding");
            }
            for (site, (shape, values)) in seen {
                let written = site.to_string().ends_with("hook_attn_out") || site.to_string().ends_with("hook_mlp_out");
                let written = written && !site.to_string().starts_with("head.");
                let width = *shape.last().unwrap();
                let mean = |row: &[f32]| (row.iter().sum::<f32>() / width as f32).abs();
                let before = &plain[&site].1;
                if written && centred {
                    assert!(values.chunks(width).all(|row| mean(row) < 1e-5), "{name}: {site} is centred");
                    assert!(before.chunks(width).any(|row| mean(row) > 1e-3), "{name}: {site} was not centred");
                }
                let same = ["hook_q", "hook_k", "hook_v", "hook_pattern", "hook_z", "hook_pre", "hook_post"];
                if same.iter().any(|end| site.to_string().ends_with(end)) && !site.to_string().contains("resid") {
                    assert!(apart(&values, before) < 1e-4, "{name}: {transforms:?} and {site}");
                }
                if folded && !centred && site.to_string().contains("resid") {
                    assert!(apart(&values, before) < 1e-4, "{name}: {transforms:?} and {site}");
                }
            }
        }
        let last = Site::vision(snellen::model::Point::LnFinal);
        let linear = load(&name, &LoadConfig::plain()).config.vision.projection.is_some();
        if linear {
            let (_, _, seen) = record(&[Transform::FoldLn]);
            let (shape, values) = &seen[&last];
            let width = *shape.last().unwrap();
            for row in values.chunks(width) {
                let mean = row.iter().sum::<f32>() / width as f32;
                assert!(mean.abs() < 1e-5, "{name}: {last} has neither gain nor bias");
            }
        }
    }
}
