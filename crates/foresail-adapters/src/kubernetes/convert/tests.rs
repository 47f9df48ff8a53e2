//! The conversion against HPAs of Kubernetes' own vectors, and against generated objects.

mod any;

use foresail_core::hpa::{HpaSpec, SelectPolicy};
use foresail_core::quantity::units::{Quantity, Unit};
use foresail_core::spec::{CombineRule, Floor, Mode, Spec, SpecProblem, ValidSpec};
use serde_json::{Value, json};

use any::{Dice, any_object};

use super::*;
use crate::kubernetes::crd::read;

fn object(spec: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": spec,
    })
}

fn convert(spec: &Value) -> Result<Spec, Vec<SpecProblem>> {
    engine_spec(&read(&object(spec))?)
}

fn with(changes: &Value) -> Value {
    let mut spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": 20,
        "metrics": [
            {"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 60}}},
            {"type": "Prometheus", "prometheus": {"query": "sum(rate(requests_total[1m]))",
                "target": {"type": "AverageValue", "averageValue": "2500m"}}},
        ],
    });
    merge(&mut spec, changes);
    spec
}

/// JSON merge: fields of objects one by one, all else replaced; `null` takes a field away.
fn merge(onto: &mut Value, from: &Value) {
    match (onto, from) {
        (Value::Object(onto), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    onto.remove(key);
                } else {
                    merge(onto.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (onto, from) => *onto = from.clone(),
    }
}

fn paths(found: &[SpecProblem]) -> Vec<&str> {
    found.iter().map(|p| p.path.as_str()).collect()
}

/// Specs of HPAs as Kubernetes' own controller was run on.
fn hpas_of_kubernetes() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/hpa");
    let files = ["hpa_vectors.json", "hpa_more.json", "hpa_sequences.json"];
    let read = |file| {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        file["vectors"].as_array().unwrap().clone()
    };
    let vectors = files.into_iter().flat_map(read);
    vectors
        .map(|vector| vector["hpa"]["spec"].clone())
        .collect()
}

#[test]
fn an_hpas_stanzas_paste_unchanged_and_mean_the_same() {
    let (mut same, mut refused) = (0, 0);
    for spec in hpas_of_kubernetes() {
        let mut hpa: HpaSpec = serde_json::from_value(spec.clone()).unwrap();
        // The API server's default, which a vector leaves out.
        hpa.min_replicas = hpa.min_replicas.or(Some(1));
        match convert(&spec) {
            Ok(converted) => {
                assert_eq!(converted.targets[0].hpa, hpa, "{spec}");
                let names: Vec<_> = converted.proposers.iter().map(|p| &p.name).collect();
                assert_eq!(names, ["hpa"], "{spec}");
                same += 1;
            }
            Err(found) => {
                let own = ValidSpec::new(Spec::of_hpa(TargetId::new("x"), hpa.clone()));
                let narrower = hpa.metrics.is_empty()
                    || hpa.max_replicas > 10_000
                    || found.iter().all(|p| p.message.contains("target's type"));
                assert!(own.is_err() || narrower, "{spec}: {found:?}");
                refused += 1;
            }
        }
    }
    assert!(same > 200, "{same} the same, {refused} refused");
}

#[test]
fn an_absent_behavior_stays_absent_and_an_empty_one_empty() {
    let hpa = |changes| convert(&with(&changes)).unwrap().targets[0].hpa.clone();
    assert_eq!(hpa(json!({})).behavior, None);
    let empty = hpa(json!({"behavior": {}})).behavior.unwrap();
    assert_eq!((empty.scale_up, empty.scale_down), (None, None));
}

#[test]
fn an_object_of_the_least_gets_the_defaults_of_the_engine() {
    let spec = convert(&with(&json!({}))).unwrap();
    assert_eq!(spec.mode, Mode::Shadow);
    assert_eq!(spec.interval, Span::from_seconds(15));
    assert_eq!(spec.guards, GuardSpec::default());
    assert_eq!(spec.combine, CombineSpec::default());
    assert_eq!(spec.targets[0].id.as_str(), "shop/Deployment/web");
    assert_eq!(spec.targets[0].hpa.min_replicas, Some(1));
    assert_eq!(spec.targets[0].capacity, None);
    assert_eq!(spec.targets[0].startup, None);
    assert_eq!(spec.proposers, [ProposerSpec::named("hpa")]);
}

#[test]
fn a_query_becomes_a_metric_of_the_outside_in_its_place() {
    let spec = convert(&with(&json!({}))).unwrap();
    let metrics = &spec.targets[0].hpa.metrics;
    assert_eq!(metrics.len(), 2);
    assert_eq!(metrics[0].kind, "Resource");
    let external = metrics[1].external.as_ref().unwrap();
    assert_eq!(metrics[1].kind, "External");
    assert_eq!(external.metric.name, "prometheus");
    let value = external.target.average_value.as_ref().unwrap().text();
    assert_eq!(value, "2500m");
}

#[test]
fn the_role_says_what_is_forecast_and_what_is_the_floor() {
    let prometheus = with(&json!({}))["metrics"][1].clone();
    let of = |role: &str| {
        let mut demand = prometheus.clone();
        demand["role"] = json!(role);
        let cpu = with(&json!({}))["metrics"][0].clone();
        with(&json!({"metrics": [demand, cpu]}))
    };
    for (role, floor, demand, proposer) in [
        ("React", vec![0, 1], None, "hpa"),
        ("Forecast", vec![1], Some(0), "predictive"),
        ("Both", vec![0, 1], Some(0), "predictive"),
    ] {
        let object = read(&object(&of(role))).unwrap();
        assert_eq!(reactive_metrics(&object.spec), floor, "{role}");
        assert_eq!(demand_metric(&object.spec), demand, "{role}");
        let spec = engine_spec(&object).unwrap();
        assert_eq!(spec.targets[0].hpa.metrics.len(), floor.len(), "{role}");
        assert_eq!(spec.proposers, [ProposerSpec::named(proposer)], "{role}");
        let capacity = demand.map(|_| Quantity::from_milli(2500, Unit::PerSecond));
        assert_eq!(spec.targets[0].capacity, capacity, "{role}");
    }
    let name = |spec: &Value| demand_name(&read(&object(spec)).unwrap().spec);
    assert_eq!(name(&of("React")), None);
    // As the engine's spec names it, where it is in the floor; of role Forecast it is in none.
    assert_eq!(name(&of("Both")).as_deref(), Some("prometheus"));
    assert_eq!(name(&of("Forecast")).as_deref(), Some("prometheus"));
    let queue = json!({"type": "External", "role": "Both", "external": {"metric": {"name": "queue"},
        "target": {"type": "AverageValue", "averageValue": "10"}}});
    let other = json!({"type": "External", "external": {"metric": {"name": "rps"},
        "target": {"type": "AverageValue", "averageValue": "10"}}});
    let second = with(&json!({"metrics": [other, queue]}));
    assert_eq!(name(&second).as_deref(), Some("queue"));
    let mut given = of("Both");
    given["forecast"] = json!({"capacity": 7, "startupSeconds": 45});
    let spec = convert(&given).unwrap();
    let seven = Quantity::from_milli(7000, Unit::PerSecond);
    assert_eq!(spec.targets[0].capacity, Some(seven));
    assert_eq!(spec.targets[0].startup, Some(Span::from_seconds(45)));
}

#[test]
fn what_is_suspended_is_off_and_the_rest_as_it_was() {
    let hpa = |changes| convert(&with(&changes)).unwrap().targets[0].hpa.clone();
    let held = hpa(json!({"suspend": {"holdAt": 33}}));
    assert_eq!((held.min_replicas, held.max_replicas), (Some(33), 33));
    let down = json!({"stabilizationWindowSeconds": 60,
        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]});
    let behavior = json!({"scaleDown": down});
    let free = hpa(json!({"behavior": behavior})).behavior.unwrap();
    let off = json!({"behavior": behavior, "suspend": {"scaleDown": true}});
    let off = hpa(off).behavior.unwrap();
    let rules = off.scale_down.unwrap();
    assert_eq!(rules.select_policy, Some(SelectPolicy::Disabled));
    assert_eq!(rules.stabilization_window_seconds, Some(60));
    assert_eq!(off.scale_up, free.scale_up);
    let up = hpa(json!({"suspend": {"scaleUp": true}})).behavior.unwrap();
    assert_eq!(
        up.scale_up.unwrap().select_policy,
        Some(SelectPolicy::Disabled)
    );
    assert_eq!(up.scale_down, None);
}

#[test]
fn guardrails_and_knobs_arrive_where_the_engine_looks() {
    let metrics = with(&json!({}))["metrics"].clone();
    let mut demand = metrics[1].clone();
    demand["role"] = json!("Both");
    let spec = convert(&with(&json!({
        "mode": "Auto", "syncPeriodSeconds": 30, "metrics": [demand],
        "forecast": {"forecaster": "prophet", "historySeconds": 86_400},
        "proposers": [
            {"name": "predictive", "knobs": {"violationPrice": "19"}},
            {"name": "buffered", "knobs": {"forecaster": "ets", "forecasterKnobs": "{\"a\": true}"}},
            {"name": "hpa"},
        ],
        "combine": {"rule": "Median"},
        "guardrails": {"floor": "Relaxed", "floorMinSharePercent": 70, "staleAfterSeconds": 60,
            "maxMissingPercent": 5, "minUptimeSeconds": 120,
            "budget": {"replicasMax": 9, "removedMax": 3, "changesMax": 4, "periodSeconds": 600}},
    })))
    .unwrap();
    assert_eq!(spec.mode, Mode::Auto);
    assert_eq!(spec.interval, Span::from_seconds(30));
    assert_eq!(spec.combine.rule, CombineRule::Median);
    let floor = Floor::Relaxed {
        min_share_percent: 70,
    };
    assert_eq!(spec.combine.floor, floor);
    let knobs = |i: usize| serde_json::to_value(&spec.proposers[i].knobs).unwrap();
    let first = json!({"violationPrice": 19, "forecaster": "prophet", "historySeconds": 86_400});
    assert_eq!(knobs(0), first);
    let second =
        json!({"forecaster": "ets", "forecasterKnobs": {"a": true}, "historySeconds": 86_400});
    assert_eq!(knobs(1), second);
    assert_eq!(knobs(2), json!({}));
    let told = serde_json::to_value(&spec.guards).unwrap();
    let want = json!({"staleAfterSeconds": 60, "missingPodsPercentMax": 5, "minUptimeSeconds": 120,
        "paused": false,
        "budget": {"replicasMax": 9, "removedMax": 3, "changesMax": 4, "periodSeconds": 600}});
    assert_eq!(told, want);
}

#[test]
fn names_of_metrics_differ_whatever_the_user_named() {
    let query = json!({"type": "Prometheus", "prometheus": {"query": "x",
        "target": {"type": "Value", "value": 3}}});
    let mut named = query.clone();
    named["name"] = json!("prometheus");
    let spec = with(&json!({"metrics": [query, named, query]}));
    let names = metric_names(&read(&object(&spec)).unwrap().spec);
    assert_eq!(names, ["prometheus-2", "prometheus", "prometheus-3"]);
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let mut spec = with(&json!({"maxReplicas": 0, "mode": false, "colour": 1,
        "guardrails": {"flor": "Strict"}, "forecast": {"forecaster": "profet"}}));
    spec["metrics"][1]["prometheus"]["target"] =
        json!({"type": "AverageValue", "averageValue": "0"});
    let found = convert(&spec).unwrap_err();
    let told = SpecProblem::joined(&found);
    for path in [
        "spec.maxReplicas",
        "spec.mode",
        "spec.colour",
        "spec.guardrails.flor",
        "spec.forecast.forecaster",
        "spec.metrics[1].prometheus.target.averageValue",
    ] {
        assert!(paths(&found).contains(&path), "{path} in {told}");
    }
    assert!(told.contains("did you mean `floor`"), "{told}");
    assert!(told.contains("did you mean `prophet`"), "{told}");
    assert!(told.contains("put it in quotes"), "{told}");
}

#[test]
fn an_object_that_was_stored_before_a_rule_is_refused_like_a_new_one() {
    let mut stored = read(&object(&with(&json!({})))).unwrap();
    stored.spec.min_replicas = 30;
    stored.spec.metrics[0].role = Role::Both;
    stored.spec.sync_period_seconds = 0;
    let found = engine_spec(&stored).unwrap_err();
    let want = [
        "spec.syncPeriodSeconds",
        "spec.minReplicas",
        "spec.metrics[0].role",
    ];
    assert_eq!(paths(&found), want);
    let mut nowhere = read(&object(&with(&json!({})))).unwrap();
    nowhere.metadata.namespace = None;
    let found = engine_spec(&nowhere).unwrap_err();
    assert_eq!(paths(&found), ["metadata.namespace"]);
}

#[test]
fn a_status_that_cannot_be_read_is_no_status() {
    let mut given = object(&with(&json!({})));
    given["status"] = json!({"desiredReplicas": 4, "guard": {"epoch": 7}});
    let status = read(&given).unwrap().status.unwrap();
    assert_eq!(status.desired_replicas, Some(4));
    assert_eq!(status.guard.unwrap().epoch, Some(7));
    given["status"] = json!({"desiredReplicas": "four"});
    assert_eq!(read(&given).unwrap().status, None);
}

#[test]
fn a_spec_of_many_bytes_is_refused() {
    let query = |n: usize| {
        json!({"type": "Prometheus", "name": format!("m{n}"), "prometheus": {"query": "x".repeat(2048),
            "target": {"type": "Value", "value": 3}}})
    };
    let of = |n: usize| with(&json!({"metrics": (0..n).map(query).collect::<Vec<_>>()}));
    assert!(convert(&of(7)).is_ok());
    let told = SpecProblem::joined(&convert(&of(8)).unwrap_err());
    assert!(told.contains("must be at most 16384"), "{told}");
}

#[test]
fn every_valid_object_converts_and_reads_back_as_it_was_written() {
    let mut dice = Dice(20_261_130);
    for _ in 0..2000 {
        let spec = any_object(&mut dice);
        let converted = convert(&spec).unwrap_or_else(|e| panic!("{spec}: {e:?}"));
        assert_eq!(converted.targets.len(), 1);
        let typed = read(&object(&spec)).unwrap();
        let written = serde_json::to_value(&typed).unwrap();
        assert_eq!(read(&written).unwrap(), typed, "{spec}");
    }
}

/// Every place of a value, as JSON pointers.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(k, v)| places(v, &format!("{at}/{k}"), into)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, v)| places(v, &format!("{at}/{i}"), into));
        }
        _ => {}
    }
}

#[test]
fn whatever_is_broken_is_refused_with_a_place_and_nothing_panics() {
    let mut dice = Dice(7);
    let junk = [
        json!(null),
        json!(true),
        json!(-1),
        json!(2_147_483_648_i64),
        json!(9.5),
        json!(""),
        json!("x"),
        json!([]),
        json!({}),
        json!([[]]),
        json!({"a": {}}),
        json!(u64::MAX),
        json!("x".repeat(5000)),
    ];
    let mut refused = 0;
    for _ in 0..3000 {
        let mut object = object(&any_object(&mut dice));
        let mut all = Vec::new();
        places(&object, "", &mut all);
        let place = dice.one(&all);
        *object.pointer_mut(&place).unwrap() = dice.one(&junk);
        if let Err(found) = read(&object).and_then(|o| engine_spec(&o)) {
            refused += 1;
            assert!(!found.is_empty(), "{place}");
            assert!(
                found
                    .iter()
                    .all(|p| !p.path.is_empty() && !p.message.is_empty()),
                "{found:?}"
            );
        }
    }
    assert!(refused > 1500, "{refused}");
}
