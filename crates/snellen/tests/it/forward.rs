//! What a forward does besides its maths: how far it goes, and what it makes of bf16 and of other instructions.

use super::families::{families, is_whole, load};
use snellen::engine::{Precision, Tape, Tensor};
use snellen::model::{ActivationMut, Hook, LoadConfig, Model, Pixels, Site, Tower};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Two pictures; of those that keep their aspect ratio, one of few patches.
fn pixels(model: &Model) -> Pixels<f32> {
    let vision = &model.config.vision;
    let (side, patch) = (vision.image, vision.patch);
    let values = |count: usize| (0..count).map(|i| ((i * 7919 % 255) as f32 - 127.0) / 100.0).collect();
    if vision.is_flexible() {
        let shape = [2, vision.patches(), 3 * patch * patch];
        let values = Tensor::new(shape, values(shape.iter().product()));
        return Pixels { values, grids: vec![[2, 3], [vision.grid(); 2]] };
    }
    Tensor::new([2, 3, side, side], values(2 * 3 * side * side)).into()
}

/// Keeps what it sees at some sites, and which sites it was asked about.
struct Watcher {
    wanted: Vec<Site>,
    asked: RefCell<Vec<Site>>,
    seen: BTreeMap<Site, Vec<f32>>,
}

impl Watcher {
    fn of(wanted: Vec<Site>) -> Self {
        Self { wanted, asked: RefCell::default(), seen: BTreeMap::new() }
    }
}

impl Hook for Watcher {
    fn wants(&self, site: Site) -> bool {
        self.asked.borrow_mut().push(site);
        self.wanted.contains(&site)
    }
    fn at(&mut self, site: Site, x: &mut ActivationMut<'_>) -> snellen::Result<()> {
        // What was asked before the forward began is of no interest.
        assert!(self.seen.insert(site, x.data.to_vec()).is_none(), "{site} fired twice");
        self.asked.borrow_mut().clear();
        Ok(())
    }
}

#[test]
fn an_observed_forward_ends_at_the_last_wanted_site() {
    for name in families() {
        let model = load(&name, &LoadConfig::plain());
        let sites = Site::all(&model.config, Tower::Vision);
        let mut whole = Watcher::of(sites.clone());
        model.towers.embed_images(&mut Tape::off(), &pixels(&model), &mut whole).unwrap();
        let mut tape = Tape::off();
        for (i, &last) in sites.iter().enumerate() {
            let mut watcher = Watcher::of([sites[i / 2], last].into_iter().collect());
            model.towers.observe_images(&mut tape, &pixels(&model), &mut watcher).unwrap();
            assert!(watcher.asked.borrow().is_empty(), "{name}: the forward went on after {last}");
            for (site, values) in watcher.seen {
                assert!(values == whole.seen[&site], "{name}: {site}");
            }
        }
        let mut none = Watcher::of(Vec::new());
        model.towers.observe_images(&mut tape, &pixels(&model), &mut none).unwrap();
        assert!(none.seen.is_empty());
    }
}

#[test]
fn bf16_is_near_f32_at_every_site_and_not_the_same() {
    // Others load in their own way, in f32 only.
    for name in families().into_iter().filter(|name| is_whole(name)) {
        let at = |precision: Precision| {
            let model = load(&name, &LoadConfig { precision, ..LoadConfig::plain() });
            let mut seen = Watcher::of(Site::all(&model.config, Tower::Vision));
            let embeds = model.towers.embed_images(&mut Tape::off(), &pixels(&model), &mut seen).unwrap();
            let alone = model.towers.embed_images(&mut Tape::off(), &pixels(&model), &mut ()).unwrap();
            assert!(embeds.data() == alone.data(), "{name}: a look changes the output in {precision}");
            seen.seen
        };
        let (single, half) = (at(Precision::F32), at(Precision::Bf16));
        for (site, expected) in &single {
            let pairs = || half[site].iter().zip(expected).filter(|(_, y)| y.is_finite());
            let size = pairs().map(|(_, y)| (*y as f64).powi(2)).sum::<f64>();
            let error = pairs().map(|(x, y)| (*x as f64 - *y as f64).powi(2)).sum::<f64>();
            // Three products of 2^-9 each, and what layers add.
            assert!((error / size).sqrt() < 2e-2, "{name}: {site}: {:e}", (error / size).sqrt());
        }
        assert!(single != half, "{name}: bf16 rounds nothing");
    }
}
