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
            "the plain HPA at {}\u{a0}% CPU with a down window of {}\u{a0}s",
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

/// For each policy that is no plain HPA: whether it lies below the line of the plain HPAs tried.
///
/// The line is the one that the figure draws: straight between neighbours, so that a policy which
/// costs a little less than the next setting is not praised for the gap.
fn against_frontier(policies: &[Candidate], frontier: &[FrontierPoint]) -> Vec<String> {
    let line = non_dominated(frontier);
    let mut better = Vec::new();
    let mut worse = Vec::new();
    for policy in policies.iter().filter(|p| p.name != "hpa") {
        let Some(share) = on_line(&line, policy.cost) else {
            continue;
        };
        if (policy.share - share).abs() < SAME_PERCENT {
            continue;
        }
        if policy.share < share {
            better.push(policy.name.as_str());
        } else {
            worse.push(format!(
                "{} ({} % against about {} %)",
                policy.name,
                number(policy.share, 2),
                number(share, 2)
            ));
        }
    }
    let tried = frontier.len();
    let mut notes = Vec::new();
    if !better.is_empty() {
        notes.push(format!(
            "Below the line of the {tried} plain-HPA settings that were tried: {}.",
            better.join(", ")
        ));
    }
    if !worse.is_empty() {
        notes.push(format!(
            "Above the line of plain-HPA settings, which break the promise less often for the same money: {}.",
            worse.join("; ")
        ));
    }
    notes
}

/// What the line gives at a cost, in percent; `None` for less money than its first point.
///
/// Between two points the share is interpolated as the figure draws it, on a logarithmic axis.
fn on_line(line: &[&FrontierPoint], cost: f64) -> Option<f64> {
    let next = line.partition_point(|p| p.cost <= cost);
    let before = line.get(next.checked_sub(1)?)?;
    let Some(after) = line.get(next) else {
        return Some(before.violations_percent);
    };
    let part = (cost - before.cost) / (after.cost - before.cost);
    let logarithm = |p: &FrontierPoint| p.violations_percent.max(SAME_PERCENT).ln();
    let between = logarithm(before) + part * (logarithm(after) - logarithm(before));
    Some(between.exp())
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
            archetypes: Vec::new(),
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
    fn a_policy_is_praised_only_below_the_line_between_two_settings() {
        let line = [hpa(88.0, 11.8), hpa(100.5, 5.4)];
        let told = |cost, share| {
            let (_, notes) = headline(
                &[policy("p", cost, share)],
                &line,
                &"wait<200ms:99%".parse().unwrap(),
            );
            notes.join(" ")
        };
        assert!(
            told(100.0, 8.6).contains("Above the line"),
            "{}",
            told(100.0, 8.6)
        );
        assert!(told(100.0, 5.0).contains("Below the line"));
        assert!(told(80.0, 50.0).is_empty(), "less money than any setting");
        assert!(told(200.0, 5.3).contains("Below the line"));
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
