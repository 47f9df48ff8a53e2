//! Long forms: one row per point, the rows of one series together; CSV and Parquet read alike.

use std::collections::BTreeSet;

use foresail_core::quantity::trace::TraceItem;

use super::grid::{Grid, Placed, Point, Uneven};
use super::{Items, ReadOptions, Skipped, TraceError, VALUES_MAX, bad_row};

/// What a row belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) series: String,
    pub(crate) trigger: String,
}

/// Rows of a long form in the order of the file.
pub(crate) trait Rows {
    /// The file's name.
    fn file(&self) -> &str;
    /// The label of the time column.
    fn time_label(&self) -> &str;
    /// Columns that are there and not read.
    fn unread(&self) -> &[String] {
        &[]
    }
    /// The next point; what it belongs to goes into `name`.
    fn next(&mut self, name: &mut Name) -> Result<Option<Point>, TraceError>;
}

/// Items made of the rows of a long form.
pub(crate) struct LongItems<R> {
    rows: R,
    rule: Uneven,
    /// A row that was read already: the first of the next series.
    held: Option<Point>,
    name: Name,
    done: BTreeSet<String>,
    skip_bad_rows: bool,
    skipped: Skipped,
    placed: Placed,
    failed: bool,
}

impl<R: Rows> LongItems<R> {
    /// Items of `rows`; points that fit no even grid follow the caller's rule, or this one.
    pub(crate) fn new(rows: R, options: &ReadOptions, rule: Uneven) -> Self {
        // Who skips bad rows wants the first of doubled times, whatever the form's own rule.
        let by_form = if options.skip_bad_rows {
            Uneven::Error
        } else {
            rule
        };
        Self {
            rows,
            rule: options.uneven.unwrap_or(by_form),
            held: None,
            name: Name::default(),
            done: BTreeSet::new(),
            skip_bad_rows: options.skip_bad_rows,
            skipped: Skipped::default(),
            placed: Placed::default(),
            failed: false,
        }
    }

    fn next_point(&mut self, name: &mut Name) -> Result<Option<Point>, TraceError> {
        loop {
            match self.rows.next(name) {
                Err(error) if self.skip_bad_rows && error.is_of_one_row() => {
                    self.skipped.add(&error);
                }
                other => return other,
            }
        }
    }

    /// All points of the next series, and what they belong to.
    fn next_block(&mut self) -> Result<Option<(Name, Vec<Point>)>, TraceError> {
        let mut name = std::mem::take(&mut self.name);
        let first = match self.held.take() {
            Some(point) => Some(point),
            None => self.next_point(&mut name)?,
        };
        let Some(first) = first else {
            return Ok(None);
        };
        let mut next = name.clone();
        let mut block = vec![first];
        while let Some(point) = self.next_point(&mut next)? {
            if next.series != name.series {
                self.held = Some(point);
                self.name = next;
                break;
            }
            if block.len() >= VALUES_MAX {
                return Err(TraceError::TooLarge {
                    file: self.rows.file().to_owned(),
                    line: point.line,
                    what: "one series",
                    limit: VALUES_MAX,
                });
            }
            block.push(point);
        }
        Ok(Some((name, block)))
    }

    fn next_item(&mut self) -> Result<Option<TraceItem>, TraceError> {
        let Some((name, block)) = self.next_block()? else {
            return if self.done.is_empty() {
                Err(TraceError::nothing_left(self.rows.file(), &self.skipped))
            } else {
                Ok(None)
            };
        };
        if !self.done.insert(name.series.clone()) {
            let expected = "all rows of a series together: sort the file by series, then by time";
            let (file, line) = (self.rows.file(), block[0].line);
            return Err(bad_row(file, line, "series", &name.series, expected));
        }
        let (skip, skipped) = (self.skip_bad_rows, &mut self.skipped);
        let mut grid = Grid {
            file: self.rows.file(),
            series: &name.series,
            column: self.rows.time_label(),
            rule: self.rule,
            refuse: &mut |error| {
                if skip {
                    skipped.add(&error);
                    return Ok(());
                }
                Err(error)
            },
        };
        let demand = grid.place(block, &mut self.placed)?;
        Ok(Some(TraceItem {
            id: name.series,
            trigger: name.trigger,
            demand,
            durations: None,
            memory: None,
        }))
    }
}

impl<R: Rows> Iterator for LongItems<R> {
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

impl<R: Rows> Items for LongItems<R> {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn placed(&self) -> Placed {
        self.placed
    }

    fn unread(&self) -> &[String] {
        self.rows.unread()
    }
}
