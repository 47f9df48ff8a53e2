//! Waiting before the same question is asked again.

use std::time::Duration;

/// Delays between attempts, each twice the one before; a fixed number of them.
///
/// Source of the numbers: four attempts within two seconds bridge a restart of a proxy and no more;
/// whoever waits in front of a terminal shall not wait longer for a server that is away.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    left: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            next: Duration::from_millis(250),
            left: 3,
        }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let delay = self.next;
        self.next = delay.saturating_mul(2);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_end() {
        let delays: Vec<u128> = Backoff::default().map(|d| d.as_millis()).collect();
        assert_eq!(delays, [250, 500, 1000]);
    }
}
