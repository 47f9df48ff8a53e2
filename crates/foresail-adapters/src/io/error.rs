//! Why a trace cannot be read: one variant per cause, with the place and the mend.

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
