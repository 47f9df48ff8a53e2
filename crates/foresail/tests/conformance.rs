//! Kubernetes' own vectors through the command: every one must pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

mod support;

use std::path::PathBuf;

use foresail::conformance::{Verdict, answer, parse};
use serde_json::{Value, json};

/// Vectors of `hpa_more.json`.
const MORE: usize = 79;

fn golden(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/hpa")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

fn check(name: &str, bug_compatible: bool, want: [usize; 3]) {
    let (vectors, warnings) = parse(&golden(name)).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let mut counts = [0; 3];
    for vector in &vectors {
        let answer = answer(vector, bug_compatible).unwrap();
        match answer.verdict {
            Verdict::Pass => counts[0] += 1,
            Verdict::Allowed => counts[1] += 1,
            Verdict::Differs | Verdict::None => {
                counts[2] += 1;
                println!("{}: {:?}", answer.id, answer.difference);
            }
        }
    }
    assert_eq!(counts, want);
}

#[test]
fn every_single_pass_equals_kubernetes_and_two_overflows_saturate() {
    check("hpa_vectors.json", false, [106, 2, 0]);
}

#[test]
fn bug_compatible_reproduces_the_overflows() {
    check("hpa_vectors.json", true, [108, 0, 0]);
}

#[test]
fn every_sequence_equals_kubernetes() {
    check("hpa_sequences.json", false, [40, 0, 0]);
}

#[test]
fn selectors_pod_requests_containers_and_gates_equal_kubernetes() {
    check("hpa_more.json", false, [MORE - 2, 2, 0]);
    check("hpa_more.json", true, [MORE, 0, 0]);
}

#[test]
fn saturated_overflows_scale_up_to_the_limit() {
    let (vectors, _) = parse(&golden("hpa_vectors.json")).unwrap();
    for vector in vectors.iter().filter(|v| v.upstream_defect) {
        let step = answer(vector, false).unwrap().result.swap_remove(0);
        assert_eq!(step["scaledTo"], 6, "{}", vector.id);
        let limited = step["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["reason"] == "ScaleUpLimit");
        assert!(limited, "{}: {step}", vector.id);
        let raw = step["recommendationsAfter"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["replicas"] == i32::MAX);
        assert!(raw, "{}: {step}", vector.id);
    }
}

#[test]
fn a_vector_without_expectation_is_computed_and_a_wrong_one_differs() {
    let text = golden("hpa_vectors.json");
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array_mut().unwrap();
    vectors.truncate(2);
    vectors[0].as_object_mut().unwrap().remove("expected");
    vectors[0]["colour"] = serde_json::json!("blue");
    vectors[1]["expected"][0]["statusDesiredReplicas"] = serde_json::json!(99);
    let (vectors, warnings) = parse(&file.to_string()).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("`colour` is not read"));
    let first = answer(&vectors[0], false).unwrap();
    assert_eq!((first.verdict, first.result.len()), (Verdict::None, 1));
    let second = answer(&vectors[1], false).unwrap();
    assert_eq!(second.verdict, Verdict::Differs);
    assert!(second.difference.unwrap().contains("statusDesiredReplicas"));
}

#[test]
fn what_cannot_be_read_names_its_place() {
    for (text, want) in [
        ("{", "line 1"),
        ("{\"vectors\": 5}", "expected"),
        (
            "[{\"id\": \"X1\", \"hpa\": {\"spec\": {\"maxReplicas\": \"many\"}}}]",
            "X1: hpa.spec",
        ),
        (
            "[{\"id\": \"X2\", \"hpa\": {\"spec\": {\"maxReplicas\": 5}}, \"scale\": {\"replicas\": 1, \"statusReplicas\": 1}, \"pods\": [{\"name\": \"p\", \"phase\": \"Dancing\"}]}]",
            "Dancing",
        ),
        (
            "[{\"id\": \"X3\", \"hpa\": {\"spec\": {\"maxReplicas\": 5, \"metrics\": [{\"type\": \"External\", \"external\": {\"metric\": {\"name\": \"q\"}, \"target\": {\"type\": \"Value\", \"value\": \"ten\"}}}]}}}]",
            "X3: hpa.spec.metrics[0].external.target.value: expected a Kubernetes quantity",
        ),
    ] {
        let error = parse(text)
            .and_then(|(v, _)| answer(&v[0], false).map(|_| ()))
            .unwrap_err();
        assert!(error.to_string().contains(want), "{text}: {error}");
    }
}

/// The first golden vector, changed at one place given as a JSON pointer.
fn changed(pointer: &str, value: &Value) -> String {
    let mut file: Value = serde_json::from_str(&golden("hpa_vectors.json")).unwrap();
    file["vectors"].as_array_mut().unwrap().truncate(1);
    let (above, key) = pointer.rsplit_once('/').unwrap();
    let above = file["vectors"][0].pointer_mut(above).unwrap();
    match above {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value.clone(),
        above => above[key] = value.clone(),
    }
    file.to_string()
}

#[test]
fn a_value_of_another_form_is_refused_with_its_place_and_never_read_as_zero() {
    for (pointer, value, want) in [
        (
            "/scale/replicas",
            json!(99_999_999_999_i64),
            "A01: scale.replicas: expected a whole",
        ),
        ("/scale/replicas", json!(3.0), "scale.replicas"),
        ("/scale/replicas", json!(-1), "scale.replicas"),
        ("/scale/replicas", json!(null), "scale.replicas: missing"),
        ("/scale", json!(null), "scale: missing"),
        (
            "/scale/statusReplicas",
            json!(3_000_000_000_i64),
            "scale.statusReplicas",
        ),
        ("/pods", json!({"a": 1}), "pods: expected a list"),
        ("/pods/1/phase", json!("Dancing"), "pods[1].phase"),
        ("/pods/1/ready", json!(true), "pods[1].ready"),
        ("/pods/1/deleting", json!("no"), "pods[1].deleting"),
        (
            "/pods/1/containers/0/requests/cpu",
            json!("much"),
            "pods[1].containers[0].requests.cpu",
        ),
        (
            "/metrics/resource/0/ago",
            json!(null),
            "metrics.resource[0].ago: missing",
        ),
        ("/then", json!({}), "then: expected a list"),
        (
            "/then",
            json!([{"advanceSeconds": -1}]),
            "then[0].advanceSeconds",
        ),
        (
            "/then",
            json!([{"advanceSeconds": 1e300}]),
            "then[0].advanceSeconds",
        ),
        (
            "/then",
            json!([{"statusReplicas": "3"}]),
            "then[0].statusReplicas",
        ),
        (
            "/controller/tolerance",
            json!("0.1"),
            "controller.tolerance",
        ),
        (
            "/controller/downscaleStabilizationSeconds",
            json!(1e300),
            "downscaleStabilization",
        ),
        ("/expected", json!([17]), "expected[0]: expected an object"),
        ("/expected", json!({}), "expected: expected a list"),
        ("/upstreamDefect", json!("false"), "upstreamDefect"),
        (
            "/gates",
            json!({"HPAScaleToZero": "off"}),
            "gates.HPAScaleToZero",
        ),
        (
            "/hpa/spec/maxReplicas",
            json!(null),
            "hpa.spec.maxReplicas: missing",
        ),
        ("/otherHpaSelectors", json!("app=web"), "otherHpaSelectors"),
    ] {
        let error = parse(&changed(pointer, &value)).unwrap_err().to_string();
        assert!(error.contains(want), "{pointer} = {value}: {error}");
    }
}

#[test]
fn a_key_that_is_not_read_is_a_warning_at_every_level_and_changes_nothing() {
    let (vectors, _) = parse(&changed("/title", &json!("as it was"))).unwrap();
    let plain = answer(&vectors[0], false).unwrap().result;
    for above in [
        "",
        "/hpa",
        "/hpa/spec",
        "/hpa/spec/scaleTargetRef",
        "/hpa/spec/metrics/0",
        "/hpa/spec/metrics/0/resource",
        "/hpa/spec/metrics/0/resource/target",
        "/scale",
        "/controller",
        "/history",
        "/metrics",
        "/metrics/resource/0",
        "/pods/0",
        "/pods/0/containers/0",
    ] {
        for key in ["note", "why", "colour"] {
            let text = changed(&format!("{above}/{key}"), &json!({"a": [1]}));
            let (vectors, warnings) = parse(&text).unwrap();
            assert_eq!(warnings.len(), 1, "{above}/{key}: {warnings:?}");
            assert!(
                warnings[0].contains(&format!("key `{key}` is not read")),
                "{warnings:?}"
            );
            let result = answer(&vectors[0], false).unwrap().result;
            assert_eq!(result, plain, "{above}/{key}");
        }
    }
}

#[test]
fn a_byte_order_mark_and_a_step_without_a_span_are_read() {
    let text = format!("\u{feff}{}", changed("/then", &json!([{}])));
    let (vectors, warnings) = parse(&text).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let result = answer(&vectors[0], false).unwrap().result;
    assert_eq!(result.len(), 2);
    assert_eq!(
        result[1]["lastScaleTimeSetNow"],
        result[0]["lastScaleTimeSetNow"]
    );
}

#[test]
fn only_the_overflow_itself_is_allowed_on_a_marked_vector() {
    let mut file: Value = serde_json::from_str(&golden("hpa_vectors.json")).unwrap();
    let vectors = file["vectors"].as_array_mut().unwrap();
    vectors.retain(|v| v["upstreamDefect"] == true);
    for vector in vectors {
        vector["expected"][0]["statusCurrentReplicas"] = json!(77);
    }
    let (vectors, _) = parse(&file.to_string()).unwrap();
    assert_eq!(vectors.len(), 2);
    for vector in &vectors {
        let verdict = answer(vector, false).unwrap().verdict;
        assert_eq!(verdict, Verdict::Differs, "{}", vector.id);
    }
}

#[test]
fn nothing_is_printed_of_a_file_whose_last_vector_cannot_be_computed() {
    let mut file: Value = serde_json::from_str(&golden("hpa_vectors.json")).unwrap();
    let vectors = file["vectors"].as_array_mut().unwrap();
    vectors.truncate(3);
    vectors[2]["pods"][0]["containers"][0]["requests"]["cpu"] = json!("much");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("v.json"), file.to_string()).unwrap();
    let error = support::refused(folder.path(), &["conformance", "hpa", "v.json"]);
    let place = "pods[0].containers[0].requests.cpu: expected a Kubernetes quantity";
    assert!(error.contains(place), "{error}");
}
