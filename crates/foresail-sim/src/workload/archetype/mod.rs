//! Demand whose archetype is known, because it was made so.
//!
//! [`windows`] gives single hours for training and scoring classifiers, [`Functions`] gives
//! functions that keep their archetype over days for the simulator. Counts are Poisson around a
//! rate of one shape; every window and function has a stream of its own, so that a larger set
//! begins with the smaller one.

mod functions;
mod shape;

pub use functions::Functions;

use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::{WINDOW, Window};
use foresail_models::rng::Seed;
use rayon::prelude::*;

use crate::rng::Stream;
use shape::Ranges;

/// How hard the archetypes of generated windows are to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Strong shapes on plenty of requests.
    Easy,
    /// Weak shapes too, down to two requests a minute.
    Hard,
}

impl Kind {
    /// Its name as it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Hard => "hard",
        }
    }

    const fn ranges(self) -> &'static Ranges {
        match self {
            Self::Easy => &shape::EASY,
            Self::Hard => &shape::HARD,
        }
    }
}

/// One window of a set: the `index`-th of its class, a count for each of [`WINDOW`] minutes.
///
/// Idle gives zeros.
#[must_use]
pub fn window(kind: Kind, archetype: Archetype, index: usize, seed: Seed) -> Window {
    let name = format!("archetype/{}/{archetype}/{index}", kind.name());
    let mut stream = Stream::of(seed, &name);
    let ranges = kind.ranges();
    let rates = match archetype {
        Archetype::Spike => shape::spike(ranges, WINDOW, &mut stream),
        Archetype::Periodic => shape::periodic(ranges, WINDOW, &mut stream),
        Archetype::Ramp => shape::ramp(ranges, WINDOW, &mut stream),
        Archetype::Stationary => shape::stationary(ranges, WINDOW, &mut stream),
        Archetype::Idle => vec![0.0; WINDOW],
    };
    std::array::from_fn(|minute| stream.poisson(rates[minute]) as f64)
}

/// Windows of known archetype, `per_class` of each of [`Archetype::CLASSES`], the classes in turn.
#[must_use]
pub fn windows(kind: Kind, per_class: usize, seed: Seed) -> Vec<(Archetype, Window)> {
    let classes = Archetype::CLASSES;
    (0..per_class * classes.len())
        .into_par_iter()
        .map(|i| {
            let archetype = classes[i % classes.len()];
            (archetype, window(kind, archetype, i / classes.len(), seed))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_set_begins_with_the_smaller_one_and_seeds_differ() {
        let of = |n, seed| windows(Kind::Hard, n, Seed(seed));
        assert_eq!(of(3, 1), of(5, 1)[..12]);
        assert_ne!(of(3, 1), of(3, 2));
    }

    #[test]
    fn windows_are_whole_counts_and_the_classes_come_in_turn() {
        for (i, (archetype, window)) in windows(Kind::Easy, 50, Seed(3)).iter().enumerate() {
            assert_eq!(*archetype, Archetype::CLASSES[i % 4]);
            assert!(window.iter().all(|c| *c >= 0.0 && c.fract() == 0.0));
        }
    }
}
