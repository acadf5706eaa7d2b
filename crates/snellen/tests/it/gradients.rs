//! Gradients at every hook site, against those of PyTorch.

use crate::families;
use safetensors::SafeTensors;
use snellen::engine::{Precision, Tape, Tensor, ops};
use snellen::model::tokenizer::Tokens;
use snellen::model::{ActivationMut, Hook, LoadConfig, Model, Pixels, Site, SiteGradients, Tower};
use std::path::{Path, PathBuf};

fn fixture() -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/site_gradients.safetensors");
    std::fs::read(path).unwrap()
}

fn names() -> [(&'static str, PathBuf); 4] {
    let clip = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip/quick_gelu");
    let of = |name: &'static str| (name, families::folder(name));
    [("clip", clip), of("siglip"), of("siglip2_naflex"), of("dinov3_gated")]
}

struct Inputs {
    pixels: Pixels<f32>,
    tokens: Option<Tokens>,
}

fn tensor(file: &SafeTensors<'_>, name: &str) -> Option<Tensor<f32>> {
    let view = file.tensor(name).ok()?;
    let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    Some(Tensor::new(view.shape(), values.collect()))
}

fn integers(file: &SafeTensors<'_>, name: &str) -> Option<Vec<Vec<u32>>> {
    let view = file.tensor(name).ok()?;
    let values = view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32);
    let values: Vec<u32> = values.collect();
    Some(values.chunks(view.shape()[1]).map(<[u32]>::to_vec).collect())
}

/// One image and one text of those that the checkpoint's own reference was made of: those that the fixture says.
fn inputs(name: &str, folder: &Path, model: &Model) -> Inputs {
    let fixture = fixture();
    let rows = integers(&SafeTensors::deserialize(&fixture).unwrap(), &format!("{name}/rows")).unwrap();
    let (image, text) = (rows[0][0] as usize, rows[0][1] as usize);
    let name = if folder.ends_with("quick_gelu") { "activations.safetensors" } else { "reference.safetensors" };
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let grids = integers(&file, "input.spatial_shapes").unwrap_or_default();
    let mask = integers(&file, "input.attention_mask");
    let mask: Option<Vec<Vec<bool>>> =
        mask.map(|rows| rows.into_iter().map(|row| row.into_iter().map(|x| x == 1).collect()).collect());
    let tokens = integers(&file, "input.input_ids")
        .map(|ids| Tokens::masked(&ids, mask.as_deref(), model.config.text().unwrap(), "ids").unwrap());
    let grids = grids.iter().skip(image).take(1).map(|row| [row[0] as usize, row[1] as usize]).collect();
    let pixels = tensor(&file, "input.pixel_values").unwrap();
    let long: usize = pixels.shape()[1..].iter().product();
    let shape = [&[1], &pixels.shape()[1..]].concat();
    let values = Tensor::new(shape, pixels.data()[image * long..][..long].to_vec());
    Inputs { pixels: Pixels { values, grids }, tokens: tokens.map(|tokens| tokens.rows(&[text])) }
}

fn sites(model: &Model, tower: Tower) -> Vec<Site> {
    Site::all(&model.config, tower)
}

/// The gradient of `<unit(embeddings), direction>` at every site of `tower`.
fn gradients(
    model: &Model,
    inputs: &Inputs,
    (tower, direction): (Tower, &Tensor<f32>),
    hook: &mut dyn Hook,
) -> (f32, Vec<(Site, Option<Vec<f32>>)>) {
    let mut tape = Tape::on();
    let mut kept = SiteGradients::new(sites(model, tower));
    let mut hook = (&mut kept, hook);
    let embeds = match tower {
        Tower::Vision => model.towers.embed_images(&mut tape, &inputs.pixels, &mut hook),
        Tower::Text => model.towers.embed_texts(&mut tape, inputs.tokens.as_ref().unwrap(), &mut hook),
    };
    let unit = ops::unit_rows(&mut tape, &embeds.unwrap());
    let n = unit.data().len();
    let weights = Tensor::new([1, n], direction.data().to_vec()).into();
    let loss = ops::linear(&unit.reshape([1, n]), &weights, None).make(&mut tape);
    let gradients = tape.backward(&loss);
    let of = |site: Site| (site, kept.at(&gradients, site).map(<[f32]>::to_vec));
    (loss.data()[0], sites(model, tower).into_iter().map(of).collect())
}

fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |m, x| m.max(x.abs()))
}

#[test]
fn gradients_at_every_site_are_those_of_pytorch() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut compared = 0;
    for (name, folder) in names() {
        let model = Model::load(&folder).unwrap();
        let inputs = inputs(name, &folder, &model);
        for tower in [Tower::Vision, Tower::Text] {
            let which = if tower == Tower::Vision { "vision" } else { "text" };
            let Some(direction) = tensor(&file, &format!("{name}/{which}.direction")) else { continue };
            let (loss, found) = gradients(&model, &inputs, (tower, &direction), &mut ());
            let expected = tensor(&file, &format!("{name}/{which}.loss")).unwrap().data()[0];
            assert!((loss - expected).abs() < 1e-5, "{name}: loss {loss} against {expected}");
            for (site, got) in found {
                let expected = tensor(&file, &format!("{name}/{site}")).unwrap_or_else(|| panic!("{name}: no {site}"));
                let got = got.unwrap_or_else(|| vec![0.0; expected.data().len()]);
                assert_eq!(got.len(), expected.data().len(), "{name}: {site}");
                let most = largest(expected.data());
                for (i, (x, y)) in got.iter().zip(expected.data()).enumerate() {
                    // What does not depend on anything is rounding in PyTorch, and 0 here or rounding as well.
                    let allowed = (1e-4 * most).max(1e-8);
                    assert!((x - y).abs() <= allowed, "{name}: {site}[{i}]: {x} against {y}, largest {most}");
                }
                compared += 1;
            }
        }
    }
    let in_file =
        file.names().iter().filter(|n| ![".direction", ".loss", "/rows"].iter().any(|other| n.contains(other))).count();
    assert_eq!(compared, in_file, "as many sites as the fixture has");
    assert!(compared > 150, "{compared}");
}

/// Adds to one value of a site.
struct Push(Site, usize, f32);

impl Hook for Push {
    fn wants(&self, site: Site) -> bool {
        site == self.0
    }
    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> snellen::Result<()> {
        x.data[self.1] += self.2;
        Ok(())
    }
}

#[test]
fn a_step_along_a_gradient_changes_what_it_says_and_an_edit_is_a_constant() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (name, folder) = &names()[0];
    let model = Model::load(folder).unwrap();
    let inputs = inputs(name, folder, &model);
    let direction = tensor(&file, &format!("{name}/vision.direction")).unwrap();
    let of = |hook: &mut dyn Hook| gradients(&model, &inputs, (Tower::Vision, &direction), hook);
    let (loss, found) = of(&mut ());
    for site in ["blocks.0.hook_resid_pre", "blocks.1.mlp.hook_post", "blocks.0.attn.hook_q", "blocks.1.attn.hook_z"] {
        let site: Site = site.parse().unwrap();
        let gradient = found.iter().find(|(at, _)| *at == site).unwrap().1.as_ref().unwrap();
        let at = (0..gradient.len()).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs())).unwrap();
        let (up, after) = of(&mut Push(site, at, 2e-3));
        let (down, _) = of(&mut Push(site, at, -2e-3));
        let slope = (f64::from(up) - f64::from(down)) / 4e-3;
        let expected = f64::from(gradient[at]);
        assert!((slope - expected).abs() < 2e-2 * expected.abs() + 2e-4, "{site}: {slope} against {expected}");
        assert!(up > loss || down > loss, "{site}");
        // Where the values were changed the gradient is that of the changed ones: the same place, another point.
        let moved = after.iter().find(|(at, _)| *at == site).unwrap().1.as_ref().unwrap();
        assert!((moved[at] - gradient[at]).abs() < 0.1 * gradient[at].abs() + 1e-4, "{site}");
    }
}

#[test]
fn nothing_is_kept_without_a_record_and_bf16_gradients_are_near() {
    let bytes = fixture();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let folder = families::folder("siglip");
    let model = Model::load(&folder).unwrap();
    let inputs = inputs("siglip", &folder, &model);
    let mut kept = SiteGradients::new(sites(&model, Tower::Vision));
    model.towers.embed_images(&mut Tape::off(), &inputs.pixels, &mut kept).unwrap();
    let gradients_of_nothing = {
        let mut tape: Tape<f32> = Tape::on();
        let leaf = tape.leaf(&Tensor::new([1], vec![1.0]));
        tape.backward(&leaf)
    };
    assert!(sites(&model, Tower::Vision).into_iter().all(|site| kept.at(&gradients_of_nothing, site).is_none()));
    let direction = tensor(&file, "siglip/vision.direction").unwrap();
    let (_, exact) = gradients(&model, &inputs, (Tower::Vision, &direction), &mut ());
    let bf16 = LoadConfig { precision: Precision::Bf16, ..LoadConfig::plain() };
    let rounded = Model::load_with(&folder, &bf16).unwrap();
    let (_, near) = gradients(&rounded, &inputs, (Tower::Vision, &direction), &mut ());
    for ((site, a), (_, b)) in exact.iter().zip(&near) {
        let (Some(a), Some(b)) = (a, b) else { continue };
        let apart = a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(apart < 0.1 * largest(a).max(1e-3), "{site}: {apart} of {}", largest(a));
    }
}
