//! Back to the HPA: the object to Shadow first, then the HPA as it was.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use foresail_adapters::kubernetes::crd::{Mode, PredictiveAutoscaler};
use foresail_adapters::kubernetes::fault::call;
use foresail_core::quantity::time::Span;
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::hpa::{self, Hpa};
use super::{
    ADOPTED_FROM, BEFORE_CUTOVER, HPA_MIN, change_hpa, find_hpa, find_object, last, what_hpa,
};
use crate::cli::cluster::{Cluster, Consent, FIELD_MANAGER, coded, refusal};
use crate::compare::prometheus::now;
use crate::exit::Code;

/// What is to be taken back.
#[derive(Debug)]
struct Steps {
    /// The change of our object.
    ours: Option<Value>,
    /// The HPA's name, and what is to be done with it.
    theirs: Option<Theirs>,
}

/// What is to be done with the HPA.
#[derive(Debug, PartialEq)]
enum Theirs {
    /// To be restored.
    Restore(String),
    /// To be made again from what was kept of it.
    Make(String, Value),
}

/// Takes a migration back, as far as it went.
pub(super) fn run(
    name: &str,
    consent: Consent,
    cluster: &Cluster,
    out: &mut dyn Write,
) -> Result<Code> {
    let (object, hpa) = cluster.wait(async {
        let object = find_object(cluster, name).await?;
        let of = object.as_ref().and_then(adopted_name);
        let hpa = find_hpa(cluster, of.as_deref().unwrap_or(name)).await?;
        Ok((object, hpa))
    })?;
    if object.is_none() && hpa.is_none() {
        let told = format!(
            "there is neither {} nor {}; check the name and --namespace",
            cluster.what(name),
            what_hpa(cluster, name)
        );
        return Err(refusal(Code::NotFound, told));
    }
    let steps = steps(object.as_ref(), hpa.as_ref())?;
    if steps.ours.is_none() && steps.theirs.is_none() {
        writeln!(out, "{name} is rolled back already; nothing to do")?;
        return Ok(Code::Done);
    }
    consent.ask(&plan(&steps, name, cluster), out)?;
    if let (Some(patch), Some(object)) = (&steps.ours, &object) {
        let changed = cluster.wait(cluster.change(name, patch))?;
        writeln!(out, "{} is in mode Shadow", cluster.what(name))?;
        out.flush()?;
        hold(cluster, object, &changed);
    }
    match steps.theirs {
        Some(Theirs::Restore(of)) => {
            cluster.wait(change_hpa(cluster, &of, Hpa::restore))?;
            writeln!(out, "{} is as it was", what_hpa(cluster, &of))?;
        }
        Some(Theirs::Make(of, manifest)) => {
            cluster.wait(make(cluster, &of, manifest))?;
            writeln!(out, "{} is made again", what_hpa(cluster, &of))?;
        }
        None => {}
    }
    Ok(Code::Done)
}

/// The manifest of the HPA that an object was made from.
fn adopted(object: &PredictiveAutoscaler) -> Option<&String> {
    object.annotations().get(ADOPTED_FROM)
}

fn adopted_name(object: &PredictiveAutoscaler) -> Option<String> {
    let manifest: Value = serde_json::from_str(adopted(object)?).ok()?;
    Some(manifest.pointer("/metadata/name")?.as_str()?.to_owned())
}

/// What is left to be done; nothing twice.
fn steps(object: Option<&PredictiveAutoscaler>, hpa: Option<&Hpa>) -> Result<Steps> {
    let theirs = match hpa {
        Some(hpa) => {
            let changed = hpa.is_cut_over() || hpa.annotation(HPA_MIN).is_some();
            changed.then(|| Theirs::Restore(hpa.name()))
        }
        None => match object.and_then(adopted) {
            Some(text) => {
                let manifest: Value = serde_json::from_str(text).with_context(|| {
                    format!("annotation {ADOPTED_FROM} of the object is no manifest any more; make the HPA by hand")
                })?;
                let name = manifest.pointer("/metadata/name").and_then(Value::as_str);
                let name = name
                    .context("the HPA that was adopted has no name")?
                    .to_owned();
                Some(Theirs::Make(name, manifest))
            }
            None => None,
        },
    };
    let ours = object.and_then(|object| {
        let kept = object.annotations().get(BEFORE_CUTOVER);
        // An object that never was cut over may hold a floor under an HPA.
        let acts = object.spec.mode == Mode::Auto && (kept.is_some() || theirs.is_some());
        (acts || kept.is_some()).then(|| shadowed(kept))
    });
    Ok(Steps { ours, theirs })
}

/// The change that lets our object write nothing more.
fn shadowed(kept: Option<&String>) -> Value {
    let kept: Option<Value> = kept.and_then(|text| serde_json::from_str(text).ok());
    let mut spec = json!({"mode": "Shadow"});
    if let Some(kept) = kept {
        spec["actuation"] = kept.get("actuation").cloned().unwrap_or(Value::Null);
    }
    json!({"metadata": {"annotations": {BEFORE_CUTOVER: null}}, "spec": spec})
}

fn plan(steps: &Steps, name: &str, cluster: &Cluster) -> String {
    let mut plan = "plan: back to the HPA".to_owned();
    if steps.ours.is_some() {
        plan.push_str(&format!(
            "\n  {}: mode → Shadow; it stays",
            cluster.what(name)
        ));
    }
    match &steps.theirs {
        Some(Theirs::Restore(of)) => {
            let what = what_hpa(cluster, of);
            plan.push_str(&format!("\n  {what}: behavior and bounds as they were"));
        }
        Some(Theirs::Make(of, _)) => {
            let what = what_hpa(cluster, of);
            plan.push_str(&format!("\n  {what}: made again from what was kept of it"));
        }
        None => {}
    }
    plan
}

/// Waits until the controller has seen that it may write nothing more, where one runs.
fn hold(cluster: &Cluster, before: &PredictiveAutoscaler, changed: &PredictiveAutoscaler) {
    let pass = Span::from_seconds(i64::from(before.spec.sync_period_seconds));
    let fresh = Span::from_nanos(pass.nanos() * 3) + Span::from_seconds(30);
    let runs = last(before).is_some_and(|told| now() - told.at < fresh);
    if !runs {
        eprintln!("note: its controller does not seem to run; going on without it");
        return;
    }
    let (name, generation) = (changed.name_any(), changed.metadata.generation);
    let seen = async {
        loop {
            if let Ok(object) = call(cluster.objects().get(&name)).await
                && object
                    .status
                    .is_some_and(|s| s.observed_generation >= generation)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let most = Span::from_nanos(pass.nanos() * 2) + Span::from_seconds(5);
    let most = if cluster.timeout < most {
        cluster.timeout
    } else {
        most
    };
    let most = Duration::from_nanos(most.nanos().unsigned_abs());
    let waited = cluster.wait_long(async { tokio::time::timeout(most, seen).await });
    if waited.is_err() {
        eprintln!("note: its controller has not confirmed it; going on without it");
    }
}

/// Makes an HPA from its manifest.
async fn make(cluster: &Cluster, name: &str, manifest: Value) -> Result<()> {
    let object = serde_json::from_value(manifest)?;
    let parameters = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let api = hpa::api(cluster.clients.write.clone(), &cluster.namespace);
    let made = call(api.create(&parameters, &object)).await;
    made.map(drop)
        .map_err(|f| coded(&what_hpa(cluster, name), &f))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(mode: &str, annotations: &Value) -> PredictiveAutoscaler {
        serde_json::from_value(json!({
            "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
            "metadata": {"name": "web", "annotations": annotations},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 60, "mode": mode,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]},
        }))
        .unwrap()
    }

    fn hpa(annotations: &Value) -> Hpa {
        let value = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "annotations": annotations}, "spec": {"maxReplicas": 3}});
        Hpa(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn only_what_is_left_is_done() {
        let kept = json!({BEFORE_CUTOVER: r#"{"mode":"Advise","actuation":{"type":"HPAFloor","hpaName":"web"}}"#});
        let cut = json!({BEFORE_CUTOVER: "{}"});
        let both = steps(Some(&object("Auto", &kept)), Some(&hpa(&cut))).unwrap();
        let ours = both.ours.unwrap();
        assert_eq!(
            ours["spec"],
            json!({"mode": "Shadow", "actuation": {"type": "HPAFloor", "hpaName": "web"}})
        );
        assert_eq!(both.theirs, Some(Theirs::Restore("web".to_owned())));
        // A run that was broken off after its first half goes on with the second.
        let half = steps(Some(&object("Shadow", &json!({}))), Some(&hpa(&cut))).unwrap();
        assert!(half.ours.is_none() && half.theirs.is_some());
        let done = steps(Some(&object("Shadow", &json!({}))), Some(&hpa(&json!({})))).unwrap();
        assert!(done.ours.is_none() && done.theirs.is_none());
    }

    #[test]
    fn a_raised_floor_is_taken_back_and_a_deleted_hpa_made_again() {
        let floor = steps(
            Some(&object("Auto", &json!({}))),
            Some(&hpa(&json!({HPA_MIN: "2"}))),
        )
        .unwrap();
        assert_eq!(floor.ours.unwrap()["spec"], json!({"mode": "Shadow"}));
        assert!(floor.theirs.is_some());
        let manifest = json!({"metadata": {"name": "old"}, "spec": {}});
        let gone = object("Auto", &json!({ADOPTED_FROM: manifest.to_string()}));
        let made = steps(Some(&gone), None).unwrap();
        assert_eq!(made.theirs, Some(Theirs::Make("old".to_owned(), manifest)));
        // Without an object the HPA alone is restored.
        let alone = steps(None, Some(&hpa(&json!({BEFORE_CUTOVER: "{}"})))).unwrap();
        assert!(alone.ours.is_none() && alone.theirs.is_some());
    }
}
