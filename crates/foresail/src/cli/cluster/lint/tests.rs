//! Each check against an object that has its fault and one that has not.

use serde_json::{Value, json};

use super::case::{Asked, Facts};
use super::*;

fn object(spec: &Value) -> Value {
    let mut whole = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 2, "maxReplicas": 20,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    json!({"apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"}, "spec": whole})
}

fn deployment(container: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}}})
}

fn good_container() -> Value {
    json!({"name": "main", "readinessProbe": {}, "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}})
}

fn demand() -> Value {
    let target = json!({"type": "AverageValue", "averageValue": "40"});
    let query = "sum(rate(http_requests_total[1m]))";
    json!({"type": "Prometheus", "role": "Both", "prometheus": {"query": query, "target": target}})
}

/// Codes that are found, and those that are skipped.
fn codes(
    object: &Value,
    beside: &[Value],
    change: impl Fn(&mut Facts),
) -> (Vec<&'static str>, Vec<&'static str>) {
    let mut facts = Facts {
        documents: beside.to_vec(),
        is_cluster: true,
        ..Facts::default()
    };
    facts.documents.push(object.clone());
    change(&mut facts);
    let found = judge(&[("f.yaml".to_owned(), object.clone())], &facts);
    (
        found.findings.iter().map(|f| f.code).collect(),
        found.skipped.iter().map(|s| s.code).collect(),
    )
}

fn found(object: &Value, beside: &[Value]) -> Vec<&'static str> {
    codes(object, beside, |_| {}).0
}

#[test]
fn a_good_object_has_no_finding_and_says_what_was_not_looked_at() {
    let (found, skipped) = codes(
        &object(&json!({})),
        &[deployment(&good_container())],
        |_| {},
    );
    assert!(found.is_empty(), "{found:?}");
    // Nobody has told the start-up time, and there is no history.
    assert_eq!(skipped, ["FS008", "FS009"]);
    let (_, skipped) = codes(&object(&json!({})), &[], |f| f.is_cluster = false);
    assert_eq!(
        skipped,
        [
            "FS002", "FS003", "FS004", "FS005", "FS006", "FS007", "FS008", "FS009", "FS010"
        ]
    );
}

#[test]
fn an_object_that_cannot_be_carried_out_is_told_with_the_field() {
    let wrong = object(&json!({"maxReplica": 3}));
    let facts = Facts::default();
    let told = judge(&[("f.yaml".to_owned(), wrong.clone())], &facts);
    let first = &told.findings[0];
    assert_eq!(first.code, "FS000");
    assert!(
        first.message.contains("maxReplica") && first.message.contains("maxReplicas"),
        "{}",
        first.message
    );
    assert_eq!(code(&told, false), Code::Usage);
    let knob = object(&json!({"proposers": [{"name": "hpa", "knobs": {"nonsense": "1"}}]}));
    assert!(found(&knob, &[]).contains(&"FS000"));
    assert!(found(&object(&json!({"minReplicas": 30})), &[]).starts_with(&["FS001"]));
}

#[test]
fn the_target_and_its_containers_are_looked_at() {
    let ours = object(&json!({}));
    assert_eq!(found(&ours, &[]), ["FS002"]);
    let bare = json!({"name": "main", "readinessProbe": {}});
    assert_eq!(found(&ours, &[deployment(&bare)]), ["FS005"]);
    let unprobed = json!({"name": "main", "resources": {"requests": {"cpu": "100m"}}});
    assert_eq!(found(&ours, &[deployment(&unprobed)]), ["FS006"]);
    // 60 % of 400m is 240m, above the limit of 200m.
    let narrow = json!({"name": "main", "readinessProbe": {}, "resources": {"requests": {"cpu": "400m"}, "limits": {"cpu": "200m"}}});
    assert_eq!(found(&ours, &[deployment(&narrow)]), ["FS010"]);
    let mut owned = deployment(&good_container());
    owned["metadata"]["managedFields"] =
        json!([{"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
    assert_eq!(found(&ours, &[owned.clone()]), ["FS004"]);
    owned["metadata"]["managedFields"][0]["manager"] = json!("kube-controller-manager");
    assert!(found(&ours, &[owned]).is_empty());
}

#[test]
fn rivals_count_only_where_both_act() {
    let hpa = |spec: Value| {
        let mut whole = json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 20, "minReplicas": 2});
        for (key, value) in spec.as_object().unwrap() {
            whole[key] = value.clone();
        }
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "shop"}, "spec": whole})
    };
    let target = deployment(&good_container());
    let acting = object(&json!({"mode": "Auto", "actuation": {"type": "Scale"}}));
    let off =
        json!({"scaleUp": {"selectPolicy": "Disabled"}, "scaleDown": {"selectPolicy": "Disabled"}});
    assert!(found(&object(&json!({})), &[target.clone(), hpa(json!({}))]).is_empty());
    assert_eq!(found(&acting, &[target.clone(), hpa(json!({}))]), ["FS003"]);
    assert!(found(&acting, &[target.clone(), hpa(json!({"behavior": off}))]).is_empty());
    // A disabled HPA still brings its target into its own bounds.
    assert_eq!(
        found(
            &acting,
            &[
                target.clone(),
                hpa(json!({"behavior": off, "maxReplicas": 10}))
            ]
        ),
        ["FS003"]
    );
    let mut twin = object(&json!({}));
    twin["metadata"]["name"] = json!("twin");
    assert_eq!(found(&object(&json!({})), &[target, twin]), ["FS003"]);
}

#[test]
fn budgets_windows_horizons_and_history_are_looked_at() {
    let target = deployment(&good_container());
    let budget = |rule: Value| {
        let mut spec = json!({"selector": {"matchLabels": {"app": "web"}}});
        for (key, value) in rule.as_object().unwrap() {
            spec[key] = value.clone();
        }
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "shop"}, "spec": spec})
    };
    for (rule, bad) in [
        (json!({"minAvailable": 2}), true),
        (json!({"minAvailable": 1}), false),
        (json!({"minAvailable": "51%"}), true),
        (json!({"minAvailable": "50%"}), false),
        (json!({"maxUnavailable": 0}), true),
        (json!({"maxUnavailable": "10%"}), false),
    ] {
        let told = found(&object(&json!({})), &[target.clone(), budget(rule.clone())]);
        assert_eq!(told == ["FS007"], bad, "{rule}: {told:?}");
    }
    let slow = object(&json!({"forecast": {"startupSeconds": 400}}));
    assert_eq!(found(&slow, std::slice::from_ref(&target)), ["FS008"]);
    let mut none = object(&json!({}));
    none["spec"].as_object_mut().unwrap().remove("behavior");
    assert_eq!(found(&none, std::slice::from_ref(&target)), ["FS014"]);
    let near = object(
        &json!({"metrics": [demand()], "forecast": {"startupSeconds": 60},
        "proposers": [{"name": "predictive-hpa", "knobs": {"horizonSeconds": "60"}}]}),
    );
    assert_eq!(found(&near, std::slice::from_ref(&target)), ["FS015"]);
    let short = object(&json!({"metrics": [demand()], "forecast": {"historySeconds": 86400}}));
    assert_eq!(found(&short, &[target]), ["FS016"]);
}

#[test]
fn queries_are_judged_by_what_prometheus_says() {
    let ours = object(&json!({"metrics": [demand()]}));
    let query = "sum(rate(http_requests_total[1m]))";
    let target = [deployment(&good_container())];
    let with = |asked: Asked, scrape: i64| {
        codes(&ours, &target, |f| {
            f.asked.insert(query.to_owned(), asked.clone());
            f.scrape_interval = Some(Span::from_seconds(scrape));
        })
    };
    let (told, skipped) = with(
        Asked {
            several: None,
            p99: Some(800.0),
        },
        30,
    );
    assert!(
        told.is_empty() && skipped == ["FS008", "FS009"],
        "{told:?} {skipped:?}"
    );
    // 801 requests per second at 40 a replica are 21 replicas.
    assert_eq!(
        with(
            Asked {
                several: None,
                p99: Some(801.0)
            },
            30
        )
        .0,
        ["FS013"]
    );
    assert_eq!(
        with(
            Asked {
                several: None,
                p99: Some(1.0)
            },
            31
        )
        .0,
        ["FS012"]
    );
    assert_eq!(
        with(
            Asked {
                several: Some("two series".to_owned()),
                p99: None
            },
            30
        )
        .0,
        ["FS011"]
    );
    assert_eq!(
        codes(&ours, &target, |_| {}).1,
        ["FS008", "FS009", "FS011", "FS012", "FS013"]
    );
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let told = |code_: &'static str, level| Found {
        objects: 1,
        findings: vec![Finding {
            code: code_,
            level,
            object: "a".into(),
            place: "f".into(),
            message: "m".into(),
            help: "h",
        }],
        skipped: Vec::new(),
    };
    assert_eq!(code(&told("FS006", Level::Warning), false), Code::Done);
    assert_eq!(code(&told("FS006", Level::Warning), true), Code::No);
    assert_eq!(code(&told("FS014", Level::Note), true), Code::Done);
    assert_eq!(code(&told("FS003", Level::Error), false), Code::No);
}
