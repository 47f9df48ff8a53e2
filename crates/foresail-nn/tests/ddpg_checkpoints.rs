//! A checkpoint goes on bit for bit; what is no checkpoint of this agent is refused by name.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_nn::ddpg::{Ddpg, Replay, SCHEMA, Settings, Transition, settings_of};
use foresail_nn::{Layer, safetensors};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn small() -> Settings {
    Settings {
        buffer: 150,
        warm_up: 16,
        batch: 40,
        epsilon_decay: 1e-3,
        keep_every: 30,
        ..Settings::firm(4, 2, 6)
    }
}

fn fresh(settings: Settings) -> (Ddpg, Replay) {
    let agent = Ddpg::new(settings, ChaCha8Rng::seed_from_u64(7)).unwrap();
    let replay = agent.replay();
    (agent, replay)
}

/// Steps of a world that is a rule of the step's number and the action.
fn live(agent: &mut Ddpg, replay: &mut Replay, steps: std::ops::Range<usize>) {
    let state = |t: usize| [0.1, 0.2, 0.3, 0.7].map(|k| (t as f32 * k).sin());
    for t in steps {
        if t % 50 == 0 {
            agent.begin_episode();
        }
        let context = [0.5, -0.25];
        let action = agent.explore(&state(t), &context).unwrap();
        let transition = Transition {
            state: &state(t),
            action: &action,
            reward: action[0] - state(t)[0],
            next: &state(t + 1),
            done: t % 50 == 49,
        };
        replay.push(&transition).unwrap();
        if agent.is_ready(replay) {
            agent.learn(replay, &context).unwrap();
        }
    }
}

#[test]
fn two_hundred_steps_and_twice_a_hundred_with_a_file_between_are_the_same_bytes() {
    let (mut whole, mut memory) = fresh(small());
    live(&mut whole, &mut memory, 0..200);
    let (mut first, mut begun) = fresh(small());
    live(&mut first, &mut begun, 0..100);
    let saved = first.save(&begun).unwrap();
    let (mut second, mut resumed) = Ddpg::load(&saved, small()).unwrap();
    assert_eq!(begun, resumed);
    live(&mut second, &mut resumed, 100..200);
    assert_eq!(whole.save(&memory).unwrap(), second.save(&resumed).unwrap());
    // The copy to roll back to is part of it.
    whole.roll_back();
    second.roll_back();
    live(&mut whole, &mut memory, 200..230);
    live(&mut second, &mut resumed, 200..230);
    assert_eq!(whole.save(&memory).unwrap(), second.save(&resumed).unwrap());
    let (other, memory_of_other) = fresh(small());
    assert_ne!(saved, other.save(&memory_of_other).unwrap());
}

#[test]
fn an_agent_that_has_not_lived_can_be_saved() {
    let (agent, replay) = fresh(small());
    let saved = agent.save(&replay).unwrap();
    let (back, memory) = Ddpg::load(&saved, small()).unwrap();
    assert!(memory.is_empty());
    assert_eq!(saved, back.save(&memory).unwrap());
    assert_eq!(settings_of(&saved).unwrap(), small());
}

#[test]
fn weights_stand_under_their_names_in_pytorch() {
    let (agent, replay) = fresh(small());
    let file = safetensors::read(&agent.save(&replay).unwrap()).unwrap();
    assert_eq!(file.metadata["schema"], SCHEMA);
    for (name, shape) in [
        ("actor.layers.0.weight", vec![40, 6]),
        ("actor.norms.0.running_mean", vec![4]),
        ("critic.layers.1.weight", vec![40, 46]),
        ("target_critic.norms.1.running_var", vec![40]),
        ("critic_adam.layers.2.bias.exp_avg_sq", vec![1]),
        ("good.target_actor.layers.2.bias", vec![6]),
        ("replay.state", vec![0, 4]),
    ] {
        assert_eq!(file.tensors[name].shape, shape, "{name}");
    }
    let (_, weight) = &agent.actor().parameters()[0];
    assert_eq!(file.tensors["actor.layers.0.weight"].values, weight.value);
}

fn refused(bytes: &[u8], settings: Settings, part: &str) {
    let message = Ddpg::load(bytes, settings).unwrap_err().to_string();
    assert!(message.contains(part), "{message}");
}

#[test]
fn other_settings_are_named() {
    let (mut agent, mut replay) = fresh(small());
    live(&mut agent, &mut replay, 0..40);
    let saved = agent.save(&replay).unwrap();
    let others = [
        (
            "state is 4",
            Settings {
                state: 5,
                ..small()
            },
        ),
        (
            "context is 2",
            Settings {
                context: 0,
                ..small()
            },
        ),
        (
            "actions is 6",
            Settings {
                actions: 7,
                head: foresail_nn::ddpg::Head::Tanh,
                ..small()
            },
        ),
        (
            "actor_hidden is [40, 40]",
            Settings {
                actor_hidden: vec![40],
                ..small()
            },
        ),
        (
            "critic_hidden",
            Settings {
                critic_hidden: vec![40, 41],
                ..small()
            },
        ),
        (
            "action_joins is 1",
            Settings {
                action_joins: 0,
                ..small()
            },
        ),
        (
            "batch_norm is true",
            Settings {
                batch_norm: false,
                ..small()
            },
        ),
        (
            "buffer is 150",
            Settings {
                buffer: 151,
                ..small()
            },
        ),
        (
            "setting tau",
            Settings {
                tau: 2.0,
                ..small()
            },
        ),
    ];
    for (part, settings) in others {
        refused(&saved, settings, part);
    }
    // A memory of another width is not saved in the first place.
    let other = Ddpg::<f32>::new(
        Settings {
            state: 5,
            ..small()
        },
        ChaCha8Rng::seed_from_u64(1),
    )
    .unwrap();
    let message = agent.save(&other.replay()).unwrap_err().to_string();
    assert!(
        message.contains("state is 5, this agent's is 4"),
        "{message}"
    );
    // Rates may change between two runs.
    Ddpg::load(
        &saved,
        Settings {
            actor_rate: 1e-5,
            ..small()
        },
    )
    .unwrap();
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let (mut agent, mut replay) = fresh(small());
    live(&mut agent, &mut replay, 0..40);
    let saved = agent.save(&replay).unwrap();
    for length in (0..saved.len()).step_by(997) {
        assert!(Ddpg::load(&saved[..length], small()).is_err(), "{length}");
    }
    refused(b"PK\x03\x04zip", small(), "pickle");
    let bare = safetensors::write(agent.actor(), &Default::default());
    refused(&bare, small(), "its schema is none");
    let change = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let place = saved.windows(from.len()).position(|w| w == from.as_bytes());
        let mut other = saved.clone();
        other[place.unwrap()..][..to.len()].copy_from_slice(to.as_bytes());
        other
    };
    refused(
        &change("foresail.ddpg/1", "foresail.ddpg/2"),
        small(),
        "its schema is foresail.ddpg/2",
    );
    refused(
        &change("\"replay.len\":\"40\"", "\"replay.len\":\"99\""),
        small(),
        "replay.state has shape [40, 4]",
    );
    refused(
        &change("\"replay.oldest\":\"0\"", "\"replay.oldest\":\"9\""),
        small(),
        "replay.oldest is 9",
    );
    refused(
        &change("\"steps\":\"25\"", "\"steps\":\"-5\""),
        small(),
        "steps is -5",
    );
    refused(
        &change("actor.layers.0.weight", "actor.layers.9.weight"),
        small(),
        "actor.layers.0.weight is missing",
    );
}

#[test]
fn every_flipped_byte_of_the_header_is_an_error_or_another_agent_but_no_panic() {
    let (agent, replay) = fresh(small());
    let saved = agent.save(&replay).unwrap();
    let header = 8 + u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize;
    for place in (0..header).step_by(13) {
        let mut other = saved.clone();
        other[place] ^= 1 << (place % 7);
        let _ = Ddpg::load(&other, small());
    }
}

#[test]
fn weights_that_are_not_finite_are_neither_saved_nor_loaded() {
    let (mut agent, replay) = fresh(small());
    let mut saved = agent.save(&replay).unwrap();
    // The first number behind the header is the actor's first.
    let data = 8 + u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize;
    saved[data..data + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(&saved, small(), "actor.layers.0.weight holds a number");
    agent.actor_mut().each_mut().next().unwrap().value[3] = f32::NAN;
    let message = agent.save(&replay).unwrap_err().to_string();
    assert!(
        message.contains("actor.layers.0.weight holds a number"),
        "{message}"
    );
}
