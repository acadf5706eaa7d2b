use super::{COLOR, POSITION, SHAPE, grid_world};
use snellen::scene::caption::{Wording, caption};
use snellen::scene::generate::{self, most_objects};
use snellen::scene::{Combinations, Look, Said, Scene, Texture, WORLDS, World, WorldFactor, WorldValue};

fn refusal(change: impl FnOnce(&mut World)) -> String {
    let mut world = grid_world();
    change(&mut world);
    world.check().unwrap_err().to_string()
}

#[test]
fn the_study_and_the_grid_are_accepted() {
    World::study().check().unwrap();
    grid_world().check().unwrap();
}

#[test]
fn factors_come_in_the_order_of_the_world() {
    let factors = World::study().factors();
    let names: Vec<_> = factors.iter().map(|factor| factor.name.as_str()).collect();
    assert_eq!(names, ["shape", "color", "position"]);
    assert_eq!(factors[1].values, ["red", "green", "blue", "yellow", "pink", "black"]);
    assert_eq!(factors[2].values, ["M", "TL", "TR", "BL", "BR"]);
}

#[test]
fn each_wrong_field_is_named() {
    let value = |name: &str, look| WorldValue { name: name.into(), look };
    let again = |w: &mut World, f: usize| {
        let first = w.factors[f].values[0].clone();
        w.factors[f].values.push(first);
    };
    let cases: [(String, &str); 21] = [
        (refusal(|w| w.factors.clear()), "world: factors: expected 1 to 16, got 0"),
        (refusal(|w| w.factors[SHAPE].values.clear()), "world: shape: expected at least one, got none"),
        (refusal(|w| w.factors[COLOR].values.clear()), "world: color"),
        (refusal(|w| w.factors[POSITION].values.clear()), "world: position"),
        (refusal(|w| again(w, SHAPE)), "world: shape[5]: expected a name of its own, got `circle` again"),
        (refusal(|w| w.factors[COLOR].values[1].name.clear()), "world: color[1]"),
        (refusal(|w| w.factors[COLOR].values[1].name = "a\nb".into()), "world: color[1]"),
        (refusal(|w| w.factors[COLOR].values.push(value("white", Look::Paint([255; 3])))), "world: color[6].paint"),
        (refusal(|w| w.factors[COLOR].values.push(value("crimson", Look::Paint([255, 0, 0])))), "which is `red` too"),
        (
            refusal(|w| w.factors[COLOR].values.push(value("big", Look::Scale(2.0)))),
            "world: color[6].scale: expected paint",
        ),
        (refusal(|w| w.factors[COLOR].name = "shape".into()), "world: factors[1]: expected a name of its own"),
        (refusal(|w| w.factors[COLOR].said = Said::Noun), "expected at most one that is said as noun"),
        (refusal(|w| w.factors.truncate(2)), "world: factors: expected one of places"),
        (refusal(|w| w.factors.iter_mut().for_each(|factor| factor.said = Said::No)), "noun or adjective, got none"),
        (refusal(|w| w.factors.push(WorldFactor::new("ink", Said::No, [("a", Look::Paint([1, 2, 3]))]))), "`ink`"),
        (refusal(|w| w.factors.push(WorldFactor::new("scale", Said::No, [("huge", Look::Scale(3.0))]))), "place `p0`"),
        (refusal(|w| w.size = [0.3, 0.2]), "world: size"),
        (refusal(|w| w.size = [f64::NAN, 0.2]), "world: size"),
        (refusal(|w| w.jitter = -0.1), "world: jitter"),
        (refusal(|w| w.factors[POSITION].values[4].look = Look::Place([0.9, 0.5])), "world: place `p4`, x"),
        (refusal(|w| w.factors[POSITION].values[4] = value("near", Look::Place([0.4, 0.2]))), "`near`"),
    ];
    for (message, part) in cases {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
}

#[test]
fn more_combinations_than_can_be_listed_are_refused() {
    let colors = (0..1000).map(|k| (format!("c{k}"), Look::Paint([(k % 256) as u8, (k / 256) as u8, 9])));
    let sizes = (1..=1000).map(|k| (format!("s{k}"), Look::Scale(f64::from(k) / 1000.0)));
    let refused = refusal(|w| {
        w.factors[COLOR] = WorldFactor::new("color", Said::Adjective, colors);
        w.factors.push(WorldFactor::new("size", Said::Adjective, sizes));
    });
    assert!(refused.contains("at most 1048576 combinations of what captions say, got 5000000"), "{refused}");
}

#[test]
fn a_world_is_a_file() {
    let mut world = grid_world();
    let textures = [("solid", Look::Texture(Texture::Solid)), ("hatched", Look::Texture(Texture::Hatched))];
    world.factors.push(WorldFactor { repeats: true, ..WorldFactor::new("texture", Said::Adjective, textures) });
    let text = toml::to_string(&world).unwrap();
    assert!(text.contains("texture = \"hatched\"") && text.contains("paint = [255, 0, 0]"), "{text}");
    assert_eq!(toml::from_str::<World>(&text).unwrap(), world);
    let refused = |from: &str, to: &str| toml::from_str::<World>(&text.replace(from, to)).unwrap_err().to_string();
    assert!(refused("paint = [255, 0, 0]", "").contains("value `red`: expected one of outline, paint"));
    assert!(
        refused("paint = [255, 0, 0]", "paint = [255, 0, 0]\nscale = 2.0")
            .contains("expected one look, got paint and scale")
    );
    assert!(refused("paint = [255, 0, 0]", "pain = [255, 0, 0]").contains("unknown field `pain`"));
    assert!(refused("jitter", "jitters").contains("jitters"));
}

#[test]
fn worlds_that_come_with_the_program_are_what_they_are_called() {
    let named = |name: &str| World::named_or_read(name).unwrap();
    assert_eq!((named("study"), named("toy"), named("hard")), (World::study(), World::toy(), World::hard()));
    let json = |world: &World| serde_json::to_string(world).unwrap();
    assert_eq!(json(&named("toy")), json(&World::toy()));
    for known in WORLDS {
        let world = named(known.name);
        assert_eq!(world.name(), Some(known.name));
        assert_eq!(World { size: [0.1, 0.11], ..world.clone() }.name(), None);
        assert_eq!(toml::from_str::<World>(&toml::to_string(&world).unwrap()).unwrap(), world);
        assert!(most_objects(&world) >= 5, "{}", known.name);
    }
    let hard = named("hard");
    assert_eq!((hard.size, hard.places(), hard.room()), ([0.14, 0.24], None, 5));
    assert_eq!(hard.factors[..], World::study().factors[..2]);
    let said = |scene: &Scene, world: &World| caption(scene, world, &Wording::plain(1));
    let rich = named("rich");
    let scenes = generate::factorial(&rich, &Combinations::all(&rich), 1, 0).unwrap();
    assert_eq!((scenes.len(), said(&scenes[0], &rich)), (120, "a small striped red circle".to_owned()));
    assert_eq!(said(&scenes[119], &rich), "a large checkered black hexagon");
}

#[test]
fn objects_of_the_largest_size_may_touch_but_not_overlap() {
    let touching = World { size: [0.25, 0.25], jitter: 0.0, ..World::study() };
    touching.check().unwrap();
    assert!(World { jitter: 0.001, ..touching }.check().is_err());
}

#[test]
fn a_scene_of_another_world_is_refused() {
    let world = World::study();
    let scene = generate::factorial(&world, &Combinations::all(&world), 1, 0).unwrap().remove(0);
    scene.check(&world).unwrap();
    let refused = |change: fn(&mut Scene)| {
        let mut scene = scene.clone();
        change(&mut scene);
        scene.check(&world).unwrap_err().to_string()
    };
    assert!(refused(|s| s.objects[0].values[COLOR] = 6).contains("objects[0].color: expected an index below 6, got 6"));
    assert!(refused(|s| s.objects[0].values[POSITION] = 5).contains("objects[0].position"));
    assert!(refused(|s| s.objects[0].x = f64::NAN).contains("objects[0].x"));
    assert!(refused(|s| s.objects[0].size = 0.0).contains("objects[0].size"));
    assert!(refused(|s| s.objects.clear()).contains("scene: objects"));
    let mut other = world.clone();
    other.factors[SHAPE].values.clear();
    assert!(scene.check(&other).unwrap_err().to_string().contains("objects[0].shape: expected an index below 0"));
    other.factors.remove(SHAPE);
    assert!(
        scene.check(&other).unwrap_err().to_string().contains("objects[0].values: expected 2, one per factor, got 3")
    );
}
