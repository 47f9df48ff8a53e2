//! The Resource Efficiency Index: promise kept, capacity used and steadiness in one number.
//!
//! Published in four definitions that differ in weights and in all three parts, two of which change
//! with the length of a run. Here every part is a share: twice the demand on twice the replicas, or
//! the same hour twice, gives the same index.
//! Source: AAPA, arXiv 2507.05653, section III-C; parts and weights: GuilinDev/aapa-simulator:
//! config/default.yaml and src/utils/metrics.py (steadiness).

use serde::{Deserialize, Serialize};

/// How much each part counts; they sum to one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    slo: f64,
    efficiency: f64,
    stability: f64,
}

/// Why weights are refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("weights must be 0 or more and sum to 1, these sum to {sum}")]
pub struct WeightsError {
    /// What they sum to.
    pub sum: f64,
}

impl Default for Weights {
    /// 0.5, 0.3 and 0.2, as in the published configuration.
    fn default() -> Self {
        Self {
            slo: 0.5,
            efficiency: 0.3,
            stability: 0.2,
        }
    }
}

impl Weights {
    /// Weights of the promise, of efficiency and of stability.
    ///
    /// # Errors
    /// [`WeightsError`] where one is below zero or no number, or where they do not sum to one.
    pub fn new(slo: f64, efficiency: f64, stability: f64) -> Result<Self, WeightsError> {
        let all = [slo, efficiency, stability];
        let sum: f64 = all.iter().sum();
        if all.iter().all(|w| *w >= 0.0) && (sum - 1.0).abs() < 1e-9 {
            Ok(Self {
                slo,
                efficiency,
                stability,
            })
        } else {
            Err(WeightsError { sum })
        }
    }

    /// The same weights with `step` moved from each part to each other, for a sensitivity table.
    #[must_use]
    pub fn moved(self, step: f64) -> Vec<Self> {
        let parts = [self.slo, self.efficiency, self.stability];
        let mut all = Vec::new();
        for from in 0..3 {
            for to in (0..3).filter(|to| *to != from) {
                let mut moved = parts;
                moved[from] -= step;
                moved[to] += step;
                all.extend(Self::new(moved[0], moved[1], moved[2]));
            }
        }
        all
    }

    /// The three weights: promise, efficiency, stability.
    #[must_use]
    pub fn parts(self) -> [f64; 3] {
        [self.slo, self.efficiency, self.stability]
    }
}

/// What a run came to, as the index counts it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Requests that came.
    pub requests: f64,
    /// Those that broke the promise, the ones never served included.
    pub violations: f64,
    /// Replica·minutes that requests kept busy.
    pub busy_minutes: f64,
    /// Replica·minutes paid for.
    pub replica_minutes: f64,
    /// Changes of direction per minute, from 0 to 1.
    pub flaps_per_minute: f64,
    /// Changes of the number of replicas in an hour.
    pub changes_per_hour: f64,
}

/// The index and its parts, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rei {
    /// Share of the requests that kept the promise.
    pub slo: f64,
    /// Capacity that was busy over capacity that was paid for.
    pub efficiency: f64,
    /// 1 / (1 + flaps a minute + changes an hour / 10).
    pub stability: f64,
}

impl Rei {
    /// The parts of a run; one without a request kept its promise and was of no use.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let share = |part: f64, whole: f64, none: f64| {
            if whole > 0.0 {
                (part / whole).clamp(0.0, 1.0)
            } else {
                none
            }
        };
        Self {
            slo: 1.0 - share(run.violations, run.requests, 0.0),
            efficiency: share(run.busy_minutes, run.replica_minutes, 0.0),
            stability: 1.0 / (1.0 + run.flaps_per_minute + run.changes_per_hour / 10.0),
        }
    }

    /// The index under these weights.
    #[must_use]
    pub fn index(&self, weights: Weights) -> f64 {
        let [slo, efficiency, stability] = weights.parts();
        slo * self.slo + efficiency * self.efficiency + stability * self.stability
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    const PARTS: Rei = Rei {
        slo: 0.95,
        efficiency: 0.8,
        stability: 0.5,
    };

    /// Source: specs/aapa_aquatope.md 3.4.
    #[test]
    fn the_published_weights_give_their_indices() {
        let of = |w: [f64; 3]| PARTS.index(Weights::new(w[0], w[1], w[2]).unwrap());
        assert!((of([0.5, 0.3, 0.2]) - 0.815).abs() < 1e-12);
        assert!((of([0.4, 0.3, 0.3]) - 0.77).abs() < 1e-12);
        assert!((of([0.6, 0.2, 0.2]) - 0.83).abs() < 1e-12);
        assert_eq!(
            Weights::default(),
            Weights::new(0.5, 0.3, 0.2).unwrap(),
            "the configuration's"
        );
    }

    #[test]
    fn weights_that_do_not_sum_to_one_are_refused() {
        let error = Weights::new(0.5, 0.3, 0.3).unwrap_err();
        assert!(error.to_string().contains("sum to 1.1"), "{error}");
        assert!(Weights::new(1.2, -0.1, -0.1).is_err());
        assert!(Weights::new(f64::NAN, 0.5, 0.5).is_err());
    }

    const RUN: Run = Run {
        requests: 1000.0,
        violations: 50.0,
        busy_minutes: 40.0,
        replica_minutes: 100.0,
        flaps_per_minute: 0.1,
        changes_per_hour: 5.0,
    };

    #[test]
    fn steadiness_is_as_published() {
        assert!((Rei::of(&RUN).stability - 0.625).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn twice_the_demand_on_twice_the_replicas_is_worth_the_same(factor in 0.01..1e4_f64) {
            let scaled = Run {
                requests: RUN.requests * factor,
                violations: RUN.violations * factor,
                busy_minutes: RUN.busy_minutes * factor,
                replica_minutes: RUN.replica_minutes * factor,
                ..RUN
            };
            let index = |r: &Run| Rei::of(r).index(Weights::default());
            prop_assert!((index(&scaled) - index(&RUN)).abs() < 1e-9);
        }

        #[test]
        fn more_violations_never_raise_it(a in 0.0..1000.0_f64, b in 0.0..1000.0_f64) {
            let of = |violations| Rei::of(&Run { violations, ..RUN }).index(Weights::default());
            prop_assert!(of(a.max(b)) <= of(a.min(b)) + 1e-12);
        }
    }
}
