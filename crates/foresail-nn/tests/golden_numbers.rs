//! Numbers that an independent implementation gave in double precision: recurrent cells, and one step of
//! DDPG, its gradients and its soft update included.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_nn::ddpg::{Ddpg, Head, Replay, Settings, Transition};
use foresail_nn::gru::{Direction, Gru, GruTape, Shape};
use foresail_nn::lstm::{LayerTape, LstmLayer};
use foresail_nn::mlp::Mlp;
use foresail_nn::{LANES, Layer, Parameter, Row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// w(columns, rows, k)[a][b] = 0.5 · sin(k + 1.7 a + 0.3 b).
fn w(columns: usize, rows: usize, k: f64) -> Vec<Vec<f64>> {
    let number = |a: usize, b: usize| 0.5 * (k + 1.7 * a as f64 + 0.3 * b as f64).sin();
    let row = |a: usize| (0..columns).map(|b| number(a, b)).collect();
    (0..rows).map(row).collect()
}

fn put(parameter: &mut Parameter<f64>, numbers: &[f64]) {
    parameter.value.copy_from_slice(numbers);
}

fn close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        let error = (ours - theirs).abs();
        assert!(error < tolerance, "{what}: {ours} against {theirs}");
    }
}

/// x_t[j] = cos(0.5 t + j) in every lane.
fn sequence() -> Vec<Row<f64>> {
    let number = |t: usize, j: usize| (0.5 * t as f64 + j as f64).cos();
    (0..4)
        .flat_map(|t| (0..2).map(move |j| [number(t, j); LANES]))
        .collect()
}

fn first_lane(rows: &[Row<f64>]) -> Vec<f64> {
    rows.iter().map(|row| row[0]).collect()
}

#[test]
fn gated_units_in_both_directions() {
    let shape = Shape {
        input: 2,
        hidden: 3,
        layers: 1,
        direction: Direction::Both,
    };
    let mut gru = Gru::<f64>::new(shape, &mut ChaCha8Rng::seed_from_u64(0));
    let bias = |of: fn(f64) -> f64| (0..9).map(|i| 0.1 * of(f64::from(i))).collect::<Vec<_>>();
    for (name, parameter) in gru.parameters_mut() {
        let numbers = match name.trim_end_matches("_reverse") {
            "weight_ih_l0" => w(2, 9, 0.2).concat(),
            "weight_hh_l0" => w(3, 9, 1.1).concat(),
            "bias_ih_l0" => bias(f64::sin),
            _ => bias(f64::cos),
        };
        put(parameter, &numbers);
    }
    let mut tape = GruTape::default();
    gru.forward(&sequence(), &mut tape);
    let last = first_lane(gru.last(&tape));
    let forward = [0.083_909_56, 0.106_355_94, -0.063_373_69];
    let reverse = [-0.434_707_09, -0.044_987_58, 0.418_010_56];
    close("forward", &last[..3], &forward, 1e-8);
    close("reverse", &last[3..], &reverse, 1e-8);
    // The outputs of the last layer: the last step's forward, and the first step's backward.
    let outputs = first_lane(gru.outputs(&tape));
    close("output of the last step", &outputs[18..21], &forward, 1e-8);
    close("output of the first step", &outputs[3..6], &reverse, 1e-8);
}

#[test]
fn long_short_term_memory() {
    let mut lstm = LstmLayer::<f64>::new(2, 3, &mut ChaCha8Rng::seed_from_u64(0));
    let bias = |of: fn(f64) -> f64| (0..12).map(|i| 0.1 * of(f64::from(i))).collect::<Vec<_>>();
    let numbers = [
        w(2, 12, 0.2).concat(),
        w(3, 12, 1.1).concat(),
        bias(f64::sin),
        bias(f64::cos),
    ];
    for ((_, parameter), numbers) in lstm.parameters_mut().into_iter().zip(numbers) {
        put(parameter, &numbers);
    }
    let mut tape = LayerTape::default();
    lstm.forward(&sequence(), &mut tape);
    let h = [0.067_105_06, 0.059_801_77, -0.024_079_9];
    close("h", &first_lane(tape.last(3)), &h, 1e-8);
    let c = [0.138_109_08, 0.108_020_06, -0.053_503_79];
    close("c", &first_lane(tape.cells(3).last().unwrap()), &c, 1e-8);
}

/// Puts weights and biases of zero into a net.
fn put_net(net: &mut Mlp<f64>, weights: &[Vec<Vec<f64>>], factor: f64) {
    for parameter in net.each_mut() {
        parameter.value.fill(0.0);
    }
    for (parameter, weights) in net.each_mut().step_by(2).zip(weights) {
        let numbers: Vec<f64> = weights.concat().iter().map(|v| factor * v).collect();
        put(parameter, &numbers);
    }
}

/// The agent, its five transitions, and their places.
fn golden() -> (Ddpg<f64>, Replay<f64>, [usize; 5]) {
    let settings = Settings {
        actor_hidden: vec![4],
        critic_hidden: vec![4, 4],
        batch_norm: false,
        head: Head::Softmax { group: 2 },
        // Both losses of the golden numbers are those of the first weights.
        actor_rate: 0.0,
        critic_rate: 0.0,
        ..Settings::firm(3, 0, 2)
    };
    let mut agent = Ddpg::<f64>::new(settings, ChaCha8Rng::seed_from_u64(0)).unwrap();
    let actor = [w(3, 4, 1.0), w(4, 2, 2.0)];
    let critic = [w(3, 4, 3.0), w(6, 4, 4.0), w(4, 1, 5.0)];
    put_net(agent.actor_mut(), &actor, 1.0);
    put_net(agent.critic_mut(), &critic, 1.0);
    let [target_actor, target_critic] = agent.targets_mut();
    put_net(target_actor, &actor, 0.9);
    put_net(target_critic, &critic, 0.9);
    let mut replay = agent.replay();
    let (states, actions) = (w(3, 5, 6.0), w(2, 5, 7.0));
    let (rewards, nexts) = (w(1, 5, 8.0), w(3, 5, 9.0));
    for i in 0..5 {
        let action: Vec<f64> = actions[i].iter().map(|v| v.abs()).collect();
        let transition = Transition {
            state: &states[i],
            action: &action,
            reward: rewards[i][0],
            next: &nexts[i],
            done: i == 2,
        };
        replay.push(&transition).unwrap();
    }
    (agent, replay, [0, 1, 2, 3, 4])
}

#[test]
fn values_targets_and_losses_of_a_step() {
    let (mut agent, replay, places) = golden();
    let values: Vec<f64> = places
        .iter()
        .map(|place| {
            let t = replay.get(*place).unwrap();
            agent.q(t.state, &[], t.action).unwrap()
        })
        .collect();
    let wanted = [
        -0.188_686_50,
        -0.297_296_24,
        -0.233_390_79,
        -0.142_592_59,
        -0.321_776_42,
    ];
    close("values", &values, &wanted, 1e-8);
    let first = agent.act(replay.get(0).unwrap().state, &[]).unwrap();
    close("action", &first, &[0.511_053_96, 0.488_946_04], 1e-8);
    let learnt = agent.learn_from(&replay, &places, &[]).unwrap();
    let targets = [
        0.305_873_70,
        -0.355_881_26,
        -0.459_664_26,
        -0.027_991_23,
        0.201_880_33,
    ];
    close("targets", &agent.critic_targets(), &targets, 1e-8);
    assert!(
        (learnt.critic_loss - 0.117_314_308_7).abs() < 1e-9,
        "{learnt:?}"
    );
    assert!(
        (learnt.actor_loss - 0.308_950_098_7).abs() < 1e-9,
        "{learnt:?}"
    );
}

/// Defect (a): a loss between [B, 1] and [B] is a mean over B × B pairs.
#[test]
fn the_loss_is_of_each_value_against_its_own_target() {
    let (mut agent, replay, places) = golden();
    let value = |place: usize| {
        let t = replay.get(place).unwrap();
        agent.q(t.state, &[], t.action).unwrap()
    };
    let values = places.map(value);
    let loss = agent.learn_from(&replay, &places, &[]).unwrap().critic_loss;
    let targets = agent.critic_targets();
    let pairs = values
        .iter()
        .flat_map(|v| targets.iter().map(move |t| (v - t).powi(2)));
    let broadcast = pairs.sum::<f64>() / 25.0;
    assert!((broadcast - 0.123_276_021_7).abs() < 1e-9, "{broadcast}");
    let paired = values.iter().zip(&targets).map(|(v, t)| (v - t).powi(2));
    assert!((loss - paired.sum::<f64>() / 5.0).abs() < 1e-12);
}

#[test]
fn gradients_and_the_soft_update_of_a_step() {
    let (mut agent, replay, places) = golden();
    agent.learn_from(&replay, &places, &[]).unwrap();
    let last = agent.critic().each().nth(4).unwrap();
    let wanted = [0.0, -0.101_579, -0.129_588, 0.0];
    close("critic's W3", &last.gradient, &wanted, 1e-6);
    let first = agent.actor().each().next().unwrap();
    let wanted = [-0.000_121, -0.000_203, -0.000_266];
    close("actor's W1", &first.gradient[..3], &wanted, 1e-6);
    let target = agent.targets()[0].each().next().unwrap();
    assert!((target.value[0] - 0.378_704_016_713).abs() < 1e-12);
}
