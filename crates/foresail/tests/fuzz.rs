//! Any bytes at all as spec, record or vectors: an error at most, never a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use foresail::cli::decide::parse_spec;
use foresail::conformance;
use foresail::record::{Reader, replay};
use foresail_core::spec::ValidSpec;
use serde_json::{Value, json};

const SPEC: &str =
    "targets: [{id: a, hpa: {maxReplicas: 5, behavior: {scaleUp: {tolerance: 50m}}}}]\n";

#[test]
fn a_spec_of_any_bytes_is_read_or_refused() {
    bolero::check!()
        .with_iterations(4000)
        .with_type::<(u8, Vec<u8>)>()
        .for_each(|(place, bytes)| {
            let mut text = SPEC.as_bytes().to_vec();
            let place = usize::from(*place) % text.len();
            text.splice(place..place, bytes.iter().copied().take(12));
            for text in [
                String::from_utf8_lossy(&text),
                String::from_utf8_lossy(bytes),
            ] {
                if let Ok(spec) = parse_spec(&text) {
                    let _ = ValidSpec::new(spec);
                }
            }
        });
}

/// A small but whole record.
fn record() -> Vec<u8> {
    let spec = parse_spec(SPEC).unwrap();
    let engine =
        foresail_models::registry::engine_of(spec.clone(), foresail_models::rng::Seed(1)).unwrap();
    let head = foresail::record::Head {
        v: foresail::record::VERSION,
        uid: "u".to_owned(),
        spec,
        seed: 1,
        snapshot: engine.snapshot(),
    };
    let mut text = serde_json::to_vec(&head).unwrap();
    text.extend_from_slice(b"\n{\"input\":{\"tick\":{\"now\":\"2026-01-01T00:00:00Z\"}}}\n");
    text
}

#[test]
fn a_flight_record_of_any_bytes_is_replayed_or_refused() {
    let whole = record();
    bolero::check!()
        .with_iterations(4000)
        .with_type::<(u16, Vec<u8>)>()
        .for_each(|(place, bytes)| {
            let mut text = whole.clone();
            let place = usize::from(*place) % text.len();
            text.splice(place..place, bytes.iter().copied().take(12));
            for text in [text, bytes.clone()] {
                if let Ok(reader) = Reader::new("fuzz", Box::new(Cursor::new(text))) {
                    let _ = replay(reader);
                }
            }
        });
}

#[test]
fn vectors_of_any_bytes_are_read_or_refused() {
    bolero::check!()
        .with_iterations(4000)
        .with_type::<Vec<u8>>()
        .for_each(|bytes| {
            let _ = conformance::parse(&String::from_utf8_lossy(bytes));
        });
}

/// Values that a place of a vector gets instead of its own.
fn instead() -> Vec<Value> {
    vec![
        json!(null),
        json!(0),
        json!(-1),
        json!(i32::MAX),
        json!(i64::MAX),
        json!(1e300),
        json!("0"),
        json!("-9223372036854775808m"),
        json!("9E"),
        json!("app in (web,"),
        json!([]),
        json!({}),
        json!(true),
    ]
}

/// The value at the `nth` place below, counted modulo their number.
fn place(value: &mut Value, nth: usize) -> Option<&mut Value> {
    let mut below: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => return None,
    };
    let index = nth % below.len().max(1);
    (index < below.len()).then(|| below.swap_remove(index))
}

#[test]
fn golden_vectors_changed_anywhere_are_answered_or_refused() {
    let golden = ["hpa_vectors.json", "hpa_more.json"].map(|name| {
        let path = support::root().join("tests/golden/hpa").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["vectors"].take()
    });
    let vectors: Vec<&Value> = golden.iter().flat_map(|g| g.as_array().unwrap()).collect();
    let instead = instead();
    let answered = AtomicUsize::new(0);
    bolero::check!()
        .with_iterations(3000)
        .with_type::<(u16, u8, Vec<u8>)>()
        .for_each(|(which, value, path)| {
            let mut vector = vectors[usize::from(*which) % vectors.len()].clone();
            vector["expected"] = Value::Null;
            let mut at = &mut vector;
            for step in path.iter().chain(&[1, 2, 3]).take(6) {
                if place(at, usize::from(*step)).is_none() {
                    break;
                }
                at = place(at, usize::from(*step)).unwrap();
            }
            *at = instead[usize::from(*value) % instead.len()].clone();
            let text = json!([vector]).to_string();
            let Ok((vectors, _)) = conformance::parse(&text) else {
                return;
            };
            for bug_compatible in [false, true] {
                let answer = conformance::answer(&vectors[0], bug_compatible);
                answered.fetch_add(usize::from(answer.is_ok()), Ordering::Relaxed);
            }
        });
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 600, "only {answered} answers");
}
