//! `pool-reactive`: a pool holds what the last window needed.

use foresail_core::history::{TargetHistory, View};
use foresail_core::observe::Metric;
use foresail_core::propose::{Absence, Context, PeakAhead, Peaks, Proposal, Proposer};
use foresail_core::quantity::time::Span;

use super::{Rounding, wish};
use crate::knobs::Knob;
use crate::registry::Entry;

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: "pool-reactive",
    summary: "a pool holds what was busy at once in the last window",
    knobs: &[Knob::number(
        "keepAliveSeconds",
        [0.0, 0.0, 604_800.0],
        "how long an idle container beyond the pool stays warm after its last use",
    )],
    build: |build| {
        let seconds = build.knobs.number("keepAliveSeconds");
        let keep_alive = Span::from_seconds(seconds.round() as i64);
        Ok(Box::new(Reactive { keep_alive }))
    },
};

/// Wishes the last peak of every target as its pool.
#[derive(Debug)]
struct Reactive {
    keep_alive: Span,
}

fn last(history: &TargetHistory) -> Result<PeakAhead, Absence> {
    let last = history.points(Metric::BusyPeak).back();
    let value = last.ok_or(Absence::NoHistory)?.value;
    Ok(PeakAhead {
        middle: value,
        low: value,
        high: value,
    })
}

impl Proposer for Reactive {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        let targets = view.spec.targets().iter().enumerate();
        let known = targets.filter_map(|(i, t)| Some((t.id.clone(), last(view.target(i)?))));
        let peaks = Peaks {
            forecaster: "last",
            level_percent: 50,
            targets: known.collect(),
        };
        wish(peaks, self.keep_alive, Rounding::Up)
    }
}
