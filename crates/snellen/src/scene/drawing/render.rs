//! Pictures of scenes: objects painted one after another on their background, anti-aliased by exact area.

use super::canvas::Canvas;
use super::coverage::coverage;
use super::look::{Figure, Texture};
use crate::scene::{Scene, World};
use image::RgbImage;

/// The picture of `scene`: sRGB, blended linearly in its 8-bit values (as matplotlib and browsers do), later objects over
/// earlier ones.
///
/// # Panics
/// If the scene is not of `world` ([`Scene::check`]) or the canvas is refused by [`Canvas::check`].
pub fn render(scene: &Scene, world: &World, canvas: &Canvas) -> RgbImage {
    let mut image = RgbImage::new(canvas.width, canvas.height);
    let bytes: &mut [u8] = &mut image;
    world.background.paint(scene.background, canvas, bytes);
    let stride = 3 * canvas.width as usize;
    for object in &scene.objects {
        let figure = world.figure(object);
        let paint = figure.paint.map(f64::from);
        for (row, left, shares) in coverage(&figure, canvas).rows() {
            let pixels = bytes[row * stride + 3 * left..].as_chunks_mut::<3>().0;
            for ((pixel, share), column) in
                pixels.iter_mut().zip(shares).zip(left..).filter(|((_, share), _)| **share > 0.0)
            {
                let share = share * painted(&figure, canvas, [column, row]);
                for (channel, paint) in pixel.iter_mut().zip(paint) {
                    *channel = (f64::from(*channel) * (1.0 - share) + paint * share).round() as u8;
                }
            }
        }
    }
    image
}

/// The share of a pixel inside of `figure` that is painted.
fn painted(figure: &Figure, canvas: &Canvas, [column, row]: [usize; 2]) -> f64 {
    let period = (figure.size * canvas.frame[0] / 5.0).max(2.0);
    // Eight lines across the pixel, so that edges are soft.
    let lines = || (0..8).map(|k| (f64::from(k) + 0.5) / 8.0);
    let first_half = |at: f64| at.rem_euclid(period) < period / 2.0;
    match figure.texture {
        Texture::Solid => 1.0,
        Texture::Hatched => {
            let in_stripe = |line: &f64| first_half(column as f64 + row as f64 + 2.0 * line);
            lines().filter(in_stripe).count() as f64 / 8.0
        }
        Texture::Checkered => {
            let share = |at: usize| lines().filter(|line| first_half(at as f64 + line)).count() as f64 / 8.0;
            let (across, down) = (share(column), share(row));
            across * down + (1.0 - across) * (1.0 - down)
        }
    }
}
