//! What one run comes to, from its rows and, where there is one, from the file beside them.

use foresail_core::quantity::time::{Span, Timestamp};

use super::super::read::{Found, Run};
use super::super::told::{End, Exchange, Told};

/// How far ahead an adviser looks, and when its answers are judged.
const HORIZON: Span = Span::from_seconds(300);

/// CPU target in percent where nothing says another.
const CPU_TARGET: f64 = 60.0;

/// How fast a run answered to one stress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reaction {
    /// Begin of the stress, in seconds from the run's begin.
    pub(super) at: f64,
    /// Seconds to the first row with more replicas than at its begin.
    pub(super) first: Option<f64>,
    /// Seconds to the first row with the most replicas that the stress brings.
    pub(super) enough: Option<f64>,
}

/// How the answers did against what was needed later.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Hits {
    /// Answers that change something and could be judged; those that were nearer than the baseline.
    pub(super) changes: (usize, usize),
    /// Answers of no change that could be judged; those after which nothing changed.
    pub(super) steady: (usize, usize),
    /// Sum and number of what was said of hits, and of misses.
    pub(super) said: [(f64, usize); 2],
}

impl Hits {
    /// Mean of what was said of hits, and of misses.
    pub(super) fn said_means(&self) -> Option<(f64, f64)> {
        let mean = |(sum, n): (f64, usize)| (n >= 10).then(|| sum / n as f64);
        Some((mean(self.said[0])?, mean(self.said[1])?))
    }
}

/// One run with all that follows from it.
#[derive(Clone, Debug)]
pub(super) struct Measured<'a> {
    pub(super) run: &'a Run,
    /// Seconds between two rows.
    pub(super) interval: f64,
    /// Rows that should be there and are not.
    pub(super) gaps: usize,
    /// Capacity paid for, where the run told it; else counted from the rows.
    pub(super) replica_minutes: f64,
    /// Changes from one row to the next.
    pub(super) changes: usize,
    /// Minutes with CPU above its target.
    pub(super) above_minutes: f64,
    pub(super) reactions: Vec<Reaction>,
    pub(super) hits: Hits,
}

impl<'a> Measured<'a> {
    pub(super) fn of(run: &'a Run) -> Self {
        let interval = interval(run);
        let rows = &run.rows;
        let pairs = || rows.windows(2).map(|p| (&p[0], &p[1]));
        let lasts = |i: usize| {
            let next = rows.get(i + 1).map(|n| (n.at - rows[i].at).seconds());
            // A gap is no measurement: what held in it is not known.
            next.filter(|s| *s < 1.5 * interval).unwrap_or(interval) / 60.0
        };
        let missing = |a: &Found, b: &Found| {
            let steps = ((b.at - a.at).seconds() / interval).round();
            if steps > 1.0 { steps as usize - 1 } else { 0 }
        };
        let end = run.beside.as_ref().and_then(|b| b.end.as_ref());
        let counted = || {
            let each = rows.iter().enumerate();
            each.map(|(i, r)| r.current * lasts(i)).sum()
        };
        let above = rows.iter().enumerate().filter(|(_, r)| is_above(run, r));
        Self {
            run,
            interval,
            gaps: pairs()
                .map(|(a, b)| missing(a, b))
                .fold(run.lacking, usize::saturating_add),
            replica_minutes: end.map_or_else(counted, |e| e.replica_minutes),
            changes: pairs()
                .filter(|(a, b)| differs(a.current, b.current))
                .count(),
            above_minutes: above.map(|(i, _)| lasts(i)).sum(),
            reactions: reactions(run),
            hits: hits(run, interval),
        }
    }

    /// What stands beside a row.
    pub(super) fn told(&self) -> impl Iterator<Item = &'a Told> {
        self.run.beside.iter().flat_map(|b| b.told.values())
    }

    /// Every question.
    pub(super) fn asked(&self) -> impl Iterator<Item = &'a Exchange> {
        self.told().filter_map(|t| t.asked.as_ref())
    }

    /// What the whole came to.
    pub(super) fn end(&self) -> Option<&'a End> {
        self.run.beside.as_ref()?.end.as_ref()
    }

    /// `true` where all of the run is known.
    pub(super) fn is_whole(&self) -> bool {
        self.end().is_some() && self.run.lacking == 0
    }

    /// Requests that broke the promise, in percent.
    pub(super) fn late_percent(&self) -> Option<f64> {
        self.end()?.late_percent()
    }

    /// A word that tells it from others.
    pub(super) fn seed(&self) -> String {
        let beside = self.run.beside.as_ref();
        let word = |b: &super::super::beside::Beside| match b.head.live {
            true => "live".to_owned(),
            false => b.head.seed.to_string(),
        };
        beside.map_or_else(|| "–".to_owned(), word)
    }
}

/// `true` where two numbers of replicas are not the same.
pub(super) fn differs(a: f64, b: f64) -> bool {
    (a - b).abs() > 0.5
}

/// The commonest distance of two rows.
fn interval(run: &Run) -> f64 {
    if let Some(beside) = &run.beside {
        return beside.head.interval_seconds;
    }
    let mut steps: Vec<f64> = run
        .rows
        .windows(2)
        .map(|p| (p[1].at - p[0].at).seconds())
        .collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or(30.0)
}

fn is_above(run: &Run, row: &Found) -> bool {
    let target = run
        .beside
        .as_ref()
        .map_or(CPU_TARGET, |b| f64::from(b.head.targets.0));
    run.cpu_percent(row).is_some_and(|percent| percent > target)
}

/// How fast the run answered to each stress of CPU that is known of it.
fn reactions(run: &Run) -> Vec<Reaction> {
    let Some(beside) = &run.beside else {
        return Vec::new();
    };
    let start = beside.head.start;
    let of = |&(at, end): &(f64, f64)| {
        let seconds = |r: &Found| (r.at - start).seconds();
        let before = run.rows.iter().rfind(|r| seconds(r) <= at)?;
        let during = || {
            run.rows
                .iter()
                .filter(|r| seconds(r) > at && seconds(r) <= end + 60.0)
        };
        let more = |r: &&Found| r.current > before.current + 0.5;
        let first = during().find(more).map(|r| seconds(r) - at);
        // A formula that does not see new pods yet asks for no more: what counts is the most that comes.
        let most = during()
            .map(|r| r.current)
            .fold(0.0, |a: f64, b| if b > a { b } else { a });
        let enough = during().find(|r| r.current + 0.5 > most);
        let enough = enough.filter(|_| first.is_some()).map(|r| seconds(r) - at);
        Some(Reaction { at, first, enough })
    };
    beside
        .head
        .schedule
        .stressed()
        .0
        .iter()
        .filter_map(of)
        .collect()
}

/// Answers against what the HPA's formula asked for one horizon later.
fn hits(run: &Run, interval: f64) -> Hits {
    let mut hits = Hits::default();
    let slack = Span::from_seconds_f64(interval / 2.0).unwrap_or(Span::ZERO);
    let baseline = |r: &Found| match run.beside.as_ref().and_then(|b| b.told.get(&r.at)) {
        Some(told) => told.exact.and_then(|e| e.raw).map(f64::from),
        None => r.raw,
    };
    let later = |at: Timestamp| {
        let after = run.rows.iter().find(|r| r.at + slack >= at + HORIZON)?;
        ((after.at - at) < HORIZON + slack + slack).then(|| baseline(after))?
    };
    for row in &run.rows {
        let (Some(advised), Some(now), Some(then)) = (row.advised, baseline(row), later(row.at))
        else {
            continue;
        };
        let hit = if differs(advised, now) {
            hits.changes.0 += 1;
            let nearer = (advised - then).abs() + 0.5 < (now - then).abs();
            hits.changes.1 += usize::from(nearer);
            nearer
        } else {
            hits.steady.0 += 1;
            let stayed = !differs(now, then);
            hits.steady.1 += usize::from(stayed);
            stayed
        };
        if let Some(said) = row.confidence {
            let slot = &mut hits.said[usize::from(!hit)];
            slot.0 += said;
            slot.1 += 1;
        }
    }
    hits
}
