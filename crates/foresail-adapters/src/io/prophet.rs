//! Prophet's examples: `ds,y`, a row per day or calendar month.
//!
//! Source: facebook/prophet, `examples/*.csv`. Dates are UTC midnights. Months are of unequal
//! length: they stand on steps of their mean, one after another, and that is told. Some of the
//! examples hold logarithms (`wp_log_peyton_manning`): they are read as they are.

use super::{Begin, Items, ReadOptions, Source, TraceError, TraceFormat, Uneven, csv_long};

/// The format.
#[derive(Debug)]
pub struct Prophet;

impl TraceFormat for Prophet {
    fn name(&self) -> &'static str {
        "prophet"
    }

    fn summary(&self) -> &'static str {
        "Prophet's ds,y: a row per day, hour or calendar month"
    }

    fn matches(&self, begin: &Begin) -> bool {
        begin.labels() == ["ds", "y"]
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        csv_long::items(source, options, Uneven::Error, &[])
    }
}
