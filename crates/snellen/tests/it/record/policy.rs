//! Every policy against a recording of all tokens.

use super::{CHECKPOINTS, block, everything, load, scenes, sites};
use image::{GrayImage, Luma};
use snellen::engine::Tape;
use snellen::model::preprocess::Resize;
use snellen::model::{BlockPoint, Point, Site, Tower};
use snellen::record::cover::cover;
use snellen::record::reduce::{Refusal, Tokens, reduce};
use snellen::record::{ActivationStore, ArrayId, Recorder, TokenPolicy, read_pixels, record};
use std::path::PathBuf;

/// The mean of the rows `tokens` of `x [token, unit]` by `weight`.
fn mean(x: &[f32], units: usize, tokens: std::ops::Range<usize>, weight: impl Fn(usize) -> f64) -> Vec<f64> {
    let total: f64 = tokens.clone().map(&weight).sum();
    let of = |u: usize| tokens.clone().map(|t| weight(t) * x[t * units + u] as f64).sum::<f64>() / total;
    (0..units).map(of).collect()
}

#[test]
fn every_policy_follows_from_all_tokens() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 9);
    for name in CHECKPOINTS {
        let model = load(name);
        let out = home.path().join(name);
        record(&model, &source, &everything(4), &out, &()).unwrap();
        let store = ActivationStore::open(&out.join("activations.zarr")).unwrap();
        let vision = &model.config.vision;
        let covers: Vec<Vec<f64>> = (source.masks.as_ref().unwrap().iter())
            .map(|mask| cover(image::open(mask).unwrap().to_luma8(), &model.preprocessing, vision))
            .collect();
        for site in sites(&model) {
            let policies: Vec<TokenPolicy> =
                store.arrays().iter().filter(|array| array.id.site == site).map(|array| array.id.policy).collect();
            let expected: &[TokenPolicy] = match site.point {
                Point::Embeds => &[TokenPolicy::Pooled],
                Point::Block(_, BlockPoint::AttnScores | BlockPoint::Pattern) => &[TokenPolicy::All],
                Point::Embed => {
                    use TokenPolicy::{All, Background, Max, Mean, Object};
                    &[Mean, Max, Object, Background, All]
                }
                _ => {
                    use TokenPolicy::{All, Background, Cls, Max, MaxAll, Mean, MeanAll, Object};
                    &[Cls, Mean, MeanAll, Max, MaxAll, Object, Background, All]
                }
            };
            assert_eq!(policies, expected, "{site}");
            if policies.len() == 1 {
                continue;
            }
            let (shape, all) = store.read(&ArrayId::new(site, TokenPolicy::All)).unwrap();
            let (tokens, units) = (shape[1], shape[2]);
            let class = tokens - vision.patches();
            for policy in policies.into_iter().filter(|policy| *policy != TokenPolicy::All) {
                let (shape, got) = store.read(&ArrayId::new(site, policy)).unwrap();
                assert_eq!(shape, [9, units], "{site}/{policy}");
                for (i, x) in all.chunks(tokens * units).enumerate() {
                    let share = |t: usize| covers[i][t - class];
                    let expected = match policy {
                        TokenPolicy::Cls => x[..units].iter().map(|x| *x as f64).collect(),
                        TokenPolicy::Mean => mean(x, units, class..tokens, |_| 1.0),
                        TokenPolicy::MeanAll => mean(x, units, 0..tokens, |_| 1.0),
                        TokenPolicy::Max => (0..units)
                            .map(|u| (class..tokens).map(|t| x[t * units + u]).fold(f32::NEG_INFINITY, f32::max) as f64)
                            .collect(),
                        TokenPolicy::MaxAll => (0..units)
                            .map(|u| (0..tokens).map(|t| x[t * units + u]).fold(f32::NEG_INFINITY, f32::max) as f64)
                            .collect(),
                        TokenPolicy::Object => mean(x, units, class..tokens, share),
                        TokenPolicy::Background => mean(x, units, class..tokens, |t| 1.0 - share(t)),
                        _ => unreachable!(),
                    };
                    for (u, (expected, got)) in expected.iter().zip(&got[i * units..]).enumerate() {
                        let close = (expected - *got as f64).abs() <= 1e-6 * (1e-3 + expected.abs());
                        assert!(close, "{name}: {site}/{policy}, image {i}, unit {u}: {got} for {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn all_tokens_are_what_the_forward_had() {
    /// Keeps one site.
    struct Keep(Site, Vec<f32>);
    impl snellen::model::Hook for Keep {
        fn wants(&self, site: Site) -> bool {
            site == self.0
        }
        fn at(&mut self, _: Site, x: &mut snellen::model::ActivationMut<'_>) -> snellen::Result<()> {
            self.1 = x.data.to_vec();
            Ok(())
        }
    }
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 4);
    let model = load("gelu");
    let out = home.path().join("run");
    record(&model, &source, &everything(4), &out, &()).unwrap();
    let store = ActivationStore::open(&out.join("activations.zarr")).unwrap();
    let paths: Vec<PathBuf> = (0..4).map(|row| source.path(row)).collect();
    let pixels = read_pixels(&paths, &model.preprocessing).unwrap();
    assert_eq!(pixels.values.shape(), [4, 3, 28, 28]);
    for site in sites(&model) {
        let mut keep = Keep(site, Vec::new());
        model.towers.embed_images(&mut Tape::off(), &pixels, &mut keep).unwrap();
        let policy = if site.point == Point::Embeds { TokenPolicy::Pooled } else { TokenPolicy::All };
        assert_eq!(store.read(&ArrayId::new(site, policy)).unwrap().1, keep.1, "{site}");
    }
    let shape = |point| store.read(&ArrayId::new(block(1, point), TokenPolicy::All)).unwrap().0;
    assert_eq!(shape(BlockPoint::Pattern), [4, 5, 17, 17]);
    assert_eq!(shape(BlockPoint::Q), [4, 17, 30], "heads are flattened");
    assert_eq!(store.read(&ArrayId::new(Site::vision(Point::Embed), TokenPolicy::All)).unwrap().0, [4, 16, 30]);
    assert_eq!(store.read(&ArrayId::new(Site::vision(Point::Embeds), TokenPolicy::Pooled)).unwrap().0, [4, 11]);
}

#[test]
fn policies_of_a_known_image() {
    let values = [9.0, -9.0, 1.0, 2.0, 3.0, -4.0, 5.0, 6.0];
    let covers = [vec![0.5, 0.0, 0.25]];
    let tokens =
        Tokens { values: &values, images: 1, units: 2, class: true, registers: 0, covers: &covers, counts: &[] };
    let got = |policy| reduce(tokens, &[policy]).unwrap().remove(0);
    assert_eq!(got(TokenPolicy::Cls), [9.0, -9.0]);
    assert_eq!(got(TokenPolicy::Mean), [3.0, (4.0 / 3.0) as f32]);
    assert_eq!(got(TokenPolicy::MeanAll), [4.5, -1.25]);
    assert_eq!(got(TokenPolicy::Max), [5.0, 6.0]);
    assert_eq!(got(TokenPolicy::MaxAll), [9.0, 6.0]);
    assert_eq!(got(TokenPolicy::Object), [(1.75 / 0.75) as f32, (2.5 / 0.75) as f32]);
    assert_eq!(got(TokenPolicy::Background), [(7.25 / 2.25) as f32, (1.5 / 2.25) as f32]);
    assert_eq!(got(TokenPolicy::All), values);
    let nothing = |tokens: Tokens<'_>, policy| {
        assert_eq!(reduce(tokens, &[policy]), Err(Refusal::Nothing { policy, image: 0 }));
    };
    nothing(Tokens { covers: &[vec![0.0; 3]], ..tokens }, TokenPolicy::Object);
    nothing(Tokens { covers: &[vec![1.0; 3]], ..tokens }, TokenPolicy::Background);
    nothing(Tokens { covers: &[], ..tokens }, TokenPolicy::Object);
    nothing(Tokens { class: false, ..tokens }, TokenPolicy::Cls);
    nothing(Tokens { class: false, ..tokens }, TokenPolicy::MeanAll);
    nothing(Tokens { class: false, ..tokens }, TokenPolicy::MaxAll);
    // In f32 the small values would be lost beside the large one.
    let values = [1e8, 1.0, 1.0, 1.0, 1.0, -1e8];
    let tokens = Tokens { values: &values, images: 1, units: 1, class: false, registers: 0, covers: &[], counts: &[] };
    assert_eq!(reduce(tokens, &[TokenPolicy::Mean]), Ok(vec![vec![(4.0 / 6.0) as f32]]));
}

#[test]
fn policies_together_are_the_policies_one_by_one() {
    // More units than are reduced at a time, and not a multiple of that; several images.
    let (images, tokens, units) = (3, 11, 1100);
    let values: Vec<f32> = (0..images * tokens * units).map(|i| ((i * 7919) % 2003) as f32 * 1e-3 - 1.0).collect();
    let covers: Vec<Vec<f64>> = (0..images).map(|i| (0..9).map(|p| ((i + p) % 4) as f64 / 3.0).collect()).collect();
    let batch = Tokens { values: &values, images, units, class: true, registers: 1, covers: &covers, counts: &[] };
    let of_text = |policy: &TokenPolicy| matches!(policy, TokenPolicy::Eos | TokenPolicy::All | TokenPolicy::Pooled);
    let policies: Vec<TokenPolicy> = TokenPolicy::ALL.into_iter().filter(|policy| !of_text(policy)).collect();
    let policies = &policies[..];
    let together = reduce(batch, policies).unwrap();
    for (policy, together) in policies.iter().zip(&together) {
        assert_eq!(&reduce(batch, &[*policy]).unwrap()[0], together, "{policy}");
        for (i, image) in values.chunks(tokens * units).enumerate() {
            let own = Tokens { values: image, images: 1, covers: &covers[i..=i], ..batch };
            let row = together.len() / images;
            assert_eq!(reduce(own, &[*policy]).unwrap()[0], together[i * row..(i + 1) * row], "{policy}, image {i}");
        }
    }
    let expected = |i: usize, u: usize, tokens_of: std::ops::Range<usize>| {
        let count = tokens_of.len() as f64;
        let sum = tokens_of.fold(0.0, |sum, t| sum + values[(i * tokens + t) * units + u] as f64);
        (sum / count) as f32
    };
    for (i, u) in [(0, 0), (1, 511), (2, 512), (2, 1099)] {
        assert_eq!(together[1][i * units + u], expected(i, u, 2..tokens), "the sum is in the order of the tokens");
        assert_eq!(together[2][i * units + u], expected(i, u, 0..tokens));
    }
    for at in [0, units + 3, values.len() - 1, values.len() / 2] {
        let mut values = values.clone();
        values[at] = f32::INFINITY;
        for policies in [policies, &[TokenPolicy::Mean], &[TokenPolicy::Cls], &[]] {
            assert_eq!(reduce(Tokens { values: &values, ..batch }, policies), Err(Refusal::NotFinite), "value {at}");
        }
    }
}

#[test]
fn masks_go_through_the_same_crop_as_the_picture() {
    let model = load("quick_gelu");
    let vision = &model.config.vision;
    let (grid, side) = (vision.grid(), vision.image as u32);
    // Twice as wide as high: the crop leaves the middle half. Objects of two numbers fill its left half, and all beyond the crop.
    let mask = GrayImage::from_fn(4 * side, 2 * side, |x, _| Luma([if x < 2 * side { 1 + (x % 2) as u8 } else { 0 }]));
    let left: Vec<f64> = (0..grid * grid).map(|p| f64::from(u8::from(2 * (p % grid) < grid))).collect();
    let half = (grid % 2 == 1).then_some(grid / 2);
    let got = cover(mask.clone(), &model.preprocessing, vision);
    for (p, (got, left)) in got.iter().zip(&left).enumerate() {
        let expected = if Some(p % grid) == half { 0.5 } else { *left };
        assert!((got - expected).abs() < 1e-9, "patch {p}: {got} for {expected}");
    }
    // Squashed, nothing is cut: the same mask covers the left half of the whole.
    let mut squash = model.preprocessing.clone();
    squash.resize = vec![Resize::Squash([vision.image; 2])];
    assert_eq!(cover(mask, &squash, vision), got);
    // A dot just outside of the crop is not seen, one just inside is.
    let dot = |at: u32| {
        let dot = GrayImage::from_fn(4 * side, 2 * side, |x, _| Luma([u8::from(x == at)]));
        cover(dot, &model.preprocessing, vision).iter().sum::<f64>()
    };
    assert_eq!(dot(side - 1), 0.0);
    assert!(dot(side) > 0.0);
    // Without resizing a small picture is padded: a full mask covers as much as there is of it.
    let mut pad = model.preprocessing.clone();
    pad.resize.clear();
    let full = cover(GrayImage::from_pixel(side / 2, side, Luma([1])), &pad, vision);
    assert!((full.iter().sum::<f64>() / (grid * grid) as f64 - 0.5).abs() < 1e-9, "{full:?}");
}

#[test]
fn a_picture_and_its_mask_are_seen_in_the_same_place() {
    let model = load("gelu");
    let grid = model.config.vision.grid();
    let patch = model.config.vision.patch;
    for (width, height) in [(61, 40), (40, 97), (28, 28), (33, 20)] {
        // One dark block on white: the pixels' darkness per patch is the mask's share per patch.
        let inside = |x: u32, y: u32| (width / 3..width / 2 + 6).contains(&x) && (height / 4..height / 2).contains(&y);
        let mask = GrayImage::from_fn(width, height, |x, y| Luma([u8::from(inside(x, y))]));
        let picture =
            image::RgbImage::from_fn(width, height, |x, y| image::Rgb([if inside(x, y) { 0 } else { 255 }; 3]));
        let pixels = model.preprocessing.apply(&picture.into()).unwrap();
        let [mean, std] = [model.preprocessing.mean[0], model.preprocessing.std[0]];
        let shares = cover(mask, &model.preprocessing, &model.config.vision);
        for (p, share) in shares.iter().enumerate() {
            let (top, left) = (p / grid * patch, p % grid * patch);
            let dark = |i: usize| {
                let at = (top + i / patch) * grid * patch + left + i % patch;
                1.0 - (pixels[at] as f64 * std + mean)
            };
            let darkness = (0..patch * patch).map(dark).sum::<f64>() / (patch * patch) as f64;
            assert!((darkness - share).abs() < 0.06, "{width} x {height}, patch {p}: {darkness} for {share}");
        }
    }
}

#[test]
fn the_recorder_changes_nothing() {
    use snellen::record::{Layout, StoreWriter, select};
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 2);
    let model = load("quick_gelu");
    let paths: Vec<PathBuf> = (0..2).map(|row| source.path(row)).collect();
    let pixels = read_pixels(&paths, &model.preprocessing).unwrap();
    let (sites, policies) = (["blocks.*".to_owned()], [TokenPolicy::Mean, TokenPolicy::All]);
    let selected = select(&model.config, Tower::Vision, &sites, &policies).unwrap();
    let layouts = selected.iter().flat_map(|s| s.policies.iter().map(|p| (s.site, *p)));
    let layouts = layouts.map(|(site, policy)| Layout::new(&model.config, site, policy, 2).unwrap()).collect();
    let mut store = StoreWriter::create(&home.path().join("store"), layouts).unwrap();
    let mut recorder = Recorder::new(&model.config, &selected, &mut store, &source.filenames, &[]);
    let recorded = model.towers.embed_images(&mut Tape::off(), &pixels, &mut recorder).unwrap();
    let plain = model.towers.embed_images(&mut Tape::off(), &pixels, &mut ()).unwrap();
    assert_eq!(recorded.data(), plain.data());
    store.finish().unwrap();
}
