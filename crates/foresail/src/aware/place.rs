//! Where worlds come from: generated ones, or the items of a trace on generated applications.

use std::path::PathBuf;

use anyhow::{Result, bail};
use foresail_adapters::io::{ReadOptions, busiest};
use foresail_models::rng::Seed;
use foresail_sim::env::{World, Worlds};

use crate::compare::trace::{minutes as counts, open};

/// Minutes of demand in a world that learners are flown on, however many episodes: a longer training
/// meets it again, and one that is resumed meets what it met before. Four weeks.
pub(crate) const DEMAND: usize = 28 * 1440;

/// So many worlds from `first` on, each with demand for `minutes`; of a trace its busiest items.
///
/// # Errors
/// Where the trace cannot be read or has too few items.
pub(crate) fn worlds(
    trace: Option<&PathBuf>,
    (first, count): (usize, usize),
    minutes: usize,
    seed: Seed,
) -> Result<Vec<World>> {
    let days = u32::try_from(minutes.div_ceil(1440).max(1)).unwrap_or(u32::MAX);
    let makes = Worlds { days, seed };
    let Some(path) = trace else {
        return Ok((first..first + count).map(|i| makes.generated(i)).collect());
    };
    let mut items = open(path, None, &ReadOptions::default())?;
    let (found, _) = busiest(items.as_mut(), first + count)?;
    if found.len() < first + count {
        let (name, has) = (path.display(), found.len());
        let wanted = first + count;
        bail!(
            "{name} has {has} items with requests, {wanted} are asked for: ask for fewer, or begin with a smaller --first"
        );
    }
    let chosen = found.into_iter().enumerate().skip(first);
    let world = |(i, item): (usize, foresail_core::quantity::trace::TraceItem)| {
        let workload = counts(&item, path, seed)?;
        Ok(makes.of_workload(&item.id, workload, i))
    };
    chosen.map(world).collect()
}
