//! What each policy costs above the oracle, and what the oracle is in this report.

use foresail_core::value::slo::Slo;
use foresail_sim::fluid::oracle::{Corner, least_cost, lower_bound};
use foresail_web::page::text::number;
use foresail_web::read_model::{Better, Measure, OraclePoint, OracleReport, PolicyReport};

/// What is said of an oracle that is exact, and of one that is a reference.
const EXACT: &str = "the least cost of any plan in this model, by dynamic programming with full knowledge of demand; no policy can be left of it";
const REFERENCE: &str = "the plan that is the cheapest in fluid mode, flown here with full knowledge of demand: a reference, not a bound, so that a policy may lie left of it";

/// The oracle of a comparison, its corners in requests.
#[derive(Clone, Debug)]
pub(super) struct Oracle {
    pub(super) corners: Vec<Corner>,
    /// Requests that came.
    pub(super) requests: f64,
    /// `true` where no plan of the model can be better; else a reference.
    pub(super) exact: bool,
}

impl Oracle {
    fn percent(&self, violations: f64) -> f64 {
        violations * 100.0 / self.requests.max(1.0)
    }

    /// What is shown of it.
    pub(super) fn report(&self) -> OracleReport {
        let point = |c: &Corner| OraclePoint {
            cost: c.cost,
            violations_percent: self.percent(c.violations),
        };
        let mut points: Vec<_> = self.corners.iter().map(point).collect();
        points.sort_by(|a, b| {
            a.cost
                .total_cmp(&b.cost)
                .then(a.violations_percent.total_cmp(&b.violations_percent))
        });
        points.dedup();
        OracleReport {
            exact: self.exact,
            summary: if self.exact { EXACT } else { REFERENCE }.to_owned(),
            points,
        }
    }

    /// The oracle's cost at no more violations: exact, the line through its corners, which no plan
    /// is below; else its cheapest point.
    fn cost_at(&self, violations_percent: f64) -> Option<f64> {
        let violations = violations_percent / 100.0 * self.requests;
        if self.exact {
            (!self.corners.is_empty()).then(|| lower_bound(&self.corners, violations))
        } else {
            least_cost(&self.corners, violations).map(|c| c.cost)
        }
    }
}

/// Adds the column of regret: cost above the oracle's at no more violations; no number where the
/// oracle has no such point.
pub(super) fn add(policies: &mut [PolicyReport], oracle: &Oracle) {
    let kind = if oracle.exact {
        "exact in this model, never below zero"
    } else {
        "a reference, so that it may be below zero; a dash where the oracle was not flown with so few"
    };
    for policy in policies {
        let known = policy
            .measure("cost")
            .zip(policy.measure("violations_percent"));
        let regret = known.and_then(|(cost, violations)| Some(cost - oracle.cost_at(violations)?));
        let measure = Measure {
            key: "regret".to_owned(),
            name: "regret".to_owned(),
            meaning: format!(
                "cost above that of the oracle, which knows all demand to come, at no more broken promises ({kind})"
            ),
            value: regret.unwrap_or(f64::NAN),
            digits: 2,
            better: Better::Lower,
        };
        let place = policy.measures.iter().position(|m| m.key == "cost");
        policy.measures.insert(place.map_or(0, |p| p + 1), measure);
    }
}

/// What one who knew the future would pay to keep the promise.
pub(super) fn note(oracle: &Oracle, slo: &Slo) -> Option<String> {
    let allowed = (1.0 - slo.share) * oracle.requests;
    let cost = least_cost(&oracle.corners, allowed)?.cost;
    let kind = if oracle.exact {
        "the least that is possible in this model"
    } else {
        "a reference, not a bound"
    };
    Some(format!(
        "One who knew all demand to come would keep the promise for {} ({kind}).",
        number(cost, 2)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(cost: f64, violations: f64) -> PolicyReport {
        let measure = |key: &str, value| Measure {
            key: key.to_owned(),
            name: String::new(),
            meaning: String::new(),
            value,
            digits: 2,
            better: Better::Lower,
        };
        PolicyReport {
            name: "p".to_owned(),
            summary: String::new(),
            pipeline: String::new(),
            measures: vec![
                measure("violations_percent", violations),
                measure("cost", cost),
            ],
            ready: vec![],
            current: vec![],
            capacity: vec![],
            violations: vec![],
            wait_tail: vec![],
            told: vec![],
            archetypes: Vec::new(),
        }
    }

    #[test]
    fn regret_is_against_the_cheapest_point_that_keeps_as_much() {
        let corner = |cost, violations| Corner {
            price: 1.0,
            cost,
            violations,
        };
        let corners = vec![corner(10.0, 500.0), corner(20.0, 100.0), corner(40.0, 10.0)];
        let (requests, exact) = (1000.0, false);
        let oracle = Oracle {
            corners,
            requests,
            exact,
        };
        let mut policies = [policy(50.0, 1.0), policy(45.0, 0.5), policy(90.0, 30.0)];
        add(&mut policies, &oracle);
        let regrets = policies.each_ref().map(|p| p.measure("regret").unwrap());
        assert!((regrets[0] - 10.0).abs() < 1e-9, "{regrets:?}");
        assert!(regrets[1].is_nan(), "no point with so few");
        assert!((regrets[2] - 70.0).abs() < 1e-9, "{regrets:?}");
        let note = note(&oracle, &"wait<200ms:99%".parse().unwrap()).unwrap();
        assert!(note.contains("for 40.00"), "{note}");
    }

    #[test]
    fn an_exact_oracle_is_the_line_through_its_corners() {
        let corner = |price, cost, violations| Corner {
            price,
            cost,
            violations,
        };
        let corners = vec![corner(0.1, 20.0, 100.0), corner(0.1, 25.0, 50.0)];
        let oracle = Oracle {
            corners,
            requests: 1000.0,
            exact: true,
        };
        let mut policies = [policy(30.0, 8.0), policy(30.0, 1.0)];
        add(&mut policies, &oracle);
        let regrets = policies.each_ref().map(|p| p.measure("regret").unwrap());
        assert!((regrets[0] - 8.0).abs() < 1e-9, "{regrets:?}");
        assert!(
            (regrets[1] - 5.0).abs() < 1e-9,
            "as few as can be: {regrets:?}"
        );
    }
}
