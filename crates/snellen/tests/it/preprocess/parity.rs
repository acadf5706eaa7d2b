//! Every committed picture, decoded and through every processor, against `pictures/expected.safetensors`.

use super::{folder, open_clip, parse, parse_open_clip, picture};
use safetensors::SafeTensors;
use serde_json::{Map, Value};
use snellen::model::picture::Mode;
use snellen::model::preprocess::Colour;
use std::collections::BTreeMap;

/// What Python made of the pictures.
struct Expected {
    bytes: Vec<u8>,
    metadata: BTreeMap<String, Value>,
}

impl Expected {
    fn read() -> Self {
        let bytes = std::fs::read(folder().join("expected.safetensors")).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let parse = |(key, json): (&String, &String)| (key.clone(), serde_json::from_str(json).unwrap());
        let metadata = header.metadata().as_ref().unwrap().iter().map(parse).collect();
        Self { bytes, metadata }
    }

    fn section(&self, name: &str) -> &Map<String, Value> {
        let section = self.metadata[name].as_object().unwrap();
        assert!(!section.is_empty(), "{name}");
        section
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }
}

#[test]
fn every_picture_is_what_pillow_makes_of_it() {
    let expected = Expected::read();
    let tensors = expected.tensors();
    let files = expected.section("files");
    assert!(files.len() > 50);
    for (file, facts) in files {
        let got = picture(file);
        let mode = match got.mode {
            Mode::Bilevel => "1",
            Mode::Grey => "L",
            Mode::GreyAlpha => "LA",
            Mode::Grey16 => "I;16",
            Mode::Palette => "P",
            Mode::Rgb => "RGB",
            Mode::Rgba => "RGBA",
            Mode::Cmyk => "CMYK",
        };
        assert_eq!(mode, facts["mode"], "{file}");
        let (width, height) = (got.width, got.height);
        assert_eq!(
            (width, height),
            (facts["width"].as_u64().unwrap() as usize, facts["height"].as_u64().unwrap() as usize)
        );
        let rgb = got.rgb();
        if let Ok(view) = tensors.tensor(&format!("rgb.{file}")) {
            assert_eq!(view.shape(), [height, width, 3], "{file}");
            let worst = rgb.iter().zip(view.data()).map(|(x, y)| x.abs_diff(*y)).max();
            assert!(rgb == view.data(), "{file}: off by up to {worst:?}");
        } else {
            let view = tensors.tensor(&format!("sums.{file}")).unwrap();
            let sums: Vec<i64> =
                view.data().chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()) as i64).collect();
            let mut got = vec![0i64; 3 * (height + width)];
            for (i, value) in rgb.iter().enumerate() {
                let (row, column, channel) = (i / 3 / width, i / 3 % width, i % 3);
                got[3 * row + channel] += i64::from(*value);
                got[3 * (height + column) + channel] += i64::from(*value);
            }
            assert_eq!(got, sums, "{file}");
        }
        match tensors.tensor(&format!("white.{file}")) {
            Ok(view) => assert!(got.rgb_on_white() == view.data(), "{file} on white"),
            Err(_) => assert!(facts["transparency"] == false && got.rgb_on_white() == rgb, "{file} on white"),
        }
    }
}

#[test]
fn every_processor_gives_the_values_of_its_original() {
    let expected = Expected::read();
    let tensors = expected.tensors();
    let (mut compared, mut refused) = (0, Vec::new());
    for (name, processor) in expected.section("processors") {
        let config = &processor["config"];
        let parsed = match processor["library"].as_str().unwrap() {
            "open_clip" => parse_open_clip(&open_clip(&config["size"], config)),
            _ => parse(config),
        };
        if name.contains("oblong") || name.contains("wider") {
            // Towers see squares.
            assert!(parsed.is_err(), "{name}");
            refused.push(name.clone());
            continue;
        }
        let mut preprocessing = parsed.unwrap();
        if preprocessing.colour == Colour::Dropped {
            // The originals were given Pillow pictures, not files.
            preprocessing.colour = Colour::OnWhite;
        }
        let table = tensors.tensor(&format!("table.{}", processor["table"].as_str().unwrap())).unwrap();
        let table: Vec<f32> = table.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        for key in expected.section("files").keys() {
            let Ok(levels) = tensors.tensor(&format!("levels.{name}.{key}")) else { continue };
            let side = preprocessing.image;
            assert_eq!(levels.shape(), [3, side, side], "{name}, {key}");
            let got = preprocessing.apply(&picture(key)).unwrap();
            let value = |(i, level): (usize, &u8)| table[256 * (i / (side * side)) + *level as usize];
            let want: Vec<f32> = levels.data().iter().enumerate().map(value).collect();
            let (mut off, mut worst) = (0usize, 0f32);
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                // In 255ths before rescaling: how far apart two neighbouring levels are.
                let row = &table[256 * (i / (side * side))..];
                let step = (row[255] - row[0]) / 255.0;
                off += usize::from(got != want);
                worst = worst.max((got - want).abs() / step);
            }
            // The promise to users, and what holds on the machines that this was tested on.
            assert!(worst < 1.01 && off * 1000 <= want.len(), "{name}, {key}: {off} of {} off by {worst}", want.len());
            assert_eq!(off, 0, "{name}, {key}: not exact");
            compared += 1;
        }
    }
    assert!(compared > 400, "{compared}");
    assert_eq!(refused.len(), 4, "{refused:?}");
}
