//! The protocol that every figure of docs/forecasting.md follows: which series, which origins.
//!
//! Rolling origins, history up to the origin only, the value at step h scored. The test part is the
//! last quarter, at most seven seasons of it but for the one-day set; missing values hold the value
//! before.

use std::path::Path;

use anyhow::{Result, bail};
use foresail_adapters::io::{ReadOptions, Uneven};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_models::forecast::backtest::Case;
use foresail_models::forecast::score::unit_of;

use super::histories::held;
use crate::compare::trace::open;

/// The furthest step that is scored.
pub const AHEAD_MAX: usize = 60;

/// Steps ahead that are scored.
pub const AHEAD: [usize; 3] = [1, 10, AHEAD_MAX];

/// Functions of the one-day set.
const AZURE_ROWS: usize = 150;

/// Calls of a day without which a function is left out.
const AZURE_CALLS_MIN: f64 = 500.0;

/// One set of series of a kind.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: &'static str,
    /// Its season in steps, for the forecasters that are told one.
    pub season: usize,
    /// Its series with their origins.
    pub cases: Vec<Case>,
}

/// How a set is taken from a file.
struct Kind {
    name: &'static str,
    file: &'static str,
    season: usize,
    origins: usize,
    /// Whether the test part may be longer than seven seasons.
    whole_quarter: bool,
    /// Which series belong to it.
    takes: fn(&str, &Series) -> bool,
}

const fn web(name: &'static str, file: &'static str) -> Kind {
    Kind {
        name,
        file,
        season: 1440,
        origins: 120,
        whole_quarter: false,
        takes: |_, _| true,
    }
}

const KINDS: [Kind; 8] = [
    Kind {
        name: "azure_oneday",
        file: "azure2019/invocations_oneday.csv.gz",
        season: 60,
        origins: 12,
        whole_quarter: true,
        takes: |_, series| is_busy(series),
    },
    web("worldcup98_1min", "web/worldcup98_1min.csv.gz"),
    web("nasa95_1min", "web/nasa95_1min.csv.gz"),
    web("twitter2021_1min", "web/twitter2021_1min.csv.gz"),
    Kind {
        name: "mscloud_1min",
        file: "mscloud/mscloud.csv.gz",
        season: 1440,
        origins: 24,
        whole_quarter: false,
        takes: |_, series| series.step() == Span::from_seconds(60),
    },
    Kind {
        name: "mscloud_1h",
        file: "mscloud/mscloud.csv.gz",
        season: 24,
        origins: 12,
        whole_quarter: false,
        takes: |id, series| {
            let hourly = series.step() == Span::from_seconds(3600);
            hourly && series.len() > 500 && !id.contains("crash")
        },
    },
    Kind {
        name: "nab_cloud_5min",
        file: "nab/nab.csv.gz",
        season: 288,
        origins: 16,
        whole_quarter: false,
        takes: |id, _| !id.contains("realTweets") && !id.contains("nyc_taxi"),
    },
    Kind {
        name: "nab_tweets_5min",
        file: "nab/nab.csv.gz",
        season: 288,
        origins: 24,
        whole_quarter: false,
        takes: |id, _| id.contains("realTweets"),
    },
];

/// Busy enough, and no timer.
fn is_busy(series: &Series) -> bool {
    let values: Vec<f64> = series.iter().map(|v| v.unwrap_or(0.0)).collect();
    let active: Vec<usize> = (0..values.len()).filter(|i| values[*i] > 0.0).collect();
    let distinct = |mut numbers: Vec<u64>| {
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    };
    let gaps = active.windows(2).map(|w| (w[1] - w[0]) as u64).collect();
    let counts = active.iter().map(|i| values[*i].to_bits()).collect();
    values.iter().sum::<f64>() >= AZURE_CALLS_MIN
        && active.len() >= 12
        && (distinct(gaps) > 3 || distinct(counts) > 3)
}

/// `count` whole numbers from `first` to `last`, evenly spaced and cut to whole.
pub(super) fn evenly(first: usize, last: usize, count: usize) -> Vec<usize> {
    let step = (last as f64 - first as f64) / (count.max(2) - 1) as f64;
    (0..count)
        .map(|i| (first as f64 + i as f64 * step) as usize)
        .collect()
}

impl Kind {
    fn case(&self, id: String, series: &Series) -> Option<Case> {
        let values = held(series);
        let n = values.len();
        let mut start = (n as f64 * 0.75) as usize;
        if !self.whole_quarter {
            start = start.max(n.saturating_sub(7 * self.season));
        }
        let last = n.checked_sub(AHEAD_MAX + 1).filter(|last| *last >= start)?;
        let unit = unit_of(&values[..start]);
        Some(Case {
            id,
            series: Series::new(series.start(), series.step(), values),
            origins: evenly(start, last, self.origins),
            unit,
        })
    }

    fn read(&self, dir: &Path) -> Result<Group> {
        let options = ReadOptions {
            uneven: Some(Uneven::Rows),
            ..ReadOptions::default()
        };
        let path = dir.join(self.file);
        let mut cases = Vec::new();
        for item in open(&path, None, &options)? {
            let item = item?;
            if (self.takes)(&item.id, &item.demand) {
                cases.extend(self.case(item.id, &item.demand));
            }
            if self.whole_quarter && cases.len() == AZURE_ROWS {
                break;
            }
        }
        if cases.is_empty() {
            bail!("{}: no series of the set {}", path.display(), self.name);
        }
        Ok(Group {
            name: self.name,
            season: self.season,
            cases,
        })
    }
}

/// Every set of a data folder whose file is there; the names of those that are not.
///
/// # Errors
/// Where a file that is there cannot be read, or none is there.
pub fn groups(dir: &Path) -> Result<(Vec<Group>, Vec<&'static str>)> {
    let there = |kind: &&Kind| dir.join(kind.file).exists();
    let missing = KINDS.iter().filter(|k| !there(k)).map(|k| k.name).collect();
    let groups = KINDS
        .iter()
        .filter(there)
        .map(|kind| kind.read(dir))
        .collect::<Result<Vec<_>>>()?;
    if groups.is_empty() {
        bail!(
            "{}: none of the protocol's files is there, such as {}; name the data folder with --data",
            dir.display(),
            KINDS[0].file
        );
    }
    Ok((groups, missing))
}
