//! Pictures of scenes: objects painted one after another on white, anti-aliased by exact area.

use super::coverage::coverage;
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
        let paint = world.colors[object.color].rgb.map(f64::from);
        for (row, left, shares) in coverage(object, canvas).rows() {
            let pixels = bytes[row * stride + 3 * left..].as_chunks_mut::<3>().0;
            for (pixel, share) in pixels.iter_mut().zip(shares).filter(|(_, share)| **share > 0.0) {
                for (channel, paint) in pixel.iter_mut().zip(paint) {
                    *channel = (f64::from(*channel) * (1.0 - share) + paint * share).round() as u8;
                }
            }
        }
    }
    image
}
