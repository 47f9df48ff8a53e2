//! What a step was worth.
//!
//! r = α·SP·|R| + (1 − α)·Σ RU − penalties: SP the SLO preserved, RU the share used of each resource
//! that was asked for, R the resources. A reversal of the step before and a growing lag cost; an
//! illegal action is worth −1. Both penalties lower the reward: the published code adds the negative
//! of a negative constant and so pays for going back and forth, and weighs memory half by a lost bracket.
//! Source: AWARE (ATC 2023) 3.2 and its artifact's `rl_env.py`; the weight 0.7 is the artifact's.

use foresail_core::quantity::units::{larger, smaller};
use serde::{Deserialize, Serialize};

use super::axes::Move;

/// The weights of a reward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Reward {
    /// Weight of the SLO against utilization, 0 to 1.
    pub slo_weight: f64,
    /// What a reversal of the step before costs, on each axis.
    pub reversal: f64,
    /// What a growing lag costs.
    pub lag: f64,
    /// What an illegal action is worth.
    pub illegal: f64,
}

impl Default for Reward {
    fn default() -> Self {
        Self {
            slo_weight: 0.7,
            reversal: 0.1,
            lag: 0.1,
            illegal: -1.0,
        }
    }
}

/// What is known of a step when it is over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepMeasured {
    /// The SLO preserved, 0 to 1.
    pub preserved: f64,
    /// The share used of each resource that was asked for; above 1 counts as 1.
    pub used: Vec<f64>,
    /// How far the work that waits has grown, as a share of what came; zero or less where it shrank.
    pub lag_growth: f64,
}

impl Reward {
    /// The reward of a step with these moves after those before.
    ///
    /// Units: between 0 and the number of resources, less the penalties.
    #[must_use]
    pub fn of(&self, step: &StepMeasured, moves: &[Move], before: &[Move]) -> f64 {
        let resources = step.used.len() as f64;
        let used: f64 = step
            .used
            .iter()
            .map(|u| smaller(larger(*u, 0.0), 1.0))
            .sum();
        let kept = smaller(larger(step.preserved, 0.0), 1.0);
        let worth = self.slo_weight * kept * resources + (1.0 - self.slo_weight) * used;
        let pairs = moves.iter().zip(before);
        let reversed = pairs.filter(|(now, then)| now.sign() * then.sign() < 0);
        let lags = if step.lag_growth > 0.0 { self.lag } else { 0.0 };
        worth - self.reversal * reversed.count() as f64 - lags
    }
}

/// The SLO preserved where a share `late` of the requests was late and `promised` (0 to 1) in time
/// was promised: the metric allowed over the metric measured, at most 1.
///
/// Source: AWARE 3.2: "SP is the ratio of the SLO to the measured metric".
#[must_use]
pub fn preserved(late: f64, promised: f64) -> f64 {
    let allowed = 1.0 - promised;
    if late <= allowed {
        1.0
    } else {
        larger(allowed, 0.0) / late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: [Move; 3] = [Move::Hold; 3];

    fn step(preserved: f64, used: [f64; 2]) -> StepMeasured {
        StepMeasured {
            preserved,
            used: used.to_vec(),
            lag_growth: 0.0,
        }
    }

    /// Sign test: the published code raises the reward by both.
    #[test]
    fn reversals_and_growing_lag_lower_the_reward() {
        let reward = Reward::default();
        let calm = reward.of(&step(1.0, [0.5, 0.5]), &CALM, &CALM);
        let up = [Move::Up, Move::Hold, Move::Hold];
        let down = [Move::Down, Move::Hold, Move::Hold];
        let reversed = reward.of(&step(1.0, [0.5, 0.5]), &down, &up);
        assert!((calm - reversed - reward.reversal).abs() < 1e-12);
        let same_way = reward.of(&step(1.0, [0.5, 0.5]), &up, &up);
        assert!((calm - same_way).abs() < 1e-12);
        let mut lagging = step(1.0, [0.5, 0.5]);
        lagging.lag_growth = 0.01;
        let lagged = reward.of(&lagging, &CALM, &CALM);
        assert!((calm - lagged - reward.lag).abs() < 1e-12);
    }

    /// (cpu + memory) / 2, not cpu + memory / 2.
    #[test]
    fn resources_weigh_alike() {
        let reward = Reward::default();
        let of = |used| reward.of(&step(1.0, used), &CALM, &CALM);
        assert!((of([0.4, 0.8]) - of([0.8, 0.4])).abs() < 1e-12);
        assert!((of([0.4, 0.8]) - (0.7 * 2.0 + 0.3 * 1.2)).abs() < 1e-12);
        assert!((of([2.0, 1.0]) - 2.0).abs() < 1e-12, "at most |R|");
    }

    #[test]
    fn the_slo_is_preserved_by_the_share_of_what_is_allowed() {
        assert!((preserved(0.0, 0.99) - 1.0).abs() < 1e-12);
        assert!((preserved(0.01, 0.99) - 1.0).abs() < 1e-9);
        assert!((preserved(0.02, 0.99) - 0.5).abs() < 1e-9);
        assert!(preserved(0.5, 1.0).abs() < 1e-12);
    }
}
