//! The study's 500 images, drawn again from its labels. Needs the folder `../shared/paper`, which is not ours to publish.

use image::RgbImage;
use snellen::scene::labels::LabelTable;
use snellen::scene::labels_csv::read_labels;
use snellen::scene::{Canvas, Object, Scene, World, render};
use std::path::{Path, PathBuf};

fn paper() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/paper");
    if !folder.is_dir() {
        eprintln!("SKIPPED: {} is absent; it holds the study's images", folder.display());
        return None;
    }
    Some(folder)
}

fn scene(table: &LabelTable, row: usize, world: &World) -> Scene {
    let name = |object: &[Option<u32>], f: usize| table.factors[f].values[object[f].unwrap() as usize].as_str();
    let object = |object: &Vec<Option<u32>>| {
        let values: Vec<u32> = (0..3).map(|f| world.value(f, name(object, f)).unwrap()).collect();
        let [x, y] = world.place(values[2]);
        Object { values, x, y, size: world.size[0] }
    };
    Scene::from(table.rows[row].objects.iter().map(object).collect::<Vec<_>>())
}

/// Centroid of the ink (distance from white) in the quarter of the frame around an object.
fn centroid(image: &RgbImage, object: &Object) -> [f64; 2] {
    let (cx, cy) = (object.x * 232.5, object.y * 231.0);
    let (mut mass, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
    for (x, y, pixel) in image.enumerate_pixels() {
        let (px, py) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
        if (px - cx).abs() < 28.0 && (py - cy).abs() < 28.0 {
            let ink: f64 = pixel.0.iter().map(|&v| 255.0 - f64::from(v)).sum();
            mass += ink;
            x_sum += ink * px;
            y_sum += ink * py;
        }
    }
    [x_sum / mass, y_sum / mass]
}

/// Mean absolute difference over the pixels that either picture paints, in 1/255.
fn difference(ours: &RgbImage, theirs: &RgbImage) -> f64 {
    let painted = ours.pixels().zip(theirs.pixels()).filter(|(a, b)| a.0 != [255; 3] || b.0 != [255; 3]);
    let (mut sum, mut count) = (0.0, 0.0);
    for (a, b) in painted {
        sum += a.0.iter().zip(b.0).map(|(&a, b)| f64::from(a.abs_diff(b))).sum::<f64>();
        count += 3.0;
    }
    sum / count
}

#[test]
fn redraws_the_images_of_the_study() {
    let Some(folder) = paper() else { return };
    let table = read_labels(&folder.join("labels.csv")).unwrap();
    let names: Vec<_> = table.factors.iter().map(|factor| factor.name.as_str()).collect();
    assert_eq!(names, ["shape", "color", "position"]);
    assert_eq!(table.rows.len(), 500);
    let (world, canvas) = (World::study(), Canvas::study());
    let (mut largest, mut farthest, mut total) = (0.0_f64, 0.0_f64, 0.0);
    for (i, row) in table.rows.iter().enumerate() {
        let scene = scene(&table, i, &world);
        let ours = render(&scene, &world, &canvas);
        let theirs = image::open(folder.join(&row.filename)).unwrap().to_rgb8();
        assert_eq!(ours.dimensions(), theirs.dimensions());
        let difference = difference(&ours, &theirs);
        largest = largest.max(difference);
        total += difference / table.rows.len() as f64;
        for object in &scene.objects {
            let (ours, theirs) = (centroid(&ours, object), centroid(&theirs, object));
            farthest = farthest.max((ours[0] - theirs[0]).hypot(ours[1] - theirs[1]));
        }
    }
    eprintln!("difference: mean {total:.4}, worst image {largest:.4}; worst centroid {farthest:.4} px");
    // The issue asks for 1.5 and 0.1; what is left is matplotlib's coarse polygon for circles.
    assert!(largest < 0.7, "expected under 0.7/255 in every image, got {largest}");
    assert!(farthest < 0.01, "expected every centroid within 0.01 px, got {farthest}");
}
