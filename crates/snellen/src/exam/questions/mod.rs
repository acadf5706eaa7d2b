//! The questions, a file each.

mod acuity;
mod additive;
mod binding;
mod counting;
mod generalisation;
mod paraphrases;
mod pictures;
mod recognition;
mod same_object;

pub use acuity::Acuity;
pub use additive::Additive;
pub use binding::Binding;
pub use counting::Counting;
pub use generalisation::Generalisation;
pub use paraphrases::Paraphrases;
pub use pictures::OwnPictures;
pub use recognition::Recognition;
pub use same_object::SameObject;
