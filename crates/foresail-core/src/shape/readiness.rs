//! Pods that are starting are load's answer on its way.

use super::Wish;
use crate::explain::why::Why;
use crate::quantity::units::Replicas;

/// Moves a wish to current where it lies between the ready pods and current: what is starting
/// covers it already, and a pod that is not ready yet is no sign of less load.
pub(super) fn step(replicas: Replicas, wish: &Wish<'_>) -> Option<(Replicas, Why)> {
    let (ready, current) = (wish.state.ready, wish.state.current_replicas());
    let covered = wish.spec.readiness && replicas > ready && replicas < current;
    let starting = Replicas::saturating(current.as_i64() - ready.as_i64());
    covered.then_some((current, Why::Starting(starting)))
}
