//! The same stream gives the same weights, bit for bit; dropout keeps the mean; soft updates move.

mod support;

use foresail_nn::dropout::Mask;
use foresail_nn::loss::Loss;
use foresail_nn::optimize::{Adam, soft_update};
use foresail_nn::{LANES, Layer, Row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use support::Net;

fn wave(first: usize, steps: usize) -> Vec<Row<f32>> {
    let value = |i: usize| (i as f32 * 0.7).sin();
    (0..steps)
        .map(|t| std::array::from_fn(|lane| value(first + t + lane)))
        .collect()
}

fn trained(seed: u64) -> (Net, f64) {
    let mut net = Net::new([1, 8, 1, 1], seed);
    let mut adam = Adam::new(0.02);
    let mut last = 0.0;
    for step in 0..150 {
        let first = step % 9;
        net.clear_gradients();
        last = net.learn(&wave(first, 12), &wave(first + 12, 1), LANES, Loss::Squared);
        adam.step(&mut net);
    }
    (net, last)
}

#[test]
fn training_twice_gives_the_same_bits_and_another_seed_others() {
    let (first, loss) = trained(1);
    assert_eq!(first, trained(1).0);
    assert_ne!(first, trained(2).0);
    assert!(loss < 0.01, "a sine is learnt in 150 steps: {loss}");
}

#[test]
fn weights_begin_within_pytorchs_bounds() {
    let net = Net::new([3, 16, 1, 2], 1);
    for (name, parameter) in net.parameters() {
        let most = parameter.value.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!(
            most <= 0.25,
            "{name}: 1/√16 bounds all of them, found {most}"
        );
        assert!(name == "fc.bias" || most > 0.2, "{name}: {most}");
    }
}

#[test]
fn a_mask_leaves_out_its_share_and_repeats_over_a_sequence() {
    let mut stream = ChaCha8Rng::seed_from_u64(3);
    let mask = Mask::<f32>::draw(100, 0.25, &mut stream);
    let mut rows = vec![[1.0_f32; LANES]; 200];
    mask.apply(&mut rows);
    let zeros = rows[..100].iter().flatten().filter(|v| **v == 0.0).count();
    let share = zeros as f64 / (100 * LANES) as f64;
    assert!((share - 0.25).abs() < 0.03, "{share}");
    assert!(
        rows.iter()
            .flatten()
            .all(|v| *v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-6)
    );
    assert_eq!(rows[..100], rows[100..]);
}

#[test]
fn a_soft_update_moves_by_its_share() {
    let (mut target, source) = (Net::new([1, 4, 1, 1], 1), Net::new([1, 4, 1, 1], 2));
    let before = target.clone();
    soft_update(&mut target, &source, 0.001);
    let triples = target.parameters().into_iter().zip(before.parameters());
    for (((name, t), (_, b)), (_, s)) in triples.zip(source.parameters()) {
        for ((t, b), s) in t.value.iter().zip(&b.value).zip(&s.value) {
            assert!((t - (0.999 * b + 0.001 * s)).abs() < 1e-7, "{name}");
        }
    }
}
