//! Pictures of scenes: objects painted one after another on white, anti-aliased by exact area.

use super::coverage::coverage;
use super::look::{Figure, Texture};
use super::{Canvas, Scene, World};
use image::RgbImage;

/// The picture of `scene`: sRGB, blended linearly in its 8-bit values (as matplotlib and browsers do), later objects over
/// earlier ones.
///
/// # Panics
/// If the scene is not of `world` ([`Scene::check`]) or the canvas is refused by [`Canvas::check`].
pub fn render(scene: &Scene, world: &World, canvas: &Canvas) -> RgbImage {
    let mut image = RgbImage::from_pixel(canvas.width, canvas.height, image::Rgb([255; 3]));
    let bytes: &mut [u8] = &mut image;
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
    match figure.texture {
        Texture::Solid => 1.0,
        Texture::Hatched => {
            let period = (figure.size * canvas.frame[0] / 5.0).max(2.0);
            let in_stripe = |shift: f64| {
                f64::from(u8::from((column as f64 + row as f64 + shift).rem_euclid(period) < period / 2.0))
            };
            // Eight lines across the pixel, so that edges of stripes are soft.
            (0..8).map(|k| in_stripe((f64::from(k) + 0.5) / 4.0)).sum::<f64>() / 8.0
        }
    }
}
