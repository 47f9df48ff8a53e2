//! Trace formats: bytes in, one item at a time out.
//!
//! A format is one file here and one line in [`crate::registry::FORMATS`]. An empty cell is missing
//! and never zero; a bad row names its file, line and column, and ends the reading unless the
//! caller lets bad rows be skipped and counted. Times that stand twice or off an even grid follow
//! one named rule, [`grid::Uneven`], and what it did is counted and told.

pub mod azure2019;
pub mod azure2021;
pub mod azure_llm;
mod cell;
pub mod compress;
pub mod csv_long;
pub mod csv_wide;
pub mod error;
pub mod grid;
mod long;
pub mod m4;
pub mod mscloud;
pub mod nab;
pub mod numbers;
pub mod parquet;
pub mod prophet;
mod records;
mod requests;
pub mod source;
pub mod write;

use std::io::{self, Write};

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;

pub(crate) use error::bad_row;
pub use error::{TraceError, shown};
pub use grid::{Placed, Uneven};
pub use source::{Begin, Source};

use crate::registry::{FORMATS, format_names};

/// The longest line that is read: 1,440 columns of ten digits with room to spare.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// The most values that one item may have: two years of seconds.
pub const VALUES_MAX: usize = 63_072_000;

/// The most cells that are held where a form only gives its items whole at its end: 512 MiB.
pub const CELLS_MAX: usize = 64 << 20;

/// Bad rows that are remembered with their text; all are counted.
const BAD_ROWS_TOLD_MAX: usize = 10;

/// Characters of a note that names what stands in a file.
const NOTE_CHARACTERS_MAX: usize = 200;

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

/// How a trace is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Rows that cannot be read are skipped and counted.
    pub skip_bad_rows: bool,
    /// Time of the first value, for forms that hold no times; 1970-01-01 where absent.
    pub start: Option<Timestamp>,
    /// Step of forms that hold no steps; each has its default.
    pub step: Option<Span>,
    /// What becomes of times that stand twice or off the even grid; each form has its default.
    pub uneven: Option<Uneven>,
}

impl ReadOptions {
    /// Defaults, with bad rows skipped or not.
    #[must_use]
    pub fn skipping(skip_bad_rows: bool) -> Self {
        Self {
            skip_bad_rows,
            ..Self::default()
        }
    }
}

/// Items of one trace, one at a time.
pub trait Items: Iterator<Item = Result<TraceItem, TraceError>> {
    /// Bad rows that were skipped so far.
    fn skipped(&self) -> &Skipped;

    /// Points that were put onto an even grid so far.
    fn placed(&self) -> Placed {
        Placed::default()
    }

    /// Columns that are there and not read.
    fn unread(&self) -> &[String] {
        &[]
    }

    /// One sentence for each thing that a reader should know of how the trace was read so far.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.placed().notes();
        if let [first, ..] = self.unread() {
            let all = self.unread();
            let text = match all.len() {
                1 => format!("column {first} is not read"),
                count => format!("{count} columns are not read: {}", all.join(", ")),
            };
            notes.push(shown(&text, NOTE_CHARACTERS_MAX));
        }
        notes
    }
}

/// Takes the items of a trace one by one and writes them.
pub trait ItemWriter {
    /// Writes one item.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where the form cannot hold it, else what the writer gives.
    fn item(&mut self, item: &TraceItem) -> io::Result<()>;

    /// Writes what is still held, and the end.
    ///
    /// # Errors
    /// What the writer gives.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Where a writer of items puts its bytes.
pub type Out<'a> = &'a mut (dyn Write + Send);

/// One form of traces.
pub trait TraceFormat {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it holds, in one sentence.
    fn summary(&self) -> &'static str;
    /// `true` where a file that begins so is one of this form.
    fn matches(&self, begin: &Begin) -> bool;
    /// Reads a trace whose header was not yet taken off.
    ///
    /// # Errors
    /// [`TraceError`] where the header cannot be read.
    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError>;
    /// A writer of this form; `None` where it is only read.
    fn writer<'a>(&self, _out: Out<'a>) -> Option<Box<dyn ItemWriter + 'a>> {
        None
    }
}

/// Reads a trace in the named format, or in the first that its begin fits.
///
/// # Errors
/// [`TraceError`] where the file is empty, or its form is not known.
pub fn read_items(
    mut source: Source,
    format: Option<&str>,
    options: &ReadOptions,
) -> Result<Box<dyn Items>, TraceError> {
    let begin = source.begin()?;
    let fits = |f: &&&(dyn TraceFormat + Sync)| match format {
        Some(name) => f.name() == name,
        None => f.matches(&begin),
    };
    match FORMATS.iter().find(fits) {
        Some(found) => found.read(source, options),
        None => Err(TraceError::UnknownFormat {
            file: source.file,
            known: format_names().join(", "),
            header: shown(&begin.header, 60),
        }),
    }
}

/// The items with the most requests, the busiest first, and how many items there were.
///
/// Of equal ones the earlier counts; at most that many are held at once.
///
/// # Errors
/// The first [`TraceError`] of the items.
pub fn busiest(items: &mut dyn Items, most: usize) -> Result<(Vec<TraceItem>, usize), TraceError> {
    let mut held: Vec<(f64, TraceItem)> = Vec::new();
    let mut of = 0;
    for item in items {
        let item = item?;
        of += 1;
        let total = item.total();
        let place = held.partition_point(|(t, _)| *t >= total);
        if place < most {
            held.insert(place, (total, item));
            held.truncate(most);
        }
    }
    Ok((held.into_iter().map(|(_, item)| item).collect(), of))
}
