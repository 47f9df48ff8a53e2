//! Long CSV: one row per point, with a time, a value and perhaps a series' name.

use foresail_core::quantity::time::Timestamp;

use super::cell::{TIME_EXPECTED, VALUE_EXPECTED, parse_time, parse_value};
use super::error::bad_header;
use super::grid::{Point, Uneven};
use super::long::{LongItems, Name, Rows};
use super::records::Records;
use super::write::LongWriter;
use super::{Begin, ItemWriter, Items, Out, ReadOptions, Source, TraceError, TraceFormat};

/// Labels of a time column.
pub(crate) const TIMES: [&str; 7] = ["timestamp", "time", "ts", "datetime", "date", "at", "ds"];
/// Labels of a value column.
pub(crate) const VALUES: [&str; 7] = [
    "value",
    "count",
    "requests",
    "rps",
    "demand",
    "invocations",
    "y",
];
/// Labels of a column of series' names.
pub(crate) const NAMES: [&str; 7] = [
    "series",
    "name",
    "item",
    "function",
    "id",
    "workload",
    "unique_id",
];

/// The format.
#[derive(Debug)]
pub struct CsvLong;

/// A label without what tells it apart only for the eye.
fn bare(label: &str) -> String {
    label.trim().trim_matches('"').to_lowercase()
}

/// The place of the first label that is one of the known ones.
pub(crate) fn place<L: AsRef<str>>(labels: &[L], known: &[&str]) -> Option<usize> {
    let is_known = |l: &L| known.contains(&bare(l.as_ref()).as_str());
    labels.iter().position(is_known)
}

impl TraceFormat for CsvLong {
    fn name(&self) -> &'static str {
        "csv-long"
    }

    fn summary(&self) -> &'static str {
        "one row per point: timestamp and count or value, and perhaps series; rows of one series together"
    }

    fn matches(&self, begin: &Begin) -> bool {
        let labels = begin.labels();
        place(&labels, &TIMES).is_some() && place(&labels, &VALUES).is_some()
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        items(source, options, Uneven::Error, &[])
    }

    fn writer<'a>(&self, out: Out<'a>) -> Option<Box<dyn ItemWriter + 'a>> {
        Some(Box::new(LongWriter::new(out)))
    }
}

/// Items of a long CSV file with the rule of its form, and the columns that it leaves alone.
///
/// # Errors
/// [`TraceError`] where the header cannot be read or lacks a column.
pub(crate) fn items(
    source: Source,
    options: &ReadOptions,
    rule: Uneven,
    left_alone: &[&str],
) -> Result<Box<dyn Items>, TraceError> {
    let rows = CsvRows::new(source, left_alone)?;
    Ok(Box::new(LongItems::new(rows, options, rule)))
}

struct CsvRows {
    records: Records,
    time: usize,
    value: usize,
    name: Option<usize>,
    unread: Vec<String>,
}

impl CsvRows {
    fn new(source: Source, left_alone: &[&str]) -> Result<Self, TraceError> {
        let records = Records::new(source)?;
        let labels = &records.labels;
        let (time, value) = (place(labels, &TIMES), place(labels, &VALUES));
        let (Some(time), Some(value)) = (time, value) else {
            let expected = "a time column (timestamp) and a value column (count or value)";
            return Err(records.bad_header(expected));
        };
        let name = place(labels, &NAMES);
        let mut unread = Vec::new();
        for (i, label) in labels.iter().enumerate() {
            if [Some(time), Some(value), name].contains(&Some(i)) {
                continue;
            }
            let of = |place: usize| bare(&labels[place]) == bare(label);
            if of(time) || of(value) || name.is_some_and(of) {
                let expected = "each column that is read to stand there once";
                return Err(bad_header(&records.file, label, label, expected));
            }
            if !left_alone.contains(&bare(label).as_str()) {
                unread.push(label.clone());
            }
        }
        Ok(Self {
            records,
            time,
            value,
            name,
            unread,
        })
    }
}

impl Rows for CsvRows {
    fn file(&self) -> &str {
        &self.records.file
    }

    fn time_label(&self) -> &str {
        &self.records.labels[self.time]
    }

    fn unread(&self) -> &[String] {
        &self.unread
    }

    fn next(&mut self, name: &mut Name) -> Result<Option<Point>, TraceError> {
        let records = &mut self.records;
        if !records.next()? {
            return Ok(None);
        }
        let at: Option<Timestamp> = parse_time(records.cell(self.time));
        let at = at.ok_or_else(|| records.bad(self.time, TIME_EXPECTED))?;
        let value = parse_value(records.cell(self.value));
        let value = value.ok_or_else(|| records.bad(self.value, VALUE_EXPECTED))?;
        name.series.clear();
        name.series
            .push_str(self.name.map_or("demand", |place| records.cell(place)));
        let line = records.line();
        Ok(Some(Point { at, value, line }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::quantity::time::Span;
    use foresail_core::quantity::trace::TraceItem;
    use std::io::Cursor;

    fn read(text: &str, skip: bool) -> Result<Vec<TraceItem>, TraceError> {
        let source = Source::new("long.csv", Box::new(Cursor::new(text.as_bytes().to_vec())));
        super::super::read_items(source, None, &ReadOptions::skipping(skip))?.collect()
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
    fn a_column_that_stands_there_twice_is_refused_and_one_that_is_not_read_is_told() {
        for header in [
            "timestamp,count,count",
            "Time,timestamp,time,count",
            "id,ID,ts,y",
        ] {
            let error = read(&format!("{header}\n0,1,2,3\n"), true)
                .unwrap_err()
                .to_string();
            assert!(error.contains("line 1, column"), "{error}");
            assert!(error.contains("to stand there once"), "{error}");
            assert!(!error.contains("--skip-bad-rows"), "{error}");
        }
        let notes = |text: &str| {
            let source = Source::new("f", Box::new(Cursor::new(text.as_bytes().to_vec())));
            let options = ReadOptions::default();
            let items = super::super::read_items(source, None, &options).unwrap();
            items.notes()
        };
        let told = notes("timestamp,count,host,value\n0,1,a,2\n");
        assert_eq!(told, ["2 columns are not read: host, value"]);
        // The label of Microsoft's files is known, and known to be no demand.
        assert!(notes("TimeStamp,Value,Label\n2014-02-14 14:30:00,1,0\n").is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (row, want) in [
            ("yesterday,1", "column timestamp: found `yesterday`"),
            ("0,-1", "column count: found `-1`"),
            ("0,NaN", "column count: found `NaN`"),
            ("0,1\n0,2", "stands there twice"),
            ("2026-01-01T00:00:00Z", "found `the end of the row`"),
            ("9999-01-01,1", "a time from 1678 to 2261"),
        ] {
            let error = read(&format!("timestamp,count\n{row}\n"), false)
                .unwrap_err()
                .to_string();
            assert!(error.contains(want), "{row}: {error}");
        }
    }
}
