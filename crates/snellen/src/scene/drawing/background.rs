//! What is behind the objects: nothing, coloured noise, or something as uneven as a photograph. Made here, from a seed.
//!
//! All of it is value noise (Perlin's lattices, without gradients): random numbers at the corners of a grid, smoothly interpolated.
//! It is drawn in shares of the frame, so a scene has one background at any number of pixels, but for what is finer than these.

use super::canvas::Canvas;
use serde::{Deserialize, Serialize};

/// What is behind the objects of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// White.
    #[default]
    Plain,
    /// Smooth colours without edges: each channel for itself, three octaves from half of the frame on.
    Noise,
    /// As uneven as a photograph: areas with sharp borders, each of a colour, shaded, and textured at every scale, the less the finer
    /// (as natural images are: Field 1987, JOSA A 4:2379).
    Photo,
}

impl Background {
    /// Whether it is white.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
    pub(in crate::scene) fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// Fills the pixels of `canvas`, sRGB, row after row, with the background of `seed`.
    pub(super) fn paint(self, seed: u32, canvas: &Canvas, pixels: &mut [u8]) {
        match self {
            Self::Plain => pixels.fill(255),
            Self::Noise => noise(seed, canvas, pixels),
            Self::Photo => photo(seed, canvas, pixels),
        }
    }
}

/// Every channel around its middle.
fn noise(seed: u32, canvas: &Canvas, pixels: &mut [u8]) {
    let octaves = [(2.0, 60.0), (4.0, 35.0), (8.0, 20.0)];
    let [red, green, blue] = [0, 1, 2].map(|channel| field(seed, channel, &octaves, canvas));
    for (pixel, ((r, g), b)) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(red.iter().zip(&green).zip(&blue)) {
        *pixel = [r, g, b].map(|value| byte_of(160.0 + value));
    }
}

/// Areas are where a smooth field is between two levels; borders are as sharp as pixels.
fn photo(seed: u32, canvas: &Canvas, pixels: &mut [u8]) {
    let border = field(seed, 10, &[(1.5, 1.0), (3.0, 0.5), (7.0, 0.2)], canvas);
    let light = field(seed, 11, &[(1.0, 50.0)], canvas);
    let texture = field(seed, 12, &[(4.0, 24.0), (8.0, 12.0), (16.0, 8.0), (32.0, 6.0), (64.0, 4.0)], canvas);
    let tint = field(seed, 13, &[(2.0, 16.0)], canvas);
    let levels = [0.35, -0.05, -0.45].map(|level| level + 0.2 * random(seed, 20, 0, 0));
    let colours: [[f32; 3]; 4] = [0, 1, 2, 3].map(|area| {
        let middle = 120.0 + 70.0 * random(seed, 21, area, 0);
        [0, 1, 2].map(|channel| middle + 35.0 * random(seed, 22, area, channel))
    });
    let roughness = [0, 1, 2, 3].map(|area| 1.0 + 0.8 * random(seed, 23, area, 0));
    for (i, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let area = levels.iter().filter(|level| border[i] < **level).count();
        let shade = light[i] + roughness[area] * texture[i];
        let [red, green, blue] = colours[area];
        *pixel = [red + tint[i], green, blue - tint[i]].map(|value| byte_of(value + shade));
    }
}

fn byte_of(value: f32) -> u8 {
    value.clamp(0.0, 255.0) as u8
}

/// The sum of octaves, each `(cells across the frame, amplitude)`, of values from -1 to 1; those of cells below two pixels are left out.
fn field(seed: u32, layer: u32, octaves: &[(f32, f32)], canvas: &Canvas) -> Vec<f32> {
    let (width, height) = (canvas.width as usize, canvas.height as usize);
    let mut plane = vec![0.0; width * height];
    for (octave, (cells, amplitude)) in (0_u32..).zip(octaves) {
        let per_pixel = canvas.frame.map(|side| *cells / (side as f32).max(1.0));
        if octave > 0 && per_pixel.iter().any(|share| *share > 0.5) {
            continue;
        }
        let layer = layer * 64 + octave;
        let across: Vec<(usize, f32)> = (0..width).map(|x| corner(x, per_pixel[0])).collect();
        let corners = across.last().map_or(0, |(at, _)| at + 2);
        let line =
            |row: usize| -> Vec<f32> { (0..corners as u32).map(|x| random(seed, layer, x, row as u32)).collect() };
        let (mut row, mut above, mut below) = (usize::MAX, Vec::new(), Vec::new());
        let mut between = vec![0.0; corners];
        for (y, pixels) in plane.chunks_exact_mut(width).enumerate() {
            let (at, share) = corner(y, per_pixel[1]);
            if at != row {
                above = if row.wrapping_add(1) == at { std::mem::take(&mut below) } else { line(at) };
                below = line(at + 1);
                row = at;
            }
            for ((value, a), b) in between.iter_mut().zip(&above).zip(&below) {
                *value = amplitude * (a + share * (b - a));
            }
            for (pixel, (at, share)) in pixels.iter_mut().zip(&across) {
                *pixel += between[*at] + share * (between[at + 1] - between[*at]);
            }
        }
    }
    plane
}

/// The corner before a pixel's middle, and how far it is to the next, smoothed.
fn corner(pixel: usize, per_pixel: f32) -> (usize, f32) {
    let at = (pixel as f32 + 0.5) * per_pixel;
    let share = at.fract();
    (at as usize, share * share * (3.0 - 2.0 * share))
}

/// A number from -1 to 1 of a corner: a mixed (lowbias32 of Wellons) hash, the same on every machine.
fn random(seed: u32, layer: u32, x: u32, y: u32) -> f32 {
    let mut hash = 0x9e37_79b9_u32;
    for part in [seed, layer, x, y] {
        hash ^= part;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x7feb_352d);
        hash ^= hash >> 15;
        hash = hash.wrapping_mul(0x846c_a68b);
        hash ^= hash >> 16;
    }
    (hash >> 8) as f32 / (1 << 23) as f32 - 1.0
}
