//! The circuit breaker: a model that fails again and again is left alone for a while.

/// Failures in a row that open it.
pub const FAILURES_MAX: u32 = 3;

/// Questions that are answered without the model while it is open; then one is tried.
pub const QUESTIONS_OPEN: u32 = 10;

/// Counts failures in a row, and the questions that are let go. One question is asked per interval,
/// so that counting them needs no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    left: u32,
}

impl Breaker {
    /// Whether the model may be asked; if not, failures in a row and the questions left until it may.
    pub fn admit(&mut self) -> Result<(), (u32, u32)> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        Err((self.failures, self.left))
    }

    /// Takes in what came of a question that was admitted.
    pub fn tell(&mut self, success: bool) {
        if success {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.left = QUESTIONS_OPEN;
        }
    }

    /// `true` while the model is left alone.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_open_it_for_ten_then_one_probe_decides() {
        let mut breaker = Breaker::default();
        // A success between failures starts the count anew.
        for success in [false, false, true, false, false] {
            assert_eq!(breaker.admit(), Ok(()));
            breaker.tell(success);
        }
        assert!(!breaker.is_open());
        breaker.tell(false);
        for round in 3..6 {
            for left in (0..10).rev() {
                assert_eq!(breaker.admit(), Err((round, left)));
            }
            // One probe; it fails, and the door is shut at once.
            assert_eq!(breaker.admit(), Ok(()));
            breaker.tell(false);
            assert!(breaker.is_open());
        }
        for _ in 0..10 {
            assert!(breaker.admit().is_err());
        }
        assert_eq!(breaker.admit(), Ok(()));
        breaker.tell(true);
        assert_eq!(breaker, Breaker::default());
    }
}
