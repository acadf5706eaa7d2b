use super::{COLOR, POSITION, SHAPE, grid_world, with_colors};
use proptest::prelude::*;
use snellen::random;
use snellen::scene::generate::{factorial, independent, random as random_scene, swap_twins, toy};
use snellen::scene::{Combinations, Look, Object, Said, Scene, Texture, World, WorldFactor};
use std::collections::{BTreeMap, BTreeSet};

pub fn different<T: Ord>(scene: &Scene, value: impl Fn(&Object) -> T) -> bool {
    scene.objects.iter().map(value).collect::<BTreeSet<_>>().len() == scene.objects.len()
}

fn within_the_world(scene: &Scene, world: &World) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= world.jitter + 1e-8;
    scene.objects.iter().all(|object| {
        let [x, y] = world.place(object.values[POSITION]);
        let size = world.size[0] - 1e-8..=world.size[1] + 1e-8;
        near(object.x, x) && near(object.y, y) && size.contains(&object.size)
    })
}

#[test]
fn toys_cycle_through_the_numbers_of_objects() {
    let world = World::study();
    let scenes = toy(&world, &Combinations::all(&world), 1..=5, 500, 3).unwrap();
    for (i, scene) in scenes.iter().enumerate() {
        assert_eq!(scene.objects.len(), 1 + i % 5);
        scene.check(&world).unwrap();
    }
}

#[test]
fn toys_show_every_combination_equally_often() {
    let world = World::study();
    let mut seen = BTreeMap::<_, f64>::new();
    for scene in toy(&world, &Combinations::all(&world), 3..=3, 6000, 9).unwrap() {
        for (k, object) in scene.objects.iter().enumerate() {
            *seen.entry((k, object.combination(&[SHAPE, COLOR]))).or_default() += 1.0;
        }
    }
    assert_eq!(seen.len(), 90);
    let chi2: f64 = seen.values().map(|count| (count - 200.0).powi(2) / 200.0).sum();
    // 87 degrees of freedom: mean 87, standard deviation 13.
    assert!((40.0..150.0).contains(&chi2), "{chi2}");
}

#[test]
fn too_many_objects_are_refused() {
    let world = World::study();
    let refusal = |objects| toy(&world, &Combinations::all(&world), objects, 1, 0).unwrap_err().to_string();
    assert!(refusal(1..=6).contains("expected 1 to 5"));
    assert!(refusal(0..=2).contains("toy scenes: objects"));
    let red = Combinations::filter(&world, |values| values[COLOR] == 0);
    let refusal = toy(&world, &red, 2..=2, 1, 0).unwrap_err().to_string();
    assert!(refusal.contains("2 in which no value comes twice, got 1"), "{refusal}");
}

#[test]
fn toys_are_found_where_there_is_only_one_choice() {
    let mut world = World::study();
    world.factors[SHAPE].values.truncate(3);
    let staircase = Combinations::filter(&world, |values| values[COLOR] <= values[SHAPE]);
    for scene in toy(&world, &staircase, 3..=3, 50, 6).unwrap() {
        assert!(scene.objects.iter().all(|object| object.values[COLOR] == object.values[SHAPE]));
    }
}

#[test]
fn the_factorial_shows_every_cell_as_often() {
    let world = grid_world();
    let scenes = factorial(&world, &Combinations::all(&world), 3, 5).unwrap();
    assert_eq!(scenes.len(), 3 * 5 * 6 * 9);
    let mut cells = BTreeMap::<_, Vec<&Object>>::new();
    for scene in &scenes {
        assert!(within_the_world(scene, &world));
        let [object] = scene.objects.as_slice() else { panic!("one object") };
        cells.entry(object.values.clone()).or_default().push(object);
    }
    assert_eq!(cells.len(), 5 * 6 * 9);
    for objects in cells.values() {
        assert_eq!(objects.len(), 3);
        assert!((objects[0].x - objects[1].x).abs() > 1e-7 && (objects[1].size - objects[2].size).abs() > 1e-7);
    }
}

#[test]
fn twins_have_the_same_bag_of_concepts() {
    let world = grid_world();
    let all = Combinations::all(&world);
    for pair in swap_twins(&world, COLOR, &all, &all, 300, 8).unwrap() {
        let bag = |scene: &Scene| {
            let mut bag = scene.concepts(&world);
            bag.sort();
            bag
        };
        assert_eq!(bag(&pair.scene), bag(&pair.twin));
        assert_ne!(pair.scene, pair.twin);
        for (one, other) in pair.scene.objects.iter().zip(&pair.twin.objects) {
            assert_ne!(one.values[COLOR], other.values[COLOR]);
            let rest = |object: &Object| (object.combination(&[SHAPE, POSITION]), object.x, object.y, object.size);
            assert_eq!(rest(one), rest(other));
        }
        assert!(different(&pair.scene, |o| o.values[SHAPE]) && different(&pair.scene, |o| o.values[POSITION]));
    }
}

#[test]
fn twins_keep_to_the_combinations_of_each_side() {
    let world = with_colors(grid_world(), 12);
    let seen = Combinations::holding_out(&world, 20, 4).unwrap();
    let (held_out, all) = (seen.complement(), Combinations::all(&world));
    let within = |scene: &Scene, pairs: &Combinations| {
        scene.objects.iter().all(|o| pairs.contains(&o.combination(&[SHAPE, COLOR])))
    };
    for (scenes, twins) in [(&seen, &seen), (&held_out, &all)] {
        for pair in swap_twins(&world, COLOR, scenes, twins, 200, 1).unwrap() {
            assert!(within(&pair.scene, scenes) && within(&pair.twin, twins));
        }
    }
    let circles = Combinations::filter(&world, |values| values[SHAPE] == 0);
    assert!(swap_twins(&world, COLOR, &circles, &all, 1, 0).unwrap_err().to_string().contains("combinations"));
}

#[test]
fn held_out_combinations_leave_every_value_in_use() {
    let world = World::study();
    for (held_out, seed) in [(0, 0), (5, 1), (10, 2), (20, 3)] {
        let seen = Combinations::holding_out(&world, held_out, seed).unwrap();
        let rest = seen.complement();
        assert_eq!((seen.as_slice().len(), rest.as_slice().len()), (30 - held_out, held_out));
        assert!(rest.as_slice().iter().all(|values| !seen.contains(values)));
        assert!((0..5).all(|shape| seen.as_slice().iter().any(|pair| pair[SHAPE] == shape)));
        assert!((0..6).all(|color| seen.as_slice().iter().any(|pair| pair[COLOR] == color)));
        let per_shape = [0, 1, 2, 3, 4].map(|shape| rest.as_slice().iter().filter(|pair| pair[SHAPE] == shape).count());
        assert!(per_shape.iter().max().unwrap() - per_shape.iter().min().unwrap() <= 1);
    }
    assert_ne!(Combinations::holding_out(&world, 5, 1).unwrap(), Combinations::holding_out(&world, 5, 2).unwrap());
    for seed in 0..50 {
        assert!(Combinations::holding_out(&world, 25, seed).unwrap_err().to_string().contains("got 25"));
    }
}

#[test]
fn training_scenes_repeat_values_but_not_places() {
    let world = grid_world();
    let pairs = Combinations::holding_out(&world, 5, 0).unwrap();
    let mut rng = random::stream(1, "training", 0);
    let scenes: Vec<_> = (0..2000).map(|i| random_scene(&world, &pairs, 1 + i % 9, &mut rng).unwrap()).collect();
    assert!(
        scenes
            .iter()
            .all(|scene| different(scene, |object| object.values[POSITION]) && within_the_world(scene, &world))
    );
    assert!(scenes.iter().any(|scene| !different(scene, |object| object.combination(&[SHAPE, COLOR]))));
    let drawn: BTreeSet<_> = scenes.iter().flat_map(|s| &s.objects).map(|o| o.combination(&[SHAPE, COLOR])).collect();
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), pairs.as_slice());
    assert!(random_scene(&world, &pairs, 10, &mut rng).is_err());
    assert!(random_scene(&world, &Combinations::filter(&world, |_| false), 1, &mut rng).is_err());
}

/// The grid with two textures, which objects of a scene may share, and three sizes, which they may not.
pub fn wide_world() -> World {
    let mut world = grid_world();
    let textures = [("solid", Look::Texture(Texture::Solid)), ("hatched", Look::Texture(Texture::Hatched))];
    let sizes = [("small", 0.6), ("medium", 0.8), ("large", 1.0)].map(|(name, scale)| (name, Look::Scale(scale)));
    world.factors.push(WorldFactor { repeats: true, ..WorldFactor::new("texture", Said::Adjective, textures) });
    world.factors.push(WorldFactor::new("size", Said::No, sizes));
    world
}

#[test]
fn a_world_has_any_number_of_factors() {
    let world = wide_world();
    world.check().unwrap();
    let all = Combinations::all(&world);
    assert_eq!((all.factors(), all.as_slice().len()), (&[0, 1, 3][..], 5 * 6 * 2));
    let scenes = toy(&world, &all, 1..=3, 300, 4).unwrap();
    let mut shared = 0;
    for (i, scene) in scenes.iter().enumerate() {
        scene.check(&world).unwrap();
        assert_eq!(scene.objects.len(), 1 + i % 3);
        for factor in [SHAPE, COLOR, POSITION, 4] {
            assert!(different(scene, |object| object.values[factor]), "factor {factor} of {scene:?}");
        }
        shared += usize::from(!different(scene, |object| object.values[3]));
        for object in &scene.objects {
            let scale = [0.6, 0.8, 1.0][object.values[4] as usize];
            assert!((0.15 * scale - 1e-8..=0.25 * scale + 1e-8).contains(&object.size), "{object:?}");
        }
    }
    assert!(shared > 100, "two objects may have one texture: {shared} scenes");
    assert!(toy(&world, &all, 1..=4, 1, 0).unwrap_err().to_string().contains("expected 1 to 3"), "three sizes");
    let used: BTreeSet<_> = scenes.iter().flat_map(|s| &s.objects).map(|o| o.combination(all.factors())).collect();
    assert_eq!(used.len(), 60, "every combination comes");
    let seen = Combinations::holding_out(&world, 12, 3).unwrap();
    assert_eq!(seen.complement().as_slice().len(), 12);
    for factor in [SHAPE, COLOR, 3] {
        for pair in swap_twins(&world, factor, &all, &all, 40, 5).unwrap() {
            assert_eq!(pair.twin, pair.scene.swapped(factor, 0, 1));
            assert_ne!(pair.twin, pair.scene);
        }
    }
    assert!(swap_twins(&world, POSITION, &all, &all, 1, 0).unwrap_err().to_string().contains("captions say"));
}

proptest! {
    #[test]
    fn no_value_comes_twice_in_a_toy(seed: u64, held_out in 0_usize..12, most in 1_usize..=4) {
        let world = grid_world();
        let pairs = Combinations::holding_out(&world, held_out, seed).unwrap();
        for scene in toy(&world, &pairs, 1..=most, 12, seed).unwrap() {
            prop_assert!(different(&scene, |object| object.values[SHAPE]));
            prop_assert!(different(&scene, |object| object.values[COLOR]));
            prop_assert!(different(&scene, |object| object.values[POSITION]));
            prop_assert!(scene.objects.iter().all(|object| pairs.contains(&object.combination(&[SHAPE, COLOR]))));
            prop_assert!(within_the_world(&scene, &world));
        }
    }

    #[test]
    fn a_scene_depends_on_its_seed_and_number_alone(seed: u64) {
        let world = grid_world();
        let all = Combinations::all(&world);
        let few = toy(&world, &all, 1..=5, 7, seed).unwrap();
        prop_assert_eq!(&few[..], &toy(&world, &all, 1..=5, 20, seed).unwrap()[..7]);
        prop_assert_ne!(&few, &toy(&world, &all, 1..=5, 7, seed ^ 1).unwrap());
        let twins = swap_twins(&world, COLOR, &all, &all, 3, seed).unwrap();
        prop_assert_eq!(&twins[..], &swap_twins(&world, COLOR, &all, &all, 9, seed).unwrap()[..3]);
    }
}

#[test]
fn a_whole_grid_of_single_objects_is_the_factorial_one() {
    for world in [World::toy(), World::study(), World::named_or_read("hard").unwrap()] {
        let all = Combinations::all(&world);
        let grid = factorial(&world, &all, 1, 4).unwrap().len();
        let twice = factorial(&world, &all, 2, 4).unwrap();
        let more = independent(&world.repeating(), 1, 2 * grid + 7, 4).unwrap();
        assert_eq!(more[..2 * grid], twice[..]);
        // What doesn't fill a grid is drawn.
        assert!(more[2 * grid..].iter().all(|scene| scene.objects.len() == 1));
        // Of one that is seen in part all values come.
        let part = independent(&world.repeating(), 1, grid - 1, 4).unwrap();
        assert!(part.iter().all(|scene| twice.contains(scene)));
        for (f, factor) in world.factors.iter().enumerate() {
            let values: BTreeSet<u32> = part.iter().map(|scene| scene.objects[0].values[f]).collect();
            assert_eq!(values.len(), factor.values.len(), "{}", factor.name);
        }
    }
}
