//! The oracle against brute force, and every policy against the oracle, in one fluid model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeMap;

use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, CpuStress, Pipeline, Shape, Stress, Times};
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::{Item, Policy, Setup, default_policies, policy};
use foresail_sim::fluid::oracle::{
    Corner, Game, Loops, Solution, least_cost, lower_bound, prices, tighten,
};
use foresail_sim::fluid::{Fluid, Planned, fly, fly_plan_fluid, run};
use foresail_sim::rng::Stream;
use foresail_sim::workload::{Within, Workload};
use proptest::prelude::*;

const STEP: i64 = 60;

/// A cluster whose pods take `startup` seconds, with one server of one second each.
fn cluster(startup: i64, slots: u32) -> ClusterConfig {
    ClusterConfig {
        service: Times {
            mean: Span::from_seconds(1),
            shape: Shape::Exponential,
        },
        concurrency: slots,
        cpu_per_request: Span::from_seconds(1),
        startup: Times {
            mean: Span::from_seconds(startup),
            shape: Shape::Constant,
        },
        ..ClusterConfig::default()
    }
}

fn pipeline() -> Pipeline {
    Pipeline {
        sync: Span::from_seconds(STEP),
        ..Pipeline::default()
    }
}

fn counts(step: i64, counts: Vec<u32>) -> Workload {
    Workload::Counts {
        start: Timestamp::EPOCH,
        step: Span::from_seconds(step),
        counts,
        within: Within::default(),
    }
}

/// Every plan of `steps` steps with `min` to `max` replicas.
fn every_plan(steps: usize, min: u32, max: u32) -> Vec<Vec<u32>> {
    let mut plans = vec![Vec::new()];
    for _ in 0..steps {
        let longer = |plan: &Vec<u32>| {
            let plan = plan.clone();
            (min..=max).map(move |n| plan.iter().copied().chain([n]).collect())
        };
        plans = plans.iter().flat_map(longer).collect();
    }
    plans
}

fn flown(config: &ClusterConfig, workload: &Workload, plan: &[u32]) -> (f64, f64) {
    let config = ClusterConfig {
        initial: plan[0],
        ..config.clone()
    };
    let (mut planned, fluid) = (Planned(plan), Fluid::default());
    let measures = run(&config, &pipeline(), workload, fluid, &mut planned).expect("valid knobs");
    (measures.cost, measures.violations)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs())
}

#[test]
fn the_oracle_equals_brute_force_on_two_hundred_games() {
    let mut stream = Stream::of(Seed(7), "games");
    let mut draw = |most: u32| (stream.uniform() * f64::from(most + 1)) as u32;
    let (mut plans_tried, mut corners, mut with_lead) = (0, 0, 0);
    for game_number in 0..200 {
        let (steps, min, max) = [(5, 1, 4), (6, 0, 2), (7, 1, 3)][draw(2) as usize];
        let startup = [0, 20, 45, 60, 90, 120, 150][draw(6) as usize];
        let config = cluster(startup, 1 + draw(1));
        // Some games end within a step, some have two bins a step.
        let workload = match draw(2) {
            0 => counts(50, (0..steps as u32 + 1).map(|_| draw(200)).collect()),
            1 => counts(30, (0..2 * steps as u32).map(|_| draw(100)).collect()),
            _ => counts(60, (0..steps as u32).map(|_| draw(200)).collect()),
        };
        let game = Game::new(&config, &pipeline(), &workload, (min, max)).expect("valid");
        with_lead += usize::from(startup >= STEP);
        let every: Vec<_> = every_plan(game.steps(), min, max)
            .iter()
            .map(|plan| flown(&config, &workload, plan))
            .collect();
        plans_tried += every.len();
        let frontier = game.frontier(1_000_000).expect("small");
        for Solution {
            cost,
            violations,
            plan,
        } in &frontier
        {
            let (real_cost, real) = flown(&config, &workload, plan);
            assert!(
                close(real_cost, *cost) && close(real, *violations),
                "{game_number}"
            );
        }
        for (cost, violations) in &every {
            let beaten = |s: &Solution| s.cost <= cost + 1e-9 && s.violations <= violations + 1e-7;
            assert!(
                frontier.iter().any(beaten),
                "{game_number}: {cost} {violations}"
            );
        }
        for price in [0.0, 1e-5, 1e-3, 1e-2, 1.0] {
            let best = game.cheapest(price);
            let (cost, violations) = flown(&config, &workload, &best.plan);
            assert!(close(cost, best.cost) && close(violations, best.violations));
            let least = every.iter().map(|(c, v)| c + price * v);
            let least = least.fold(f64::INFINITY, foresail_core::quantity::units::smaller);
            assert!(
                close(best.cost + price * best.violations, least),
                "{game_number} at {price}"
            );
            corners += 1;
        }
    }
    println!("{plans_tried} plans, {corners} corners, {with_lead} games with a whole step of lead");
    assert!(plans_tried > 100_000 && with_lead > 80);
}

fn setup(config: ClusterConfig, max: u32) -> Setup {
    Setup {
        resources: BTreeMap::new(),
        aapa: BTreeMap::new(),
        own: None,
        cluster: config,
        pipeline: pipeline(),
        min: 1,
        max,
        hpa_target_percent: 60,
        schedule: Vec::new(),
        target: TargetId::new("default/Deployment/web"),
    }
}

fn policies(setup: &Setup, target: u32, window: i32, mean: f64) -> Vec<Policy> {
    let mut all = default_policies(setup, mean, mean);
    all.push(policy::hpa(setup, target, Some(window), 2));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// On the whole frontier: nobody is cheaper with as few violations.
    #[test]
    fn no_policy_beats_the_whole_frontier(
        demand in prop::collection::vec(0..240_u32, 30),
        startup in prop::sample::select(vec![0, 30, 60, 100]),
        target in 30..95_u32,
        window in prop::sample::select(vec![0, 60, 300]),
    ) {
        let setup = setup(cluster(startup, 1), 5);
        let item = Item { id: "f".to_owned(), workload: counts(60, demand), setup: setup.clone() };
        let game = Game::new(&setup.cluster, &setup.pipeline, &item.workload, (1, 5)).expect("valid");
        let frontier = game.frontier(4_000_000).expect("small enough");
        for policy in policies(&setup, target, window, 2.0) {
            let name = policy.name.clone();
            let (m, _) = fly(&item, policy, Fluid::default(), Seed(1), Deaf).expect("flies");
            let least = frontier.iter().filter(|s| s.violations <= m.violations + 1e-9);
            let least = least.map(|s| s.cost).fold(f64::INFINITY, foresail_core::quantity::units::smaller);
            prop_assert!(least <= m.cost + 1e-9, "{}: {} under {}", name, m.cost, least);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// On a day: nobody is below the bound that the corners give, nor is the oracle itself.
    #[test]
    fn no_policy_beats_the_corners_of_a_day(
        levels in prop::collection::vec(0.0..12.0_f64, 48),
        startup in prop::sample::select(vec![0, 45, 130]),
        target in 30..95_u32,
        seed in 0..1000_u64,
    ) {
        let mut stream = Stream::of(Seed(seed), "day");
        let demand = (0..1440).map(|m| stream.poisson(levels[m / 30] * 60.0) as u32).collect();
        let setup = setup(cluster(startup, 2), 20);
        let item = Item { id: "f".to_owned(), workload: counts(60, demand), setup: setup.clone() };
        let game = Game::new(&setup.cluster, &setup.pipeline, &item.workload, (1, 20)).expect("valid");
        let mut corners: Vec<_> = prices(0.04 / 3600.0 / 2.0).into_iter().map(|price| {
            let Solution { cost, violations, .. } = game.cheapest(price);
            Corner { price, cost, violations }
        }).collect();
        prop_assert!(corners.is_sorted_by(|a, b| a.violations >= b.violations - 1e-6));
        for policy in policies(&setup, target, 300, 6.0) {
            let name = policy.name.clone();
            let (m, _) = fly(&item, policy, Fluid::default(), Seed(1), Deaf).expect("flies");
            let loose = lower_bound(&corners, m.violations);
            tighten(&mut corners, m.violations, |price| {
                let Solution { cost, violations, .. } = game.cheapest(price);
                Corner { price, cost, violations }
            });
            let bound = lower_bound(&corners, m.violations);
            prop_assert!(loose <= bound + 1e-9);
            prop_assert!(bound <= m.cost + 1e-9, "{}: {} under {}", name, m.cost, bound);
            if let Some(corner) = least_cost(&corners, m.violations) {
                prop_assert!(corner.cost >= bound - 1e-9, "{}: {} under {}", name, corner.cost, bound);
            }
        }
    }
}

#[test]
fn the_engine_flies_the_plan_as_it_is() {
    let mut stream = Stream::of(Seed(3), "demand");
    let demand: Vec<u32> = (0..600)
        .map(|_| (stream.uniform() * 600.0) as u32)
        .collect();
    for startup in [0, 45, 150] {
        let setup = setup(cluster(startup, 2), 12);
        let item = Item {
            id: "f".to_owned(),
            workload: counts(60, demand.clone()),
            setup: setup.clone(),
        };
        let bounds = (setup.min, setup.max);
        let game = Game::new(&setup.cluster, &setup.pipeline, &item.workload, bounds).expect("ok");
        let best = game.cheapest(0.001);
        let (m, _) =
            fly_plan_fluid(&item, &best.plan, Fluid::default(), Seed(1), Deaf).expect("flies");
        assert!(close(m.cost, best.cost), "{} {}", m.cost, best.cost);
        assert!((m.violations - best.violations).abs() < 1e-6 * m.requests);
        let changes = best.plan.windows(2).filter(|w| w[0] != w[1]).count() as u64;
        assert_eq!(
            m.actions, changes,
            "the plan and nothing else, at {startup} s"
        );
        assert!(changes > 50);
    }
}

#[test]
fn a_game_of_no_use_for_more_replicas_forgets_them() {
    let config = cluster(60, 10);
    let workload = counts(60, vec![60; 100]);
    let game = Game::new(&config, &pipeline(), &workload, (1, 100)).expect("valid");
    let best = game.cheapest(1000.0);
    assert!(best.plan.iter().all(|n| *n == best.plan[0]));
    assert!(best.plan[0] <= 3, "{}", best.plan[0]);
}

/// Under busy loops: without them no plan is below the line; with them everywhere a plan costs what it says.
/// Which of both games has the better plan is seen when they are flown: neither always has.
#[test]
fn under_busy_loops_it_is_a_bound_and_plans_cost_what_they_say() {
    let mut stream = Stream::of(Seed(11), "loops");
    let mut draw = |most: u32| (stream.uniform() * f64::from(most + 1)) as u32;
    let (mut plans_tried, mut better, mut worse) = (0, 0, 0);
    for game_number in 0..40 {
        let (steps, min, max) = [(5, 1, 4), (6, 1, 3)][draw(1) as usize];
        let begin = i64::from(draw(4)) * 30;
        let config = ClusterConfig {
            stress: Some(Stress {
                cpu_limit_millicores: 1000,
                cpu: vec![CpuStress {
                    at: Span::from_seconds(begin),
                    length: Span::from_seconds(90),
                    workers: 1 + draw(2),
                    refresh: Span::from_seconds(45),
                }],
                memory: Vec::new(),
            }),
            ..cluster([0, 20, 75][draw(2) as usize], 1)
        };
        let workload = counts(60, (0..steps as u32).map(|_| draw(120)).collect());
        let bounds = (min, max);
        let game = |loops| Game::under(loops, &config, &pipeline(), &workload, bounds).unwrap();
        let (spared, loaded) = (game(Loops::Spared), game(Loops::Everywhere));
        let mut corners: Vec<Corner> = prices(1.0 / 60.0)
            .into_iter()
            .map(|price| {
                let solution = spared.cheapest(price);
                Corner {
                    price,
                    cost: solution.cost,
                    violations: solution.violations,
                }
            })
            .collect();
        for plan in every_plan(spared.steps(), min, max) {
            let (cost, violations) = flown(&config, &workload, &plan);
            let solve = |price| {
                let solution = spared.cheapest(price);
                Corner {
                    price,
                    cost: solution.cost,
                    violations: solution.violations,
                }
            };
            if plans_tried % 97 == 0 {
                tighten(&mut corners, violations, solve);
            }
            let least = lower_bound(&corners, violations);
            assert!(cost >= least - 1e-9, "{game_number}: {plan:?} is below");
            plans_tried += 1;
        }
        for price in prices(1.0 / 60.0).into_iter().step_by(8) {
            let (with, without) = (loaded.cheapest(price), spared.cheapest(price));
            let (cost, violations) = flown(&config, &workload, &with.plan);
            assert!(
                close(cost, with.cost),
                "{game_number}: a plan costs what it says"
            );
            let (_, naively) = flown(&config, &workload, &without.plan);
            better += usize::from(violations < naively - 1.0);
            worse += usize::from(violations > naively + 1.0);
        }
    }
    println!("{plans_tried} plans; {better} plans made for loops are better, {worse} worse");
    assert!(better > 5 && worse > 5, "the two games differ");
}
