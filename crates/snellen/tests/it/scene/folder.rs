use super::{COLOR, grid_world};
use snellen::Error;
use snellen::scene::folder::{ImageFolder, read_folder, write_folder};
use snellen::scene::generate::toy;
use snellen::scene::mask::index_mask;
use snellen::scene::{Canvas, Combinations, Scene, render};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn scenes(count: usize) -> Vec<Scene> {
    let world = grid_world();
    toy(&world, &Combinations::all(&world), 1..=5, count, 11).unwrap()
}

fn write(dir: &Path, count: usize) -> snellen::Result<()> {
    write_folder(dir, &grid_world(), &scenes(count), &Canvas::plain(40, 30))
}

/// Every file below `dir` and its bytes.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            files.extend(contents(&entry.path()).into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

#[test]
fn what_is_written_is_read_back() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("new/scenes");
    write(&dir, 13).unwrap();
    let ImageFolder { images, labels, masks, scenes: file } = read_folder(&dir).unwrap();
    let (file, masks) = (file.unwrap(), masks.unwrap());
    assert_eq!(
        (file.world.clone(), file.canvas, file.scenes.clone()),
        (grid_world(), Canvas::plain(40, 30), scenes(13))
    );
    assert_eq!(labels.object_counts(), scenes(13).iter().map(|scene| scene.objects.len()).collect::<Vec<_>>());
    assert!(images[12].ends_with("images/000012.png"));
    for (i, scene) in scenes(13).iter().enumerate() {
        assert_eq!(image::open(&images[i]).unwrap().to_rgb8(), render(scene, &file.world, &file.canvas));
        assert_eq!(image::open(&masks[i]).unwrap().to_luma8(), index_mask(scene, &file.world, &file.canvas));
    }
    let captions = fs::read_to_string(dir.join("captions.csv")).unwrap();
    assert_eq!(captions.lines().count(), 14);
    assert!(captions.starts_with("filename,caption\nimages/000000.png,a"));
    assert_eq!(fs::read_dir(home.path().join("new")).unwrap().count(), 1, "nothing else is left beside it");
}

#[test]
fn the_bytes_do_not_depend_on_the_threads() {
    let home = tempfile::tempdir().unwrap();
    let written = |threads: usize| {
        let dir = home.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| write(&dir, 20)).unwrap();
        contents(&dir)
    };
    let one = written(1);
    assert_eq!(one.len(), 43);
    assert_eq!(one, written(3));
}

#[test]
fn nothing_is_overwritten_or_left_half_written() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("scenes");
    fs::create_dir(&dir).unwrap();
    assert!(matches!(write(&dir, 1), Err(Error::Exists { .. })));
    let other = home.path().join("other");
    let mut wrong = scenes(3);
    wrong[2].objects[0].values[COLOR] = 99;
    let refusal = write_folder(&other, &grid_world(), &wrong, &Canvas::plain(8, 8)).unwrap_err().to_string();
    assert!(refusal.contains("objects[0].color"), "{refusal}");
    assert!(write_folder(&other, &grid_world(), &scenes(1), &Canvas::plain(0, 8)).is_err());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn broken_folders_name_the_file() {
    let refusal = |change: fn(&Path)| {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("scenes");
        write(&dir, 3).unwrap();
        change(&dir);
        read_folder(&dir).unwrap_err().to_string()
    };
    assert!(refusal(|dir| fs::remove_file(dir.join("labels.csv")).unwrap()).contains("labels.csv"));
    assert!(refusal(|dir| fs::remove_file(dir.join("images/000001.png")).unwrap()).contains("images/000001.png"));
    assert!(refusal(|dir| fs::remove_file(dir.join("masks/000002.png")).unwrap()).contains("masks/000002.png"));
    assert!(refusal(|dir| fs::write(dir.join("scenes.json"), "{").unwrap()).contains("scenes.json"));
    assert!(
        refusal(|dir| replace(dir, "\"schema\":2", "\"schema\":1"))
            .contains("schema: expected 2, got 1; draw the scenes anew")
    );
    assert!(refusal(|dir| replace(dir, "\"width\":40", "\"width\":4000000")).contains("canvas: size"));
    assert!(refusal(|dir| replace(dir, "\"jitter\":0.04", "\"jitter\":4")).contains("world: jitter"));
    assert!(refusal(|dir| replace(dir, "\"values\":[", "\"valued\":[")).contains("unknown field `valued`"));
    let fewer = |dir: &Path| {
        let other = dir.with_file_name("other");
        write(&other, 2).unwrap();
        fs::rename(other.join("scenes.json"), dir.join("scenes.json")).unwrap();
    };
    assert!(refusal(fewer).contains("scenes.json: expected 3 scenes, one per row of labels.csv, got 2"));
}

fn replace(dir: &Path, from: &str, to: &str) {
    let file = dir.join("scenes.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn images_of_others_need_no_masks_and_may_not_share_one() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    for sub in ["a", "b", "masks"] {
        fs::create_dir(dir.join(sub)).unwrap();
    }
    fs::write(dir.join("labels.csv"), "filename\nb/x.jpg\na/x.png\n").unwrap();
    fs::write(dir.join("a/x.png"), "").unwrap();
    fs::write(dir.join("b/x.jpg"), "").unwrap();
    fs::write(dir.join("masks/x.png"), "").unwrap();
    assert!(read_folder(dir).unwrap_err().to_string().contains("masks/x.png: expected the mask of one image"));
    fs::remove_dir_all(dir.join("masks")).unwrap();
    let folder = read_folder(dir).unwrap();
    assert_eq!(folder.images, [dir.join("b/x.jpg"), dir.join("a/x.png")]);
    assert_eq!((folder.masks, folder.scenes), (None, None));
}
