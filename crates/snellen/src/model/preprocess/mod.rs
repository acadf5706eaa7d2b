//! From pictures to pixels, as a model's own files say.
//!
//! A model belongs to what prepared its pictures: `preprocessor_config.json` names a processor of `transformers`,
//! `open_clip_config.json` the transform of OpenCLIP. Both are followed to the digit. A processor of `transformers` works with
//! Pillow or with torchvision, which give other pixels: the [`Backend`] says which, and files do not, as the class that they name is
//! resolved by what is installed. [`Preprocessing::named`] goes by what a study did instead, and says so in what is recorded.
//!
//! A file is taken as a processor takes its name, not as it takes the picture that somebody opened first: turned upright, opacity
//! dropped.

mod backend;
mod fields;
mod fractions;
mod open_clip;
mod resize;
mod timm;
mod transformers;

use super::VisionConfig;
use super::picture::{Decoded, Mode, memory};
pub use super::resample::{Backend, Filter};
use crate::engine::Tensor;
use crate::scene::mask::Region;
use crate::{Error, Result};
pub use backend::{Agreement, Orientation};
use image::RgbImage;
pub use resize::Resize;
use serde::{Deserialize, Serialize};
use std::array::from_fn;
use std::borrow::Cow;
use std::mem::take;
use std::ops::Range;
use std::path::Path;

/// The [`source`](Preprocessing::source) of what the model's own files say.
pub const MODEL: &str = "model";

/// The [`source`](Preprocessing::source) and name of what arXiv 2508.16652 did.
pub const STUDY: &str = "study";

/// Mean of the pictures of ImageNet.
const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];

/// Their standard deviation.
const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

/// Mean of the pictures that OpenAI's CLIP was trained on.
const OPENAI_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

/// Their standard deviation.
const OPENAI_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// How a picture becomes the model's input. Recorded in every run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Whose it is: [`MODEL`], the name of another, or the file it was read from instead.
    pub source: String,
    /// Whose arithmetic it is.
    pub backend: Backend,
    /// What is done with pictures that are not stored upright.
    pub orientation: Orientation,
    /// When and how the picture becomes red, green and blue.
    pub colour: Colour,
    /// Before resizing, the shorter side is padded on both ends to the length of the longer with this colour.
    pub square: Option<[u8; 3]>,
    /// What the resampling aims at, one after the other; 8 bits between them.
    pub resize: Vec<Resize>,
    /// Resampling filter.
    pub filter: Filter,
    /// The centre crop.
    pub crop: Option<Crop>,
    /// Factor from 0-255 to the range that `mean` and `std` speak of.
    pub rescale: f64,
    /// Whether the factor comes before resizing, and values stay fractions: DINOv3, by torchvision alone.
    #[serde(default)]
    pub rescale_first: bool,
    /// Whether `mean` is taken away and `std` divides. torchvision takes them and `rescale` in one step, so that it is not the same
    /// to do so with 0 and 1.
    pub normalise: bool,
    /// Per channel, red first.
    pub mean: [f64; 3],
    /// Per channel, red first.
    pub std: [f64; 3],
    /// Height and width of the result, in pixels; where pictures keep their aspect ratio, of that of a square one, at most.
    pub image: usize,
}

/// When and how a picture becomes red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// First, transparency dropped.
    Dropped,
    /// First, opacity dropped. With `pil` a single transparent colour, which only PNG and GIF have, becomes white, as
    /// `transformers` since version 5 has it; torchvision drops it too.
    Keyed,
    /// After resize and crop, which work in the file's own mode; transparency dropped: OpenCLIP.
    Last,
}

/// A centre crop. Where the picture is smaller it is padded around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crop {
    /// Height and width, in pixels.
    pub size: [usize; 2],
    /// Which pixels are the middle ones where that is not even.
    pub rounding: Rounding,
    /// What is around a smaller picture: 0 to 255 in every channel, in the mode that the picture then has.
    pub fill: u8,
}

/// Where a centre crop begins when half a pixel is left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Half a pixel down: `transformers`. The smaller half of a padding is after the picture with `pil`, before it with
    /// `torchvision`.
    Down,
    /// To the even pixel, and the smaller half of a padding before the picture: OpenCLIP, by torchvision's transform of pictures.
    HalfEven,
}

impl Rounding {
    /// Where the middle `want` of `have` pixels begin; below 0 where there are fewer.
    fn start(self, have: usize, want: usize, backend: Backend) -> i64 {
        let spare = have as i64 - want as i64;
        match self {
            Self::Down if backend == Backend::Torchvision => spare / 2,
            Self::Down => spare.div_euclid(2),
            Self::HalfEven if spare < 0 => -(-spare / 2),
            Self::HalfEven => (spare as f64 / 2.0).round_ties_even() as i64,
        }
    }
}

impl Preprocessing {
    /// What `name` did, for a model that sees `image` x `image` pixels: [`STUDY`] resizes pictures to that size whatever
    /// their aspect ratio (bilinear) and leaves values at 0 to 1.
    ///
    /// # Errors
    /// When no other name is known.
    pub fn named(name: &str, image: usize) -> Result<Self> {
        if name != STUDY {
            return Err(Error::mismatch("preprocessing", format!("`{MODEL}` or `{STUDY}`"), format!("`{name}`")));
        }
        Ok(Self {
            source: STUDY.to_owned(),
            backend: Backend::Pil,
            orientation: Orientation::Honour,
            colour: Colour::Dropped,
            square: None,
            resize: vec![Resize::Squash([image; 2])],
            filter: Filter::Bilinear,
            crop: None,
            rescale: 1.0 / 255.0,
            rescale_first: false,
            normalise: false,
            mean: [0.0; 3],
            std: [1.0; 3],
            image,
        })
    }

    /// The picture in the file at `path`, which holds `bytes`: decoded, and turned upright where that is asked for.
    ///
    /// # Errors
    /// When [`Decoded::read`] refuses it.
    pub fn read(&self, path: &Path, bytes: &[u8]) -> Result<Decoded> {
        let picture = Decoded::read(path, bytes)?;
        Ok(match self.orientation {
            Orientation::Honour => picture.upright(),
            Orientation::Ignore => picture,
        })
    }

    /// `picture` -> `3 * image * image` values, channel by channel in reading order; or patches in reading order, each row by row, red,
    /// green and blue of a pixel together, and zeros up to their largest number. The picture is taken as it stands.
    ///
    /// # Errors
    /// When it would be too large or nothing after resizing.
    pub fn apply(&self, picture: &Decoded) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.values()];
        self.apply_into(picture, &mut out)?;
        Ok(out)
    }

    /// Values of a picture after [`apply`](Self::apply).
    pub(crate) fn values(&self) -> usize {
        self.shape().iter().product()
    }

    /// The shape of a picture after [`apply`](Self::apply): channel, row, column; of patches patch and value.
    fn shape(&self) -> Vec<usize> {
        match self.patches() {
            Some([side, most]) => vec![most, 3 * side * side],
            None => vec![3, self.image, self.image],
        }
    }

    /// `values` of several pictures, one after the other, with their shape.
    pub(crate) fn tensor(&self, values: Vec<f32>) -> Tensor<f32> {
        let shape = self.shape();
        let pictures = values.len() / shape.iter().product::<usize>();
        Tensor::new([vec![pictures], shape].concat(), values)
    }

    /// Side and largest number of the patches that pictures are cut into, where they keep their aspect ratio.
    pub(super) fn patches(&self) -> Option<[usize; 2]> {
        match self.resize.last() {
            Some(Resize::Patches { side, most }) => Some([*side, *most]),
            _ => None,
        }
    }

    /// Rows and columns of the patches that a picture of `size` (height, width) is cut into; `None` where pictures become squares.
    pub fn grid(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let resize = self.resize.last()?;
        let [side, _] = self.patches()?;
        Some(resize.sides(size).map(|length| length / side))
    }

    /// The channel of value `at` of a picture.
    pub(super) fn channel(&self, at: usize) -> usize {
        if self.patches().is_some() { at % 3 } else { at / (self.image * self.image) }
    }

    /// The same as [`apply`](Self::apply), into `out`, which is for [`values`](Self::values).
    pub(crate) fn apply_into(&self, picture: &Decoded, out: &mut [f32]) -> Result<()> {
        if self.rescale_first {
            return fractions::apply(self, picture, out);
        }
        let pixels = self.pixels(picture)?;
        if let (Some([side, _]), Some(grid)) = (self.patches(), self.grid([picture.height, picture.width])) {
            self.cut(&pixels, side, grid, out);
            memory::put(pixels);
            return Ok(());
        }
        for (channel, plane) in out.chunks_exact_mut(self.image * self.image).enumerate() {
            let values = self.levels(channel);
            for (out, pixel) in plane.iter_mut().zip(pixels.as_chunks::<3>().0) {
                *out = values[pixel[channel] as usize];
            }
        }
        memory::put(pixels);
        Ok(())
    }

    /// `pixels`, three bytes each, in `grid` patches of `side` -> the patches one after the other; what is left of `out` becomes 0.
    fn cut(&self, pixels: &[u8], side: usize, [rows, columns]: [usize; 2], out: &mut [f32]) {
        let levels = [0, 1, 2].map(|channel| self.levels(channel));
        let (wide, mut lines) = (3 * side, out.chunks_exact_mut(3 * side));
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            for (line, out) in lines.by_ref().take(side).enumerate() {
                let from = ((row * side + line) * columns + column) * wide;
                for (i, (out, byte)) in out.iter_mut().zip(&pixels[from..from + wide]).enumerate() {
                    *out = levels[i % 3][*byte as usize];
                }
            }
        }
        lines.flatten().for_each(|value| *value = 0.0);
    }

    /// What every level of `channel` becomes, each library's operations in its order and precision.
    fn levels(&self, channel: usize) -> [f32; 256] {
        let (mean, std, rescale) = (self.mean[channel] as f32, self.std[channel] as f32, self.rescale);
        match (self.backend, self.normalise) {
            (Backend::Pil, _) => from_fn(|value| ((value as f64 * rescale) as f32 - mean) / std),
            (Backend::Torchvision, true) => {
                let whole = (1.0 / rescale) as f32;
                let (mean, std) = (mean * whole, std * whole);
                from_fn(|value| (value as f32 - mean) / std)
            }
            (Backend::Torchvision, false) => from_fn(|value| value as f32 * rescale as f32),
        }
    }

    /// `picture` -> rows of pixels, of three bytes each: `image` rows of as many, unless they are to be cut into patches.
    fn pixels(&self, picture: &Decoded) -> Result<Vec<u8>> {
        let rgb = |data| Decoded::from_rgb([picture.height, picture.width], data);
        let mut now = match self.colour {
            _ if picture.mode == Mode::Rgb && picture.clear.is_none() => Cow::Borrowed(picture),
            Colour::Keyed if self.backend == Backend::Pil => Cow::Owned(rgb(picture.rgb_keyed())),
            Colour::Dropped | Colour::Keyed => Cow::Owned(rgb(picture.rgb())),
            Colour::Last => Cow::Borrowed(picture),
        };
        if let Some(colour) = self.square {
            let side = now.height.max(now.width);
            let start = [now.height, now.width].map(|length| -((side - length) as i64 / 2));
            resize::check([side; 2])?;
            now = Cow::Owned(Decoded::from_rgb([now.height, now.width], now.rgb()).window(start, [side; 2], &colour));
        }
        let mut cropped = false;
        for (i, resize) in self.resize.iter().enumerate() {
            let to = resize.sides([now.height, now.width]);
            resize::check(to)?;
            resize::check([now.height, to[1]])?;
            // What the crop would throw away is not computed.
            let part = if i + 1 == self.resize.len() { self.cropped(to) } else { None };
            cropped = part.is_some();
            now = Cow::Owned(match part {
                Some(part) => now.resized_within(to, part, (self.filter, self.backend)),
                None => now.resized(to, (self.filter, self.backend)),
            });
        }
        if let (Some(crop), false) = (self.crop, cropped) {
            let start = self.start([now.height, now.width]);
            now = Cow::Owned(now.window(start, crop.size, &now.mode.filled(crop.fill)));
        }
        if self.patches().is_none() && [now.height, now.width] != [self.image; 2] {
            let expected = format!("{0} x {0} pixels after resize and crop", self.image);
            return Err(Error::mismatch("picture", expected, format!("{} x {}", now.height, now.width)));
        }
        Ok(match now {
            Cow::Owned(mut now) if now.mode == Mode::Rgb => take(&mut now.data),
            now => now.rgb(),
        })
    }

    /// The rows and columns of a resized picture of `size` that the crop leaves, where it pads nothing.
    fn cropped(&self, size: [usize; 2]) -> Option<[Range<usize>; 2]> {
        let (crop, start) = (self.crop?, self.start(size));
        // Below 0 is beyond counting.
        let part = start.map(|start| usize::try_from(start).unwrap_or(usize::MAX));
        let part = [0, 1].map(|axis| part[axis]..part[axis].saturating_add(crop.size[axis]));
        part.iter().zip(size).all(|(part, length)| part.end <= length && part.start <= length).then_some(part)
    }

    /// The part of a picture of `width` x `height` pixels that the result shows, in the picture's own pixels; it reaches
    /// beyond a picture that is padded.
    pub fn region(&self, width: usize, height: usize) -> Region {
        let side = height.max(width);
        // Where the resizes begin, in the picture's own pixels, and how much they see.
        let (before, seen) = match self.square {
            Some(_) => ([height, width].map(|length| (side - length) / 2), [side; 2]),
            None => ([0; 2], [height, width]),
        };
        let resized = self.resize.iter().fold(seen, |size, resize| resize.sides(size));
        let scale = [0, 1].map(|axis| seen[axis] as f64 / resized[axis] as f64);
        if self.patches().is_some() {
            return Region { x: 0.0, y: 0.0, width: width as f64, height: height as f64 };
        }
        let start = self.start(resized);
        let from = [0, 1].map(|axis| start[axis] as f64 * scale[axis] - before[axis] as f64);
        let [height, width] = scale.map(|scale| self.image as f64 * scale);
        Region { x: from[1], y: from[0], width, height }
    }

    /// The part of a picture of `width` x `height` pixels that the patches of `vision` see, in the picture's own pixels, and how many rows
    /// and columns of patches that is.
    pub fn patched(&self, width: usize, height: usize, vision: &VisionConfig) -> (Region, [usize; 2]) {
        let mut region = self.region(width, height);
        if let Some(grid) = self.grid([height, width]) {
            return (region, grid);
        }
        // Pixels beyond the last whole patch belong to none.
        let whole = (vision.grid() * vision.patch) as f64 / vision.image as f64;
        region.width *= whole;
        region.height *= whole;
        (region, [vision.grid(); 2])
    }

    /// What the result shows of `picture`, in the picture's own pixels, without any padding.
    pub fn shown(&self, picture: &RgbImage) -> RgbImage {
        let (w, h) = (picture.width(), picture.height());
        let Region { x, y, width, height } = self.region(w as usize, h as usize);
        let side = |start: f64, length: f64, limit: u32| {
            let (from, to) = (start.max(0.0) as u32, ((start + length).min(limit as f64)) as u32);
            (from, to.saturating_sub(from).max(1))
        };
        let ((x, width), (y, height)) = (side(x, width, w), side(y, height, h));
        image::imageops::crop_imm(picture, x, y, width, height).to_image()
    }

    /// Row and column that the result begins at, after resizing to `size`; below 0 where it is padded.
    fn start(&self, size: [usize; 2]) -> [i64; 2] {
        let Some(crop) = self.crop else { return [0; 2] };
        [0, 1].map(|axis| crop.rounding.start(size[axis], crop.size[axis], self.backend))
    }
}
