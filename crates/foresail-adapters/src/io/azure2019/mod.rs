//! Azure Functions 2019: invocations per function and minute, durations, memory.
//!
//! Source: AzurePublicDataset, AzureFunctionsDataset2019.md. Columns are read by their label, in any
//! order (an excerpt may begin at minute 480); a minute between the first and the last that has no
//! label is missing. Any trigger text is taken, quoted or not; several rows of one function with
//! different triggers belong together. The days carry no date; day 1 is taken for Monday,
//! 15 July 2019, whose days 6 and 7 are the weekend as in the data set.

mod columns;
pub mod days;
pub mod percentiles;
mod row;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;

pub use days::{Days, Kind, day_files};
pub use percentiles::{ByName, join, read_percentiles};

use super::error::twice;
use super::write::AzureWriter;
use super::{Begin, ItemWriter, Items, Out, ReadOptions, Skipped, Source, TraceError, TraceFormat};
use columns::Columns;
use row::{Row, parse_row};

/// Begin of day 1: Monday, 15 July 2019, 00:00 UTC.
const DAY_ONE: Timestamp = Timestamp::from_seconds(1_563_148_800);

/// Begin of a day of the data set, counted from 1.
#[must_use]
pub fn day_begin(day: usize) -> Timestamp {
    DAY_ONE + Span::from_seconds(86_400 * (day as i64 - 1))
}

const MINUTE: Span = Span::from_seconds(60);
const MINUTES: usize = 1440;

/// The format.
#[derive(Debug)]
pub struct Azure2019;

impl TraceFormat for Azure2019 {
    fn name(&self) -> &'static str {
        "azure2019"
    }

    fn summary(&self) -> &'static str {
        "Azure Functions 2019: HashOwner,HashApp,HashFunction,Trigger and a column per minute"
    }

    fn matches(&self, begin: &Begin) -> bool {
        columns::are_of_days(&begin.labels())
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        let rows = Rows::new(source, options.skip_bad_rows)?;
        Ok(Box::new(DayItems::new(rows, 1)))
    }

    fn writer<'a>(&self, out: Out<'a>) -> Option<Box<dyn ItemWriter + 'a>> {
        Some(Box::new(AzureWriter::new(out)))
    }
}

/// Rows of one day file.
struct Rows {
    source: Source,
    columns: Columns,
    line: Vec<u8>,
    number: u64,
    skip_bad_rows: bool,
    skipped: Skipped,
}

impl Rows {
    fn new(mut source: Source, skip_bad_rows: bool) -> Result<Self, TraceError> {
        let mut line = Vec::new();
        if !source.line(&mut line, 1)? {
            return Err(TraceError::Empty { file: source.file });
        }
        let header = String::from_utf8_lossy(&line).into_owned();
        let columns = Columns::of(&source.file, &header)?;
        Ok(Self {
            source,
            columns,
            line,
            number: 1,
            skip_bad_rows,
            skipped: Skipped::default(),
        })
    }

    /// The next row that can be read.
    fn next(&mut self) -> Result<Option<Row>, TraceError> {
        loop {
            self.number += 1;
            if !self.source.line(&mut self.line, self.number)? {
                return Ok(None);
            }
            if self.line.is_empty() {
                continue;
            }
            match parse_row(&self.source.file, self.number, &self.line, &self.columns) {
                Err(error) if self.skip_bad_rows && error.is_of_one_row() => {
                    self.skipped.add(&error);
                }
                other => return other.map(Some),
            }
        }
    }
}

/// Items of one day file; rows of one function that follow each other belong together.
struct DayItems {
    rows: Rows,
    start: Timestamp,
    held: Option<Row>,
    seen: std::collections::BTreeSet<[u8; 16]>,
    failed: bool,
    any: bool,
}

/// A short fingerprint of a name and its trigger: what makes a row its own.
fn fingerprint(id: &str, trigger: &str) -> [u8; 16] {
    // FNV-1a over 128 bits: names are hashes already, so that nothing stronger is needed.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in id.bytes().chain([0]).chain(trigger.bytes()) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    hash.to_le_bytes()
}

impl DayItems {
    fn new(rows: Rows, day: usize) -> Self {
        let start = day_begin(day) + Span::from_seconds(60 * rows.columns.first as i64);
        let seen = std::collections::BTreeSet::new();
        Self {
            rows,
            start,
            held: None,
            seen,
            failed: false,
            any: false,
        }
    }

    fn next_row(&mut self) -> Result<Option<Row>, TraceError> {
        loop {
            let Some(row) = self.rows.next()? else {
                return Ok(None);
            };
            if self.seen.insert(fingerprint(&row.id, &row.trigger)) {
                return Ok(Some(row));
            }
            let what = format!("function {} with trigger {}", row.id, row.trigger);
            let error = twice(&self.rows.source.file, row.line, &what);
            if !self.rows.skip_bad_rows {
                return Err(error);
            }
            self.rows.skipped.add(&error);
        }
    }

    fn next_item(&mut self) -> Result<Option<TraceItem>, TraceError> {
        let first = match self.held.take() {
            Some(row) => Some(row),
            None => self.next_row()?,
        };
        let Some(mut row) = first else {
            let (file, skipped) = (&self.rows.source.file, &self.rows.skipped);
            return if self.any {
                Ok(None)
            } else {
                Err(TraceError::nothing_left(file, skipped))
            };
        };
        self.any = true;
        while let Some(next) = self.next_row()? {
            if next.id != row.id {
                self.held = Some(next);
                break;
            }
            add(&mut row.counts, &next.counts);
            row.trigger = format!("{}+{}", row.trigger, next.trigger);
        }
        Ok(Some(item(
            row.id,
            row.trigger,
            Series::new(self.start, MINUTE, row.counts),
        )))
    }
}

/// Adds counts of the same minutes; what is missing in one is that of the other.
fn add(counts: &mut [f64], more: &[f64]) {
    for (count, add) in counts.iter_mut().zip(more) {
        *count = match (count.is_nan(), add.is_nan()) {
            (_, true) => *count,
            (true, false) => *add,
            (false, false) => *count + add,
        };
    }
}

fn item(id: String, trigger: String, demand: Series) -> TraceItem {
    TraceItem {
        id,
        trigger,
        demand,
        durations: None,
        memory: None,
    }
}

impl Iterator for DayItems {
    type Item = Result<TraceItem, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_item().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl Items for DayItems {
    fn skipped(&self) -> &Skipped {
        &self.rows.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Cursor;
    use std::path::PathBuf;

    fn read(text: &str, skip: bool) -> Result<Vec<TraceItem>, TraceError> {
        let source = Source::new("day.csv", Box::new(Cursor::new(text.as_bytes().to_vec())));
        super::super::read_items(source, None, &ReadOptions::skipping(skip))?.collect()
    }

    const HEADER: &str = "HashOwner,HashApp,HashFunction,Trigger,480,481,482\n";

    #[test]
    fn columns_are_read_by_their_label_and_empty_is_missing() {
        let items = read(&format!("{HEADER}o,a,f,timer,1,,3\n"), false).unwrap();
        let demand = &items[0].demand;
        assert_eq!(demand.start(), day_begin(1) + Span::from_seconds(479 * 60));
        assert_eq!(
            [demand.get(0), demand.get(1), demand.get(2)],
            [Some(1.0), None, Some(3.0)]
        );
    }

    #[test]
    fn rows_of_one_function_with_other_triggers_are_added() {
        let items = read(
            &format!("{HEADER}o,a,f,timer,1,,3\no,a,f,my own,1,2,\no,a,g,http,0,0,0\n"),
            false,
        )
        .unwrap();
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].trigger, "timer+my own");
        assert_eq!(
            items[0].demand.iter().collect::<Vec<_>>(),
            [Some(2.0), Some(2.0), Some(3.0)]
        );
    }

    #[test]
    fn a_bad_cell_is_named_with_its_line_and_label() {
        for (row, place) in [
            ("o,a,f,timer,1,-2,3", "line 2, column 481: found `-2`"),
            ("o,a,f,timer,1,NaN,3", "line 2, column 481: found `NaN`"),
            ("o,a,f,timer,1,2", "line 2, column 482"),
            ("o,a,f,timer,1,2,3,4", "after the last"),
            ("o,a,,timer,1,2,3", "HashFunction"),
        ] {
            let error = read(&format!("{HEADER}{row}\n"), false)
                .unwrap_err()
                .to_string();
            assert!(error.contains(place), "{row}: {error}");
            assert!(error.contains("--skip-bad-rows"), "{error}");
        }
    }

    #[test]
    fn bad_rows_can_be_skipped_and_are_counted() {
        let text = format!("{HEADER}o,a,f,timer,x,2,3\no,a,g,timer,1,2,3\no,a,g,timer,1,2,3\n");
        let source = Source::new("day.csv", Box::new(Cursor::new(text.into_bytes())));
        let mut items =
            super::super::read_items(source, None, &ReadOptions::skipping(true)).unwrap();
        assert_eq!(items.by_ref().filter_map(Result::ok).count(), 1);
        assert_eq!(items.skipped().count, 2);
    }

    #[test]
    fn columns_may_stand_in_any_order_and_a_minute_without_a_label_is_missing() {
        let names = "HashOwner,HashApp,HashFunction,Trigger";
        let items = read(&format!("{names},3,1,2\no,a,f,timer,7,,9\n"), false).unwrap();
        let demand = &items[0].demand;
        assert_eq!(demand.start(), day_begin(1));
        assert_eq!(
            demand.iter().collect::<Vec<_>>(),
            [None, Some(9.0), Some(7.0)]
        );
        let items = read(&format!("{names},1,3,4\no,a,f,timer,7,8,9\n"), false).unwrap();
        assert_eq!(
            items[0].demand.iter().collect::<Vec<_>>(),
            [Some(7.0), None, Some(8.0), Some(9.0)]
        );
        let error = read(&format!("{names},3,1,4\no,a,f,timer,7,x,9\n"), false).unwrap_err();
        assert!(error.to_string().contains("column 1: found `x`"), "{error}");
        for (labels, want) in [
            (
                "1,2,1",
                "column 1: found `1`, expected each minute label to stand there once",
            ),
            (
                "0,1",
                "column 0: found `0`, expected a minute label of 1 to 1440",
            ),
            ("1440,1441", "column 1441"),
            ("1,noon", "column noon"),
        ] {
            let text = format!("{names},{labels}\no,a,f,timer,1,2,3\n");
            let error = read(&text, true).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
            assert!(!error.contains("--skip-bad-rows"), "{error}");
        }
    }

    #[test]
    fn cells_and_labels_may_be_quoted_and_hold_a_comma() {
        let quoted = HEADER.trim_end().split(',').map(|l| format!("\"{l}\""));
        let header = quoted.collect::<Vec<_>>().join(",");
        let text = format!(
            "{header}\n\"o\",\"a\",\"f\",\"timer, daily\",\"1\",\"\",3\no,a,g,\"a \"\"b\"\"\",1,2,3\no,a,h,http,\"4\",5,6\n"
        );
        let items = read(&text, false).unwrap();
        let shape: Vec<_> = items
            .iter()
            .map(|i| {
                (
                    i.id.as_str(),
                    i.trigger.as_str(),
                    i.demand.gaps(),
                    i.total(),
                )
            })
            .collect();
        assert_eq!(
            shape,
            [
                ("o/a/f", "timer, daily", 1, 4.0),
                ("o/a/g", "a \"b\"", 0, 6.0),
                ("o/a/h", "http", 0, 15.0)
            ]
        );
        for (row, want) in [
            ("o,a,f,\"timer, daily\",1,x,3", "column 481: found `x`"),
            ("o,a,f,\"timer, daily\",1,2", "column 482"),
            ("o,a,\"\",\"timer\",1,2,3", "HashFunction"),
            ("o,a,f,\"timer,1,2,3", "column 480"),
        ] {
            let error = read(&format!("{header}\n{row}\n"), false)
                .unwrap_err()
                .to_string();
            assert!(error.contains(want), "{row}: {error}");
        }
    }

    #[test]
    fn once_every_row_is_skipped_the_error_says_so() {
        let text = format!("{HEADER}o,a,f,timer,x,2,3\no,a,g,timer,1,2\n");
        let error = read(&text, true).unwrap_err().to_string();
        assert!(
            error.contains("all 2 rows were skipped") && error.contains("column 480: found `x`"),
            "{error}"
        );
    }

    #[test]
    fn control_characters_of_a_file_do_not_reach_an_error() {
        let text = "time\u{1b}[31m,taste\u{7}\nred,sweet\n";
        let error = read(text, false).unwrap_err().to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
        assert!(error.contains("time\\u{1b}[31m,taste"), "{error}");
        let text = format!("{HEADER}o,a,f,t,\u{1b}[2J,2,3\n");
        let error = read(&text, false).unwrap_err().to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }

    /// Day files with these columns and rows, by day, in a folder that lives as long as they do.
    fn days(files: &[(usize, usize, &str)]) -> (tempfile::TempDir, BTreeMap<usize, PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        for (day, minutes, names) in files {
            let name = format!("invocations_per_function_md.anon.d{day:02}.csv");
            let labels: Vec<String> = (1..=*minutes).map(|m| m.to_string()).collect();
            let row = |name: char| {
                let counts = vec![day.to_string(); *minutes].join(",");
                format!("o,a,{name},http,{counts}\n")
            };
            let rows: String = names.chars().map(row).collect();
            let header = format!("{},{}\n", columns::NAMES.join(","), labels.join(","));
            std::fs::write(folder.path().join(name), header + &rows).unwrap();
        }
        let found = day_files(folder.path(), Kind::Invocations).unwrap();
        (folder, found)
    }

    /// Name, total, steps and gaps of each item.
    fn sums(files: BTreeMap<usize, PathBuf>) -> Vec<(String, f64, usize, usize)> {
        let items = Days::open(files, false).unwrap().map(Result::unwrap);
        items
            .map(|i| (i.id.clone(), i.total(), i.demand.len(), i.demand.gaps()))
            .collect()
    }

    #[test]
    fn a_function_absent_from_a_whole_day_had_no_request_that_day() {
        let (_folder, files) = days(&[(1, MINUTES, "f"), (2, MINUTES, "g")]);
        let want = [("o/a/f", 1440.0, 2880, 0), ("o/a/g", 2880.0, 2880, 0)];
        assert_eq!(
            sums(files),
            want.map(|(i, t, n, g)| (i.to_owned(), t, n, g))
        );
    }

    #[test]
    fn a_day_without_a_file_and_a_minute_without_a_column_are_missing() {
        let (_folder, files) = days(&[(2, MINUTES, "fg"), (4, 96, "f")]);
        let items: Vec<_> = Days::open(files.clone(), false)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let demand = &items[0].demand;
        assert_eq!((demand.start(), demand.len()), (day_begin(2), 3 * MINUTES));
        let at = [0, 1440, 2 * 1440 + 95, 2 * 1440 + 96].map(|i| demand.get(i));
        assert_eq!(at, [Some(2.0), None, Some(4.0), None]);
        // A partial file does not tell that a function had no request.
        let want = [
            ("o/a/f", 2880.0 + 384.0, 4320, 2880 - 96),
            ("o/a/g", 2880.0, 4320, 2880),
        ];
        assert_eq!(
            sums(files),
            want.map(|(i, t, n, g)| (i.to_owned(), t, n, g))
        );
    }
}
