//! Files that are refused: each says where and why, and none brings the program down.

use super::{assert_refused, decode, folder, open_clip, parse, parse_open_clip};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn what_could_change_the_result_and_is_not_known_is_named() {
    let clip = |key: &str, value: Value| {
        let mut json = json!({"image_processor_type": "CLIPImageProcessor"});
        json[key] = value;
        parse(&json)
    };
    assert!(clip("processor_class", json!("CLIPProcessor")).is_ok());
    // A class takes no notice of what it does not know; of no class nothing can be said.
    assert_eq!(clip("use_fast", json!(true)).unwrap(), clip("do_shear", json!(true)).unwrap());
    assert_refused(parse(&json!({"do_shear": true})), &["`do_shear`", "preprocessor_config.json"]);
    assert_refused(
        clip("image_processor_type", json!("Qwen2VLImageProcessor")),
        &["`image_processor_type`", "Qwen2VL"],
    );
    assert_refused(clip("image_processor_type", json!(3)), &["`image_processor_type`", "a text"]);
    for size in [json!(1u64 << 40), json!(-224), json!(0), json!(224.5), json!("224"), json!([224]), json!({})] {
        assert_refused(clip("size", size.clone()), &["`size`"]);
        assert_refused(clip("crop_size", size), &["`crop_size`"]);
    }
    assert_refused(clip("size", json!({"longest_edge": 224})), &["`size`"]);
    assert_refused(clip("size", json!({"shortest_edge": 224, "longest_edge": 448})), &["`size`"]);
    assert_refused(clip("size", json!({"shortest_edge": 1u64 << 40})), &["`size`"]);
    assert_refused(clip("crop_size", json!({"height": 224, "width": 200})), &["square", "224 x 200"]);
    assert_refused(clip("do_center_crop", json!(false)), &["square", "any size"]);
    assert_refused(clip("do_resize", json!("yes")), &["`do_resize`"]);
    for resample in [json!(6), json!(-1), json!("bicubic"), json!(2.5)] {
        assert_refused(clip("resample", resample), &["`resample`"]);
    }
    for std in [
        json!([0.0, 1.0, 1.0]),
        json!([1, 1]),
        json!([1, -1, 1]),
        json!([1e-60, 1, 1]),
        json!(["NaN", 1, 1]),
        json!([1e300, 1, 1]),
    ] {
        assert_refused(clip("image_std", std), &["`image_std`"]);
    }
    assert_refused(clip("image_mean", json!([1e300, 0, 0])), &["`image_mean`"]);
    for factor in [json!(0), json!(-1.0), json!(1e300), json!("1/255")] {
        assert_refused(clip("rescale_factor", factor), &["`rescale_factor`"]);
    }
    assert_refused(parse(&json!([1])), &["an object"]);
}

/// As transformers 5.23 has it (`AutoImageProcessor`, each key of a whole file set to null): steps are left out, and what a step needs is
/// not its class's default.
#[test]
fn what_is_null_is_left_out_and_not_the_default() {
    let with = |key: &str| {
        let mut json = json!({"image_processor_type": "CLIPImageProcessor", "size": 32, "crop_size": 32});
        json[key] = Value::Null;
        parse(&json)
    };
    assert_eq!(with("do_rescale").unwrap().rescale, 1.0);
    assert!(!with("do_normalize").unwrap().normalise);
    assert_eq!((with("do_resize").unwrap().resize.len(), with("do_resize").unwrap().crop.is_some()), (0, true));
    assert_refused(with("do_center_crop"), &["square", "any size"]);
    for key in ["size", "resample", "crop_size", "rescale_factor", "image_mean", "image_std"] {
        assert_refused(with(key), &[&format!("`{key}`"), "a value, or no such key, got null"]);
    }
    let siglip = json!({"image_processor_type": "SiglipImageProcessor", "do_center_crop": null, "crop_size": null});
    assert!(parse(&siglip).unwrap().crop.is_none());
}

#[test]
fn without_a_class_every_key_is_needed() {
    let full = json!({
        "do_resize": true, "size": {"shortest_edge": 28}, "resample": 3, "do_center_crop": true, "crop_size": 28,
        "do_rescale": true, "rescale_factor": 0.5, "do_normalize": true, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]
    });
    assert!(parse(&full).is_ok());
    for key in full.as_object().unwrap().keys() {
        let mut less = full.clone();
        less.as_object_mut().unwrap().remove(key);
        assert_refused(parse(&less), &[&format!("`{key}`"), "no such key"]);
    }
    let mut number = full.clone();
    number["size"] = json!(28);
    assert_refused(parse(&number), &["`default_to_square`"]);
}

#[test]
fn processors_of_several_pictures_take_their_own_sizes() {
    let idefics = |size: Value, tile: Value| {
        parse(&json!({"image_processor_type": "SmolVLMImageProcessor", "size": size, "max_image_size": tile}))
    };
    assert!(idefics(json!({"longest_edge": 2048}), json!({"longest_edge": 512})).is_ok());
    assert_refused(idefics(json!({"shortest_edge": 2048}), json!({"longest_edge": 512})), &["`size`"]);
    assert_refused(idefics(json!({"longest_edge": 2048}), json!({"height": 512, "width": 512})), &["`max_image_size`"]);
    let llava = json!({"image_processor_type": "LlavaImageProcessor", "do_pad": true, "image_mean": [2, 0, 0]});
    assert_refused(parse(&llava), &["`image_mean`", "`do_pad`"]);
    let pad_size = json!({"height": 300, "width": 300});
    let padded = json!({"image_processor_type": "CLIPImageProcessor", "do_pad": true, "pad_size": pad_size});
    assert_refused(parse(&padded), &["`pad_size`"]);
}

#[test]
fn open_clip_is_held_to_its_own_keys() {
    let with = |config: Value| parse_open_clip(&open_clip(&json!(28), &config));
    assert!(with(json!({})).is_ok() && with(Value::Null).is_ok());
    assert_refused(with(json!({"resize": "longest"})), &["`preprocess_cfg`", "`resize`"]);
    assert_refused(with(json!({"resize_mode": "stretch"})), &["`resize_mode`", "shortest"]);
    assert_refused(with(json!({"interpolation": "nearest"})), &["`interpolation`"]);
    assert_refused(with(json!({"mode": "L"})), &["`mode`"]);
    assert_refused(with(json!({"fill_color": 256})), &["`fill_color`"]);
    assert_refused(with(json!({"std": [1, 0, 1]})), &["`std`"]);
    assert_refused(parse_open_clip(&json!({"preprocess_cfg": {}})), &["`vision_cfg`"]);
    for size in [json!(0), json!(1u64 << 40), json!(-1), json!([28, 30])] {
        assert_refused(parse_open_clip(&open_clip(&size, &json!({}))), &["`image_size`"]);
    }
    assert_eq!(parse_open_clip(&json!({"model_cfg": {"vision_cfg": {}}})).unwrap().image, 224);
}

#[test]
fn pictures_that_cannot_be_prepared_say_so() {
    // 1 x 16000 pixels, of which the shorter side becomes 16000.
    let large = parse(&json!({"image_processor_type": "CLIPImageProcessor", "size": 16000, "crop_size": 16})).unwrap();
    assert_refused(large.apply(&image::RgbImage::new(1, 16000).into()), &["pixels after resizing"]);
    let thin = parse_open_clip(&open_clip(&json!(16), &json!({"resize_mode": "longest"}))).unwrap();
    assert_refused(thin.apply(&image::RgbImage::new(1, 100).into()), &["16 x 0"]);
}

#[test]
fn files_that_end_early_are_refused() {
    for file in
        ["odd_420.jpg", "odd_420_progressive.jpg", "restart.jpg", "cmyk.jpg", "rgb8.png", "rgba16_interlaced.png"]
    {
        let whole = std::fs::read(folder().join(file)).unwrap();
        assert!(decode(&whole).is_ok(), "{file}");
        for length in (0..whole.len()).step_by(7).chain([whole.len() - 2, whole.len() - 1]) {
            // Pillow needs neither the end of a PNG file nor the sum over its pixels, only the pixels.
            let result = decode(&whole[..length]);
            assert!(result.is_err() || (file.ends_with("png") && length + 24 >= whole.len()), "{file}, {length} bytes");
        }
    }
    let whole = std::fs::read(folder().join("odd_444.jpg")).unwrap();
    assert_refused(decode(&whole[..whole.len() / 2]), &["some.picture", "ends"]);
    assert_refused(decode(b"GIF89a"), &["some.picture"]);
    for file in ["lossy90.webp", "lossless.webp", "animated.webp", "plain.gif", "p8.bmp", "rgb8.tif", "ycc_jpeg.tif"] {
        let whole = std::fs::read(folder().join(file)).unwrap();
        assert!(decode(&whole).is_ok(), "{file}");
        for length in (0..whole.len() * 3 / 4).step_by(5) {
            let result = decode(&whole[..length]).map(|picture| (file, picture.height, picture.width));
            assert_refused(result, &["some.picture"]);
        }
    }
}

#[test]
fn what_is_there_is_named() {
    let ftyp = |brand: &[u8]| [b"\0\0\0\x20ftyp", brand, b"\0\0\0\0"].concat();
    for (bytes, name) in [
        (ftyp(b"avif"), "AVIF"),
        (ftyp(b"heic"), "HEIC"),
        (ftyp(b"mif1"), "HEIC"),
        (ftyp(b"isom"), "film"),
        (b"\xff\x0a\0\0".to_vec(), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n".to_vec(), "JPEG 2000"),
        (b"\x1f\x8b\x08\0".to_vec(), "gzip"),
        (b"PK\x03\x04".to_vec(), "zip"),
        (b"PAR1".to_vec(), "Parquet"),
        (b"P6\n4 4".to_vec(), "Netpbm"),
        (b"8BPS\0\x01".to_vec(), "Photoshop"),
        (b"version https://git-lfs.github.com/spec/v1".to_vec(), "Git LFS"),
        (b"<!DOCTYPE html>".to_vec(), "HTML"),
        (b"hello".to_vec(), "68 65 6c 6c 6f"),
        (Vec::new(), "empty"),
    ] {
        assert_refused(decode(&bytes), &["some.picture", "JPEG, PNG, WebP, GIF, BMP or TIFF", name]);
    }
}

#[test]
fn huge_pictures_are_refused_before_they_are_made() {
    let mut jpeg = std::fs::read(folder().join("odd_420_progressive.jpg")).unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc2]).unwrap();
    for (side, words) in [([0x50, 0x00], "16384 pixels a side"), ([0x40, 0x00], "bytes")] {
        jpeg[frame + 5..frame + 7].copy_from_slice(&side);
        jpeg[frame + 7..frame + 9].copy_from_slice(&side);
        assert_refused(decode(&jpeg), &[words]);
    }
    let mut png = std::fs::read(folder().join("rgba16.png")).unwrap();
    png[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    assert!(decode(&png).is_err());
    // Canvases of 65,535 a side in a few bytes.
    let mut gif = std::fs::read(folder().join("plain.gif")).unwrap();
    gif[6..10].fill(0xff);
    assert_refused(decode(&gif), &["16384 pixels a side"]);
    let mut webp = std::fs::read(folder().join("animated.webp")).unwrap();
    webp[24..30].copy_from_slice(&[0xff, 0x3f, 0, 0xff, 0x3f, 0]);
    assert_refused(decode(&webp), &["bytes"]);
    let mut bmp = std::fs::read(folder().join("p8.bmp")).unwrap();
    bmp[18..26].copy_from_slice(&[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0]);
    assert!(decode(&bmp).is_err());
    let mut tiff = std::fs::read(folder().join("rgb8.tif")).unwrap();
    let at = tiff.len() - tiff[8..].windows(4).rev().position(|tag| tag == [0, 1, 4, 0]).unwrap() - 4;
    for tag in [at, at + 12] {
        tiff[tag + 8..tag + 12].copy_from_slice(&[0xff, 0xff, 0, 0]);
    }
    assert_refused(decode(&tiff), &["some.picture"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_decoded_or_refused(
        file in prop::sample::select(vec![
            "odd_420.jpg", "odd_420_progressive.jpg", "restart.jpg", "ycck.jpg", "odd_mixed.jpg", "grey.jpg",
            "p8_alpha.png", "l1_interlaced.png", "rgb16_trns.png", "l8_xmp5_packed.png", "l8_profile6.png",
            "lossy_alpha.webp", "lossless.webp", "animated_part.webp", "part_clear.gif", "interlaced.gif", "p8_rle.bmp",
            "rgb16.bmp", "l1.bmp", "rgb8_tiles.tif", "rgb8_planes.tif", "l1_group4.tif", "ycc_jpeg.tif", "p4.tif",
            "rgb8_predicted.tif", "exif7.tif",
        ]),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = std::fs::read(folder().join(file)).unwrap();
        for (place, value) in places {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(picture) = decode(&bytes) {
            let picture = picture.upright();
            prop_assert_eq!(picture.rgb_keyed().len(), picture.width * picture.height * 3);
        }
    }
}
