//! The columns beside the trend: seasons, events and regressors, each part with its place.

use std::ops::Range;

use foresail_core::quantity::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::events::{Event, Regressor, Standard};
use super::seasonality::{Mode, Season, days_of};

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// Every part beside the trend, in the order of its columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Columns {
    pub(super) seasons: Vec<Season>,
    pub(super) events: Vec<Event>,
    pub(super) regressors: Vec<Regressor>,
    pub(super) standards: Vec<Standard>,
}

/// One part and where its coefficients stand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) at: Range<usize>,
    pub(super) mode: Mode,
    pub(super) scale: f64,
}

impl Columns {
    /// The parts in order.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let seasons = self
            .seasons
            .iter()
            .map(|s| (s.name.as_str(), 2 * s.order, s.mode, s.scale));
        let events = self
            .events
            .iter()
            .map(|e| (e.name.as_str(), e.columns(), e.mode, e.scale));
        let regressors = self
            .regressors
            .iter()
            .map(|r| (r.name.as_str(), 1, r.mode, r.scale));
        let mut first = 0;
        let mut part = |(name, count, mode, scale)| {
            let at = first..first + count;
            first += count;
            Part {
                name,
                at,
                mode,
                scale,
            }
        };
        seasons
            .chain(events)
            .chain(regressors)
            .map(&mut part)
            .collect()
    }

    /// Number of columns.
    pub(super) fn len(&self) -> usize {
        self.parts().last().map_or(0, |p| p.at.end)
    }

    /// Writes the row of `time` to `out`; `row` finds the values of the regressors.
    ///
    /// Shapes: `out` holds [`Columns::len`] zeros.
    pub(super) fn fill(
        &self,
        time: Timestamp,
        regressors: &[Vec<f64>],
        row: usize,
        out: &mut [f64],
    ) {
        let days = days_of(time);
        let mut rest = out;
        for season in &self.seasons {
            let (own, after) = rest.split_at_mut(2 * season.order);
            season.fill(days, own);
            rest = after;
        }
        for event in &self.events {
            let (own, after) = rest.split_at_mut(event.columns());
            event.fill(time.nanos().div_euclid(DAY), own);
            rest = after;
        }
        for (place, standard) in self.standards.iter().enumerate() {
            let value = regressors.get(place).and_then(|r| r.get(row));
            rest[place] = standard.apply(value.copied().unwrap_or(0.0));
        }
    }
}
