//! Recordings of pictures that keep their aspect ratio: what is padding counts for nothing.

use super::super::families;
use super::{config, scenes};
use image::{Rgb, RgbImage};
use snellen::engine::Tape;
use snellen::model::{LoadConfig, Model, Point, Site};
use snellen::record::cover::cover;
use snellen::record::{ActivationStore, ArrayId, FolderSource, TokenPolicy, read_pixels, record};
use std::path::{Path, PathBuf};

fn load() -> Model {
    families::load("siglip2_naflex", &LoadConfig::plain())
}

/// Pictures of these widths and heights.
fn pictures(folder: &Path, sizes: &[(u32, u32)]) -> FolderSource {
    std::fs::create_dir(folder).unwrap();
    for (number, (width, height)) in sizes.iter().enumerate() {
        let colour = |x: u32, y: u32| Rgb([(x * 7) as u8, (y * 11) as u8, ((x * y + 40 * number as u32) % 251) as u8]);
        RgbImage::from_fn(*width, *height, colour).save(folder.join(format!("{number}.png"))).unwrap();
    }
    FolderSource::open(folder).unwrap()
}

#[test]
fn policies_pass_over_padding() {
    let home = tempfile::tempdir().unwrap();
    let source = scenes(&home.path().join("scenes"), 5);
    let (model, out) = (load(), home.path().join("run"));
    let patterns = ["hook_*", "blocks.1.*resid_post", "blocks.0.attn.*_q", "ln_final.*"];
    record(&model, &source, &config(&patterns, &TokenPolicy::ALL, 3), &out, &()).unwrap();
    let store = ActivationStore::open(&out.join("activations.zarr")).unwrap();
    let vision = &model.config.vision;
    let [rows, columns] = model.preprocessing.grid([40, 50]).unwrap();
    let count = rows * columns;
    assert!(count < vision.patches(), "{rows} x {columns} patches have padding beside them");
    let covers: Vec<Vec<f64>> = (source.masks.as_ref().unwrap().iter())
        .map(|mask| cover(image::open(mask).unwrap().to_luma8(), &model.preprocessing, vision))
        .collect();
    let mut compared = 0;
    for array in store.arrays().iter().filter(|array| array.id.policy != TokenPolicy::All) {
        let (shape, all) = store.read(&ArrayId::new(array.id.site, TokenPolicy::All)).unwrap();
        let (tokens, units) = (shape[1], shape[2]);
        assert_eq!(tokens, vision.patches(), "{}", array.id.site);
        let (_, got) = store.read(&array.id).unwrap();
        for (i, x) in all.chunks(tokens * units).enumerate() {
            assert_eq!(covers[i].len(), count);
            for unit in 0..units {
                let value = |t: usize| f64::from(x[t * units + unit]);
                let weighted = |weight: &dyn Fn(usize) -> f64| {
                    (0..count).map(|t| weight(t) * value(t)).sum::<f64>() / (0..count).map(weight).sum::<f64>()
                };
                let expected = match array.id.policy {
                    TokenPolicy::Mean => weighted(&|_| 1.0),
                    TokenPolicy::Max => (0..count).map(value).fold(f64::NEG_INFINITY, f64::max),
                    TokenPolicy::Object => weighted(&|t| covers[i][t]),
                    TokenPolicy::Background => weighted(&|t| 1.0 - covers[i][t]),
                    other => panic!("{other}, where there are only patches"),
                };
                let got = f64::from(got[i * units + unit]);
                assert!(
                    (expected - got).abs() <= 1e-6 * (1e-3 + expected.abs()),
                    "{}: {got} for {expected}",
                    array.path()
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn a_picture_of_any_shape_is_the_same_whatever_is_beside_it() {
    let home = tempfile::tempdir().unwrap();
    let sizes = [(31, 20), (12, 90), (200, 9), (21, 21), (1, 1), (19, 22), (640, 480)];
    let source = pictures(&home.path().join("pictures"), &sizes);
    let model = load();
    let grids: Vec<[usize; 2]> = sizes
        .iter()
        .map(|(width, height)| model.preprocessing.grid([*height as usize, *width as usize]).unwrap())
        .collect();
    assert!(grids.iter().any(|grid| grid[0] > grid[1]) && grids.iter().any(|grid| grid[0] < grid[1]), "{grids:?}");
    let stores: Vec<ActivationStore> = [1, 2, 7]
        .into_iter()
        .map(|batch| {
            let out = home.path().join(format!("run{batch}"));
            let policies = [TokenPolicy::Mean, TokenPolicy::Max, TokenPolicy::All];
            record(&model, &source, &config(&["*"], &policies, batch), &out, &()).unwrap();
            ActivationStore::open(&out.join("activations.zarr")).unwrap()
        })
        .collect();
    assert!(stores[0].arrays().len() > 60);
    for array in stores[0].arrays() {
        let bits = |store: &ActivationStore| -> Vec<u32> {
            store.read(&array.id).unwrap().1.iter().map(|x| x.to_bits()).collect()
        };
        let alone = bits(&stores[0]);
        assert!(stores[1..].iter().all(|store| bits(store) == alone), "{}", array.path());
    }
    // Embeddings of what the model itself prepares are the recorded ones.
    let paths: Vec<PathBuf> = (0..sizes.len()).map(|row| source.path(row)).collect();
    let pixels = read_pixels(&paths, &model.preprocessing).unwrap();
    assert_eq!(pixels.grids, grids);
    let embeds = model.towers.embed_images(&mut Tape::off(), &pixels, &mut ()).unwrap();
    let (_, recorded) = stores[0].read(&ArrayId::new(Site::vision(Point::Embeds), TokenPolicy::Pooled)).unwrap();
    assert_eq!(embeds.data(), recorded);
}

#[test]
fn pixels_without_rows_and_columns_are_refused() {
    let model = load();
    let [patches, values] = [model.config.vision.patches(), 3 * model.config.vision.patch.pow(2)];
    let refused = |pixels: snellen::model::Pixels<f32>, words: &str| {
        let error = model.towers.embed_images(&mut Tape::off(), &pixels, &mut ()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let tensor = |shape: &[usize]| snellen::engine::Tensor::new(shape, vec![0.5; shape.iter().product()]);
    let given = |shape: &[usize], grids: Vec<[usize; 2]>| snellen::model::Pixels { values: tensor(shape), grids };
    refused(given(&[2, patches, values], vec![[1, 2]]), "for each of 2 images");
    refused(given(&[1, patches, values], vec![[0, 4]]), "got 0 x 4");
    refused(given(&[1, patches, values], vec![[patches, 2]]), "patches in rows and columns");
    refused(given(&[1, patches, values], vec![[usize::MAX, 3]]), "patches in rows and columns");
    refused(given(&[1, patches, values + 1], vec![[1, 2]]), "values a patch");
    refused(given(&[1, 3, 25, 25], vec![]), "shape [images, patches, values]");
}
