//! What is learnt of a target by looking at it: the demand that a replica serves, and its start-up.

use std::collections::VecDeque;

use foresail_core::observe::TargetState;
use foresail_core::propose::Reactive;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use serde::{Deserialize, Serialize};

use crate::forecast::quantile::of_values;
use crate::forecast::track::remember;

/// Measurements of capacity that are kept: an hour of minutes.
const CAPACITIES_MAX: usize = 60;

/// Measurements of capacity without which none is told.
const CAPACITIES_MIN: usize = 5;

/// Usage over target value, in thousandths, from which on it says something of capacity: below,
/// what a replica uses without any demand weighs too much.
const RATIO_MILLI_MIN: i64 = 300;

/// Start-ups that are kept.
const STARTUPS_MAX: usize = 32;

/// Start-ups without which none is told.
const STARTUPS_MIN: usize = 3;

/// Share of start-ups that the learnt one covers.
const STARTUP_LEVEL: f64 = 0.95;

/// A pod's start-up while nothing is known of it.
const STARTUP_UNKNOWN: Span = Span::from_seconds(60);

/// Rises that are waited for.
const RISES_MAX: usize = 16;

/// A rise that is not complete by then never will be.
const RISE_MAX: Span = Span::from_seconds(3600);

/// What was learnt of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Learnt {
    /// Demand per replica at the target value, oldest first.
    capacities: VecDeque<f64>,
    /// Seconds from asked to ready, oldest first.
    startups: VecDeque<f64>,
    /// When it was last looked at, and the replicas asked for then.
    before: Option<(Timestamp, Replicas)>,
    /// Rises that are not ready yet: when they were asked for, and the replicas.
    rises: VecDeque<(Timestamp, Replicas)>,
}

fn quantile(values: &VecDeque<f64>, level: f64, least: usize) -> Option<f64> {
    (values.len() >= least).then(|| of_values(values.iter().copied().collect(), level))
}

impl Learnt {
    /// Looks at a target, once a tick: how long a rise of its replicas takes to be ready.
    pub(crate) fn look(&mut self, state: &TargetState, now: Timestamp) {
        let current = state.current_replicas();
        // What is new at this tick was asked for at the one before, or since.
        if let Some((at, before)) = self.before
            && current > before
        {
            remember(&mut self.rises, (at, current), RISES_MAX);
        }
        self.before = Some((now, current));
        self.rises
            .retain(|(at, to)| *to <= current && now - *at <= RISE_MAX);
        while let Some((at, _)) = self.rises.pop_front_if(|(_, to)| *to <= state.ready) {
            remember(&mut self.startups, (now - at).seconds(), STARTUPS_MAX);
        }
    }

    /// Takes in a point of demand: how much of it a replica serves when the metric is at its target.
    ///
    /// Only where all pods are ready: usage of pods that start is no measure of demand.
    pub(crate) fn serve(&mut self, state: &TargetState, reactive: Reactive, demand: f64) {
        let (current, ready) = (state.current_replicas(), state.ready);
        let steady = ready == current && state.status_replicas == current && self.rises.is_empty();
        if !steady || ready == Replicas::ZERO || reactive.ratio_milli < RATIO_MILLI_MIN {
            return;
        }
        let capacity = demand / f64::from(ready.get()) / (reactive.ratio_milli as f64 / 1000.0);
        if capacity.is_finite() && capacity > 0.0 && reactive.replicas.is_some() {
            remember(&mut self.capacities, capacity, CAPACITIES_MAX);
        }
    }

    /// Demand that one replica serves at the target value; `None` while too little is known.
    pub(crate) fn capacity(&self) -> Option<f64> {
        quantile(&self.capacities, 0.5, CAPACITIES_MIN)
    }

    /// Time from asked to ready, as nearly all rises needed it at most.
    pub(crate) fn startup(&self) -> Span {
        let seconds = quantile(&self.startups, STARTUP_LEVEL, STARTUPS_MIN);
        seconds
            .and_then(Span::from_seconds_f64)
            .unwrap_or(STARTUP_UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use foresail_core::propose::plan::Setting;

    use super::*;

    fn state(current: u32, ready: u32) -> TargetState {
        TargetState {
            current: Setting::replicas(Replicas::new(current)),
            status_replicas: Replicas::new(current),
            ready: Replicas::new(ready),
            ..TargetState::default()
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn reactive(ratio_milli: i64) -> Reactive {
        Reactive {
            replicas: Some(Replicas::ONE),
            metric: 0,
            ratio_milli,
        }
    }

    #[test]
    fn startup_is_the_time_from_asked_to_ready() {
        let mut learnt = Learnt::default();
        assert_eq!(learnt.startup(), STARTUP_UNKNOWN);
        for round in 0..4 {
            let begin = round * 1000;
            learnt.look(&state(2, 2), at(begin));
            // Asked for at the tick before, ready 90 s later.
            for tick in 1..=6 {
                let ready = if tick < 6 { 2 } else { 5 };
                learnt.look(&state(5, ready), at(begin + 15 * tick));
            }
            learnt.look(&state(2, 2), at(begin + 500));
        }
        assert_eq!(learnt.startup(), Span::from_seconds(90));
    }

    #[test]
    fn a_rise_that_was_taken_back_says_nothing() {
        let mut learnt = Learnt::default();
        for round in 0..5 {
            learnt.look(&state(2, 2), at(round * 1000));
            learnt.look(&state(5, 2), at(round * 1000 + 15));
            learnt.look(&state(2, 2), at(round * 1000 + 30));
        }
        assert_eq!(learnt.startups.len(), 0);
    }

    #[test]
    fn capacity_is_the_demand_of_a_replica_at_the_target_whatever_single_minutes_say() {
        let mut learnt = Learnt::default();
        for i in 0..20 {
            learnt.serve(
                &state(4, 4),
                reactive(800),
                if i == 7 { 4e6 } else { 320.0 },
            );
        }
        assert_eq!(learnt.capacity(), Some(100.0));
        let known = learnt.clone();
        learnt.serve(&state(4, 2), reactive(800), 5000.0);
        learnt.serve(&state(4, 4), reactive(100), 5000.0);
        learnt.serve(&state(0, 0), reactive(900), 5000.0);
        assert_eq!(learnt, known, "pods that start, too little usage, no pod");
    }
}
