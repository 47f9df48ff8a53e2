//! A folder of day files as one trace, and where its files are.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use foresail_core::quantity::series::Series;
use foresail_core::quantity::trace::TraceItem;

use super::super::{Items, Skipped, TraceError, compress};
use super::{DayItems, MINUTE, MINUTES, Rows, day_begin, fingerprint, item};

/// Counts that are held at once while several days are joined: 64 Mi of four bytes.
const CELLS_HELD_MAX: u64 = 64 << 20;

/// Several day files as one trace.
///
/// It goes from the first day that has a file to the last. A function that is absent from a day file
/// of all 1,440 minutes had no request that day (the data set's own rule); a day without a file and
/// a minute without a column are missing. Memory is bounded: the files are read as many times as it takes to hold only a share of
/// the functions at once.
pub struct Days {
    files: BTreeMap<usize, PathBuf>,
    /// The first day that has a file.
    first: usize,
    /// The counts of a function that is in no file.
    absent: Vec<f64>,
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
    /// Reads day files by their days, counted from 1.
    ///
    /// # Errors
    /// [`TraceError`] where a file cannot be opened, or its header not be read.
    pub fn open(files: BTreeMap<usize, PathBuf>, skip_bad_rows: bool) -> Result<Self, TraceError> {
        let first = files.keys().next().copied().unwrap_or(1);
        let days = files.keys().last().map_or(0, |last| last + 1 - first);
        let mut absent = vec![f64::NAN; days * MINUTES];
        let mut cells = 0;
        for (day, file) in &files {
            let failed = |e| TraceError::io(&file.display().to_string(), e);
            let packed = matches!(file.extension(), Some(e) if e == "gz" || e == "zst");
            let bytes = std::fs::metadata(file).map_err(failed)?.len() * if packed { 8 } else { 1 };
            let columns = Rows::new(compress::open(file)?, skip_bad_rows)?.columns;
            if columns.are_whole() {
                absent[(day - first) * MINUTES..][..MINUTES].fill(0.0);
            }
            // A cell is at least two bytes of text, and a row with few of them has a whole day.
            cells += bytes / 2 * MINUTES as u64 / columns.count() as u64;
        }
        // Days without a file are held too.
        let held = cells * days as u64 / files.len().max(1) as u64;
        let shares = held.div_ceil(CELLS_HELD_MAX).max(1);
        let (ready, skipped) = (VecDeque::new(), Skipped::default());
        Ok(Self {
            files,
            first,
            absent,
            skip_bad_rows,
            share: 0,
            shares,
            ready,
            skipped,
            failed: false,
        })
    }

    fn read_share(&mut self) -> Result<(), TraceError> {
        let mut held: BTreeMap<String, (String, Vec<f64>)> = BTreeMap::new();
        for (day, path) in &self.files {
            let rows = Rows::new(compress::open(path)?, self.skip_bad_rows)?;
            let begin = (day - self.first) * MINUTES + rows.columns.first;
            let mut items = DayItems::new(rows, *day);
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
                    .or_insert_with(|| (item.trigger, self.absent.clone()));
                for (count, value) in counts[begin..].iter_mut().zip(item.demand.iter()) {
                    *count = value.unwrap_or(f64::NAN);
                }
            }
            if self.share == 0 {
                self.skipped.count += items.skipped().count;
                self.skipped
                    .told
                    .extend(items.skipped().told.iter().cloned());
            }
        }
        let series = |counts| Series::new(day_begin(self.first), MINUTE, counts);
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
