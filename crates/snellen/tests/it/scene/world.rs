use super::grid_world;
use snellen::scene::{Color, Pairs, Position, Scene, World, generate};

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
    let white = || Color { name: "white".into(), rgb: [255; 3] };
    let crimson = || Color { name: "crimson".into(), rgb: [255, 0, 0] };
    let cases: [(String, &str); 13] = [
        (refusal(|w| w.shapes.clear()), "world: shapes: expected at least one, got none"),
        (refusal(|w| w.colors.clear()), "world: colors"),
        (refusal(|w| w.positions.clear()), "world: positions"),
        (refusal(|w| w.shapes.push(w.shapes[0])), "world: shapes[5]: expected a name of its own, got `circle` again"),
        (refusal(|w| w.colors[1].name.clear()), "world: colors[1]"),
        (refusal(|w| w.colors[1].name = "a\nb".into()), "world: colors[1]"),
        (refusal(|w| w.colors.push(white())), "world: colors[6].rgb"),
        (refusal(|w| w.colors.push(crimson())), "which is `red` too"),
        (refusal(|w| w.size = [0.3, 0.2]), "world: size"),
        (refusal(|w| w.size = [f64::NAN, 0.2]), "world: size"),
        (refusal(|w| w.jitter = -0.1), "world: jitter"),
        (refusal(|w| w.positions[4].x = 0.9), "world: position `p4`, x"),
        (refusal(|w| w.positions[4] = Position { name: "near".into(), x: 0.4, y: 0.2 }), "`near`"),
    ];
    for (message, part) in cases {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
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
    let scene = generate::factorial(&world, &Pairs::all(&world), 1, 0).unwrap().remove(0);
    scene.check(&world).unwrap();
    let refused = |change: fn(&mut Scene)| {
        let mut scene = scene.clone();
        change(&mut scene);
        scene.check(&world).unwrap_err().to_string()
    };
    assert!(refused(|s| s.objects[0].color = 6).contains("objects[0].color: expected an index below 6, got 6"));
    assert!(refused(|s| s.objects[0].position = 5).contains("objects[0].position"));
    assert!(refused(|s| s.objects[0].x = f64::NAN).contains("objects[0].x"));
    assert!(refused(|s| s.objects[0].size = 0.0).contains("objects[0].size"));
    assert!(refused(|s| s.objects.clear()).contains("scene: objects"));
    let other = World { shapes: world.shapes[1..].to_vec(), ..world.clone() };
    assert!(scene.check(&other).unwrap_err().to_string().contains("objects[0].shape"));
}
