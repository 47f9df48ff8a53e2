//! Rows of windows on their way to a file or to stdout, held a part at a time.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use foresail_adapters::atomic::write_file;
use foresail_adapters::io::compress;
use foresail_adapters::results::parts::{Parts, by_name, csv};
use foresail_adapters::results::{Column, Table};

use crate::cli::Output;

/// Rows of a part: with the features of both sets 12 MiB.
const PART_ROWS: usize = 1 << 14;

/// What a column holds.
#[derive(Clone, Copy)]
pub(super) enum Holds {
    Text,
    Int,
    Real,
}

/// One value of a row; a number that is none is missing.
pub(super) enum Cell {
    Text(String),
    Int(i64),
    Real(f64),
}

/// Takes rows.
pub(super) struct Rows<'a> {
    part: Table,
    /// Where they go; nowhere where only their sum is printed.
    to: Option<Box<dyn Parts + 'a>>,
    /// Rows so far.
    pub(super) count: u64,
}

impl Rows<'_> {
    /// Takes one row of as many cells as there are columns.
    pub(super) fn push(&mut self, cells: impl Iterator<Item = Cell>) -> Result<()> {
        self.count += 1;
        if self.to.is_none() {
            return Ok(());
        }
        for ((_, column), cell) in self.part.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(v), Cell::Text(text)) => v.push(Some(text)),
                (Column::Int(v), Cell::Int(number)) => v.push(Some(number)),
                (Column::Real(v), Cell::Real(number)) => {
                    v.push(Some(number).filter(|n| !n.is_nan()));
                }
                (Column::Text(v), _) => v.push(None),
                (Column::Int(v), _) => v.push(None),
                (Column::Real(v), _) => v.push(None),
            }
        }
        if self.part.rows() >= PART_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(to) = &mut self.to {
            to.add(&self.part).context("the rows were not written")?;
        }
        self.part.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<u64> {
        self.flush()?;
        if let Some(to) = self.to {
            to.finish().context("the rows were not written")?;
        }
        Ok(self.count)
    }
}

/// An empty table of these columns.
fn empty(columns: &[(&str, Holds)]) -> Table {
    let column = |(name, holds): &(&str, Holds)| {
        let column = match holds {
            Holds::Text => Column::Text(Vec::new()),
            Holds::Int => Column::Int(Vec::new()),
            Holds::Real => Column::Real(Vec::new()),
        };
        ((*name).to_owned(), column)
    };
    Table {
        columns: columns.iter().map(column).collect(),
    }
}

/// Puts the rows that `fill` makes into a file, or on stdout where CSV is asked for; a file is there
/// whole or not at all. `true` where they went to stdout.
///
/// # Errors
/// What `fill` gives, and where the place cannot be written.
pub(super) fn write(
    columns: &[(&str, Holds)],
    file: Option<&Path>,
    output: Output,
    out: &mut dyn Write,
    fill: impl FnOnce(&mut Rows<'_>) -> Result<()>,
) -> Result<bool> {
    let part = empty(columns);
    let Some(path) = file else {
        let printed = output == Output::Csv;
        let to = printed.then(|| csv(out));
        let mut rows = Rows { part, to, count: 0 };
        fill(&mut rows)?;
        rows.finish()?;
        return Ok(printed);
    };
    let (mut failed, mut count) = (None, 0);
    let written = write_file(path, |w| {
        compress::write_as(path, w, |w| {
            let to = by_name(path, &part, w)?;
            let mut rows = Rows {
                part,
                to: Some(to),
                count: 0,
            };
            match fill(&mut rows).and_then(|()| rows.finish()) {
                Ok(rows) => count = rows,
                Err(error) => {
                    failed = Some(error);
                    return Err(io::Error::other("the reading ended"));
                }
            }
            Ok(())
        })
    });
    // What went wrong before anything was to be written is no fault of the place.
    if let Some(error) = failed {
        return Err(error);
    }
    written.context("the rows were not written")?;
    eprintln!("{}: {count} rows", path.display());
    Ok(false)
}
