//! A ratio near 1 changes nothing.

use super::Wish;
use crate::explain::why::Why;
use crate::quantity::units::Replicas;

/// Moves a wish to current where 1 − t ≤ ratio ≤ 1 + t; a wish without a ratio passes.
pub(super) fn step(_: Replicas, wish: &Wish<'_>) -> Option<(Replicas, Why)> {
    let tolerance = i64::from(wish.spec.tolerance_percent?) * 10;
    let ratio = wish.ratio_milli?;
    let within = (1000 - tolerance..=1000 + tolerance).contains(&ratio);
    within.then(|| (wish.state.current_replicas(), Why::WithinTolerance(ratio)))
}
