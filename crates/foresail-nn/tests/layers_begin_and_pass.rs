//! How layers begin, the cell by hand, and many masked passes against as many single ones.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_nn::dropout::Mask;
use foresail_nn::lstm::passes::Passes;
use foresail_nn::lstm::stack::{Stack, StackTape};
use foresail_nn::lstm::{LayerTape, LstmLayer};
use foresail_nn::{LANES, Layer, Parameter, Row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn stream(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn set(layer: &mut LstmLayer<f64>, values: [&[f64]; 4]) {
    for ((_, parameter), values) in layer.parameters_mut().into_iter().zip(values) {
        parameter.value.copy_from_slice(values);
    }
}

/// Gates i, f, g, o: W_ih = [.5, −.5, 1, .25], W_hh = [.1, .2, −.3, .4], b = [0, 1, 0, 0]. By hand, step
/// 1: c = σ(.5)·tanh(1) = .474061389, h = σ(.25)·tanh(c) = .248186867.
#[test]
fn the_cell_by_hand() {
    let mut layer = LstmLayer::<f64>::new(1, 1, &mut stream(1));
    let (ih, hh) = ([0.5, -0.5, 1.0, 0.25], [0.1, 0.2, -0.3, 0.4]);
    set(
        &mut layer,
        [&ih, &hh, &[0.0, 0.4, 0.0, 0.0], &[0.0, 0.6, 0.0, 0.0]],
    );
    let mut tape = LayerTape::default();
    layer.forward(&[[1.0; LANES], [2.0; LANES]], &mut tape);
    let told: Vec<f64> = tape.outputs(1).map(|o| o[0][0]).collect();
    assert!((told[0] - 0.248_186_867).abs() < 1e-8, "{told:?}");
    assert!((told[1] - 0.476_992_525).abs() < 1e-8, "{told:?}");
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let cell = sigmoid(0.5) * 1.0_f64.tanh();
    assert!((told[0] - sigmoid(0.25) * cell.tanh()).abs() < 1e-12);
    let mut narrow = LstmLayer::<f32>::new(1, 1, &mut stream(1));
    for ((_, to), (_, from)) in narrow.parameters_mut().into_iter().zip(layer.parameters()) {
        to.value = from.value.iter().map(|v| *v as f32).collect();
    }
    let mut tape = LayerTape::default();
    narrow.forward(&[[1.0; LANES], [2.0; LANES]], &mut tape);
    assert!((f64::from(tape.last(1)[0][7]) - 0.476_992_525).abs() < 1e-6);
}

#[test]
fn columns_of_recurrent_weights_are_orthonormal() {
    for [rows, columns] in [[12, 3], [4, 1], [256, 64], [3, 5]] {
        let matrix = Parameter::<f64>::orthogonal([rows, columns], &mut stream(2)).value;
        let (count, wide) = (rows.min(columns), rows < columns);
        let at = |vector: usize, i: usize| {
            if wide {
                matrix[vector * columns + i]
            } else {
                matrix[i * columns + vector]
            }
        };
        for a in 0..count {
            for b in 0..count {
                let product: f64 = (0..rows.max(columns)).map(|i| at(a, i) * at(b, i)).sum();
                let want = f64::from(u8::from(a == b));
                assert!(
                    (product - want).abs() < 1e-12,
                    "{rows} × {columns}: {a}, {b}"
                );
            }
        }
    }
}

#[test]
fn input_weights_keep_xaviers_bound_and_both_forget_biases_are_one() {
    let layer = LstmLayer::<f64>::orthogonal(5, 64, &mut stream(3));
    let parameters = layer.parameters();
    assert_eq!(parameters[0].0, "weight_ih_l0");
    let most = parameters[0]
        .1
        .value
        .iter()
        .fold(0.0, |m: f64, v| if v.abs() > m { v.abs() } else { m });
    let bound = (6.0_f64 / (256.0 + 5.0)).sqrt();
    assert!(most <= bound && most > 0.95 * bound, "{most} of {bound}");
    for (name, bias) in &parameters[2..] {
        for (i, value) in bias.value.iter().enumerate() {
            let want = f64::from(u8::from((64..128).contains(&i)));
            assert!((value - want).abs() < 1e-15, "{name}[{i}]");
        }
    }
}

fn numbers(count: usize, stream: &mut ChaCha8Rng) -> Vec<f64> {
    let one = |_| (stream.next_u64() >> 11) as f64 * 2_f64.powi(-52) - 1.0;
    (0..count).map(one).collect()
}

#[test]
fn masked_passes_equal_the_layer_over_masked_inputs() {
    for [input, hidden, steps] in [[64, 1, 48], [3, 4, 9], [1, 16, 5]] {
        let mut chance = stream(4);
        let layer = LstmLayer::<f64>::orthogonal(input, hidden, &mut chance);
        let x = numbers(steps * input, &mut chance);
        let mask = Mask::draw_quickly(input, 0.25, &mut chance);
        let mut passes = Passes::default();
        layer.take(&x, &mut passes);
        let told = passes.run(&mask).to_vec();
        let mut masked: Vec<Row<f64>> = x.iter().map(|v| [*v; LANES]).collect();
        mask.apply(&mut masked);
        let mut tape = LayerTape::default();
        layer.forward(&masked, &mut tape);
        let single: Vec<Row<f64>> = tape.outputs(hidden).flatten().copied().collect();
        assert_eq!(told.len(), single.len());
        for (a, b) in told.iter().flatten().zip(single.iter().flatten()) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }
}

#[test]
fn a_quick_mask_leaves_out_its_share() {
    let mask = Mask::<f32>::draw_quickly(4000, 0.25, &mut stream(5));
    let zeros = mask.rows().iter().flatten().filter(|v| **v == 0.0).count();
    let share = zeros as f64 / (4000 * LANES) as f64;
    // Four standard errors.
    assert!(
        (share - 0.25).abs() < 4.0 * (0.1875 / (4000.0 * LANES as f64)).sqrt(),
        "{share}"
    );
    let none = Mask::<f32>::draw_quickly(10, 0.0, &mut stream(5));
    assert!(none.rows().iter().flatten().all(|v| (v - 1.0).abs() < 1e-9));
}

#[test]
fn the_published_stacks_have_the_published_numbers_of_parameters() {
    let mut chance = stream(6);
    let encoder = Stack::<f32>::orthogonal(5, &[64, 1], &mut chance);
    let decoder = Stack::<f32>::orthogonal(1, &[16, 1], &mut chance);
    assert_eq!((encoder.count(), decoder.count()), (18_444, 1_292));
    assert_eq!(encoder.parameters()[4].0, "lstm2.weight_ih_l0");
    let x = vec![[0.1; LANES]; 48 * 5];
    assert_eq!(
        encoder.forward(&x, &[], &mut StackTape::default()).len(),
        48
    );
}
