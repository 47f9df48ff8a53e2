//! Wide CSV: a time column, then one column per item.

use std::collections::BTreeSet;

use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::trace::TraceItem;

use super::cell::{TIME_EXPECTED, VALUE_EXPECTED, parse_time, parse_value};
use super::csv_long::{TIMES, place};
use super::error::bad_header;
use super::grid::{Grid, Placed, Point, Uneven};
use super::records::Records;
use super::write::WideWriter;
use super::{
    Begin, CELLS_MAX, ItemWriter, Items, Out, ReadOptions, Skipped, Source, TraceError, TraceFormat,
};

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

    fn matches(&self, begin: &Begin) -> bool {
        let labels = begin.labels();
        labels.len() > 1 && place(&labels[..1], &TIMES).is_some()
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        Ok(Box::new(WideItems::new(source, options)?))
    }

    fn writer<'a>(&self, out: Out<'a>) -> Option<Box<dyn ItemWriter + 'a>> {
        Some(Box::new(WideWriter::new(out)))
    }
}

/// One row: its time, its line, and one cell per column.
type Row = (Timestamp, u64, Vec<f64>);

/// Columns on even grids; they are only whole when the last row was read, so all are held.
struct WideItems {
    file: String,
    labels: Vec<String>,
    rows: Vec<Row>,
    /// The next column; 0 is the time.
    column: usize,
    rule: Uneven,
    skip_bad_rows: bool,
    skipped: Skipped,
    placed: Placed,
    failed: bool,
}

impl WideItems {
    fn new(source: Source, options: &ReadOptions) -> Result<Self, TraceError> {
        let mut records = Records::new(source)?;
        let mut seen = BTreeSet::new();
        if let Some(label) = records.labels.iter().find(|l| !seen.insert(l.as_str())) {
            let expected = "each column to stand there once";
            return Err(bad_header(&records.file, label, label, expected));
        }
        let mut this = Self {
            file: records.file.clone(),
            labels: records.labels.clone(),
            rows: Vec::new(),
            column: 1,
            rule: options.uneven.unwrap_or_default(),
            skip_bad_rows: options.skip_bad_rows,
            skipped: Skipped::default(),
            placed: Placed::default(),
            failed: false,
        };
        this.read_rows(&mut records)?;
        Ok(this)
    }

    fn read_rows(&mut self, records: &mut Records) -> Result<(), TraceError> {
        loop {
            match self.parse(records) {
                Ok(None) => break,
                Ok(Some(row)) => self.rows.push(row),
                Err(error) if self.skip_bad_rows && error.is_of_one_row() => {
                    self.skipped.add(&error);
                }
                Err(error) => return Err(error),
            }
            if self.rows.len() * self.labels.len() > CELLS_MAX {
                return Err(TraceError::TooLarge {
                    file: self.file.clone(),
                    line: self.rows.len() as u64,
                    what: "the table",
                    limit: CELLS_MAX,
                });
            }
        }
        if self.rows.is_empty() || self.labels.len() < 2 {
            return Err(TraceError::nothing_left(&self.file, &self.skipped));
        }
        Ok(())
    }

    /// The next row; `None` at the end.
    fn parse(&self, records: &mut Records) -> Result<Option<Row>, TraceError> {
        if !records.next()? {
            return Ok(None);
        }
        let at = parse_time(records.cell(0)).ok_or_else(|| records.bad(0, TIME_EXPECTED))?;
        let before = self.rows.last().map(|(at, ..)| *at);
        let equal_fits = self.rule != Uneven::Error;
        if before.is_some_and(|before| at < before || (at == before && !equal_fits)) {
            return Err(records.bad(0, "a time after that of the row before"));
        }
        let cell =
            |i: usize| parse_value(records.cell(i)).ok_or_else(|| records.bad(i, VALUE_EXPECTED));
        let cells = (1..self.labels.len()).map(cell);
        Ok(Some((at, records.line(), cells.collect::<Result<_, _>>()?)))
    }

    fn next_item(&mut self) -> Result<Option<TraceItem>, TraceError> {
        let Some(label) = self.labels.get(self.column) else {
            return Ok(None);
        };
        let points = self.rows.iter().map(|(at, line, cells)| Point {
            at: *at,
            value: cells[self.column - 1],
            line: *line,
        });
        // A time that is refused is one bad row, however many columns it has.
        let (skip, first, skipped) = (self.skip_bad_rows, self.column == 1, &mut self.skipped);
        let mut grid = Grid {
            file: &self.file,
            series: label,
            column: &self.labels[0],
            rule: self.rule,
            refuse: &mut |error| match (skip, first) {
                (false, _) => Err(error),
                (true, false) => Ok(()),
                (true, true) => {
                    skipped.add(&error);
                    Ok(())
                }
            },
        };
        let demand = grid.place(points.collect(), &mut self.placed)?;
        self.column += 1;
        Ok(Some(TraceItem {
            id: label.clone(),
            trigger: String::new(),
            demand,
            durations: None,
            memory: None,
        }))
    }
}

impl Iterator for WideItems {
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

impl Items for WideItems {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn placed(&self) -> Placed {
        self.placed
    }
}
