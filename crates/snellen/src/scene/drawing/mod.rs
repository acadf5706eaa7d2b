//! From a scene to its picture: figures on a background, painted by the exact area of every pixel that they cover, and their masks.

mod background;
mod canvas;
mod coverage;
mod look;
pub mod mask;
mod outline;
mod render;

pub use background::Background;
pub use canvas::{Canvas, MAX_SIDE};
pub use look::{Figure, Look, Outline, Texture};
pub use render::render;
