//! The oracle in event mode: plans that are the cheapest in fluid mode, flown as any policy.

use anyhow::Result;
use foresail_sim::config::ClusterConfig;
use foresail_sim::driver::Deaf;
use foresail_sim::experiment::Item;
use foresail_sim::fluid::Promise;
use foresail_sim::fluid::fly_plan;
use foresail_sim::fluid::oracle::{Corner, Game, Solution, prices};
use rayon::prelude::*;

use super::options::Options;
use super::plan::Plan;

/// Plans are flown whose violations in fluid mode lie between these multiples of what is allowed,
/// and the one with the fewest.
const FLOWN: [f64; 2] = [0.02, 20.0];

/// Every so many of the prices is looked at: each is then twice the one before.
const EVERY: usize = 4;

/// What serving one request on a busy replica costs.
pub(crate) fn price_of_a_request(cluster: &ClusterConfig) -> f64 {
    let minutes = 1.0 / Promise::new(cluster).capacity() / 60.0;
    let cores = f64::from(cluster.cpu_request_millicores) / 1000.0;
    cluster
        .price
        .cost(minutes, cores, cluster.memory_request_gib)
}

/// The game of one item.
pub(crate) fn game_of(item: &Item) -> Result<Game> {
    let setup = &item.setup;
    let bounds = (setup.min, setup.max);
    Ok(Game::new(
        &setup.cluster,
        &setup.pipeline,
        &item.workload,
        bounds,
    )?)
}

/// What the oracle's plans come to in event mode; `done` is called after each of them.
///
/// # Errors
/// Where a plan cannot be flown.
pub(super) fn reference(
    options: &Options,
    plan: &Plan,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Corner>> {
    let games = plan.items.iter().map(game_of).collect::<Result<Vec<_>>>()?;
    let requests: f64 = games.iter().map(Game::requests).sum();
    let base = price_of_a_request(&plan.items[0].setup.cluster);
    let solved: Vec<(f64, Vec<Solution>)> = prices(base)
        .into_par_iter()
        .step_by(EVERY)
        .map(|price| (price, games.iter().map(|g| g.cheapest(price)).collect()))
        .collect();
    let allowed = (1.0 - options.slo.share) * requests;
    let near = |solutions: &[Solution]| {
        let violations: f64 = solutions.iter().map(|s| s.violations).sum();
        (FLOWN[0] * allowed..=FLOWN[1] * allowed).contains(&violations)
    };
    let last = solved.len() - 1;
    let flown: Vec<_> = solved
        .into_iter()
        .enumerate()
        .filter(|(place, (_, solutions))| *place == last || near(solutions))
        .map(|(_, solved)| solved)
        .collect();
    flown
        .par_iter()
        .map(|(price, solutions)| {
            let corner = fly(options, plan, *price, solutions);
            done("oracle");
            corner
        })
        .collect()
}

fn fly(options: &Options, plan: &Plan, price: f64, solutions: &[Solution]) -> Result<Corner> {
    let flights = plan.items.par_iter().zip(solutions);
    let flights: Vec<_> = flights
        .map(|(item, s)| fly_plan(item, &s.plan, options.seed, Deaf))
        .collect();
    let mut corner = Corner {
        price,
        cost: 0.0,
        violations: 0.0,
    };
    for flight in flights {
        let (measures, _) = flight?;
        corner.cost += measures.cost;
        corner.violations += measures.violations as f64;
    }
    Ok(corner)
}
