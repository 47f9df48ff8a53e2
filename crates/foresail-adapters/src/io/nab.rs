//! The Numenta Anomaly Benchmark's CSV: naive local times, some doubled, some off the grid.
//!
//! Source: numenta/NAB, `data/*/*.csv` (`timestamp,value`), or its files joined with a `series`
//! column. The times carry no zone and are taken as UTC. In some series the twelve rows of the hour
//! in which clocks went forward have one stamp, off the five minutes, and the hour before it is a
//! gap; the mean of a step counts, and it is told.

use super::{Begin, Items, ReadOptions, Source, TraceError, TraceFormat, Uneven, csv_long};

/// The format.
#[derive(Debug)]
pub struct Nab;

impl TraceFormat for Nab {
    fn name(&self) -> &'static str {
        "nab"
    }

    fn summary(&self) -> &'static str {
        "NAB: timestamp,value or series,timestamp,value with times such as 2014-02-14 14:30:00; several points of a step give their mean"
    }

    fn matches(&self, begin: &Begin) -> bool {
        let labels = begin.labels();
        let known = labels == ["timestamp", "value"] || labels == ["series", "timestamp", "value"];
        known && is_naive(&begin.row, labels.len() - 2)
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        csv_long::items(source, options, Uneven::Mean, &[])
    }
}

/// `true` where the cell of a row is a time with a space and no zone, as `2014-02-14 14:30:00`.
fn is_naive(row: &str, place: usize) -> bool {
    let cell = row.split(',').nth(place).unwrap_or("").trim_matches('"');
    cell.len() == 19 && cell.as_bytes()[10] == b' '
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_without_a_zone_make_a_file_one_of_nab() {
        for (header, row, want) in [
            ("timestamp,value", "2014-02-14 14:30:00,0.132", true),
            ("series,timestamp,value", "a,2014-02-14 14:30:00,0.1", true),
            ("timestamp,value", "2014-02-14T14:30:00Z,0.132", false),
            ("timestamp,count", "2014-02-14 14:30:00,1", false),
            ("timestamp,value", "", false),
        ] {
            let (header, row) = (header.to_owned(), row.to_owned());
            assert_eq!(Nab.matches(&Begin { header, row }), want);
        }
    }
}
