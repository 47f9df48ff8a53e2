//! The most that ran at once in each step, from when each began and ended.

use foresail_core::quantity::time::Timestamp;

use super::Steps;

/// When one call began and ended.
pub type Run = (Timestamp, Timestamp);

/// The most runs that were under way at once in each step; one that ends when another begins leaves
/// its container to it.
#[must_use]
pub fn peaks(runs: &[Run], steps: &Steps) -> Vec<u32> {
    // Ends come before begins at the same time.
    let mut changes: Vec<(Timestamp, i64)> = Vec::with_capacity(2 * runs.len());
    for (begin, end) in runs {
        changes.push((*begin, 1));
        changes.push((*end, -1));
    }
    changes.sort_unstable();
    let (mut next, mut now) = (0, 0_i64);
    let mut all = Vec::with_capacity(steps.count);
    while let Some((at, change)) = changes.get(next).copied() {
        if at > steps.start {
            break;
        }
        now += change;
        next += 1;
    }
    for index in 0..steps.count {
        let end = steps.end_of(index);
        let mut most = now;
        while let Some((at, change)) = changes.get(next).copied() {
            if at >= end {
                break;
            }
            now += change;
            most = most.max(now);
            next += 1;
        }
        all.push(u32::try_from(most).unwrap_or(0));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::time::Span;

    #[test]
    fn overlaps_are_counted_step_by_step() {
        let at = Timestamp::from_seconds;
        let steps = Steps {
            start: at(60),
            step: Span::from_seconds(60),
            count: 3,
        };
        let runs = [
            // Before all, and into the first step.
            (at(0), at(70)),
            // One after another: one container.
            (at(80), at(90)),
            (at(90), at(100)),
            // Two at once over the border of the first and the second step.
            (at(110), at(130)),
            (at(115), at(125)),
        ];
        assert_eq!(peaks(&runs, &steps), [2, 2, 0]);
        assert_eq!(peaks(&[], &steps), [0, 0, 0]);
        // Whatever order they come in.
        let mut turned = runs;
        turned.reverse();
        assert_eq!(peaks(&turned, &steps), [2, 2, 0]);
    }
}
