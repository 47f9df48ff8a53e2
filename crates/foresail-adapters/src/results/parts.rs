//! Tables that are longer than memory: written part by part, as CSV or as Parquet.

use std::fmt::Debug;
use std::io::{self, Write};
use std::path::Path;

use super::Table;
use super::parquet_file::Groups;

/// Takes a table part by part; all parts have the same columns.
pub trait Parts: Debug {
    /// Writes the rows of one part.
    ///
    /// # Errors
    /// What the writer gives.
    fn add(&mut self, part: &Table) -> io::Result<()>;

    /// Writes what is still held, and the end.
    ///
    /// # Errors
    /// What the writer gives.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// The form that a file's name ends in: Parquet where it holds `.parquet`, else CSV.
///
/// # Errors
/// What the writer gives.
pub fn by_name<'a>(
    path: &Path,
    like: &Table,
    out: &'a mut (dyn Write + Send),
) -> io::Result<Box<dyn Parts + 'a>> {
    if path.to_string_lossy().contains(".parquet") {
        let groups = Groups::begin(like, out).map_err(io::Error::other)?;
        return Ok(Box::new(Parquet(groups)));
    }
    Ok(csv(out))
}

/// As CSV, whose header is written with the first part: what fails before it leaves nothing.
#[must_use]
pub fn csv<'a>(out: &'a mut dyn Write) -> Box<dyn Parts + 'a> {
    let writer = ::csv::Writer::from_writer(out);
    Box::new(Csv {
        writer,
        begun: false,
    })
}

#[derive(Debug)]
struct Parquet<'a>(Groups<'a>);

impl Parts for Parquet<'_> {
    fn add(&mut self, part: &Table) -> io::Result<()> {
        self.0.add(part).map_err(io::Error::other)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish().map_err(io::Error::other)
    }
}

struct Csv<'a> {
    writer: ::csv::Writer<&'a mut dyn Write>,
    begun: bool,
}

impl Debug for Csv<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csv").finish_non_exhaustive()
    }
}

impl Parts for Csv<'_> {
    fn add(&mut self, part: &Table) -> io::Result<()> {
        if !self.begun {
            part.write_head(&mut self.writer)?;
            self.begun = true;
        }
        part.write_rows(&mut self.writer)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Column, parquet_file};
    use super::*;

    fn part(from: i64, rows: i64) -> Table {
        let numbers: Vec<_> = (from..from + rows).map(Some).collect();
        let halves = numbers.iter().map(|n| n.map(|n| n as f64 / 2.0));
        Table {
            columns: vec![
                ("half".to_owned(), Column::Real(halves.collect())),
                ("number".to_owned(), Column::Int(numbers)),
            ],
        }
    }

    #[test]
    fn parts_read_as_the_whole_table_in_both_forms() {
        for name in ["rows.parquet", "rows.csv"] {
            let mut out = Vec::new();
            let mut parts = by_name(Path::new(name), &part(0, 0), &mut out).unwrap();
            parts.add(&part(0, 3)).unwrap();
            parts.add(&part(3, 4)).unwrap();
            parts.finish().unwrap();
            if name.ends_with("parquet") {
                assert_eq!(parquet_file::read(out.as_slice()).unwrap(), part(0, 7));
            } else {
                let mut whole = Vec::new();
                part(0, 7).write_csv(&mut whole).unwrap();
                assert_eq!(out, whole);
            }
        }
    }
}
