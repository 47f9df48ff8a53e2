//! Any bytes at all as spec, record or vectors: an error at most, never a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use std::io::Cursor;

use foresail::cli::decide::parse_spec;
use foresail::conformance;
use foresail::record::{Reader, replay};
use foresail_core::spec::ValidSpec;

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
