//! Which part of a picture the result shows; names; what is recorded.

use super::{open_clip, parse, parse_open_clip};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use snellen::model::Preprocessing;
use snellen::model::preprocess::{Colour, Filter, Resize};

/// One of each kind, all of 28 pixels.
fn all() -> Vec<(&'static str, Preprocessing)> {
    let processor = |class: &str, more: Value| {
        let mut json = json!({"image_processor_type": class, "size": {"shortest_edge": 28}});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parse(&json).unwrap()
    };
    let crop = json!({"crop_size": 28});
    let tiles = json!({"size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 28}});
    let resize_mode = |mode: &str| parse_open_clip(&open_clip(&json!(28), &json!({"resize_mode": mode}))).unwrap();
    vec![
        ("clip", processor("CLIPImageProcessor", crop.clone())),
        ("clip, unscaled", processor("CLIPImageProcessor", json!({"crop_size": 28, "do_resize": false}))),
        ("dino", processor("BitImageProcessor", json!({"size": {"shortest_edge": 32}, "crop_size": 28}))),
        ("siglip", processor("SiglipImageProcessor", json!({"size": {"height": 28, "width": 28}}))),
        ("llava", processor("LlavaImageProcessor", json!({"crop_size": 28, "do_pad": true}))),
        ("llava next", processor("LlavaNextImageProcessor", crop)),
        ("idefics", processor("Idefics3ImageProcessor", tiles)),
        ("shortest", resize_mode("shortest")),
        ("longest", resize_mode("longest")),
        ("squash", resize_mode("squash")),
        ("study", Preprocessing::named("study", 28).unwrap()),
    ]
}

#[test]
fn pictures_of_any_shape_become_the_patches_of_the_library() {
    let file = super::folder().parent().unwrap().join("patch_grids.json");
    let sizes: Vec<[usize; 6]> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(sizes.len() > 400);
    for [patch, most, height, width, rows, columns] in sizes {
        let json =
            json!({"image_processor_type": "Siglip2ImageProcessorFast", "patch_size": patch, "max_num_patches": most});
        let preprocessing = parse(&json).unwrap();
        assert_eq!(preprocessing.grid([height, width]), Some([rows, columns]), "{height} x {width}, {most} of {patch}");
        let region = preprocessing.region(width, height);
        assert_eq!([region.x, region.y, region.width, region.height], [0.0, 0.0, width as f64, height as f64]);
    }
    for (name, preprocessing) in all() {
        assert_eq!(preprocessing.grid([30, 40]), None, "{name}");
    }
    let refused = |key: &str, value: Value| {
        let error =
            parse(&json!({"image_processor_type": "Siglip2ImageProcessor", key: value})).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    };
    refused("do_resize", json!(false));
    refused("max_num_patches", json!(0));
    refused("max_num_patches", json!(1_u64 << 40));
    refused("patch_size", json!("large"));
    let huge = json!({"image_processor_type": "Siglip2ImageProcessor", "patch_size": 16384, "max_num_patches": 16384});
    assert!(parse(&huge).unwrap_err().to_string().contains("max_num_patches"));
}

/// A dark block on white comes out where `region` says that it is.
#[test]
fn the_region_is_where_the_result_shows_the_picture() {
    for (name, preprocessing) in all() {
        for (width, height) in [(61u32, 40u32), (40, 97), (28, 28), (33, 21), (29, 28), (200, 90)] {
            let block = [width / 2 - 4, height / 2 - 3, width / 2 + 6, height / 2 + 5];
            let inside = |x, y| (block[0]..block[2]).contains(&x) && (block[1]..block[3]).contains(&y);
            let picture = RgbImage::from_fn(width, height, |x, y| Rgb([if inside(x, y) { 0 } else { 255 }; 3]));
            let pixels = preprocessing.apply(&picture.into()).unwrap();
            let region = preprocessing.region(width as usize, height as usize);
            let side = preprocessing.image;
            let (mean, std) = (preprocessing.mean[0], preprocessing.std[0]);
            // The centre of darkness around the middle of the result, where no padding is.
            let mut sums = [0.0; 3];
            let scale = [region.width / side as f64, region.height / side as f64];
            for y in 0..side {
                for x in 0..side {
                    let at = [region.x + (x as f64 + 0.5) * scale[0], region.y + (y as f64 + 0.5) * scale[1]];
                    let near = |i: usize| {
                        (at[i] - f64::from([width, height][i]) / 2.0).abs() < f64::from([width, height][i]) / 2.5
                    };
                    let dark = 1.0 - (f64::from(pixels[y * side + x]) * std + mean) / (preprocessing.rescale * 255.0);
                    if near(0) && near(1) && dark > 0.3 {
                        sums = [sums[0] + dark * at[0], sums[1] + dark * at[1], sums[2] + dark];
                    }
                }
            }
            let centre = [sums[0] / sums[2], sums[1] / sums[2]];
            let want = [f64::from(block[0] + block[2]) / 2.0, f64::from(block[1] + block[3]) / 2.0];
            let close = (0..2).all(|i| (centre[i] - want[i]).abs() < 0.35 * scale[i].max(1.0));
            assert!(close, "{name}, {width} x {height}: {centre:?} for {want:?}");
        }
    }
}

#[test]
fn a_record_of_it_reads_back() {
    for (name, preprocessing) in all() {
        let json = serde_json::to_string(&preprocessing).unwrap();
        assert_eq!(serde_json::from_str::<Preprocessing>(&json).unwrap(), preprocessing, "{name}");
        assert_eq!(preprocessing.source, if name == "study" { "study" } else { "model" });
    }
}

#[test]
fn the_study_is_known_by_name() {
    let study = Preprocessing::named("study", 336).unwrap();
    assert_eq!((study.filter, study.resize.as_slice()), (Filter::Bilinear, [Resize::Squash([336; 2])].as_slice()));
    let white = RgbImage::from_pixel(50, 20, Rgb([255; 3]));
    assert!(study.apply(&white.into()).unwrap().iter().all(|value| *value == 1.0));
    assert!(Preprocessing::named("other", 336).unwrap_err().to_string().contains("`study`"));
}

#[test]
fn older_files_mean_what_their_class_does() {
    // As openai/clip-vit-base-patch32, google/siglip-base-patch16-224 and facebook/dinov2-base have them.
    let published = |json: &str| parse(&serde_json::from_str(json).unwrap()).unwrap();
    let clip = published(
        r#"{"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true, "resample": 3,
            "size": 224, "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}"#,
    );
    assert_eq!(clip, parse(&json!({"image_processor_type": "CLIPImageProcessorFast"})).unwrap());
    assert_eq!((clip.resize, clip.image, clip.colour), (vec![Resize::ShortestEdge(224)], 224, Colour::Keyed));
    let siglip = published(
        r#"{"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
            "resample": 3, "image_processor_type": "SiglipImageProcessor", "image_std": [0.5, 0.5, 0.5],
            "processor_class": "SiglipProcessor", "rescale_factor": 0.00392156862745098,
            "size": {"height": 224, "width": 224}}"#,
    );
    assert_eq!((siglip.crop, siglip.resize), (None, vec![Resize::Squash([224; 2])]));
    let dino = published(
        r#"{"crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "do_convert_rgb": true,
            "do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.485, 0.456, 0.406],
            "image_processor_type": "BitImageProcessor", "image_std": [0.229, 0.224, 0.225], "resample": 3,
            "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 256}}"#,
    );
    assert_eq!((dino.image, dino.resize), (224, vec![Resize::ShortestEdge(256)]));
    let nested = json!({"image_processor_type": "ViTImageProcessor"});
    let nested = json!({"processor_class": "CLIPProcessor", "image_processor": nested});
    let vit = parse(&nested).unwrap();
    assert_eq!((vit.filter, vit.colour), (Filter::Bilinear, Colour::Dropped));
}

#[test]
fn processors_are_made_of_each_others_steps() {
    let class = |name: &str, more: Value| {
        let mut json = json!({"image_processor_type": name, "resample": 3, "image_mean": [0.4, 0.5, 0.999]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parse(&json).unwrap()
    };
    let shortest = json!({"size": {"shortest_edge": 30}, "crop_size": 28});
    let (clip, llava) = (class("CLIPImageProcessor", shortest.clone()), class("LlavaImageProcessor", shortest.clone()));
    let mut padding = shortest;
    padding["do_pad"] = json!(true);
    let padding = class("LlavaImageProcessor", padding);
    let square = json!({"size": {"height": 28, "width": 28}});
    let siglip = class("SiglipImageProcessor", square.clone());
    let siglip = Preprocessing { std: clip.std, ..siglip };
    let next = class("LlavaNextImageProcessor", json!({"size": {"shortest_edge": 28}, "crop_size": 28}));
    let vit = Preprocessing { std: clip.std, ..class("ViTImageProcessor", square) };
    let tiles = json!({"size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 28}});
    let (idefics, smol) = (class("Idefics3ImageProcessor", tiles.clone()), class("SmolVLMImageProcessor", tiles));
    for (width, height) in [(50u32, 31u32), (20, 45), (33, 33)] {
        let picture = RgbImage::from_fn(width, height, |x, y| Rgb([(x * 5) as u8, (y * 7) as u8, (x * y) as u8]));
        let apply = |preprocessing: &Preprocessing| preprocessing.apply(&(&picture).into()).unwrap();
        assert_eq!(apply(&llava), apply(&clip));
        assert_eq!(apply(&next), apply(&siglip));
        assert_eq!(apply(&vit), apply(&siglip));
        assert_eq!(apply(&smol), apply(&idefics));
        // The mean in whole 255ths, rounded down, on both sides; the smaller half before.
        let side = width.max(height);
        let mut canvas = RgbImage::from_pixel(side, side, Rgb([102, 127, 254]));
        let (left, top) = ((side - width) / 2, (side - height) / 2);
        image::imageops::replace(&mut canvas, &picture, left.into(), top.into());
        assert_eq!(apply(&padding), clip.apply(&canvas.into()).unwrap());
    }
}
