//! DDPG learns to set replicas and requests: it comes to earn more than the HPA on the same world.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests may fail loudly and print what was measured"
)]

use foresail_models::rl::axes::Joint;
use foresail_models::rl::bootstrap::{Acting, BootstrapRules};
use foresail_models::rl::env::Env;
use foresail_models::rl::learner::{Learner, LearnerSettings, Preset};
use foresail_models::rl::state;
use foresail_models::rl::training::{EpisodeTold, Training, TrainingRules};
use foresail_models::rng::Seed;
use foresail_sim::env::{FluidEnv, StepRules, World, Worlds};
use foresail_sim::experiment::{Policy, default_policies, sizing_policies};

const SEED: Seed = Seed(5);
const STEPS: usize = 100;
/// Episodes at the end whose mean is judged.
const LAST: usize = 20;

fn world(episodes: usize) -> World {
    let days = (episodes * STEPS / 1440 + 1) as u32;
    Worlds { days, seed: SEED }.generated(3)
}

fn policy(world: &World, name: &str) -> Policy {
    let setup = &world.item.setup;
    let first = world.item.workload.first_rate();
    let seconds = world.item.workload.length().seconds();
    let mean = world.item.workload.expected() / seconds;
    let mut all = default_policies(setup, mean, first);
    all.extend(sizing_policies(setup, setup.replicas_for(first)));
    all.into_iter().find(|p| p.name == name).unwrap()
}

fn env<'a>(world: &'a World, policy: &Policy) -> FluidEnv<'a> {
    let pipeline = &world.item.setup.pipeline;
    FluidEnv::new(&world.item, policy, pipeline, StepRules::default(), SEED).unwrap()
}

/// Rewards per episode of a policy that learns nothing.
fn baseline(world: &World, name: &str, episodes: usize) -> Vec<f64> {
    let mut env = env(world, &policy(world, name));
    let mut episode = || (0..STEPS).map(|_| env.step(None).reward).sum();
    (0..episodes).map(|_| episode()).collect()
}

/// A learner without a meta-learner: there is one world.
fn flown(
    world: &World,
    (bootstrap, learns): (BootstrapRules, bool),
    episodes: usize,
) -> Vec<EpisodeTold> {
    let axes = 1 + world.item.setup.resources.len();
    let settings = LearnerSettings {
        preset: Preset::Firm,
        joint: Joint::Each,
        meta: None,
        state: state::width_of(axes),
        axes,
    };
    let mut learner = Learner::new(settings, SEED).unwrap();
    let rules = TrainingRules {
        steps: STEPS,
        bootstrap,
        learns,
        ..TrainingRules::default()
    };
    let mut training = Training::new(&learner, rules);
    let mut env = env(world, &policy(world, "aware"));
    (0..episodes)
        .map(|_| training.episode(&mut learner, &mut env, None))
        .collect()
}

fn mean_of_last(rewards: &[f64]) -> f64 {
    let last = &rewards[rewards.len() - LAST..];
    last.iter().sum::<f64>() / last.len() as f64
}

fn trains(bootstrap: usize, episodes: usize) {
    let world = world(episodes);
    let rules = BootstrapRules {
        episodes: bootstrap,
        ..BootstrapRules::default()
    };
    let told = flown(&world, (rules, true), episodes);
    let rewards = |told: &[EpisodeTold]| told.iter().map(|t| t.reward).collect::<Vec<f64>>();
    let own = mean_of_last(&rewards(&told));
    let hpa = mean_of_last(&baseline(&world, "hpa", episodes));
    let both = mean_of_last(&baseline(&world, "hpa-vpa", episodes));
    let untaught = flown(&world, (BootstrapRules::none(), false), episodes);
    let untaught = mean_of_last(&rewards(&untaught));
    let last = &told[episodes - LAST..];
    let acted = last.iter().filter(|t| t.acted == Acting::Learner).count();
    println!(
        "learner {own:.2} ({acted} of {LAST}), before learning {untaught:.2}, hpa {hpa:.2}, hpa-vpa {both:.2}"
    );
    assert!(own > hpa, "{own} against the HPA's {hpa}");
    assert!(
        own > untaught,
        "{own} against {untaught} of the same nets before"
    );
    assert!(acted > LAST / 2, "the learner acted in {acted} of the last");
    let again = flown(&world, (rules, true), episodes);
    let bits = |told: &[EpisodeTold]| told.iter().map(|t| t.reward.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&told), bits(&again), "the same curve to the bit");
}

#[test]
fn a_learner_comes_to_earn_more_than_the_hpa() {
    trains(10, 60);
}

/// As the specification has it: 300 episodes, 50 of them the heuristic's.
#[test]
#[ignore = "takes minutes; part of the soak"]
fn a_learner_of_three_hundred_episodes_earns_more_than_the_hpa() {
    trains(50, 300);
}
