//! Where a learner is in its life: Algorithm 1 of AWARE.
//!
//! INITIALIZED goes to OFFLINE with bootstrapping, else to ONLINE; OFFLINE to ONLINE when the mean
//! reward of the window reaches the bootstrap threshold; ONLINE to SERVING when it reaches the serving
//! threshold with little spread; SERVING back to ONLINE when it falls below or spreads. (The printed
//! pseudo-code tests `state` and sets `stage`: one variable here.) What the paper does not have and
//! must be: from ONLINE back to OFFLINE, that is to the heuristic, where the learner earns less than
//! the rules do.
//! Source: AWARE (ATC 2023), Algorithm 1 and 3.4.

use std::collections::VecDeque;

use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

/// Where a learner is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Stage {
    /// Nothing was done yet.
    #[default]
    Initialized,
    /// The heuristic acts, the learner learns from it.
    Offline,
    /// The learner acts and learns.
    Online,
    /// The learner acts and learns no more.
    Serving,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Initialized => "INITIALIZED",
            Self::Offline => "OFFLINE",
            Self::Online => "ONLINE",
            Self::Serving => "SERVING",
        })
    }
}

/// The thresholds of Algorithm 1, in reward per episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Thresholds {
    /// `false`: no bootstrapping.
    pub bootstrap: bool,
    /// Mean reward from which the learner may act.
    pub online: f64,
    /// Mean reward from which it learns no more.
    pub serving: f64,
    /// Standard deviation up to which it learns no more.
    pub variance: f64,
    /// Episodes in the window.
    pub window: usize,
}

impl Default for Thresholds {
    /// The paper's and the artifact's.
    fn default() -> Self {
        Self {
            bootstrap: true,
            online: 130.0,
            serving: 100.0,
            variance: 10.0,
            window: 10,
        }
    }
}

/// The rewards of the last episodes, and the stage that they lead to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lifecycle {
    stage: Stage,
    rewards: VecDeque<f64>,
}

impl Lifecycle {
    /// Where the learner is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Mean reward of the window; `None` before the first episode in this stage.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count = self.rewards.len() as f64;
        (count > 0.0).then(|| self.rewards.iter().sum::<f64>() / count)
    }

    /// Standard deviation of the window; `None` before the first episode in this stage.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let mean = self.mean()?;
        let squares = self.rewards.iter().map(|r| (r - mean) * (r - mean));
        let variance = squares.sum::<f64>() / self.rewards.len() as f64;
        Some(larger(variance, 0.0).sqrt())
    }

    /// Episodes in the window.
    #[must_use]
    pub fn episodes(&self) -> usize {
        self.rewards.len()
    }

    /// Goes to a stage; its window begins anew, but that of a learner that is found good: a fall is
    /// to be seen in the first episode that it serves.
    pub fn enter(&mut self, stage: Stage) {
        if stage != self.stage {
            self.stage = stage;
            if stage != Stage::Serving {
                self.rewards.clear();
            }
        }
    }

    /// Takes in what an episode earned and returns the stage that follows.
    ///
    /// Algorithm 1 as printed: thresholds are looked at once the window is full, that of a way back
    /// too. A reward that is not a number counts as none.
    pub fn episode(&mut self, reward: f64, thresholds: &Thresholds) -> Stage {
        if self.stage == Stage::Initialized {
            self.enter(if thresholds.bootstrap {
                Stage::Offline
            } else {
                Stage::Online
            });
        }
        if !reward.is_finite() {
            return self.stage;
        }
        self.rewards.push_back(reward);
        while self.rewards.len() > thresholds.window.max(1) {
            self.rewards.pop_front();
        }
        if self.rewards.len() == thresholds.window.max(1)
            && let Some(mean) = self.mean()
            && let Some(deviation) = self.deviation()
        {
            self.enter(next(self.stage, mean, deviation, thresholds));
        }
        self.stage
    }
}

/// Algorithm 1: the stage after one whose window has this mean and standard deviation.
#[must_use]
pub fn next(stage: Stage, mean: f64, deviation: f64, thresholds: &Thresholds) -> Stage {
    let good = mean >= thresholds.serving && deviation <= thresholds.variance;
    match stage {
        Stage::Initialized if thresholds.bootstrap => Stage::Offline,
        Stage::Initialized => Stage::Online,
        Stage::Offline if mean >= thresholds.online => Stage::Online,
        Stage::Offline => Stage::Offline,
        Stage::Online | Stage::Serving if good => Stage::Serving,
        Stage::Online | Stage::Serving => Stage::Online,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All states and both sides of each threshold, by hand from the paper.
    #[test]
    fn algorithm_1_by_table() {
        let paper = Thresholds::default();
        let bare = Thresholds {
            bootstrap: false,
            ..paper
        };
        let table = [
            (Stage::Initialized, 0.0, 0.0, paper, Stage::Offline),
            (Stage::Initialized, 0.0, 0.0, bare, Stage::Online),
            (Stage::Offline, 129.9, 0.0, paper, Stage::Offline),
            (Stage::Offline, 130.0, 99.0, paper, Stage::Online),
            (Stage::Online, 99.9, 0.0, paper, Stage::Online),
            (Stage::Online, 100.0, 10.1, paper, Stage::Online),
            (Stage::Online, 100.0, 10.0, paper, Stage::Serving),
            (Stage::Serving, 100.0, 10.0, paper, Stage::Serving),
            (Stage::Serving, 99.9, 0.0, paper, Stage::Online),
            (Stage::Serving, 150.0, 10.1, paper, Stage::Online),
        ];
        for (stage, mean, deviation, thresholds, want) in table {
            let got = next(stage, mean, deviation, &thresholds);
            assert_eq!(got, want, "{stage} {mean} {deviation}");
        }
    }

    #[test]
    fn a_window_of_ten_leads_through_all_stages_and_back() {
        let thresholds = Thresholds::default();
        let mut life = Lifecycle::default();
        let mut stages = Vec::new();
        for _ in 0..10 {
            stages.push(life.episode(140.0, &thresholds));
        }
        assert_eq!(stages[8], Stage::Offline);
        assert_eq!(stages[9], Stage::Online);
        for _ in 0..10 {
            life.episode(140.0, &thresholds);
        }
        assert_eq!(life.stage(), Stage::Serving);
        life.episode(f64::NAN, &thresholds);
        assert_eq!(life.stage(), Stage::Serving, "no reward is none");
        life.episode(90.0, &thresholds);
        assert_eq!(life.stage(), Stage::Online, "within one episode");
    }
}
