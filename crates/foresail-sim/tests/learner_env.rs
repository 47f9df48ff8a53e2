//! The environment of a learner: the engine within it, what is executed given back.
#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use foresail_core::quantity::time::Span;
use foresail_core::spec::Resize;
use foresail_models::rl::axes::Move;
use foresail_models::rl::env::{Env, Facts};
use foresail_models::rng::Seed;
use foresail_sim::env::{FluidEnv, StepRules, World, Worlds};
use foresail_sim::experiment::{Policy, sizing_policies};

const SEED: Seed = Seed(5);

fn world(index: usize) -> World {
    Worlds {
        days: 1,
        seed: SEED,
    }
    .generated(index)
}

fn policy(world: &World) -> Policy {
    let setup = &world.item.setup;
    let initial = setup.replicas_for(world.item.workload.first_rate());
    let mut all = sizing_policies(setup, initial);
    all.pop().unwrap()
}

fn fly(world: &World, policy: &Policy, wish: impl Fn(usize) -> Option<[Move; 3]>) -> (f64, Facts) {
    let pipeline = &world.item.setup.pipeline;
    let mut env = FluidEnv::new(&world.item, policy, pipeline, StepRules::default(), SEED).unwrap();
    let (mut reward, mut step) = (0.0, 0);
    while !env.is_over() {
        let moves = wish(step);
        reward += env.step(moves.as_ref().map(|m| m.as_slice())).reward;
        step += 1;
    }
    (reward, env.so_far())
}

#[test]
fn the_same_seed_flies_the_same_and_a_day_has_its_minutes() {
    for index in 0..4 {
        let world = world(index);
        let policy = policy(&world);
        let (first, facts) = fly(&world, &policy, |_| None);
        let (second, _) = fly(&world, &policy, |_| None);
        assert!((first - second).abs() < 1e-12);
        assert!((1439..=1440).contains(&facts.minutes), "{}", facts.minutes);
        assert!(facts.cores.1 > 0.0 && facts.cores.1 < facts.cores.0);
        assert!(facts.gib.1 > 0.0 && facts.gib.1 < facts.gib.0);
    }
}

/// What wishes to shrink for ever is held by the floor: the HPA's own number at the requests that
/// are asked for.
#[test]
fn a_wish_never_goes_below_the_reactive_floor() {
    let world = world(1);
    let policy = policy(&world);
    let (_, heuristic) = fly(&world, &policy, |_| None);
    let down = [Move::Down, Move::Hold, Move::Hold];
    let (_, shrunk) = fly(&world, &policy, |_| Some(down));
    assert!(shrunk.overruled > 100, "{}", shrunk.overruled);
    let (kept, wished) = (heuristic.violations_percent(), shrunk.violations_percent());
    assert!(
        wished < kept + 2.0,
        "{wished} % against the heuristic's {kept} %"
    );
}

#[test]
fn requests_are_cut_down_to_their_bounds_and_no_further() {
    let world = world(3);
    let policy = policy(&world);
    let pipeline = &world.item.setup.pipeline;
    let rules = StepRules::default();
    let mut env = FluidEnv::new(&world.item, &policy, pipeline, rules, SEED).unwrap();
    let bounds = &world.item.setup.resources["memory"];
    let cut = [Move::Hold, Move::Hold, Move::Down];
    let mut executed = 0;
    for _ in 0..40 {
        let told = if env.legal()[8] {
            env.step(Some(&cut))
        } else {
            env.step(Some(&[Move::Hold; 3]))
        };
        executed += usize::from(told.executed[2] == Move::Down);
        let memory = env.setting().per_pod.get("memory").unwrap();
        assert!(memory.milli() >= bounds.min.milli());
    }
    assert!(executed > 5, "{executed} cuts were executed");
}

#[test]
fn an_illegal_action_is_worth_minus_one_and_changes_nothing() {
    let mut world = world(3);
    world.item.setup.max = 1;
    let mut policy = policy(&world);
    policy.initial = 1;
    policy.spec.targets[0].resize = Resize::Recreate;
    let pipeline = &world.item.setup.pipeline;
    let rules = StepRules {
        step: Span::from_seconds(15),
        ..StepRules::default()
    };
    let mut env = FluidEnv::new(&world.item, &policy, pipeline, rules, SEED).unwrap();
    let before = env.setting();
    assert!(!env.legal()[4], "one replica, made anew: no vertical move");
    let told = env.step(Some(&[Move::Hold, Move::Up, Move::Hold]));
    assert!((told.reward + 1.0).abs() < 1e-12);
    assert_eq!(env.setting(), before);
}
