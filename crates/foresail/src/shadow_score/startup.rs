//! The start-up as the incumbent's own pods show it.

use foresail_core::quantity::time::Span;

use super::row::Row;

/// Rises that give a median.
const RISES_MIN: usize = 3;

/// Longer than this, a rise was not followed to its end.
const LONGEST: Span = Span::from_seconds(3600);

/// The median time from a rise of what is paid for to as many ready replicas; `None` with too few
/// rises that went undisturbed.
///
/// Both ends are seen up to a sync late, so that their difference is right on the whole.
pub(super) fn measured(rows: &[Row]) -> Option<Span> {
    let mut times = Vec::new();
    for (i, pair) in rows.windows(2).enumerate() {
        let (Some(before), Some(after)) = (pair[0].paid, pair[1].paid) else {
            continue;
        };
        if after > before {
            times.extend(until_ready(&rows[i + 1..], after));
        }
    }
    if times.len() < RISES_MIN {
        return None;
    }
    times.sort_unstable();
    Some(times[times.len() / 2])
}

/// Time from the first row to the one in which `wanted` are ready, unless fewer are paid for before.
fn until_ready(rows: &[Row], wanted: u32) -> Option<Span> {
    let begin = rows.first()?.at;
    let undisturbed = rows
        .iter()
        .take_while(|r| r.at - begin <= LONGEST && r.paid.is_some_and(|p| p >= wanted));
    let mut known = undisturbed.map_while(|r| Some((r.at, r.ready?)));
    let (at, _) = known.find(|(_, ready)| *ready >= wanted)?;
    Some(at - begin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::time::Timestamp;

    fn row(seconds: i64, paid: u32, ready: Option<u32>) -> Row {
        Row {
            paid: Some(paid),
            ready,
            ..Row::at(Timestamp::from_seconds(seconds))
        }
    }

    /// Pods that serve so many seconds after they were asked for, looked at every 15 s.
    fn looked_at(startup: i64, ready_known: bool) -> Vec<Row> {
        let mut rows = Vec::new();
        for k in 0..400_i64 {
            let now = 15 * k;
            // Two more replicas every tenth look, and back again five looks later.
            let up = k % 10 >= 5;
            let begun = 15 * (k - k % 10 + 5);
            let ready = if up && now - begun >= startup { 4 } else { 2 };
            let ready = ready_known.then_some(ready);
            rows.push(row(now, if up { 4 } else { 2 }, ready));
        }
        rows
    }

    #[test]
    fn the_time_to_ready_is_that_of_the_pods() {
        for (startup, want) in [(0, 0), (30, 30), (41, 45)] {
            let got = measured(&looked_at(startup, true));
            assert_eq!(got, Some(Span::from_seconds(want)), "{startup}");
        }
    }

    #[test]
    fn rises_that_end_before_they_are_ready_tell_nothing() {
        assert_eq!(measured(&looked_at(90, true)), None);
        assert_eq!(measured(&looked_at(30, false)), None);
        assert_eq!(measured(&[]), None);
    }
}
