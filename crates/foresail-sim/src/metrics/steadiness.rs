//! How steady a policy is: changes, and changes of direction.

use foresail_core::quantity::time::Span;

/// Counts changes of the number asked for, and flaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steadiness {
    /// Changes so far.
    pub(crate) actions: u64,
    /// Changes of direction within the window so far.
    pub(crate) flaps: u64,
    window: i64,
    last: Option<(i64, bool)>,
}

impl Steadiness {
    /// Nothing changed yet.
    pub(crate) fn new(window: Span) -> Self {
        Self {
            actions: 0,
            flaps: 0,
            window: window.nanos(),
            last: None,
        }
    }

    /// A change at `now`, in nanoseconds since the begin.
    pub(crate) fn acted(&mut self, now: i64, up: bool) {
        self.actions += 1;
        if let Some((before, was_up)) = self.last
            && was_up != up
            && now - before <= self.window
        {
            self.flaps += 1;
        }
        self.last = Some((now, up));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reversal_is_a_flap_only_within_its_window() {
        let mut steadiness = Steadiness::new(Span::from_seconds(600));
        let second = 1_000_000_000;
        for (at, up) in [
            (0, true),
            (100, false),
            (800, true),
            (850, true),
            (900, false),
        ] {
            steadiness.acted(at * second, up);
        }
        assert_eq!((steadiness.actions, steadiness.flaps), (5, 2));
    }
}
