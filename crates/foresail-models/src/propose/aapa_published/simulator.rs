//! simulator.py: the autoscaler inside the published simulator, on demand over capacity.

use std::collections::VecDeque;

use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;
use serde::{Deserialize, Serialize};

use super::{Answer, Now, TICKS_MAX};
use crate::forecast::linear_trend::Line;
use crate::propose::aapa::strategies::median;

/// Spikes that are remembered.
const SPIKES_MAX: u8 = 10;

/// What the generic rule aims at, before the first verdict.
const GENERIC_TARGET: f64 = 0.7;

/// One row of the published table.
struct Row {
    target: f64,
    cooldown: Span,
    pool: u32,
}

const fn row(by: Archetype) -> Row {
    let (target, cooldown, pool) = match by {
        Archetype::Spike => (0.3, 600, 3),
        Archetype::Periodic => (0.75, 300, 1),
        Archetype::Ramp => (0.6, 600, 1),
        Archetype::Stationary | Archetype::Idle => (0.65, 900, 1),
    };
    Row {
        target,
        cooldown: Span::from_seconds(cooldown),
        pool,
    }
}

/// What it remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Past {
    /// Demand at each tick, of the last hour of them.
    loads: VecDeque<f64>,
    /// Ticks since the begin.
    ticks: u64,
    /// Spikes seen, at most [`SPIKES_MAX`].
    spikes: u8,
    last_down: Option<Timestamp>,
}

impl Past {
    fn remember(&mut self, demand: f64) {
        if self.loads.len() >= TICKS_MAX {
            self.loads.pop_front();
        }
        self.loads.push_back(demand);
        self.ticks += 1;
    }

    fn last(&self, count: usize) -> impl Iterator<Item = f64> + Clone {
        let from = self.loads.len().saturating_sub(count);
        self.loads.range(from..).copied()
    }

    /// The rule without an archetype: a line through the hour, five ticks ahead.
    pub(super) fn generic(&mut self, now: &Now) -> u32 {
        self.remember(now.demand);
        let ahead = (self.loads.len() + 5) as f64;
        let points = self.loads.iter().enumerate().map(|(i, y)| (i as f64, *y));
        let demand = Line::through(points).map_or(now.demand, |line| line.at(ahead));
        let wanted = larger(demand, 0.0) / (now.full_capacity * GENERIC_TARGET);
        ((wanted - 1e-9).ceil() as u32).max(1)
    }

    /// The published number, held where the last way down is younger than the cooldown.
    pub(super) fn answer(&mut self, by: Archetype, confidence: f64, now: &Now) -> Answer {
        self.remember(now.demand);
        let row = row(by);
        let doubted = by == Archetype::Spike && confidence < 0.8;
        let adjusted = row.target * if doubted { 0.8 } else { 1.0 };
        let at = |demand: f64| (demand / (now.full_capacity * adjusted) - 1e-9).ceil() as u32;
        let base = match by {
            Archetype::Spike if self.spikes_now(now.demand) => (at(now.demand) * 2).max(5),
            Archetype::Periodic if self.peak_nears() => at(now.demand) * 6 / 5,
            Archetype::Ramp => at(now.demand + 4.0 * self.rise()),
            _ => at(now.demand),
        };
        Answer {
            replicas: self.held(base + row.pool, row.cooldown, now),
            target: row.target,
            adjusted_target: adjusted,
            multiplier: 1.0,
            cooldown: row.cooldown,
        }
    }

    /// A spike is there, or said to come: growth by half, or calm after two spikes.
    fn spikes_now(&mut self, demand: f64) -> bool {
        let level = median(self.last(10)).unwrap_or(0.0);
        let there = self.loads.len() >= 2 && demand > 1.5 * level;
        if there {
            self.spikes = (self.spikes + 1).min(SPIKES_MAX);
        }
        there || self.spike_nears()
    }

    fn spike_nears(&self) -> bool {
        if self.loads.len() < 5 {
            return false;
        }
        let recent: Vec<f64> = self.last(5).collect();
        let growth = (recent[4] - recent[3]) / (recent[3] + 1e-6);
        let mean = recent.iter().sum::<f64>() / 5.0;
        let half = 0.5 * median(self.loads.iter().copied()).unwrap_or(0.0);
        growth > 0.5 || (self.spikes >= 2 && mean < half)
    }

    /// Some peak in the last sixty ticks, and the first five of every twenty.
    fn peak_nears(&self) -> bool {
        let recent: Vec<f64> = self.last(60).collect();
        let level = 1.5 * median(recent.iter().copied()).unwrap_or(0.0);
        let peak = |w: &[f64]| w[1] > w[0] && w[1] > w[2] && w[1] > level;
        self.ticks >= 60 && self.ticks % 20 < 5 && recent.windows(3).any(peak)
    }

    /// Rise of demand a tick over the last five; zero where it does not rise.
    fn rise(&self) -> f64 {
        let points = self.last(5).enumerate().map(|(i, y)| (i as f64, y));
        let line = Line::through(points).filter(|_| self.loads.len() >= 5);
        line.map(|l| l.slope)
            .filter(|slope| *slope > 0.1)
            .unwrap_or(0.0)
    }

    fn held(&mut self, wanted: u32, cooldown: Span, now: &Now) -> u32 {
        if wanted < now.current {
            if self.last_down.is_some_and(|at| now.now - at < cooldown) {
                return now.current;
            }
            self.last_down = Some(now.now);
        }
        wanted.max(1)
    }
}

/// How the number of the generic rule is told.
pub(super) fn generic_answer(replicas: u32) -> Answer {
    Answer {
        replicas,
        target: GENERIC_TARGET,
        adjusted_target: GENERIC_TARGET,
        multiplier: 1.0,
        cooldown: Span::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, current: u32, demand: f64) -> Now {
        Now {
            current,
            cpu: 0.0,
            demand,
            full_capacity: 10.0,
            now: Timestamp::from_seconds(second),
        }
    }

    #[test]
    fn a_pool_is_always_on_top_and_a_spike_doubles() {
        let mut past = Past::default();
        // 6 req/s over 10 · 0.3 are two, and three of the pool; below 0.8 the target is 0.24.
        assert_eq!(
            past.answer(Archetype::Spike, 0.9, &at(0, 1, 6.0)).replicas,
            5
        );
        assert_eq!(
            past.answer(Archetype::Spike, 0.7, &at(5, 1, 6.0)).replicas,
            6
        );
        // Above one and a half times the median: 30 / 3 = 10, doubled, and the pool.
        assert_eq!(
            past.answer(Archetype::Spike, 0.9, &at(10, 5, 30.0))
                .replicas,
            23
        );
        let level = |by| Past::default().answer(by, 0.9, &at(0, 1, 6.5)).replicas;
        let [periodic, ramp, stationary] =
            [Archetype::Periodic, Archetype::Ramp, Archetype::Stationary].map(level);
        assert_eq!((periodic, ramp, stationary), (2, 3, 2));
    }

    #[test]
    fn the_way_down_waits_since_the_last_way_down() {
        let mut past = Past::default();
        let mut step = |second, current| {
            past.answer(Archetype::Stationary, 0.9, &at(second, current, 6.5))
                .replicas
        };
        assert_eq!(step(0, 9), 2, "the first way down is free");
        assert_eq!(step(10, 9), 9, "and the next held for 900 s");
        assert_eq!(step(899, 9), 9);
        assert_eq!(step(900, 9), 2);
        assert_eq!(step(901, 1), 2, "the way up is free");
    }

    #[test]
    fn what_recurs_is_foreseen_by_counting_ticks() {
        let mut past = Past::default();
        let mut answers = Vec::new();
        for tick in 0..80 {
            let demand = if tick == 40 { 300.0 } else { 60.0 };
            answers.push(
                past.answer(Archetype::Periodic, 0.9, &at(tick * 15, 1, demand))
                    .replicas,
            );
        }
        // 60 / 7.5 = 8 and the pool; 8 · 1.2 = 9 and the pool in ticks 60 to 64 of those counted.
        assert_eq!(answers[58..66], [9, 10, 10, 10, 10, 10, 9, 9]);
    }
}
