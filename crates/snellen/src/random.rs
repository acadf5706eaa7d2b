//! Randomness that is an argument: independent named streams of one seed.
//!
//! Work that is split among threads draws from one stream per item, so that the same seed gives the same bytes at any
//! thread count.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of item `index` of the purpose `name` under `seed`.
///
/// Streams of different names, indices or seeds are independent of one another (their keys are BLAKE3 hashes of the
/// three); the same three always give the same numbers, on every machine.
#[must_use]
pub fn stream(seed: u64, name: &str, index: u64) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("snellen random stream v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&index.to_le_bytes());
    hasher.update(name.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// A seed of its own for item `index` of the purpose `name` under `seed`.
#[must_use]
pub fn seed(seed: u64, name: &str, index: u64) -> u64 {
    stream(seed, name, index).next_u64()
}

/// A standard normal number (Box & Muller 1958).
pub fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// A random rotation or reflection of `n` dimensions, each as likely as any other (Mezzadri 2007, math-ph/0609050).
pub fn rotation(n: usize, rng: &mut impl Rng) -> faer::Mat<f64> {
    let qr = faer::Mat::from_fn(n, n, |_, _| normal(rng)).qr();
    let (q, r) = (qr.compute_thin_Q(), qr.thin_R());
    faer::Mat::from_fn(n, n, |i, j| if r[(j, j)] < 0.0 { -q[(i, j)] } else { q[(i, j)] })
}

#[cfg(test)]
mod tests {
    use super::stream;
    use rand::Rng;

    #[test]
    fn a_stream_is_named_by_all_three() {
        let first = |seed, name, index| stream(seed, name, index).next_u64();
        assert_eq!(first(1, "toy", 2), first(1, "toy", 2));
        assert_ne!(first(1, "toy", 2), first(2, "toy", 2));
        assert_ne!(first(1, "toy", 2), first(1, "top", 2));
        assert_ne!(first(1, "toy", 2), first(1, "toy", 3));
    }

    #[test]
    fn the_numbers_never_change() {
        assert_eq!(stream(7, "toy", 0).next_u64(), 4_690_716_819_154_243_493);
    }
}
