//! numpy's stream and the published study's trace.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use foresail_core::quantity::units::larger;
use foresail_models::forecast::prophet::{Mode, Prophet, Regressor, Rows, Standardise};
use foresail_models::normal::standard_normal;
use foresail_sim::workload::numpy::{Generator, seed_words};
use foresail_sim::workload::published::{MINUTES, SEED, SHAPES};
use serde_json::Value;

fn golden() -> Value {
    let place = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/workload/numpy_stream.json"
    );
    serde_json::from_str(&std::fs::read_to_string(place).unwrap()).unwrap()
}

fn whole(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn reals(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn every_kind_of_number_is_numpys() {
    for stream in golden()["streams"].as_array().unwrap() {
        let seed = whole(&stream["seed"]);
        let words: Vec<u64> = stream["state"]
            .as_array()
            .unwrap()
            .iter()
            .map(whole)
            .collect();
        assert_eq!(seed_words(seed).to_vec(), words, "seed {seed}");
        let mut raw = Generator::new(seed);
        for bits in stream["raw"].as_array().unwrap() {
            assert_eq!(raw.bits(), whole(bits), "seed {seed}");
        }
        let mut ours = Generator::new(seed);
        let normals: Vec<f64> = (0..4000).map(|_| ours.normal(0.0, 1.8)).collect();
        for (a, b) in normals.iter().zip(reals(&stream["normals"])) {
            assert!((a - b).abs() < 1e-13, "seed {seed}: {a} {b}");
        }
        let sum: f64 = normals.iter().sum();
        assert!((sum - stream["normals_sum"].as_f64().unwrap()).abs() < 1e-9);
        // Doubles are equal to the bit, and so show that the normals took as many draws.
        for wanted in reals(&stream["doubles"]) {
            assert_eq!(ours.random().to_bits(), wanted.to_bits(), "seed {seed}");
        }
        let ranges = [(40, 120), (0, 3), (-(1 << 40), 1 << 40), (5, 6)];
        for ((low, high), drawn) in ranges
            .into_iter()
            .zip(stream["integers"].as_array().unwrap())
        {
            for wanted in drawn.as_array().unwrap() {
                assert_eq!(
                    Some(ours.integers(low, high)),
                    wanted.as_i64(),
                    "seed {seed}"
                );
            }
        }
        for wanted in reals(&stream["after"]) {
            assert_eq!(ours.random().to_bits(), wanted.to_bits(), "seed {seed}");
        }
    }
}

#[test]
fn numbers_of_the_tail_are_numpys() {
    for stream in golden()["streams"].as_array().unwrap() {
        let seed = whole(&stream["seed"]).wrapping_add(1);
        let mut ours = Generator::new(seed);
        let drawn: Vec<f64> = (0..200_000).map(|_| standard_normal(&mut ours)).collect();
        let at = reals(&stream["tail_at"]);
        assert!(!at.is_empty());
        for (place, wanted) in at.into_iter().zip(reals(&stream["tail"])) {
            let ours = drawn[place as usize];
            assert!((ours - wanted).abs() < 1e-13, "{ours} {wanted}");
        }
        let last = stream["tail_last"].as_f64().unwrap();
        assert!((drawn[199_999] - last).abs() < 1e-13);
    }
}

#[test]
fn the_trace_is_the_published_one() {
    let table = [
        ("mixed", 60, 38, 21.6406, 149.290),
        ("smooth", 11, 5, 21.4591, 131.083),
        ("spiky", 204, 104, 22.6770, 213.028),
    ];
    for (shape, (name, all, last, mean, most)) in SHAPES.iter().zip(table) {
        assert_eq!(shape.name, name);
        let trace = shape.trace(SEED);
        let count = |events: &[bool]| events.iter().filter(|e| **e).count();
        assert_eq!(trace.demand.len(), MINUTES);
        assert_eq!(count(&trace.events), all, "{name}");
        assert_eq!(count(&trace.events[MINUTES / 2..]), last, "{name}");
        let sum: f64 = trace.demand.iter().sum();
        assert!((sum / MINUTES as f64 - mean).abs() < 5.1e-5, "{name}");
        let largest = trace.demand.iter().copied().fold(0.0, larger);
        assert!((largest - most).abs() < 5.1e-4, "{name}: {largest}");
        assert_ne!(shape.trace(8).demand, trace.demand);
    }
    let mixed = SHAPES[0].trace(SEED);
    assert!((mixed.demand[0] - 22.502_214_276).abs() < 1e-9);
    let spikes: Vec<usize> = (0..MINUTES).filter(|i| mixed.events[*i]).take(5).collect();
    assert_eq!(spikes, [190, 592, 826, 952, 1760]);
    let mut stream = Generator::new(SEED);
    for wanted in [0.002_214_28, 0.537_741_97, -0.493_448_14] {
        assert!((stream.normal(0.0, 1.8) - wanted).abs() < 5.1e-9);
    }
}

/// Check of the published study's Prophet: the mixed week with its events known ahead.
#[test]
fn prophet_on_the_mixed_week_has_the_error_of_the_minimum() {
    let trace = SHAPES[0].trace(SEED);
    let series = trace.series();
    let times: Vec<_> = (0..MINUTES).map(|i| series.time_of(i)).collect();
    let events = [trace
        .events
        .iter()
        .map(|e| f64::from(u8::from(*e)))
        .collect::<Vec<f64>>()];
    let half = MINUTES / 2;
    let split = |range: std::ops::Range<usize>| [events[0][range].to_vec()];
    let (past, future) = (split(0..half), split(half..MINUTES));
    let settings = Prophet {
        regressors: vec![Regressor {
            name: "is_event".to_owned(),
            scale: 10.0,
            mode: Mode::Additive,
            standardise: Standardise::Auto,
        }],
        ..Prophet::default()
    };
    let rows = Rows {
        times: &times[..half],
        regressors: &past,
        ..Rows::default()
    };
    let model = settings.fit_rows(&rows, &trace.demand[..half]).unwrap();
    assert!(
        (model.parameters.sigma - 0.01452).abs() < 2e-4,
        "{}",
        model.parameters.sigma
    );
    // Another solver's minimum on this objective is -37279.26, Stan's stop -37270.09.
    assert!(model.objective < -37_279.2, "{}", model.objective);
    let rows = Rows {
        times: &times[half..],
        regressors: &future,
        ..Rows::default()
    };
    let told = model.predict(&rows);
    let errors = told
        .yhat
        .iter()
        .zip(&trace.demand[half..])
        .map(|(a, b)| (a - b).abs());
    let mae = errors.sum::<f64>() / half as f64;
    assert!((mae - 3.60).abs() < 0.05, "{mae}");
}
