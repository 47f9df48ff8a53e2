//! The same weights and inputs as PyTorch give the same outputs, losses, gradients and steps.
//!
//! Vectors by `tests/reference/nn.py`.
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeMap;

use foresail_nn::loss::{Loss, gaussian};
use foresail_nn::optimize::{Adam, Decay, clip};
use foresail_nn::{LANES, Layer, Row, safetensors};
use serde_json::Value;
use support::Net;

const TOLERANCE: f64 = 1e-5;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/forecast/nn.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// Samples × numbers as rows of lanes.
fn lanes(samples: &[f32], batch: usize) -> Vec<Row<f32>> {
    let count = samples.len() / batch;
    let mut rows = vec![[0.0; LANES]; count];
    for (lane, sample) in samples.chunks_exact(count).enumerate() {
        for (row, value) in rows.iter_mut().zip(sample) {
            row[lane] = *value;
        }
    }
    rows
}

fn close(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        let differ = f64::from(ours - theirs).abs();
        let error = differ / f64::from(theirs.abs()).max(1.0);
        assert!(error < TOLERANCE, "{what}: {ours} against {theirs}");
    }
}

/// The first `batch` lanes, sample by sample.
fn samples(rows: &[Row<f32>], batch: usize) -> Vec<f32> {
    (0..batch)
        .flat_map(|lane| rows.iter().map(move |row| row[lane]))
        .collect()
}

fn net_of(case: &Value, weights: &Value) -> Net {
    let shape: Vec<usize> = case["shape"].as_array().unwrap().iter().map(size).collect();
    let mut net = Net::new(shape.try_into().unwrap(), 0);
    for (name, parameter) in net.parameters_mut() {
        parameter.value.copy_from_slice(&numbers(&weights[&name]));
    }
    net
}

/// Optimizer, loss and clipping of each case, as the script has them.
fn settings(name: &str) -> (Adam, Loss, Option<f64>) {
    match name {
        "one layer, squared, Adam" => (Adam::new(0.01), Loss::Squared, None),
        "two layers, Huber, AdamW" => {
            let adam = Adam::with_decoupled_decay(0.01, 0.1);
            (adam, Loss::Huber { delta: 0.5 }, None)
        }
        "coupled decay, clipped" => {
            let mut adam = Adam::new(0.02);
            adam.decay = Decay::Coupled(0.05);
            (adam, Loss::Squared, Some(0.1))
        }
        other => panic!("no settings for {other}"),
    }
}

#[test]
fn outputs_losses_gradients_and_three_steps() {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let (mut adam, loss, norm_max) = settings(name);
        let batch = size(&case["batch"]);
        let (x, y) = (
            lanes(&numbers(&case["x"]), batch),
            lanes(&numbers(&case["y"]), batch),
        );
        let mut net = net_of(case, &case["before"]);
        close(
            name,
            &samples(&net.predict(&x), batch),
            &numbers(&case["outputs"]),
        );
        for step in 0..3 {
            net.clear_gradients();
            let value = net.learn(&x, &y, batch, loss);
            if step == 0 {
                assert!(
                    (value - case["loss"].as_f64().unwrap()).abs() < TOLERANCE,
                    "{name}"
                );
                for (parameter, own) in net.parameters() {
                    let theirs = numbers(&case["gradients"][&parameter]);
                    close(
                        &format!("{name}, gradient of {parameter}"),
                        &own.gradient,
                        &theirs,
                    );
                }
            }
            if let Some(norm_max) = norm_max {
                let norm = clip(&mut net, norm_max);
                let theirs = case["norm"].as_f64().unwrap();
                assert!(
                    step > 0 || (norm - theirs).abs() < TOLERANCE,
                    "{norm} {theirs}"
                );
            }
            adam.step(&mut net);
        }
        for (parameter, own) in net.parameters() {
            close(
                &format!("{name}, {parameter} after 3 steps"),
                &own.value,
                &numbers(&case["after"][&parameter]),
            );
        }
    }
}

#[test]
fn the_gaussian_likelihood_and_its_gradients() {
    let golden = golden();
    let case = &golden["gaussian"];
    let one = |key: &str| lanes(&numbers(&case[key]), 1);
    let (mean, variance, target) = (one("mean"), one("variance"), one("target"));
    let mut gradient = [Vec::new(), Vec::new()];
    let loss = gaussian([&mean, &variance, &target], (1, 7), &mut gradient);
    let theirs = case["loss"].as_f64().unwrap();
    assert!((loss - theirs).abs() < TOLERANCE * theirs.abs());
    for (key, ours) in ["mean_gradient", "variance_gradient"].iter().zip(&gradient) {
        for (ours, theirs) in samples(ours, 1).iter().zip(numbers(&case[*key])) {
            let error = f64::from((ours - theirs).abs() / theirs.abs().max(1.0));
            assert!(error < TOLERANCE, "{key}: {ours} against {theirs}");
        }
    }
}

#[test]
fn a_state_dict_saved_by_pytorch_loads_and_predicts_the_same() {
    let bytes = include_bytes!("../../../tests/golden/forecast/torch_lstm.safetensors");
    let file = safetensors::read(bytes).unwrap();
    assert_eq!(
        file.metadata,
        BTreeMap::from([("format".to_owned(), "pt".to_owned())])
    );
    let case = &golden()["saved"];
    let mut net = Net::new([1, 8, 1, 1], 5);
    safetensors::load(&mut net, &file).unwrap();
    let x = lanes(&numbers(&case["x"]), 3);
    close(
        "outputs",
        &samples(&net.predict(&x), 3),
        &numbers(&case["outputs"]),
    );
    let again = safetensors::read(&safetensors::write(&net, &file.metadata)).unwrap();
    assert_eq!(again, file);
}
