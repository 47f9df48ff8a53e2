//! What an object of the cluster may name is what the registry has, and every such object builds an
//! engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use foresail_adapters::kubernetes::convert::{WITH_FORECASTER, engine_spec};
use foresail_adapters::kubernetes::crd::{FORECASTERS, PROPOSERS, read};
use foresail_models::registry::{self, engine_of};
use foresail_models::rng::Seed;
use serde_json::{Value, json};

fn object(proposer: &str, forecaster: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.foresail.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 20,
            "metrics": [{"type": "Prometheus", "role": "Both", "prometheus": {"query": "sum(x)",
                "target": {"type": "AverageValue", "averageValue": "40"}}}],
            "forecast": {"forecaster": forecaster, "historySeconds": 86_400},
            "proposers": [{"name": proposer}],
        },
    })
}

fn builds(proposer: &str, forecaster: &str) {
    let of = format!("{proposer} on {forecaster}");
    let mut object = object(proposer, forecaster);
    if proposer == "schedule" {
        // The one that has no default: a list, which a knob's text holds as JSON.
        let rules = json!([{"cron": "0 8 * * *", "timeZone": "UTC", "durationSeconds": 36_000, "replicas": 10}]);
        object["spec"]["proposers"][0]["knobs"] = json!({"rules": rules.to_string()});
    }
    let read = read(&object).unwrap_or_else(|e| panic!("{of}: {e:?}"));
    let spec = engine_spec(&read).unwrap_or_else(|e| panic!("{of}: {e:?}"));
    engine_of(spec, Seed(1)).unwrap_or_else(|e| panic!("{of}: {e:?}"));
}

#[test]
fn every_proposer_and_forecaster_that_an_object_may_name_builds_an_engine() {
    for proposer in PROPOSERS {
        builds(proposer, "auto");
    }
    for forecaster in FORECASTERS {
        builds("predictive", forecaster);
    }
}

#[test]
fn the_names_are_those_of_the_registry() {
    let mut forecasters = registry::forecaster_names();
    forecasters.sort_unstable();
    assert_eq!(forecasters, FORECASTERS);
    let known = registry::proposer_names();
    assert!(PROPOSERS.iter().all(|name| known.contains(name)));
}

#[test]
fn the_forecaster_goes_to_those_who_have_the_knob() {
    for entry in registry::PROPOSERS
        .iter()
        .filter(|e| PROPOSERS.contains(&e.name))
    {
        let has = |knob: &str| entry.knobs.iter().any(|k| k.name == knob);
        let both = has("forecasterKnobs") && has("historySeconds");
        assert_eq!(
            both,
            WITH_FORECASTER.contains(&entry.name),
            "{}",
            entry.name
        );
    }
}
