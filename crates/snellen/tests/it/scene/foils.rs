//! Foils, relations, Latin splits and backgrounds.

use super::free::{apart, free_world};
use super::generate::different;
use super::{COLOR, SHAPE};
use snellen::scene::caption::{Wording, caption};
use snellen::scene::foils::{Foil, foil_twins, pair_twins};
use snellen::scene::generate::{self, SwapTwin};
use snellen::scene::mask::masks;
use snellen::scene::relation::{Relation, related, relation_twins};
use snellen::scene::{Background, Canvas, Combinations, Look, Said, Scene, WORLDS, World, WorldFactor, render};
use std::collections::{BTreeMap, BTreeSet};

fn words(caption: &str) -> Vec<&str> {
    let mut words: Vec<_> = caption.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words
}

fn plainly(scene: &Scene, world: &World) -> String {
    caption(scene, world, &Wording::plain(scene.objects.len()))
}

#[test]
fn twins_of_a_pair_differ_in_nothing_else() {
    let world = World::named_or_read("rich").unwrap();
    let (all, said) = (Combinations::all(&world), world.said());
    for pair in said.iter().flat_map(|a| said.iter().map(|b| [*a, *b])).filter(|[a, b]| a != b) {
        for SwapTwin { scene, twin } in pair_twins(&world, pair, &all, &all, 40, 3).unwrap() {
            assert!(apart(&scene, 0.02) && apart(&twin, 0.02));
            for f in &said {
                let [a, b] = [0, 1].map(|k| scene.objects[k].values[*f]);
                assert_eq!(a != b, pair.contains(f), "{pair:?}");
                let exchanged = [0, 1].map(|k| twin.objects[k].values[*f]);
                assert_eq!(exchanged, if *f == pair[0] { [b, a] } else { [a, b] });
            }
            assert_eq!(words(&plainly(&scene, &world)), words(&plainly(&twin, &world)));
            assert_ne!(plainly(&scene, &world), plainly(&twin, &world));
        }
    }
    let refused = |pair| pair_twins(&world, pair, &all, &all, 1, 0).unwrap_err().to_string();
    assert!(refused([1, 1]).contains("swap twins: factors: expected two that captions say, got 1 and 1"));
    assert!(refused([1, 9]).contains("1 and 9"));
    let red = Combinations::filter(&world, |values| values[2] == 0);
    assert!(
        pair_twins(&world, [2, 3], &red, &all, 1, 0).unwrap_err().to_string().contains("differ in both factors alone")
    );
}

#[test]
fn what_may_repeat_is_shared_by_twins() {
    let world = World::named_or_read("rich").unwrap();
    let all = Combinations::all(&world);
    let colors = world.swapped_factor().unwrap();
    assert_eq!(world.factors[colors].name, "color");
    for SwapTwin { scene, twin } in generate::swap_twins(&world, colors, &all, &all, 60, 3).unwrap() {
        let same = |f: usize| scene.objects[0].values[f] == scene.objects[1].values[f];
        assert_eq!([0, 1, 2, 3].map(same), [true, true, false, false]);
        assert_eq!(twin, scene.swapped(colors, 0, 1));
    }
}

#[test]
fn foils_change_what_they_are_called_after() {
    let world = free_world(5);
    let seen = Combinations::holding_out(&world, 5, 1).unwrap();
    let within = |scene: &Scene| scene.objects.iter().all(|o| seen.contains(&o.combination(&[SHAPE, COLOR])));
    let twins = |foil| foil_twins(&world, foil, &seen, &seen, 150, 4).unwrap();
    for SwapTwin { scene, twin } in twins(Foil::Replaced(COLOR)) {
        assert!(apart(&scene, 0.02) && within(&scene) && within(&twin));
        let changed: Vec<_> = (0..2).filter(|k| scene.objects[*k] != twin.objects[*k]).collect();
        let [k] = changed[..] else { panic!("{scene:?} {twin:?}") };
        let new = twin.objects[k].values[COLOR];
        assert!(scene.objects.iter().all(|o| o.values[COLOR] != new));
        assert_eq!(twin, scene.replaced(COLOR, k, new));
    }
    for SwapTwin { scene, twin } in twins(Foil::Repeated(SHAPE)) {
        assert!(within(&scene) && within(&twin) && different(&scene, |o| o.values[SHAPE]));
        assert_eq!(twin.objects[0].values[SHAPE], twin.objects[1].values[SHAPE]);
        assert!(different(&twin, |o| o.values[COLOR]));
        assert_eq!((0..2).filter(|k| scene.objects[*k] != twin.objects[*k]).count(), 1);
    }
    for objects in [1, 4] {
        for SwapTwin { scene, twin } in twins(Foil::Added(objects)) {
            assert_eq!((scene.objects.len(), twin.objects.len()), (objects, objects + 1));
            assert_eq!(scene.objects[..], twin.objects[..objects]);
            assert!(apart(&twin, 0.02) && within(&twin) && different(&twin, |o| o.values[COLOR]));
        }
    }
    let replaced = twins(Foil::Replaced(COLOR));
    assert_eq!(replaced[..9], foil_twins(&world, Foil::Replaced(COLOR), &seen, &seen, 9, 4).unwrap()[..]);
    let refused = |foil| foil_twins(&world, foil, &seen, &seen, 1, 0).unwrap_err().to_string();
    assert!(refused(Foil::Added(5)).contains("foils: objects: expected 1 to 4, so that one more has room, got 5"));
    assert!(refused(Foil::Added(0)).contains("foils: objects"));
    assert!(refused(Foil::Added(usize::MAX)).contains("foils: objects"));
    assert!(refused(Foil::Replaced(2)).contains("foils: factor: expected one that captions say, got 2"));
    let mut two = free_world(3);
    two.factors[COLOR].values.truncate(2);
    let all = Combinations::all(&two);
    let none = foil_twins(&two, Foil::Replaced(COLOR), &all, &all, 1, 0).unwrap_err().to_string();
    assert!(none.contains("of which a foil can be made"), "{none}");
}

#[test]
fn an_added_object_is_said_where_it_stands() {
    let world = free_world(5);
    let all = Combinations::all(&world);
    let mut rng = snellen::random::stream(0, "wording", 0);
    let mut places = BTreeSet::new();
    for twin in foil_twins(&world, Foil::Added(2), &all, &all, 40, 4).unwrap() {
        let [few, more] = Wording::of_twins(&twin, &["a photo of {}"], &mut rng);
        assert_eq!(
            (few.order.len(), more.order.len(), few.template, more.template),
            (2, 3, "a photo of {}", few.template)
        );
        let kept: Vec<_> = more.order.iter().copied().filter(|k| *k < 2).collect();
        assert_eq!(kept, few.order);
        places.insert(more.order.iter().position(|k| *k == 2).unwrap());
    }
    assert_eq!(places.len(), 3);
}

#[test]
fn a_relation_and_its_mirror_image() {
    let world = free_world(5);
    let all = Combinations::all(&world);
    for relation in Relation::ALL {
        let along = |scene: &Scene, k: usize| match relation {
            Relation::LeftOf => scene.objects[k].x,
            Relation::Above => scene.objects[k].y,
        };
        let mut first = BTreeMap::<u32, f64>::new();
        for SwapTwin { scene, twin } in relation_twins(&world, relation, 0.3, &all, 300, 5).unwrap() {
            assert!(apart(&scene, 0.02) && apart(&twin, 0.02));
            assert!(
                along(&scene, 1) - along(&scene, 0) >= 0.3 - 1e-9 && along(&twin, 0) - along(&twin, 1) >= 0.3 - 1e-9
            );
            for (one, other) in scene.objects.iter().zip(&twin.objects) {
                assert_eq!((&one.values, one.size), (&other.values, other.size));
                let mirrored = if relation == Relation::LeftOf { [1.0 - one.x, one.y] } else { [one.x, 1.0 - one.y] };
                assert!((mirrored[0] - other.x).abs() < 1e-8 && (mirrored[1] - other.y).abs() < 1e-8);
            }
            for other in [false, true] {
                let [right, wrong] =
                    [&scene, &twin].map(|scene| related(scene, &world, relation, other, "a photo of {}"));
                assert_eq!(words(&right), words(&wrong));
                assert_ne!(right, wrong);
            }
            *first.entry(scene.objects[0].values[COLOR]).or_default() += 1.0;
        }
        // What is left says nothing of its colour: 50 each of 6, 5 deviations.
        assert!(first.len() == 6 && first.values().all(|n| (n - 50.0_f64).abs() < 33.0), "{first:?}");
    }
    let objects = vec![super::object([0, 0, 0], 0.2, 0.8, 0.2), super::object([1, 2, 0], 0.7, 0.3, 0.2)];
    let scene = Scene::from(objects);
    let said = |relation, other| related(&scene, &World::study(), relation, other, "a photo of {}");
    assert_eq!(said(Relation::LeftOf, false), "a photo of a red circle left of a blue square");
    assert_eq!(said(Relation::LeftOf, true), "a photo of a blue square right of a red circle");
    assert_eq!(said(Relation::Above, false), "a photo of a blue square above a red circle");
    assert_eq!(said(Relation::Above, true), "a photo of a red circle below a blue square");
    let widest = relation_twins(&world, Relation::LeftOf, 0.76, &all, 20, 5).unwrap();
    assert!(widest.iter().all(|twin| twin.scene.objects[1].x - twin.scene.objects[0].x >= 0.76 - 1e-8));
    let refused =
        |world: &World, margin| relation_twins(world, Relation::Above, margin, &all, 1, 0).unwrap_err().to_string();
    assert!(refused(&world, 0.77).contains("relations: margin: expected a share of the frame from 0 to 0.76"));
    assert!(refused(&world, f64::NAN).contains("relations: margin"));
    assert!(refused(&World::study(), 0.1).contains("world: free: expected free places for two objects"));
}

#[test]
fn latin_splits_hold_every_value_out_equally_often() {
    let rich = World::named_or_read("rich").unwrap();
    let mut three = free_world(3);
    three.factors[SHAPE].values.truncate(3);
    three.factors[COLOR].values.truncate(2);
    for (world, pair) in
        [(World::study(), [0, 1]), (free_world(3), [1, 0]), (rich.clone(), [2, 3]), (rich, [0, 3]), (three, [0, 1])]
    {
        let splits = Combinations::latin_splits(&world, pair, 7).unwrap();
        let sizes = pair.map(|f| world.factors[f].values.len());
        assert!(splits.len() >= 5 && splits.len().is_multiple_of(sizes[0].max(sizes[1])), "{}", splits.len());
        let at = pair.map(|f| world.said().iter().position(|own| *own == f).unwrap());
        let mut times = [vec![0; sizes[0]], vec![0; sizes[1]]];
        let every = Combinations::all(&world).as_slice().len();
        for split in &splits {
            let held_out: BTreeSet<[u32; 2]> =
                split.complement().as_slice().iter().map(|values| at.map(|at| values[at])).collect();
            assert_eq!(held_out.len(), sizes[0].min(sizes[1]));
            assert_eq!(split.complement().as_slice().len(), held_out.len() * every / (sizes[0] * sizes[1]));
            for side in [0, 1] {
                let values: BTreeSet<u32> = held_out.iter().map(|pair| pair[side]).collect();
                assert_eq!(values.len(), held_out.len(), "no value twice in a split");
                values.iter().for_each(|value| times[side][*value as usize] += 1);
                let kept: BTreeSet<u32> = split.as_slice().iter().map(|values| values[at[side]]).collect();
                assert_eq!(kept.len(), sizes[side], "every value is in training");
            }
        }
        assert!(times.iter().all(|times| times.iter().all(|n| *n == times[0])), "{times:?}");
        assert_eq!(splits, Combinations::latin_splits(&world, pair, 7).unwrap());
        assert_ne!(splits, Combinations::latin_splits(&world, pair, 8).unwrap());
    }
    let world = World::study();
    let refused = |pair| Combinations::latin_splits(&world, pair, 0).unwrap_err().to_string();
    assert!(refused([0, 2]).contains("Latin splits: factors: expected two that captions say, got 2"));
    assert!(refused([1, 1]).contains("two different ones"));
}

/// Mean absolute difference of the bytes of two pictures.
fn difference(a: &[u8], b: &[u8]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// Differences of each pixel and its right neighbour, over the channels.
fn steps(image: &image::RgbImage) -> Vec<f64> {
    let rows = image.rows().map(|row| row.map(|pixel| pixel.0.map(f64::from)).collect::<Vec<_>>());
    let step = |pair: &[[f64; 3]]| (0..3).map(|c| (pair[0][c] - pair[1][c]).abs()).fold(0.0, f64::max);
    rows.flat_map(|row| row.windows(2).map(step).collect::<Vec<_>>()).collect()
}

#[test]
fn backgrounds_are_what_they_are_called_and_masks_do_not_know_them() {
    let canvas = Canvas::plain(128, 128);
    let of = |background| World { background, ..free_world(4) };
    let bare = |background, seed, canvas: &Canvas| {
        let mut object = super::object([0, 0, 0], 0.5, 0.5, 1e-3);
        object.values.pop();
        render(&Scene { objects: vec![object], background: seed }, &of(background), canvas)
    };
    for background in [Background::Noise, Background::Photo] {
        let [one, other] = [1, 2].map(|seed| bare(background, seed, &canvas));
        assert!(difference(&one, &other) > 20.0, "{background:?}");
        // The same at half the pixels.
        let half = bare(background, 1, &Canvas::plain(64, 64));
        let every_second = image::imageops::thumbnail(&one, 64, 64);
        assert!(difference(&half, &every_second) < 6.0, "{background:?}: {}", difference(&half, &every_second));
        let world = of(background);
        let all = Combinations::all(&world);
        let mut seeds = BTreeSet::new();
        for SwapTwin { scene, twin } in generate::swap_twins(&world, COLOR, &all, &all, 12, 2).unwrap() {
            assert_eq!(scene.background, twin.background);
            seeds.insert(scene.background);
            let covered = masks(&scene, &world, &canvas);
            assert_eq!(covered, masks(&Scene { background: 0, ..scene.clone() }, &free_world(4), &canvas));
            let [one, other] = [&scene, &twin].map(|scene| render(scene, &world, &canvas));
            for (i, (a, b)) in one.pixels().zip(other.pixels()).enumerate() {
                assert!(a == b || covered.iter().any(|mask| mask.shares[i] > 0.0));
            }
        }
        assert_eq!(seeds.len(), 12);
        // What the objects are does not depend on what is behind them.
        let plain = generate::toy(&free_world(4), &all, 1..=4, 8, 3).unwrap();
        let behind = generate::toy(&world, &all, 1..=4, 8, 3).unwrap();
        assert!(
            plain.iter().zip(&behind).all(|(a, b)| a.objects == b.objects && a.background == 0 && b.background != 0)
        );
        let json = serde_json::to_string(&behind[0]).unwrap();
        assert_eq!(serde_json::from_str::<Scene>(&json).unwrap(), behind[0]);
    }
    let share = |background, above: f64| {
        let steps: Vec<f64> = (0..20).flat_map(|seed| steps(&bare(background, seed, &canvas))).collect();
        steps.iter().filter(|step| **step > above).count() as f64 / steps.len() as f64
    };
    assert!(share(Background::Noise, 16.0) < 1e-3, "smooth: {}", share(Background::Noise, 16.0));
    let edges = share(Background::Photo, 30.0);
    assert!((0.003..0.1).contains(&edges), "edges: {edges}");
    assert!(share(Background::Plain, 1.0) < 1e-3);
    // White is a colour before what is not white.
    let white = |background| {
        let mut world = of(background);
        world.factors[COLOR] = WorldFactor::new(
            "color",
            Said::Adjective,
            [("white", Look::Paint([255; 3])), ("red", Look::Paint([255, 0, 0]))],
        );
        world.check()
    };
    assert!(white(Background::Plain).unwrap_err().to_string().contains("white background"));
    white(Background::Noise).unwrap();
}

#[test]
fn objects_are_seen_before_backgrounds() {
    // The paint of every object differs from what is around it by 40 of 255 in some channel at least, nearly everywhere.
    let canvas = Canvas::plain(64, 64);
    for known in WORLDS {
        let world = World::named_or_read(known.name).unwrap();
        let scenes = generate::factorial(&world, &Combinations::all(&world), 1, 0).unwrap();
        let (mut seen, mut all) = (0, 0);
        for scene in scenes.iter().take(60) {
            let figure = world.figure(&scene.objects[0]);
            let mask = &masks(scene, &world, &canvas)[0];
            let picture = render(scene, &world, &canvas);
            for (i, pixel) in picture.pixels().enumerate().filter(|(i, _)| mask.shares[*i] == 0.0) {
                let near = |k: usize| mask.shares.get(k).is_some_and(|share| *share > 0.0);
                if near(i + 1) || near(i + 64) || near(i.wrapping_sub(1)) || near(i.wrapping_sub(64)) {
                    all += 1;
                    seen += usize::from((0..3).any(|c| pixel.0[c].abs_diff(figure.paint[c]) >= 40));
                }
            }
        }
        assert!(f64::from(seen as u32) >= 0.9 * f64::from(all), "{}: {seen} of {all}", known.name);
    }
}
