//! Long CSV: one row per point, with a time, a value and perhaps a series' name.

use std::collections::BTreeSet;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;

use super::{Items, Skipped, Source, TraceError, TraceFormat, VALUES_MAX, bad_row};

const TIMES: [&str; 6] = ["timestamp", "time", "ts", "datetime", "date", "at"];
const VALUES: [&str; 6] = ["value", "count", "requests", "rps", "demand", "invocations"];
const NAMES: [&str; 6] = ["series", "name", "item", "function", "id", "workload"];

/// The format.
#[derive(Debug)]
pub struct CsvLong;

fn place(labels: &[&str], known: &[&str]) -> Option<usize> {
    labels
        .iter()
        .position(|l| known.contains(&l.trim().trim_matches('"').to_lowercase().as_str()))
}

impl TraceFormat for CsvLong {
    fn name(&self) -> &'static str {
        "csv-long"
    }

    fn summary(&self) -> &'static str {
        "one row per point: timestamp and count or value, and perhaps series; rows of one series together"
    }

    fn matches(&self, header: &str) -> bool {
        let labels: Vec<&str> = header.split(',').collect();
        place(&labels, &TIMES).is_some() && place(&labels, &VALUES).is_some()
    }

    fn read(&self, source: Source, skip_bad_rows: bool) -> Result<Box<dyn Items>, TraceError> {
        Ok(Box::new(LongItems::new(source, skip_bad_rows)?))
    }
}

/// Reads a time as RFC 3339 (UTC where no zone stands) or as whole seconds since 1970.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let seconds: i64 = text.parse().ok()?;
        (0..253_402_300_800)
            .contains(&seconds)
            .then(|| Timestamp::from_seconds(seconds))
    })
}

/// A cell: `None` for nothing, an error for what is no count.
pub(super) fn parse_value(text: &str) -> Result<Option<f64>, ()> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let value = text
        .parse::<f64>()
        .ok()
        .filter(|v| v.is_finite() && *v >= 0.0);
    value.map(Some).ok_or(())
}

/// One row.
struct Row {
    series: String,
    at: Timestamp,
    value: Option<f64>,
    line: u64,
}

struct LongItems {
    file: String,
    records: csv::StringRecordsIntoIter<Box<dyn std::io::BufRead>>,
    places: (usize, usize, Option<usize>),
    labels: Vec<String>,
    held: Option<Row>,
    done: BTreeSet<String>,
    skip_bad_rows: bool,
    skipped: Skipped,
    failed: bool,
}

impl LongItems {
    fn new(source: Source, skip_bad_rows: bool) -> Result<Self, TraceError> {
        let Source { file, bytes } = source;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let header = reader.headers().map_err(|e| csv_error(&file, e))?.clone();
        let labels: Vec<&str> = header.iter().collect();
        let (time, value) = (place(&labels, &TIMES), place(&labels, &VALUES));
        let (Some(time), Some(value)) = (time, value) else {
            let expected = "a time column (timestamp) and a value column (count or value)";
            return Err(bad_row(&file, 1, "header", &labels.join(","), expected));
        };
        let places = (time, value, place(&labels, &NAMES));
        let labels = header.iter().map(str::to_owned).collect();
        Ok(Self {
            file,
            records: reader.into_records(),
            places,
            labels,
            held: None,
            done: BTreeSet::new(),
            skip_bad_rows,
            skipped: Skipped::default(),
            failed: false,
        })
    }

    fn parse(&self, record: &csv::StringRecord) -> Result<Row, TraceError> {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |i: usize| record.get(i).unwrap_or("");
        let bad =
            |i: usize, expected| bad_row(&self.file, line, &self.labels[i], cell(i), expected);
        let (time, value, name) = self.places;
        let at = parse_time(cell(time));
        let at = at.ok_or_else(|| {
            bad(
                time,
                "a time such as 2026-01-31T08:00:00Z or seconds since 1970",
            )
        })?;
        let value = parse_value(cell(value)).map_err(|()| {
            bad(
                value,
                "a number of 0 or more, or nothing where it is missing",
            )
        })?;
        let series = name.map_or("demand", cell).to_owned();
        Ok(Row {
            series,
            at,
            value,
            line,
        })
    }

    fn next_row(&mut self) -> Result<Option<Row>, TraceError> {
        if let Some(row) = self.held.take() {
            return Ok(Some(row));
        }
        loop {
            let Some(record) = self.records.next() else {
                return Ok(None);
            };
            let record = record.map_err(|e| csv_error(&self.file, e))?;
            match self.parse(&record) {
                Err(error) if self.skip_bad_rows && error.is_of_one_row() => {
                    self.skipped.add(&error);
                }
                other => return other.map(Some),
            }
        }
    }

    /// All rows of the next series.
    fn next_block(&mut self) -> Result<Option<Vec<Row>>, TraceError> {
        let Some(first) = self.next_row()? else {
            return Ok(None);
        };
        let mut block = vec![first];
        while let Some(row) = self.next_row()? {
            if row.series != block[0].series {
                self.held = Some(row);
                break;
            }
            if block.len() >= VALUES_MAX {
                let (file, line) = (self.file.clone(), row.line);
                return Err(TraceError::TooLarge {
                    file,
                    line,
                    what: "one series",
                    limit: VALUES_MAX,
                });
            }
            block.push(row);
        }
        Ok(Some(block))
    }

    fn next_item(&mut self) -> Result<Option<TraceItem>, TraceError> {
        let Some(mut block) = self.next_block()? else {
            let file = self.file.clone();
            return if self.done.is_empty() {
                Err(TraceError::Empty { file })
            } else {
                Ok(None)
            };
        };
        let (id, line) = (block[0].series.clone(), block[0].line);
        if !self.done.insert(id.clone()) {
            let expected = "all rows of a series together: sort the file by series, then by time";
            return Err(bad_row(&self.file, line, "series", &id, expected));
        }
        self.drop_duplicates(&mut block)?;
        let demand = self.series(&block)?;
        Ok(Some(TraceItem {
            id,
            trigger: String::new(),
            demand,
            durations: None,
            memory: None,
        }))
    }

    /// Times must ascend; a time that stands twice is an error, or the later row is skipped.
    fn drop_duplicates(&mut self, block: &mut Vec<Row>) -> Result<(), TraceError> {
        block.sort_by_key(|r| (r.at, r.line));
        let mut kept: Vec<Row> = Vec::with_capacity(block.len());
        for row in block.drain(..) {
            if kept.last().is_none_or(|last| row.at > last.at) {
                kept.push(row);
                continue;
            }
            let what = format!("time {} of series {}", row.at, row.series);
            let error = TraceError::Duplicate {
                file: self.file.clone(),
                line: row.line,
                what,
            };
            if !self.skip_bad_rows {
                return Err(error);
            }
            self.skipped.add(&error);
        }
        *block = kept;
        Ok(())
    }

    /// The points on an even grid of the most common distance; what is not there is a gap.
    fn series(&mut self, block: &[Row]) -> Result<Series, TraceError> {
        let step = common_step(block);
        let start = block[0].at;
        let mut values: Vec<f64> = Vec::new();
        for row in block {
            let offset = (row.at - start).nanos();
            if offset % step.nanos() != 0 {
                let found = row.at.to_string();
                let error = bad_row(
                    &self.file,
                    row.line,
                    &self.labels[self.places.0],
                    &found,
                    "a time on the even grid of the other rows",
                );
                if !self.skip_bad_rows {
                    return Err(error);
                }
                self.skipped.add(&error);
                continue;
            }
            let index = usize::try_from(offset / step.nanos()).unwrap_or(usize::MAX);
            if index >= VALUES_MAX {
                let (file, line) = (self.file.clone(), row.line);
                return Err(TraceError::TooLarge {
                    file,
                    line,
                    what: "one series",
                    limit: VALUES_MAX,
                });
            }
            values.resize(index + 1, f64::NAN);
            values[index] = row.value.unwrap_or(f64::NAN);
        }
        Ok(Series::new(start, step, values))
    }
}

/// The most common distance between neighbours; a minute for a single row.
fn common_step(block: &[Row]) -> Span {
    let mut counts = std::collections::BTreeMap::new();
    for pair in block.windows(2) {
        *counts.entry(pair[1].at - pair[0].at).or_insert(0_u64) += 1;
    }
    let best = counts
        .into_iter()
        .max_by_key(|(span, count)| (*count, std::cmp::Reverse(*span)));
    best.map_or(Span::from_seconds(60), |(span, _)| span)
}

pub(super) fn csv_error(file: &str, error: csv::Error) -> TraceError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => TraceError::io(file, source),
        csv::ErrorKind::Utf8 { err, .. } => {
            bad_row(file, line, &err.field().to_string(), "bytes", "UTF-8 text")
        }
        _ => bad_row(
            file,
            line,
            "all",
            "the row",
            "as many cells as the header has",
        ),
    }
}

impl Iterator for LongItems {
    type Item = Result<TraceItem, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_item().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl Items for LongItems {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(text: &str, skip: bool) -> Result<Vec<TraceItem>, TraceError> {
        let source = Source::new("long.csv", Box::new(Cursor::new(text.as_bytes().to_vec())));
        super::super::read_items(source, None, skip)?.collect()
    }

    #[test]
    fn two_columns_are_one_series_and_a_hole_is_a_gap() {
        let text = "timestamp,count\n2026-01-01 00:00:00,5\n2026-01-01 00:01:00,\n2026-01-01 00:03:00,7\n2026-01-01 00:04:00,8\n2026-01-01 00:05:00,8\n";
        let items = read(text, false).unwrap();
        let got: Vec<_> = items[0].demand.iter().collect();
        assert_eq!(
            got,
            [Some(5.0), None, None, Some(7.0), Some(8.0), Some(8.0)]
        );
        assert_eq!(items[0].demand.step(), Span::from_seconds(60));
    }

    #[test]
    fn series_must_stand_together() {
        let text = "series,timestamp,value\na,0,1\nb,0,1\na,60,1\n";
        assert!(
            read(text, false)
                .unwrap_err()
                .to_string()
                .contains("sort the file")
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (row, want) in [
            ("yesterday,1", "column timestamp: found `yesterday`"),
            ("0,-1", "column count: found `-1`"),
            ("0,NaN", "column count: found `NaN`"),
            ("0,1\n0,2", "stands there twice"),
        ] {
            let error = read(&format!("timestamp,count\n{row}\n"), false)
                .unwrap_err()
                .to_string();
            assert!(error.contains(want), "{row}: {error}");
        }
    }
}
