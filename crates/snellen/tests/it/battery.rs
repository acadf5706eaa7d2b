//! Questions of the battery beyond recognition and binding, asked of examinees whose answers are known beforehand.

mod additive;
mod generalisation;
mod paraphrases;
mod pictures;
mod same_object;
