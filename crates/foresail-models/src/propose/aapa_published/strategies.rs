//! strategies.py: rules on CPU, and more replicas where confidence is below 0.7.

use std::collections::VecDeque;

use foresail_core::propose::archetype::{Archetype, Strategy};
use serde::{Deserialize, Serialize};

use super::{Answer, Now};
use crate::forecast::linear_trend::Line;
use crate::propose::aapa::strategies::median;

/// Confidence below which there is more.
const SURE: f64 = 0.7;

/// Samples that a trend is taken of.
const TREND: usize = 10;

/// Samples whose median is the level.
const LEVEL: usize = 5;

/// What the strategies remember: each only what it saw itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Past {
    periodic: VecDeque<f64>,
    ramp: VecDeque<f64>,
    stationary: VecDeque<f64>,
}

fn remember(past: &mut VecDeque<f64>, value: f64, most: usize) {
    if past.len() >= most {
        past.pop_front();
    }
    past.push_back(value);
}

fn line(values: &VecDeque<f64>) -> Option<Line> {
    Line::through(values.iter().enumerate().map(|(i, y)| (i as f64, *y)))
}

impl Past {
    /// The number with doubt counted in, within the bounds.
    pub(super) fn answer(&mut self, by: Archetype, confidence: f64, now: &Now) -> Answer {
        let base = by.strategy().unwrap_or(Strategy::STATIONARY);
        let target = self.target(by, base.target, now);
        let multiplier = if confidence < SURE {
            1.0 + 0.5 * (1.0 - confidence)
        } else {
            1.0
        };
        let more = (f64::from(target) * multiplier).ceil() as u32;
        Answer {
            replicas: more.clamp(base.min.get(), base.max.get()),
            target: base.target,
            adjusted_target: base.target,
            multiplier,
            cooldown: base.cooldown,
        }
    }

    /// The number at a CPU target, before doubt and bounds.
    pub(super) fn target(&mut self, by: Archetype, cpu_target: f64, now: &Now) -> u32 {
        let base = by.strategy().unwrap_or(Strategy::STATIONARY);
        let at = |cpu: f64| (f64::from(now.current) * cpu / cpu_target).ceil() as u32;
        let of = |cpu: f64| if cpu > 0.0 { at(cpu) } else { base.min.get() };
        match by {
            Archetype::Spike if now.cpu > cpu_target => {
                (f64::from(of(now.cpu)) * 1.5).ceil() as u32
            }
            Archetype::Spike => of(now.cpu),
            Archetype::Periodic => {
                remember(&mut self.periodic, now.cpu, TREND);
                let trend = line(&self.periodic).filter(|_| self.periodic.len() >= TREND);
                let ahead = trend.map(|t| (now.cpu + t.slope * 5.0).clamp(0.0, 1.0));
                ahead
                    .filter(|a| *a > now.cpu)
                    .map_or_else(|| of(now.cpu), at)
            }
            Archetype::Ramp => {
                remember(&mut self.ramp, f64::from(now.current), TREND);
                let slope = line(&self.ramp).map(|t| t.slope).filter(|s| s.abs() > 0.1);
                // numpy's fit of a straight line comes out a hair below the whole slope, and the
                // published code cuts the fraction off.
                let ahead = slope.map(|s| (f64::from(now.current) + 2.0 * s - 1e-9) as u32);
                of(now.cpu).max(ahead.unwrap_or(0))
            }
            Archetype::Stationary | Archetype::Idle => {
                remember(&mut self.stationary, now.cpu, LEVEL);
                let level = median(self.stationary.iter().copied());
                let level = level
                    .filter(|_| self.stationary.len() >= 3)
                    .unwrap_or(now.cpu);
                let target = of(level);
                if target.abs_diff(now.current) <= 1 {
                    now.current
                } else {
                    target
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Version;
    use super::*;
    use foresail_core::quantity::time::Timestamp;

    fn now(current: u32, cpu: f64) -> Now {
        Now {
            current,
            cpu,
            demand: 0.0,
            full_capacity: 10.0,
            now: Timestamp::from_seconds(0),
        }
    }

    /// What a fresh strategy answers to one call after another.
    fn answers(by: Archetype, confidence: f64, calls: &[(u32, f64)]) -> Vec<u32> {
        let mut past = super::super::Past::default();
        let answer = |(current, cpu): &(u32, f64)| {
            Version::Strategies
                .answer(by, confidence, &now(*current, *cpu), &mut past)
                .replicas
        };
        calls.iter().map(answer).collect()
    }

    /// Source: specs/aapa_aquatope.md 3.4, the published strategies as executed.
    #[test]
    fn it_answers_as_the_published_strategies_did_when_they_were_run() {
        use Archetype::{Periodic, Ramp, Spike, Stationary};
        assert_eq!(answers(Spike, 0.9, &[(4, 0.6)]), [12]);
        assert_eq!(answers(Spike, 0.6, &[(4, 0.6)]), [15]);
        assert_eq!(answers(Spike, 0.9, &[(4, 0.2)]), [3]);
        assert_eq!(answers(Spike, 0.9, &[(1, 0.0)]), [2]);
        let rising: Vec<(u32, f64)> = (0..12).map(|i| (4, 0.30 + 0.05 * f64::from(i))).collect();
        assert_eq!(answers(Periodic, 0.9, &rising).last(), Some(&6));
        assert_eq!(answers(Periodic, 0.9, &[(4, 0.6)]), [4]);
        let own = [(2, 0.3), (3, 0.3), (4, 0.3), (5, 0.3)];
        assert_eq!(
            answers(Ramp, 0.9, &own).last(),
            Some(&6),
            "it follows itself"
        );
        let frozen = [(1, 1.0), (1, 1.0), (1, 1.0)];
        assert_eq!(
            answers(Stationary, 0.9, &frozen),
            [1, 1, 1],
            "frozen at full CPU"
        );
        assert_eq!(answers(Stationary, 0.9, &[(10, 0.9)]), [17]);
    }

    #[test]
    fn doubt_jumps_at_its_threshold() {
        let at = |c| answers(Archetype::Stationary, c, &[(10, 0.9)])[0];
        assert_eq!((at(0.7), at(0.69)), (17, 20));
    }
}
