//! Why a trace cannot be read: one variant per cause, with the place and the mend.

use super::Skipped;

/// Characters of a cell or a label that an error shows.
const SHOWN_MAX: usize = 40;

/// The begin of a text that came with a file, so that no control character of it reaches a terminal.
#[must_use]
pub fn shown(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for c in text.chars().take(most) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The system refused.
    #[error("cannot read {file}: {cause}")]
    Io {
        /// Which file.
        file: String,
        /// Why; the message holds it, so it is not told again as the error's cause.
        cause: std::io::Error,
    },
    /// The compressed stream ends before its end.
    #[error("{file} is cut short: {cause}; fetch it again")]
    CutShort {
        /// Which file.
        file: String,
        /// Why; told by the message alone.
        cause: std::io::Error,
    },
    /// The header line, without which no row can be read.
    #[error(
        "{file}, line 1, column {column}: found `{found}`, expected {expected}; mend the header, or name another format with --format"
    )]
    Header {
        /// Which file.
        file: String,
        /// Which column, by its label; `header` for the whole line.
        column: String,
        /// What stands there, cut to 40 characters.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// One row.
    #[error(
        "{file}, line {line}, column {column}: found `{found}`, expected {expected}; mend the row, or pass --skip-bad-rows"
    )]
    Row {
        /// Which file.
        file: String,
        /// Which line, counted from 1; which row of a Parquet file.
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
    /// Rows, but none that can be read.
    #[error("{file}: all {count} rows were skipped, so that no data is left; the first: {first}")]
    AllSkipped {
        /// Which file.
        file: String,
        /// How many.
        count: u64,
        /// What was wrong with the first.
        first: String,
    },
    /// Neither cut short nor readable.
    #[error("{file} cannot be read as {format}: {why}")]
    Broken {
        /// Which file.
        file: String,
        /// What it was taken for.
        format: &'static str,
        /// What is wrong, and the mend where there is one.
        why: String,
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
        "{file}, line {line}: {what} stands there twice; remove one of the rows, pass --skip-bad-rows to keep the first, or make the times even with foresail trace convert --uneven mean"
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
    pub fn io(file: &str, cause: std::io::Error) -> Self {
        let file = file.to_owned();
        match cause.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidInput => {
                Self::CutShort { file, cause }
            }
            _ => Self::Io { file, cause },
        }
    }

    /// The error of a file of which nothing is left once the bad rows were skipped.
    pub(crate) fn nothing_left(file: &str, skipped: &Skipped) -> Self {
        let file = file.to_owned();
        match skipped.told.first() {
            Some(first) => Self::AllSkipped {
                file,
                count: skipped.count,
                first: first.clone(),
            },
            None => Self::Empty { file },
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
    TraceError::Row {
        file: file.to_owned(),
        line,
        column: shown(column, SHOWN_MAX),
        found: shown(found, SHOWN_MAX),
        expected,
    }
}

/// The header's error; `column` is `header` where the whole line is meant.
pub(crate) fn bad_header(
    file: &str,
    column: &str,
    found: &str,
    expected: &'static str,
) -> TraceError {
    TraceError::Header {
        file: file.to_owned(),
        column: shown(column, SHOWN_MAX),
        found: shown(found, SHOWN_MAX),
        expected,
    }
}

/// The error of a second row for one thing.
pub(crate) fn twice(file: &str, line: u64, what: &str) -> TraceError {
    TraceError::Duplicate {
        file: file.to_owned(),
        line,
        what: shown(what, 4 * SHOWN_MAX),
    }
}
