//! Gradients of every layer and loss against central differences, in double precision.

use foresail_nn::activation::Activation;
use foresail_nn::dropout::Mask;
use foresail_nn::linear::{Linear, LinearTape};
use foresail_nn::loss::{Loss, gaussian};
use foresail_nn::lstm::stack::{Stack, StackTape};
use foresail_nn::lstm::{Lstm, LstmTape, Upstream};
use foresail_nn::{LANES, Layer, Row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const EPSILON: f64 = 1e-5;

fn stream(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn rows(count: usize, stream: &mut ChaCha8Rng) -> Vec<Row<f64>> {
    let mut number = || (stream.next_u64() >> 11) as f64 * 2_f64.powi(-52) - 1.0;
    let mut row = || std::array::from_fn::<f64, LANES, _>(|_| number());
    (0..count).map(|_| row()).collect()
}

/// Weighted sum of rows: a loss whose gradient is the weights.
fn weighed(rows: &[Row<f64>], weights: &[Row<f64>]) -> f64 {
    let pairs = rows.iter().flatten().zip(weights.iter().flatten());
    pairs.map(|(a, b)| a * b).sum()
}

/// Checks the gradients that `run(net, true)` leaves against differences of what it returns.
fn check<N: Layer<f64>>(net: &mut N, mut run: impl FnMut(&mut N, bool) -> f64) {
    net.clear_gradients();
    run(net, true);
    let wanted: Vec<(String, Vec<f64>)> = net
        .parameters()
        .into_iter()
        .map(|(name, p)| (name, p.gradient.clone()))
        .collect();
    for (place, (name, gradients)) in wanted.iter().enumerate() {
        assert!(gradients.iter().any(|g| g.abs() > 1e-6), "{name} has none");
        // Every number of a small parameter, every seventh of a larger one.
        let stride = if gradients.len() < 60 { 1 } else { 7 };
        for i in (0..gradients.len()).step_by(stride) {
            let mut at = |shift: f64| {
                net.parameters_mut()[place].1.value[i] += shift;
                let loss = run(net, false);
                net.parameters_mut()[place].1.value[i] -= shift;
                loss
            };
            close(
                &format!("{name}[{i}]"),
                gradients[i],
                (at(EPSILON) - at(-EPSILON)) / (2.0 * EPSILON),
            );
        }
    }
}

/// Checks the gradients of inputs against differences.
fn check_inputs(x: &[Row<f64>], gradient: &[Row<f64>], mut run: impl FnMut(&[Row<f64>]) -> f64) {
    let mut x = x.to_vec();
    for r in 0..x.len() {
        for lane in [0, 7, 31] {
            let mut at = |shift: f64| {
                x[r][lane] += shift;
                let loss = run(&x);
                x[r][lane] -= shift;
                loss
            };
            let difference = (at(EPSILON) - at(-EPSILON)) / (2.0 * EPSILON);
            close(
                &format!("input {r}, lane {lane}"),
                gradient[r][lane],
                difference,
            );
        }
    }
}

fn close(what: &str, gradient: f64, difference: f64) {
    let size = gradient.abs() + difference.abs() + 1e-3;
    let error = (gradient - difference).abs() / size;
    assert!(error < 1e-5, "{what}: {gradient} against {difference}");
}

#[test]
fn a_linear_layer() {
    for (input, output) in [(1, 1), (5, 13), (17, 6)] {
        let mut chance = stream(1);
        let mut net = Linear::<f64>::new(input, output, &mut chance);
        let (x, weights) = (rows(input, &mut chance), rows(output, &mut chance));
        let mut tape = LinearTape::default();
        let mut back = Vec::new();
        check(&mut net, |net, gradients| {
            let loss = weighed(net.forward(&x, &mut tape), &weights);
            if gradients {
                back = net.backward(&weights, &mut tape);
            }
            loss
        });
        check_inputs(&x, &back, |x| weighed(net.forward(x, &mut tape), &weights));
    }
}

/// The LSTM of one shape, the last output or all of them used, masked or not.
fn check_lstm([input, hidden, layers]: [usize; 3], every: bool, masked: bool) {
    let steps = 7;
    let mut chance = stream(2);
    let mut net = Lstm::<f64>::new(input, hidden, layers, &mut chance);
    let x = rows(steps * input, &mut chance);
    let used = if every { steps * hidden } else { hidden };
    let weights = rows(used, &mut chance);
    let mut mask = || Mask::draw(hidden, 0.3, &mut chance);
    let masks: Vec<_> = (1..layers).filter(|_| masked).map(|_| mask()).collect();
    let mut tape = LstmTape::default();
    let mut back = vec![[0.0; LANES]; x.len()];
    let loss = |net: &Lstm<f64>, x: &[Row<f64>], tape: &mut LstmTape<f64>| {
        net.forward(x, &masks, tape);
        if every {
            let all: Vec<_> = net.outputs(tape).flatten().copied().collect();
            weighed(&all, &weights)
        } else {
            weighed(net.last(tape), &weights)
        }
    };
    check(&mut net, |net, gradients| {
        let loss = loss(net, &x, &mut tape);
        if gradients {
            let upstream = if every {
                Upstream::Every(&weights)
            } else {
                Upstream::Last(&weights)
            };
            net.backward(upstream, &masks, &mut tape, Some(&mut back));
        }
        loss
    });
    check_inputs(&x, &back, |x| loss(&net, x, &mut tape));
}

#[test]
fn an_lstm_whose_last_output_is_used() {
    check_lstm([1, 5, 1], false, false);
    check_lstm([3, 4, 1], false, false);
}

#[test]
fn an_lstm_whose_every_output_is_used() {
    check_lstm([2, 3, 1], true, false);
    check_lstm([1, 1, 1], true, false);
}

#[test]
fn layers_on_top_of_each_other_with_and_without_dropout() {
    check_lstm([2, 4, 2], false, false);
    check_lstm([1, 5, 3], true, true);
    check_lstm([1, 3, 2], false, true);
}

#[test]
fn layers_of_different_widths_with_a_mask_on_each_output_and_on_some() {
    for masked in [[true, true], [true, false], [false, false]] {
        let mut chance = stream(7);
        let mut net = Stack::<f64>::orthogonal(5, &[7, 1], &mut chance);
        let (x, weights) = (rows(6 * 5, &mut chance), rows(6, &mut chance));
        let mut mask = |width, on: bool| on.then(|| Mask::draw(width, 0.3, &mut chance));
        let masks = [mask(7, masked[0]), mask(1, masked[1])];
        let mut tape = StackTape::default();
        let mut back = vec![[0.0; LANES]; x.len()];
        check(&mut net, |net, gradients| {
            let loss = weighed(net.forward(&x, &masks, &mut tape), &weights);
            if gradients {
                net.backward(&weights, &masks, &mut tape, Some(&mut back));
            }
            loss
        });
        check_inputs(&x, &back, |x| {
            weighed(net.forward(x, &masks, &mut tape), &weights)
        });
    }
}

#[test]
fn without_a_gradient_of_the_inputs_the_others_are_the_same() {
    let mut chance = stream(3);
    let mut net = Lstm::<f64>::new(2, 5, 1, &mut chance);
    let (x, weights) = (rows(12, &mut chance), rows(5, &mut chance));
    let mut tape = LstmTape::default();
    net.forward(&x, &[], &mut tape);
    net.backward(Upstream::Last(&weights), &[], &mut tape, None);
    let first = net.clone();
    net.clear_gradients();
    let mut back = vec![[0.0; LANES]; x.len()];
    net.backward(Upstream::Last(&weights), &[], &mut tape, Some(&mut back));
    assert_eq!(first, net);
}

#[test]
fn activations() {
    for activation in [Activation::Relu, Activation::Sigmoid, Activation::Tanh] {
        let mut chance = stream(4);
        let (x, weights) = (rows(3, &mut chance), rows(3, &mut chance));
        let mut out = x.clone();
        activation.forward(&mut out);
        let mut back = weights.clone();
        activation.backward(&out, &mut back);
        check_inputs(&x, &back, |x| {
            let mut out = x.to_vec();
            activation.forward(&mut out);
            weighed(&out, &weights)
        });
    }
}

#[test]
fn losses_on_some_of_the_lanes() {
    let mut chance = stream(5);
    let (outputs, targets) = (rows(3, &mut chance), rows(3, &mut chance));
    for loss in [Loss::Squared, Loss::Huber { delta: 0.4 }] {
        let mut gradient = Vec::new();
        loss.measure(&outputs, &targets, (32, 96), &mut gradient);
        let of = |x: &[Row<f64>]| loss.measure(x, &targets, (32, 96), &mut Vec::new());
        check_inputs(&outputs, &gradient, of);
        loss.measure(&outputs, &targets, (5, 15), &mut gradient);
        assert!(
            gradient
                .iter()
                .all(|row| row[5..].iter().all(|g| *g == 0.0))
        );
    }
}

#[test]
fn the_gaussian_likelihood_in_means_and_variances() {
    let mut chance = stream(6);
    let (means, targets) = (rows(2, &mut chance), rows(2, &mut chance));
    let mut variances = rows(2, &mut chance);
    variances
        .iter_mut()
        .flatten()
        .for_each(|v| *v = v.abs() + 0.1);
    let mut gradient = [Vec::new(), Vec::new()];
    gaussian([&means, &variances, &targets], (32, 64), &mut gradient);
    let loss = |m: &[Row<f64>], v: &[Row<f64>]| {
        gaussian([m, v, &targets], (32, 64), &mut [Vec::new(), Vec::new()])
    };
    check_inputs(&means, &gradient[0], |m| loss(m, &variances));
    check_inputs(&variances, &gradient[1], |v| loss(&means, v));
}
