//! `foresail explain NAME`: the decision that an object's status tells.
//!
//! A status holds what was decided and why, not the engine's state; so a `--what-if` answers only
//! what follows from the story itself. A flight record answers every one.

use std::io::Write;

use anyhow::{Result, bail};
use foresail_adapters::kubernetes::crd::status::DecisionStatus;
use foresail_adapters::kubernetes::crd::{CombineRule, PredictiveAutoscaler};
use foresail_core::explain::{Explanation, Told};
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::{Quantity, Replicas};
use serde_json::{Value, json};

use super::approve::is_meant;
use super::describe::last_decision;
use super::{Cluster, refusal};
use crate::cli::Output;
use crate::cli::explain::waterfall;
use crate::exit::Code;

/// What is asked of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    pub(crate) at: Option<Timestamp>,
    pub(crate) decision: Option<&'a str>,
    pub(crate) what_if: &'a [String],
    pub(crate) output: Output,
}

/// The name of the axis that is told.
const REPLICAS: &str = "replicas";

/// Explains the last decision of an object, or an earlier one as far as its status tells it.
///
/// # Errors
/// Where there is no such object or decision, or a `--what-if` needs more than a status.
pub(crate) fn explain(asked: &Asked<'_>, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let object = cluster.wait(cluster.object(asked.name))?;
    let what = cluster.what(asked.name);
    let status = object.status.clone().unwrap_or_default();
    let last = last_decision(&status)?;
    let meant = |e: &Explanation| match (asked.at, asked.decision) {
        (Some(at), _) => e.at <= at,
        (None, Some(id)) => is_meant(&e.id, id),
        (None, None) => true,
    };
    if let Some(told) = last.filter(meant) {
        return whole(asked, &object, &told, out);
    }
    let before = |d: &&DecisionStatus| match (asked.at, asked.decision) {
        (Some(at), _) => d.at.is_some_and(|t| t <= at),
        (None, Some(id)) => is_meant(&d.id, id),
        (None, None) => false,
    };
    let Some(found) = status.decisions.iter().rev().find(before) else {
        let told = match status.last_decision {
            None => format!("{what} has decided nothing yet; is its controller running?"),
            Some(_) => format!(
                "{what} has no such decision any more; `foresail describe {}` shows those that it has",
                asked.name
            ),
        };
        return Err(refusal(Code::NotFound, told));
    };
    short(asked, found, out)
}

/// The whole story.
fn whole(
    asked: &Asked<'_>,
    object: &PredictiveAutoscaler,
    told: &Explanation,
    out: &mut dyn Write,
) -> Result<Code> {
    let mut others = Vec::new();
    for change in asked.what_if {
        others.push((change.as_str(), without(change, told, object)?));
    }
    match asked.output {
        Output::Json => {
            let mut value = serde_json::to_value(told)?;
            let list = others.iter().map(|(change, other)| match other {
                Other::Decided(value) => json!({"without": change, "decided": value}),
                Other::Wanted(value) => json!({"without": change, "wanted": value}),
            });
            value["counterfactuals"] = Value::Array(list.collect());
            writeln!(out, "{value}")?;
        }
        Output::Table | Output::Csv => {
            waterfall(told, &[], out)?;
            for (change, other) in &others {
                match other {
                    Other::Decided(value) => {
                        writeln!(
                            out,
                            "  {:<16} {:>6}   with {change}",
                            "what if",
                            shown(value)
                        )?;
                    }
                    Other::Wanted(value) => writeln!(
                        out,
                        "  {:<16} {:>6}   wanted with {change}, before any guard",
                        "what if",
                        shown(value)
                    )?,
                }
            }
        }
    }
    Ok(Code::Done)
}

/// What the ring of past decisions still tells of one.
fn short(asked: &Asked<'_>, found: &DecisionStatus, out: &mut dyn Write) -> Result<Code> {
    if !asked.what_if.is_empty() {
        bail!(
            "--what-if: of {} only the outcome is kept; ask of the last decision, or of a flight record",
            found.id
        );
    }
    if asked.output == Output::Json {
        let mut value = serde_json::to_value(found)?;
        value["v"] = json!(1);
        writeln!(out, "{value}")?;
        return Ok(Code::Done);
    }
    let known = |n: Option<i32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let at = found.at.map_or_else(String::new, |at| format!(" at {at}"));
    writeln!(
        out,
        "{}{at}  {} → {}",
        found.id,
        known(found.current),
        known(found.decided)
    )?;
    if let Some(guard) = &found.binding {
        writeln!(out, "  bound by {guard}")?;
    }
    if let Some(outcome) = &found.outcome {
        writeln!(out, "  {outcome}")?;
    }
    writeln!(
        out,
        "  of this decision only the outcome is kept; its whole story is in the controller's log"
    )?;
    Ok(Code::Done)
}

fn shown(told: &Told) -> String {
    told.get(REPLICAS)
        .map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// What would have been without something.
#[derive(Clone, Debug, PartialEq)]
enum Other {
    /// The decision: what was left out came last.
    Decided(Told),
    /// Only what would have been wanted: guards are not asked again.
    Wanted(Told),
}

fn replicas(n: Replicas) -> Told {
    Told::from([(REPLICAS.to_owned(), Quantity::from(n))])
}

/// What the decision would have been without a guard, a proposer, or the floor.
fn without(change: &str, told: &Explanation, object: &PredictiveAutoscaler) -> Result<Other> {
    let Some(("without", name)) = change.split_once('=') else {
        bail!(
            "--what-if {change}: a status holds no engine to ask again; write without=GUARD, without=PROPOSER or without=floor, or explain a flight record"
        );
    };
    if let Some(place) = told.limits.iter().position(|l| l.by.to_string() == name) {
        let later = told.limits[place + 1..]
            .iter()
            .find(|l| l.by != told.limits[place].by);
        if let Some(later) = later {
            bail!(
                "--what-if {change}: {} bound after it, and what it would do then stands in no status; explain a flight record",
                later.by
            );
        }
        let mut decided = told.decided.clone();
        for limit in told.limits[place..].iter().rev() {
            decided.insert(limit.axis.to_string(), limit.from);
        }
        return Ok(Other::Decided(decided));
    }
    let is_proposer = told.proposals.iter().any(|p| p.by == name);
    if name != "floor" && !is_proposer {
        let mut names: Vec<String> = told.limits.iter().map(|l| l.by.to_string()).collect();
        names.extend(told.proposals.iter().map(|p| p.by.clone()));
        names.push("floor".to_owned());
        bail!(
            "--what-if {change}: nothing of that name took part; these did: {}",
            names.join(", ")
        );
    }
    let wishes = told
        .proposals
        .iter()
        .filter(|p| p.by != name && p.gate.is_none())
        .filter_map(|p| p.wish.get(REPLICAS).map(|q| q.replicas()));
    let wanted = combined(object.spec.combine.rule, wishes.collect());
    let floor = told.reactive.filter(|_| name != "floor");
    let wanted = match (wanted, floor) {
        (Some(wanted), Some(floor)) => Some(wanted.max(floor)),
        (wanted, floor) => wanted.or(floor),
    };
    Ok(Other::Wanted(
        wanted.map_or_else(|| told.current.clone(), replicas),
    ))
}

/// Several wishes as one.
///
/// Source: foresail_core::spec::CombineRule.
fn combined(rule: CombineRule, wishes: Vec<Replicas>) -> Option<Replicas> {
    match rule {
        CombineRule::Largest => wishes.into_iter().max(),
        CombineRule::First => wishes.into_iter().next(),
        CombineRule::Median => {
            let mut sorted = wishes;
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Explanation {
        let text = r#"{"v":1,"id":"u/1/1/4","at":"2026-01-01T00:00:00Z","target":"shop/Deployment/web","mode":"Shadow","health":"Predict",
            "current":{"replicas":"10"},"ready":10,
            "proposals":[{"by":"aapa","wish":{"replicas":"30"},"shape":[],"confidencePercent":90,"basis":{"metric":"cpu","ratio":"3"}}],
            "chosenBy":"aapa","reactive":16,"wanted":{"replicas":"30"},
            "limits":[{"by":"Rate","target":"shop/Deployment/web","axis":"replicas","from":"30","to":"20","why":{"RateUp":{"step":10,"perSeconds":15}}},
                      {"by":"Bounds","target":"shop/Deployment/web","axis":"replicas","from":"20","to":"18","why":{"AboveMax":"18"}}],
            "decided":{"replicas":"18"}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn object() -> PredictiveAutoscaler {
        serde_json::from_str(r#"{"apiVersion":"autoscaling.foresail.dev/v1alpha1","kind":"PredictiveAutoscaler","metadata":{"name":"web"},
            "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":18,
              "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]}}"#).unwrap()
    }

    #[test]
    fn what_follows_from_the_story_is_answered_and_nothing_else() {
        let ask = |change: &str| without(change, &told(), &object());
        let of = |n: u32| replicas(Replicas::new(n));
        assert_eq!(ask("without=Bounds").unwrap(), Other::Decided(of(20)));
        assert_eq!(ask("without=aapa").unwrap(), Other::Wanted(of(16)));
        assert_eq!(ask("without=floor").unwrap(), Other::Wanted(of(30)));
        for (change, why) in [
            ("without=Rate", "Bounds bound after it"),
            ("without=Veto", "these did: Rate, Bounds, aapa, floor"),
            ("targets.0.hpa.maxReplicas=9", "no engine"),
        ] {
            let error = ask(change).unwrap_err().to_string();
            assert!(error.contains(why), "{change}: {error}");
        }
    }

    #[test]
    fn of_two_middle_wishes_the_larger_is_the_median() {
        let wishes = |all: &[u32]| all.iter().map(|n| Replicas::new(*n)).collect::<Vec<_>>();
        let median = |all: &[u32]| combined(CombineRule::Median, wishes(all));
        assert_eq!(median(&[9, 1, 5, 3]), Some(Replicas::new(5)));
        assert_eq!(median(&[9, 1, 5]), Some(Replicas::new(5)));
        assert_eq!(median(&[]), None);
        assert_eq!(
            combined(CombineRule::First, wishes(&[4, 9])),
            Some(Replicas::new(4))
        );
    }
}
