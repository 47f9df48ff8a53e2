//! What a tuner was told, plan by plan.

use foresail_core::propose::advice::{Best, Measurement, Trial};
use foresail_core::propose::plan::Plan;

/// One plan with everything that was measured of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// What was tried.
    pub plan: Plan,
    /// Objective of each measurement.
    pub objectives: Vec<f64>,
    /// Excess of each.
    pub excesses: Vec<f64>,
    /// `false` where the SLO broke in one of them.
    pub slo_met: bool,
}

impl Tried {
    /// Mean of the objective.
    #[must_use]
    pub fn objective(&self) -> f64 {
        mean(&self.objectives)
    }

    /// Mean excess.
    #[must_use]
    pub fn excess(&self) -> f64 {
        mean(&self.excesses)
    }

    /// `true` where the constraint was kept: on the mean, and the SLO each time.
    #[must_use]
    pub fn feasible(&self) -> bool {
        self.slo_met && self.excess() <= 0.0
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Every plan that was measured, in the order in which it was first told of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    tried: Vec<Tried>,
}

impl Told {
    /// Takes in a measurement; one without a finite objective and excess says nothing.
    pub fn add(&mut self, trial: &Trial, measurement: &Measurement) {
        let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
        let both = (finite(measurement.objective), finite(measurement.excess));
        let (Some(objective), Some(excess)) = both else {
            return;
        };
        let known = self.tried.iter_mut().find(|t| t.plan == trial.plan);
        if let Some(tried) = known {
            tried.objectives.push(objective);
            tried.excesses.push(excess);
            tried.slo_met &= measurement.slo_met;
        } else {
            self.tried.push(Tried {
                plan: trial.plan.clone(),
                objectives: vec![objective],
                excesses: vec![excess],
                slo_met: measurement.slo_met,
            });
        }
    }

    /// Every plan that was measured.
    #[must_use]
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// The cheapest that kept the constraint, else the one that missed it by the least.
    #[must_use]
    pub fn best(&self) -> Option<Best> {
        let feasible = self.tried.iter().filter(|t| t.feasible());
        let cheapest = feasible.min_by(|a, b| a.objective().total_cmp(&b.objective()));
        let nearest = || {
            let by = |a: &&Tried, b: &&Tried| a.excess().total_cmp(&b.excess());
            self.tried.iter().min_by(by)
        };
        cheapest.or_else(nearest).map(|tried| Best {
            plan: tried.plan.clone(),
            objective: tried.objective(),
            excess: tried.excess(),
            feasible: tried.feasible(),
        })
    }
}
