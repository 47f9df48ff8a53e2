//! A learner on a scripted world: it goes on bit for bit, survives what is no number, and is refused
//! by name where its file is not what was written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

#[path = "support/learner.rs"]
mod support;

use foresail_models::rl::bootstrap::{Acting, BootstrapRules};
use foresail_models::rl::learner::{Embedding, Learner};
use foresail_models::rl::saved::SavedError;
use foresail_models::rl::training::{EpisodeTold, Training, TrainingRules};
use foresail_models::rng::Seed;
use support::{Scripted, axes, learner, rules, settings};

/// So many episodes more; the rewards to the bit.
fn fly(
    learner: &mut Learner,
    training: &mut Training,
    world: &mut Scripted,
    count: usize,
) -> Vec<EpisodeTold> {
    (0..count)
        .map(|_| training.episode(learner, world, None))
        .collect()
}

fn rewards(told: &[EpisodeTold]) -> Vec<u64> {
    told.iter().map(|t| t.reward.to_bits()).collect()
}

fn adapting() -> TrainingRules {
    TrainingRules {
        adapts: true,
        ..rules()
    }
}

#[test]
fn six_episodes_and_twice_three_with_a_file_between_are_the_same_bits() {
    let mut whole = learner(1);
    let mut training = Training::new(&whole, adapting());
    let told = fly(&mut whole, &mut training, &mut Scripted::new(), 6);
    assert!(told.iter().any(|t| t.acted == Acting::Learner));
    assert!(told[5].losses.steps > 0 && told[5].losses.critic > 0.0);

    let mut first = learner(1);
    let mut begun = Training::new(&first, adapting());
    let mut world = Scripted::new();
    let mut split = fly(&mut first, &mut begun, &mut world, 3);
    let saved = first.save(std::slice::from_ref(&begun)).unwrap();
    let (mut second, mut trainings) = Learner::load(&saved).unwrap();
    assert_eq!(second.save(&trainings).unwrap(), saved);
    let resumed = &mut trainings[0];
    split.extend(fly(&mut second, resumed, &mut world, 3));
    assert_eq!(rewards(&told), rewards(&split));
    assert_eq!(told[5], split[5]);
    let whole = whole.save(std::slice::from_ref(&training)).unwrap();
    assert!(
        whole == second.save(&trainings).unwrap(),
        "the same bytes at the end"
    );
}

#[test]
fn the_same_seed_earns_the_same_to_the_bit_and_another_does_not() {
    let run = |seed: u64| {
        let mut one = learner(seed);
        let mut training = Training::new(&one, adapting());
        rewards(&fly(&mut one, &mut training, &mut Scripted::new(), 5))
    };
    assert_eq!(run(4), run(4));
    assert_ne!(run(4), run(5));
}

fn refused(bytes: &[u8], part: &str) {
    let message = Learner::load(bytes).expect_err("refused").to_string();
    assert!(message.contains(part), "{message}");
}

#[test]
fn what_is_no_checkpoint_is_refused_by_name() {
    let mut one = learner(1);
    let mut training = Training::new(&one, rules());
    fly(&mut one, &mut training, &mut Scripted::new(), 3);
    let bytes = one.save(std::slice::from_ref(&training)).unwrap();
    for length in (0..bytes.len()).step_by(bytes.len() / 97) {
        assert!(
            Learner::load(&bytes[..length]).is_err(),
            "cut to {length} bytes"
        );
    }
    refused(&bytes[..bytes.len() - 1], "cut short");
    for place in (0..bytes.len()).step_by(bytes.len() / 101) {
        for flip in [1, 0x80] {
            let mut other = bytes.clone();
            other[place] ^= flip;
            assert!(Learner::load(&other).is_err(), "byte {place} flipped");
        }
    }
    for foreign in [&b""[..], b"{}\n", b"timestamp,count\n1,2\n", b"\n"] {
        refused(foreign, "foresail aware train");
    }
    refused(b"\x80\x02}q\x00.", "pickle");
    refused(b"PK\x03\x04rest", "pickle");
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let line = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let newer = line.replacen("\"v\":2", "\"v\":9", 1);
    assert_ne!(newer, line);
    let newer = [newer.as_bytes(), &bytes[end..]].concat();
    refused(&newer, "another version");
}

#[test]
fn parts_of_two_learners_are_no_checkpoint() {
    let one = learner(1);
    let mut training = Training::new(&one, rules());
    training.memory.embedding = vec![0.0; 3];
    let bytes = one.save(std::slice::from_ref(&training)).unwrap();
    refused(&bytes, "an embedding has another width");
    // The memory of a learner of wider states.
    let mut wider = settings();
    wider.state += 1;
    let other = Learner::new(wider, Seed(1)).unwrap();
    let training = Training::new(&other, rules());
    let message = match one.save(std::slice::from_ref(&training)) {
        Err(error) => error.to_string(),
        Ok(bytes) => Learner::load(&bytes).expect_err("refused").to_string(),
    };
    assert!(message.contains("agent"), "{message}");
    assert!(!matches!(
        Learner::load(b"{}\n"),
        Err(SavedError::Parts(_)) | Ok(_)
    ));
}

#[test]
fn a_reward_that_is_no_number_is_left_out_and_the_heuristic_acts_again() {
    let mut one = learner(1);
    let mut training = Training::new(&one, rules());
    let mut world = Scripted::new();
    fly(&mut one, &mut training, &mut world, 3);
    assert_eq!(training.acting(), Acting::Learner);
    let (kept, length) = (training.memory.best.clone(), training.memory.replay.len());
    world.paid = Some(f64::NAN);
    let told = fly(&mut one, &mut training, &mut world, 1);
    assert!(told[0].reward.is_nan());
    assert_eq!(training.memory.refused, rules().steps as u64);
    assert_eq!(training.memory.replay.len(), length);
    assert_eq!(training.memory.best, kept);
    assert_eq!(
        (training.acting(), training.fallbacks()),
        (Acting::Heuristic, 1)
    );
    world.paid = None;
    let told = fly(&mut one, &mut training, &mut world, 3);
    assert!(told.iter().all(|t| t.reward.is_finite()));
    assert!(told.iter().all(|t| t.baseline.unwrap().is_finite()));
    assert_eq!(
        training.acting(),
        Acting::Learner,
        "it may try again after a window"
    );
}

/// The critic of rewards of 1e30 runs out of range: each step of learning is noticed and taken back.
#[test]
fn an_exploding_critic_is_rolled_back_and_the_nets_stay_finite() {
    let mut one = learner(1);
    let mut training = Training::new(&one, rules());
    let mut world = Scripted::new();
    fly(&mut one, &mut training, &mut world, 3);
    world.paid = Some(1e30);
    let told = fly(&mut one, &mut training, &mut world, 3);
    let rolled_back: u64 = told.iter().map(|t| t.losses.rolled_back).sum();
    assert!(rolled_back > 0, "{told:?}");
    for episode in training.memory.best.episodes() {
        let steps = &episode.steps;
        let advantage = one.advantage(&training.memory, steps);
        assert!(advantage.is_none_or(f64::is_finite), "{advantage:?}");
    }
    let bytes = one.save(&[]).unwrap();
    let (mut back, _) = Learner::load(&bytes).unwrap();
    let memory = back.memory();
    let all = vec![true; axes().outputs()];
    assert!(back.act(&memory, &world.seen(), &all, false).is_some());
}

/// Three trainings that differ in the embedding alone: that of zeros is that of another workload's
/// where this is zeros, and no other.
#[test]
fn embeddings_reach_the_nets() {
    let run = |embedding: Embedding, other: Option<&[f32]>| {
        let mut one = learner(1);
        let rules = TrainingRules {
            embedding,
            bootstrap: BootstrapRules::none(),
            ..rules()
        };
        let mut training = Training::new(&one, rules);
        let mut world = Scripted::new();
        for _ in 0..4 {
            training.episode(&mut one, &mut world, other);
        }
        assert!(
            training.memory.embedding.iter().any(|e| *e > 0.0),
            "it is told at the end"
        );
        one.save(&[]).unwrap()
    };
    let zeros = vec![0.0; support::EMBEDDING];
    let ones = vec![1.0; support::EMBEDDING];
    let told = run(Embedding::Told, None);
    let zeroed = run(Embedding::Zeroed, None);
    assert!(told != zeroed);
    assert!(zeroed == run(Embedding::Shuffled, Some(&zeros)));
    assert!(zeroed != run(Embedding::Shuffled, Some(&ones)));
}
