//! Azure Functions 2019: invocations per function and minute, durations, memory.
//!
//! Source: AzurePublicDataset, AzureFunctionsDataset2019.md. Columns are read by their label (an
//! excerpt may begin at minute 480); any trigger text is taken; several rows of one function with
//! different triggers belong together. The days carry no date; day 1 is taken for Monday,
//! 15 July 2019, whose days 6 and 7 are the weekend as in the data set.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::{Percentiles, TraceItem};

use super::{Items, Skipped, Source, TraceError, TraceFormat, bad_row, compress};

/// Begin of day 1: Monday, 15 July 2019, 00:00 UTC.
const DAY_ONE: Timestamp = Timestamp::from_seconds(1_563_148_800);

/// Begin of a day of the data set, counted from 1.
#[must_use]
pub fn day_begin(day: usize) -> Timestamp {
    DAY_ONE + Span::from_seconds(86_400 * (day as i64 - 1))
}

const MINUTE: Span = Span::from_seconds(60);
const MINUTES: usize = 1440;

/// Counts that are held at once while several days are joined: 64 Mi of four bytes.
const CELLS_HELD_MAX: u64 = 64 << 20;

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

    fn matches(&self, header: &str) -> bool {
        header.starts_with("HashOwner,HashApp,HashFunction,Trigger,")
    }

    fn read(&self, source: Source, skip_bad_rows: bool) -> Result<Box<dyn Items>, TraceError> {
        Ok(Box::new(DayItems::new(
            Rows::new(source, skip_bad_rows)?,
            1,
        )))
    }
}

/// One row of a day file.
struct Row {
    id: String,
    trigger: String,
    line: u64,
    /// One count per minute column; NaN where the cell is empty.
    counts: Vec<f64>,
}

/// Rows of one day file.
struct Rows {
    source: Source,
    /// First minute of the columns, counted from 0.
    first: usize,
    columns: usize,
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
        let (first, columns) = minute_columns(&source.file, &header)?;
        Ok(Self {
            source,
            first,
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
            match parse_row(
                &self.source.file,
                self.number,
                &self.line,
                self.first,
                self.columns,
            ) {
                Err(error) if self.skip_bad_rows && error.is_of_one_row() => {
                    self.skipped.add(&error);
                }
                other => return other.map(Some),
            }
        }
    }
}

/// First minute and number of the minute columns, whose labels must follow one another.
fn minute_columns(file: &str, header: &str) -> Result<(usize, usize), TraceError> {
    let labels: Vec<&str> = header.split(',').collect();
    let expected = "HashOwner,HashApp,HashFunction,Trigger and minute labels 1 to 1440 in order";
    let bad = |column: &str, found: &str| Err(bad_row(file, 1, column, found, expected));
    if labels.len() < 5 || labels[..4] != ["HashOwner", "HashApp", "HashFunction", "Trigger"] {
        return bad("header", header);
    }
    let first: usize = match labels[4].parse() {
        Ok(first) if (1..=MINUTES).contains(&first) => first,
        _ => return bad(labels[4], labels[4]),
    };
    for (i, label) in labels[4..].iter().enumerate() {
        if label.parse() != Ok(first + i) || first + i > MINUTES {
            return bad(label, label);
        }
    }
    Ok((first - 1, labels.len() - 4))
}

fn parse_row(
    file: &str,
    number: u64,
    line: &[u8],
    first: usize,
    columns: usize,
) -> Result<Row, TraceError> {
    let mut fields = line.splitn(5, |b| *b == b',');
    let mut text = |column: &str| {
        let field = fields.next().unwrap_or_default();
        let field = std::str::from_utf8(field).ok().filter(|f| !f.is_empty());
        field.ok_or_else(|| bad_row(file, number, column, "", "a name"))
    };
    let (owner, app, function) = (text("HashOwner")?, text("HashApp")?, text("HashFunction")?);
    let trigger = text("Trigger")?.to_owned();
    let id = format!("{owner}/{app}/{function}");
    let rest = fields.next().unwrap_or_default();
    let counts = parse_counts(rest, columns).map_err(|(place, found)| {
        let column = if place < columns {
            (first + place + 1).to_string()
        } else {
            "after the last".to_owned()
        };
        let expected =
            "a whole count of 0 or more, nothing where it is missing, and one cell per label";
        bad_row(file, number, &column, &found, expected)
    })?;
    Ok(Row {
        id,
        trigger,
        line: number,
        counts,
    })
}

/// The cells of a row; the place and text of the first that is no count.
fn parse_counts(bytes: &[u8], columns: usize) -> Result<Vec<f64>, (usize, String)> {
    let mut counts = Vec::with_capacity(columns);
    let (mut value, mut digits, mut bad) = (0_u64, 0_u32, false);
    let mut begin = 0;
    let mut close = |end: usize, value: u64, digits: u32, bad: bool, begin: usize| {
        if bad || digits > 15 || counts.len() >= columns {
            return Err((
                counts.len(),
                String::from_utf8_lossy(&bytes[begin..end]).into_owned(),
            ));
        }
        counts.push(if digits == 0 { f64::NAN } else { value as f64 });
        Ok(())
    };
    for (i, byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
        } else if *byte == b',' {
            close(i, value, digits, bad, begin)?;
            (value, digits, bad, begin) = (0, 0, false, i + 1);
        } else {
            bad = true;
        }
    }
    close(bytes.len(), value, digits, bad, begin)?;
    if counts.len() == columns {
        Ok(counts)
    } else {
        Err((counts.len(), "the end of the row".to_owned()))
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
        let start = day_begin(day) + Span::from_seconds(60 * rows.first as i64);
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
            let error = TraceError::Duplicate {
                file: self.rows.source.file.clone(),
                line: row.line,
                what,
            };
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
            let file = self.rows.source.file.clone();
            return if self.any {
                Ok(None)
            } else {
                Err(TraceError::Empty { file })
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

/// Several day files as one trace.
///
/// A function that is absent from a whole day file had no request that day (the data set's own
/// rule). Memory is bounded: the files are read as many times as it takes to hold only a share of
/// the functions at once.
pub struct Days {
    files: Vec<PathBuf>,
    skip_bad_rows: bool,
    share: u64,
    shares: u64,
    ready: VecDeque<TraceItem>,
    skipped: Skipped,
    failed: bool,
}

impl std::fmt::Debug for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Days")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Days {
    /// Reads day files in the order of the days.
    ///
    /// # Errors
    /// [`TraceError`] where a file cannot be opened.
    pub fn open(files: Vec<PathBuf>, skip_bad_rows: bool) -> Result<Self, TraceError> {
        let mut bytes = 0;
        for file in &files {
            let failed = |e| TraceError::io(&file.display().to_string(), e);
            let packed = file.extension().is_some_and(|e| e == "gz");
            bytes += std::fs::metadata(file).map_err(failed)?.len() * if packed { 8 } else { 1 };
        }
        // A cell is at least two bytes of text.
        let shares = (bytes / 2).div_ceil(CELLS_HELD_MAX).max(1);
        let (ready, skipped) = (VecDeque::new(), Skipped::default());
        Ok(Self {
            files,
            skip_bad_rows,
            share: 0,
            shares,
            ready,
            skipped,
            failed: false,
        })
    }

    fn read_share(&mut self) -> Result<(), TraceError> {
        let days = self.files.len();
        let mut held: BTreeMap<String, (String, Vec<f64>)> = BTreeMap::new();
        for (day, path) in self.files.iter().enumerate() {
            let rows = Rows::new(compress::open(path)?, self.skip_bad_rows)?;
            let first = rows.first;
            let mut items = DayItems::new(rows, day + 1);
            while let Some(item) = items.next_item()? {
                let name = u64::from_le_bytes(
                    fingerprint(&item.id, "")[..8]
                        .try_into()
                        .unwrap_or_default(),
                );
                if name % self.shares != self.share {
                    continue;
                }
                let (_, counts) = held
                    .entry(item.id)
                    .or_insert_with(|| (item.trigger, vec![0.0; days * MINUTES]));
                for (i, value) in item.demand.iter().enumerate() {
                    counts[day * MINUTES + first + i] = value.unwrap_or(f64::NAN);
                }
            }
            if self.share == 0 {
                self.skipped.count += items.skipped().count;
                self.skipped
                    .told
                    .extend(items.skipped().told.iter().cloned());
            }
        }
        let series = |counts| Series::new(day_begin(1), MINUTE, counts);
        self.ready.extend(
            held.into_iter()
                .map(|(id, (t, counts))| item(id, t, series(counts))),
        );
        Ok(())
    }
}

impl Iterator for Days {
    type Item = Result<TraceItem, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && self.share < self.shares && !self.failed {
            if let Err(error) = self.read_share() {
                self.failed = true;
                return Some(Err(error));
            }
            self.share += 1;
        }
        self.ready.pop_front().map(Ok)
    }
}

impl Items for Days {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

/// The three kinds of files of the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests per minute.
    Invocations,
    /// Run times.
    Durations,
    /// Memory.
    Memory,
}

/// Begin of the names of each kind's files.
const PREFIXES: [(Kind, &str); 3] = [
    (Kind::Invocations, "invocations_per_function_md.anon.d"),
    (Kind::Durations, "function_durations_percentiles.anon.d"),
    (Kind::Memory, "app_memory_percentiles.anon.d"),
];

/// Files of one kind in a folder of the data set, by day.
///
/// # Errors
/// [`TraceError::Io`] where the folder cannot be read.
pub fn day_files(folder: &Path, kind: Kind) -> Result<BTreeMap<usize, PathBuf>, TraceError> {
    let failed = |e| TraceError::io(&folder.display().to_string(), e);
    let prefix = PREFIXES
        .iter()
        .find(|(k, _)| *k == kind)
        .map_or("", |(_, p)| p);
    let mut days = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let day = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.split('.').next()?.parse().ok());
        if let Some(day) = day.filter(|d| (1..=99).contains(d)) {
            days.insert(day, path);
        }
    }
    Ok(days)
}

/// Percentiles of run times or of memory, by `owner/app/function` or, for memory, `owner/app`.
pub type ByName = BTreeMap<String, Percentiles>;

/// Reads a file of run times or memory.
///
/// # Errors
/// [`TraceError`] with file, line and column where a cell is no number.
pub fn read_percentiles(mut source: Source) -> Result<ByName, TraceError> {
    let file = source.file.clone();
    let mut line = Vec::new();
    if !source.line(&mut line, 1)? {
        return Err(TraceError::Empty { file });
    }
    let header: Vec<String> = String::from_utf8_lossy(&line)
        .split(',')
        .map(str::to_owned)
        .collect();
    let place = |name: &str| header.iter().position(|h| h == name);
    let average = place("Average").or(place("AverageAllocatedMb"));
    let count = place("Count").or(place("SampleCount"));
    let (Some(average), Some(count)) = (average, count) else {
        let expected = "Average,Count or SampleCount,AverageAllocatedMb and percentile columns";
        return Err(bad_row(&file, 1, "header", &header.join(","), expected));
    };
    let names = header.iter().take_while(|h| h.starts_with("Hash")).count();
    let percentile = |label: &str| {
        let digits = label
            .strip_prefix("percentile_Average_")
            .or(label.strip_prefix("AverageAllocatedMb_pct"));
        digits.and_then(|d| d.parse::<f64>().ok())
    };
    let points: Vec<(usize, f64)> = header
        .iter()
        .enumerate()
        .filter_map(|(i, h)| Some((i, percentile(h)?)))
        .collect();
    let mut all = ByName::new();
    let mut number = 1;
    loop {
        number += 1;
        if !source.line(&mut line, number)? {
            return Ok(all);
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let cells: Vec<&str> = text.split(',').collect();
        let cell = |i: usize| {
            let found = cells.get(i).copied().unwrap_or("");
            let value = found
                .parse::<f64>()
                .ok()
                .filter(|v| v.is_finite() && *v >= 0.0);
            value.ok_or_else(|| bad_row(&file, number, &header[i], found, "a number of 0 or more"))
        };
        let percentiles = Percentiles {
            average: cell(average)?,
            count: cell(count)?,
            points: points
                .iter()
                .map(|(i, p)| Ok((*p, cell(*i)?)))
                .collect::<Result<_, TraceError>>()?,
        };
        all.insert(cells[..names.min(cells.len())].join("/"), percentiles);
    }
}

/// Adds what is known of run time and memory to an item.
pub fn join(item: &mut TraceItem, durations: &ByName, memory: &ByName) {
    item.durations = durations.get(&item.id).cloned();
    let app = item.id.rsplit_once('/').map_or("", |(app, _)| app);
    item.memory = memory.get(&item.id).or_else(|| memory.get(app)).cloned();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(text: &str, skip: bool) -> Result<Vec<TraceItem>, TraceError> {
        let source = Source::new("day.csv", Box::new(Cursor::new(text.as_bytes().to_vec())));
        super::super::read_items(source, None, skip)?.collect()
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
        let mut items = super::super::read_items(source, None, true).unwrap();
        assert_eq!(items.by_ref().filter_map(Result::ok).count(), 1);
        assert_eq!(items.skipped().count, 2);
    }

    #[test]
    fn a_function_absent_from_a_whole_day_had_no_request_that_day() {
        let folder = tempfile::tempdir().unwrap();
        let header: Vec<String> = (1..=MINUTES).map(|m| m.to_string()).collect();
        let row = |name: &str, count: &str| {
            format!("o,a,{name},http,{}\n", vec![count; MINUTES].join(","))
        };
        let mut files = Vec::new();
        for (day, rows) in [row("f", "1"), row("g", "2")].iter().enumerate() {
            let path = folder.path().join(format!(
                "invocations_per_function_md.anon.d0{}.csv",
                day + 1
            ));
            std::fs::write(
                &path,
                format!(
                    "HashOwner,HashApp,HashFunction,Trigger,{}\n{rows}",
                    header.join(",")
                ),
            )
            .unwrap();
            files.push(path);
        }
        assert_eq!(
            day_files(folder.path(), Kind::Invocations)
                .unwrap()
                .into_values()
                .collect::<Vec<_>>(),
            files
        );
        let items: Vec<_> = Days::open(files, false)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let sums: Vec<_> = items
            .iter()
            .map(|i| (i.id.as_str(), i.total(), i.demand.len(), i.demand.gaps()))
            .collect();
        assert_eq!(
            sums,
            [("o/a/f", 1440.0, 2880, 0), ("o/a/g", 2880.0, 2880, 0)]
        );
    }
}
