//! Means over subjects, paired differences, and what memory buys on a line.

use foresail_models::rng::Seed;

use super::fly::{Figures, Flown};
use crate::study::stats::{mean, mean_difference, signed_rank};

/// A figure of a run.
pub(super) type Of = fn(&Figures) -> f64;

/// A figure of each subject under a policy.
pub(super) fn values(flown: &[Flown], policy: &str, of: Of) -> Vec<f64> {
    let value = |f: &Flown| {
        let found = f.policies.iter().find(|(name, _)| name == policy);
        found.map_or(f64::NAN, |(_, figures)| of(figures))
    };
    flown.iter().map(value).collect()
}

/// A policy's figure as a share of another's over all subjects together, in percent.
pub(super) fn share(flown: &[Flown], policy: &str, of: Of, against: &str) -> f64 {
    mean(&values(flown, policy, of)) * 100.0 / mean(&values(flown, against, of))
}

/// One policy against another over the subjects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paired {
    /// Mean difference and its 95 % interval; `None` with a single subject.
    pub(super) difference: Option<(f64, (f64, f64))>,
    /// Two-sided p of the signed-rank test; `None` where nothing differs.
    pub(super) p: Option<f64>,
}

/// Compares two policies, subject by subject.
pub(super) fn paired(flown: &[Flown], policy: &str, against: &str, of: Of, seed: Seed) -> Paired {
    let pairs = values(flown, policy, of).into_iter();
    let pairs = pairs.zip(values(flown, against, of));
    let differences: Vec<f64> = pairs
        .map(|(a, b)| a - b)
        .filter(|d| d.is_finite())
        .collect();
    Paired {
        difference: mean_difference(&differences, seed),
        p: signed_rank(&differences),
    }
}

/// A line of settings by their memory: the share of cold starts at this much of it.
///
/// Between neighbours a straight line; more memory than any setting holds buys no more, and with less
/// than the least nothing is told.
pub(super) fn at_memory(line: &[(f64, f64)], memory: f64) -> Option<f64> {
    let mut line = line.to_vec();
    line.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (first, last) = (line.first()?, line.last()?);
    if memory < first.0 {
        return None;
    }
    if memory >= last.0 {
        return Some(last.1);
    }
    line.windows(2).find_map(|pair| {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let within = x0 <= memory && memory < x1;
        within.then(|| y0 + (memory - x0) / (x1 - x0) * (y1 - y0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_between_its_points_and_not_below_them() {
        let line = [(20.0, 1.0), (10.0, 3.0)];
        assert_eq!(at_memory(&line, 15.0), Some(2.0));
        assert_eq!(at_memory(&line, 10.0), Some(3.0));
        assert_eq!(at_memory(&line, 99.0), Some(1.0));
        assert_eq!(at_memory(&line, 9.0), None);
        assert_eq!(at_memory(&[], 9.0), None);
    }
}
