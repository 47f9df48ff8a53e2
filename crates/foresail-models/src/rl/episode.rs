//! Episodes as they were flown, and the best of them.

use serde::{Deserialize, Serialize};

use super::axes::{Moves, one_hot};

/// One step of an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeStep {
    /// What was seen before it.
    pub state: Vec<f32>,
    /// What was executed, not what was wished.
    pub moves: Moves,
    /// What it was worth.
    pub reward: f32,
}

impl EpisodeStep {
    /// What a recurrent net reads of the step: the state, the moves one-hot, the reward.
    #[must_use]
    pub fn features(&self) -> Vec<f32> {
        let mut features = self.state.clone();
        features.extend(one_hot(&self.moves));
        features.push(self.reward);
        features
    }
}

/// One episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Episode {
    /// Its steps, in order.
    pub steps: Vec<EpisodeStep>,
}

impl Episode {
    /// What it earned in all.
    #[must_use]
    pub fn reward(&self) -> f64 {
        self.steps.iter().map(|s| f64::from(s.reward)).sum()
    }
}

/// The best episodes on one workload, by total reward; of equals the newer.
///
/// Keyed by reward and number: two equal rewards are two episodes. (The published buffer is keyed by
/// the reward alone, so that equal ones overwrite each other and a later removal fails.)
/// Source: AWARE (ATC 2023) 3.3: the top M = 20 trajectories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    most: usize,
    next: u64,
    /// Number and episode, the best first.
    kept: Vec<(u64, Episode)>,
}

impl Best {
    /// At most so many episodes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            next: 0,
            kept: Vec::new(),
        }
    }

    /// Takes in an episode, where it is among the best; one without steps or with a reward that is
    /// not a number is none.
    pub fn insert(&mut self, episode: Episode) {
        let reward = episode.reward();
        if episode.steps.is_empty() || !reward.is_finite() {
            return;
        }
        let place = self.kept.partition_point(|(_, e)| e.reward() > reward);
        self.kept.insert(place, (self.next, episode));
        self.next += 1;
        self.kept.truncate(self.most);
    }

    /// The best of them, at most so many.
    #[must_use]
    pub fn at_most(&self, most: usize) -> Self {
        let mut best = Self {
            most,
            ..self.clone()
        };
        best.kept.truncate(most);
        best
    }

    /// The episodes, the best first.
    #[must_use]
    pub fn episodes(&self) -> impl ExactSizeIterator<Item = &Episode> {
        self.kept.iter().map(|(_, e)| e)
    }

    /// `true` before the first.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Forgets all: another workload has begun.
    pub fn clear(&mut self) {
        self.kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(reward: f32) -> Episode {
        let step = EpisodeStep {
            state: vec![0.0],
            moves: Vec::new(),
            reward,
        };
        Episode { steps: vec![step] }
    }

    #[test]
    fn equal_rewards_are_two_episodes_and_the_worst_goes_first() {
        let mut best = Best::new(3);
        for reward in [5.0, 5.0, 1.0, f32::NAN, 7.0, 5.0] {
            best.insert(episode(reward));
        }
        let kept: Vec<f64> = best.episodes().map(Episode::reward).collect();
        assert_eq!(kept, [7.0, 5.0, 5.0]);
        let numbers: Vec<u64> = best.kept.iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, [3, 4, 1], "the newer of equals comes first");
    }
}
