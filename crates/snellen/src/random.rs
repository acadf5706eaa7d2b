//! Randomness that is an argument: independent named streams of one seed.
//!
//! Work that is split among threads draws from one stream per item, so that the same seed gives the same bytes at any
//! thread count.

use rand::SeedableRng;
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
