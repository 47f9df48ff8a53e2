//! Jumps of the time of day: for a pass nothing is written, and for a while nothing goes down.
//!
//! Leases and deadlines go by the other clock and do not notice. What does are the ages of samples and
//! the windows of the engine, which go by the time of day.
//! Source: specs/reliability.md 1.2, F11.

use std::time::Duration;

use foresail_adapters::clock::{Clock, JumpWatch};
use foresail_core::quantity::time::Span;

/// So far the time of day may go astray within [`SUM_OVER`].
/// Source: specs/reliability.md 1.2.
pub(crate) const JUMP_MAX: Span = Span::from_seconds(30);

/// How long steps are summed: a time of day that stands still strays by one pass at a time.
const SUM_OVER: Duration = Duration::from_secs(300);

/// How long a jump freezes: one pass.
const FREEZES: Duration = Duration::from_secs(15);

/// Tells for how long a jump holds up writes.
#[derive(Debug, Default)]
pub(crate) struct Jumps {
    watch: JumpWatch,
    /// How far the time of day went astray since.
    sum: Span,
    since: Duration,
    until: Duration,
}

impl Jumps {
    /// Looks at both times; `true` for one pass after a jump.
    pub(crate) fn look(&mut self, clock: &dyn Clock) -> bool {
        let step = self.watch.look(clock);
        let mono = clock.mono();
        if mono.saturating_sub(self.since) > SUM_OVER {
            (self.sum, self.since) = (Span::ZERO, mono);
        }
        self.sum = self.sum + step;
        if self.sum > JUMP_MAX || self.sum < Span::ZERO - JUMP_MAX {
            tracing::warn!(jump = %self.sum, "the time of day jumped");
            (self.sum, self.since) = (Span::ZERO, mono);
            self.until = mono + FREEZES;
        }
        mono < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::health::{Facts, Freeze, Ladder, WINDOW_AFTER_JUMP};
    use foresail_adapters::clock::ManualClock;
    use foresail_core::observe::Health;
    use foresail_core::quantity::time::Timestamp;

    const PASS: Duration = Duration::from_secs(15);

    /// Health of each of `passes` passes, as `pass.rs` makes it; `wall` says by how much the time of
    /// day strays before each.
    fn healths(passes: usize, wall: impl Fn(usize) -> Span) -> Vec<Health> {
        let clock = ManualClock::new(
            Duration::from_secs(1000),
            Timestamp::from_seconds(1_000_000),
        );
        let (mut jumps, mut ladder) = (Jumps::default(), Ladder::default());
        let one = |pass| {
            clock.advance(PASS);
            clock.set_wall(clock.wall() + wall(pass));
            let jumped = jumps.look(&clock);
            if jumped {
                ladder.hold_until(clock.wall() + WINDOW_AFTER_JUMP);
            }
            let freeze = jumped.then_some(Freeze::ClockJump);
            let facts = Facts {
                freeze,
                ..Facts::default()
            };
            ladder.look(&facts, clock.wall())
        };
        (0..passes).map(one).collect()
    }

    fn at(pass: usize, step: Span) -> impl Fn(usize) -> Span {
        move |p| if p == pass { step } else { Span::ZERO }
    }

    #[test]
    fn a_jump_of_an_hour_either_way_freezes_one_pass_and_holds_one_window() {
        for step in [3600, -3600, 31, -31] {
            let healths = healths(40, at(5, Span::from_seconds(step)));
            let frozen: Vec<usize> = (0..40).filter(|p| healths[*p] == Health::Frozen).collect();
            assert_eq!(frozen, [5], "{step}");
            let held: Vec<usize> = (0..40)
                .filter(|p| healths[*p] == Health::HoldDown)
                .collect();
            assert_eq!(held, (6..25).collect::<Vec<_>>(), "{step}");
        }
    }

    #[test]
    fn a_jump_that_is_taken_back_holds_one_window_from_then() {
        let there_and_back = |p| match p {
            5 => Span::from_seconds(3600),
            8 => Span::from_seconds(-3600),
            _ => Span::ZERO,
        };
        let healths = healths(40, there_and_back);
        let frozen: Vec<usize> = (0..40).filter(|p| healths[*p] == Health::Frozen).collect();
        assert_eq!(frozen, [5, 8]);
        assert_eq!(healths[27], Health::HoldDown);
        assert_eq!(healths[28], Health::Predict);
    }

    #[test]
    fn a_time_of_day_that_stands_still_is_noticed_within_three_passes() {
        let healths = healths(12, |p| {
            if p >= 4 {
                Span::from_seconds(-15)
            } else {
                Span::ZERO
            }
        });
        let first = healths.iter().position(|h| *h == Health::Frozen);
        assert_eq!(first, Some(6));
        assert!(
            healths[6..]
                .iter()
                .all(|h| matches!(h, Health::Frozen | Health::HoldDown))
        );
    }

    #[test]
    fn a_wrong_but_steady_time_of_day_and_a_drift_of_a_thousandth_are_no_jump() {
        let drift = healths(2000, |_| Span::from_nanos(15_000_000));
        assert!(drift.iter().all(|h| *h == Health::Predict));
        // Ten minutes off from the begin on.
        let steady = healths(50, at(0, Span::from_seconds(600)));
        assert!(steady.iter().all(|h| *h == Health::Predict));
    }
}
