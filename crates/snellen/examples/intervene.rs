//! Patching between swap twins, step by step: run with a cache, patch, compare. What `HookedTransformer.run_with_cache` and
//! `run_with_hooks` are in TransformerLens; then the same as an effect, beside random sets of units that are alike.
//!
//! ```text
//! cargo run --release --example intervene [MODEL [SITE]]
//! ```

use snellen::intervene::{Action, Against, Change, Donors, Edit, Prepared, Set, TokenMap, Tokens, Twins, Units};
use snellen::measure::Confidence;
use snellen::model::{ActivationMut, Hook, LoadConfig, Model, Site};
use snellen::scene::caption::{Wording, caption};
use snellen::scene::generate::swap_twins;
use snellen::scene::{Canvas, Combinations, World, render};

/// Keeps the values at one site: the cache.
struct Cache {
    site: Site,
    values: Vec<f32>,
}

impl Hook for Cache {
    fn wants(&self, site: Site) -> bool {
        site == self.site
    }

    fn at(&mut self, _: Site, x: &mut ActivationMut<'_>) -> snellen::Result<()> {
        self.values = x.data.to_vec();
        Ok(())
    }
}

fn main() -> snellen::Result<()> {
    let mut args = std::env::args().skip(1);
    let model = Model::open(&args.next().unwrap_or("models/toy".to_owned()), &LoadConfig::plain(), &())?;
    let site: Site = args.next().unwrap_or("blocks.2.hook_resid_post".to_owned()).parse()?;

    // A scene and its swap twin: the same bag of concepts, bound differently.
    let world = World::toy();
    let all = Combinations::all(&world);
    let twin = &swap_twins(&world, world.swapped_factor().unwrap_or_default(), &all, &all, 1, 7)?[0];
    let canvas = Canvas::plain(model.config.vision.image as u32, model.config.vision.image as u32);
    let [clean, corrupt] = [&twin.scene, &twin.twin].map(|scene| [render(scene, &world, &canvas)]);
    let texts = [&twin.scene, &twin.twin].map(|scene| caption(scene, &world, &Wording::plain(2)));
    let said = model.encode_texts(&texts, &mut ())?;
    let margin = |image: &[f32]| -> f32 {
        let cosine = |text: &[f32]| image.iter().zip(text).map(|(a, b)| a * b).sum::<f32>();
        cosine(&said.data()[..said.width()]) - cosine(&said.data()[said.width()..])
    };

    // run_with_cache
    let mut cache = Cache { site, values: Vec::new() };
    let clean = model.encode_pictures(&clean, &mut cache)?;
    let without = model.encode_pictures(&corrupt, &mut ())?;

    // run_with_hooks: the corrupt picture with the clean one's values where object 0 is.
    let map = TokenMap::of_scenes(&[&twin.scene, &twin.twin], &world, &canvas, &model);
    let edit = Prepared { site, head: None, tokens: Tokens::Object(0), units: None, change: Change::Donated };
    let positions = [edit.positions(&model.config, &map)?];
    let donors = Donors { values: &cache.values, rows: &[0], positions: &positions };
    let mut patch = edit.on(&positions, Some(donors));
    let patched = model.encode_pictures(&corrupt, &mut patch)?;
    edit.check(patch.changed())?;

    println!("{} | {}", texts[0], texts[1]);
    println!("swap margin of the clean picture    {:+.4}", margin(clean.data()));
    println!("swap margin of the corrupt picture  {:+.4}", margin(without.data()));
    let changed = patch.changed();
    println!("patched at {site}, object:0        {:+.4} ({} values changed)", margin(patched.data()), changed.values);

    // One twin is an anecdote: an effect is measured on many, beside random sets.
    let twins = Twins::draw(&model, &world, &["{}"], 16, 7)?;
    let rest = twins.rest(site)?;
    let trial = twins.trial(&rest, None, Tokens::Object(0))?;
    let top = Units::Top(10).resolve("example", trial.width(), &trial)?;
    let full = Edit { site, head: None, tokens: Tokens::Object(0), units: Units::All, action: Action::Patch };
    let full = full.prepare(&model.config, &(), None)?.change;
    let against = Against { draws: 99, seed: 7, confidence: Confidence::new(0.95)?, progress: &() };
    let found = trial.effects(&Action::Patch, &full, &[Set::new("top:10", top, false)], against)?;
    for effect in found.rows {
        let (x, null) = (effect.effect, effect.null);
        println!(
            "{:<16} {} units of object 0 patched: {:+.2} [{:+.2}, {:+.2}] spreads, random sets {:+.2} [{:+.2}, {:+.2}], p = {:.3}",
            effect.target, effect.size, x.estimate, x.lo, x.hi, null.mean, null.lo, null.hi, effect.p
        );
    }
    found.left_out.iter().for_each(|left| println!("{left}"));
    Ok(())
}
