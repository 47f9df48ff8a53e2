//! The least time between a change and the next way down.

use super::Wish;
use crate::explain::why::Why;
use crate::quantity::units::Replicas;

/// Moves a wish below current to current while the last change is younger than the cooldown: the
/// proposer's own, or the one that the wish brings where that is longer.
pub(super) fn step(replicas: Replicas, wish: &Wish<'_>) -> Option<(Replicas, Why)> {
    let current = wish.state.current_replicas();
    let ago = wish.now - wish.history.changes().back()?.at;
    let cooldown = wish
        .cooldown
        .map_or(wish.spec.cooldown, |c| c.max(wish.spec.cooldown));
    let cooling = replicas < current && ago < cooldown;
    cooling.then_some((current, Why::Cooldown(ago)))
}
