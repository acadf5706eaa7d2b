//! Every committed picture, decoded and through every processor, against what the libraries made of them.

use super::{folder, open_clip, parse, parse_open_clip, picture};
use safetensors::SafeTensors;
use serde_json::{Map, Value};
use snellen::model::picture::Mode;
use snellen::model::preprocess::Agreement;
use snellen::model::{Backend, Decoded, Preprocessing};
use std::collections::BTreeMap;

/// What Python made of the pictures.
struct Expected {
    bytes: Vec<u8>,
    metadata: BTreeMap<String, Value>,
}

impl Expected {
    fn read(file: &str) -> Self {
        let bytes = std::fs::read(folder().join(file)).unwrap();
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

fn mode(picture: &Decoded) -> &'static str {
    match picture.mode {
        Mode::Bilevel => "1",
        Mode::Grey => "L",
        Mode::GreyAlpha => "LA",
        Mode::Grey16 => "I;16",
        Mode::Palette => "P",
        Mode::Rgb => "RGB",
        Mode::Rgba => "RGBA",
        Mode::Cmyk => "CMYK",
    }
}

/// The sums of the rows, then of the columns, by channel.
fn sums(rgb: &[u8], height: usize, width: usize) -> Vec<i64> {
    let mut sums = vec![0i64; 3 * (height + width)];
    for (i, value) in rgb.iter().enumerate() {
        let (row, column, channel) = (i / 3 / width, i / 3 % width, i % 3);
        sums[3 * row + channel] += i64::from(*value);
        sums[3 * (height + column) + channel] += i64::from(*value);
    }
    sums
}

#[test]
fn every_picture_is_what_pillow_makes_of_it() {
    let expected = Expected::read("decoded.safetensors");
    let tensors = expected.tensors();
    let files = expected.section("files");
    assert!(files.len() > 180);
    let mut keyed = 0;
    for (file, facts) in files {
        let got = picture(file);
        let number = |key: &str| facts[key].as_u64().unwrap() as usize;
        let size = [number("height"), number("width")];
        assert_eq!(mode(&got), facts["mode"], "{file}");
        assert_eq!([got.height, got.width], size, "{file}");
        assert_eq!(got.orientation.to_exif() as usize, number("orientation"), "{file}");
        let rgb = got.rgb();
        if let Ok(view) = tensors.tensor(&format!("rgb.{file}")) {
            let worst = rgb.iter().zip(view.data()).map(|(x, y)| x.abs_diff(*y)).max();
            assert!(rgb == view.data(), "{file}: off by up to {worst:?}");
        } else {
            let view = tensors.tensor(&format!("sums.{file}")).unwrap();
            let want: Vec<i64> =
                view.data().chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()) as i64).collect();
            assert_eq!(sums(&rgb, size[0], size[1]), want, "{file}");
        }
        let upright = got.upright();
        if let Ok(view) = tensors.tensor(&format!("keyed.{file}")) {
            assert_eq!(view.shape(), [upright.height, upright.width, 3], "{file}, by name");
            assert!(upright.rgb_keyed() == view.data(), "{file}, by name");
            keyed += 1;
        } else {
            assert!(upright.rgb_keyed() == rgb, "{file}, by name");
        }
    }
    assert!(keyed > 20, "{keyed}");
}

#[test]
fn what_pillow_refuses_is_refused() {
    let expected = Expected::read("decoded.safetensors");
    for (file, why) in expected.section("unread") {
        let got = Decoded::read(file.as_ref(), &std::fs::read(folder().join(file)).unwrap());
        assert!(got.is_err(), "{file} was decoded; Pillow: {why}");
    }
}

/// Compares every processor of `file` on every picture; the number of comparisons and of processors without a square result.
fn compare(file: &str, backend: Backend) -> [usize; 2] {
    let (expected, decoded) = (Expected::read(file), Expected::read("decoded.safetensors"));
    let tensors = expected.tensors();
    let (mut compared, mut refused) = (0, 0);
    for (name, processor) in expected.section("processors") {
        let config = &processor["config"];
        let parsed = match processor["library"].as_str().unwrap() {
            "open_clip" => parse_open_clip(&open_clip(&config["size"], config)),
            _ => parse(config),
        };
        if name.contains("oblong") || name.contains("wider") {
            // Towers see squares.
            assert!(parsed.is_err(), "{name}");
            refused += 1;
            continue;
        }
        let preprocessing = parsed.unwrap().with_backend(backend).unwrap();
        let table = tensors.tensor(&format!("table.{}", processor["table"].as_str().unwrap())).unwrap();
        let table: Vec<f32> = table.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        for key in decoded.section("files").keys() {
            let Ok(levels) = tensors.tensor(&format!("levels.{name}.{key}")) else { continue };
            let side = preprocessing.image;
            assert_eq!(levels.shape(), [3, side, side], "{name}, {key}");
            let bytes = std::fs::read(folder().join(key)).unwrap();
            let got = preprocessing.apply(&preprocessing.read(key.as_ref(), &bytes).unwrap()).unwrap();
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
    [compared, refused]
}

#[test]
fn every_processor_gives_the_values_of_its_original() {
    let [compared, refused] = compare("pil.safetensors", Backend::Pil);
    assert!(compared > 600, "{compared}");
    assert_eq!(refused, 4);
}

#[test]
fn every_processor_of_torchvision_gives_the_values_of_its_original() {
    let [compared, refused] = compare("torchvision.safetensors", Backend::Torchvision);
    assert!(compared > 350, "{compared}");
    assert_eq!(refused, 2);
}

fn clip() -> Preprocessing {
    parse(&serde_json::json!({"image_processor_type": "CLIPImageProcessor", "size": 20, "crop_size": 20})).unwrap()
}

#[test]
fn pixels_say_which_backend_made_them() {
    let (photo, small) = (picture("large.jpg"), picture("square20.png"));
    for backend in Backend::ALL {
        let made = clip().with_backend(backend).unwrap();
        for with in Backend::ALL {
            // Whichever the model itself is loaded with.
            let own = clip().with_backend(with).unwrap();
            let of_photo = own.agreements(&photo, &made.apply(&photo).unwrap()).unwrap();
            assert_eq!(Agreement::made_by(&of_photo), Some(backend), "{of_photo:?}");
            let exact = of_photo.iter().find(|agreement| agreement.backend == backend).unwrap();
            assert!(exact.same == exact.values && exact.max_steps == 0.0);
            let other = of_photo.iter().find(|agreement| agreement.backend != backend).unwrap();
            assert!(other.same < other.values && other.max_steps > 0.9);
            let of_small = own.agreements(&small, &made.apply(&small).unwrap()).unwrap();
            let both: Vec<Agreement> = of_photo.iter().zip(&of_small).map(|(x, y)| x.and(*y)).collect();
            assert_eq!(Agreement::made_by(&both), Some(backend));
        }
    }
    assert!(clip().agreements(&small, &[0.0; 7]).is_err());
    let neither = clip().agreements(&small, &vec![77.0; 1200]).unwrap();
    assert_eq!(Agreement::made_by(&neither), None);
}

#[test]
fn a_turned_picture_is_upright_unless_that_is_ignored() {
    use snellen::model::Orientation;
    let stored = picture("rgb8.png");
    let turned = |orientation| {
        let preprocessing = Preprocessing { orientation, ..clip() };
        let file = "rgb8_exif6.png";
        let read = preprocessing.read(file.as_ref(), &std::fs::read(folder().join(file)).unwrap()).unwrap();
        (preprocessing.apply(&read).unwrap(), [read.height, read.width])
    };
    let (ignored, size) = turned(Orientation::Ignore);
    assert_eq!(size, [stored.height, stored.width]);
    assert!(ignored == clip().apply(&stored).unwrap());
    let (honoured, size) = turned(Orientation::Honour);
    assert_eq!(size, [stored.width, stored.height]);
    assert!(honoured != ignored);
}

#[test]
fn what_has_no_counterpart_in_torchvision_is_refused() {
    let refuse = |preprocessing: Preprocessing, words: &str| {
        let error = preprocessing.with_backend(Backend::Torchvision).unwrap_err().to_string();
        assert!(error.contains("torchvision") && error.contains(words), "{error}");
    };
    refuse(Preprocessing::named("study", 28).unwrap(), "study");
    refuse(parse_open_clip(&open_clip(&serde_json::json!(16), &Value::Null)).unwrap(), "OpenCLIP");
    for filter in [4, 5] {
        let json = serde_json::json!({"image_processor_type": "CLIPImageProcessor", "resample": filter});
        refuse(parse(&json).unwrap(), "filter");
    }
}
