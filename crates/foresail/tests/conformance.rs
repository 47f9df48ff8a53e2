//! Kubernetes' own vectors through the command: every one must pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may fail loudly"
)]

use std::path::PathBuf;

use foresail::conformance::{Verdict, answer, parse};

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
            "[{\"id\": \"X2\", \"hpa\": {\"spec\": {\"maxReplicas\": 5}}, \"pods\": [{\"name\": \"p\", \"phase\": \"Dancing\"}]}]",
            "Dancing",
        ),
        (
            "[{\"id\": \"X3\", \"hpa\": {\"spec\": {\"maxReplicas\": 5, \"metrics\": [{\"type\": \"External\", \"external\": {\"metric\": {\"name\": \"q\"}, \"target\": {\"type\": \"Value\", \"value\": \"ten\"}}}]}}}]",
            "`ten` is not a quantity",
        ),
    ] {
        let error = parse(text)
            .and_then(|(v, _)| answer(&v[0], false).map(|_| ()))
            .unwrap_err();
        assert!(error.to_string().contains(want), "{text}: {error}");
    }
}
