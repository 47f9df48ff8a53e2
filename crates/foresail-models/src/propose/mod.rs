//! The proposers, one file each; those on a forecast share `on_forecast`.

pub mod aapa;
pub mod aapa_published;
pub mod advised;
pub mod buffered;
pub mod confidence_aware;
pub mod fixed;
pub mod hpa;
pub mod keepalive_fixed;
pub mod keepalive_histogram;
pub mod kpa;
pub mod llm;
pub(crate) mod on_forecast;
pub mod oracle;
pub mod persistence;
pub mod policy_aware;
pub mod pool;
pub mod predictive;
pub mod predictive_hpa;
pub mod schedule;
pub mod simple_ceiling;

use foresail_core::propose::plan::TargetId;
use foresail_core::spec::ValidSpec;

/// One memory per target, in the order of the spec; those of other targets are forgotten.
pub(crate) fn one_per_target<M>(
    memories: &mut Vec<M>,
    spec: &ValidSpec,
    target_of: impl Fn(&M) -> &TargetId,
    new: impl Fn(&TargetId) -> M,
) {
    let targets = spec.targets();
    let pairs = memories.iter().zip(targets);
    if memories.len() == targets.len() && pairs.into_iter().all(|(m, t)| *target_of(m) == t.id) {
        return;
    }
    let mut old = std::mem::take(memories);
    for target in targets {
        let found = old.iter().position(|m| *target_of(m) == target.id);
        let kept = found.map(|place| old.swap_remove(place));
        memories.push(kept.unwrap_or_else(|| new(&target.id)));
    }
}
pub mod trial;
