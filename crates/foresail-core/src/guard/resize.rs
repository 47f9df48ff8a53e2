//! Which requests of a pod may be changed now.

use super::{Guard, GuardName, Limit, Scene};
use crate::explain::why::Why;
use crate::propose::plan::{Axis, Setting};
use crate::quantity::units::{Quantity, Replicas};
use crate::spec::Resize;

/// Keeps requests where they are where a change would leave too little behind.
///
/// Where a pod is made anew for other requests, nothing changes with one replica or none: nobody
/// would serve meanwhile. Where the replicas that are left are fewer than the reactive floor at the
/// wanted requests, no request is cut: the floor was reckoned with replicas that do not come.
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
        match (wanted.replicas, scene.floor) {
            (Some(left), Some(floor)) if left < floor => {
                scene.hold_cuts(self.name(), wanted, &Why::FloorUnmet(floor))
            }
            _ => Vec::new(),
        }
    }
}

impl RequestChange {
    fn hold_all(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        let held = |(name, from): (&str, Quantity)| {
            let to = scene.state.current.per_pod.get(name)?;
            (from != to).then(|| Limit {
                by: self.name(),
                target: scene.target.id.clone(),
                axis: Axis::PerPod(name.to_owned()),
                from,
                to,
                why: Why::OnlyReplica,
            })
        };
        wanted.per_pod.iter().filter_map(held).collect()
    }
}
