//! All targets together: removal budgets and shared memory, cut in a fixed order.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::act::Seq;
use crate::engine::{Engine, Tick};
use crate::explain::why::Why;
use crate::guard::{GuardName, Limit};
use crate::propose::plan::{Axis, Setting, TargetId};
use crate::quantity::time::{Span, Timestamp};
use crate::quantity::units::{Quantity, Replicas, Unit};
use crate::spec::{Mode, ValidSpec};

/// What is admitted for one target; leaves no choice to whoever writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which tick's.
    pub seq: Seq,
    /// Which target's.
    pub target: TargetId,
    /// What it had when this was decided.
    pub current: Setting,
    /// What it shall have.
    pub setting: Setting,
    /// The arbiter's cuts; they follow the tick's own chain.
    pub limits: Vec<Limit>,
    /// `true` where the user allows that it is written.
    pub to_write: bool,
}

/// Cuts over all targets at once; never raises anything.
pub trait Arbiter {
    /// One decision per target, in the order of the ticks and of their targets.
    fn admit(&mut self, ticks: &[(&ValidSpec, &Tick)]) -> Vec<Decision>;
}

/// Budgets over all targets of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Budgets {
    /// Removed replicas within a minute: at least so many are allowed; absent = no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removals_min: Option<u32>,
    /// Removed replicas within a minute, as a share of all replicas in percent.
    pub removals_percent: u8,
    /// Memory that all warm pools may hold together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_memory: Option<Quantity>,
}

impl Budgets {
    /// The defaults for a fleet: 10 % of the replicas, at least 10, per minute.
    /// Source: specs/reliability.md 1.1 S10b.
    #[must_use]
    pub fn of_fleet() -> Self {
        Self {
            removals_min: Some(10),
            removals_percent: 10,
            warm_memory: None,
        }
    }
}

/// The period over which removals are counted.
const PERIOD: Span = Span::from_seconds(60);

/// The arbiter that Foresail runs: removals first come first served, warm memory in the order of
/// the targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    budgets: Budgets,
    removals: VecDeque<(Timestamp, u32)>,
    /// Replicas of the whole fleet, where its ticks come one by one.
    #[serde(default)]
    fleet: u64,
}

impl Admission {
    /// An arbiter with these budgets.
    #[must_use]
    pub fn new(budgets: Budgets) -> Self {
        Self {
            budgets,
            removals: VecDeque::new(),
            fleet: 0,
        }
    }

    /// Tells how many replicas the fleet has, for a driver whose ticks come one by one: the share
    /// that may be removed is one of all of them.
    pub fn fleet_has(&mut self, replicas: u64) {
        self.fleet = replicas;
    }

    /// Replicas that may still be removed at `now`; `None` without a limit.
    fn removals_left(&mut self, now: Timestamp, replicas: u64) -> Option<(u32, u32)> {
        let least = self.budgets.removals_min?;
        while self
            .removals
            .front()
            .is_some_and(|(at, _)| *at <= now - PERIOD)
        {
            self.removals.pop_front();
        }
        let share = (replicas * u64::from(self.budgets.removals_percent)).div_ceil(100);
        let allowed = least.max(u32::try_from(share).unwrap_or(u32::MAX));
        let spent: u32 = self.removals.iter().map(|(_, n)| *n).sum();
        Some((allowed, allowed.saturating_sub(spent)))
    }

    /// Gives back what a tick's decision was charged: it was not carried out, and what is refused again and
    /// again must not use up what others may remove. Of equal charges the newest goes.
    pub fn refund(&mut self, at: Timestamp, decision: &Decision) {
        let Some(removed) = decision.removed() else {
            return;
        };
        let place = self.removals.iter().rposition(|c| *c == (at, removed));
        if let Some(place) = place {
            self.removals.remove(place);
        }
    }

    fn cut_removals(&mut self, now: Timestamp, replicas: u64, decision: &mut Decision) {
        let (Some(from), Some(to)) = (decision.current.replicas, decision.setting.replicas) else {
            return;
        };
        if to >= from {
            return;
        }
        let Some((allowed, left)) = self.removals_left(now, replicas) else {
            return;
        };
        let least = Replicas::saturating(from.as_i64() - i64::from(left));
        let kept = to.max(least);
        if kept != to {
            let why = Why::FleetRemovals {
                allowed,
                per: PERIOD,
            };
            decision.cut(Axis::Replicas, to.into(), kept.into(), why);
        }
        self.removals
            .extend(decision.removed().map(|removed| (now, removed)));
    }

    fn cut_memory(&self, specs: &[&ValidSpec], decisions: &mut [Decision]) {
        let Some(budget) = self.budgets.warm_memory else {
            return;
        };
        let mut left = budget.milli();
        for decision in decisions {
            let pool = specs.iter().find_map(|s| {
                s.index_of(&decision.target)
                    .and_then(|i| s.targets()[i].pool.as_ref())
            });
            let per = pool.and_then(|p| p.memory).map_or(0, Quantity::milli);
            let Some(wanted) = decision.setting.pool.filter(|_| per > 0) else {
                continue;
            };
            let fits = Replicas::saturating(left / per).min(wanted);
            if fits != wanted {
                let why = Why::WarmMemory(Quantity::from_milli(budget.milli(), Unit::Bytes));
                decision.cut(Axis::Pool, wanted.into(), fits.into(), why);
            }
            left -= per.saturating_mul(fits.as_i64());
        }
    }
}

impl Decision {
    /// Replicas that it removes; absent where it removes none.
    fn removed(&self) -> Option<u32> {
        let (from, to) = (self.current.replicas?, self.setting.replicas?);
        from.get().checked_sub(to.get()).filter(|n| *n > 0)
    }

    fn cut(&mut self, axis: Axis, from: Quantity, to: Quantity, why: Why) {
        self.setting.set(&axis, to);
        let target = self.target.clone();
        self.limits.push(Limit {
            by: GuardName::Admission,
            target,
            axis,
            from,
            to,
            why,
        });
    }

    /// `true` where the setting is another one than before.
    #[must_use]
    pub fn changes(&self) -> bool {
        let differs = |axis| self.setting.get(&axis) != self.current.get(&axis);
        self.setting.axes().any(differs)
    }
}

impl Arbiter for Admission {
    fn admit(&mut self, ticks: &[(&ValidSpec, &Tick)]) -> Vec<Decision> {
        let of_targets = |(spec, tick): &(&ValidSpec, &Tick)| {
            let pairs = spec.targets().iter().zip(&tick.targets);
            let one =
                |(target, decided): (&crate::spec::ValidTarget, &crate::engine::TargetTick)| {
                    let (current, setting) = (decided.current.clone(), decided.decided.clone());
                    let (seq, target) = (tick.seq, target.id.clone());
                    let to_write = tick.mode == Mode::Auto;
                    Decision {
                        seq,
                        target,
                        current,
                        setting,
                        limits: Vec::new(),
                        to_write,
                    }
                };
            pairs.map(one).collect::<Vec<_>>()
        };
        let mut decisions: Vec<Decision> = ticks.iter().flat_map(of_targets).collect();
        let replicas = |d: &Decision| d.current.replicas.map_or(0, |r| u64::from(r.get()));
        let all: u64 = decisions.iter().map(replicas).sum();
        let all = all.max(self.fleet);
        let mut place = 0;
        for (_, tick) in ticks {
            // Moves to a bound that the user changed are the user's command: no budget holds them.
            for target in &tick.targets {
                if target.shortcut == crate::hpa::Shortcut::Metrics {
                    self.cut_removals(tick.at, all, &mut decisions[place]);
                }
                place += 1;
            }
        }
        let specs: Vec<_> = ticks.iter().map(|(spec, _)| *spec).collect();
        self.cut_memory(&specs, &mut decisions);
        decisions
    }
}

/// Decisions of one engine's tick.
pub fn admit_one(arbiter: &mut impl Arbiter, engine: &Engine, tick: &Tick) -> Vec<Decision> {
    arbiter.admit(&[(engine.spec(), tick)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way_down(from: u32, to: u32) -> Decision {
        Decision {
            seq: Seq::default(),
            target: TargetId::default(),
            current: Setting::replicas(Replicas::new(from)),
            setting: Setting::replicas(Replicas::new(to)),
            limits: Vec::new(),
            to_write: true,
        }
    }

    #[test]
    fn a_charge_that_is_given_back_is_gone_and_no_other_is() {
        let at = |second| Timestamp::EPOCH + Span::from_seconds(second);
        let mut all = Admission::new(Budgets::of_fleet());
        for (second, removed) in [(1, 2), (1, 3), (2, 2)] {
            all.cut_removals(at(second), 100, &mut way_down(10, 10 - removed));
        }
        assert_eq!(all.removals, [(at(1), 2), (at(1), 3), (at(2), 2)]);
        all.refund(at(1), &way_down(10, 8));
        assert_eq!(all.removals, [(at(1), 3), (at(2), 2)]);
        // It is given back once, and what removes nothing was charged nothing.
        all.refund(at(1), &way_down(10, 8));
        all.refund(at(2), &way_down(8, 10));
        assert_eq!(all.removals, [(at(1), 3), (at(2), 2)]);
    }
}
