//! The end-to-end promise of a workflow: a share of its requests below a latency.

/// A promise on latency at a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    /// Latency that the level may not lie above, in seconds; above zero.
    pub seconds: f64,
    /// Share of the requests that it holds for, above 0 and at most 1.
    pub level: f64,
}

impl Promise {
    /// How many of `requests` it holds for: the share, rounded up.
    #[must_use]
    pub fn kept_at_least(&self, requests: usize) -> usize {
        // 0.95 · 20 is 19 and a rounding error.
        let rank = (self.level * requests as f64 - 1e-9).ceil() as usize;
        rank.clamp(usize::from(requests > 0), requests)
    }

    /// How many of `requests` may take longer without the promise being broken.
    #[must_use]
    pub fn may_exceed(&self, requests: usize) -> usize {
        requests - self.kept_at_least(requests)
    }

    /// Latency at the level, in seconds: that of the nearest rank, which never lies below the
    /// interpolated one. `None` without requests; one never answered is infinite.
    #[must_use]
    pub fn latency(&self, latencies: &[f64]) -> Option<f64> {
        let mut sorted = latencies.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = self.kept_at_least(sorted.len());
        rank.checked_sub(1).and_then(|i| sorted.get(i).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank_is_taken() {
        let latencies: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        for (level, want, may) in [
            (0.95, 19.0, 1),
            (0.99, 20.0, 0),
            (1.0, 20.0, 0),
            (0.5, 10.0, 10),
        ] {
            let promise = Promise {
                seconds: 1.0,
                level,
            };
            assert_eq!(promise.latency(&latencies), Some(want), "{level}");
            assert_eq!(promise.may_exceed(20), may, "{level}");
            assert_eq!(promise.latency(&[]), None);
        }
    }
}
