//! Paused, frozen, not leading.

use super::{Guard, GuardName, Limit, Scene};
use crate::explain::why::Why;
use crate::observe::Health;
use crate::propose::plan::Setting;

/// Keeps every axis where it is while nothing may be changed.
///
/// Last of all guards, so that the chain still shows what would have happened.
#[derive(Debug)]
pub(crate) struct Paused;

impl Guard for Paused {
    fn name(&self) -> GuardName {
        GuardName::Paused
    }

    fn applies(&self, scene: &Scene<'_>) -> bool {
        reason(scene).is_some()
    }

    fn limits(&self, wanted: &Setting, scene: &Scene<'_>) -> Vec<Limit> {
        let Some(why) = reason(scene) else {
            return Vec::new();
        };
        let held = |axis| {
            let (from, to) = (wanted.get(&axis)?, scene.state.current.get(&axis)?);
            (from != to).then(|| scene.limit_on(axis, self.name(), (from, to), why.clone()))
        };
        wanted.axes().filter_map(held).collect()
    }
}

fn reason(scene: &Scene<'_>) -> Option<Why> {
    if scene.guards.paused || scene.state.paused {
        Some(Why::Paused)
    } else if scene.health == Health::Frozen {
        Some(Why::Frozen)
    } else if !scene.leading {
        Some(Why::NotLeader)
    } else {
        None
    }
}
