//! What an HPA of other targets would have come to on the same demand: the frontier that a verdict
//! is read beside.

use anyhow::Result;
use foresail_core::hpa::{HpaSpec, MetricSpec};
use foresail_core::spec::Spec;
use foresail_models::rng::{Seed, child_seed};
use foresail_sim::config::ClusterConfig;
use foresail_sim::fluid::FluidMeasures;
use foresail_sim::workload::Workload;
use serde::Serialize;

use super::fly::foresail;
use super::grid::Grid;
use super::hours::{Hours, Side};

/// Targets of the CPU request that are flown, in percent.
const TARGETS: [i32; 5] = [50, 60, 70, 80, 90];

/// One HPA, and what it would have come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Its target of the pods' CPU request, in percent.
    pub target_percent: i32,
    /// What it came to.
    pub side: Side,
}

/// The HPA with the spec's bounds and behavior on CPU alone, at each target.
///
/// # Errors
/// Where a knob of the cluster is out of its range.
pub(super) fn settings(
    (grid, workload): (&Grid, &Workload),
    cluster: &ClusterConfig,
    spec: &Spec,
    incumbent: &FluidMeasures,
    seed: Seed,
) -> Result<Vec<Setting>> {
    let Some(target) = spec.targets.first() else {
        return Ok(Vec::new());
    };
    let one = |percent: i32| {
        let hpa = HpaSpec {
            metrics: vec![MetricSpec::cpu_utilization(percent)],
            ..target.hpa.clone()
        };
        let hpa = Spec::of_hpa(target.id.clone(), hpa);
        let seed = child_seed(seed, "settings");
        let flown = foresail(grid, workload, cluster, &hpa, seed)?;
        let [_, side] = Hours::new(grid, [incumbent, &flown], cluster.slo.share).sides();
        Ok(Setting {
            target_percent: percent,
            side,
        })
    };
    TARGETS.into_iter().map(one).collect()
}
