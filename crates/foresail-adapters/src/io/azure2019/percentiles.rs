//! Run times and memory of the data set: a row of percentiles per function or app.
//!
//! Joined to the requests by name. As a trace of its own such a file holds items without demand;
//! a file without the name columns (a pool of rows) has items named after their rows.

use std::collections::BTreeMap;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::trace::{Percentiles, TraceItem};

use super::super::{
    Begin, Items, ReadOptions, Skipped, Source, TraceError, TraceFormat, VALUES_MAX, bad_row,
};
use super::{MINUTE, day_begin};

/// The format.
#[derive(Debug)]
pub struct Azure2019Percentiles;

impl TraceFormat for Azure2019Percentiles {
    fn name(&self) -> &'static str {
        "azure2019-percentiles"
    }

    fn summary(&self) -> &'static str {
        "Azure Functions 2019: run times (ms) or memory (MB) per function or app, with or without their names; no demand"
    }

    fn matches(&self, begin: &Begin) -> bool {
        let labels: Vec<&str> = begin.header.split(',').collect();
        Places::of(&labels).is_some()
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        Ok(Box::new(PercentileItems {
            rows: Rows::new(source)?,
            skip_bad_rows: options.skip_bad_rows,
            skipped: Skipped::default(),
            failed: false,
        }))
    }
}

/// Percentiles of run times or of memory, by `owner/app/function` or, for memory, `owner/app`.
pub type ByName = BTreeMap<String, Percentiles>;

/// Reads a file of run times or memory whose rows have names.
///
/// # Errors
/// [`TraceError`] with file, line and column where a cell is no number, or the names lack.
pub fn read_percentiles(source: Source) -> Result<ByName, TraceError> {
    let mut rows = Rows::new(source)?;
    if rows.places.names == 0 {
        let expected = "HashOwner,HashApp before the numbers: rows without names cannot be joined";
        let found = rows.labels.join(",");
        return Err(bad_row(&rows.source.file, 1, "header", &found, expected));
    }
    let mut all = ByName::new();
    while let Some((name, percentiles)) = rows.next()? {
        all.insert(name, percentiles);
    }
    Ok(all)
}

/// Adds what is known of run time and memory to an item.
pub fn join(item: &mut TraceItem, durations: &ByName, memory: &ByName) {
    item.durations = durations.get(&item.id).cloned();
    let app = item.id.rsplit_once('/').map_or("", |(app, _)| app);
    item.memory = memory.get(&item.id).or_else(|| memory.get(app)).cloned();
}

/// Where the columns are.
struct Places {
    names: usize,
    average: usize,
    count: usize,
    /// Column and percentile.
    points: Vec<(usize, f64)>,
    of_memory: bool,
}

impl Places {
    fn of(labels: &[&str]) -> Option<Self> {
        let place = |name: &str| labels.iter().position(|h| *h == name);
        let of_memory = place("AverageAllocatedMb").is_some();
        let (average, count, prefix) = if of_memory {
            (
                "AverageAllocatedMb",
                "SampleCount",
                "AverageAllocatedMb_pct",
            )
        } else {
            ("Average", "Count", "percentile_Average_")
        };
        let percentile = |label: &str| label.strip_prefix(prefix)?.parse::<f64>().ok();
        let points = labels.iter().enumerate();
        let points: Vec<_> = points
            .filter_map(|(i, label)| Some((i, percentile(label)?)))
            .collect();
        Some(Self {
            names: labels.iter().take_while(|h| h.starts_with("Hash")).count(),
            average: place(average)?,
            count: place(count)?,
            points: (!points.is_empty()).then_some(points)?,
            of_memory,
        })
    }
}

struct Rows {
    source: Source,
    labels: Vec<String>,
    places: Places,
    line: Vec<u8>,
    number: u64,
}

impl Rows {
    fn new(mut source: Source) -> Result<Self, TraceError> {
        let mut line = Vec::new();
        if !source.line(&mut line, 1)? {
            return Err(TraceError::Empty { file: source.file });
        }
        let header = String::from_utf8_lossy(&line).into_owned();
        let labels: Vec<&str> = header.split(',').collect();
        let places = Places::of(&labels).ok_or_else(|| {
            let expected = "Average,Count or SampleCount,AverageAllocatedMb and percentile columns";
            bad_row(&source.file, 1, "header", &header, expected)
        })?;
        let labels = labels.into_iter().map(str::to_owned).collect();
        Ok(Self {
            source,
            labels,
            places,
            line,
            number: 1,
        })
    }

    /// The next row: its names joined by `/`, and its percentiles.
    fn next(&mut self) -> Result<Option<(String, Percentiles)>, TraceError> {
        self.number += 1;
        if !self.source.line(&mut self.line, self.number)? {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&self.line);
        let cells: Vec<&str> = text.split(',').collect();
        let cell = |i: usize| {
            let found = cells.get(i).copied().unwrap_or("");
            let value = found.parse::<f64>().ok();
            let value = value.filter(|v| v.is_finite() && *v >= 0.0);
            value.ok_or_else(|| {
                let label = self.labels.get(i).map_or("", String::as_str);
                bad_row(
                    &self.source.file,
                    self.number,
                    label,
                    found,
                    "a number of 0 or more",
                )
            })
        };
        let places = &self.places;
        let points = places.points.iter().map(|(i, p)| Ok((*p, cell(*i)?)));
        let percentiles = Percentiles {
            average: cell(places.average)?,
            count: cell(places.count)?,
            points: points.collect::<Result<_, TraceError>>()?,
        };
        let names = places.names.min(cells.len());
        Ok(Some((cells[..names].join("/"), percentiles)))
    }
}

struct PercentileItems {
    rows: Rows,
    skip_bad_rows: bool,
    skipped: Skipped,
    failed: bool,
}

impl PercentileItems {
    fn next_item(&mut self) -> Result<Option<TraceItem>, TraceError> {
        loop {
            match self.rows.next() {
                Err(error) if self.skip_bad_rows && error.is_of_one_row() => {
                    self.skipped.add(&error);
                }
                Err(error) => return Err(error),
                Ok(None) if self.rows.number == 2 => {
                    let file = self.rows.source.file.clone();
                    return Err(TraceError::Empty { file });
                }
                Ok(row) => return Ok(row.map(|(name, p)| self.item(name, p))),
            }
            if self.rows.number > VALUES_MAX as u64 {
                return Err(TraceError::TooLarge {
                    file: self.rows.source.file.clone(),
                    line: self.rows.number,
                    what: "the table",
                    limit: VALUES_MAX,
                });
            }
        }
    }

    fn item(&self, name: String, percentiles: Percentiles) -> TraceItem {
        let id = if name.is_empty() {
            format!("row {}", self.rows.number - 1)
        } else {
            name
        };
        let (durations, memory) = if self.rows.places.of_memory {
            (None, Some(percentiles))
        } else {
            (Some(percentiles), None)
        };
        TraceItem {
            id,
            trigger: String::new(),
            demand: Series::new(day_begin(1), MINUTE, Vec::new()),
            durations,
            memory,
        }
    }
}

impl Iterator for PercentileItems {
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

impl Items for PercentileItems {
    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::read_items;
    use super::*;

    const POOL: &str = "SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct1,AverageAllocatedMb_pct100\n10,182,160,404\n7,342,117,373\n";

    fn source(text: &str) -> Source {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        Source::new("pool.csv", Box::new(bytes))
    }

    #[test]
    fn a_pool_without_names_has_items_without_demand_and_cannot_be_joined() {
        let options = ReadOptions::default();
        let items: Vec<_> = read_items(source(POOL), None, &options)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!((items.len(), items[1].id.as_str()), (2, "row 2"));
        assert!(items[0].demand.is_empty() && items[0].durations.is_none());
        let memory = items[0].memory.as_ref().unwrap();
        assert_eq!(memory.points, [(1.0, 160.0), (100.0, 404.0)]);
        let error = read_percentiles(source(POOL)).unwrap_err().to_string();
        assert!(error.contains("cannot be joined"), "{error}");
    }

    #[test]
    fn a_bad_cell_is_named_by_its_label() {
        let text = POOL.replace("117", "much");
        let error = read_items(source(&text), None, &ReadOptions::default())
            .unwrap()
            .find_map(Result::err)
            .unwrap()
            .to_string();
        assert!(
            error.contains("line 3, column AverageAllocatedMb_pct1: found `much`"),
            "{error}"
        );
    }
}
