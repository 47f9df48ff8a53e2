//! Trace formats: bytes in, one item at a time out.
//!
//! A format is one file here and one line in [`crate::registry::FORMATS`]. An empty cell is missing
//! and never zero; a bad row names its file, line and column, and ends the reading unless the
//! caller lets bad rows be skipped and counted.

pub mod azure2019;
pub mod compress;
pub mod csv_long;
pub mod csv_wide;
pub mod write;

use std::io::BufRead;

use foresail_core::quantity::trace::TraceItem;

use crate::registry::{FORMATS, format_names};

/// The longest line that is read: 1,440 columns of ten digits with room to spare.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// The most values that one item may have: two years of seconds.
pub const VALUES_MAX: usize = 63_072_000;

/// Bad rows that are remembered with their text; all are counted.
const BAD_ROWS_TOLD_MAX: usize = 10;

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The system refused.
    #[error("cannot read {file}: {source}")]
    Io {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The compressed stream ends before its end.
    #[error("{file} is cut short: {source}; fetch it again")]
    CutShort {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// One row.
    #[error(
        "{file}, line {line}, column {column}: found `{found}`, expected {expected}; mend the row, or pass --skip-bad-rows"
    )]
    Row {
        /// Which file.
        file: String,
        /// Which line, counted from 1.
        line: u64,
        /// Which column, by its label.
        column: String,
        /// What stands there, cut to 40 characters.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// Nothing in it.
    #[error("{file} has no data: expected a header line and at least one row")]
    Empty {
        /// Which file.
        file: String,
    },
    /// None of the known forms.
    #[error(
        "{file} is in none of the known formats ({known}); its header begins `{header}`. Name one with --format, or convert it to a CSV with the columns timestamp and count"
    )]
    UnknownFormat {
        /// Which file.
        file: String,
        /// The formats' names.
        known: String,
        /// The begin of the header.
        header: String,
    },
    /// Two rows for one thing.
    #[error(
        "{file}, line {line}: {what} stands there twice; remove one of the rows, or pass --skip-bad-rows"
    )]
    Duplicate {
        /// Which file.
        file: String,
        /// Which line.
        line: u64,
        /// What.
        what: String,
    },
    /// Larger than is read.
    #[error("{file}, line {line}: {what} is larger than the limit of {limit}; split the file")]
    TooLarge {
        /// Which file.
        file: String,
        /// Which line.
        line: u64,
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl TraceError {
    /// An error of the system, told apart from a stream that ends too early.
    #[must_use]
    pub fn io(file: &str, source: std::io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidInput => {
                Self::CutShort { file, source }
            }
            _ => Self::Io { file, source },
        }
    }

    /// `true` for an error of one row, which may be skipped.
    #[must_use]
    pub fn is_of_one_row(&self) -> bool {
        matches!(self, Self::Row { .. } | Self::Duplicate { .. })
    }
}

/// A row's error.
pub(crate) fn bad_row(
    file: &str,
    line: u64,
    column: &str,
    found: &str,
    expected: &'static str,
) -> TraceError {
    let found = found.chars().take(40).collect();
    TraceError::Row {
        file: file.to_owned(),
        line,
        column: column.to_owned(),
        found,
        expected,
    }
}

/// Bad rows that were skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first ones, as their errors say.
    pub told: Vec<String>,
}

impl Skipped {
    fn add(&mut self, error: &TraceError) {
        self.count += 1;
        if self.told.len() < BAD_ROWS_TOLD_MAX {
            self.told.push(error.to_string());
        }
    }
}

/// Items of one trace, one at a time.
pub trait Items: Iterator<Item = Result<TraceItem, TraceError>> {
    /// Bad rows that were skipped so far.
    fn skipped(&self) -> &Skipped;
}

/// One form of traces.
pub trait TraceFormat {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it holds, in one sentence.
    fn summary(&self) -> &'static str;
    /// `true` where a header line is one of this form.
    fn matches(&self, header: &str) -> bool;
    /// Reads a trace whose header was not yet taken off.
    ///
    /// # Errors
    /// [`TraceError`] where the header cannot be read.
    fn read(&self, source: Source, skip_bad_rows: bool) -> Result<Box<dyn Items>, TraceError>;
}

/// Decompressed bytes with the name of the file they come from.
pub struct Source {
    /// Its name, for errors.
    pub file: String,
    /// Its bytes.
    pub bytes: Box<dyn BufRead>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// A source of bytes as they are.
    #[must_use]
    pub fn new(file: &str, bytes: Box<dyn BufRead>) -> Self {
        Self {
            file: file.to_owned(),
            bytes,
        }
    }

    /// Reads one line without its end; `false` at the end of the file.
    pub(crate) fn line(&mut self, line: &mut Vec<u8>, number: u64) -> Result<bool, TraceError> {
        line.clear();
        loop {
            let buffer = self
                .bytes
                .fill_buf()
                .map_err(|e| TraceError::io(&self.file, e))?;
            let end = buffer.iter().position(|b| *b == b'\n');
            let taken = end.map_or(buffer.len(), |n| n + 1);
            line.extend_from_slice(&buffer[..end.unwrap_or(buffer.len())]);
            let at_end = buffer.is_empty();
            self.bytes.consume(taken);
            if line.len() > LINE_BYTES_MAX {
                let file = self.file.clone();
                return Err(TraceError::TooLarge {
                    file,
                    line: number,
                    what: "a line",
                    limit: LINE_BYTES_MAX,
                });
            }
            if at_end || end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(!(at_end && line.is_empty()));
            }
        }
    }

    /// The first line, left in place; empty for an empty file.
    fn peek_header(&mut self) -> Result<String, TraceError> {
        let mut line = Vec::new();
        if !self.line(&mut line, 1)? {
            return Err(TraceError::Empty {
                file: self.file.clone(),
            });
        }
        let header = String::from_utf8_lossy(&line)
            .trim_start_matches('\u{feff}')
            .to_owned();
        let mut again = header.clone().into_bytes();
        again.push(b'\n');
        let rest = std::mem::replace(&mut self.bytes, Box::new(std::io::empty()));
        self.bytes = Box::new(std::io::BufReader::with_capacity(
            1 << 16,
            std::io::Read::chain(std::io::Cursor::new(again), rest),
        ));
        Ok(header)
    }
}

/// Reads a trace in the named format, or in the first that its header fits.
///
/// # Errors
/// [`TraceError`] where the file is empty, or its form is not known.
pub fn read_items(
    mut source: Source,
    format: Option<&str>,
    skip_bad_rows: bool,
) -> Result<Box<dyn Items>, TraceError> {
    let header = source.peek_header()?;
    let fits = |f: &&&(dyn TraceFormat + Sync)| match format {
        Some(name) => f.name() == name,
        None => f.matches(&header),
    };
    match FORMATS.iter().find(fits) {
        Some(found) => found.read(source, skip_bad_rows),
        None => Err(TraceError::UnknownFormat {
            file: source.file,
            known: format_names().join(", "),
            header: header.chars().take(60).collect(),
        }),
    }
}
