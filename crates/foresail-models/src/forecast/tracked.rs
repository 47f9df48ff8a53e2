//! Forecasts that wait for the truth, at a few horizons; what is known there serves those between.

use std::collections::VecDeque;

use foresail_core::quantity::series::Series;
use serde::{Deserialize, Serialize};

use super::quantile::normal_quantile;

/// The horizons that are tracked.
pub const AHEAD: [usize; 12] = [1, 2, 4, 7, 12, 20, 35, 60, 120, 240, 480, 1440];

/// The levels that are tracked.
pub const LEVELS: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975];

/// The median's place in [`LEVELS`].
pub const MEDIAN: usize = 4;

/// Quantiles at [`LEVELS`].
pub type Quantiles = [f64; LEVELS.len()];

/// Forecasts of one horizon that are awaited at most: far ones overlap, and are not made each step.
pub const AWAITED_MAX: usize = 12;

/// A horizon is tracked where the history is so many times as long.
const HISTORY_PER_AHEAD: usize = 4;

/// The horizons that a history of so many points lets track; the nearest always.
pub fn horizons(points: usize) -> impl Iterator<Item = usize> {
    let enough = move |ahead: &usize| *ahead == 1 || *ahead * HISTORY_PER_AHEAD <= points;
    AHEAD.into_iter().filter(enough)
}

/// Steps between the tracked forecasts of a horizon.
#[must_use]
pub fn stride(ahead: usize) -> u64 {
    ahead.div_ceil(AWAITED_MAX) as u64
}

/// The quantile at `level`: between tracked levels linearly, beyond them as a normal tail.
#[must_use]
pub fn at_level(quantiles: &Quantiles, level: f64) -> f64 {
    let last = LEVELS.len() - 1;
    let above = LEVELS.partition_point(|l| *l < level);
    let tail = |edge: usize| {
        let reach = normal_quantile(level) / normal_quantile(LEVELS[edge]);
        quantiles[MEDIAN] + reach * (quantiles[edge] - quantiles[MEDIAN])
    };
    match above {
        0 if level < LEVELS[0] => tail(0),
        0 => quantiles[0],
        above if above > last => tail(last),
        _ => {
            let share = (level - LEVELS[above - 1]) / (LEVELS[above] - LEVELS[above - 1]);
            quantiles[above - 1] + share * (quantiles[above] - quantiles[above - 1])
        }
    }
}

/// Which of the horizons `known`, rising, lie around one, and how far it is from lower to upper.
///
/// Both are the outermost where it lies beyond. `known` must not be empty.
#[must_use]
pub fn around(known: &[usize], ahead: usize) -> (usize, usize, f64) {
    let above = known.partition_point(|k| *k < ahead);
    if above == 0 || above == known.len() || known[above] == ahead {
        let at = above.min(known.len().saturating_sub(1));
        return (at, at, 0.0);
    }
    let (low, high) = (known[above - 1], known[above]);
    let share = (ahead - low) as f64 / (high - low) as f64;
    (above - 1, above, share)
}

/// Forecasts of one horizon that wait for their step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Awaited<T> {
    said: VecDeque<(u64, T)>,
}

impl<T> Default for Awaited<T> {
    fn default() -> Self {
        Self {
            said: VecDeque::new(),
        }
    }
}

impl<T> Awaited<T> {
    /// Remembers what was said of step `due`.
    pub fn say(&mut self, due: u64, said: T) {
        self.said.push_back((due, said));
    }

    /// What was said of `step`, once it is there.
    pub fn due(&mut self, step: u64) -> Option<T> {
        let said = self.said.pop_front_if(|(due, _)| *due <= step);
        said.filter(|(due, _)| *due == step).map(|(_, said)| said)
    }

    /// Everything that is awaited.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.said.iter().map(|(_, said)| said)
    }

    /// How many are awaited.
    #[must_use]
    pub fn len(&self) -> usize {
        self.said.len()
    }

    /// `true` where nothing is awaited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }
}

/// The first part of a history, and the steps after it: at most `most` and at most a third.
#[must_use]
pub fn parted(history: &Series, most: usize) -> (Series, Vec<Option<f64>>) {
    let later = (history.len() / 3).min(most);
    let first = history.len() - later;
    let values: Vec<f64> = history.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
    let part = Series::new(history.start(), history.step(), values[..first].to_vec());
    (part, history.iter().skip(first).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_horizons_and_levels_the_way_is_straight() {
        assert_eq!(around(&[1, 4, 12], 8), (1, 2, 0.5));
        assert_eq!(around(&[1, 4, 12], 4), (1, 1, 0.0));
        assert_eq!(around(&[1, 4, 12], 90), (2, 2, 0.0));
        let standard = LEVELS.map(normal_quantile);
        for level in [0.001, 0.01, 0.99, 0.999] {
            let exact = normal_quantile(level);
            assert!((at_level(&standard, level) - exact).abs() < 1e-9, "{level}");
        }
    }

    #[test]
    fn what_was_said_of_a_step_that_was_passed_over_is_forgotten() {
        let mut awaited = Awaited::default();
        awaited.say(3, 'a');
        awaited.say(5, 'b');
        assert_eq!(awaited.due(2), None);
        assert_eq!(awaited.due(4), None);
        assert_eq!(awaited.due(5), Some('b'));
    }
}
