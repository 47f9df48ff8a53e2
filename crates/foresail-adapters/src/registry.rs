//! Every trace format by name.

use crate::io::TraceFormat;
use crate::io::azure2019::Azure2019;
use crate::io::csv_long::CsvLong;
use crate::io::csv_wide::CsvWide;

/// Every format, in the order in which a file is tried.
pub static FORMATS: [&(dyn TraceFormat + Sync); 3] = [&Azure2019, &CsvLong, &CsvWide];

/// The names of every format.
#[must_use]
pub fn format_names() -> Vec<&'static str> {
    FORMATS.iter().map(|f| f.name()).collect()
}
