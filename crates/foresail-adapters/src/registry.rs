//! Every trace format by name.

use crate::io::TraceFormat;
use crate::io::azure_llm::AzureLlm;
use crate::io::azure2019::Azure2019;
use crate::io::azure2019::percentiles::Azure2019Percentiles;
use crate::io::azure2021::Azure2021;
use crate::io::csv_long::CsvLong;
use crate::io::csv_wide::CsvWide;
use crate::io::m4::M4;
use crate::io::mscloud::Mscloud;
use crate::io::nab::Nab;
use crate::io::numbers::Numbers;
use crate::io::parquet::Parquet;
use crate::io::prophet::Prophet;

/// Every format, in the order in which a file is tried.
pub static FORMATS: [&(dyn TraceFormat + Sync); 12] = [
    &Parquet,
    &Azure2019,
    &Azure2019Percentiles,
    &Azure2021,
    &AzureLlm,
    &Nab,
    &Mscloud,
    &Prophet,
    &CsvLong,
    &CsvWide,
    &M4,
    &Numbers,
];

/// The names of every format.
#[must_use]
pub fn format_names() -> Vec<&'static str> {
    FORMATS.iter().map(|f| f.name()).collect()
}

/// The formats that can be written.
#[must_use]
pub fn written_formats() -> Vec<&'static str> {
    let can = |f: &&&(dyn TraceFormat + Sync)| f.writer(&mut std::io::sink()).is_some();
    FORMATS.iter().filter(can).map(|f| f.name()).collect()
}
