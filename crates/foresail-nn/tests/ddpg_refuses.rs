//! What an agent or a memory cannot take is refused by name; what runs out of range is told and undone.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_nn::ddpg::{Ddpg, Head, LearnError, Replay, ReplayError, Settings, Transition};
use foresail_nn::{Layer, Parameter};
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
fn learning_that_runs_out_of_range_is_told_and_can_be_rolled_back() {
    let settings = Settings {
        keep_every: 10,
        batch_norm: false,
        ..Settings::firm(4, 0, 6)
    };
    let mut agent = agent(settings);
    let replay = filled(&agent, 80, 1.0);
    for _ in 0..10 {
        agent.learn(&replay, &[]).unwrap();
    }
    let good = values(agent.actor().each().chain(agent.critic().each()));
    for _ in 0..5 {
        agent.learn(&replay, &[]).unwrap();
    }
    agent.critic_mut().each_mut().next().unwrap().value[0] = f64::NAN;
    // NaN below a ReLU counts as zero there; the last layer lets it through.
    agent.critic_mut().each_mut().nth(4).unwrap().value[0] = f64::NAN;
    let error = agent.learn(&replay, &[]).unwrap_err();
    assert!(matches!(error, LearnError::Exploded { .. }), "{error}");
    assert!(error.to_string().contains("roll back"), "{error}");
    agent.roll_back();
    let back = values(agent.actor().each().chain(agent.critic().each()));
    assert_eq!(back, good);
    agent.learn(&replay, &[]).unwrap();
}

#[test]
fn a_value_beyond_all_reason_is_told() {
    let mut agent = agent(Settings::firm(4, 0, 6));
    let replay = filled(&agent, 80, 1.0);
    let last = agent.critic_mut().each_mut().nth(5).unwrap();
    last.value[0] = 1e6;
    let error = agent.learn(&replay, &[]).unwrap_err().to_string();
    assert!(error.contains("beyond all reason"), "{error}");
}

#[test]
fn too_few_transitions_and_other_widths_are_told_and_nothing_is_changed() {
    let mut agent = agent(Settings::firm(4, 1, 6));
    let few = filled(&agent, 69, 1.0);
    let before = values(agent.actor().each());
    let error = agent.learn(&few, &[0.0]).unwrap_err();
    assert_eq!(
        error,
        LearnError::TooFew {
            found: 69,
            needed: 70
        }
    );
    let enough = filled(&agent, 80, 1.0);
    assert!(agent.learn(&enough, &[]).is_err());
    assert!(agent.learn_from(&enough, &[0, 80], &[0.0]).is_err());
    assert!(agent.learn_from(&enough, &[0], &[0.0]).is_err());
    let other = filled(
        &Ddpg::new(Settings::firm(5, 1, 6), stream(1)).unwrap(),
        80,
        1.0,
    );
    let error = agent.learn(&other, &[0.0]).unwrap_err().to_string();
    assert!(
        error.contains("state has 5 numbers, this agent reads 4"),
        "{error}"
    );
    assert!(agent.act(&[0.0; 3], &[0.0]).is_err());
    assert!(agent.explore(&[0.0; 4], &[]).is_err());
    assert!(agent.q(&[0.0; 4], &[0.0], &[0.0; 5]).is_err());
    assert_eq!(values(agent.actor().each()), before);
}

#[test]
fn a_memory_keeps_the_last_and_refuses_what_is_not_finite() {
    let mut replay = Replay::<f64>::new(1, 1, 2500);
    let mut push = |i: f64| {
        replay.push(&Transition {
            state: &[i],
            action: &[i + 0.25],
            reward: -i,
            next: &[i + 0.5],
            done: i > 3.0,
        })
    };
    for i in 0..4000 {
        push(f64::from(i)).unwrap();
    }
    assert_eq!(
        push(f64::NAN),
        Err(ReplayError::NotFinite { part: "state" })
    );
    assert_eq!(replay.len(), 2500);
    let mut seen: Vec<f64> = (0..2500).map(|p| replay.get(p).unwrap().state[0]).collect();
    seen.sort_by(f64::total_cmp);
    let wanted: Vec<f64> = (1500..4000).map(f64::from).collect();
    assert_eq!(seen, wanted);
    assert!(replay.get(2500).is_none());
    let t = replay.get(0).unwrap();
    assert_eq!(
        (t.action[0] - t.state[0], t.next[0] - t.state[0]),
        (0.25, 0.5)
    );
    let refused = replay.push(&Transition {
        state: &[0.0],
        action: &[0.0, 0.0],
        reward: 0.0,
        next: &[0.0],
        done: false,
    });
    assert!(matches!(
        refused,
        Err(ReplayError::Width { part: "action", .. })
    ));
}

#[test]
fn settings_that_no_agent_can_have_are_named() {
    let base = || Settings::firm(4, 0, 6);
    let bad = [
        ("state", Settings { state: 0, ..base() }),
        (
            "head",
            Settings {
                head: Head::Softmax { group: 4 },
                ..base()
            },
        ),
        (
            "buffer",
            Settings {
                buffer: usize::MAX,
                ..base()
            },
        ),
        ("batch", Settings { batch: 1, ..base() }),
        (
            "discount",
            Settings {
                discount: 1.0,
                ..base()
            },
        ),
        ("tau", Settings { tau: 0.0, ..base() }),
        (
            "actor_rate",
            Settings {
                actor_rate: f64::NAN,
                ..base()
            },
        ),
        (
            "action_joins",
            Settings {
                action_joins: 3,
                ..base()
            },
        ),
        (
            "gradient_clip",
            Settings {
                gradient_clip: Some(0.0),
                ..base()
            },
        ),
    ];
    for (field, settings) in bad {
        let error = Ddpg::<f64>::new(settings, stream(1)).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
    for settings in [base(), Settings::aware(10, 64, 15)] {
        settings.check().unwrap();
    }
    let agent = agent(Settings::firm(10, 16, 15));
    // The shapes of the published checkpoint, but for the rows of the context, which are not normalised.
    let shapes: Vec<_> = agent
        .critic()
        .parameters()
        .into_iter()
        .map(|(n, p)| (n, p.shape.clone()))
        .collect();
    assert_eq!(shapes[0], ("layers.0.weight".to_owned(), vec![40, 26]));
    assert_eq!(shapes[2], ("layers.1.weight".to_owned(), vec![40, 55]));
    assert_eq!(shapes[4], ("layers.2.weight".to_owned(), vec![1, 40]));
}
