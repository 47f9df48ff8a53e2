//! Forms with one row per request: counts per step, kept sparse until an item is handed out.

use std::collections::BTreeMap;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::{Percentiles, TraceItem};

use super::{CELLS_MAX, Items, Skipped, TraceError, VALUES_MAX};

/// Step of the counts where none is given.
pub(crate) const STEP: Span = Span::from_seconds(60);

/// Requests of one item.
#[derive(Debug, Default)]
struct Requests {
    /// Step and count; ascending where the file is in order of time.
    counts: Vec<(i64, u32)>,
    times: RunTimes,
}

/// Requests by item, all from one file.
#[derive(Debug)]
pub(crate) struct Counter {
    step: Span,
    items: BTreeMap<String, Requests>,
    /// First and last step with a request.
    span: Option<(i64, i64)>,
    cells: usize,
}

impl Counter {
    /// Counts per `step`, whose grid begins at 1970-01-01.
    pub(crate) fn new(step: Option<Span>) -> Self {
        Self {
            step: step.unwrap_or(STEP),
            items: BTreeMap::new(),
            span: None,
            cells: 0,
        }
    }

    /// Counts one request; `run_ms` is its run time in milliseconds.
    pub(crate) fn add(&mut self, id: &str, at: Timestamp, run_ms: Option<f64>) {
        let step = at.nanos().div_euclid(self.step.nanos());
        let (first, last) = self.span.unwrap_or((step, step));
        self.span = Some((first.min(step), last.max(step)));
        if !self.items.contains_key(id) {
            self.items.insert(id.to_owned(), Requests::default());
        }
        let Some(requests) = self.items.get_mut(id) else {
            return;
        };
        match requests.counts.last_mut() {
            Some((last, count)) if *last == step => *count = count.saturating_add(1),
            _ => {
                requests.counts.push((step, 1));
                self.cells += 1;
            }
        }
        if let Some(run_ms) = run_ms {
            requests.times.add(run_ms);
        }
    }

    /// `true` without a request.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// An error once more is held than is allowed, or more steps lie between first and last.
    pub(crate) fn check(&self, file: &str, line: u64) -> Result<(), TraceError> {
        let steps = self.span.map_or(0, |(first, last)| last.abs_diff(first));
        let (what, limit) = if self.cells > CELLS_MAX {
            ("the table of counts", CELLS_MAX)
        } else if steps >= VALUES_MAX as u64 {
            ("the span of the times", VALUES_MAX)
        } else {
            return Ok(());
        };
        let file = file.to_owned();
        Err(TraceError::TooLarge {
            file,
            line,
            what,
            limit,
        })
    }

    /// The items, each from the first step to the last of all; a step without a row had no request.
    pub(crate) fn into_items(self, skipped: Skipped) -> RequestItems {
        RequestItems {
            step: self.step,
            span: self.span.unwrap_or((0, -1)),
            items: self.items.into_iter(),
            skipped,
        }
    }
}

/// Items of a file of requests.
pub(crate) struct RequestItems {
    step: Span,
    span: (i64, i64),
    items: std::collections::btree_map::IntoIter<String, Requests>,
    skipped: Skipped,
}

impl Iterator for RequestItems {
    type Item = Result<TraceItem, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (id, requests) = self.items.next()?;
        let (first, last) = self.span;
        let steps = usize::try_from(last - first + 1).unwrap_or(0);
        let mut values = vec![0.0; steps];
        for (step, count) in requests.counts {
            let place = usize::try_from(step - first).unwrap_or(usize::MAX);
            if let Some(value) = values.get_mut(place) {
                *value += f64::from(count);
            }
        }
        let start = Timestamp::from_nanos(first.saturating_mul(self.step.nanos()));
        Some(Ok(TraceItem {
            id,
            trigger: String::new(),
            demand: Series::new(start, self.step, values),
            durations: requests.times.percentiles(),
            memory: None,
        }))
    }
}

impl Items for RequestItems {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

/// Run times in classes that are 1.1 % wide, so that memory does not grow with the requests.
#[derive(Debug, Default)]
struct RunTimes {
    classes: BTreeMap<i32, u64>,
    sum: f64,
    count: u64,
    least: f64,
    greatest: f64,
}

/// Classes per doubling: 2^(1/64) is 1.011.
const CLASSES: f64 = 64.0;

impl RunTimes {
    fn add(&mut self, ms: f64) {
        if self.count == 0 {
            (self.least, self.greatest) = (ms, ms);
        }
        self.least = if ms < self.least { ms } else { self.least };
        self.greatest = if ms > self.greatest {
            ms
        } else {
            self.greatest
        };
        self.sum += ms;
        self.count += 1;
        // A microsecond and less are one class.
        let class = if ms > 1e-3 {
            (ms.log2() * CLASSES).floor() as i32
        } else {
            i32::MIN
        };
        *self.classes.entry(class).or_insert(0) += 1;
    }

    /// The percentiles that the 2019 data set tells; least and greatest are exact, those between
    /// within 0.6 %.
    fn percentiles(&self) -> Option<Percentiles> {
        if self.count == 0 {
            return None;
        }
        let count = self.count as f64;
        let points = [0.0, 1.0, 25.0, 50.0, 75.0, 99.0, 100.0];
        Some(Percentiles {
            average: self.sum / count,
            count,
            points: points.map(|p| (p, self.at(p))).into(),
        })
    }

    fn at(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * (self.count - 1) as f64).round() as u64;
        if rank == 0 {
            return self.least;
        }
        if rank >= self.count - 1 {
            return self.greatest;
        }
        let mut below = 0;
        for (class, count) in &self.classes {
            below += count;
            if below > rank {
                let middle = ((f64::from(*class) + 0.5) / CLASSES).exp2();
                return middle.clamp(self.least, self.greatest);
            }
        }
        self.greatest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_their_class_and_the_ends_exact() {
        let mut times = RunTimes::default();
        (0..=10_000).for_each(|i| times.add(f64::from(i) / 10.0));
        let percentiles = times.percentiles().unwrap();
        assert_eq!(percentiles.points[0], (0.0, 0.0));
        assert_eq!(percentiles.points[6], (100.0, 1000.0));
        assert!((percentiles.average - 500.0).abs() < 1e-9);
        for (percent, value) in &percentiles.points[1..6] {
            let exact = percent * 10.0;
            assert!(
                (value / exact - 1.0).abs() < 0.006,
                "{percent}: {value} for {exact}"
            );
        }
    }

    #[test]
    fn rows_out_of_order_are_counted_all_the_same() {
        let mut counter = Counter::new(None);
        for seconds in [0, 61, 5, 200, 62] {
            counter.add("a", Timestamp::from_seconds(seconds), None);
        }
        let item = counter
            .into_items(Skipped::default())
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(
            item.demand.iter().flatten().collect::<Vec<_>>(),
            [2.0, 2.0, 0.0, 1.0]
        );
    }
}
