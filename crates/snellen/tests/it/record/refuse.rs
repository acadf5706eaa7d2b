//! What is refused, and that nothing is left of it.

use super::{assert_says, checkpoint, config, load, run, scenes};
use image::{GrayImage, Luma, RgbImage};
use safetensors::SafeTensors;
use snellen::Error;
use snellen::engine::Tensor;
use snellen::model::Model;
use snellen::model::checkpoint::{Weights, write};
use snellen::record::{FolderSource, TokenPolicy, read_pixels, record};
use snellen::scene::MAX_SIDE;
use std::fs;
use std::path::Path;

/// The folder `runs` below `home` holds nothing.
fn assert_nothing_left(home: &Path) {
    let runs = home.join("runs");
    assert!(!runs.exists() || fs::read_dir(&runs).unwrap().count() == 0);
}

#[test]
fn an_output_that_exists_is_not_touched() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 1);
    let out = home.path().join("out");
    fs::create_dir(&out).unwrap();
    let result = run(&source, &config(&["image_embeds"], &[TokenPolicy::Cls], 1), &out);
    assert!(matches!(result, Err(Error::Exists { .. })));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn masks_are_needed_and_have_to_fit() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 3);
    let out = home.path().join("runs/run");
    let attempt = |source: &FolderSource, policy| run(source, &config(&["*.hook_mlp_out"], &[policy], 2), &out);
    let without = FolderSource { masks: None, ..source.clone() };
    assert_says(attempt(&without, TokenPolicy::Object), &["`object`", "masks"]);
    assert_says(attempt(&without, TokenPolicy::Background), &["`background`", "masks"]);
    let mask = home.path().join("scenes/masks/000001.png");
    GrayImage::new(50, 40).save(&mask).unwrap();
    assert_says(attempt(&source, TokenPolicy::Object), &["`images/000001.png`", "`object`"]);
    GrayImage::from_pixel(50, 40, Luma([2])).save(&mask).unwrap();
    assert_says(attempt(&source, TokenPolicy::Background), &["`images/000001.png`", "`background`"]);
    GrayImage::new(50, 41).save(&mask).unwrap();
    assert_says(attempt(&source, TokenPolicy::Object), &["000001.png", "50 x 40", "50 x 41"]);
    RgbImage::new(50, 40).save(&mask).unwrap();
    assert_says(attempt(&source, TokenPolicy::Object), &["000001.png", "8-bit grey"]);
    fs::remove_file(&mask).unwrap();
    assert_says(attempt(&source, TokenPolicy::Object), &["000001.png"]);
    assert_nothing_left(home.path());
    assert!(attempt(&source, TokenPolicy::Mean).is_ok(), "masks that no policy asks for are not read");
}

#[test]
fn images_that_do_not_decode_are_named() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 5);
    let attempt = || run(&source, &config(&["image_embeds"], &[TokenPolicy::Cls], 5), &home.path().join("runs/run"));
    let damaged = source.path(3);
    let whole = fs::read(&damaged).unwrap();
    // A later one is damaged as well: the first is named.
    fs::write(source.path(4), "").unwrap();
    for bytes in [&whole[..whole.len() / 2], b"", b"GIF89a"] {
        fs::write(&damaged, bytes).unwrap();
        assert_says(attempt(), &["000003.png"]);
        assert_nothing_left(home.path());
    }
    for (width, height) in [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1)] {
        RgbImage::new(width, height).save(&damaged).unwrap();
        assert_says(attempt(), &["000003.png", "1 to 16384 pixels a side", &format!("got {width} x {height}")]);
    }
    fs::remove_file(&damaged).unwrap();
    assert_says(attempt(), &["000003.png"]);
    assert_nothing_left(home.path());
}

#[test]
fn folders_without_images_are_refused() {
    let home = tempfile::tempdir().unwrap();
    assert_says(FolderSource::open(&home.path().join("nowhere")), &["nowhere"]);
    fs::write(home.path().join("notes.txt"), "").unwrap();
    assert_says(FolderSource::open(home.path()), &["png, jpg, jpeg", "none"]);
    fs::write(home.path().join("labels.csv"), "filename,shape_0\n").unwrap();
    assert_says(FolderSource::open(home.path()), &["labels.csv", "none"]);
}

#[test]
fn a_batch_of_nothing_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 1);
    let out = home.path().join("runs/run");
    assert_says(run(&source, &config(&["image_embeds"], &[TokenPolicy::Cls], 0), &out), &["batch", "0"]);
    assert_nothing_left(home.path());
}

#[test]
fn activations_that_overflow_are_named() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 3);
    let poisoned = home.path().join("poisoned");
    fs::create_dir(&poisoned).unwrap();
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(checkpoint("quick_gelu").join(file), poisoned.join(file)).unwrap();
    }
    let bytes = fs::read(checkpoint("quick_gelu").join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut weights: Weights = (file.tensors().into_iter())
        .filter(|(name, _)| !name.ends_with("position_ids"))
        .map(|(name, view)| {
            let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            (name, Tensor::new(view.shape(), data))
        })
        .collect();
    // Unit 2 of the second block's MLP is the sum of two weights that are finite each.
    let width = weights["vision_model.encoder.layers.1.mlp.fc1.weight"].dim(1);
    let fc1 = weights.get_mut("vision_model.encoder.layers.1.mlp.fc1.weight").unwrap().data_mut();
    fc1[2 * width..3 * width].fill(f32::MAX);
    write(&poisoned.join("model.safetensors"), &weights, ("format", "pt")).unwrap();
    let model = Model::load(&poisoned).unwrap();
    let out = home.path().join("runs/run");
    let attempt = |site: &str| record(&model, &source, &config(&[site], &[TokenPolicy::Cls], 2), &out, &());
    assert_says(
        attempt("blocks.1.mlp.hook_pre"),
        &["`blocks.1.mlp.hook_pre`", "`images/000000.png`", "unit 2 of token ", "finite"],
    );
    assert_nothing_left(home.path());
    assert!(attempt("blocks.0.mlp.hook_pre").is_ok(), "sites before it are not affected");
}

#[test]
fn alpha_is_dropped_and_endings_do_not_matter() {
    let home = tempfile::tempdir().unwrap();
    let preprocessing = load("quick_gelu").preprocessing;
    let opaque = home.path().join("opaque.png");
    let clear = home.path().join("clear.png");
    let picture = RgbImage::from_fn(30, 30, |x, y| image::Rgb([x as u8 * 8, y as u8 * 8, 77]));
    picture.save(&opaque).unwrap();
    let rgba = image::RgbaImage::from_fn(30, 30, |x, y| {
        let [r, g, b] = picture.get_pixel(x, y).0;
        image::Rgba([r, g, b, (x * y % 256) as u8])
    });
    rgba.save(&clear).unwrap();
    let png_called_jpg = home.path().join("wrong.jpg");
    fs::copy(&opaque, &png_called_jpg).unwrap();
    let pixels = read_pixels(&[opaque, clear, png_called_jpg], &preprocessing).unwrap();
    let images: Vec<&[f32]> = pixels.values.data().chunks(pixels.values.data().len() / 3).collect();
    assert_eq!(images[0], preprocessing.apply(&(&picture).into()).unwrap());
    assert_eq!(images[0], images[1]);
    assert_eq!(images[0], images[2]);
}
