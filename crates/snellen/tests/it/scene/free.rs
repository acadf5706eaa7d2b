//! Worlds whose objects are anywhere.

use super::generate::different;
use super::{COLOR, POSITION, SHAPE};
use snellen::random;
use snellen::scene::generate::{self, SwapTwin, factorial, swap_twins, toy};
use snellen::scene::labels::LabelTable;
use snellen::scene::mask::masks;
use snellen::scene::{Canvas, Combinations, Free, Look, Object, Said, Scene, SceneKind, Series, World, WorldFactor};
use std::f64::consts::PI;
use std::ops::RangeInclusive;

/// Shapes and colours of the study anywhere, up to `objects` of wide sizes.
pub fn free_world(objects: usize) -> World {
    let mut world = World { size: [0.14, 0.24], free: Some(Free { objects, gap: 0.02 }), ..World::study() };
    world.factors.remove(POSITION);
    world
}

/// `free_world` in which only colours differ, and objects are small or large, in words.
fn sized_world() -> World {
    let mut world = World { size: [0.12, 0.14], ..free_world(6) };
    let sizes = [("small", 1.0), ("large", 2.0)].map(|(name, scale)| (name, Look::Scale(scale)));
    world.factors.push(WorldFactor::new("size", Said::Adjective, sizes));
    world
}

/// Whether boxes stay in the frame and `gap` apart.
pub fn apart(scene: &Scene, gap: f64) -> bool {
    let inside = |o: &Object| [o.x, o.y].iter().all(|c| (o.size / 2.0 - 1e-9..=1.0 - o.size / 2.0 + 1e-9).contains(c));
    let clear =
        |a: &Object, b: &Object| (a.x - b.x).abs().max((a.y - b.y).abs()) >= f64::midpoint(a.size, b.size) + gap - 2e-9;
    let objects = &scene.objects;
    objects.iter().all(inside) && (0..objects.len()).all(|k| objects[..k].iter().all(|other| clear(&objects[k], other)))
}

fn training(world: &World, objects: RangeInclusive<usize>, count: usize) -> Vec<Scene> {
    let (all, mut rng) = (Combinations::all(world), random::stream(4, "training", 0));
    let cycle: Vec<usize> = objects.collect();
    let scene = |i: usize| generate::random(world, &all, cycle[i % cycle.len()], &mut rng).unwrap();
    (0..count).map(scene).collect()
}

#[test]
fn objects_anywhere_never_overlap() {
    let world = free_world(8);
    let scenes = training(&world, 1..=8, 2000);
    for (i, scene) in scenes.iter().enumerate() {
        scene.check(&world).unwrap();
        assert_eq!(scene.objects.len(), 1 + i % 8);
        assert!(apart(scene, 0.02), "{scene:?}");
        assert!(scene.objects.iter().all(|o| (0.14..=0.24).contains(&o.size)));
    }
    let canvas = Canvas::plain(56, 56);
    for scene in &scenes[..80] {
        let masks = masks(scene, &world, &canvas);
        let shared = (0..56 * 56).filter(|i| masks.iter().filter(|mask| mask.shares[*i] > 0.0).count() > 1);
        assert_eq!(shared.count(), 0, "a pixel belongs to one object or to none");
    }
    for scene in toy(&free_world(5), &Combinations::all(&world), 1..=5, 400, 1).unwrap() {
        assert!(apart(&scene, 0.02));
        assert!(different(&scene, |o| o.values[SHAPE]) && different(&scene, |o| o.values[COLOR]));
    }
}

#[test]
fn every_object_is_anywhere() {
    let world = free_world(5);
    let scenes = factorial(&world, &Combinations::all(&world), 40, 2).unwrap();
    assert_eq!(scenes.len(), 40 * 30, "a single object each, one place");
    for axis in [|o: &Object| o.x, |o: &Object| o.y] {
        // Where it is between its least and its largest: uniform, so a tenth in each tenth (109 +- 10 of 1200 each way).
        let mut tenths = [0; 10];
        for o in scenes.iter().map(|scene| &scene.objects[0]) {
            tenths[((axis(o) - o.size / 2.0) / (1.0 - o.size) * 10.0).clamp(0.0, 9.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|n| (80..=160).contains(n)), "{tenths:?}");
    }
    // Which comes first says nothing of where it is: mean distances from the middle differ by less than 4 deviations.
    let crowded = training(&world, 5..=5, 2000);
    let mean = |k: usize| {
        let far = crowded.iter().map(|scene| (scene.objects[k].x - 0.5).hypot(scene.objects[k].y - 0.5));
        far.sum::<f64>() / crowded.len() as f64
    };
    assert!((mean(0) - mean(4)).abs() < 4.0 * 0.14 * (2.0_f64 / 2000.0).sqrt(), "{} {}", mean(0), mean(4));
}

#[test]
fn what_hardly_fits_is_placed_too() {
    let world = World { size: [0.32, 0.33], free: Some(Free { objects: 9, gap: 0.005 }), ..free_world(9) };
    world.check().unwrap();
    let scenes = training(&world, 8..=9, 60);
    assert!(scenes.iter().all(|scene| apart(scene, 0.005)));
    assert!(scenes[1].objects[0] != scenes[3].objects[0]);
}

#[test]
fn twins_keep_places_and_sizes() {
    let world = free_world(5);
    let all = Combinations::all(&world);
    for SwapTwin { scene, twin } in swap_twins(&world, COLOR, &all, &all, 300, 8).unwrap() {
        assert!(apart(&scene, 0.02));
        assert_eq!(twin, scene.swapped(COLOR, 0, 1));
        assert!((0..2).all(|k| scene.objects[k].values[COLOR] != twin.objects[k].values[COLOR]));
        assert!(different(&scene, |o| o.values[SHAPE]));
    }
}

#[test]
fn exchanged_sizes_are_drawn_and_have_room() {
    let world = sized_world();
    let all = Combinations::all(&world);
    for SwapTwin { scene, twin } in swap_twins(&world, 2, &all, &all, 300, 8).unwrap() {
        assert!(apart(&scene, 0.02) && apart(&twin, 0.02), "{scene:?} {twin:?}");
        for (one, other) in scene.objects.iter().zip(&twin.objects) {
            assert_eq!((one.x, one.y, one.values[COLOR]), (other.x, other.y, other.values[COLOR]));
            let ratio = if one.values[2] == 0 { 2.0 } else { 0.5 };
            assert!((other.size / one.size - ratio).abs() < 1e-6, "{one:?} {other:?}");
        }
        assert_eq!(twin, scene.swapped(2, 0, 1).resized(&scene, &world));
    }
    assert!(training(&world, 1..=6, 300).iter().all(|scene| apart(scene, 0.02)));
}

#[test]
fn objects_of_one_size_have_one_area() {
    let world = World { size: [0.3, 0.3], equal_areas: true, ..free_world(4) };
    let canvas = Canvas::plain(200, 200);
    for scene in factorial(&world, &Combinations::all(&world), 1, 0).unwrap() {
        let area: f64 = masks(&scene, &world, &canvas)[0].shares.iter().sum();
        let disc = PI * 30.0 * 30.0;
        assert!((area / disc - 1.0).abs() < 2e-3, "{area} of {disc}: {scene:?}");
    }
    let boxes = World { equal_areas: false, ..world.clone() };
    assert!((boxes.scale(&[2, 0]) - 1.0).abs() < 1e-12 && (world.scale(&[2, 0]) - 1.2533).abs() < 1e-4);
    // Boxes of triangles are wider than sizes, and it is they that have to fit.
    let wide = World { size: [0.27, 0.27], free: Some(Free { objects: 9, gap: 0.0 }), ..world };
    assert!(wide.check().unwrap_err().to_string().contains("at most 4, as many as fit where all are of size 0.338"));
    World { equal_areas: false, ..wide }.check().unwrap();
}

#[test]
fn a_free_place_is_no_label_unless_a_factor_says_it() {
    let series = |world: &World| Series::new(SceneKind::Toy, world.clone(), Canvas::plain(32, 32), 40, 3).unwrap();
    let labels = |world: &World| {
        let mut csv = Vec::new();
        series(world).write_labels(&mut csv).unwrap();
        String::from_utf8(csv).unwrap()
    };
    let header = "filename,shape_0,color_0,shape_1,color_1,shape_2,color_2,shape_3,color_3";
    let csv = labels(&free_world(4));
    assert_eq!(csv.lines().next().unwrap(), header);
    let mut world = free_world(4);
    let quarters = [("TL", [0.0, 0.0]), ("TR", [1.0, 0.0]), ("BL", [0.0, 1.0]), ("BR", [1.0, 1.0])];
    let quarters = quarters.map(|(name, place)| (name, Look::Place(place)));
    world.factors.push(WorldFactor::new("quarter", Said::No, quarters));
    world.check().unwrap();
    assert!(labels(&world).starts_with("filename,shape_0,color_0,quarter_0,"));
    let mut seen = [0; 4];
    for i in 0..40 {
        let scene = series(&world).scene(i).unwrap();
        for o in &scene.objects {
            assert_eq!(o.values[2], u32::from(o.x > 0.5) + 2 * u32::from(o.y > 0.5), "{o:?}");
            seen[o.values[2] as usize] += 1;
        }
        // The objects are those of the world without quarters.
        let plain = series(&free_world(4)).scene(i).unwrap();
        assert!(scene.objects.iter().zip(&plain.objects).all(|(a, b)| (a.x, a.y, a.size) == (b.x, b.y, b.size)));
    }
    assert!(seen.iter().all(|n| *n > 10), "{seen:?}");
    let scenes = [series(&world).scene(3).unwrap()];
    LabelTable::from_scenes(&world, &scenes, &["a.png".to_owned()]).unwrap();
}

#[test]
fn what_can_not_be_placed_is_refused() {
    let refused = |change: &dyn Fn(&mut World)| {
        let mut world = free_world(8);
        change(&mut world);
        world.check().unwrap_err().to_string()
    };
    let free = |objects, gap| move |w: &mut World| w.free = Some(Free { objects, gap });
    let cases = [
        (
            refused(&free(10, 0.02)),
            "world: free.objects: expected at most 9, as many as fit where all are of size 0.24",
        ),
        (refused(&free(0, 0.0)), "world: free.objects: expected 1 to 64, got 0"),
        (refused(&free(usize::MAX, 0.0)), "world: free.objects: expected 1 to 64"),
        (refused(&free(2, f64::NAN)), "world: free.gap: expected a share of the frame from 0 to 0.5, got NaN"),
        (refused(&free(2, -0.1)), "world: free.gap"),
        (refused(&|w| w.jitter = 0.01), "world: jitter: expected 0, since places are free, got 0.01"),
        (refused(&|w| w.jitter = f64::NAN), "world: jitter"),
        (refused(&|w| w.size = [0.1, 1.0]), "expected at most 1, as many as fit"),
        (
            refused(&|w| w.factors.push(sized_world().factors.remove(2))),
            "at most 4, as many as fit where all are of size 0.48",
        ),
        (
            refused(&|w| w.factors.push(WorldFactor::new("side", Said::No, [("off", Look::Place([1.5, 0.5]))]))),
            "world: place `off`, x: expected 0.000000 to 1.000000, got 1.5",
        ),
        (
            refused(&|w| {
                w.factors.push(WorldFactor::new("side", Said::Adjective, [("left", Look::Place([0.5, 0.5]))]));
            }),
            "world: factor `side`, said: expected no (captions do not say places), got adjective",
        ),
    ];
    for (message, part) in cases {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
    let world = free_world(3);
    let all = Combinations::all(&world);
    assert!(toy(&world, &all, 1..=4, 1, 0).unwrap_err().to_string().contains("expected 1 to 3"));
    let none = generate::random(&world, &all, 4, &mut random::stream(0, "training", 0));
    assert!(none.unwrap_err().to_string().contains("expected 1 to 3"));
    let alone = swap_twins(&free_world(1), COLOR, &all, &all, 1, 0).unwrap_err().to_string();
    assert!(alone.contains("world: places: expected two or more, for swap twins, got 1"), "{alone}");
}

#[test]
fn free_scenes_depend_on_seed_and_number_alone() {
    let world = free_world(5);
    for kind in SceneKind::ALL {
        let few = Series::new(kind, world.clone(), Canvas::plain(32, 32), 3, 11).unwrap();
        let many = Series::new(kind, world.clone(), Canvas::plain(32, 32), 9, 11).unwrap();
        let other = Series::new(kind, world.clone(), Canvas::plain(32, 32), 3, 12).unwrap();
        for i in 0..few.len() {
            assert_eq!(few.scene(i).unwrap(), many.scene(i).unwrap());
            assert_ne!(few.scene(i).unwrap(), other.scene(i).unwrap());
        }
    }
}

#[test]
fn twins_of_thousands_of_combinations_are_drawn() {
    let mut world = free_world(4);
    let colors = (0..900).map(|k| (format!("c{k}"), Look::Paint([(k % 30) as u8, (k / 30) as u8, 90])));
    world.factors[COLOR] = WorldFactor::new("color", Said::Adjective, colors);
    let all = Combinations::all(&world);
    assert_eq!(all.as_slice().len(), 4500);
    let circles = Combinations::filter(&world, |values| values[SHAPE] == 0);
    let twins = swap_twins(&world, COLOR, &all, &all, 200, 1).unwrap();
    assert!(twins.iter().all(|twin| different(&twin.scene, |o| o.values[SHAPE])));
    assert!(twins.iter().all(|twin| different(&twin.scene, |o| o.values[COLOR])));
    assert_eq!(twins[..20], swap_twins(&world, COLOR, &all, &all, 20, 1).unwrap()[..]);
    assert!(swap_twins(&world, COLOR, &all, &circles, 1, 1).unwrap_err().to_string().contains("combinations"));
}
