//! A record on an even grid, one cell a sync; what is a gap stays known as one.

use anyhow::{Result, ensure};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_sim::fluid::Planned;
use foresail_sim::workload::{Within, Workload};

use super::row::Row;

/// Seconds of a minute, in nanoseconds.
pub(super) const MINUTE: i64 = 60_000_000_000;

/// The most cells of a grid: two years at a sync of 15 seconds.
const CELLS_MAX: i64 = 4_500_000;

/// Cells for which a row stands where the next ones are missing: a sync that came late is no gap.
const HOLDS: usize = 1;

/// One cell: what was seen at its time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cell {
    demand: Option<f64>,
    paid: Option<u32>,
    late: Option<f64>,
    p95: Option<f64>,
}

/// What was observed of the promise in a minute: a part and what it is a part of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Observed {
    /// Requests that were late, of so many.
    Late(f64),
    /// Whether more than one of twenty was late.
    P95(bool),
}

/// A record from the first cell in which demand and incumbent are known.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) start: Timestamp,
    pub(super) step: Span,
    cells: Vec<Cell>,
    /// Requests of each step, the last known where they are not.
    counts: Vec<u32>,
    /// The incumbent's replicas of each step, the last known where they are not.
    plan: Vec<u32>,
    /// The latency that is promised, in seconds; absent where the promise is on waits.
    below: Option<f64>,
}

impl Grid {
    /// Lays rows on a grid of this step; `None` where demand and incumbent are never known together,
    /// or only once. `below` is the latency that is promised, where it is one.
    ///
    /// # Errors
    /// Where the rows reach too far.
    pub(super) fn new(rows: &[Row], step: Span, below: Option<Span>) -> Result<Option<Self>> {
        let both = |row: &&Row| row.demand.is_some() && row.paid.is_some();
        let (Some(first), Some(last)) = (rows.iter().find(both), rows.iter().rfind(both)) else {
            return Ok(None);
        };
        let place = |at: Timestamp| {
            let from_start = (at - first.at).nanos() as f64 / step.nanos() as f64;
            from_start.round() as i64
        };
        let length = place(last.at) + 1;
        ensure!(
            length <= CELLS_MAX,
            "{} to {} are {length} syncs of {step}, more than {CELLS_MAX}: score a part of the record",
            first.at,
            last.at
        );
        if length < 2 {
            return Ok(None);
        }
        let mut found: Vec<Option<Cell>> = vec![None; length as usize];
        for row in rows {
            let index = usize::try_from(place(row.at)).ok();
            if let Some(cell) = index.and_then(|i| found.get_mut(i)) {
                *cell = Some(Cell {
                    demand: row.demand,
                    paid: row.paid,
                    late: row.late,
                    p95: row.p95,
                });
            }
        }
        Ok(Some(Self::of(first.at, step, below, held(&found))))
    }

    fn of(start: Timestamp, step: Span, below: Option<Span>, cells: Vec<Cell>) -> Self {
        let mut counts = Vec::with_capacity(cells.len());
        let mut plan = Vec::with_capacity(cells.len());
        // A rest below one request is carried on, so that small rates do not vanish.
        let (mut demand, mut paid, mut rest) = (0.0, 0, 0.0);
        for pair in cells.windows(2) {
            demand = pair[1].demand.unwrap_or(demand);
            paid = pair[0].paid.unwrap_or(paid);
            let requests = demand * step.seconds() + rest;
            let whole = requests.round();
            rest = requests - whole;
            // Saturates: rates beyond that are no rates of one workload.
            counts.push(whole as u32);
            plan.push(paid);
        }
        Self {
            start,
            step,
            cells,
            counts,
            plan,
            below: below.map(Span::seconds),
        }
    }

    /// The recorded demand; each step has the rate that was seen at its end.
    pub(super) fn workload(&self) -> Workload {
        Workload::Counts {
            start: self.start,
            step: self.step,
            counts: self.counts.clone(),
            within: Within::Uniform,
        }
    }

    /// Length of the record.
    pub(super) fn workload_length(&self) -> Span {
        Span::from_nanos(self.step.nanos() * self.counts.len() as i64)
    }

    /// What the incumbent did.
    pub(super) fn incumbent(&self) -> Planned<'_> {
        Planned(&self.plan)
    }

    /// Replicas at the begin.
    pub(super) fn initial(&self) -> u32 {
        self.plan.first().copied().unwrap_or_default()
    }

    /// Demand as it was seen at the begin of a step, in requests per second.
    pub(super) fn seen(&self, step: usize) -> Option<f64> {
        self.cells.get(step).and_then(|c| c.demand)
    }

    /// The steps that reach into a minute.
    fn steps_of(&self, minute: usize) -> std::ops::Range<usize> {
        let from = minute as i64 * MINUTE;
        let step = self.step.nanos();
        let end = (from + MINUTE).div_euclid(step) + i64::from((from + MINUTE) % step != 0);
        (from / step) as usize..(end as usize).min(self.counts.len())
    }

    /// `true` where the demand of all of a minute is known.
    pub(super) fn demand_known(&self, minute: usize) -> bool {
        let mut steps = self.steps_of(minute);
        !steps.is_empty() && steps.all(|k| self.cells[k + 1].demand.is_some())
    }

    /// `true` where demand and incumbent of all of a minute are known.
    pub(super) fn counts(&self, minute: usize) -> bool {
        self.demand_known(minute) && self.steps_of(minute).all(|k| self.cells[k].paid.is_some())
    }

    /// What was observed of the promise in a minute, where it was in all of it.
    pub(super) fn observed(&self, minute: usize) -> Option<Observed> {
        if !self.counts(minute) {
            return None;
        }
        let steps = || self.steps_of(minute).map(|k| (k, &self.cells[k + 1]));
        let late = steps().map(|(k, c)| Some(c.late? * f64::from(self.counts[k])));
        if let Some(late) = late.sum::<Option<f64>>() {
            return Some(Observed::Late(late));
        }
        let below = self.below?;
        let over = steps().map(|(_, c)| Some(c.p95? >= below));
        let over: Vec<bool> = over.collect::<Option<_>>()?;
        let count = over.iter().filter(|o| **o).count();
        Some(Observed::P95(2 * count > over.len()))
    }
}

/// Cells of rows, each of which stands for the next few missing ones too.
fn held(found: &[Option<Cell>]) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(found.len());
    let (mut last, mut since) = (Cell::default(), 0);
    for cell in found {
        match cell {
            Some(cell) => (last, since) = (*cell, 0),
            None => since += 1,
        }
        cells.push(if since <= HOLDS {
            last
        } else {
            Cell::default()
        });
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seconds: i64, demand: Option<f64>, paid: Option<u32>) -> Row {
        Row {
            demand,
            paid,
            ..Row::at(Timestamp::from_seconds(seconds))
        }
    }

    fn grid(rows: &[Row]) -> Grid {
        let grid = Grid::new(rows, Span::from_seconds(15), None);
        grid.unwrap().unwrap()
    }

    #[test]
    fn a_step_has_the_replicas_of_its_begin_and_the_demand_seen_at_its_end() {
        let rows: Vec<Row> = (0..5)
            .map(|k| row(15 * k, Some(k as f64), Some(10 + k as u32)))
            .collect();
        let grid = grid(&rows);
        assert_eq!(grid.counts, [15, 30, 45, 60]);
        assert_eq!(grid.plan, [10, 11, 12, 13]);
        assert!(grid.counts(0) && !grid.counts(1));
        assert_eq!((grid.seen(1), grid.initial()), (Some(1.0), 10));
    }

    #[test]
    fn a_late_sync_is_no_gap_and_a_longer_hole_is_one() {
        // A row at 31 s falls on 30 s; 45 s is missing and held; 75 and 90 s leave a gap.
        let at = [0, 15, 31, 60, 105, 120, 135, 150, 165, 180];
        let rows: Vec<Row> = at.iter().map(|s| row(*s, Some(2.0), Some(3))).collect();
        let grid = grid(&rows);
        assert!(grid.counts(0));
        assert!(!grid.counts(1), "90 s is unknown");
        assert!(grid.counts(2));
        assert_eq!(grid.cells[5], grid.cells[4], "75 s is held");
        assert_eq!(grid.cells[6], Cell::default());
    }

    #[test]
    fn unknown_demand_and_unknown_incumbent_are_told_apart() {
        let mut rows: Vec<Row> = (0..13).map(|k| row(15 * k, Some(2.0), Some(3))).collect();
        rows[2].paid = None;
        rows[6].demand = None;
        let grid = grid(&rows);
        assert!(grid.demand_known(0) && !grid.counts(0));
        assert!(!grid.demand_known(1));
        assert!(grid.counts(2));
        assert_eq!(grid.seen(6), None);
        assert_eq!(grid.counts.len(), 12);
    }

    #[test]
    fn small_rates_do_not_vanish() {
        let rows: Vec<Row> = (0..=600)
            .map(|k| row(15 * k, Some(0.02), Some(1)))
            .collect();
        let sum: u32 = grid(&rows).counts.iter().sum();
        assert_eq!(sum, 180, "0.02 requests per second over 9000 seconds");
    }

    #[test]
    fn nothing_known_is_no_grid_and_a_record_of_centuries_is_refused() {
        let step = Span::from_seconds(15);
        let none = [row(0, Some(1.0), None), row(15, None, Some(1))];
        assert!(Grid::new(&none, step, None).unwrap().is_none());
        let far = [
            row(0, Some(1.0), Some(1)),
            row(9_000_000_000, Some(1.0), Some(1)),
        ];
        assert!(Grid::new(&far, step, None).is_err());
    }
}
