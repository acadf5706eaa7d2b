//! Edited scenes.

use crate::oracles::{Oracle, asked, blind, says};
use image::RgbImage;
use snellen::Result;
use snellen::exam::Examinee;
use snellen::measure::Matrix;
use snellen::scene::{Look, World};

/// Sees how many pixels have each colour, and nothing of where and in which shape.
struct Paint;

impl Examinee for Paint {
    fn side(&self) -> u32 {
        64
    }

    fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
        let world = World::toy();
        let row = |image: &RgbImage| -> Vec<f32> {
            let of = |look: Look| {
                let Look::Paint(paint) = look else { panic!("{look:?}") };
                image.pixels().filter(|pixel| pixel.0 == paint).count() as f32
            };
            // A constant that is far longer keeps lengths alike.
            let row: Vec<f32> = world.factors[1].values.iter().map(|value| of(value.look)).chain([1e4]).collect();
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.into_iter().map(|x| x / length).collect()
        };
        Matrix::new(images.len(), 7, images.iter().flat_map(row).collect())
    }

    fn texts(&self, texts: &[String]) -> Result<Matrix> {
        Matrix::new(texts.len(), 7, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(texts.len()))
    }
}

#[test]
fn amounts_of_paint_are_a_sum_over_objects() {
    let report = asked(&Paint, &World::toy(), "additive");
    let own = report.question("additive").unwrap();
    let number = |id: &str| own.number(id).unwrap();
    // Another colour is the same wherever it is, but for how large the object is; another shape is more or less of its own colour.
    assert!(number("share_color") > 0.75 && number("share_color_lo") > 0.6, "{}", number("share_color"));
    assert!(number("share_shape") < 0.5 && number("share_color_by_chance") < 0.3, "{}", number("share_shape"));
    assert!((number("dimensions_color") - 5.0).abs() < 1.0, "{}", number("dimensions_color"));
    assert!(own.rate("found_color").unwrap().accuracy.estimate > 0.99);
    assert!((own.rate("found_color").unwrap().chance - 0.2).abs() < 1e-12);
    assert!(number("share_added") > number("share_shape"));
    assert!(own.contrast("share_color_beyond").unwrap().lo > 0.0, "raw pixels depend on places");
    assert!(
        says(&report, "the share that is the same whatever else is there") && says(&report, "another colour ("),
        "{:?}",
        report.findings
    );
}

#[test]
fn of_one_that_sees_nothing_no_edit_is_said_to_be_anything() {
    let report = asked(&Oracle::new(blind), &World::toy(), "additive");
    let own = report.question("additive").unwrap();
    assert_eq!(own.left_out_parts.len(), 3, "{:?}", own.left_out_parts);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    // Objects of a world with free places and sizes have room for every edit.
    let rich = World::named_or_read("rich").unwrap();
    let report = asked(&Paint, &rich, "additive");
    let own = report.question("additive").unwrap();
    let asked = ["share_color", "share_shape", "share_size", "share_texture"].map(|id| own.number(id).is_some());
    assert!(own.left_out.is_none() && asked[0] && asked[2], "{own:?}");
}
