//! How a trace is read: the flags that every command with a trace of its own shares.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use foresail_adapters::io::{Items, ReadOptions, Uneven};
use foresail_adapters::registry::format_names;
use foresail_core::quantity::time::{Span, Timestamp};

use crate::compare::trace::open;

/// How a trace is read.
#[derive(Args, Clone, Debug)]
pub struct Reading {
    /// Its format, where its begin does not tell
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(format_names()))]
    format: Option<String>,
    /// Skip rows that cannot be read, and say how many
    #[arg(long)]
    skip_bad_rows: bool,
    /// Times that stand twice or off the even grid: error; first, last, mean or sum of a step's
    /// values; rows = each row is a step. nab and mscloud take the mean where nothing is said
    #[arg(long, value_name = "RULE")]
    uneven: Option<Uneven>,
    /// Time of the first value, for formats without times
    #[arg(long, value_name = "RFC3339")]
    start: Option<Timestamp>,
    /// Length of a step, for formats without times and those with a row per request
    #[arg(long, value_name = "SPAN", value_parser = positive, allow_hyphen_values = true)]
    step: Option<Span>,
}

/// A span above zero.
fn positive(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e| format!("{e}"))?;
    if span > Span::ZERO {
        Ok(span)
    } else {
        Err("must be above zero".to_owned())
    }
}

impl Reading {
    /// Opens a trace: a file, or a folder of Azure day files.
    ///
    /// # Errors
    /// Where it is not there or its form is not known.
    pub fn open(&self, file: &Path) -> Result<Box<dyn Items>> {
        let options = ReadOptions {
            skip_bad_rows: self.skip_bad_rows,
            start: self.start,
            step: self.step,
            uneven: self.uneven,
        };
        open(file, self.format.as_deref(), &options)
    }

    /// `true` where bad rows are skipped.
    #[must_use]
    pub fn skips_bad_rows(&self) -> bool {
        self.skip_bad_rows
    }

    /// Refuses what was read so far where its rows are not in the order of time, unless a rule says
    /// what becomes of uneven times.
    ///
    /// # Errors
    /// Where a row stood after one of a later time.
    pub fn check_order(&self, items: &dyn Items, file: &Path) -> Result<()> {
        let count = items.placed().unordered;
        if count > 0 && self.uneven.is_none() {
            let name = file.display();
            bail!(
                "{name}: {count} rows stand after one of a later time; sort the file by time, or put them in order with --uneven first"
            );
        }
        Ok(())
    }
}

/// Says on stderr what was done to rows that did not fit.
pub fn tell(items: &dyn Items) {
    let skipped = items.skipped();
    if let Some(first) = skipped.told.first() {
        let count = skipped.count;
        eprintln!("note: {count} rows were skipped; the first: {first}");
    }
    for note in items.notes() {
        eprintln!("note: {note}");
    }
}
