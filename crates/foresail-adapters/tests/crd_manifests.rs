//! Manifests that an API server takes and refuses (`tests/golden/crd`), read without one.
//!
//! The same files go to a real API server in the tests of crate `foresail` on a control plane.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use std::fs;
use std::path::Path;

use foresail_adapters::kubernetes::convert::engine_spec;
use foresail_adapters::kubernetes::crd::{PredictiveAutoscaler, read};
use foresail_core::spec::{Spec, SpecProblem};
use serde_json::Value;

fn manifests(folder: &str) -> Vec<(String, String)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/crd");
    let entries = fs::read_dir(golden.join(folder)).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            (path.file_name().unwrap().display().to_string(), text)
        })
        .collect();
    all.sort();
    all
}

fn converted(yaml: &str) -> Result<(PredictiveAutoscaler, Spec), Vec<SpecProblem>> {
    let value: Value = serde_saphyr::from_str(yaml).unwrap();
    let mut object = read(&value)?;
    object.metadata.namespace = Some("shop".to_owned());
    let spec = engine_spec(&object)?;
    Ok((object, spec))
}

#[test]
fn every_good_object_is_taken_and_means_what_it_says() {
    let all = manifests("good");
    assert!(all.len() >= 20);
    for (name, yaml) in all {
        let (object, spec) = converted(&yaml).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let target = &spec.targets[0];
        let suspend = &object.spec.suspend;
        let max = suspend.hold_at.unwrap_or(object.spec.max_replicas);
        assert_eq!(target.hpa.max_replicas, max, "{name}");
        let off = suspend.scale_up || suspend.scale_down;
        let behaves = object.spec.behavior.is_some() || off;
        assert_eq!(target.hpa.behavior.is_some(), behaves, "{name}");
        let written =
            |m: &foresail_core::hpa::MetricSpec| m.external.is_some() || m.kind != "External";
        assert!(target.hpa.metrics.iter().all(written), "{name}");
    }
}

#[test]
fn every_bad_object_is_refused_at_the_place_that_it_names() {
    let all = manifests("bad");
    assert!(all.len() >= 60);
    for (name, yaml) in all {
        let line = |key: &str| {
            let line = yaml.lines().find_map(|l| l.strip_prefix(key));
            line.unwrap_or_else(|| panic!("{name} has no `{key}`"))
        };
        let (place, words) = (line("# place: "), line("# refused: "));
        // What only the YAML of an API server reads otherwise.
        if place == "-" {
            continue;
        }
        let found = converted(&yaml)
            .err()
            .unwrap_or_else(|| panic!("{name} is taken"));
        let at_place: Vec<_> = found.iter().filter(|p| p.path == place).collect();
        assert!(
            !at_place.is_empty(),
            "{name}: nothing at {place}: {found:?}"
        );
        // A rule has one message, whoever tells it; the schema's own words are the API server's.
        let of_schema = [
            " in body ",
            "Required value",
            "Too long",
            "Unsupported",
            "unknown field",
            "must have at most",
            "must be of type",
            "should be greater",
        ];
        if !of_schema.iter().any(|w| words.contains(w)) {
            let told = at_place.iter().any(|p| p.message.contains(words));
            assert!(told, "{name}: `{words}` is not in {found:?}");
        }
    }
}
