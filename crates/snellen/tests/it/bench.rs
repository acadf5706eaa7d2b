//! What is timed: shapes, weights, operations, copies and a step of training.

use snellen::bench::{Copies, Forward, NAMES, Training, named, small_clip, towers};
use snellen::engine::{Precision, Tape, Tensor};
use snellen::model::checkpoint::{Parameters, Weights};
use snellen::model::{BlockPoint, Point, Site};

#[test]
fn operations_are_those_counted_by_hand() {
    let flops = |name: &str| named(name).unwrap().vision.flops();
    // 256 patches of 588 values; 24 layers of 257 tokens: four maps, scores and mixing, two maps of the MLP; the projection.
    let patches = 308_281_344;
    let layer = 2_155_872_256 + 270_536_704 + 4_311_744_512;
    assert_eq!(flops("vit-l-14"), patches + 24 * layer + 1_572_864);
    assert!((flops("vit-l-14") as f64 / 162e9 - 1.0).abs() < 1e-3);
    // 49 patches of 3,072 values; 12 layers of 50 tokens.
    assert_eq!(flops("vit-b-32"), 231_211_008 + 12 * (235_929_600 + 7_680_000 + 471_859_200) + 786_432);
}

#[test]
fn training_costs_three_forwards_less_the_gradient_of_pixels() {
    let config = small_clip();
    let (vision, text) = (config.vision.flops(), config.text.as_ref().unwrap().flops(32));
    // 64 patches of 192 values; two layers of 65, and of 32 tokens; 256 units to 128.
    assert_eq!(vision, 6_291_456 + 2 * (34_078_720 + 4_326_400 + 68_157_440) + 65_536);
    assert_eq!(text, 2 * (16_777_216 + 1_048_576 + 33_554_432) + 65_536);
    let logits = 2 * 32 * 128 * 32;
    assert_eq!(config.training_flops(32, 32), 3 * (32 * (vision + text) + logits) - 32 * 6_291_456);
}

/// Keeps what a model asks for: weights by name.
struct Asked<'a>(&'a mut Weights);

impl Parameters<f32> for Asked<'_> {
    fn get(&mut self, name: &str, shape: &[usize]) -> snellen::Result<Tensor<f32>> {
        let zeros = Tensor::new(shape, vec![0.0; shape.iter().product()]);
        self.0.insert(name.to_owned(), zeros.clone());
        Ok(zeros)
    }
}

#[test]
fn shapes_have_as_many_weights_as_the_models_that_they_are_named_after() {
    let count = |name: &str| {
        let mut weights = Weights::new();
        snellen::model::Towers::new(&named(name).unwrap(), &mut Asked(&mut weights)).unwrap();
        weights.values().map(|weight| weight.data().len()).sum::<usize>()
    };
    // What transformers says of CLIPVisionModelWithProjection of these sizes.
    assert_eq!([count("vit-b-32"), count("vit-b-16")], [87_849_216, 86_192_640]);
    assert!(NAMES.iter().all(|name| named(name).is_some()) && named("vit-h-14").is_none());
}

#[test]
fn weights_and_runs_repeat_themselves_at_any_number_of_threads() {
    let config = named("lab").unwrap();
    let embeds = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let pixels = Tensor::new([1, 3, 48, 48], (0..6912).map(|i| (i % 7) as f32 / 3.0 - 1.0).collect());
            towers(&config, Precision::F32, seed)
                .unwrap()
                .embed_images(&mut Tape::off(), &pixels, &mut ())
                .unwrap()
                .data()
                .to_vec()
        })
    };
    let one = embeds(1, 5);
    assert_eq!(one, embeds(3, 5));
    assert_ne!(one, embeds(1, 6));
    // Neither faded nor exploded.
    let square = one.iter().map(|x| x * x).sum::<f32>() / one.len() as f32;
    assert!((0.05..20.0).contains(&square), "{square}");
}

#[test]
fn what_is_hooked_is_copied() {
    let config = named("lab").unwrap();
    let towers = towers(&config, Precision::F32, 1).unwrap();
    let sites: Vec<Site> = (0..4).map(|layer| Site::vision(Point::Block(layer, BlockPoint::MlpOut))).collect();
    let mut copies = Copies::of(&sites);
    let pixels = Tensor::new([2, 3, 48, 48], vec![0.5; 2 * 6912]);
    towers.embed_images(&mut Tape::off(), &pixels, &mut copies).unwrap();
    assert_eq!(copies.kept.keys().copied().collect::<Vec<_>>(), sites);
    for (shape, values) in copies.kept.values() {
        assert_eq!((shape.as_slice(), values.len()), ([2, 37, 96].as_slice(), 2 * 37 * 96));
        assert!(values.iter().any(|x| *x != 0.0));
    }
    let mut forward = Forward::new(&towers, &config, (2, 0), sites);
    assert_eq!(forward.flops(), 2 * config.vision.flops());
    forward.run().unwrap();
    // Where nobody looks the last block goes on with the class token alone: 49 tokens less in two maps, attention and the MLP.
    let forward = Forward::new(&towers, &config, (2, 0), Vec::new());
    assert_eq!(forward.flops(), 2 * (config.vision.flops() - config.vision.unread_flops()));
    let unread = named("vit-b-32").unwrap().vision.unread_flops();
    assert_eq!(unread, 49 * (4 * 768 * 768 + 4 * 768 * 50 + 4 * 768 * 3072));
}

#[test]
fn training_steps_are_steps_of_training() {
    let mut training = Training::new(4, 0).unwrap();
    let losses: Vec<f64> = (0..4).map(|_| training.run().unwrap()).collect();
    assert!(losses[3] < losses[0], "{losses:?}");
    assert_eq!(training.flops(), small_clip().training_flops(4, 32));
}
