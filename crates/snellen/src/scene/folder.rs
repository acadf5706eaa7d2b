//! Scenes as a folder: `images/`, `masks/`, `labels.csv`, `captions.csv` and `scenes.json`, and image folders of others.

use super::caption::{Wording, caption};
use super::labels::LabelTable;
use super::labels_csv::{read_labels, write_labels};
use super::mask::index_mask;
use super::{Canvas, Scene, Series, World, render};
use crate::output::StagedDir;
use crate::{Error, Result};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The `schema` of `scenes.json` that is written and read.
pub const SCHEMA: u32 = 2;

/// The largest `scenes.json` that is read, in bytes.
pub const MAX_SCENES_BYTES: u64 = 1 << 28;

/// `scenes.json`: all that it takes to draw a folder again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneFile {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What the scenes are made of.
    pub world: World,
    /// What they are drawn on.
    pub canvas: Canvas,
    /// One per image, in the order of `labels.csv`.
    pub scenes: Vec<Scene>,
}

/// What tells whether a `scenes.json` can be read.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

/// A folder of labelled images.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFolder {
    /// The image files, in the order of the labels.
    pub images: Vec<PathBuf>,
    /// What they show.
    pub labels: LabelTable,
    /// Their masks ([`index_mask`]) in the same order, where there is a folder `masks/`.
    pub masks: Option<Vec<PathBuf>>,
    /// The scenes themselves, where there is a `scenes.json`.
    pub scenes: Option<SceneFile>,
}

/// Draws `scenes` into the new folder `dir`, in parallel; the same bytes at any number of threads.
///
/// The captions are plain: `a red circle and a blue square`. The folder appears complete or not at all.
///
/// # Errors
/// [`Error::Exists`] if `dir` is there already; when another process is writing it; refuses scenes that are not of `world`, with more than 255 objects, or a canvas
/// that cannot be drawn on; and what the system refuses.
pub fn write_folder(dir: &Path, world: &World, scenes: &[Scene], canvas: &Canvas) -> Result<()> {
    let names: Vec<String> = (0..scenes.len()).map(|i| format!("{i:06}.png")).collect();
    write_named_folder(dir, world, scenes, canvas, &names)
}

/// Draws the scenes of `series` into the new folder `dir`, with its captions, and says how many.
///
/// # Errors
/// As [`write_folder`] and [`Series::scene`].
pub fn write_series(dir: &Path, series: &Series) -> Result<usize> {
    let scenes = (0..series.len()).map(|i| series.scene(i)).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = (0..scenes.len()).map(|i| format!("{i:06}.png")).collect();
    let captions: Vec<String> = scenes.iter().map(|scene| series.caption(scene)).collect();
    write(dir, (series.world(), series.canvas()), &scenes, &names, &captions)?;
    Ok(scenes.len())
}

/// The same with pictures called `names`, which end in `.png`.
///
/// # Errors
/// As [`write_folder`], and when there is not a name of its own for every scene.
pub fn write_named_folder(
    dir: &Path,
    world: &World,
    scenes: &[Scene],
    canvas: &Canvas,
    names: &[String],
) -> Result<()> {
    // Of scenes that are of another world there is nothing to say, and they are refused below.
    let said = |scene: &Scene| match scene.check(world) {
        Ok(()) => caption(scene, world, &Wording::plain(scene.objects.len())),
        Err(_) => String::new(),
    };
    let captions: Vec<String> = scenes.iter().map(said).collect();
    write(dir, (world, canvas), scenes, names, &captions)
}

fn write(
    dir: &Path,
    (world, canvas): (&World, &Canvas),
    scenes: &[Scene],
    names: &[String],
    captions: &[String],
) -> Result<()> {
    let staged = StagedDir::begin(dir)?;
    canvas.check()?;
    if let Some(most) = scenes.iter().map(|scene| scene.objects.len()).max().filter(|&most| most > 255) {
        return Err(Error::mismatch("scene: objects", "at most 255", most));
    }
    let images: Vec<String> = names.iter().map(|name| format!("images/{name}")).collect();
    let labels = LabelTable::from_scenes(world, scenes, &images)?;
    let new = staged.path();
    for sub in ["images", "masks"] {
        fs::create_dir_all(new.join(sub)).map_err(Error::io(new))?;
    }
    scenes.par_iter().zip(names).try_for_each(|(scene, name)| {
        let size = [canvas.width, canvas.height];
        let image = render(scene, world, canvas);
        write_png(&new.join("images").join(name), &image, size, ExtendedColorType::Rgb8)?;
        write_png(&new.join("masks").join(name), &index_mask(scene, world, canvas), size, ExtendedColorType::L8)
    })?;
    let file = new.join("labels.csv");
    write_labels(&labels, File::create(&file).map_err(Error::io(&file))?)?;
    write_captions(&new.join("captions.csv"), captions, &images)?;
    let contents = SceneFile { schema: SCHEMA, world: world.clone(), canvas: *canvas, scenes: scenes.to_vec() };
    let file = new.join("scenes.json");
    let json = serde_json::to_vec(&contents).map_err(|source| Error::malformed(file.display(), source))?;
    fs::write(&file, json).map_err(Error::io(&file))?;
    staged.publish().map(drop)
}

/// Reads the labelled images of `dir`: `labels.csv` and what it names, `masks/` and `scenes.json` where they are.
///
/// The mask of `a/b.jpg` is `masks/b.png`.
///
/// # Errors
/// When the labels are refused, a labelled image or its mask is missing, two images would share a mask, or `scenes.json` is
/// malformed or has another number of scenes.
pub fn read_folder(dir: &Path) -> Result<ImageFolder> {
    let labels = read_labels(&dir.join("labels.csv"))?;
    labels.rows.iter().try_for_each(|row| present(&dir.join(&row.filename), "an image, as labels.csv says"))?;
    ImageFolder::labelled(dir, labels)
}

impl ImageFolder {
    /// The images of `dir` that `labels` name, whether they are there or not, and what else [`read_folder`] reads.
    ///
    /// # Errors
    /// As [`read_folder`] of masks and `scenes.json`.
    pub fn labelled(dir: &Path, labels: LabelTable) -> Result<Self> {
        let images: Vec<PathBuf> = labels.rows.iter().map(|row| dir.join(&row.filename)).collect();
        let masks = dir.join("masks").is_dir().then(|| find_masks(dir, &images)).transpose()?;
        let file = dir.join("scenes.json");
        let scenes = file.is_file().then(|| read_scenes(&file)).transpose()?;
        if let Some(contents) = scenes.as_ref().filter(|contents| contents.scenes.len() != images.len()) {
            let expected = format!("{} scenes, one per row of labels.csv", images.len());
            return Err(Error::mismatch(file.display(), expected, contents.scenes.len()));
        }
        Ok(Self { images, labels, masks, scenes })
    }
}

/// Reads a `scenes.json`.
///
/// # Errors
/// When it is over [`MAX_SCENES_BYTES`], malformed, of another schema, or holds a world, canvas or scene that is refused.
pub fn read_scenes(path: &Path) -> Result<SceneFile> {
    let mut json = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(MAX_SCENES_BYTES + 1).read_to_end(&mut json).map_err(Error::io(path))?;
    if json.len() as u64 > MAX_SCENES_BYTES {
        return Err(Error::mismatch(path.display(), format!("at most {MAX_SCENES_BYTES} bytes"), "more"));
    }
    let malformed = |source| Error::malformed(path.display(), source);
    let head: Head = serde_json::from_slice(&json).map_err(malformed)?;
    if head.schema != SCHEMA {
        let got =
            format!("{}; draw the scenes anew with this version, or use labels.csv and the images alone", head.schema);
        return Err(Error::mismatch(format!("{}: schema", path.display()), SCHEMA, got));
    }
    let contents: SceneFile = serde_json::from_slice(&json).map_err(malformed)?;
    let here = |source: Error| Error::malformed(path.display(), source);
    contents.world.check().map_err(here)?;
    contents.canvas.check().map_err(here)?;
    contents.scenes.iter().try_for_each(|scene| scene.check(&contents.world)).map_err(here)?;
    Ok(contents)
}

fn find_masks(dir: &Path, images: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut owners = BTreeMap::new();
    let mask = |image: &PathBuf| {
        let name = Path::new(image.file_name().unwrap_or_default()).with_extension("png");
        let mask = dir.join("masks").join(name);
        present(&mask, format!("the mask of {}", image.display()))?;
        match owners.insert(mask.clone(), image.clone()) {
            None => Ok(mask),
            Some(other) => Err(Error::mismatch(
                mask.display(),
                "the mask of one image",
                format!("that of {} and {}", other.display(), image.display()),
            )),
        }
    };
    images.iter().map(mask).collect()
}

fn present(path: &Path, expected: impl std::fmt::Display) -> Result<()> {
    if path.is_file() { Ok(()) } else { Err(Error::mismatch(path.display(), expected, "no such file")) }
}

fn write_png(path: &Path, pixels: &[u8], [width, height]: [u32; 2], color: ExtendedColorType) -> Result<()> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new(&mut bytes);
    encoder.write_image(pixels, width, height, color).map_err(|source| Error::malformed(path.display(), source))?;
    fs::write(path, bytes).map_err(Error::io(path))
}

fn write_captions(path: &Path, captions: &[String], images: &[String]) -> Result<()> {
    let failed = |source| Error::malformed(path.display(), source);
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    writer.write_record(["filename", "caption"]).map_err(failed)?;
    for (caption, image) in captions.iter().zip(images) {
        writer.write_record([image, caption]).map_err(failed)?;
    }
    writer.flush().map_err(Error::io(path))
}
