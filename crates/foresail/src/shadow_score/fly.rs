//! Both sides on the recorded demand, through one simulator with the same pods.

use anyhow::{Result, anyhow};
use foresail_core::quantity::time::Timestamp;
use foresail_core::spec::{Spec, SpecProblem};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use foresail_sim::config::{ClusterConfig, Pipeline};
use foresail_sim::driver::Deaf;
use foresail_sim::fluid::{
    Asked, Decider, Fluid, FluidMeasures, GroupPilot, GroupSeen, SeenFluid, run,
};
use foresail_sim::workload::Workload;

use super::grid::{Grid, MINUTE};

/// Demand above capacity waits for later, as it does in a cluster.
const WAITING: Fluid = Fluid {
    backlog: true,
    chance: None,
};

fn pipeline(grid: &Grid) -> Pipeline {
    Pipeline {
        sync: grid.step,
        ..Pipeline::default()
    }
}

/// The incumbent's recorded replicas on the recorded demand.
///
/// # Errors
/// Where a knob of the cluster is out of its range.
pub(super) fn incumbent(
    grid: &Grid,
    workload: &Workload,
    cluster: &ClusterConfig,
) -> Result<FluidMeasures> {
    let mut cluster = cluster.clone();
    cluster.initial = grid.initial();
    let measures = run(
        &cluster,
        &pipeline(grid),
        workload,
        WAITING,
        &mut grid.incumbent(),
    );
    Ok(measures?)
}

/// The engine of a spec on the recorded demand; it begins with the incumbent's replicas.
///
/// # Errors
/// Where the spec is not valid or a knob of the cluster out of its range.
pub(super) fn foresail(
    grid: &Grid,
    workload: &Workload,
    cluster: &ClusterConfig,
    spec: &Spec,
    seed: Seed,
) -> Result<FluidMeasures> {
    let mut cluster = cluster.clone();
    cluster.initial = grid.initial();
    let mut spec = spec.clone();
    spec.interval = grid.step;
    for target in &mut spec.targets {
        target.startup = Some(cluster.startup.mean);
    }
    let engine = engine_of(spec, seed)
        .map_err(|problems| anyhow!("the spec is not valid: {}", SpecProblem::joined(&problems)))?;
    let mut sees = Recorded {
        pilot: GroupPilot::of_engine(engine, Deaf),
        grid,
    };
    let fluid = Fluid {
        chance: Some(seed),
        ..WAITING
    };
    Ok(run(&cluster, &pipeline(grid), workload, fluid, &mut sees)?)
}

/// An engine that sees what was recorded: in a gap it sees nothing of the demand and of the pods' use.
struct Recorded<'a> {
    pilot: GroupPilot<'a, Deaf>,
    grid: &'a Grid,
}

impl Decider for Recorded<'_> {
    fn decide(&mut self, seen: &SeenFluid<'_>) -> Option<Asked> {
        let now = self.grid.seen(seen.step);
        self.pilot.outside(now);
        let ends_known = |(end, _): &&(Timestamp, f64)| {
            let minutes = (*end - self.grid.start).nanos() / MINUTE;
            let minute = usize::try_from(minutes - 1);
            minute.is_ok_and(|m| self.grid.demand_known(m))
        };
        let demand: Vec<_> = seen.demand.iter().filter(ends_known).copied().collect();
        let unread = |group: &GroupSeen| GroupSeen {
            cpu: None,
            ..*group
        };
        let pods: Vec<GroupSeen> = match now {
            Some(_) => seen.pods.to_vec(),
            None => seen.pods.iter().map(unread).collect(),
        };
        self.pilot.decide(&SeenFluid {
            demand: &demand,
            pods: &pods,
            interval: seen.interval.clone(),
            ..*seen
        })
    }
}
