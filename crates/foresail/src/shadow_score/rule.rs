//! The rule of the verdict, on two changes with their intervals.

use foresail_core::quantity::units::larger;
use serde::Serialize;

use super::hours::Interval;

/// A cost that differs by less than this is the same, in percent: twice what fluid mode with a
/// backlog is off by at the most (`docs/validation.md`, 1.4 %), rounded up.
pub const COST_MARGIN_PERCENT: f64 = 3.0;

/// Who keeps a promise that the incumbent breaks may cost so much more, in percent.
pub const COST_OF_PROMISE_PERCENT: f64 = 25.0;

/// A late share that differs by less than this part of what the promise allows, or of what the
/// incumbent has, is the same.
pub const LATE_MARGIN_PART: f64 = 0.1;

/// Where nothing tells how far the simulator is off, a promise counts as broken only where so many
/// are late, in percent, and never as kept beyond doubt: the share of those who wait hangs steeply on
/// the service time.
const UNFITTED_LATE_PERCENT: f64 = 25.0;

/// What is to be said of Foresail beside the incumbent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Answer {
    /// Better than the incumbent.
    Better,
    /// Worse.
    Worse,
    /// Neither beyond doubt.
    Undecided,
    /// There is too little to say.
    Insufficient,
}

/// What the rule looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Evidence {
    /// Change of the cost, in percent.
    pub(super) cost: Interval,
    /// Change of the late share, in points.
    pub(super) late: Interval,
    /// Late share of incumbent and Foresail, in percent.
    pub(super) level: [Interval; 2],
    /// Late share that the promise allows, in percent.
    pub(super) allowed: f64,
    /// Error of the simulator in points; `None` where it could not be fitted.
    pub(super) error: Option<f64>,
}

impl Evidence {
    /// Below this a change of the late share is none, in points.
    pub(super) fn late_margin(&self) -> f64 {
        let base = larger(self.allowed, self.level[0].value) * LATE_MARGIN_PART;
        larger(base, self.error.unwrap_or(0.0))
    }

    fn cheaper(&self) -> bool {
        self.cost.high < -COST_MARGIN_PERCENT
    }

    fn dearer(&self) -> bool {
        self.cost.low > COST_MARGIN_PERCENT
    }

    fn less_late(&self) -> bool {
        self.late.high < -self.late_margin()
    }

    fn later(&self) -> bool {
        self.late.low > self.late_margin()
    }

    /// `true` where a side keeps the promise beyond doubt.
    fn keeps(&self, side: usize) -> bool {
        let high = self.level[side].high;
        match self.error {
            Some(error) => high + error <= self.allowed,
            None => false,
        }
    }

    /// `true` where a side breaks the promise beyond doubt.
    fn breaks(&self, side: usize) -> bool {
        let low = self.level[side].low;
        match self.error {
            Some(error) => low - error > self.allowed,
            None => low > larger(self.allowed, UNFITTED_LATE_PERCENT),
        }
    }

    fn not_later(&self) -> bool {
        self.late.high <= self.late_margin() || self.keeps(1)
    }

    fn not_less_late(&self) -> bool {
        self.late.low >= -self.late_margin() || self.keeps(0)
    }

    /// The answer with its reason.
    pub(super) fn answer(&self) -> (Answer, &'static str) {
        use Answer::{Better, Undecided, Worse};
        let not_dearer = self.cost.high <= COST_MARGIN_PERCENT;
        let not_cheaper = self.cost.low >= -COST_MARGIN_PERCENT;
        if self.cheaper() && self.not_later() {
            (Better, "it costs less and is no later")
        } else if self.less_late() && not_dearer {
            (Better, "fewer requests are late and it costs no more")
        } else if self.less_late() && self.breaks(0) && self.cost.high <= COST_OF_PROMISE_PERCENT {
            (
                Better,
                "the incumbent breaks the promise, fewer requests are late, and the price is worth it",
            )
        } else if self.later() && self.breaks(1) {
            (
                Worse,
                "it breaks the promise and more requests are late, whatever it costs",
            )
        } else if self.dearer() && self.not_less_late() {
            (Worse, "it costs more and no fewer requests are late")
        } else if self.later() && not_cheaper {
            (Worse, "more requests are late and it costs no less")
        } else if self.cheaper() || self.dearer() || self.less_late() || self.later() {
            (
                Undecided,
                "one is traded for the other, or one of them is in doubt",
            )
        } else {
            (Undecided, "nothing differs beyond doubt")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Answer::{Better, Undecided, Worse};

    fn near(value: f64, half: f64) -> Interval {
        Interval {
            value,
            low: value - half,
            high: value + half,
        }
    }

    fn evidence(cost: f64, late: [f64; 2], half: f64, error: Option<f64>) -> Evidence {
        Evidence {
            cost: near(cost, half),
            late: near(late[1] - late[0], half / 10.0),
            level: [near(late[0], half / 10.0), near(late[1], half / 10.0)],
            allowed: 1.0,
            error,
        }
    }

    #[test]
    fn the_rule_in_examples() {
        let cases = [
            // Cost change %, late % of incumbent and Foresail, half-width, error in points.
            (-10.0, [0.5, 0.5], 1.0, Some(0.05), Better),
            (-10.0, [0.1, 0.5], 1.0, Some(0.05), Better), // later, but it keeps the promise
            (-10.0, [0.1, 0.5], 1.0, None, Undecided),    // that is not sure unfitted
            (-10.0, [0.1, 1.5], 1.0, Some(0.05), Worse),  // cheaper by breaking it
            (-10.0, [0.8, 1.02], 1.0, Some(0.05), Undecided),
            (0.0, [0.5, 0.5], 1.0, Some(0.05), Undecided),
            (-2.0, [0.5, 0.5], 0.5, Some(0.05), Undecided), // within the margin
            (-4.0, [0.5, 0.5], 2.0, Some(0.05), Undecided), // in doubt
            (0.0, [3.0, 0.5], 1.0, Some(0.05), Better),
            (15.0, [3.0, 0.5], 1.0, Some(0.05), Better), // worth its price
            (30.0, [3.0, 0.5], 1.0, Some(0.05), Undecided),
            (15.0, [1.5, 0.5], 1.0, None, Undecided), // whether it breaks it is not sure
            (15.0, [0.5, 0.1], 1.0, Some(0.05), Worse), // it was kept anyway
            (10.0, [0.5, 0.5], 1.0, Some(0.05), Worse),
            (0.0, [0.5, 0.9], 1.0, Some(0.05), Worse),
            (0.0, [0.5, 0.9], 1.0, Some(0.5), Undecided), // below the simulator's own error
            (-30.0, [20.0, 60.0], 1.0, None, Worse),
        ];
        for (cost, late, half, error, want) in cases {
            let got = evidence(cost, late, half, error).answer();
            assert_eq!(got.0, want, "{cost} {late:?} {half} {error:?}: {}", got.1);
        }
    }

    /// Over a grid of cases: never better by being dearer and later, never worse by being cheaper
    /// and less late, and more doubt never turns one answer into its opposite.
    #[test]
    fn the_rule_is_monotone_and_doubt_takes_away() {
        let mut decided = 0;
        for cost in [-40.0, -10.0, -3.5, -1.0, 0.0, 2.0, 4.0, 12.0, 40.0] {
            for before in [0.0, 0.3, 0.9, 1.4, 5.0, 40.0] {
                for after in [0.0, 0.2, 0.8, 1.3, 4.0, 60.0] {
                    for error in [None, Some(0.0), Some(0.3)] {
                        let answer = |half| evidence(cost, [before, after], half, error).answer().0;
                        let sure = answer(0.01);
                        if cost > 0.0 && after > before {
                            assert_ne!(sure, Better, "{cost} {before} {after}");
                        }
                        if cost < 0.0 && after < before {
                            assert_ne!(sure, Worse, "{cost} {before} {after}");
                        }
                        let doubted = answer(5.0);
                        assert!(doubted == sure || doubted == Undecided || sure == Undecided);
                        decided += usize::from(sure != Undecided);
                    }
                }
            }
        }
        assert!(decided > 300, "{decided}");
    }
}
