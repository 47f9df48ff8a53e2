//! What both sides came to, hour by hour: the blocks that the bootstrap draws.

use foresail_models::rng::Seed;
use foresail_sim::fluid::{FluidMeasures, FluidMinute};
use serde::Serialize;

use super::grid::Grid;
use crate::study::stats::mean_difference;

/// Minutes of an hour that must be known for it to count.
const MINUTES_MIN: u32 = 30;

/// What one side came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Capacity paid for, creation to end.
    pub replica_minutes: f64,
    /// Minutes in which fewer than the promised share of the requests were in time.
    pub minutes_short: f64,
    /// Requests that broke the promise.
    pub late: f64,
    /// The same as a share of all, in percent; absent where none came.
    pub late_percent: Option<f64>,
    /// Changes of the number of replicas, in uncounted time too.
    pub changes: u64,
}

/// A difference of two sides with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The value.
    pub value: f64,
    /// 2.5 % quantile.
    pub low: f64,
    /// 97.5 % quantile.
    pub high: f64,
}

impl Interval {
    fn scaled(self, by: f64) -> Self {
        Self {
            value: self.value * by,
            low: self.low * by,
            high: self.high * by,
        }
    }
}

/// One hour of both sides; counted minutes alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Hour {
    minutes: u32,
    requests: f64,
    /// Incumbent, then Foresail.
    sides: [Side; 2],
}

/// The hours that count.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    hours: Vec<Hour>,
    /// Minutes that were left out.
    pub(super) left_out: usize,
    changes: [u64; 2],
}

/// A minute in which requests came and fewer than `kept` of them were in time.
fn is_short(minute: &FluidMinute, kept: f64) -> bool {
    minute.arrivals > 0.0 && minute.violations > (1.0 - kept) * minute.arrivals + 1e-9
}

fn add(side: &mut Side, minute: &FluidMinute, kept: f64) {
    side.replica_minutes += minute.replica_minutes;
    side.minutes_short += f64::from(u8::from(is_short(minute, kept)));
    side.late += minute.violations;
}

impl Hours {
    /// Sums up what both sides came to; `kept` is the promised share of requests.
    pub(super) fn new(grid: &Grid, both: [&FluidMeasures; 2], kept: f64) -> Self {
        let [incumbent, foresail] = both;
        let pairs = incumbent.minutes.iter().zip(&foresail.minutes);
        let mut all: Vec<Hour> = Vec::new();
        let mut left_out = 0;
        for (minute, (theirs, ours)) in pairs.enumerate() {
            let place = minute / 60;
            if all.len() <= place {
                all.push(Hour::default());
            }
            if !grid.counts(minute) {
                left_out += 1;
                continue;
            }
            let hour = &mut all[place];
            hour.minutes += 1;
            hour.requests += theirs.arrivals;
            add(&mut hour.sides[0], theirs, kept);
            add(&mut hour.sides[1], ours, kept);
        }
        let counts = |h: &Hour| h.minutes >= MINUTES_MIN;
        let short: u32 = all.iter().filter(|h| !counts(h)).map(|h| h.minutes).sum();
        all.retain(counts);
        Self {
            hours: all,
            left_out: left_out + short as usize,
            changes: [incumbent.actions, foresail.actions],
        }
    }

    /// How many hours count.
    pub(super) fn len(&self) -> usize {
        self.hours.len()
    }

    fn sum(&self, of: impl Fn(&Hour) -> f64) -> f64 {
        self.hours.iter().map(of).sum()
    }

    /// Requests of the hours that count.
    pub(super) fn requests(&self) -> f64 {
        self.sum(|h| h.requests)
    }

    /// Incumbent and Foresail over all hours that count.
    pub(super) fn sides(&self) -> [Side; 2] {
        let requests = self.requests();
        [0, 1].map(|i| {
            let late = self.sum(|h| h.sides[i].late);
            Side {
                replica_minutes: self.sum(|h| h.sides[i].replica_minutes),
                minutes_short: self.sum(|h| h.sides[i].minutes_short),
                late,
                late_percent: (requests > 0.0).then(|| late * 100.0 / requests),
                changes: self.changes[i],
            }
        })
    }

    /// Mean over the hours with its interval over hours drawn with replacement; `None` below two.
    fn mean(&self, of: impl Fn(&Hour) -> f64, seed: Seed) -> Option<Interval> {
        let values: Vec<f64> = self.hours.iter().map(of).collect();
        let (value, (low, high)) = mean_difference(&values, seed)?;
        Some(Interval { value, low, high })
    }

    /// Change of the cost from the incumbent to Foresail, in percent of the incumbent's.
    pub(super) fn cost_change_percent(&self, seed: Seed) -> Option<Interval> {
        let base = self.sum(|h| h.sides[0].replica_minutes) / self.len() as f64;
        let change = |h: &Hour| h.sides[1].replica_minutes - h.sides[0].replica_minutes;
        let mean = self.mean(change, seed)?;
        (base > 0.0).then(|| mean.scaled(100.0 / base))
    }

    /// Change of the late share from the incumbent to Foresail, in points of all requests.
    pub(super) fn late_change_points(&self, seed: Seed) -> Option<Interval> {
        self.points(|h| h.sides[1].late - h.sides[0].late, seed)
    }

    /// Late share of incumbent and Foresail with its interval, in percent of all requests.
    pub(super) fn late_percent(&self, seed: Seed) -> Option<[Interval; 2]> {
        let of = |i: usize| self.points(move |h| h.sides[i].late, seed);
        Some([of(0)?, of(1)?])
    }

    fn points(&self, of: impl Fn(&Hour) -> f64, seed: Seed) -> Option<Interval> {
        let base = self.requests() / self.len() as f64;
        let mean = self.mean(of, seed)?;
        // Without a request nothing was late.
        Some(mean.scaled(if base > 0.0 { 100.0 / base } else { 0.0 }))
    }
}
