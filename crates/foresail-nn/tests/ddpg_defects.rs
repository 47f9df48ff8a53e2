//! What was wrong in the published FIRM code is not so here; and what acting and learning promise beside.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_nn::Parameter;
use foresail_nn::ddpg::{Ddpg, Head, Replay, Settings, Transition};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn stream(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn agent(settings: Settings) -> Ddpg<f64> {
    Ddpg::new(settings, stream(1)).unwrap()
}

fn number(chance: &mut ChaCha8Rng) -> f64 {
    (chance.next_u64() >> 11) as f64 * 2_f64.powi(-52) - 1.0
}

/// A memory with `count` transitions of chance, rewards times `scale`.
fn filled(agent: &Ddpg<f64>, count: usize, scale: f64) -> Replay<f64> {
    let mut replay = agent.replay();
    let (state, action) = replay.widths();
    let mut chance = stream(2);
    for i in 0..count {
        let mut some = |n: usize| (0..n).map(|_| number(&mut chance)).collect::<Vec<_>>();
        let (s, a, n, r) = (some(state), some(action), some(state), some(1)[0]);
        let transition = Transition {
            state: &s,
            action: &a,
            reward: scale * r,
            next: &n,
            done: i % 7 == 0,
        };
        replay.push(&transition).unwrap();
    }
    replay
}

fn values<'a>(parameters: impl Iterator<Item = &'a Parameter<f64>>) -> Vec<f64> {
    parameters.flat_map(|p| p.value.clone()).collect()
}

#[test]
fn b_targets_begin_as_copies_of_the_nets() {
    let agent = agent(Settings::firm(4, 2, 6));
    let [actor, critic] = agent.targets();
    assert_eq!(actor, agent.actor());
    assert_eq!(critic, agent.critic());
}

#[test]
fn b_a_soft_update_moves_every_number_by_tau_and_no_more() {
    let mut agent = agent(Settings::firm(4, 2, 6));
    let replay = filled(&agent, 80, 1.0);
    for _ in 0..3 {
        let before = agent.targets().map(|t| values(t.each()));
        agent.learn(&replay, &[0.3, -0.2]).unwrap();
        let nets = [values(agent.actor().each()), values(agent.critic().each())];
        let after = agent.targets().map(|t| values(t.each()));
        for ((before, net), after) in before.iter().zip(&nets).zip(&after) {
            for ((b, n), a) in before.iter().zip(net).zip(after) {
                assert!((a - (b + 1e-3 * (n - b))).abs() < 1e-15);
            }
        }
    }
}

#[test]
fn c_a_soft_update_moves_the_statistics_too() {
    let mut agent = agent(Settings::firm(4, 0, 6));
    let replay = filled(&agent, 80, 1.0);
    let before = agent.targets().map(|t| values(t.running()));
    agent.learn(&replay, &[]).unwrap();
    let nets = [
        values(agent.actor().running()),
        values(agent.critic().running()),
    ];
    let after = agent.targets().map(|t| values(t.running()));
    for ((before, net), after) in before.iter().zip(&nets).zip(&after) {
        assert!(!net.is_empty());
        assert_ne!(before, after);
        for ((b, n), a) in before.iter().zip(net).zip(after) {
            assert!((a - (b + 1e-3 * (n - b))).abs() < 1e-15);
        }
    }
}

#[test]
fn c_targets_answer_by_their_running_statistics() {
    // In training a target's answer for a transition would depend on the others of its batch.
    let mut agent = agent(Settings::firm(4, 0, 6));
    let replay = filled(&agent, 80, 1.0);
    agent.learn_from(&replay, &[0, 1, 2, 3], &[]).unwrap();
    let mut other = agent.clone();
    agent.learn_from(&replay, &[5, 6, 8, 9], &[]).unwrap();
    other.learn_from(&replay, &[5, 60, 61, 62], &[]).unwrap();
    let (one, two) = (agent.critic_targets()[0], other.critic_targets()[0]);
    assert!((one - two).abs() < 1e-15, "{one} {two}");
}

#[test]
fn d_noise_begins_anew_with_each_episode() {
    let mut agent = agent(Settings::firm(4, 0, 6));
    for _ in 0..5 {
        agent.explore(&[0.1; 4], &[]).unwrap();
    }
    assert!(agent.noise().now().iter().any(|x| x.abs() > 1e-3));
    agent.begin_episode();
    assert!(agent.noise().now().iter().all(|x| *x == 0.0));
}

#[test]
fn d_noise_has_the_deviation_of_its_process() {
    // Stationary variance of x' = (1 − θ dt) x + σ √dt N: σ² dt / (1 − (1 − θ dt)²).
    let mut noise = Settings::firm(4, 0, 1).noise;
    (noise.theta, noise.dt) = (1.0, 0.1);
    let mut own = foresail_nn::ddpg::Noise::new(noise, 1);
    let mut chance = stream(3);
    let (mut squares, count) = (0.0, 200_000);
    for _ in 0..count {
        squares += own.step(&mut chance)[0].powi(2);
    }
    let wanted = 0.04 * 0.1 / (1.0 - 0.9_f64.powi(2));
    let found = squares / f64::from(count);
    assert!(
        (found / wanted - 1.0).abs() < 0.05,
        "{found} against {wanted}"
    );
}

#[test]
fn e_first_weights_are_bounded_by_the_width_of_the_input() {
    // 100 rows in and 4 out: ±0.1, where the width of the output would give ±0.5.
    let settings = Settings {
        actor_hidden: vec![4],
        batch_norm: false,
        ..Settings::firm(100, 0, 2)
    };
    let agent = agent(settings);
    let first = agent.actor().each().next().unwrap();
    assert_eq!(first.shape, [4, 100]);
    let most = first
        .value
        .iter()
        .fold(0.0_f64, |m, v| if v.abs() > m { v.abs() } else { m });
    assert!(most <= 0.1 && most > 0.09, "{most}");
    let last = agent.actor().each().nth(2).unwrap();
    assert!(last.value.iter().all(|v| v.abs() <= 0.003));
}

#[test]
fn the_scale_of_the_noise_ends_at_zero_and_never_below() {
    let settings = Settings {
        epsilon: 1.0,
        epsilon_decay: 0.4,
        ..Settings::firm(4, 0, 6)
    };
    let mut agent = agent(settings);
    let replay = filled(&agent, 80, 1.0);
    let mut scales = Vec::new();
    for _ in 0..5 {
        agent.learn(&replay, &[]).unwrap();
        scales.push(agent.epsilon());
    }
    assert!((scales[0] - 0.6).abs() < 1e-12);
    assert!(scales[2..].iter().all(|e| *e == 0.0), "{scales:?}");
    let state = [0.1; 4];
    assert_eq!(agent.explore(&state, &[]), agent.act(&state, &[]));
}

#[test]
fn exploring_adds_the_noise_to_the_action() {
    let mut agent = agent(Settings::firm(4, 1, 6));
    let (state, context) = ([0.3, 0.1, -0.4, 0.9], [0.5]);
    let greedy = agent.act(&state, &context).unwrap();
    assert!((greedy.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let noisy = agent.explore(&state, &context).unwrap();
    for ((noisy, greedy), noise) in noisy.iter().zip(&greedy).zip(agent.noise().now()) {
        assert!((noisy - (greedy + agent.epsilon() * noise)).abs() < 1e-15);
    }
    let settings = Settings {
        head: Head::Tanh,
        epsilon: 1e6,
        ..Settings::firm(4, 0, 6)
    };
    let mut wild = Ddpg::<f64>::new(settings, stream(1)).unwrap();
    let action = wild.explore(&state, &[]).unwrap();
    assert!(action.iter().all(|a| a.abs() <= 1.0));
    assert!(action.iter().any(|a| a.abs() > 0.999));
}

#[test]
fn a_context_that_is_the_same_in_a_batch_is_seen_though_the_batch_normalises() {
    let mut agent = agent(Settings::firm(4, 3, 6));
    let replay = filled(&agent, 80, 1.0);
    for _ in 0..20 {
        agent.learn(&replay, &[0.4, -0.7, 0.2]).unwrap();
    }
    assert!(agent.context_gradient().iter().all(|g| g.abs() > 1e-12));
    let state = [0.1; 4];
    let (one, two) = (
        agent.act(&state, &[0.4, -0.7, 0.2]).unwrap(),
        agent.act(&state, &[-0.4, 0.7, 0.2]).unwrap(),
    );
    assert_ne!(one, two);
}

#[test]
fn the_gradient_by_the_context_is_that_of_both_losses() {
    for (batch_norm, action_joins) in [(true, 1), (false, 0), (false, 2)] {
        // Without a discount no target depends on the context; without rates no weight moves.
        let settings = Settings {
            batch_norm,
            action_joins,
            discount: 0.0,
            actor_rate: 0.0,
            critic_rate: 0.0,
            last_weights: 0.5,
            ..Settings::firm(4, 3, 6)
        };
        let agent = agent(settings);
        let replay = filled(&agent, 80, 1.0);
        let places: Vec<usize> = (0..50).collect();
        let context = [0.4, -0.7, 0.2];
        let run = |context: &[f64]| {
            let mut own = agent.clone();
            let learnt = own.learn_from(&replay, &places, context).unwrap();
            let gradient = own.context_gradient().to_vec();
            (learnt.critic_loss + learnt.actor_loss, gradient)
        };
        let (_, gradient) = run(&context);
        for (k, gradient) in gradient.iter().enumerate() {
            let at = |shift: f64| {
                let mut moved = context;
                moved[k] += shift;
                run(&moved).0
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(gradient.abs() > 1e-6, "{gradient}");
            let error = (gradient - difference).abs() / gradient.abs();
            assert!(error < 1e-5, "{k}: {gradient} against {difference}");
        }
    }
}
