//! Points of one series onto an even grid, by one named rule for those that do not fit.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};

use super::error::twice;
use super::{TraceError, VALUES_MAX, bad_row};

/// Mean length of a month: 365.2425 days over 12.
pub(crate) const MONTH: Span = Span::from_seconds(2_629_746);

const DAY: Span = Span::from_seconds(86_400);

/// What becomes of times that stand twice, or off the even grid of their series.
///
/// `Error` refuses them, `Rows` does not look at times at all. The others move a point to the
/// nearest step; where a step then holds several points, the rule says which value it gets. A missing value never takes the place of one that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uneven {
    /// They are bad rows.
    #[default]
    Error,
    /// The first value of a step counts.
    First,
    /// The last value of a step counts.
    Last,
    /// The mean of a step's values.
    Mean,
    /// The sum of a step's values.
    Sum,
    /// Each row is the step after the row before, whatever its time says.
    Rows,
}

/// Every rule by its name.
pub const UNEVEN: [(&str, Uneven); 6] = [
    ("error", Uneven::Error),
    ("first", Uneven::First),
    ("last", Uneven::Last),
    ("mean", Uneven::Mean),
    ("sum", Uneven::Sum),
    ("rows", Uneven::Rows),
];

impl FromStr for Uneven {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = UNEVEN.iter().find(|(name, _)| *name == text);
        found.map(|(_, rule)| *rule).ok_or_else(|| {
            let names: Vec<_> = UNEVEN.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no rule; write one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Uneven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = UNEVEN.iter().find(|(_, rule)| rule == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

/// What was done to put points onto their grids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Points of a step that held one already.
    pub doubled: u64,
    /// Points that were moved to the nearest step.
    pub moved: u64,
    /// Points that stood after one of a later time.
    pub unordered: u64,
    /// Series of calendar months, which are of unequal length.
    pub monthly: u64,
    /// The rule.
    pub rule: Uneven,
}

impl Placed {
    /// One sentence for each thing that was done; empty where every time stood where it should.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let rule = self.rule;
        let mut notes = Vec::new();
        if self.doubled > 0 {
            let count = self.doubled;
            notes.push(format!(
                "{count} points fell into a step that held one already; by --uneven {rule} each step has the {rule} of its values"
            ));
        }
        if self.moved > 0 {
            let count = self.moved;
            let what = match rule {
                Uneven::Rows => "taken as the step after the row before",
                _ => "moved to the nearest step",
            };
            notes.push(format!(
                "{count} points stood off the even grid of their series and were {what} (--uneven {rule})"
            ));
        }
        if self.unordered > 0 {
            let count = self.unordered;
            notes.push(format!(
                "{count} points stood after a later one of their series and were put in the order of time"
            ));
        }
        if self.monthly > 0 {
            let count = self.monthly;
            notes.push(format!(
                "{count} series of calendar months stand on steps of 30.436875 days, their mean"
            ));
        }
        notes
    }
}

/// One point of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) at: Timestamp,
    /// NaN where it is missing.
    pub(crate) value: f64,
    pub(crate) line: u64,
}

/// Where points come from and what is done with those that do not fit.
pub(crate) struct Grid<'a> {
    pub(crate) file: &'a str,
    pub(crate) series: &'a str,
    /// Label of the time column.
    pub(crate) column: &'a str,
    pub(crate) rule: Uneven,
    /// Takes the error of a bad row, or hands it back to end the reading.
    pub(crate) refuse: &'a mut dyn FnMut(TraceError) -> Result<(), TraceError>,
}

impl Grid<'_> {
    /// The points on an even grid; what is not there is a gap.
    pub(crate) fn place(
        &mut self,
        mut points: Vec<Point>,
        placed: &mut Placed,
    ) -> Result<Series, TraceError> {
        placed.rule = self.rule;
        if self.rule == Uneven::Rows {
            return self.place_rows(&points, placed);
        }
        placed.unordered += points.windows(2).filter(|w| w[1].at < w[0].at).count() as u64;
        points.sort_by_key(|p| (p.at, p.line));
        if self.rule == Uneven::Error {
            self.drop_doubled(&mut points)?;
        }
        let step = common_step(&points);
        if let Some(months) = months(&points, step) {
            placed.monthly += 1;
            let places = months.iter().map(|m| usize::try_from(m - months[0]).ok());
            return self.fill(&points, places, MONTH, placed);
        }
        if self.rule == Uneven::Error {
            self.drop_off_grid(&mut points, step)?;
        }
        let Some(start) = points.first().map(|p| p.at) else {
            return Ok(Series::new(Timestamp::EPOCH, step, Vec::new()));
        };
        placed.moved += points
            .iter()
            .filter(|p| (p.at - start).nanos() % step.nanos() != 0)
            .count() as u64;
        let nearest = |p: &Point| {
            let offset = (p.at - start).nanos().saturating_add(step.nanos() / 2);
            usize::try_from(offset / step.nanos()).ok()
        };
        self.fill(&points, points.iter().map(nearest), step, placed)
    }

    /// One step for each row, from the first row's time on.
    fn place_rows(&self, points: &[Point], placed: &mut Placed) -> Result<Series, TraceError> {
        let step = common_step(points);
        let start = points.first().map_or(Timestamp::EPOCH, |p| p.at);
        let due = |i: usize| start + Span::from_nanos(step.nanos().saturating_mul(i as i64));
        let off = points.iter().enumerate().filter(|(i, p)| p.at != due(*i));
        placed.moved += off.count() as u64;
        self.fill(points, (0..points.len()).map(Some), step, placed)
    }

    /// Times that stand twice are bad rows.
    fn drop_doubled(&mut self, points: &mut Vec<Point>) -> Result<(), TraceError> {
        let mut last = None;
        let mut result = Ok(());
        points.retain(|p| {
            let first = last != Some(p.at);
            last = Some(p.at);
            if !first && result.is_ok() {
                let what = format!("time {} of series {}", p.at, self.series);
                result = (self.refuse)(twice(self.file, p.line, &what));
            }
            first
        });
        result
    }

    /// Times off the grid of the first one are bad rows.
    fn drop_off_grid(&mut self, points: &mut Vec<Point>, step: Span) -> Result<(), TraceError> {
        let start = points.first().map_or(Timestamp::EPOCH, |p| p.at);
        let mut result = Ok(());
        points.retain(|p| {
            let fits = (p.at - start).nanos() % step.nanos() == 0;
            if !fits && result.is_ok() {
                let expected = "a time on the even grid of the other rows (foresail trace convert --uneven mean makes one)";
                let found = p.at.to_string();
                result = (self.refuse)(bad_row(self.file, p.line, self.column, &found, expected));
            }
            fits
        });
        result
    }

    /// Each step's value by the rule.
    fn fill(
        &self,
        points: &[Point],
        places: impl Iterator<Item = Option<usize>>,
        step: Span,
        placed: &mut Placed,
    ) -> Result<Series, TraceError> {
        let mut values: Vec<f64> = Vec::with_capacity(points.len());
        // The place that was filled last, and how many values it took.
        let mut here = (usize::MAX, 0.0);
        for (point, place) in points.iter().zip(places) {
            let Some(place) = place.filter(|p| *p < VALUES_MAX) else {
                return Err(TraceError::TooLarge {
                    file: self.file.to_owned(),
                    line: point.line,
                    what: "one series",
                    limit: VALUES_MAX,
                });
            };
            if place == here.0 {
                placed.doubled += 1;
            } else {
                values.resize(place + 1, f64::NAN);
                here = (place, 0.0);
            }
            if !point.value.is_nan() {
                here.1 += 1.0;
                values[place] = merged(self.rule, values[place], point.value, here.1);
            }
        }
        let start = points.first().map_or(Timestamp::EPOCH, |p| p.at);
        Ok(Series::new(start, step, values))
    }
}

/// A step's value once its `count`-th value is there.
fn merged(rule: Uneven, old: f64, value: f64, count: f64) -> f64 {
    match rule {
        _ if old.is_nan() => value,
        Uneven::First | Uneven::Error | Uneven::Rows => old,
        Uneven::Last => value,
        Uneven::Mean => old + (value - old) / count,
        Uneven::Sum => old + value,
    }
}

/// The most common distance between neighbours, the shorter of equals; a minute for a single time.
pub(crate) fn common_step(points: &[Point]) -> Span {
    let mut counts = BTreeMap::new();
    for pair in points.windows(2) {
        let distance = pair[1].at - pair[0].at;
        if distance > Span::ZERO {
            *counts.entry(distance).or_insert(0_u64) += 1;
        }
    }
    let best = counts
        .into_iter()
        .max_by_key(|(span, count)| (*count, std::cmp::Reverse(*span)));
    best.map_or(Span::from_seconds(60), |(span, _)| span)
}

/// Calendar months since year 0, where every time is the begin of one.
fn months(points: &[Point], step: Span) -> Option<Vec<i64>> {
    let days = step.nanos() / DAY.nanos();
    if !(28..=31).contains(&days) || points.len() < 3 {
        return None;
    }
    let month = |p: &Point| {
        let text = p.at.to_string();
        let begin = text.get(7..)? == "-01T00:00:00Z";
        let (year, month) = text.get(..7)?.split_once('-')?;
        begin.then_some(year.parse::<i64>().ok()? * 12 + month.parse::<i64>().ok()?)
    };
    points.iter().map(month).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(rule: Uneven, rows: &[(i64, f64)]) -> Result<(Series, Placed), TraceError> {
        let points = rows.iter().zip(2..).map(|((at, value), line)| Point {
            at: Timestamp::from_seconds(*at),
            value: *value,
            line,
        });
        let mut placed = Placed::default();
        let mut grid = Grid {
            file: "f.csv",
            series: "s",
            column: "timestamp",
            rule,
            refuse: &mut Err,
        };
        let series = grid.place(points.collect(), &mut placed)?;
        Ok((series, placed))
    }

    /// 60 s steps; the second time stands twice, the fourth is 20 s late.
    const ROWS: [(i64, f64); 6] = [
        (0, 1.0),
        (60, 2.0),
        (60, 4.0),
        (120, 5.0),
        (200, 6.0),
        (240, 7.0),
    ];

    #[test]
    fn each_rule_gives_a_doubled_step_its_own_value() {
        for (rule, want) in [
            (Uneven::First, 2.0),
            (Uneven::Last, 4.0),
            (Uneven::Mean, 3.0),
            (Uneven::Sum, 6.0),
        ] {
            let (series, placed) = place(rule, &ROWS).unwrap();
            assert_eq!(series.get(1), Some(want), "{rule}");
            assert_eq!((placed.doubled, placed.moved), (1, 1), "{rule}");
            assert_eq!(series.get(3), Some(6.0), "200 s is nearest to 180 s");
            let notes = placed.notes().join("\n");
            assert!(notes.contains(&format!("--uneven {rule}")), "{notes}");
        }
    }

    #[test]
    fn without_a_rule_the_first_misfit_is_an_error_that_names_the_line() {
        let error = place(Uneven::Error, &ROWS).unwrap_err().to_string();
        assert!(
            error.contains("line 4") && error.contains("--uneven"),
            "{error}"
        );
        let late = [ROWS[0], ROWS[1], ROWS[3], ROWS[4], ROWS[5]];
        let error = place(Uneven::Error, &late).unwrap_err().to_string();
        assert!(
            error.contains("line 5, column timestamp: found `1970-01-01T00:03:20Z`"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_value_neither_counts_nor_hides_one_that_is_there() {
        let rows = [(0, 1.0), (60, f64::NAN), (60, 4.0), (120, f64::NAN)];
        let (series, _) = place(Uneven::Mean, &rows).unwrap();
        assert_eq!(
            series.iter().collect::<Vec<_>>(),
            [Some(1.0), Some(4.0), None]
        );
    }

    #[test]
    fn calendar_months_follow_one_another_and_a_missing_one_is_a_gap() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().seconds_floor();
        let rows: Vec<_> = ["2024-01", "2024-02", "2024-03", "2024-05", "2024-06"]
            .map(|m| (at(&format!("{m}-01T00:00:00Z")), 1.0))
            .into();
        let (series, placed) = place(Uneven::Error, &rows).unwrap();
        assert_eq!((series.len(), series.gaps(), series.step()), (6, 1, MONTH));
        assert_eq!((placed.monthly, placed.moved), (1, 0));
    }
}
