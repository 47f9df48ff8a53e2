//! Any bytes at all as spec, record or vectors: an error at most, never a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use foresail::cli::decide::parse_spec;
use foresail::conformance;
use foresail::record::{Reader, Recorder, Replayed, replay};
use foresail_core::engine::Input;
use foresail_core::hpa::{Pod, PodReading, PodSample, Reading};
use foresail_core::observe::{Health, Samples, TargetState};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
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

/// Bytes that a recorder writes and the test reads.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A record of an engine that was fed these ages, loads and counts.
fn recorded(steps: &[(u8, u16, u8)]) -> (Vec<u8>, u64) {
    let spec = parse_spec(SPEC).unwrap();
    let seed = foresail_models::rng::Seed(1);
    let mut engine = foresail_models::registry::engine_of(spec, seed).unwrap();
    let bytes = Shared::default();
    let mut recorder = Recorder::new(Box::new(bytes.clone()), &engine, seed, "u").unwrap();
    let (mut now, mut ticks) = (Timestamp::from_seconds(1_000_000), 0);
    for (age, load, count) in steps {
        now = now + Span::from_seconds(i64::from(*age));
        let sample = PodSample {
            value: i64::from(*load),
            at: now,
            window: Span::from_seconds(30),
        };
        let pods = usize::from(count % 6);
        let reading = PodReading {
            request: Some(1000),
            sample: (load % 7 != 0).then_some(sample),
        };
        let state = TargetState {
            target: TargetId::new("a"),
            current: Setting::replicas(Replicas::new(u32::from(count % 6))),
            pods: vec![Pod::default(); pods],
            readings: vec![Reading::Pods(vec![reading; pods])],
            ..TargetState::default()
        };
        let samples = Samples {
            at: now,
            health: Health::default(),
            leading: true,
            targets: vec![state],
            values: Vec::new(),
        };
        for input in [Input::Samples(samples), Input::Tick { now }] {
            recorder.input(&input);
            if let Some(tick) = engine.feed(input) {
                recorder.tick(&tick, engine.spec());
                ticks += 1;
            }
        }
    }
    recorder.finish().unwrap();
    (bytes.0.lock().unwrap().clone(), ticks)
}

fn replayed(text: Vec<u8>) -> anyhow::Result<Replayed> {
    replay(Reader::new("record", Box::new(Cursor::new(text)))?)
}

#[test]
fn i20_a_replay_equals_the_original_and_nothing_else_does() {
    bolero::check!()
        .with_iterations(300)
        .with_type::<(u16, Vec<(u8, u16, u8)>)>()
        .for_each(|(cut, steps)| {
            let (text, ticks) = recorded(&steps[..steps.len().min(20)]);
            let whole = replayed(text.clone());
            assert!(
                matches!(whole, Ok(Replayed::Identical { ticks: n }) if n == ticks),
                "{whole:?}"
            );
            let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
            let gone = usize::from(*cut) % lines.len();
            let without: Vec<u8> = (0..lines.len())
                .filter(|i| *i != gone)
                .flat_map(|i| lines[i].iter().copied())
                .collect();
            let same = |text| matches!(replayed(text), Ok(Replayed::Identical { .. }));
            assert!(!same(without), "without line {gone} of {}", lines.len());
            assert!(!same(lines[..gone].concat()), "cut before line {gone}");
        });
}
