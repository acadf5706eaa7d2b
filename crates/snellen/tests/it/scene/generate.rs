use super::{grid_world, with_colors};
use proptest::prelude::*;
use snellen::random;
use snellen::scene::generate::{factorial, random as random_scene, swap_twins, toy};
use snellen::scene::{Object, Pairs, Scene, Shape, World};
use std::collections::{BTreeMap, BTreeSet};

fn different<T: Ord>(scene: &Scene, value: impl Fn(&Object) -> T) -> bool {
    scene.objects.iter().map(value).collect::<BTreeSet<_>>().len() == scene.objects.len()
}

fn within_the_world(scene: &Scene, world: &World) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= world.jitter + 1e-8;
    scene.objects.iter().all(|object| {
        let home = &world.positions[object.position];
        let size = world.size[0] - 1e-8..=world.size[1] + 1e-8;
        near(object.x, home.x) && near(object.y, home.y) && size.contains(&object.size)
    })
}

#[test]
fn toys_cycle_through_the_numbers_of_objects() {
    let world = World::study();
    let scenes = toy(&world, &Pairs::all(&world), 1..=5, 500, 3).unwrap();
    for (i, scene) in scenes.iter().enumerate() {
        assert_eq!(scene.objects.len(), 1 + i % 5);
        scene.check(&world).unwrap();
    }
}

#[test]
fn toys_show_every_combination_equally_often() {
    let world = World::study();
    let mut seen = BTreeMap::<_, f64>::new();
    for scene in toy(&world, &Pairs::all(&world), 3..=3, 6000, 9).unwrap() {
        for (k, object) in scene.objects.iter().enumerate() {
            *seen.entry((k, object.shape, object.color)).or_default() += 1.0;
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
    let refusal = |objects| toy(&world, &Pairs::all(&world), objects, 1, 0).unwrap_err().to_string();
    assert!(refusal(1..=6).contains("expected 1 to 5"));
    assert!(refusal(0..=2).contains("toy scenes: objects"));
    let red = Pairs::filter(&world, |_, color| color == 0);
    let refusal = toy(&world, &red, 2..=2, 1, 0).unwrap_err().to_string();
    assert!(refusal.contains("2 in which no shape and no colour comes twice, got 1"), "{refusal}");
}

#[test]
fn toys_are_found_where_there_is_only_one_choice() {
    let world = World { shapes: Shape::ALL[..3].to_vec(), ..World::study() };
    let staircase = Pairs::filter(&world, |shape, color| color <= shape as usize);
    for scene in toy(&world, &staircase, 3..=3, 50, 6).unwrap() {
        assert!(scene.objects.iter().all(|object| object.color == object.shape as usize));
    }
}

#[test]
fn the_factorial_shows_every_cell_as_often() {
    let world = grid_world();
    let scenes = factorial(&world, &Pairs::all(&world), 3, 5).unwrap();
    assert_eq!(scenes.len(), 3 * 5 * 6 * 9);
    let mut cells = BTreeMap::<_, Vec<&Object>>::new();
    for scene in &scenes {
        assert!(within_the_world(scene, &world));
        let [object] = scene.objects.as_slice() else { panic!("one object") };
        cells.entry((object.shape, object.color, object.position)).or_default().push(object);
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
    let all = Pairs::all(&world);
    for pair in swap_twins(&world, &all, &all, 300, 8).unwrap() {
        let bag = |scene: &Scene| {
            let mut bag = scene.concepts(&world);
            bag.sort();
            bag
        };
        assert_eq!(bag(&pair.scene), bag(&pair.twin));
        assert_ne!(pair.scene, pair.twin);
        for (one, other) in pair.scene.objects.iter().zip(&pair.twin.objects) {
            assert_ne!(one.color, other.color);
            assert_eq!(Object { color: 0, ..one.clone() }, Object { color: 0, ..other.clone() });
        }
        assert!(different(&pair.scene, |object| object.shape) && different(&pair.scene, |object| object.position));
    }
}

#[test]
fn twins_keep_to_the_combinations_of_each_side() {
    let world = with_colors(grid_world(), 12);
    let seen = Pairs::holding_out(&world, 20, 4).unwrap();
    let (held_out, all) = (seen.complement(), Pairs::all(&world));
    let within = |scene: &Scene, pairs: &Pairs| scene.objects.iter().all(|o| pairs.contains(o.shape, o.color));
    for (scenes, twins) in [(&seen, &seen), (&held_out, &all)] {
        for pair in swap_twins(&world, scenes, twins, 200, 1).unwrap() {
            assert!(within(&pair.scene, scenes) && within(&pair.twin, twins));
        }
    }
    let circles = Pairs::filter(&world, |shape, _| shape == Shape::Circle);
    assert!(swap_twins(&world, &circles, &all, 1, 0).unwrap_err().to_string().contains("combinations"));
}

#[test]
fn held_out_combinations_leave_every_value_in_use() {
    let world = World::study();
    for (held_out, seed) in [(0, 0), (5, 1), (10, 2), (20, 3)] {
        let seen = Pairs::holding_out(&world, held_out, seed).unwrap();
        let rest = seen.complement();
        assert_eq!((seen.as_slice().len(), rest.as_slice().len()), (30 - held_out, held_out));
        assert!(rest.as_slice().iter().all(|&(shape, color)| !seen.contains(shape, color)));
        assert!(Shape::ALL.iter().all(|&shape| seen.as_slice().iter().any(|pair| pair.0 == shape)));
        assert!((0..6).all(|color| seen.as_slice().iter().any(|pair| pair.1 == color)));
        let per_shape = Shape::ALL.map(|shape| rest.as_slice().iter().filter(|pair| pair.0 == shape).count());
        assert!(per_shape.iter().max().unwrap() - per_shape.iter().min().unwrap() <= 1);
    }
    assert_ne!(Pairs::holding_out(&world, 5, 1).unwrap(), Pairs::holding_out(&world, 5, 2).unwrap());
    for seed in 0..50 {
        assert!(Pairs::holding_out(&world, 25, seed).unwrap_err().to_string().contains("got 25"));
    }
}

#[test]
fn training_scenes_repeat_values_but_not_places() {
    let world = grid_world();
    let pairs = Pairs::holding_out(&world, 5, 0).unwrap();
    let mut rng = random::stream(1, "training", 0);
    let scenes: Vec<_> = (0..2000).map(|i| random_scene(&world, &pairs, 1 + i % 9, &mut rng).unwrap()).collect();
    assert!(scenes.iter().all(|scene| different(scene, |object| object.position) && within_the_world(scene, &world)));
    assert!(scenes.iter().any(|scene| !different(scene, |object| (object.shape, object.color))));
    let drawn: BTreeSet<_> = scenes.iter().flat_map(|s| &s.objects).map(|o| (o.shape, o.color)).collect();
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), pairs.as_slice());
    assert!(random_scene(&world, &pairs, 10, &mut rng).is_err());
    assert!(random_scene(&world, &Pairs::filter(&world, |_, _| false), 1, &mut rng).is_err());
}

proptest! {
    #[test]
    fn no_value_comes_twice_in_a_toy(seed: u64, held_out in 0_usize..12, most in 1_usize..=4) {
        let world = grid_world();
        let pairs = Pairs::holding_out(&world, held_out, seed).unwrap();
        for scene in toy(&world, &pairs, 1..=most, 12, seed).unwrap() {
            prop_assert!(different(&scene, |object| object.shape));
            prop_assert!(different(&scene, |object| object.color));
            prop_assert!(different(&scene, |object| object.position));
            prop_assert!(scene.objects.iter().all(|object| pairs.contains(object.shape, object.color)));
            prop_assert!(within_the_world(&scene, &world));
        }
    }

    #[test]
    fn a_scene_depends_on_its_seed_and_number_alone(seed: u64) {
        let world = grid_world();
        let all = Pairs::all(&world);
        let few = toy(&world, &all, 1..=5, 7, seed).unwrap();
        prop_assert_eq!(&few[..], &toy(&world, &all, 1..=5, 20, seed).unwrap()[..7]);
        prop_assert_ne!(&few, &toy(&world, &all, 1..=5, 7, seed ^ 1).unwrap());
        let twins = swap_twins(&world, &all, &all, 3, seed).unwrap();
        prop_assert_eq!(&twins[..], &swap_twins(&world, &all, &all, 9, seed).unwrap()[..3]);
    }
}
