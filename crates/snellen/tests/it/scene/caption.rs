use super::{COLOR, SHAPE, object};
use snellen::random;
use snellen::scene::caption::{Phrase, TEMPLATES, Wording, caption, say};
use snellen::scene::paraphrase::{Form, Paraphrase};
use snellen::scene::{Scene, World};
use std::collections::BTreeSet;

fn scene() -> Scene {
    let object = |shape, color| object([shape, color, 0], 0.5, 0.5, 0.2);
    Scene::from(vec![object(0, 0), object(1, 2), object(4, 4)])
}

fn phrase(adjectives: &[&'static str], noun: Option<&'static str>) -> String {
    Phrase { adjectives: adjectives.to_vec(), noun }.to_string()
}

#[test]
fn phrases_say_what_is_known() {
    assert_eq!(phrase(&["red"], Some("circle")), "a red circle");
    assert_eq!(phrase(&["orange"], Some("circle")), "an orange circle");
    assert_eq!(phrase(&["Ultramarine"], None), "an Ultramarine object");
    assert_eq!(phrase(&["uniform grey"], None), "a uniform grey object");
    assert_eq!(phrase(&[], Some("hexagon")), "a hexagon");
    assert_eq!(phrase(&["small", "orange"], Some("hexagon")), "a small orange hexagon");
    assert_eq!(phrase(&["red"], None), "a red object");
    assert_eq!(phrase(&[], None), "an object");
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
fn captions_of_swapped_and_replaced_scenes_differ_where_they_should() {
    let world = World::study();
    let wording = Wording { order: vec![0, 1], template: TEMPLATES[0] };
    let said = |scene: Scene| caption(&scene, &world, &wording);
    assert_eq!(said(scene().swapped(COLOR, 0, 1)), "a blue circle and a red square");
    assert_eq!(said(scene().swapped(SHAPE, 0, 1)), "a red square and a blue circle");
    assert_eq!(said(scene().replaced(COLOR, 1, 5)), "a red circle and a black square");
    assert_eq!(said(scene().replaced(SHAPE, 1, 2)), "a red circle and a blue triangle");
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

#[test]
fn the_same_is_said_in_other_words() {
    let square = Phrase { adjectives: vec!["large", "orange"], noun: Some("square") };
    let nothing = Phrase::default();
    let said = |form: Form, phrase: &Phrase| form.of(phrase);
    assert_eq!(said(Form::Indefinite, &square), "a large orange square");
    assert_eq!(said(Form::Bare, &square), "large orange square");
    assert_eq!(said(Form::Definite, &square), "the large orange square");
    assert_eq!(said(Form::Clause, &square), "a square that is large and orange");
    assert_eq!(
        (said(Form::Clause, &nothing), said(Form::Bare, &nothing)),
        ("an object".to_owned(), "object".to_owned())
    );
    let all = Paraphrase::of_templates(&TEMPLATES);
    let ids: Vec<String> = all.iter().map(Paraphrase::id).collect();
    assert_eq!(ids, ["plain", "a_photo_of", "a_picture_of", "there_is", "that_is", "bare", "the"]);
    let two = [square.clone(), square];
    assert_eq!(all[1].say(&two), "a photo of a large orange square and a large orange square");
    assert_eq!(all[4].say(&two), "a square that is large and orange and a square that is large and orange");
    // None comes twice, whatever a model's own templates are.
    assert_eq!(Paraphrase::of_templates(&["there is {}"]).len(), 4);
}
