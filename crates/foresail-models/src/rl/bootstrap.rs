//! Who acts: the heuristic first, the learner once it is as good, the heuristic again where it is not.
//!
//! For the first episodes the heuristic (HPA and VPA) acts and the learner learns from what was
//! executed. From then on the learner may act once its offline value is at least what the heuristic
//! earns; it goes back when the moving average of its episodes falls below the heuristic's by more
//! than the hysteresis, or one episode by more than that and two standard deviations of the
//! heuristic's own. (The published replication switches once, unconditionally, and never back.)
//! Source: AWARE (ATC 2023) 3.4; specs/hpa_aware_studies.md 2.6.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::lifecycle::{Lifecycle, Stage, Thresholds};

/// Who acts in an episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Acting {
    /// HPA and VPA.
    #[default]
    Heuristic,
    /// The learner.
    Learner,
}

/// The rules of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BootstrapRules {
    /// Episodes that belong to the heuristic; 0 = no bootstrapping, the learner acts at once.
    pub episodes: usize,
    /// Episodes of a moving average.
    pub window: usize,
    /// How far below the heuristic's average the learner's may fall, as a share of it.
    pub hysteresis: f64,
    /// `false`: the learner is never sent back (as published).
    pub way_back: bool,
    /// `false`: the switch asks for no value (as the replication does it).
    pub asks_value: bool,
}

impl Default for BootstrapRules {
    fn default() -> Self {
        Self {
            episodes: 50,
            window: 10,
            hysteresis: 0.02,
            way_back: true,
            asks_value: true,
        }
    }
}

impl BootstrapRules {
    /// No bootstrapping: the learner acts from the first episode on and is never sent back.
    #[must_use]
    pub fn none() -> Self {
        Self {
            episodes: 0,
            way_back: false,
            asks_value: false,
            ..Self::default()
        }
    }
}

/// Remembers what heuristic and learner earn, and says who acts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bootstrapper {
    rules: BootstrapRules,
    acting: Acting,
    /// Episodes of the heuristic since it began to act.
    since: usize,
    heuristic: VecDeque<f64>,
    learner: VecDeque<f64>,
    /// Times that the learner was sent back.
    fallbacks: u32,
}

impl Bootstrapper {
    /// At the begin.
    #[must_use]
    pub fn new(rules: BootstrapRules) -> Self {
        let acting = if rules.episodes == 0 {
            Acting::Learner
        } else {
            Acting::Heuristic
        };
        Self {
            rules,
            acting,
            ..Self::default()
        }
    }

    /// Who acts in the next episode.
    #[must_use]
    pub fn acting(&self) -> Acting {
        self.acting
    }

    /// Times that the learner was sent back to the heuristic.
    #[must_use]
    pub fn fallbacks(&self) -> u32 {
        self.fallbacks
    }

    /// What the heuristic earns per episode, over its last episodes.
    #[must_use]
    pub fn baseline(&self) -> Option<f64> {
        mean(&self.heuristic)
    }

    /// What an episode of the learner is thought to earn, where its moves are worth so many times those
    /// that were executed; `None` where that, or what the heuristic earns, is not known.
    #[must_use]
    pub fn value(&self, advantage: Option<f64>) -> Option<f64> {
        Some(advantage? * self.baseline()?)
    }

    /// Takes in what the episode earned and what the learner is thought to earn in one (`value`, where
    /// that could be judged); tells the lifecycle, and returns who acts next.
    ///
    /// A reward that is not a number counts as none, and as a fall where the learner earned it.
    pub fn episode(
        &mut self,
        reward: f64,
        value: Option<f64>,
        life: &mut Lifecycle,
        thresholds: &Thresholds,
    ) -> Acting {
        let window = self.rules.window.max(1);
        match self.acting {
            Acting::Heuristic => {
                self.since += 1;
                remember(&mut self.heuristic, reward, window);
                life.enter(Stage::Offline);
                if self.may_switch(value) {
                    self.acting = Acting::Learner;
                    self.learner.clear();
                    life.enter(Stage::Online);
                }
            }
            Acting::Learner => {
                if life.stage() != Stage::Serving {
                    life.enter(Stage::Online);
                }
                life.episode(reward, thresholds);
                remember(&mut self.learner, reward, window);
                if self.rules.way_back && self.has_fallen(reward) {
                    self.acting = Acting::Heuristic;
                    self.since = 0;
                    self.fallbacks += 1;
                    life.enter(Stage::Offline);
                }
            }
        }
        self.acting
    }

    fn may_switch(&self, value: Option<f64>) -> bool {
        // Sent back, it waits for as long as a moving average takes to be its own.
        let least = if self.fallbacks == 0 {
            self.rules.episodes
        } else {
            self.rules.window.max(1)
        };
        if self.since < least {
            return false;
        }
        if !self.rules.asks_value {
            return true;
        }
        matches!((value, self.baseline()), (Some(v), Some(b)) if v >= b)
    }

    fn has_fallen(&self, reward: f64) -> bool {
        if !reward.is_finite() {
            return true;
        }
        let (Some(earns), Some(baseline)) = (mean(&self.learner), self.baseline()) else {
            return false;
        };
        let least = baseline - self.rules.hysteresis * baseline.abs();
        // One episode alone says so where it lies outside what the heuristic's own scatter explains.
        earns < least || reward < least - 2.0 * deviation(&self.heuristic, baseline)
    }
}

fn remember(rewards: &mut VecDeque<f64>, reward: f64, window: usize) {
    if reward.is_finite() {
        rewards.push_back(reward);
        while rewards.len() > window {
            rewards.pop_front();
        }
    }
}

fn deviation(rewards: &VecDeque<f64>, mean: f64) -> f64 {
    let squares = rewards.iter().map(|r| (r - mean) * (r - mean));
    (squares.sum::<f64>() / rewards.len().max(1) as f64).sqrt()
}

fn mean(rewards: &VecDeque<f64>) -> Option<f64> {
    let count = rewards.len() as f64;
    (count > 0.0).then(|| rewards.iter().sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fly(
        boot: &mut Bootstrapper,
        life: &mut Lifecycle,
        rewards: &[f64],
        value: f64,
    ) -> Vec<Acting> {
        let thresholds = Thresholds::default();
        let one = |r: &f64| boot.episode(*r, Some(value), life, &thresholds);
        rewards.iter().map(one).collect()
    }

    #[test]
    fn the_heuristic_acts_for_fifty_episodes_and_longer_where_the_learner_is_worth_less() {
        let (mut boot, mut life) = (
            Bootstrapper::new(BootstrapRules::default()),
            Lifecycle::default(),
        );
        let acted = fly(&mut boot, &mut life, &[130.0; 60], 129.0);
        assert!(acted.iter().all(|a| *a == Acting::Heuristic));
        assert_eq!(life.stage(), Stage::Offline);
        let mut boot = Bootstrapper::new(BootstrapRules::default());
        let acted = fly(&mut boot, &mut life, &[130.0; 60], 131.0);
        let first = acted.iter().position(|a| *a == Acting::Learner);
        assert_eq!(first, Some(49), "episodes 0 to 49 are the heuristic's");
        assert_eq!(life.stage(), Stage::Serving);
    }

    #[test]
    fn a_fall_in_serving_leads_to_the_heuristic_within_one_episode() {
        let (mut boot, mut life) = (
            Bootstrapper::new(BootstrapRules::default()),
            Lifecycle::default(),
        );
        fly(&mut boot, &mut life, &[130.0; 50], 131.0);
        fly(&mut boot, &mut life, &[140.0; 20], 140.0);
        assert_eq!(life.stage(), Stage::Serving);
        assert_eq!(
            fly(&mut boot, &mut life, &[20.0], 140.0),
            [Acting::Heuristic]
        );
        assert_eq!((life.stage(), boot.fallbacks()), (Stage::Offline, 1));
        // It may try again after a window of its own, not after fifty episodes.
        let again = fly(&mut boot, &mut life, &[130.0; 10], 140.0);
        assert_eq!(again[8..], [Acting::Heuristic, Acting::Learner]);
    }

    #[test]
    fn a_slight_fall_leads_back_to_learning_and_no_further() {
        let (mut boot, mut life) = (
            Bootstrapper::new(BootstrapRules::default()),
            Lifecycle::default(),
        );
        fly(&mut boot, &mut life, &[100.0; 50], 131.0);
        fly(&mut boot, &mut life, &[140.0; 20], 140.0);
        assert_eq!(
            fly(&mut boot, &mut life, &[101.0], 140.0),
            [Acting::Learner]
        );
        assert_eq!(life.stage(), Stage::Online);
        assert_eq!(
            fly(&mut boot, &mut life, &[f64::NAN], 140.0),
            [Acting::Heuristic],
            "a reward that is none is a fall"
        );
    }
}
