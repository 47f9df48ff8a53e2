//! What is known of each plan: every measurement, and which of them are in doubt.

use foresail_core::propose::plan::Plan;
use foresail_core::quantity::units::larger;

use crate::forecast::quantile::of_values;

/// One measurement of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    /// The trial's number.
    pub(super) trial: u64,
    /// Absent where the trial was called off because the constraint broke.
    pub(super) objective: Option<f64>,
    pub(super) excess: f64,
    pub(super) slo_met: bool,
}

/// One plan.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) plan: Plan,
    /// Its place in the box.
    pub(super) point: Vec<f64>,
    /// Its measurements since the search was opened last.
    pub(super) measured: Vec<Measured>,
    /// How often it could not be measured.
    pub(super) misses: u32,
    /// Measured again often enough: it is doubted no more.
    pub(super) settled: bool,
    /// Looked at for doubts before.
    pub(super) seen: bool,
}

impl Known {
    pub(super) const fn new(plan: Plan, point: Vec<f64>) -> Self {
        Self {
            plan,
            point,
            measured: Vec::new(),
            misses: 0,
            settled: false,
            seen: false,
        }
    }

    /// The objective that stands for the plan.
    pub(super) fn objective(&self) -> Option<f64> {
        let values: Vec<f64> = self.measured.iter().filter_map(|m| m.objective).collect();
        (!values.is_empty()).then(|| middle(values))
    }

    /// The excess that stands for the plan.
    pub(super) fn excess(&self) -> Option<f64> {
        let values: Vec<f64> = self.measured.iter().map(|m| m.excess).collect();
        (!values.is_empty()).then(|| middle(values))
    }

    /// `true` where the constraint was kept, and the SLO each time.
    pub(super) fn feasible(&self) -> bool {
        self.excess().is_some_and(|e| e <= 0.0) && self.measured.iter().all(|m| m.slo_met)
    }

    /// By what the variance of one measurement is multiplied for the value that stands.
    ///
    /// The mean of two halves it. The median's is π/2 times the mean's for many and 1.35 times for
    /// three: 1.5 is between.
    pub(super) fn share(&self) -> f64 {
        let n = larger(self.measured.len() as f64, 1.0);
        if n < 3.0 { 1.0 / n } else { 1.5 / n }
    }
}

/// The mean of up to two values, the median of more.
fn middle(values: Vec<f64>) -> f64 {
    of_values(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(rows: &[(Option<f64>, f64, bool)]) -> Known {
        let mut known = Known::new(Plan::default(), vec![0.5]);
        for (trial, (objective, excess, slo_met)) in rows.iter().enumerate() {
            known.measured.push(Measured {
                trial: trial as u64,
                objective: *objective,
                excess: *excess,
                slo_met: *slo_met,
            });
        }
        known
    }

    #[test]
    fn one_wrong_measurement_of_three_does_not_stand_for_a_plan() {
        let wrong = known(&[
            (Some(50.0), 40.0, true),
            (Some(5.0), -1.0, true),
            (Some(5.2), -1.2, true),
        ]);
        assert!((wrong.objective().unwrap() - 5.2).abs() < 1e-12);
        assert!((wrong.excess().unwrap() + 1.0).abs() < 1e-12);
        assert!(wrong.feasible());
        let two = known(&[(Some(4.0), 1.0, true), (None, 2.0, true)]);
        assert!((two.objective().unwrap() - 4.0).abs() < 1e-12);
        assert!((two.excess().unwrap() - 1.5).abs() < 1e-12 && !two.feasible());
        assert!(!known(&[(Some(4.0), -1.0, false)]).feasible());
        assert!(!known(&[]).feasible() && known(&[]).objective().is_none());
    }
}
