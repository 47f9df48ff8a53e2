//! Stale data never scales down.

use super::{Guard, GuardName, Limit, Scene, sample_age};
use crate::explain::why::Why;
use crate::propose::plan::Setting;

/// Keeps replicas and requests where they are while the newest sample is older than `staleAfterSeconds`.
///
/// Moves to `current`; never holds a rise. Stays out with `hpa` alone, which has no such rule, and
/// where the bounds ask for a move at once.
/// Source: specs/reliability.md 1.1 S2 and S6.
#[derive(Debug)]
pub(crate) struct Freshness;

impl Guard for Freshness {
    fn name(&self) -> GuardName {
        GuardName::Freshness
    }

    fn applies(&self, scene: &Scene<'_>) -> bool {
        !scene.hpa_alone && !scene.straight_to_bound()
    }

    fn limits(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        if !scene.goes_down(wanted) {
            return Vec::new();
        }
        let why = match sample_age(scene) {
            None => Why::NoSample,
            Some(age) if age > scene.guards.stale_after => Why::StaleFor(age),
            Some(_) => return Vec::new(),
        };
        scene.hold_down(self.name(), wanted, &why)
    }
}
