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
