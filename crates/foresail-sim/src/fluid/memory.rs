//! Memory that pods use, and the pods that are killed for it.

use std::collections::VecDeque;

use foresail_core::quantity::units::{larger, smaller};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::cluster::GIB;
use crate::config::MemoryUse;

/// Nanoseconds of one minute: about how long the number in service keeps its neighbourhood.
const MINUTE: f64 = 60e9;

/// What each ready pod used, and what is owed of kills.
///
/// The number in service at one pod moves about its mean as a Poisson number does; the share of pods
/// that are above what fits at some time of a minute is taken as the share above it at one time, and
/// so many are killed in that minute.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    usage: MemoryUse,
    /// Time from which a value holds, and mean bytes of a ready pod.
    points: VecDeque<(i64, f64)>,
    keep: i64,
    owed: f64,
}

impl Memory {
    pub(crate) fn new(usage: MemoryUse, keep: i64) -> Self {
        Self {
            usage,
            points: VecDeque::from([(0, usage.idle_gib * GIB)]),
            keep,
            owed: 0.0,
        }
    }

    /// A stretch with so many requests in service at each of `ready` pods that have `limit` bytes;
    /// returns the mean use in bytes and how many pods are killed at its end.
    pub(crate) fn stretch(
        &mut self,
        (from, to): (i64, i64),
        in_service: f64,
        ready: u32,
        limit: i64,
    ) -> (f64, u32) {
        let used = self.usage.idle_gib + self.usage.per_request_gib * in_service;
        let used = smaller(used * GIB, limit as f64);
        self.points.push_back((from, used));
        while self.points.get(1).is_some_and(|p| p.0 <= to - self.keep) {
            self.points.pop_front();
        }
        let share = self.share_above(in_service, limit);
        self.owed += share * f64::from(ready) * smaller((to - from) as f64 / MINUTE, 1.0);
        let killed = smaller(self.owed, f64::from(ready)).floor();
        self.owed = larger(self.owed - killed, 0.0);
        (used, killed as u32)
    }

    fn share_above(&self, in_service: f64, limit: i64) -> f64 {
        let room = limit as f64 / GIB - self.usage.idle_gib;
        let each = self.usage.per_request_gib;
        if each <= 0.0 {
            return if room < 0.0 { 1.0 } else { 0.0 };
        }
        let fits = (room / each).floor();
        if fits < 0.0 {
            return 1.0;
        }
        // The normal approximation of a Poisson number, with its half of a request.
        let away = (fits + 0.5 - in_service) / larger(in_service, 1e-9).sqrt();
        Normal::standard().sf(away)
    }

    /// What a ready pod used at `at`.
    pub(crate) fn at(&self, at: i64) -> f64 {
        let after = self.points.partition_point(|p| p.0 <= at);
        let point = self.points.get(after.saturating_sub(1));
        point.map_or(0.0, |p| p.1)
    }

    /// What a pod that starts uses.
    pub(crate) fn idle(&self) -> f64 {
        self.usage.idle_gib * GIB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_killed_as_often_as_a_poisson_number_is_above_what_fits() {
        let usage = MemoryUse {
            idle_gib: 0.1,
            per_request_gib: 0.05,
        };
        let mut memory = Memory::new(usage, 1_000_000_000);
        // Six fit; of a Poisson number of mean 4 the share above 6 is 0.1107.
        let limit = (0.4 * GIB) as i64 + 1;
        let mut killed = 0;
        for minute in 0..100 {
            let stretch = (minute * 60_000_000_000, (minute + 1) * 60_000_000_000);
            killed += memory.stretch(stretch, 4.0, 10, limit).1;
        }
        assert!((90..=125).contains(&killed), "{killed} of 1000 pod minutes");
        let (used, _) = memory.stretch((0, 1), 4.0, 10, limit);
        assert!((used / GIB - 0.3).abs() < 1e-9);
    }
}
