//! Chance: one value-stable stream per component.

use foresail_core::quantity::units::smaller;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The one source of chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seed(pub u64);

impl Default for Seed {
    /// The seed where none is given: 42.
    fn default() -> Self {
        Self(42)
    }
}

/// A stream of its own for the component `name`.
///
/// ChaCha8 from blake3(seed as little endian ‖ name): the same on every platform, and one more draw
/// in one component shifts no other.
#[must_use]
pub fn child(seed: Seed, name: &str) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.0.to_le_bytes());
    hasher.update(name.as_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// A seed of its own for the part `name` of a work, which no seed that is counted up from `seed` meets.
#[must_use]
pub fn child_seed(seed: Seed, name: &str) -> Seed {
    Seed(child(seed, name).next_u64())
}

/// The next number of a stream, uniform in [0, 1).
pub fn uniform(stream: &mut impl Rng) -> f64 {
    smaller((stream.next_u64() >> 11) as f64 * 2_f64.powi(-53), 1.0)
}

/// The next number of a stream, standard normal.
///
/// Source: Box & Muller 1958, the cosine of the two.
pub fn normal(stream: &mut impl Rng) -> f64 {
    // From (0, 1]: the logarithm of zero is none.
    let radius = (-2.0 * (1.0 - uniform(stream)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(stream)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_the_same_again_and_differ_by_name_and_seed() {
        let first = |seed, name| child(Seed(seed), name).next_u64();
        assert_eq!(first(42, "arrivals"), first(42, "arrivals"));
        assert_ne!(first(42, "arrivals"), first(42, "startup"));
        assert_ne!(first(42, "arrivals"), first(43, "arrivals"));
    }

    #[test]
    fn the_seed_of_a_part_is_far_from_every_seed_that_is_counted_up() {
        let part = child_seed(Seed(7), "part");
        assert_eq!(part, child_seed(Seed(7), "part"));
        assert_ne!(part, child_seed(Seed(7), "other"));
        assert_ne!(part, child_seed(Seed(8), "part"));
        assert!(part.0 > 1_000_000, "{part:?}");
    }
}
