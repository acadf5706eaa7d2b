//! Readers that do not see objects sit at chance on the twins of every world that comes with the program, or it is said that they do not.

use super::free::free_world;
use rand::RngExt;
use snellen::random;
use snellen::scene::caption::{Wording, caption};
use snellen::scene::foils::{Foil, foil_twins, pair_twins};
use snellen::scene::generate::{SwapTwin, swap_twins};
use snellen::scene::relation::{Relation, related, relation_twins};
use snellen::scene::{Background, Canvas, Combinations, Look, Object, Scene, WORLDS, World, render};
use std::collections::BTreeMap;

/// Twins that readers learn from, and twins that they are asked about.
const LEARNT: usize = 400;
const ASKED: usize = 500;

/// Five deviations of a share of [`ASKED`] coins.
const CHANCE: std::ops::Range<f64> = 0.388..0.612;

/// How many pixels' worth of either paint a picture shows, as far as that follows from how often each colour comes. On white that is what
/// explains the mean pixel best (edges and textures count in parts), before anything else the pixels that have a paint to the last bit.
fn amounts(scene: &Scene, world: &World, paints: [[u8; 3]; 2]) -> [f64; 2] {
    let picture = render(scene, world, &Canvas::plain(48, 48));
    if world.background != Background::Plain {
        return paints.map(|paint| 1.0 + picture.pixels().filter(|pixel| pixel.0 == paint).count() as f64);
    }
    let ink = |pixel: [u8; 3]| pixel.map(|value| 255.0 - f64::from(value));
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let sum =
        picture.pixels().map(|pixel| ink(pixel.0)).fold([0.0; 3], |sum, pixel| [0, 1, 2].map(|c| sum[c] + pixel[c]));
    let [p, q] = paints.map(ink);
    let (pp, pq, qq, ps, qs) = (dot(p, p), dot(p, q), dot(q, q), dot(p, sum), dot(q, sum));
    let determinant = pp * qq - pq * pq;
    [(qq * ps - pq * qs) / determinant, (pp * qs - pq * ps) / determinant].map(|amount| amount.max(1.0))
}

fn paint(world: &World, factor: usize, object: &Object) -> [u8; 3] {
    let look = world.factors[factor].values[object.values[factor] as usize].look;
    if let Look::Paint(paint) = look { paint } else { panic!("{look:?}") }
}

/// How often a reader of the colour histogram chooses the right one of two captions. It has learnt, for either value of `other` and in twins
/// alike, how much more of the picture has the colour of the first object than that of the second.
fn histogram_reader(world: &World, colour: usize, other: usize, twins: &[SwapTwin]) -> f64 {
    let more = |shown: &Scene, said: &Scene| {
        let [first, second] = amounts(shown, world, [0, 1].map(|k| paint(world, colour, &said.objects[k])));
        (first / second).ln()
    };
    let key = |scene: &Scene| [0, 1].map(|k| scene.objects[k].values[other]);
    let mut learnt = BTreeMap::<[u32; 2], f64>::new();
    for scene in twins[..LEARNT].iter().flat_map(|twin| [&twin.scene, &twin.twin]) {
        *learnt.entry(key(scene)).or_default() += more(scene, scene);
        let [a, b] = key(scene);
        *learnt.entry([b, a]).or_default() -= more(scene, scene);
    }
    let right = |twin: &SwapTwin| {
        let score = more(&twin.scene, &twin.scene) - more(&twin.scene, &twin.twin);
        f64::from(u8::from(score * learnt.get(&key(&twin.scene)).copied().unwrap_or_default() > 0.0))
    };
    twins[LEARNT..].iter().map(right).sum::<f64>() / ASKED as f64
}

/// How often a reader that has learnt which words stand where in captions of scenes, and where in those of their twins, tells a caption of
/// one from a caption of the other.
fn caption_reader(pairs: &[[String; 2]]) -> f64 {
    let features = |caption: &str| -> Vec<String> {
        let words: Vec<&str> = caption.split(' ').collect();
        words
            .iter()
            .enumerate()
            .map(|(at, word)| format!("{at} {word}"))
            .chain([format!("{} words", words.len())])
            .collect()
    };
    let mut weights = BTreeMap::<String, f64>::new();
    let score = |weights: &BTreeMap<String, f64>, [a, b]: &[String; 2]| -> f64 {
        let of = |caption: &str| features(caption).iter().filter_map(|feature| weights.get(feature)).sum::<f64>();
        of(a) - of(b)
    };
    // A perceptron (Rosenblatt 1958), some times over what it learns from.
    for pair in (0..5).flat_map(|_| &pairs[..LEARNT]) {
        if score(&weights, pair) <= 0.0 {
            features(&pair[0]).into_iter().for_each(|feature| *weights.entry(feature).or_default() += 1.0);
            features(&pair[1]).into_iter().for_each(|feature| *weights.entry(feature).or_default() -= 1.0);
        }
    }
    let right = |pair: &[String; 2]| match score(&weights, pair).total_cmp(&0.0) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    pairs[LEARNT..].iter().map(right).sum::<f64>() / ASKED as f64
}

fn captions(twins: &[SwapTwin], world: &World) -> Vec<[String; 2]> {
    let mut rng = random::stream(1, "wordings", 0);
    let pair = |twin: &SwapTwin| {
        let [one, other] = Wording::of_twins(twin, &["{}", "a photo of {}"], &mut rng);
        [caption(&twin.scene, world, &one), caption(&twin.twin, world, &other)]
    };
    twins.iter().map(pair).collect()
}

fn bag(caption: &str) -> Vec<&str> {
    let mut words: Vec<&str> = caption.split(' ').collect();
    words.sort_unstable();
    words
}

#[test]
fn captions_bags_of_words_and_counts_are_at_chance_on_the_twins_of_every_world() {
    for known in WORLDS {
        let world = World::named_or_read(known.name).unwrap();
        let all = Combinations::all(&world);
        let colours = world.swapped_factor().unwrap();
        let twins = swap_twins(&world, colours, &all, &all, LEARNT + ASKED, 3).unwrap();
        let captions = captions(&twins, &world);
        assert!(captions.iter().all(|[one, other]| bag(one) == bag(other)), "{}", known.name);
        assert!(twins.iter().all(|twin| twin.scene.objects.len() == twin.twin.objects.len()));
        let accuracy = caption_reader(&captions);
        assert!(CHANCE.contains(&accuracy), "{}: {accuracy}", known.name);
        if world.free.is_some() {
            for relation in Relation::ALL {
                let twins = relation_twins(&world, relation, 0.2, &all, LEARNT + ASKED, 3).unwrap();
                let mut rng = random::stream(1, "wordings", 0);
                let captions: Vec<_> = twins
                    .iter()
                    .map(|twin| {
                        let other = rng.random();
                        [&twin.scene, &twin.twin].map(|scene| related(scene, &world, relation, other, "{}"))
                    })
                    .collect();
                assert!(captions.iter().all(|[one, other]| bag(one) == bag(other)), "{}", known.name);
                let accuracy = caption_reader(&captions);
                assert!(CHANCE.contains(&accuracy), "{}, {relation:?}: {accuracy}", known.name);
            }
        }
    }
    // The reader reads: an added object makes a caption longer, whichever way it is said.
    let world = free_world(5);
    let all = Combinations::all(&world);
    let added = foil_twins(&world, Foil::Added(2), &all, &all, LEARNT + ASKED, 3).unwrap();
    assert!(caption_reader(&captions(&added, &world)) > 0.95);
}

#[test]
fn a_colour_histogram_is_at_chance_where_areas_are_equal_and_binds_where_they_are_not() {
    for known in WORLDS {
        let world = World::named_or_read(known.name).unwrap();
        let all = Combinations::all(&world);
        let colours = world.swapped_factor().unwrap();
        let scaled = |f: &usize| matches!(world.factors[*f].values[0].look, Look::Scale(_));
        for other in world.said().into_iter().filter(|f| *f != colours) {
            let twins = pair_twins(&world, [colours, other], &all, &all, LEARNT + ASKED, 3).unwrap();
            let accuracy = histogram_reader(&world, colours, other, &twins);
            let what = format!("{}, colour and {}: {accuracy}", known.name, world.factors[other].name);
            // A size is how much there is of a colour: who counts pixels sees sizes.
            if world.equal_areas && !scaled(&other) {
                assert!(CHANCE.contains(&accuracy), "{what}");
            } else {
                assert!(accuracy > 0.75, "{what}");
            }
        }
    }
}

#[test]
fn mirror_images_have_one_histogram() {
    let world = World::named_or_read("hard").unwrap();
    let all = Combinations::all(&world);
    for relation in Relation::ALL {
        for SwapTwin { scene, twin } in relation_twins(&world, relation, 0.2, &all, 100, 3).unwrap() {
            let paints = [0, 1].map(|k| paint(&world, 1, &scene.objects[k]));
            let [one, other] = [&scene, &twin].map(|scene| amounts(scene, &world, paints));
            // But for what rounding makes of edges.
            assert!(one.iter().zip(other).all(|(a, b)| (a / b - 1.0).abs() < 0.1), "{one:?} {other:?}");
        }
    }
}
