//! What became of the requests: counts, times, and a line for each second.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;

use anyhow::{Context, Result};
use foresail_adapters::load::arrivals::Shape;
use foresail_adapters::load::generator::{Outcome, Sink, What};
use foresail_core::quantity::time::Span;
use foresail_sim::metrics::histogram::Histogram;

use super::summary::{Latency, Lateness, PerTarget, Summary};

/// A request is late that goes out more than this after it was due, in nanoseconds.
pub const LATE: i64 = 1_000_000;

/// Columns of the file with a line for each second, counted by when requests were due.
pub const COLUMNS: [&str; 16] = [
    "second",
    "asked_rps",
    "due",
    "sent",
    "answered",
    "status_2xx",
    "status_3xx",
    "status_4xx",
    "status_5xx",
    "errors",
    "timeouts",
    "unsent",
    "late",
    "p50_ms",
    "p99_ms",
    "max_ms",
];

/// Counts of one second, or of all.
#[derive(Clone, Debug, Default)]
struct Counts {
    due: u64,
    sent: u64,
    /// By the hundred: 2xx, 3xx, 4xx, 5xx and what is none of them.
    classes: [u64; 5],
    errors: u64,
    timeouts: u64,
    unsent: u64,
    interrupted: u64,
    late: u64,
    latency: Histogram,
}

impl Counts {
    fn take(&mut self, outcome: &Outcome) {
        self.due += 1;
        if let Some(sent) = outcome.sent {
            self.sent += 1;
            self.late += u64::from(sent - outcome.due > LATE);
        }
        match outcome.what {
            What::Answered(status) => {
                let class = usize::from(status / 100).wrapping_sub(2).min(4);
                self.classes[class] += 1;
                self.latency.record(outcome.ended - outcome.due);
            }
            What::NoConnection | What::Cut | What::Malformed => self.errors += 1,
            What::TimedOut => self.timeouts += 1,
            What::Unsent => self.unsent += 1,
            What::Interrupted => self.interrupted += 1,
        }
    }

    fn answered(&self) -> u64 {
        self.classes.iter().sum()
    }
}

/// Counts what a generator tells.
pub struct Tally<'a> {
    shape: Shape,
    /// Nothing of a second changes this long after its end, in seconds.
    settles: usize,
    whole: Counts,
    lateness: Histogram,
    statuses: BTreeMap<u16, u64>,
    failures: BTreeMap<&'static str, u64>,
    targets: Vec<PerTarget>,
    resent: u64,
    /// Nanoseconds within which an answer is promised, and good answers that came within.
    promise: Option<(i64, u64)>,
    /// The seconds that may still change, and which the first of them is.
    seconds: VecDeque<Counts>,
    first: usize,
    rows: Option<csv::Writer<&'a mut dyn Write>>,
    failed: Option<csv::Error>,
}

impl std::fmt::Debug for Tally<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally")
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}

impl<'a> Tally<'a> {
    /// Of a load with a shape and a time-out; a line for each second goes to `rows`.
    ///
    /// # Errors
    /// Where the head cannot be written.
    pub fn new(shape: &Shape, timeout: Span, rows: Option<&'a mut dyn Write>) -> Result<Self> {
        let mut rows = rows.map(csv::Writer::from_writer);
        if let Some(rows) = &mut rows {
            rows.write_record(COLUMNS)
                .context("the file of seconds cannot be written")?;
        }
        Ok(Self {
            shape: shape.clone(),
            settles: timeout.seconds().ceil() as usize + 2,
            whole: Counts::default(),
            lateness: Histogram::default(),
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            targets: Vec::new(),
            resent: 0,
            promise: None,
            seconds: VecDeque::new(),
            first: 0,
            rows,
            failed: None,
        })
    }

    /// The same that counts whose good answer came within a time of when it was due.
    #[must_use]
    pub fn promising(mut self, within: Span) -> Self {
        self.promise = Some((within.nanos(), 0));
        self
    }

    /// Writes the lines of all seconds before `end`.
    fn flush(&mut self, end: usize) {
        while self.first < end {
            let counts = self.seconds.pop_front().unwrap_or_default();
            let row = self.row(self.first, &counts);
            self.first += 1;
            if let Some(rows) = &mut self.rows
                && let Err(error) = rows.write_record(&row).and_then(|()| Ok(rows.flush()?))
            {
                // The load goes on; the trouble is told at its end.
                self.failed = Some(error);
                self.rows = None;
            }
        }
    }

    fn row(&self, second: usize, counts: &Counts) -> Vec<String> {
        let at = second as f64;
        let asked = self.shape.due_until(at + 1.0) - self.shape.due_until(at);
        let ms = |level| {
            let value = counts.latency.quantile_seconds(level);
            value.map_or_else(String::new, |s| format!("{:.3}", s * 1e3))
        };
        let [ok, moved, refused, failed, _] = counts.classes;
        let mut row = vec![second.to_string(), format!("{asked:.3}")];
        let numbers = [
            counts.due,
            counts.sent,
            counts.answered(),
            ok,
            moved,
            refused,
            failed,
            counts.errors,
            counts.timeouts,
            counts.unsent,
            counts.late,
        ];
        row.extend(numbers.iter().map(u64::to_string));
        row.extend([ms(0.5), ms(0.99), ms(1.0)]);
        row
    }

    /// What came of all of it. `wall` and `cpu` in seconds.
    ///
    /// # Errors
    /// Where lines of seconds could not be written.
    pub fn end(mut self, wall: f64, cpu: Option<f64>) -> Result<Summary> {
        self.flush(self.first + self.seconds.len());
        if let Some(error) = self.failed {
            return Err(error).context("the file of seconds cannot be written");
        }
        let all = &self.whole;
        let answered = all.answered();
        let ms = |h: &Histogram, level| h.quantile_seconds(level).map(|s| s * 1e3);
        let latency = |level| ms(&all.latency, level);
        Ok(Summary {
            planned: self.shape.total(),
            due: all.due,
            sent: all.sent,
            answered,
            statuses: self.statuses,
            errors: self.failures,
            timeouts: all.timeouts,
            unsent: all.unsent,
            interrupted: all.interrupted,
            resent: self.resent,
            late: all.late,
            kept: self.promise.map(|(_, kept)| kept),
            wall_seconds: wall,
            answered_rps: answered as f64 / wall,
            cpu_micros_per_request: cpu
                .filter(|_| all.due > 0)
                .map(|s| s * 1e6 / all.due as f64),
            latency_ms: Latency {
                mean: all.latency.mean_seconds().map(|s| s * 1e3),
                p50: latency(0.5),
                p90: latency(0.9),
                p95: latency(0.95),
                p99: latency(0.99),
                p999: latency(0.999),
                max: latency(1.0),
            },
            lateness_ms: Lateness {
                p50: ms(&self.lateness, 0.5),
                p99: ms(&self.lateness, 0.99),
                max: ms(&self.lateness, 1.0),
            },
            targets: self.targets,
        })
    }
}

impl Sink for Tally<'_> {
    fn target(&mut self, _index: usize, name: &str) {
        self.targets.push(PerTarget {
            name: name.to_owned(),
            answered: 0,
            failed: 0,
        });
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.whole.take(outcome);
        if let Some(sent) = outcome.sent {
            self.lateness.record(sent - outcome.due);
        }
        let failure = match outcome.what {
            What::Answered(status) => {
                *self.statuses.entry(status).or_default() += 1;
                if let Some((within, kept)) = &mut self.promise {
                    let is_kept = status < 400 && outcome.ended - outcome.due < *within;
                    *kept += u64::from(is_kept);
                }
                None
            }
            What::NoConnection => Some("no connection"),
            What::Cut => Some("connection ended"),
            What::Malformed => Some("no HTTP/1.1"),
            What::TimedOut | What::Unsent | What::Interrupted => None,
        };
        if let Some(failure) = failure {
            *self.failures.entry(failure).or_default() += 1;
        }
        if let Some(target) = outcome.target.and_then(|t| self.targets.get_mut(t)) {
            match outcome.what {
                What::Answered(_) => target.answered += 1,
                _ => target.failed += 1,
            }
        }
        let second = usize::try_from(outcome.due / 1_000_000_000).unwrap_or(0);
        let now = usize::try_from(outcome.ended / 1_000_000_000).unwrap_or(0);
        self.flush(now.saturating_sub(self.settles).min(second));
        let place = second.saturating_sub(self.first);
        while self.seconds.len() <= place {
            self.seconds.push_back(Counts::default());
        }
        self.seconds[place].take(outcome);
    }

    fn resent(&mut self) {
        self.resent += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn answered(due: i64, sent: i64, ended: i64) -> Outcome {
        Outcome {
            target: Some(0),
            due,
            sent: Some(sent),
            ended,
            what: What::Answered(200),
        }
    }

    fn shape() -> Shape {
        Shape::new(&[(Span::from_seconds(20), 2.0, 2.0)]).unwrap()
    }

    #[test]
    fn times_count_from_when_a_request_was_due_and_late_ones_are_told() {
        let tally = Tally::new(&shape(), Span::from_seconds(5), None).unwrap();
        let mut tally = tally.promising(Span::from_millis(50));
        tally.target(0, "web-1");
        let ms = 1_000_000;
        tally.outcome(&answered(0, ms / 2, 10 * ms));
        // Ready to be answered within 10 ms, but it had waited for 90.
        tally.outcome(&answered(0, 90 * ms, 100 * ms));
        let timed_out = Outcome {
            what: What::TimedOut,
            ..answered(0, 0, 5 * SECOND)
        };
        tally.outcome(&timed_out);
        tally.outcome(&Outcome {
            what: What::Answered(503),
            ..answered(0, 0, ms)
        });
        tally.outcome(&Outcome {
            target: None,
            sent: None,
            what: What::Unsent,
            ..timed_out
        });
        tally.outcome(&Outcome {
            what: What::Cut,
            ..timed_out
        });
        let told = tally.end(10.0, Some(0.006)).unwrap();
        assert_eq!((told.due, told.sent, told.answered), (6, 5, 3));
        assert_eq!((told.timeouts, told.unsent, told.late), (1, 1, 1));
        assert_eq!(told.kept, Some(1), "that of 100 ms and the 503 are not");
        assert_eq!(told.statuses, BTreeMap::from([(200, 2), (503, 1)]));
        assert_eq!(told.errors, BTreeMap::from([("connection ended", 1)]));
        assert_eq!((told.targets[0].answered, told.targets[0].failed), (3, 2));
        let near = |got: Option<f64>, want: f64| (got.unwrap() / want - 1.0).abs() < 0.01;
        assert!(near(told.latency_ms.max, 100.0));
        assert!(near(told.latency_ms.p50, 10.0));
        assert!(near(told.lateness_ms.max, 90.0));
        assert!(near(told.cpu_micros_per_request, 1000.0));
    }

    /// Rows add up: every request stands in the second in which it was due, whenever it ended.
    #[test]
    fn seconds_are_written_once_nothing_of_them_can_change() {
        let mut file = Vec::new();
        let mut tally = Tally::new(&shape(), Span::from_seconds(2), Some(&mut file)).unwrap();
        tally.target(0, "web-1");
        for i in 0..40 {
            let due = i * SECOND / 2;
            // Every fourth ends two seconds later.
            let ended = due + if i % 4 == 0 { 2 * SECOND } else { 1000 };
            tally.outcome(&answered(due, due, ended));
        }
        tally.end(22.0, None).unwrap();
        let text = String::from_utf8(file).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
        assert_eq!(rows.len(), 21);
        assert_eq!(rows[0], COLUMNS);
        for (second, row) in rows[1..].iter().enumerate() {
            assert_eq!(row[0], second.to_string());
            assert_eq!(row[1..5], ["2.000", "2", "2", "2"], "second {second}");
            let longest = if second % 2 == 0 { "2000.000" } else { "0.001" };
            assert_eq!(row[15], longest, "second {second}");
        }
    }
}
