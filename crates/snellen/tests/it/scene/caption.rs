use snellen::random;
use snellen::scene::caption::{
    Phrase, Replacement, TEMPLATES, Wording, caption, replaced_caption, say, swapped_caption,
};
use snellen::scene::{Object, Scene, Shape, World};
use std::collections::BTreeSet;

fn scene() -> Scene {
    let object = |shape, color| Object { shape, color, position: 0, x: 0.5, y: 0.5, size: 0.2 };
    Scene { objects: vec![object(Shape::Circle, 0), object(Shape::Square, 2), object(Shape::Hexagon, 4)] }
}

fn phrase(color: Option<&'static str>, shape: Option<Shape>) -> String {
    Phrase { color, shape }.to_string()
}

#[test]
fn phrases_say_what_is_known() {
    assert_eq!(phrase(Some("red"), Some(Shape::Circle)), "a red circle");
    assert_eq!(phrase(Some("orange"), Some(Shape::Circle)), "an orange circle");
    assert_eq!(phrase(Some("Ultramarine"), None), "an Ultramarine object");
    assert_eq!(phrase(Some("uniform grey"), None), "a uniform grey object");
    assert_eq!(phrase(None, Some(Shape::Hexagon)), "a hexagon");
    assert_eq!(phrase(Some("red"), None), "a red object");
    assert_eq!(phrase(None, None), "an object");
}

#[test]
fn captions_join_objects_in_order() {
    let world = World::study();
    let plain = Wording::plain(3);
    assert_eq!(caption(&scene(), &world, &plain), "a red circle, a blue square and a pink hexagon");
    let two = Wording { order: vec![1, 0], template: "a photo of {}" };
    assert_eq!(caption(&scene(), &world, &two), "a photo of a blue square and a red circle");
    assert_eq!(say(&[], "a photo of {}"), "a photo of nothing");
}

#[test]
fn swapped_and_replaced_captions_differ_where_they_should() {
    let world = World::study();
    let wording = Wording { order: vec![0, 1], template: TEMPLATES[0] };
    assert_eq!(swapped_caption(&scene(), &world, [0, 1], &wording), "a blue circle and a red square");
    let replaced = |by| replaced_caption(&scene(), &world, 1, by, &wording);
    assert_eq!(replaced(Replacement::Color(5)), "a red circle and a black square");
    assert_eq!(replaced(Replacement::Shape(Shape::Triangle)), "a red circle and a blue triangle");
}

#[test]
fn wordings_are_drawn_from_every_order_and_template() {
    let mut rng = random::stream(0, "wording", 0);
    let drawn: Vec<_> = (0..400).map(|_| Wording::draw(3, &TEMPLATES, &mut rng)).collect();
    assert_eq!(drawn.iter().map(|w| &w.order).collect::<BTreeSet<_>>().len(), 6);
    assert_eq!(drawn.iter().map(|w| w.template).collect::<BTreeSet<_>>(), TEMPLATES.into_iter().collect());
    assert_eq!(Wording::draw(1, &[], &mut rng), Wording::plain(1));
    assert!(TEMPLATES.iter().all(|template| template.matches("{}").count() == 1));
}
