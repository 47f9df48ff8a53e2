//! Normalisation, gated units and steps of DDPG give PyTorch's numbers in double precision.
//!
//! Vectors by `tests/reference/batches.py`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests may fail loudly"
)]

use foresail_nn::batch_norm::{BatchNorm, Mode, NormTape, Rows};
use foresail_nn::ddpg::{Ddpg, Head, Settings, Transition};
use foresail_nn::gru::{Direction, Gru, GruTape, Shape, Upstream};
use foresail_nn::{LANES, Layer, Row};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

const TOLERANCE: f64 = 1e-10;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/golden/nn/batches.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// Samples × numbers as tiles of rows.
fn tiles(samples: &[f64], count: usize) -> Vec<Row<f64>> {
    let height = samples.len() / count;
    let mut rows = vec![[0.0; LANES]; count.div_ceil(LANES) * height];
    for (i, sample) in samples.chunks_exact(height).enumerate() {
        for (k, number) in sample.iter().enumerate() {
            rows[i / LANES * height + k][i % LANES] = *number;
        }
    }
    rows
}

/// Tiles of rows as samples × numbers.
fn samples(rows: &[Row<f64>], count: usize) -> Vec<f64> {
    let height = rows.len() / count.div_ceil(LANES);
    let of = |i: usize| (0..height).map(move |k| rows[i / LANES * height + k][i % LANES]);
    (0..count).flat_map(of).collect()
}

fn close(what: &str, ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        let error = (ours - theirs).abs() / theirs.abs().max(1.0);
        assert!(error < TOLERANCE, "{what}: {ours} against {theirs}");
    }
}

/// Parameters and statistics by PyTorch's names.
fn put(net: &mut impl Layer<f64>, state: &Value) {
    for (name, parameter) in net.parameters_mut() {
        parameter.value.copy_from_slice(&numbers(&state[&name]));
    }
    for (name, parameter) in net.statistics_mut() {
        parameter.value.copy_from_slice(&numbers(&state[&name]));
    }
}

fn equal(what: &str, net: &impl Layer<f64>, state: &Value) {
    let own: Vec<_> = net
        .parameters()
        .into_iter()
        .chain(net.statistics())
        .collect();
    assert_eq!(own.len(), state.as_object().unwrap().len(), "{what}");
    for (name, parameter) in own {
        let theirs = numbers(&state[&name]);
        close(&format!("{what}, {name}"), &parameter.value, &theirs);
    }
}

#[test]
fn a_normalisation_in_training_and_after_it() {
    for case in golden()["normalisation"].as_array().unwrap() {
        let (count, width) = (size(&case["count"]), size(&case["width"]));
        let mut net = BatchNorm::<f64>::new(width);
        put(&mut net, &case["before"]);
        let mut tape = NormTape::default();
        let mut last = Vec::new();
        for batch in case["batches"].as_array().unwrap() {
            last = tiles(&numbers(&batch["x"]), count);
            let given = Rows {
                rows: &last,
                stride: width,
                count,
            };
            let mut out = vec![[0.0; LANES]; last.len()];
            net.forward(given, Mode::Train, &mut tape, (&mut out, width));
            net.absorb(&tape);
            close("out", &samples(&out, count), &numbers(&batch["out"]));
            net.clear_gradients();
            let mut gradient = tiles(&numbers(&batch["w"]), count);
            net.backward(&mut gradient, width, &tape);
            close("dx", &samples(&gradient, count), &numbers(&batch["dx"]));
            for ((_, own), key) in net.parameters().into_iter().zip(["dweight", "dbias"]) {
                close(key, &own.gradient, &numbers(&batch[key]));
            }
        }
        equal("after", &net, &case["after"]);
        let mut out = vec![[0.0; LANES]; last.len()];
        let given = Rows {
            rows: &last,
            stride: width,
            count,
        };
        net.forward(given, Mode::Eval, &mut tape, (&mut out, width));
        close("eval", &samples(&out, count), &numbers(&case["eval"]));
    }
}

#[test]
fn gated_units_forward_and_backward() {
    for case in golden()["gated"].as_array().unwrap() {
        let shape: Vec<usize> = case["shape"].as_array().unwrap().iter().map(size).collect();
        let batch = size(&case["batch"]);
        let shape = Shape {
            input: shape[0],
            hidden: shape[1],
            layers: shape[2],
            direction: match shape[3] {
                0 => Direction::Forward,
                _ => Direction::Both,
            },
        };
        let mut net = Gru::<f64>::new(shape, &mut ChaCha8Rng::seed_from_u64(0));
        put(&mut net, &case["weights"]);
        let rows = |key: &str| tiles(&numbers(&case[key]), batch);
        let x = rows("x");
        let mut tape = GruTape::default();
        net.forward(&x, &mut tape);
        close(
            "out",
            &samples(net.outputs(&tape), batch),
            &numbers(&case["out"]),
        );
        close(
            "last",
            &samples(net.last(&tape), batch),
            &numbers(&case["last"]),
        );
        let (last, every) = (rows("w_last"), rows("w_out"));
        let upstream = Upstream {
            last: &last,
            every: &every,
        };
        let mut back = vec![[0.0; LANES]; x.len()];
        net.backward(upstream, &mut tape, Some(&mut back));
        close("dx", &samples(&back, batch), &numbers(&case["dx"]));
        let own = net.parameters();
        assert_eq!(own.len(), case["gradients"].as_object().unwrap().len());
        for (name, parameter) in own {
            close(
                &name,
                &parameter.gradient,
                &numbers(&case["gradients"][&name]),
            );
        }
    }
}

#[test]
fn steps_of_an_agent_with_normalised_nets_and_a_context() {
    for case in golden()["ddpg"].as_array().unwrap() {
        let settings = Settings {
            actor_hidden: vec![5, 4],
            critic_hidden: vec![5, 4],
            head: Head::Softmax { group: 2 },
            tau: 1e-2,
            gradient_clip: case["clip"].as_f64(),
            ..Settings::firm(3, 2, 4)
        };
        let mut agent = Ddpg::<f64>::new(settings, ChaCha8Rng::seed_from_u64(0)).unwrap();
        put(agent.actor_mut(), &case["before"]["actor"]);
        put(agent.critic_mut(), &case["before"]["critic"]);
        let [actor, critic] = agent.targets_mut();
        put(actor, &case["before"]["actor"]);
        put(critic, &case["before"]["critic"]);
        for step in case["steps"].as_array().unwrap() {
            let (states, actions) = (numbers(&step["state"]), numbers(&step["action"]));
            let (rewards, nexts) = (numbers(&step["reward"]), numbers(&step["next"]));
            let done = numbers(&step["done"]);
            let mut replay = agent.replay();
            for i in 0..rewards.len() {
                let transition = Transition {
                    state: &states[3 * i..][..3],
                    action: &actions[4 * i..][..4],
                    reward: rewards[i],
                    next: &nexts[3 * i..][..3],
                    done: done[i] > 0.5,
                };
                replay.push(&transition).unwrap();
            }
            let places: Vec<usize> = (0..rewards.len()).collect();
            let context = numbers(&step["context"]);
            let learnt = agent.learn_from(&replay, &places, &context).unwrap();
            let losses = [learnt.critic_loss, learnt.actor_loss];
            let theirs = ["critic_loss", "actor_loss"].map(|key| step[key].as_f64().unwrap());
            close("losses", &losses, &theirs);
            let theirs = numbers(&step["context_gradient"]);
            close("context", agent.context_gradient(), &theirs);
        }
        let after = &case["after"];
        equal("actor", agent.actor(), &after["actor"]);
        equal("critic", agent.critic(), &after["critic"]);
        let [actor, critic] = agent.targets();
        equal("target actor", actor, &after["target_actor"]);
        equal("target critic", critic, &after["target_critic"]);
    }
}
