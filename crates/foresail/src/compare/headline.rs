//! One sentence in plain words: which policy to trust, and why.

use foresail_core::value::slo::Slo;
use foresail_web::page::text::number;
use foresail_web::read_model::{FrontierPoint, PolicyReport, non_dominated};

/// Costs that differ by less than this share count as the same.
const SAME: f64 = 0.01;

/// Shares of requests that differ by less than this, in percent, count as the same.
const SAME_PERCENT: f64 = 0.005;

/// What one policy or setting came to.
#[derive(Clone, Debug)]
struct Candidate {
    name: String,
    cost: f64,
    share: f64,
}

fn candidates(policies: &[PolicyReport]) -> Vec<Candidate> {
    let one = |p: &PolicyReport| {
        let (cost, share) = (p.measure("cost")?, p.measure("violations_percent")?);
        Some(Candidate {
            name: p.name.clone(),
            cost,
            share,
        })
    };
    policies.iter().filter_map(one).collect()
}

fn settings(frontier: &[FrontierPoint]) -> Vec<Candidate> {
    let name = |p: &FrontierPoint| {
        format!(
            "the plain HPA at {} % CPU with a down window of {} s",
            p.target_percent, p.down_window_seconds
        )
    };
    frontier
        .iter()
        .map(|p| Candidate {
            name: name(p),
            cost: p.cost,
            share: p.violations_percent,
        })
        .collect()
}

/// The headline, and sentences that add to it.
pub(super) fn headline(
    policies: &[PolicyReport],
    frontier: &[FrontierPoint],
    slo: &Slo,
) -> (String, Vec<String>) {
    let allowed = (1.0 - slo.share) * 100.0;
    let all = candidates(policies);
    let kept = |c: &&Candidate| c.share <= allowed + 1e-9;
    let cheapest = |list: &[Candidate]| {
        list.iter()
            .filter(kept)
            .min_by(|a, b| a.cost.total_cmp(&b.cost))
            .cloned()
    };
    let best = cheapest(&all);
    let plain = cheapest(&settings(frontier));
    let sentence = match (&best, &plain) {
        (Some(best), Some(plain)) if (plain.cost / best.cost - 1.0).abs() < SAME => format!(
            "{} keeps the promise ({slo}) for {}, and {} for as much: there is little to gain here.",
            best.name,
            number(best.cost, 2),
            plain.name
        ),
        (Some(best), Some(plain)) if plain.cost < best.cost => format!(
            "{} keeps the promise ({slo}) for {}, but {} does it for {}: tune the HPA before anything else.",
            best.name,
            number(best.cost, 2),
            plain.name,
            number(plain.cost, 2)
        ),
        (Some(best), Some(plain)) => format!(
            "Trust {}: it keeps the promise ({slo}) for {}, {} % less than the best plain HPA that keeps it.",
            best.name,
            number(best.cost, 2),
            number((1.0 - best.cost / plain.cost) * 100.0, 0)
        ),
        (Some(best), None) => format!(
            "Trust {}: it keeps the promise ({slo}) for {}.",
            best.name,
            number(best.cost, 2)
        ),
        (None, Some(plain)) => format!(
            "No policy as set keeps the promise ({slo}), but {} does, for {}: tune the HPA before anything else.",
            plain.name,
            number(plain.cost, 2)
        ),
        (None, None) => match all.iter().min_by(|a, b| a.share.total_cmp(&b.share)) {
            Some(nearest) => format!(
                "Nothing that was tried keeps the promise ({slo}); {} comes nearest, {} % of its requests broke it.",
                nearest.name,
                number(nearest.share, 2)
            ),
            None => "No policy was run.".to_owned(),
        },
    };
    (sentence, against_frontier(&all, frontier))
}

/// For each policy that is no plain HPA: what the same money buys on the HPA's frontier.
fn against_frontier(policies: &[Candidate], frontier: &[FrontierPoint]) -> Vec<String> {
    let line = non_dominated(frontier);
    let mut better = Vec::new();
    let mut worse = Vec::new();
    for policy in policies.iter().filter(|p| p.name != "hpa") {
        // The best that a plain HPA does for no more money.
        let affordable = line.iter().rev().find(|p| p.cost <= policy.cost);
        match affordable {
            None => {}
            Some(hpa) if (policy.share - hpa.violations_percent).abs() < SAME_PERCENT => {}
            Some(hpa) if policy.share < hpa.violations_percent => better.push(policy.name.as_str()),
            Some(hpa) => worse.push(format!(
                "{} ({} % against {} % at {} %, {} s)",
                policy.name,
                number(policy.share, 2),
                number(hpa.violations_percent, 2),
                hpa.target_percent,
                hpa.down_window_seconds
            )),
        }
    }
    let mut notes = Vec::new();
    if !better.is_empty() {
        notes.push(format!(
            "For its money no plain HPA keeps more than: {}.",
            better.join(", ")
        ));
    }
    if !worse.is_empty() {
        notes.push(format!(
            "A plain HPA breaks the promise less often for no more money than: {}.",
            worse.join("; ")
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_web::read_model::{Better, Measure};

    fn policy(name: &str, cost: f64, share: f64) -> PolicyReport {
        let measure = |key: &str, value| Measure {
            key: key.to_owned(),
            name: String::new(),
            meaning: String::new(),
            value,
            digits: 2,
            better: Better::Lower,
        };
        PolicyReport {
            name: name.to_owned(),
            summary: String::new(),
            pipeline: String::new(),
            measures: vec![measure("cost", cost), measure("violations_percent", share)],
            ready: vec![],
            current: vec![],
            capacity: vec![],
            violations: vec![],
            wait_tail: vec![],
            told: vec![],
        }
    }

    fn hpa(cost: f64, violations_percent: f64) -> FrontierPoint {
        FrontierPoint {
            target_percent: 50,
            down_window_seconds: 60,
            cost,
            violations_percent,
        }
    }

    #[test]
    fn the_sentence_follows_the_figures() {
        let slo = "wait<200ms:99%".parse().unwrap();
        let check = |policies: &[PolicyReport], frontier: &[FrontierPoint], want: &str| {
            let (sentence, _) = headline(policies, frontier, &slo);
            assert!(sentence.contains(want), "{sentence}");
        };
        check(&[policy("kpa", 10.0, 0.5)], &[hpa(20.0, 0.9)], "Trust kpa");
        check(&[policy("kpa", 10.0, 0.5)], &[hpa(20.0, 0.9)], "50 % less");
        check(
            &[policy("kpa", 30.0, 0.5)],
            &[hpa(20.0, 0.9)],
            "tune the HPA",
        );
        check(
            &[policy("kpa", 30.0, 5.0)],
            &[hpa(20.0, 0.9)],
            "No policy as set keeps",
        );
        check(
            &[policy("kpa", 30.0, 5.0)],
            &[hpa(20.0, 9.0)],
            "Nothing that was tried",
        );
    }
}
