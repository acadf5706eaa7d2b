use super::{COLOR, SHAPE, alone, grid_world, object as of};
use proptest::prelude::*;
use snellen::scene::generate::{factorial, toy};
use snellen::scene::mask::{Mask, Region, index_mask, masks};
use snellen::scene::{Canvas, Combinations, Look, Object, Outline, Said, Scene, Texture, World, WorldFactor, render};

const SQUARE: u32 = 1;

fn object(shape: u32, x: f64, y: f64, size: f64) -> Object {
    of([shape, 0, 0], x, y, size)
}

/// The masks of a scene of the study's world.
fn drawn(scene: &Scene, canvas: &Canvas) -> Vec<Mask> {
    masks(scene, &World::study(), canvas)
}

fn area(mask: &Mask) -> f64 {
    mask.shares.iter().sum()
}

/// Area of each shape in a box of side 1.
fn unit_area(outline: Outline) -> f64 {
    let on_circle = |corners: f64| corners / 8.0 * (std::f64::consts::TAU / corners).sin();
    match outline {
        Outline::Circle => std::f64::consts::PI / 4.0,
        Outline::Square => 1.0,
        Outline::Triangle => 0.5,
        Outline::Pentagon => on_circle(5.0),
        Outline::Hexagon => on_circle(6.0),
    }
}

#[test]
fn areas_are_those_of_the_shapes() {
    for (shape, outline) in (0..).zip(Outline::ALL) {
        for (width, height, size) in [(48, 48, 0.21), (224, 224, 0.2), (31, 90, 0.77)] {
            let covered = area(&drawn(&alone(shape, size), &Canvas::plain(width, height))[0]);
            let expected = unit_area(outline) * size * size * f64::from(width * height);
            assert!((covered / expected - 1.0).abs() < 2e-3, "{outline:?} {width} x {height}: {covered}, {expected}");
            if outline != Outline::Circle {
                assert!((covered - expected).abs() < 1e-6, "{outline:?} {width} x {height}: {covered}, {expected}");
            }
        }
    }
}

#[test]
fn a_square_between_pixels_covers_them_in_parts() {
    // From 1.25 to 3.75 in both axes of an 8 x 8 picture.
    let scene = Scene::from(vec![object(1, 2.5 / 8.0, 2.5 / 8.0, 2.5 / 8.0)]);
    let mask = drawn(&scene, &Canvas::plain(8, 8)).remove(0);
    let sides = [0.0, 0.75, 1.0, 0.75, 0.0, 0.0, 0.0, 0.0];
    for (i, share) in mask.shares.iter().enumerate() {
        assert!((share - sides[i / 8] * sides[i % 8]).abs() < 1e-12, "pixel {i}: {share}");
    }
    let image = render(&scene, &World::study(), &Canvas::plain(8, 8));
    assert_eq!(image.get_pixel(0, 0).0, [255, 255, 255]);
    assert_eq!(image.get_pixel(1, 2).0, [255, 64, 64]);
    assert_eq!(image.get_pixel(2, 2).0, [255, 0, 0]);
}

#[test]
fn shapes_point_where_they_should() {
    let canvas = Canvas::plain(101, 101);
    let row_width =
        |shape, y: usize| drawn(&alone(shape, 0.8), &canvas)[0].shares[y * 101..][..101].iter().sum::<f64>();
    let column =
        |shape, x: usize| (0..101).map(|y| drawn(&alone(shape, 0.8), &canvas)[0].shares[y * 101 + x]).sum::<f64>();
    assert!(row_width(2, 12) < 3.0 && row_width(2, 89) > 75.0);
    assert!(row_width(3, 89) < 5.0 && row_width(3, 20) > 45.0);
    assert!(row_width(4, 50) > 79.0 && (column(4, 50) - 0.8 * 101.0 * 0.75_f64.sqrt()).abs() < 1.0);
    assert_eq!((row_width(3, 92), row_width(4, 12)), (0.0, 0.0));
}

#[test]
fn squares_of_the_study_lie_on_whole_pixels() {
    // Solid and touched pixels, as the study's images have them (geometry.csv).
    let solid = [("M", 93..=139, 92..=138), ("TL", 35..=80, 35..=80), ("BR", 151..=197, 150..=195)];
    let world = World::study();
    let black = Combinations::filter(&world, |values| values[SHAPE] == SQUARE && values[COLOR] == 5);
    let scenes = factorial(&world, &black, 1, 0).unwrap();
    for (position, columns, rows) in solid {
        let scene = scenes.iter().find(|s| s.objects[0].name(&world, 2) == position).unwrap();
        for (x, y, pixel) in render(scene, &world, &Canvas::study()).enumerate_pixels() {
            let inside = columns.contains(&x) && rows.contains(&y);
            assert_eq!(pixel.0 == [0; 3], inside, "{position}: pixel {x}, {y} is {:?}", pixel.0);
        }
    }
}

#[test]
fn later_objects_hide_earlier_ones() {
    let objects = vec![object(1, 0.5, 0.5, 0.5), of([SQUARE, 2, 0], 0.75, 0.5, 0.5)];
    let scene = Scene::from(objects);
    let canvas = Canvas::plain(16, 16);
    let [below, above] = drawn(&scene, &canvas).try_into().unwrap();
    assert!((area(&below) - 32.0).abs() < 1e-9 && (area(&above) - 64.0).abs() < 1e-9);
    let image = render(&scene, &World::study(), &canvas);
    assert_eq!((image.get_pixel(5, 8).0, image.get_pixel(9, 8).0), ([255, 0, 0], [0, 0, 255]));
    let index = index_mask(&scene, &World::study(), &canvas);
    assert_eq!((index.get_pixel(5, 8).0, index.get_pixel(9, 8).0, index.get_pixel(0, 0).0), ([1], [2], [0]));
    let counted = |k| area(&Mask::from_index_mask(&index, k)).round() as u32;
    assert_eq!((counted(0), counted(1), counted(2), counted(255)), (32, 64, 0, 0));
}

#[test]
fn what_leaves_the_picture_is_cut() {
    for (x, y) in [(0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0)] {
        for canvas in [Canvas::plain(20, 20), Canvas { outline: 1.0, ..Canvas::plain(20, 20) }] {
            let whole = area(&drawn(&Scene::from(vec![object(1, 0.5, 0.5, 0.5)]), &canvas)[0]);
            let half = area(&drawn(&Scene::from(vec![object(1, x, y, 0.5)]), &canvas)[0]);
            assert!((half - whole / 2.0).abs() < 1e-9, "{x}, {y}: {half} of {whole}");
        }
    }
    let corner = Scene::from(vec![object(0, 0.0, 0.0, 1.0)]);
    let quarter = drawn(&corner, &Canvas::plain(20, 20)).remove(0);
    assert!((area(&quarter) - std::f64::consts::PI * 25.0).abs() < 0.2, "{}", area(&quarter));
    assert!(quarter.shares[0] > 0.999 && quarter.shares[9] < 0.999 && quarter.shares[10] == 0.0);
}

#[test]
fn patches_take_their_part_of_border_pixels() {
    let scene = Scene::from(vec![object(1, 0.25, 0.25, 0.5)]);
    let canvas = Canvas::plain(10, 10);
    let mask = drawn(&scene, &canvas).remove(0);
    let grid = mask.patches(mask.whole(), 4, 4);
    for (i, share) in grid.iter().enumerate() {
        let expected = f64::from(u8::from(i % 4 < 2 && i / 4 < 2));
        assert!((share - expected).abs() < 1e-9, "patch {i}: {share}");
    }
    let thirds = mask.patches(mask.whole(), 3, 1);
    assert!((thirds[0] - 0.5).abs() < 1e-9 && (thirds[1] - 0.25).abs() < 1e-9 && thirds[2] == 0.0);
    let beyond = mask.patches(Region { x: -5.0, y: 0.0, width: 10.0, height: 5.0 }, 2, 1);
    assert!(beyond[0] == 0.0 && (beyond[1] - 1.0).abs() < 1e-9);
}

#[test]
fn textures_paint_half_of_what_is_covered_and_masks_do_not_know_it() {
    let mut world = World::study();
    let textures = [Texture::Solid, Texture::Hatched, Texture::Checkered];
    let textures = textures.map(|texture| (format!("{texture:?}"), Look::Texture(texture)));
    world.factors.push(WorldFactor::new("texture", Said::No, textures));
    let canvas = Canvas::plain(200, 200);
    let scene = |texture| {
        let mut scene = alone(SQUARE, 0.5);
        scene.objects[0].values.push(texture);
        scene
    };
    let ink = |texture| {
        let image = render(&scene(texture), &world, &canvas);
        image.pixels().map(|pixel| f64::from(255 - pixel.0[1]) / 255.0).sum::<f64>()
    };
    assert!((ink(0) - 10_000.0).abs() < 1.0 && (ink(1) / 5_000.0 - 1.0).abs() < 0.02, "{} {}", ink(0), ink(1));
    assert!((ink(2) / 5_000.0 - 1.0).abs() < 0.02, "{}", ink(2));
    assert_ne!(render(&scene(1), &world, &canvas), render(&scene(2), &world, &canvas));
    assert_eq!(masks(&scene(0), &world, &canvas), masks(&scene(1), &world, &canvas));
    assert_eq!(masks(&scene(0), &world, &canvas), masks(&scene(2), &world, &canvas));
}

proptest! {
    #[test]
    fn masks_cover_what_is_drawn_and_nothing_else(seed: u64, width in 8_u32..80, height in 8_u32..80, outline in 0.0..1.0) {
        let world = grid_world();
        let canvas = Canvas { outline, ..Canvas::plain(width, height) };
        for scene in toy(&world, &Combinations::all(&world), 1..=5, 5, seed).unwrap() {
            let masks = masks(&scene, &world, &canvas);
            let index = index_mask(&scene, &world, &canvas);
            let image = render(&scene, &world, &canvas);
            for (i, pixel) in image.pixels().enumerate() {
                let shares: Vec<f64> = masks.iter().map(|mask| mask.shares[i]).collect();
                let background = 1.0 - shares.iter().sum::<f64>();
                prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)) && background > -1e-9);
                let most = shares.iter().copied().fold(background, f64::max);
                let chosen = index.as_raw()[i].checked_sub(1).map_or(background, |k| shares[k as usize]);
                prop_assert!((chosen - most).abs() < 1e-9, "pixel {}: {:?}", i, shares);
                for (channel, &value) in pixel.0.iter().enumerate() {
                    let paints = scene.objects.iter().map(|object| f64::from(world.figure(object).paint[channel]));
                    let mixed = 255.0 * background + paints.zip(&shares).map(|(paint, share)| paint * share).sum::<f64>();
                    prop_assert!((mixed - f64::from(value)).abs() <= 0.5 * masks.len() as f64 + 1e-6);
                }
            }
        }
    }

    #[test]
    fn patches_of_any_grid_add_up_to_the_area(seed: u64, columns in 1_usize..20, rows in 1_usize..20) {
        let world = grid_world();
        let scene = toy(&world, &Combinations::all(&world), 1..=1, 1, seed).unwrap().remove(0);
        let canvas = Canvas::plain(50, 37);
        let mask = masks(&scene, &world, &canvas).remove(0);
        let grid = mask.patches(mask.whole(), columns, rows);
        let patch = 50.0 * 37.0 / (columns * rows) as f64;
        prop_assert!((grid.iter().sum::<f64>() * patch - area(&mask)).abs() < 1e-6);
    }
}
