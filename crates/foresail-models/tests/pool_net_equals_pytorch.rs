//! The whole encoder-decoder and prediction network, in the published shape and with given dropout,
//! equal PyTorch's: outputs, loss, gradients.
//!
//! Vectors by `tests/reference/pool_net.py`; weights, inputs and masks follow the same formulas here.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_models::forecast::pool_net::encoder_decoder::{self, EncoderDecoder};
use foresail_models::forecast::pool_net::head::{self, Head};
use foresail_models::forecast::pool_net::{INPUTS, Shape, Training};
use foresail_models::rng::{Seed, child};
use foresail_nn::dropout::Mask;
use foresail_nn::loss::Loss;
use foresail_nn::{LANES, Layer, Row};
use serde_json::Value;

const BATCH: usize = 3;
const TOLERANCE: f64 = 2e-5;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/forecast/pool_net.json")).unwrap()
}

fn wave(count: usize, speed: f64, phase: f64, size: f64) -> Vec<f32> {
    let one = |i: usize| (size * (speed * i as f64 + phase).sin()) as f32;
    (0..count).map(one).collect()
}

fn begin(net: &mut impl Layer) {
    for (place, (_, parameter)) in net.parameters_mut().into_iter().enumerate() {
        let phase = place as f64;
        parameter.value = wave(parameter.value.len(), 0.7 + 0.01 * phase, phase, 0.3);
    }
}

/// Samples × numbers as rows of lanes.
fn lanes(samples: &[f32]) -> Vec<Row<f32>> {
    let count = samples.len() / BATCH;
    let mut rows = vec![[0.0; LANES]; count];
    for (lane, sample) in samples.chunks_exact(count).enumerate() {
        for (row, value) in rows.iter_mut().zip(sample) {
            row[lane] = *value;
        }
    }
    rows
}

fn mask(width: usize, phase: usize) -> Mask {
    let factor = |s: usize, c: usize| {
        let out = (7 * s + 3 * c + phase).is_multiple_of(4);
        if out { 0.0 } else { 4.0 / 3.0 }
    };
    let row = |c: usize| std::array::from_fn(|lane| factor(lane, c));
    Mask::of((0..width).map(row).collect())
}

fn close(what: &str, ours: f64, theirs: &Value) {
    let theirs = theirs.as_f64().unwrap();
    let size = if theirs.abs() > 1.0 {
        theirs.abs()
    } else {
        1.0
    };
    assert!(
        (ours - theirs).abs() / size < TOLERANCE,
        "{what}: {ours} {theirs}"
    );
}

/// Outputs and loss against the golden ones; gives the gradient of the outputs.
fn check_outputs(out: &[Row<f32>], case: &Value) -> Vec<Row<f32>> {
    let theirs = case["outputs"].as_array().unwrap();
    for (i, theirs) in theirs.iter().enumerate() {
        let (lane, row) = (i / out.len(), i % out.len());
        close(&format!("output {i}"), f64::from(out[row][lane]), theirs);
    }
    let targets = lanes(&wave(theirs.len(), 1.1, 0.5, 1.0));
    let mut gradient = Vec::new();
    let loss = Loss::Squared.measure(out, &targets, (BATCH, theirs.len()), &mut gradient);
    close("loss", loss, &case["loss"]);
    gradient
}

fn check_gradients(net: &impl Layer, case: &Value) {
    assert_eq!(net.count() as u64, case["parameters"].as_u64().unwrap());
    let theirs = case["gradients"].as_object().unwrap();
    assert_eq!(theirs.len(), net.parameters().len());
    for (name, parameter) in net.parameters() {
        let numbers = parameter.gradient.iter().map(|g| f64::from(*g));
        let norm = numbers.clone().map(|g| g * g).sum::<f64>().sqrt();
        let cosine = numbers.enumerate().map(|(i, g)| g * (0.3 * i as f64).cos());
        assert!(norm > 1e-8, "{name} has no gradient");
        close(&name, norm, &theirs[&name][0]);
        close(&name, cosine.sum(), &theirs[&name][1]);
    }
}

#[test]
fn the_encoder_decoder() {
    let training = Training {
        shape: Shape::Published,
        ..Training::encoder()
    };
    let mut net = EncoderDecoder::new(&training, &mut child(Seed(1), "weights"));
    begin(&mut net);
    let x = lanes(&wave(BATCH * 48 * INPUTS, 0.9, 0.1, 1.0));
    let masks = encoder_decoder::Masks {
        encoder: [Some(mask(64, 0)), Some(mask(1, 1))],
        decoder: [Some(mask(16, 2)), Some(mask(1, 2))],
    };
    let (mut tape, golden) = (encoder_decoder::Tape::default(), golden());
    let case = &golden["encoder_decoder"];
    let gradient = check_outputs(net.forward(&x, &masks, &mut tape), case);
    net.backward(&gradient, &masks, &mut tape);
    check_gradients(&net, case);
}

#[test]
fn the_prediction_network() {
    let mut net = Head::new(&Training::head(), &mut child(Seed(1), "weights"));
    begin(&mut net);
    let x = lanes(&wave(BATCH * 52, 0.9, 0.1, 1.0));
    let masks = head::Masks(Some([mask(64, 0), mask(64, 1), mask(16, 2)]));
    let (mut tape, golden) = (head::Tape::default(), golden());
    let case = &golden["head"];
    let gradient = check_outputs(net.forward(&x, &masks, &mut tape), case);
    net.backward(&gradient, &masks, &mut tape);
    check_gradients(&net, case);
}
