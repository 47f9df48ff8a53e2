//! The oracle of a rehearsal: the cheapest plan of one who knows all demand to come, and what no plan
//! costs less than.
//!
//! Plans come from two games of the simulator's fluid mode, with the schedule's busy loops in all pods and
//! with none; each is flown, and the cheapest is taken that kept the promise. The bound is that of the
//! game without loops, so that it stays one. Without busy loops the two are the same game, and the plan
//! is the best of all that are best at some price of a late request. The oracle also chooses with how many
//! pods it begins.

use anyhow::Result;
use foresail_sim::config::ClusterConfig;
use foresail_sim::fluid::oracle::{Corner, Game, Loops, Solution, lower_bound, prices, tighten};
use foresail_sim::fluid::{Fluid, Planned, run};

use super::world::World;
use crate::compare::reference::price_of_a_request;

/// The oracle of one world; the same for every seed, whose chance moves only what is seen.
#[derive(Debug)]
pub struct Oracle<'a> {
    world: &'a World,
    /// Without busy loops.
    spared: Game,
    /// Prices of a late request at which plans are looked at.
    prices: Vec<f64>,
    corners: Vec<Corner>,
    /// What a replica costs for a minute.
    minute: f64,
    /// Late requests that the promise allows.
    allowed: f64,
}

impl<'a> Oracle<'a> {
    /// The oracle of a world.
    ///
    /// # Errors
    /// Where the world is not valid.
    pub fn new(world: &'a World) -> Result<Self> {
        let cluster = &world.cluster;
        let spared = game(world, Loops::Spared)?;
        let prices = prices(price_of_a_request(cluster));
        let cores = f64::from(cluster.cpu_request_millicores) / 1000.0;
        Ok(Self {
            world,
            corners: prices.iter().map(|p| corner(&spared, *p)).collect(),
            minute: cluster.price.cost(1.0, cores, cluster.memory_request_gib),
            allowed: (1.0 - cluster.slo.share) * spared.requests(),
            spared,
            prices,
        })
    }

    /// The cheapest plan that kept the promise when it was flown, replicas step by step; where none did,
    /// the one that broke it least.
    ///
    /// # Errors
    /// Where the world is not valid.
    pub fn plan(&self) -> Result<Vec<u32>> {
        let mut plans = self.plans(&self.spared);
        if !self.world.schedule.cpu.is_empty() {
            plans.extend(self.plans(&game(self.world, Loops::Everywhere)?));
        }
        plans.sort();
        plans.dedup();
        let flown: Vec<(f64, f64, Vec<u32>)> = plans
            .into_iter()
            .map(|plan| self.flown(plan))
            .collect::<Result<_>>()?;
        let kept = flown.iter().filter(|(_, late, _)| *late <= self.allowed);
        let kept = kept.min_by(|a, b| a.0.total_cmp(&b.0));
        let fewest = || flown.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        Ok(kept
            .or_else(fewest)
            .map_or_else(Vec::new, |(.., plan)| plan.clone()))
    }

    /// Plans of a game: the best at each price, also at those beside which the promise lies.
    fn plans(&self, game: &Game) -> Vec<Vec<u32>> {
        let mut solutions: Vec<Solution> = Vec::new();
        let mut solve = |price| {
            let solution = game.cheapest(price);
            let corner = corner_of(price, &solution);
            solutions.push(solution);
            corner
        };
        let mut corners: Vec<Corner> = self.prices.iter().map(|p| solve(*p)).collect();
        tighten(&mut corners, self.allowed, solve);
        solutions.into_iter().map(|s| s.plan).collect()
    }

    /// What a plan costs and how many requests are late under it.
    fn flown(&self, plan: Vec<u32>) -> Result<(f64, f64, Vec<u32>)> {
        let world = self.world;
        let cluster = ClusterConfig {
            initial: plan.first().copied().unwrap_or(world.cluster.initial),
            ..world.cluster.clone()
        };
        let (workload, fluid) = (world.workload(0), Fluid::default());
        let mut planned = Planned(&plan);
        let measures = run(&cluster, &world.pipeline, &workload, fluid, &mut planned)?;
        Ok((measures.cost, measures.violations, plan))
    }

    /// Replica-minutes that no plan with so many late requests has fewer than.
    pub fn least(&mut self, late: f64) -> f64 {
        let game = &self.spared;
        tighten(&mut self.corners, late, |price| corner(game, price));
        lower_bound(&self.corners, late) / self.minute
    }
}

fn game(world: &World, loops: Loops) -> Result<Game> {
    let bounds = (world.rules.options.min, world.rules.options.max);
    let (cluster, workload) = (&world.cluster, world.workload(0));
    Ok(Game::under(
        loops,
        cluster,
        &world.pipeline,
        &workload,
        bounds,
    )?)
}

fn corner(game: &Game, price: f64) -> Corner {
    corner_of(price, &game.cheapest(price))
}

fn corner_of(price: f64, solution: &Solution) -> Corner {
    Corner {
        price,
        cost: solution.cost,
        violations: solution.violations,
    }
}
