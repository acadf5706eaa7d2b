//! Who sits the exam: anyone who gives images and texts embeddings of one space.

use crate::Result;
use crate::engine::Tensor;
use crate::measure::Matrix;
use crate::model::Model;
use image::RgbImage;

/// An encoder of images and texts, as the exam sees it: a [`Model`], a model that was changed, another program's model behind a
/// pair of functions.
pub trait Examinee {
    /// Height and width of the square images that it is shown, in pixels.
    fn side(&self) -> u32;

    /// Embeddings `[image, unit]` of some images, each of length 1.
    ///
    /// # Errors
    /// When it cannot be run.
    fn images(&self, images: &[RgbImage]) -> Result<Matrix>;

    /// Embeddings `[text, unit]` of some texts, each of length 1, in the same space.
    ///
    /// # Errors
    /// When it cannot be run, or has no text tower.
    fn texts(&self, texts: &[String]) -> Result<Matrix>;

    /// Whether it has a text tower.
    fn has_texts(&self) -> bool {
        true
    }

    /// Whether it reads every word of `texts`, to the end.
    ///
    /// # Errors
    /// Says what it cannot read: a text that is too long, or a word it does not know.
    fn reads(&self, _texts: &[String]) -> Result<()> {
        Ok(())
    }

    /// The model whose activations can be recorded, where there is one.
    fn model(&self) -> Option<&Model> {
        None
    }
}

impl Examinee for Model {
    fn side(&self) -> u32 {
        self.config.vision.image as u32
    }

    fn images(&self, images: &[RgbImage]) -> Result<Matrix> {
        matrix(&self.encode_pictures(images, &mut ())?)
    }

    fn texts(&self, texts: &[String]) -> Result<Matrix> {
        matrix(&self.encode_texts(texts, &mut ())?)
    }

    fn reads(&self, texts: &[String]) -> Result<()> {
        self.tokenizer()?.encode(texts).map(|_| ())
    }

    fn has_texts(&self) -> bool {
        self.config.text().is_ok()
    }

    fn model(&self) -> Option<&Model> {
        Some(self)
    }
}

fn matrix(rows: &Tensor<f32>) -> Result<Matrix> {
    Matrix::new(rows.dim(0), rows.width(), rows.data().to_vec())
}
