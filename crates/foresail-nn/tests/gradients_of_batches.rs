//! Gradients of gated units, normalisation and nets over batches against central differences, in double
//! precision.

use foresail_nn::batch_norm::{BatchNorm, Mode, NormTape, Rows};
use foresail_nn::gru::{Direction, Gru, GruTape, Shape as GruShape, Upstream};
use foresail_nn::mlp::{Head, Join, Mlp, MlpTape, Shape, Wanted};
use foresail_nn::{LANES, Layer, Row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const EPSILON: f64 = 1e-5;

fn stream(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn number(chance: &mut ChaCha8Rng) -> f64 {
    (chance.next_u64() >> 11) as f64 * 2_f64.powi(-52) - 1.0
}

/// Tiles of `height` rows for `count` samples; zero beyond them.
fn rows(height: usize, count: usize, chance: &mut ChaCha8Rng) -> Vec<Row<f64>> {
    let mut all = vec![[0.0; LANES]; count.div_ceil(LANES) * height];
    for sample in 0..count {
        for k in 0..height {
            all[sample / LANES * height + k][sample % LANES] = number(chance);
        }
    }
    all
}

/// Weighted sum of rows: a loss whose gradient is the weights.
fn weighed(rows: &[Row<f64>], weights: &[Row<f64>]) -> f64 {
    let pairs = rows.iter().flatten().zip(weights.iter().flatten());
    pairs.map(|(a, b)| a * b).sum()
}

fn close(what: &str, gradient: f64, difference: f64) {
    let size = gradient.abs() + difference.abs() + 1e-3;
    let error = (gradient - difference).abs() / size;
    assert!(error < 1e-5, "{what}: {gradient} against {difference}");
}

/// The gradients that a net holds against differences of `loss`.
fn check_parameters<N: Layer<f64>>(net: &mut N, mut loss: impl FnMut(&N) -> f64) {
    let wanted: Vec<(String, Vec<f64>)> = net
        .parameters()
        .into_iter()
        .map(|(name, p)| (name, p.gradient.clone()))
        .collect();
    for (place, (name, gradients)) in wanted.iter().enumerate() {
        assert!(gradients.iter().any(|g| g.abs() > 1e-6), "{name} has none");
        let stride = if gradients.len() < 60 { 1 } else { 7 };
        for i in (0..gradients.len()).step_by(stride) {
            let mut at = |shift: f64| {
                net.parameters_mut()[place].1.value[i] += shift;
                let loss = loss(net);
                net.parameters_mut()[place].1.value[i] -= shift;
                loss
            };
            let difference = (at(EPSILON) - at(-EPSILON)) / (2.0 * EPSILON);
            close(&format!("{name}[{i}]"), gradients[i], difference);
        }
    }
}

/// Gradients of inputs against differences, at some samples.
fn check_inputs(x: &[Row<f64>], gradient: &[Row<f64>], mut loss: impl FnMut(&[Row<f64>]) -> f64) {
    let mut x = x.to_vec();
    for r in 0..x.len() {
        for lane in [0, 3, 31] {
            if x[r][lane] == 0.0 {
                continue;
            }
            let mut at = |shift: f64| {
                x[r][lane] += shift;
                let loss = loss(&x);
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

/// A recurrent net whose last states, outputs, or both are used.
fn check_gru(shape: GruShape, uses_last: bool, uses_every: bool) {
    let mut chance = stream(1);
    let mut net = Gru::<f64>::new(shape, &mut chance);
    let steps = 5;
    let x = rows(steps * shape.input, LANES, &mut chance);
    let height = |used: bool, n: usize| if used { n } else { 0 };
    let last = rows(height(uses_last, net.states()), LANES, &mut chance);
    let every = rows(height(uses_every, steps * net.output()), LANES, &mut chance);
    let mut tape = GruTape::default();
    let loss = |net: &Gru<f64>, x: &[Row<f64>]| {
        let mut tape = GruTape::default();
        net.forward(x, &mut tape);
        weighed(net.last(&tape), &last) + weighed(net.outputs(&tape), &every)
    };
    net.forward(&x, &mut tape);
    net.clear_gradients();
    let mut back = vec![[0.0; LANES]; x.len()];
    let upstream = Upstream {
        last: &last,
        every: &every,
    };
    net.backward(upstream, &mut tape, Some(&mut back));
    let first = net.clone();
    check_inputs(&x, &back, |x| loss(&first, x));
    check_parameters(&mut net, |net| loss(net, &x));
    // Without a gradient of the inputs, and from a tape that was used before: the same.
    let mut again = first.clone();
    again.clear_gradients();
    again.forward(&x, &mut tape);
    again.backward(upstream, &mut tape, None);
    assert_eq!(first, again);
}

#[test]
fn gated_units() {
    let shape = |input, hidden, layers, direction| GruShape {
        input,
        hidden,
        layers,
        direction,
    };
    check_gru(shape(2, 5, 1, Direction::Forward), true, false);
    check_gru(shape(3, 4, 2, Direction::Both), true, false);
    check_gru(shape(1, 3, 3, Direction::Forward), false, true);
    check_gru(shape(2, 7, 2, Direction::Both), true, true);
}

#[test]
fn a_normalisation_over_full_and_broken_tiles() {
    for count in [2, 5, 32, 45, 64] {
        let mut chance = stream(2);
        let mut net = BatchNorm::<f64>::new(3);
        for (_, parameter) in net.parameters_mut() {
            parameter
                .value
                .iter_mut()
                .for_each(|v| *v += 0.5 * number(&mut chance));
        }
        let (x, weights) = (rows(4, count, &mut chance), rows(4, count, &mut chance));
        let run = |net: &BatchNorm<f64>, x: &[Row<f64>], tape: &mut NormTape<f64>| {
            let mut out = vec![[0.0; LANES]; x.len()];
            let given = Rows {
                rows: x,
                stride: 4,
                count,
            };
            net.forward(given, Mode::Train, tape, (&mut out, 4));
            weighed(&out, &weights)
        };
        let mut tape = NormTape::default();
        run(&net, &x, &mut tape);
        let mut gradient = weights.clone();
        net.backward(&mut gradient, 4, &tape);
        let first = net.clone();
        // Of each tile the fourth row is not normalised.
        let mut others = gradient.clone();
        others
            .iter_mut()
            .skip(3)
            .step_by(4)
            .for_each(|row| row.fill(0.0));
        let mut known = x.clone();
        known
            .iter_mut()
            .skip(3)
            .step_by(4)
            .for_each(|row| row.fill(0.0));
        check_inputs(&known, &others, |x| {
            run(&first, x, &mut NormTape::default())
        });
        check_parameters(&mut net, |net| run(net, &x, &mut NormTape::default()));
        let beyond = |row: &Row<f64>, tile: usize| {
            row[(count - tile * LANES).min(LANES)..]
                .iter()
                .all(|g| *g == 0.0)
        };
        assert!(others.iter().enumerate().all(|(r, row)| beyond(row, r / 4)));
    }
}

/// A net over `count` samples, what joined and what stood beside included.
fn check_mlp(shape: &Shape, head: Head, count: usize) {
    let mut chance = stream(3);
    let mut net = Mlp::<f64>::new(shape.clone(), head, 0.5, &mut chance);
    for parameter in net.each_mut() {
        parameter
            .value
            .iter_mut()
            .for_each(|v| *v += 0.3 * number(&mut chance));
    }
    let input = rows(shape.input + shape.beside, count, &mut chance);
    let joined = rows(shape.join.map_or(0, |j| j.width), count, &mut chance);
    let weights = rows(shape.output, count, &mut chance);
    let run = |net: &Mlp<f64>, [input, joined]: [&[Row<f64>]; 2], tape: &mut MlpTape<f64>| {
        tape.prepare(net.shape(), count);
        tape.input_mut().copy_from_slice(input);
        tape.joined_mut().copy_from_slice(joined);
        net.forward(Mode::Train, tape);
        weighed(tape.output(), &weights)
    };
    let mut tape = MlpTape::default();
    run(&net, [&input, &joined], &mut tape);
    net.clear_gradients();
    let (upstream, stride) = tape.upstream_mut();
    for (upstream, weights) in upstream
        .chunks_mut(stride)
        .zip(weights.chunks(shape.output))
    {
        upstream[..shape.output].copy_from_slice(weights);
    }
    let wanted = Wanted {
        weights: true,
        joined: true,
        beside: true,
    };
    let upstream = tape.clone();
    net.backward(wanted, &mut tape);
    let first = net.clone();
    let back: Vec<Row<f64>> = tape.joined_gradient(shape).flatten().copied().collect();
    check_inputs(&joined, &back, |joined| {
        run(&first, [&input, joined], &mut MlpTape::default())
    });
    let mut beside = vec![0.0; shape.beside];
    tape.add_beside_gradient(shape, &mut beside);
    for (k, gradient) in beside.iter().enumerate() {
        let at = |shift: f64| {
            let mut moved = input.clone();
            let rows = moved
                .iter_mut()
                .skip(shape.input + k)
                .step_by(shape.input + shape.beside);
            rows.for_each(|row| row.iter_mut().for_each(|x| *x += shift));
            run(&first, [&moved, &joined], &mut MlpTape::default())
        };
        let difference = (at(EPSILON) - at(-EPSILON)) / (2.0 * EPSILON);
        close(&format!("beside {k}"), *gradient, difference);
    }
    check_parameters(&mut net, |net| {
        run(net, [&input, &joined], &mut MlpTape::default())
    });
    passed_through(&first, shape, (upstream, &back, &beside));
}

/// Only passed through, a net gives the same gradients and keeps its own of the linear layers.
fn passed_through(
    net: &Mlp<f64>,
    shape: &Shape,
    (mut tape, joined, beside): (MlpTape<f64>, &[Row<f64>], &[f64]),
) {
    let mut own = net.clone();
    own.clear_gradients();
    let through = Wanted {
        weights: false,
        joined: true,
        beside: shape.beside > 0,
    };
    own.backward(through, &mut tape);
    let again: Vec<Row<f64>> = tape.joined_gradient(shape).flatten().copied().collect();
    assert_eq!(joined, again);
    let mut sums = vec![0.0; shape.beside];
    tape.add_beside_gradient(shape, &mut sums);
    assert_eq!(beside, sums);
    let linear = own.parameters();
    let mut linear = linear.iter().filter(|(name, _)| name.starts_with("layers"));
    assert!(linear.all(|(_, p)| p.gradient.iter().all(|g| *g == 0.0)));
}

#[test]
fn nets_with_every_head_joined_at_every_layer_normalised_or_not() {
    for batch_norm in [false, true] {
        for (layer, head, count) in [
            (0, Head::None, 40),
            (1, Head::Tanh, 64),
            (2, Head::Softmax { group: 2 }, 9),
        ] {
            let shape = Shape {
                input: 3,
                beside: 2,
                hidden: vec![7, 5],
                output: 4,
                join: Some(Join { layer, width: 3 }),
                batch_norm,
            };
            check_mlp(&shape, head, count);
        }
    }
}

#[test]
fn nets_that_nothing_joins() {
    for (hidden, batch_norm, beside) in [
        (vec![], false, 0),
        (vec![6], true, 0),
        (vec![8, 8], true, 3),
    ] {
        let shape = Shape {
            input: 4,
            beside,
            hidden,
            output: 6,
            join: None,
            batch_norm,
        };
        check_mlp(&shape, Head::Softmax { group: 3 }, 33);
    }
}
