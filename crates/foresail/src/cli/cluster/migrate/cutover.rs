//! The cutover: the HPA moves nothing more, the object acts, and a first decision that is far off
//! takes both back.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use foresail_adapters::kubernetes::crd::{ActuationType, Mode, PredictiveAutoscaler};
use foresail_adapters::kubernetes::fault::call;
use foresail_adapters::kubernetes::scale::{Kinds, read as read_scale};
use foresail_core::explain::Explanation;
use foresail_core::quantity::time::{Span, Timestamp};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::adopt::check_owner;
use super::hpa::Hpa;
use super::{
    ADOPTED_FROM, BEFORE_CUTOVER, HpaArgs, PlanOutput, change_hpa, last, read_hpa, rollback,
    what_hpa,
};
use crate::cli::cluster::{Cluster, Consent, coded, refusal};
use crate::compare::prometheus::now;
use crate::exit::Code;

/// How often the status is looked at while a decision is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// Passes within which a controller that runs has decided.
const PASSES: i64 = 4;

/// What speaks against a cutover, and whether it is another autoscaler.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Doubt {
    code: Code,
    text: String,
}

/// Takes over from the HPA.
pub(super) fn run(args: &HpaArgs, cluster: &Cluster, out: &mut dyn Write) -> Result<Code> {
    let (hpa, object) = cluster.wait(async {
        let hpa = read_hpa(cluster, &args.name).await?;
        Ok((hpa, cluster.object(&args.name).await?))
    })?;
    check_owner(cluster, &hpa)?;
    if !hpa.target().is_same(&object.target()) {
        let told = format!(
            "{} scales {}, the HPA scales {}; they must name the same target",
            cluster.what(&args.name),
            object.target().short(),
            hpa.target().short()
        );
        return Err(refusal(Code::Conflict, told));
    }
    if args.output == PlanOutput::Yaml {
        write!(out, "{}", manifests(&hpa, &object)?)?;
        return Ok(Code::Done);
    }
    if hpa.is_cut_over() && is_acting(&object) {
        writeln!(out, "{} acts already", cluster.what(&args.name))?;
        return Ok(Code::Done);
    }
    let replicas = cluster.wait(replicas(cluster, &object))?;
    weigh(args, &object, replicas, cluster)?;
    args.consent
        .ask(&plan(args, &hpa, &object, replicas, cluster), out)?;
    take_over(args, &object, replicas, cluster, out)
}

fn is_acting(object: &PredictiveAutoscaler) -> bool {
    let actuation = object.spec.actuation.as_ref().map(|a| a.kind);
    object.spec.mode == Mode::Auto && actuation == Some(ActuationType::Scale)
}

/// Replicas that the target asks for now.
async fn replicas(cluster: &Cluster, object: &PredictiveAutoscaler) -> Result<i32> {
    let target = object.target();
    let of = |f| coded(&format!("{}/{}", cluster.namespace, target.short()), &f);
    let kinds = Kinds::default();
    let api = kinds
        .api(&cluster.clients.read, &cluster.namespace, &target)
        .await;
    let scale = read_scale(&api.map_err(of)?, &target.name).await;
    Ok(scale.map_err(of)?.asked)
}

/// Refuses where something speaks against it, unless it is forced.
fn weigh(
    args: &HpaArgs,
    object: &PredictiveAutoscaler,
    replicas: i32,
    cluster: &Cluster,
) -> Result<()> {
    let doubts = doubts(object, replicas, args.max_delta, now());
    let Some(first) = doubts.first() else {
        return Ok(());
    };
    let told: Vec<_> = doubts.iter().map(|d| d.text.clone()).collect();
    let told = told.join("; ");
    if args.force {
        eprintln!("warning: {told}");
        return Ok(());
    }
    let what = cluster.what(&args.name);
    Err(refusal(
        first.code,
        format!("{what}: {told}; nothing was changed, --force takes over all the same"),
    ))
}

/// Everything that speaks against it; conflicts first.
fn doubts(
    object: &PredictiveAutoscaler,
    replicas: i32,
    max_delta: f64,
    now: Timestamp,
) -> Vec<Doubt> {
    let doubt = |code: Code, text: String| Doubt { code, text };
    let status = object.status.clone().unwrap_or_default();
    let mut found = Vec::new();
    for condition in &status.conditions {
        let (kind, reason) = (condition.type_.as_str(), condition.reason.as_str());
        let message = &condition.message;
        match (kind, condition.status.as_str(), reason) {
            // The HPA that is taken over from is no rival.
            ("Conflicted", "True", "HPAFound") | ("Ready", "False", "Conflicted") => {}
            ("Conflicted", "True", _) => {
                found.push(doubt(Code::Conflict, format!("{reason}: {message}")));
            }
            ("Ready", "False", _) => found.push(doubt(Code::No, format!("{reason}: {message}"))),
            _ => {}
        }
    }
    found.sort_by_key(|d| d.code != Code::Conflict);
    let Some(told) = last(object) else {
        let text = "no decision yet: its controller does not run, or has just begun".to_owned();
        found.push(doubt(Code::No, text));
        return found;
    };
    let old = now - told.at;
    if old > patience(object) + Span::from_seconds(60) {
        let text = format!(
            "the last decision is {} s old: does its controller run?",
            old.whole_seconds()
        );
        found.push(doubt(Code::No, text));
    }
    let shadow = status.shadow.unwrap_or_default();
    if shadow.verdict.as_deref() == Some("Worse") {
        let why = shadow.why.map_or_else(String::new, |w| format!(" ({w})"));
        found.push(doubt(Code::No, format!("it does worse than the HPA{why}")));
    }
    let forecast = status.forecast.unwrap_or_default();
    if let (Some(is), Some(should)) = (forecast.coverage_percent, forecast.target_coverage_percent)
        && is < should
    {
        let text = format!("the forecast's band held {is} % of what came, {should} % is promised");
        found.push(doubt(Code::No, text));
    }
    if let Some(text) = far_off(&told, replicas, max_delta) {
        found.push(doubt(Code::No, text));
    }
    found
}

/// Why a decision is too far off; `None` where it is not, or sets no replicas.
fn far_off(told: &Explanation, replicas: i32, max_delta: f64) -> Option<String> {
    let decided = told.decided.get("replicas")?.replicas().as_i32();
    let apart = f64::from((decided - replicas).abs());
    // A step of one replica is the least there is.
    let is_far = apart > 1.0 && apart * 100.0 > max_delta * f64::from(replicas);
    is_far.then(|| {
        format!(
            "{decided} replicas are decided and {replicas} are there: more than {max_delta} % apart"
        )
    })
}

/// The time within which a controller that runs has decided.
fn patience(object: &PredictiveAutoscaler) -> Span {
    Span::from_seconds(i64::from(object.spec.sync_period_seconds) * PASSES)
}

fn plan(
    args: &HpaArgs,
    hpa: &Hpa,
    object: &PredictiveAutoscaler,
    replicas: i32,
    cluster: &Cluster,
) -> String {
    let (min, max) = hpa.widened(bounds(object));
    format!(
        "plan: take over from the HPA\n  {}: both directions Disabled, bounds {} to {} become {min} to {max}; it stays\n  {}: mode {:?} → Auto, actuation Scale\n  then: a first decision that is more than {} % off the present {replicas} replicas takes both back",
        what_hpa(cluster, &args.name),
        hpa.min(),
        hpa.max(),
        cluster.what(&args.name),
        object.spec.mode,
        args.max_delta
    )
}

/// The lowest floor and the highest ceiling of our object.
fn bounds(object: &PredictiveAutoscaler) -> (i32, i32) {
    let held = object.spec.suspend.hold_at;
    let (min, max) = (object.spec.min_replicas, object.spec.max_replicas);
    (min.min(held.unwrap_or(min)), max.max(held.unwrap_or(max)))
}

/// The change that lets our object act; what was is kept in annotations.
fn acting(object: &PredictiveAutoscaler, hpa: &Hpa) -> Result<Value> {
    let mut annotations = serde_json::Map::new();
    if !object.annotations().contains_key(BEFORE_CUTOVER) {
        let before = json!({"mode": object.spec.mode, "actuation": object.spec.actuation});
        annotations.insert(BEFORE_CUTOVER.to_owned(), json!(before.to_string()));
    }
    // The HPA may have been changed since it was adopted.
    annotations.insert(ADOPTED_FROM.to_owned(), json!(hpa.original()?));
    Ok(json!({
        "metadata": {"annotations": annotations},
        "spec": {"mode": "Auto", "actuation": {"type": "Scale", "hpaName": null}},
    }))
}

/// Carries the plan out; whatever fails on the way is taken back.
fn take_over(
    args: &HpaArgs,
    object: &PredictiveAutoscaler,
    replicas: i32,
    cluster: &Cluster,
    out: &mut dyn Write,
) -> Result<Code> {
    let name = &args.name;
    let before = last(object).map(|told| told.id);
    cluster.wait(async {
        change_hpa(cluster, name, |hpa| {
            hpa.cut_over(bounds(object))?;
            Ok(true)
        })
        .await
    })?;
    let switched = cluster.wait(async {
        let hpa = read_hpa(cluster, name).await?;
        cluster.change(name, &acting(object, &hpa)?).await
    });
    if let Err(error) = switched {
        back(name, cluster, out)?;
        return Err(error.context("the HPA was restored"));
    }
    writeln!(
        out,
        "{} acts; waiting for its first decision (foresail migrate rollback {name} -n {} takes it back at any time)",
        cluster.what(name),
        cluster.namespace
    )?;
    out.flush()?;
    let limit = if cluster.timeout > patience(object) {
        cluster.timeout
    } else {
        patience(object)
    };
    let Some(told) = cluster.wait_long(first_decision(cluster, name, before.as_deref(), limit))
    else {
        back(name, cluster, out)?;
        let told = format!(
            "no decision within {limit}; the HPA is restored. Does the controller run, may it act (--max-mode), and may it write the scale?"
        );
        return Err(refusal(Code::Timeout, told));
    };
    if let Some(why) = far_off(&told, replicas, args.max_delta) {
        back(name, cluster, out)?;
        return Err(refusal(Code::No, format!("{why}; the HPA is restored")));
    }
    writeln!(out, "first decision: {told}")?;
    Ok(Code::Done)
}

/// Takes a cutover back without asking.
fn back(name: &str, cluster: &Cluster, out: &mut dyn Write) -> Result<()> {
    rollback::run(name, Consent { yes: true }, cluster, out).map(drop)
}

/// The first decision in mode Auto; `None` where none came in time.
async fn first_decision(
    cluster: &Cluster,
    name: &str,
    before: Option<&str>,
    limit: Span,
) -> Option<Explanation> {
    let limit = Duration::from_nanos(limit.nanos().unsigned_abs());
    let found = async {
        loop {
            // An answer that does not come is asked for again until the time is over.
            if let Ok(object) = call(cluster.objects().get(name)).await
                && let Some(told) = last(&object)
                && Some(told.id.as_str()) != before
                && told.mode == foresail_core::spec::Mode::Auto
            {
                return told;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(limit, found).await.ok()
}

/// What a cutover writes, for whoever applies it from a repository.
fn manifests(hpa: &Hpa, object: &PredictiveAutoscaler) -> Result<String> {
    let mut ours = hpa.adopted()?;
    let written = crate::cli::cluster::printable(object)?;
    ours["spec"] = written["spec"].clone();
    ours["spec"]["mode"] = json!("Auto");
    ours["spec"]["actuation"] = json!({"type": "Scale"});
    let mut inert = hpa.clone();
    inert.cut_over(bounds(object))?;
    let mut theirs: Value = serde_json::from_str(&hpa.original()?)?;
    theirs["spec"] = inert.spec().clone();
    let kept = inert.annotation(BEFORE_CUTOVER).unwrap_or_default();
    theirs["metadata"]["annotations"][BEFORE_CUTOVER] = json!(kept);
    let documents = [
        serde_saphyr::to_string(&ours)?,
        serde_saphyr::to_string(&theirs)?,
        kustomization(hpa, object)?,
    ];
    Ok(documents.join("---\n"))
}

/// The cutover as a patch for kustomize.
pub(super) fn kustomization(hpa: &Hpa, object: &PredictiveAutoscaler) -> Result<String> {
    let mut inert = hpa.clone();
    inert.cut_over(bounds(object))?;
    let spec = inert.spec();
    let kept = inert.annotation(BEFORE_CUTOVER).unwrap_or_default();
    let theirs = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": hpa.name(), "annotations": {BEFORE_CUTOVER: kept}},
        "spec": {"minReplicas": spec["minReplicas"], "maxReplicas": spec["maxReplicas"],
            "behavior": {"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"selectPolicy": "Disabled"}}},
    });
    let ours = json!({
        "apiVersion": format!("{}/{}", foresail_adapters::kubernetes::crd::GROUP, foresail_adapters::kubernetes::crd::VERSION),
        "kind": foresail_adapters::kubernetes::crd::KIND,
        "metadata": {"name": object.name_any()},
        "spec": {"mode": "Auto", "actuation": {"type": "Scale"}},
    });
    let patch =
        |value: &Value| -> Result<Value> { Ok(json!({"patch": serde_saphyr::to_string(value)?})) };
    let whole = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "patches": [patch(&theirs)?, patch(&ours)?],
    });
    Ok(serde_saphyr::to_string(&whole)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(status: &Value) -> PredictiveAutoscaler {
        let value = json!({
            "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler", "metadata": {"name": "web"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 60,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]},
            "status": status,
        });
        serde_json::from_value(value).unwrap()
    }

    fn told(decided: &str) -> Value {
        json!({"v":1,"id":"u/1/1/4","at":"2026-01-01T00:00:00Z","target":"shop/Deployment/web","mode":"Shadow","health":"Predict",
            "current":{"replicas":"10"},"ready":10,"proposals":[],"wanted":{},"limits":[],"decided":{"replicas":decided}})
    }

    fn texts(status: &Value, replicas: i32, at: &str) -> Vec<(Code, String)> {
        let now = at.parse().unwrap();
        let found = doubts(&object(status), replicas, 20.0, now);
        found.into_iter().map(|d| (d.code, d.text)).collect()
    }

    #[test]
    fn what_speaks_against_a_cutover_is_told_and_the_hpa_itself_does_not() {
        let soon = "2026-01-01T00:00:30Z";
        let found = json!({"type": "Conflicted", "status": "True", "reason": "HPAFound", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let good = json!({"lastDecision": told("11"), "conditions": [found]});
        assert_eq!(texts(&good, 10, soon), []);
        assert!(texts(&json!({}), 10, soon)[0].1.contains("no decision yet"));
        assert!(
            texts(&good, 10, "2026-01-01T00:05:00Z")[0]
                .1
                .contains("300 s old")
        );
        let worse = json!({"lastDecision": told("11"), "shadow": {"verdict": "Worse"}});
        assert!(texts(&worse, 10, soon)[0].1.contains("worse than the HPA"));
        let covered = json!({"lastDecision": told("11"), "forecast": {"coveragePercent": 60, "targetCoveragePercent": 80}});
        assert!(texts(&covered, 10, soon)[0].1.contains("60 %"));
        let mut rival = found;
        rival["reason"] = json!("ScaledObjectFound");
        let rival = json!({"lastDecision": told("20"), "conditions": [rival]});
        let both = texts(&rival, 10, soon);
        assert_eq!(both.len(), 2);
        assert_eq!(both[0].0, Code::Conflict);
    }

    #[test]
    fn a_step_of_one_replica_is_never_far_off() {
        let told = |n: &str| serde_json::from_value::<Explanation>(told(n)).unwrap();
        for (decided, replicas, far) in [
            ("2", 1, false),
            ("3", 1, true),
            ("12", 10, false),
            ("13", 10, true),
            ("8", 10, false),
            ("7", 10, true),
            ("0", 1, false),
            ("5", 0, true),
        ] {
            let found = far_off(&told(decided), replicas, 20.0).is_some();
            assert_eq!(found, far, "{decided} at {replicas}");
        }
    }
}
