//! Which requests of a pod may be changed now.

use super::{Guard, GuardName, Limit, Scene};
use crate::explain::why::Why;
use crate::propose::plan::{Axis, Setting};
use crate::quantity::units::{Quantity, Replicas, Unit};
use crate::spec::Resize;

/// The resource that pods are killed for.
const MEMORY: &str = "memory";

/// The share of the most replicas that a cut may need, in percent.
const ROOM_PERCENT: i64 = 80;

/// A MiB in thousandths of a byte.
const MEBI_MILLI: i64 = (1 << 20) * 1000;

/// Keeps requests where they are where a change would leave too little behind.
///
/// Where a pod is made anew for other requests, nothing changes with one replica or none: nobody
/// would serve meanwhile. Where the replicas that are left are fewer than the reactive floor at the
/// wanted requests, no request is cut: the floor was reckoned with replicas that do not come; nor where
/// that floor takes more than four fifths of the most replicas. For an
/// hour after a kill for memory no pod gets as little again.
/// Source: specs/hpa_aware_studies.md 2.7; design.md, "Types that every policy needs".
#[derive(Debug)]
pub(crate) struct RequestChange;

impl Guard for RequestChange {
    fn name(&self) -> GuardName {
        GuardName::Resize
    }

    fn applies(&self, scene: &Scene<'_>) -> bool {
        !scene.hpa_alone
    }

    fn limits(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        let one = Replicas::new(1);
        if scene.target.resize == Resize::Recreate && scene.current() <= one {
            return self.hold_all(wanted, scene);
        }
        let mut limits = match (wanted.replicas, scene.floor) {
            (Some(left), Some(floor)) if left < floor || uses_up(floor, scene) => {
                scene.hold_cuts(self.name(), wanted, &Why::FloorUnmet(floor))
            }
            _ => Vec::new(),
        };
        limits.extend(self.after_kill(wanted, &limits, scene));
        limits
    }
}

/// `true` where the floor takes so many of the most replicas that too few are left to scale out with:
/// a cut turns pods that may be added later into pods that are needed now.
fn uses_up(floor: Replicas, scene: &Scene<'_>) -> bool {
    floor.as_i64() * 100 > i64::from(scene.rules().max()) * ROOM_PERCENT
}

impl RequestChange {
    /// Holds the memory request above what pods were killed with, by a fifth and at least 100 MiB.
    ///
    /// Source of the numbers: the VPA recommender's `oom-bump-up-ratio` and `oom-min-bump-up-bytes`.
    fn after_kill(&self, wanted: &Setting, held: &[Limit], scene: &Scene<'_>) -> Option<Limit> {
        let axis = Axis::PerPod(MEMORY.to_owned());
        let kill = scene.history.kill(scene.now)?;
        let earlier = held.iter().find(|l| l.axis == axis);
        let from = earlier.map(|l| l.to).or(wanted.get(&axis))?;
        let killed = kill.memory.milli();
        let least = killed.saturating_add((killed / 5).max(100 * MEBI_MILLI));
        let least = Quantity::from_milli(least, Unit::Bytes);
        let to = scene.target.bounded(MEMORY, least);
        let why = Why::KilledWith(kill.memory);
        (from.milli() < to.milli()).then(|| scene.limit_on(axis, self.name(), (from, to), why))
    }

    fn hold_all(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        let held = |(name, from): (&str, Quantity)| {
            let to = scene.state.current.per_pod.get(name)?;
            let axis = Axis::PerPod(name.to_owned());
            let (by, why) = (self.name(), Why::OnlyReplica);
            (from != to).then(|| scene.limit_on(axis, by, (from, to), why))
        };
        wanted.per_pod.iter().filter_map(held).collect()
    }
}
