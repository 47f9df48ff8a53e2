//! What the controller allows itself with one object: Predict, Guarded, HoldDown, Frozen.
//!
//! The worst reason wins. Pure: facts and a time in, a [`Health`] out.
//! Source: specs/reliability.md 1.2.

use foresail_core::observe::Health;
use foresail_core::quantity::time::{Span, Timestamp};

/// Gate failures in a row that make it Guarded.
const FAILURES_MAX: u32 = 3;

/// Good forecasts in a row that make it trusted again, the first time.
const GOOD_MIN: u32 = 20;

/// A relapse within this time doubles what is asked for.
const RELAPSE: Span = Span::from_seconds(3600);

/// The most good forecasts that are asked for: an hour at 15 s.
const GOOD_MAX: u32 = 240;

/// Good passes that end a hold.
const VALID_MIN: u32 = 2;

/// How long nothing goes down after a jump of the time of day: one window of stabilization.
pub(crate) const WINDOW_AFTER_JUMP: Span = Span::from_seconds(300);

/// An API server that is silent for longer freezes.
pub(crate) const API_SILENT_MAX: Span = Span::from_seconds(30);

/// Why nothing at all may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Freeze {
    /// The server does not answer.
    ApiAway,
    /// The time of day jumped.
    ClockJump,
    /// Another autoscaler owns the target.
    Rival,
}

impl std::fmt::Display for Freeze {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiAway => "the API server answers no write",
            Self::ClockJump => "the time of day jumped",
            Self::Rival => "another autoscaler scales the target",
        })
    }
}

/// What is known at one pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// A required metric could not be read or is stale.
    pub(crate) invalid: bool,
    /// The store takes nothing.
    pub(crate) store_down: bool,
    /// The time of day is not the server's: ages of samples say nothing.
    pub(crate) astray: bool,
    /// A reason to write nothing.
    pub(crate) freeze: Option<Freeze>,
}

/// The ladder of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ladder {
    failures: u32,
    good: u32,
    /// Good forecasts that are asked for while Guarded; `None` while trusted.
    asked: Option<u32>,
    /// What was asked for last time, and when it was trusted again.
    released: Option<(u32, Timestamp)>,
    valid: u32,
    held: bool,
    hold_until: Option<Timestamp>,
}

impl Ladder {
    /// Nothing goes down until `until`, as after a jump of the clock; what was said before is by the
    /// clock of before.
    pub(crate) fn hold_until(&mut self, until: Timestamp) {
        self.hold_until = Some(until);
    }

    /// Until when nothing goes down for a jump of the clock, where it does not.
    pub(crate) fn holds_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.hold_until.filter(|until| now < *until)
    }

    /// A panic or worse in a forecast: not trusted at once.
    pub(crate) fn distrust(&mut self, now: Timestamp) {
        self.failures = FAILURES_MAX;
        self.enter_guarded(now);
    }

    fn enter_guarded(&mut self, now: Timestamp) {
        if self.asked.is_some() {
            return;
        }
        let again = self.released.filter(|(_, at)| now - *at <= RELAPSE);
        let asked = again.map_or(GOOD_MIN, |(asked, _)| (asked * 2).min(GOOD_MAX));
        self.asked = Some(asked);
        self.good = 0;
    }

    /// Takes in whether the forecast of a pass passed its gate; `None` where there was none.
    pub(crate) fn judge(&mut self, good: Option<bool>, now: Timestamp) {
        match good {
            Some(true) => {
                self.failures = 0;
                self.good += 1;
            }
            Some(false) => {
                self.failures += 1;
                self.good = 0;
            }
            None => {}
        }
        if self.failures >= FAILURES_MAX {
            self.enter_guarded(now);
        }
        if let Some(asked) = self.asked
            && self.good >= asked
        {
            self.released = Some((asked, now));
            self.asked = None;
        }
    }

    fn judge_metrics(&mut self, invalid: bool) {
        if invalid {
            (self.held, self.valid) = (true, 0);
        } else {
            self.valid += 1;
            self.held &= self.valid < VALID_MIN;
        }
    }

    /// Takes in the facts of a pass.
    pub(crate) fn look(&mut self, facts: &Facts, now: Timestamp) -> Health {
        self.judge_metrics(facts.invalid);
        if facts.freeze.is_some() {
            return Health::Frozen;
        }
        let waiting = self.holds_until(now).is_some();
        if self.held || waiting || facts.store_down || facts.astray {
            return Health::HoldDown;
        }
        match self.asked {
            Some(_) => Health::Guarded,
            None => Health::Predict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(pass: i64) -> Timestamp {
        Timestamp::from_seconds(15 * pass)
    }

    fn forecast(ladder: &mut Ladder, good: bool, now: Timestamp) -> Health {
        ladder.judge(Some(good), now);
        ladder.look(&Facts::default(), now)
    }

    /// Passes until Predict, from the first bad one.
    fn recovery(ladder: &mut Ladder, from: i64) -> i64 {
        for pass in from..from + 3 {
            forecast(ladder, false, at(pass));
        }
        (from + 3..)
            .find(|pass| forecast(ladder, true, at(*pass)) == Health::Predict)
            .map_or(0, |pass| pass - from - 3 + 1)
    }

    #[test]
    fn three_failures_guard_and_each_relapse_asks_for_twice_as_much() {
        let mut ladder = Ladder::default();
        assert_eq!(forecast(&mut ladder, false, at(0)), Health::Predict);
        assert_eq!(forecast(&mut ladder, false, at(1)), Health::Predict);
        assert_eq!(forecast(&mut ladder, false, at(2)), Health::Guarded);
        let mut ladder = Ladder::default();
        assert_eq!(recovery(&mut ladder, 0), 20);
        assert_eq!(recovery(&mut ladder, 30), 40);
        assert_eq!(recovery(&mut ladder, 80), 80);
        assert_eq!(recovery(&mut ladder, 1000), 20);
    }

    #[test]
    fn one_invalid_pass_holds_and_two_good_ones_release() {
        let mut ladder = Ladder::default();
        let invalid = Facts {
            invalid: true,
            ..Facts::default()
        };
        assert_eq!(ladder.look(&invalid, at(0)), Health::HoldDown);
        assert_eq!(ladder.look(&Facts::default(), at(1)), Health::HoldDown);
        assert_eq!(ladder.look(&Facts::default(), at(2)), Health::Predict);
    }

    #[test]
    fn the_worst_reason_wins() {
        let mut ladder = Ladder::default();
        let mut facts = Facts {
            store_down: true,
            ..Facts::default()
        };
        assert_eq!(ladder.look(&facts, at(0)), Health::HoldDown);
        facts.freeze = Some(Freeze::ApiAway);
        assert_eq!(ladder.look(&facts, at(1)), Health::Frozen);
        assert_eq!(ladder.look(&Facts::default(), at(2)), Health::Predict);
        ladder.hold_until(at(4));
        assert_eq!(ladder.look(&Facts::default(), at(3)), Health::HoldDown);
        assert_eq!(ladder.look(&Facts::default(), at(4)), Health::Predict);
        let astray = Facts {
            astray: true,
            ..Facts::default()
        };
        assert_eq!(ladder.look(&astray, at(4)), Health::HoldDown);
        assert_eq!(ladder.look(&Facts::default(), at(4)), Health::Predict);
        ladder.distrust(at(5));
        assert_eq!(ladder.look(&Facts::default(), at(5)), Health::Guarded);
    }
}
