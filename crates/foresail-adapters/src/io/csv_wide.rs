//! Wide CSV: a time column, then one column per item.

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;

use super::csv_long::{csv_error, parse_time, parse_value};
use super::{Items, Skipped, Source, TraceError, TraceFormat, bad_row};

/// Cells that are held: the columns are only whole when the last row was read.
const CELLS_MAX: usize = 64 << 20;

/// The format.
#[derive(Debug)]
pub struct CsvWide;

impl TraceFormat for CsvWide {
    fn name(&self) -> &'static str {
        "csv-wide"
    }

    fn summary(&self) -> &'static str {
        "one row per time, one column per item; the first column is the time"
    }

    fn matches(&self, header: &str) -> bool {
        let first = header
            .split(',')
            .next()
            .unwrap_or("")
            .trim()
            .trim_matches('"')
            .to_lowercase();
        ["timestamp", "time", "ts", "datetime", "date"].contains(&first.as_str())
            && header.contains(',')
    }

    fn read(&self, source: Source, skip_bad_rows: bool) -> Result<Box<dyn Items>, TraceError> {
        let (items, skipped) = read_all(source, skip_bad_rows)?;
        Ok(Box::new(WideItems {
            items: items.into_iter(),
            skipped,
        }))
    }
}

struct WideItems {
    items: std::vec::IntoIter<TraceItem>,
    skipped: Skipped,
}

/// One row: its time and one cell per column.
type Row = (Timestamp, Vec<f64>);

fn parse(
    file: &str,
    labels: &[String],
    record: &csv::StringRecord,
    after: Option<Timestamp>,
) -> Result<Row, TraceError> {
    let line = record.position().map_or(0, csv::Position::line);
    let bad = |i: usize, expected| {
        let column = labels.get(i).map_or("after the last", String::as_str);
        bad_row(file, line, column, record.get(i).unwrap_or(""), expected)
    };
    if record.len() != labels.len() {
        return Err(bad(
            record.len().min(labels.len()),
            "as many cells as the header has",
        ));
    }
    let at = parse_time(record.get(0).unwrap_or(""));
    let at = at.ok_or_else(|| {
        bad(
            0,
            "a time such as 2026-01-31T08:00:00Z or seconds since 1970",
        )
    })?;
    if after.is_some_and(|before| at <= before) {
        return Err(bad(0, "a time after that of the row before"));
    }
    let cell = |i: usize| {
        let value = parse_value(record.get(i).unwrap_or(""));
        value
            .map(|v| v.unwrap_or(f64::NAN))
            .map_err(|()| bad(i, "a number of 0 or more, or nothing where it is missing"))
    };
    Ok((at, (1..labels.len()).map(cell).collect::<Result<_, _>>()?))
}

fn read_all(source: Source, skip_bad_rows: bool) -> Result<(Vec<TraceItem>, Skipped), TraceError> {
    let Source { file, bytes } = source;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader.headers().map_err(|e| csv_error(&file, e))?.clone();
    let labels: Vec<String> = header.iter().map(str::to_owned).collect();
    for (i, label) in labels.iter().enumerate() {
        if labels[..i].contains(label) {
            return Err(TraceError::Duplicate {
                file,
                line: 1,
                what: format!("column {label}"),
            });
        }
    }
    let mut skipped = Skipped::default();
    let mut rows: Vec<Row> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| csv_error(&file, e))?;
        match parse(&file, &labels, &record, rows.last().map(|(at, _)| *at)) {
            Ok(row) => rows.push(row),
            Err(error) if skip_bad_rows && error.is_of_one_row() => skipped.add(&error),
            Err(error) => return Err(error),
        }
        if rows.len() * labels.len() > CELLS_MAX {
            let line = rows.len() as u64;
            return Err(TraceError::TooLarge {
                file,
                line,
                what: "the table",
                limit: CELLS_MAX,
            });
        }
    }
    if rows.is_empty() || labels.len() < 2 {
        return Err(TraceError::Empty { file });
    }
    Ok((columns(&file, &labels, &rows)?, skipped))
}

/// The columns on an even grid; rows that are not there are gaps.
fn columns(file: &str, labels: &[String], rows: &[Row]) -> Result<Vec<TraceItem>, TraceError> {
    let start = rows[0].0;
    let step = rows
        .windows(2)
        .map(|p| p[1].0 - p[0].0)
        .min()
        .unwrap_or(Span::from_seconds(60));
    let index = |at: Timestamp| (at - start).nanos() / step.nanos();
    let uneven = rows
        .iter()
        .position(|(at, _)| (*at - start).nanos() % step.nanos() != 0);
    if let Some(place) = uneven {
        let found = rows[place].0.to_string();
        let line = place as u64 + 2;
        return Err(bad_row(
            file,
            line,
            &labels[0],
            &found,
            "a time on the even grid of the other rows",
        ));
    }
    let steps = usize::try_from(index(rows[rows.len() - 1].0)).unwrap_or(0) + 1;
    if steps.saturating_mul(labels.len()) > CELLS_MAX {
        let (file, line) = (file.to_owned(), rows.len() as u64);
        return Err(TraceError::TooLarge {
            file,
            line,
            what: "the table with its gaps",
            limit: CELLS_MAX,
        });
    }
    let item = |column: usize| {
        let mut values = vec![f64::NAN; steps];
        for (at, cells) in rows {
            values[usize::try_from(index(*at)).unwrap_or(0)] = cells[column - 1];
        }
        let demand = Series::new(start, step, values);
        let (id, trigger) = (labels[column].clone(), String::new());
        TraceItem {
            id,
            trigger,
            demand,
            durations: None,
            memory: None,
        }
    };
    Ok((1..labels.len()).map(item).collect())
}

impl Iterator for WideItems {
    type Item = Result<TraceItem, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.items.next().map(Ok)
    }
}

impl Items for WideItems {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}
