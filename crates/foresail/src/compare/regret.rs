//! What each policy costs above the oracle, and what the oracle is in this report.

use foresail_core::value::slo::Slo;
use foresail_sim::fluid::oracle::{Corner, least_cost};
use foresail_web::page::text::number;
use foresail_web::read_model::{Better, Measure, OraclePoint, OracleReport, PolicyReport};

/// What is said of an oracle that is exact, and of one that is a reference.
const EXACT: &str = "the least cost of any plan in this model, by dynamic programming with full knowledge of demand; no policy can be left of it";
const REFERENCE: &str = "the plan that is the cheapest in fluid mode, flown here with full knowledge of demand: a reference, not a bound, so that a policy may lie left of it";

/// The oracle of a report, from its corners in requests that broke the promise.
pub(super) fn report(corners: &[Corner], requests: f64, exact: bool) -> OracleReport {
    let mut points: Vec<_> = corners
        .iter()
        .map(|c| OraclePoint {
            cost: c.cost,
            violations_percent: c.violations * 100.0 / requests.max(1.0),
        })
        .collect();
    points.sort_by(|a, b| {
        a.cost
            .total_cmp(&b.cost)
            .then(a.violations_percent.total_cmp(&b.violations_percent))
    });
    points.dedup();
    OracleReport {
        exact,
        summary: if exact { EXACT } else { REFERENCE }.to_owned(),
        points,
    }
}

/// The cheapest point with at most this share of violations, in percent.
fn cheapest(oracle: &OracleReport, violations_percent: f64) -> Option<f64> {
    let corner = |p: &OraclePoint| Corner {
        price: 0.0,
        cost: p.cost,
        violations: p.violations_percent,
    };
    let corners: Vec<_> = oracle.points.iter().map(corner).collect();
    least_cost(&corners, violations_percent).map(|c| c.cost)
}

/// Adds the column of regret: cost above the oracle's at no more violations; no number where the
/// oracle has no such point.
pub(super) fn add(policies: &mut [PolicyReport], oracle: &OracleReport) {
    let kind = if oracle.exact {
        "exact"
    } else {
        "a reference, so that it may be below zero"
    };
    for policy in policies {
        let known = policy
            .measure("cost")
            .zip(policy.measure("violations_percent"));
        let regret =
            known.and_then(|(cost, violations)| Some(cost - cheapest(oracle, violations)?));
        let measure = Measure {
            key: "regret".to_owned(),
            name: "regret".to_owned(),
            meaning: format!(
                "cost above that of the oracle, which knows all demand to come, at no more broken promises ({kind}); a dash where the oracle was not shown with so few"
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
pub(super) fn note(oracle: &OracleReport, slo: &Slo) -> Option<String> {
    let cost = cheapest(oracle, (1.0 - slo.share) * 100.0)?;
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
        }
    }

    #[test]
    fn regret_is_against_the_cheapest_point_that_keeps_as_much() {
        let corner = |cost, violations| Corner {
            price: 1.0,
            cost,
            violations,
        };
        let corners = [corner(10.0, 50.0), corner(20.0, 10.0), corner(40.0, 1.0)];
        let oracle = report(&corners, 1000.0, true);
        let mut policies = [policy(50.0, 1.0), policy(45.0, 0.5), policy(90.0, 0.05)];
        add(&mut policies, &oracle);
        let regrets = policies.each_ref().map(|p| p.measure("regret").unwrap());
        assert!((regrets[0] - 30.0).abs() < 1e-9 && (regrets[1] - 5.0).abs() < 1e-9);
        assert!(regrets[2].is_nan(), "no point with so few");
        let note = note(&oracle, &"wait<200ms:99%".parse().unwrap()).unwrap();
        assert!(note.contains("for 20.00"), "{note}");
    }
}
