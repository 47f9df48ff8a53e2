//! Long CSV: one row per point, with a time, a value and perhaps a series' name.

use foresail_core::quantity::time::Timestamp;

use super::cell::{TIME_EXPECTED, VALUE_EXPECTED, csv_error, parse_time, parse_value};
use super::grid::{Point, Uneven};
use super::long::{LongItems, Name, Rows};
use super::write::LongWriter;
use super::{Begin, ItemWriter, Items, Out, ReadOptions, Source, TraceError, TraceFormat, bad_row};

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

/// The place of the first label that is one of the known ones.
pub(crate) fn place<L: AsRef<str>>(labels: &[L], known: &[&str]) -> Option<usize> {
    let bare = |l: &L| l.as_ref().trim().trim_matches('"').to_lowercase();
    labels
        .iter()
        .position(|l| known.contains(&bare(l).as_str()))
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
        items(source, options, Uneven::Error)
    }

    fn writer<'a>(&self, out: Out<'a>) -> Option<Box<dyn ItemWriter + 'a>> {
        Some(Box::new(LongWriter::new(out)))
    }
}

/// Items of a long CSV file with the rule of its form.
///
/// # Errors
/// [`TraceError`] where the header cannot be read or lacks a column.
pub(crate) fn items(
    source: Source,
    options: &ReadOptions,
    rule: Uneven,
) -> Result<Box<dyn Items>, TraceError> {
    let rows = CsvRows::new(source)?;
    Ok(Box::new(LongItems::new(rows, options, rule)))
}

struct CsvRows {
    file: String,
    reader: csv::Reader<Box<dyn std::io::BufRead>>,
    record: csv::StringRecord,
    labels: Vec<String>,
    time: usize,
    value: usize,
    name: Option<usize>,
}

impl CsvRows {
    fn new(source: Source) -> Result<Self, TraceError> {
        let Source { file, bytes, .. } = source;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let header = reader.headers().map_err(|e| csv_error(&file, e))?.clone();
        let labels: Vec<String> = header.iter().map(str::to_owned).collect();
        let (time, value) = (place(&labels, &TIMES), place(&labels, &VALUES));
        let (Some(time), Some(value)) = (time, value) else {
            let expected = "a time column (timestamp) and a value column (count or value)";
            return Err(bad_row(&file, 1, "header", &labels.join(","), expected));
        };
        Ok(Self {
            file,
            reader,
            record: csv::StringRecord::new(),
            name: place(&labels, &NAMES),
            labels,
            time,
            value,
        })
    }

    fn cell(&self, place: usize) -> &str {
        self.record.get(place).unwrap_or("")
    }

    fn bad(&self, place: usize, line: u64, expected: &'static str) -> TraceError {
        let label = self.labels.get(place).map_or("", String::as_str);
        bad_row(&self.file, line, label, self.cell(place), expected)
    }
}

impl Rows for CsvRows {
    fn file(&self) -> &str {
        &self.file
    }

    fn time_label(&self) -> &str {
        self.labels.get(self.time).map_or("", String::as_str)
    }

    fn next(&mut self, name: &mut Name) -> Result<Option<Point>, TraceError> {
        let more = self.reader.read_record(&mut self.record);
        if !more.map_err(|e| csv_error(&self.file, e))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        let at: Option<Timestamp> = parse_time(self.cell(self.time));
        let at = at.ok_or_else(|| self.bad(self.time, line, TIME_EXPECTED))?;
        let value = parse_value(self.cell(self.value));
        let value = value.ok_or_else(|| self.bad(self.value, line, VALUE_EXPECTED))?;
        name.series.clear();
        name.series
            .push_str(self.name.map_or("demand", |place| self.cell(place)));
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
