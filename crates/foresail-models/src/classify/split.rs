//! Which windows train, which validate and which test.
//!
//! Neighbouring windows share most of their steps, so that drawing them at random would put nearly
//! every tested window into the training too; it is not offered. Windows are split by time, with a
//! purge at the borders, or by function.

use crate::rng::{Seed, child, uniform};

/// A part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What a model is trained on.
    Train,
    /// What stops it and calibrates it.
    Validation,
    /// What it is scored on.
    Test,
}

/// Parts one after the other in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByTime {
    /// First step of the validation and of the test.
    pub begins: [usize; 2],
    /// Steps between a window of one part and one of the next, at least.
    pub purge: usize,
}

impl ByTime {
    /// AAPA's days 1 to 9, 10 to 11 and 12 to 14, in minutes, with an hour between.
    ///
    /// Source: specs of AAPA, section 1.1; the purge is this project's.
    pub const PAPER: Self = Self {
        begins: [9 * 1440, 11 * 1440],
        purge: super::WINDOW,
    };

    /// The part of a window of `length` steps from `begin` on; `None` where it lies on a border or
    /// within the purge that follows one.
    #[must_use]
    pub fn part(&self, begin: usize, length: usize) -> Option<Part> {
        let [validation, test] = self.begins;
        let end = begin + length;
        if end <= validation {
            Some(Part::Train)
        } else if begin >= validation + self.purge && end <= test {
            Some(Part::Validation)
        } else if begin >= test + self.purge {
            Some(Part::Test)
        } else {
            None
        }
    }
}

/// Every function whole in one part, drawn by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByFunction {
    /// Shares of functions that train and that validate; the rest test.
    pub shares: [f64; 2],
    /// The only source of chance.
    pub seed: Seed,
}

impl ByFunction {
    /// Nine, two and three of fourteen, as the paper's days.
    #[must_use]
    pub fn paper(seed: Seed) -> Self {
        Self {
            shares: [9.0 / 14.0, 2.0 / 14.0],
            seed,
        }
    }

    /// The part of a function; more functions do not change it.
    #[must_use]
    pub fn part(&self, id: &str) -> Part {
        let drawn = uniform(&mut child(self.seed, &format!("classify/split/{id}")));
        let [train, validation] = self.shares;
        if drawn < train {
            Part::Train
        } else if drawn < train + validation {
            Part::Validation
        } else {
            Part::Test
        }
    }
}

/// The part that both splits agree on: a test of functions and of times that were never seen.
#[must_use]
pub fn both(by_function: Part, by_time: Option<Part>) -> Option<Part> {
    by_time.filter(|part| *part == by_function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::window::Sliding;

    #[test]
    fn no_window_of_one_part_shares_a_step_with_another_part() {
        let (split, sliding) = (ByTime::PAPER, Sliding::default());
        let all = (0..sliding.count(14 * 1440)).map(|i| sliding.begin(i));
        let parts: Vec<(Part, usize)> = all
            .filter_map(|begin| Some((split.part(begin, 60)?, begin)))
            .collect();
        for pair in parts.windows(2) {
            let [(before, a), (after, b)] = [pair[0], pair[1]];
            assert!(before == after || b >= a + 60 + 60, "{a} {b}");
        }
        let days = |part| parts.iter().filter(|p| p.0 == part).count();
        // Whole days hold 144 begins each; a border costs at most the purge and the window.
        assert_eq!(days(Part::Train), 9 * 144 - 5);
        assert_eq!(days(Part::Validation), 2 * 144 - 5 - 6);
        assert_eq!(days(Part::Test), 3 * 144 - 5 - 6);
    }

    #[test]
    fn a_function_is_in_one_part_whatever_the_others_are() {
        let split = ByFunction::paper(Seed(7));
        let part = |i: usize| split.part(&format!("f{i}"));
        let count = |part_: Part| (0..4000).filter(|i| part(*i) == part_).count() as f64;
        for (of, share) in [
            (Part::Train, 9.0 / 14.0),
            (Part::Validation, 2.0 / 14.0),
            (Part::Test, 3.0 / 14.0),
        ] {
            // Three standard deviations of a binomial share of 4,000.
            assert!((count(of) / 4000.0 - share).abs() < 0.024, "{of:?}");
        }
        assert_eq!(both(Part::Train, Some(Part::Test)), None);
    }
}
