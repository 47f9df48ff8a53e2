//! `foresail approve`: lets a decision of an object in mode Advise be carried out.

use std::io::Write;

use anyhow::{Result, bail, ensure};
use clap::Args;
use foresail_adapters::kubernetes::crd::{Mode, PredictiveAutoscaler};
use foresail_core::quantity::time::{Span, Timestamp};
use serde_json::json;

use super::table::age;
use super::{Cluster, ClusterArgs, Consent, refusal};
use crate::compare::prometheus::now;
use crate::exit::Code;

pub(crate) use crate::controller::APPROVED;

/// How long the controller carries out an approved number of replicas.
const GOOD_FOR: Span = Span::from_seconds(600);

/// Let a decision of an object in mode Advise be carried out
#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// The object
    name: String,
    /// Which decision, by its id or the number at its end [default: the last one]
    #[arg(long, value_name = "ID")]
    decision: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    consent: Consent,
}

/// One decision that may be approved.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Advised {
    id: String,
    at: Option<Timestamp>,
    current: Option<i64>,
    decided: Option<i64>,
}

/// Runs the command.
///
/// # Errors
/// Where there is no such object or decision, or it may not be changed.
pub fn run(args: &ApproveArgs, out: &mut dyn Write) -> Result<Code> {
    carry_out(args, &args.cluster.connect()?, out)
}

/// The command on a given cluster.
///
/// # Errors
/// As [`run`].
pub fn carry_out(args: &ApproveArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let object = cluster.wait(cluster.object(&args.name))?;
    let what = cluster.what(&args.name);
    let mode = object.spec.mode;
    ensure!(
        mode == Mode::Advise,
        "{what} is in mode {mode:?}: only decisions of mode Advise wait for approval"
    );
    let advised = chosen(&object, args.decision.as_deref(), &what)?;
    let (Some(from), Some(to)) = (advised.current, advised.decided) else {
        bail!("{what}: the decision {} sets no replicas", advised.id);
    };
    if from == to {
        writeln!(
            out,
            "{what}: {} changes nothing ({to} replicas)",
            advised.id
        )?;
        return Ok(Code::Done);
    }
    if let Some(old) = advised
        .at
        .map(|at| now() - at)
        .filter(|old| *old > GOOD_FOR)
    {
        eprintln!(
            "warning: this decision is {} old; the controller carries it out only while it decides the same",
            age(old)
        );
    }
    let plan = format!(
        "plan: {what}: {from} → {to} replicas, decision {}",
        advised.id
    );
    args.consent.ask(&plan, out)?;
    let patch = json!({"metadata": {"annotations": {APPROVED: advised.id}}});
    cluster.wait(cluster.change(&args.name, &patch))?;
    writeln!(out, "approved; the controller writes it at its next pass")?;
    Ok(Code::Done)
}

/// The decisions that the status holds, the newest first.
fn advised(object: &PredictiveAutoscaler) -> Vec<Advised> {
    let status = object.status.clone().unwrap_or_default();
    let last = status.last_decision.as_ref().and_then(|d| {
        let replicas = |field: &str| -> Option<i64> {
            let value = d.get(field)?.get("replicas")?;
            value.as_i64().or_else(|| value.as_str()?.parse().ok())
        };
        Some(Advised {
            id: d.get("id")?.as_str()?.to_owned(),
            at: d.get("at").and_then(|t| t.as_str()?.parse().ok()),
            current: replicas("current"),
            decided: replicas("decided"),
        })
    });
    let ring = status.decisions.iter().rev().map(|d| Advised {
        id: d.id.clone(),
        at: d.at,
        current: d.current.map(i64::from),
        decided: d.decided.map(i64::from),
    });
    last.into_iter().chain(ring).collect()
}

/// `true` where a user means this id: whole, or the number at its end.
pub(crate) fn is_meant(id: &str, meant: &str) -> bool {
    id == meant || id.rsplit('/').next() == Some(meant)
}

fn chosen(object: &PredictiveAutoscaler, meant: Option<&str>, what: &str) -> Result<Advised> {
    let all = advised(object);
    let found = match meant {
        None => all.first(),
        Some(meant) => all.iter().find(|a| is_meant(&a.id, meant)),
    };
    found.cloned().ok_or_else(|| {
        let told = match meant {
            None => format!("{what} has decided nothing yet; is its controller running?"),
            Some(id) => format!(
                "{what} has no decision {id} any more; `foresail describe` shows those that it has"
            ),
        };
        refusal(Code::NotFound, told)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> PredictiveAutoscaler {
        let text = r#"{"apiVersion":"autoscaling.foresail.dev/v1alpha1","kind":"PredictiveAutoscaler","metadata":{"name":"web"},
            "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"mode":"Advise","maxReplicas":9,
              "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]},
            "status":{"lastDecision":{"id":"u/1/1/412","at":"2026-01-01T00:00:00Z","current":{"replicas":"3"},"decided":{"replicas":"5"}},
              "decisions":[{"id":"u/1/1/400","current":2,"decided":3},{"id":"u/1/1/412","current":3,"decided":5}]}}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_decision_is_found_by_its_id_or_its_number() {
        let last = chosen(&object(), None, "web").unwrap();
        assert_eq!((last.current, last.decided), (Some(3), Some(5)));
        for meant in ["400", "u/1/1/400"] {
            let old = chosen(&object(), Some(meant), "web").unwrap();
            assert_eq!((old.current, old.decided), (Some(2), Some(3)));
        }
        let error = chosen(&object(), Some("399"), "web").unwrap_err();
        assert_eq!(crate::exit::code_of(&error), Code::NotFound);
    }
}
