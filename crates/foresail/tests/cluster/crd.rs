//! The definition of `PredictiveAutoscaler` on a real API server: what it takes, what it refuses and
//! with which words.

use std::fs;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use http::{Method, Request};
use serde_json::{Value, json};

use crate::Row;
use crate::api::Refusal;
use crate::rig::{Rig, repository, wait_until};

pub const ROWS: &[Row] = &[
    (
        "crd::good_objects_are_taken_and_bad_ones_refused",
        false,
        good_objects_are_taken_and_bad_ones_refused,
    ),
    (
        "crd::the_target_cannot_be_changed",
        false,
        the_target_cannot_be_changed,
    ),
    (
        "crd::defaults_are_written_and_an_absent_behavior_stays_absent",
        false,
        defaults_are_written_and_an_absent_behavior_stays_absent,
    ),
    (
        "crd::a_status_is_stored_whole_and_shown_in_columns",
        false,
        a_status_is_stored_whole_and_shown_in_columns,
    ),
    (
        "crd::kubectl_explain_has_words_for_every_field",
        false,
        kubectl_explain_has_words_for_every_field,
    ),
];

const API: &str = "/apis/autoscaling.foresail.dev/v1alpha1";
const NAME: &str = "predictiveautoscalers.autoscaling.foresail.dev";

/// Gives the definition to the API server, once for all tests of this process.
pub fn install(rig: &Rig) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let yaml = fs::read_to_string(repository().join("deploy/crd.yaml")).unwrap();
        rig.apply("default", &yaml);
        let definition = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{NAME}");
        wait_until(Duration::from_secs(30), "the definition is served", || {
            let told = rig.get(&definition).ok()?;
            let conditions = told["status"]["conditions"].as_array()?.clone();
            let is = |kind: &str, status: &str| {
                let mut all = conditions.iter();
                all.any(|c| c["type"] == kind && c["status"] == status)
            };
            assert!(!is("NonStructuralSchema", "True"), "{told}");
            (is("Established", "True") && rig.get(API).is_ok()).then_some(())
        });
    });
}

/// Manifests of one folder by name.
fn manifests(folder: &str) -> Vec<(String, String)> {
    let folder: PathBuf = repository().join("tests/golden/crd").join(folder);
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            (path.file_name().unwrap().display().to_string(), text)
        })
        .collect();
    all.sort();
    all
}

/// Asks for an object as a file holds it, which the API server reads itself; nothing is stored.
fn try_create(rig: &Rig, yaml: &str) -> Result<(), Box<Refusal>> {
    let path = format!("{API}/namespaces/default/predictiveautoscalers");
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{path}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/yaml")
        .body(yaml.as_bytes().to_vec())
        .unwrap();
    match rig.block(rig.client().request_text(request)) {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(Box::new(Refusal {
            code: status.code,
            reason: status.reason,
            message: status.message,
        })),
        Err(error) => panic!("{error}"),
    }
}

fn good_objects_are_taken_and_bad_ones_refused(rig: &Rig) {
    install(rig);
    let (good, bad) = (manifests("good"), manifests("bad"));
    assert!(good.len() >= 20 && bad.len() >= 60);
    let mut wrong = Vec::new();
    for (name, yaml) in &good {
        if let Err(refusal) = try_create(rig, yaml) {
            wrong.push(format!("{name} is refused: {}", refusal.message));
        }
    }
    for (name, yaml) in &bad {
        let words = yaml
            .lines()
            .next()
            .and_then(|l| l.strip_prefix("# refused: "));
        let words = words.unwrap_or_else(|| panic!("{name} does not say why it is refused"));
        match try_create(rig, yaml) {
            Ok(()) => wrong.push(format!("{name} is taken")),
            Err(refusal) if refusal.message.contains(words) => {}
            Err(refusal) => wrong.push(format!("{name}: no `{words}` in: {}", refusal.message)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} good and {} bad objects", good.len(), bad.len());
}

/// An object with what must be given alone.
fn least(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "maxReplicas": 20,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 60}}}],
        },
    })
}

/// Stores an object of the least and says where.
fn stored(rig: &Rig, namespace: &str) -> String {
    install(rig);
    rig.namespace(namespace);
    let list = format!("{API}/namespaces/{namespace}/predictiveautoscalers");
    rig.post(&list, &least(namespace, "web")).unwrap();
    format!("{list}/web")
}

fn the_target_cannot_be_changed(rig: &Rig) {
    let path = stored(rig, "crd-immutable");
    let other = json!({"spec": {"scaleTargetRef": {"name": "other"}}});
    let refusal = rig.patch(&path, &other).unwrap_err();
    assert!(
        refusal.message.contains("scaleTargetRef cannot be changed"),
        "{refusal:?}"
    );
    // All else can.
    let modes = json!({"spec": {"mode": "Auto", "maxReplicas": 30}});
    assert_eq!(rig.patch(&path, &modes).unwrap()["spec"]["mode"], "Auto");
}

fn defaults_are_written_and_an_absent_behavior_stays_absent(rig: &Rig) {
    let path = stored(rig, "crd-defaults");
    let spec = rig.get(&path).unwrap()["spec"].clone();
    assert!(spec.get("behavior").is_none(), "{spec}");
    assert!(spec.get("actuation").is_none() && spec.get("proposers").is_none());
    assert_eq!(spec["mode"], "Shadow");
    assert_eq!(spec["metrics"][0]["role"], "React");
    // What the API server writes is what a reader of a file gets without it.
    let read = foresail_adapters::kubernetes::crd::read(&least("crd-defaults", "web")).unwrap();
    assert_eq!(serde_json::to_value(&read.spec).unwrap(), spec);
}

/// A status with every field that the controller may write.
fn status() -> Value {
    json!({"status": {
        "observedGeneration": 1, "targetRef": "Deployment/web", "phase": "Shadow",
        "currentReplicas": 12, "readyReplicas": 11, "desiredReplicas": 17, "reactiveReplicas": 16,
        "predictedReplicas": 17,
        "incumbent": {"kind": "HorizontalPodAutoscaler", "name": "web", "desiredReplicas": 13},
        "lastScaleTime": "2026-11-30T12:00:00Z", "archetype": "Periodic", "capacity": "40 req/s",
        "startupSeconds": 31,
        "forecast": {"model": "auto", "madeAt": "2026-11-30T12:00:00Z", "leadTimeSeconds": 45,
            "trainedAt": "2026-11-30T11:00:00Z", "coveragePercent": 81, "targetCoveragePercent": 80,
            "points": [{"offsetSeconds": 60, "p10": "500", "p50": "570", "p90": "655"}]},
        "metrics": [{"name": "cpu", "current": "58%", "target": "60%", "stale": false,
            "sampleTime": "2026-11-30T12:00:00.5Z", "proposedReplicas": 12}],
        "lastDecision": {"v": 1, "chosenBy": "predictive", "wanted": {"replicas": "17"}, "limits": [[1, {}]]},
        "decisions": [{"id": "9c1e/4/2/412", "at": "2026-11-30T12:00:00Z", "current": 12, "decided": 17,
            "binding": "Rate", "outcome": "Applied"}],
        "shadow": {"since": "2026-11-23T12:00:00Z", "replicaHours": {"incumbent": "312", "foresail": "287"},
            "minutesShort": {"incumbent": "41", "foresail": "6"},
            "changes": {"incumbent": "88", "foresail": "52"}, "intervals": 40320,
            "verdict": "Better", "why": "less late at 8 % less cost"},
        "vertical": {"at": "2026-11-30T12:00:00Z", "historySeconds": 7200, "containers": [{"name": "main",
            "target": {"cpu": "182m", "memory": "250Mi"}, "lowerBound": {"cpu": "104m", "memory": "250Mi"},
            "upperBound": {"cpu": "2"}, "uncappedTarget": {"cpu": "182m", "memory": "250Mi"},
            "resize": "InProgress"}]},
        "guard": {"epoch": 3, "outcome": "Applied", "health": "Predict", "hpaMinBefore": 2,
            "intent": {"id": "9c1e/4/2/413", "from": 12, "to": 17, "resourceVersion": "8812",
                "expires": "2026-11-30T12:00:15Z"}},
        "conditions": [
            {"type": "ForecastReady", "status": "True", "reason": "Calibrated", "message": "",
                "observedGeneration": 1, "lastTransitionTime": "2026-11-30T12:00:00Z"},
            {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange", "message": "x",
                "lastTransitionTime": "2026-11-30T12:00:00Z"},
        ],
    }})
}

fn a_status_is_stored_whole_and_shown_in_columns(rig: &Rig) {
    let path = stored(rig, "crd-status");
    let before = rig.get(&path).unwrap();
    rig.patch(&format!("{path}/status?fieldValidation=Strict"), &status())
        .unwrap();
    let after = rig.get(&path).unwrap();
    assert_eq!(after["status"], status()["status"]);
    assert_eq!(
        after["metadata"]["generation"],
        before["metadata"]["generation"]
    );
    let read = foresail_adapters::kubernetes::crd::read(&after).unwrap();
    let again = serde_json::to_value(read.status.unwrap()).unwrap();
    assert_eq!(again, after["status"], "the type drops nothing");
    let request = Request::builder()
        .uri(&path)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    let table = rig.block(rig.client().request_text(request)).unwrap();
    let table: Value = serde_json::from_str(&table).unwrap();
    let column = |c: &Value| (c["name"].as_str().unwrap().to_owned(), c["priority"] == 0);
    let columns: Vec<_> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(column)
        .collect();
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    let shown = columns
        .iter()
        .zip(cells)
        .filter(|((name, narrow), _)| *narrow && name != "Age");
    let shown: Vec<String> = shown
        .map(|((name, _), cell)| format!("{name}={cell}"))
        .collect();
    let want = [
        "Name=\"web\"",
        "Target=\"Deployment/web\"",
        "Mode=\"Shadow\"",
        "Archetype=\"Periodic\"",
        "Replicas=12",
        "Desired=17",
        "Reactive=16",
        "Forecast=\"True\"",
        "By=\"predictive\"",
        "Limited=\"DesiredWithinRange\"",
    ];
    assert_eq!(shown, want);
    let wide: Vec<_> = columns
        .iter()
        .filter(|(_, narrow)| !narrow)
        .map(|(n, _)| n.as_str())
        .collect();
    assert_eq!(
        wide,
        ["Min", "Max", "Model", "Coverage", "Lead", "LastScale"]
    );
}

/// Fields of a schema without a description.
fn silent(schema: &Value, at: &str, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        let described = field["description"].as_str().is_some_and(|d| d.len() > 3);
        // The parts of a condition have Kubernetes' own meaning.
        if !described && !at.contains(".conditions.") && at != ".metadata" {
            found.push(at.clone());
        }
        silent(field, &at, found);
        silent(&field["items"], &at, found);
    }
}

fn kubectl_explain_has_words_for_every_field(rig: &Rig) {
    install(rig);
    let group = "/openapi/v3/apis/autoscaling.foresail.dev/v1alpha1";
    let told = wait_until(Duration::from_secs(60), "the API's own description", || {
        let told = rig.get(group).ok()?;
        let schemas = told["components"]["schemas"].as_object()?.clone();
        let mut schemas = schemas.into_iter();
        schemas.find(|(name, _)| name.ends_with(".PredictiveAutoscaler"))
    });
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        silent(&told.1["properties"][part], part, &mut found);
    }
    assert!(found.is_empty(), "no description: {found:?}");
}
