//! Functions of the Azure 2019 data set, day file by day file, each file read once.
//!
//! A function that has no row in a day file had no request that day; minutes without a column, and
//! functions of no day at all, are missing and refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use foresail_adapters::io::azure2019::{self, Azure2019, Kind};
use foresail_adapters::io::{ReadOptions, TraceFormat, compress, shown};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::TraceItem;
use foresail_core::spec::distance;

use crate::cli::reading::tell;

/// Minutes of a day.
const MINUTES: usize = 1440;

/// Near names that are told.
const NEAR: usize = 3;

/// Characters of a name that are told: owner, app and function of the data set are 64 each.
pub(super) const NAME_CHARACTERS: usize = 200;

/// `true` where a function is the one that is asked for: its whole name, or the last part of it.
pub(super) fn is_asked_for(id: &str, asked: &str) -> bool {
    id == asked || last_part(id) == asked
}

fn last_part(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// Functions found so far.
#[derive(Default)]
struct Found {
    /// Counts and trigger by the whole name.
    counts: BTreeMap<String, (String, Vec<f64>)>,
    /// Days in which each has a row.
    days: BTreeMap<String, BTreeSet<usize>>,
    /// Minutes that the files of each day cover: the first and how many.
    covered: Vec<(usize, usize)>,
    /// Every name, for those who ask for one that is not there.
    names: BTreeSet<String>,
}

/// The first `days` days of the functions that are asked for, each of which must be there once.
pub(super) fn read(
    folder: &Path,
    asked: &[String],
    days: usize,
    skip_bad_rows: bool,
) -> Result<Vec<TraceItem>> {
    let files = wanted(folder, days)?;
    let mut found = Found::default();
    for (day, file) in files.iter().enumerate() {
        found.read_day(file, day, days, asked, skip_bad_rows)?;
    }
    found.fill();
    let mut items = Vec::with_capacity(asked.len());
    for asked in asked {
        let matching = found.counts.keys().filter(|id| is_asked_for(id, asked));
        let ids: Vec<&String> = matching.collect();
        match ids[..] {
            [id] => items.push(found.item(id)),
            [] => return Err(unknown(folder, asked, &found.names)),
            _ => bail!(
                "--trace-id {asked}: {} functions end in this name: {}; give the whole name, owner/app/function",
                ids.len(),
                told(ids.into_iter())
            ),
        }
    }
    join_run_times(&mut items, folder, days)?;
    Ok(items)
}

/// The day files that are asked for, from day 1 on.
fn wanted(folder: &Path, days: usize) -> Result<Vec<PathBuf>> {
    let mut files = azure2019::day_files(folder, Kind::Invocations)?;
    let name = folder.display();
    if files.is_empty() {
        bail!(
            "{name} holds no file named invocations_per_function_md.anon.dNN.csv; give the folder of the data set with --dataset-dir, or another trace with --trace"
        );
    }
    let one = |day: usize| {
        files.remove(&day).ok_or_else(|| {
            anyhow::anyhow!(
                "{name}: there is no invocations_per_function_md.anon.d{day:02}.csv; add it, or take fewer days with --num-days {}",
                day - 1
            )
        })
    };
    (1..=days).map(one).collect()
}

impl Found {
    fn read_day(
        &mut self,
        file: &Path,
        day: usize,
        days: usize,
        asked: &[String],
        skip_bad_rows: bool,
    ) -> Result<()> {
        let options = ReadOptions::skipping(skip_bad_rows);
        let mut items = Azure2019.read(compress::open(file)?, &options)?;
        let mut covered = (0, 0);
        for item in items.by_ref() {
            let item = item?;
            let since = item.demand.start() - azure2019::day_begin(1);
            let first = usize::try_from(since.whole_seconds() / 60).unwrap_or(0);
            covered = (day * MINUTES + first, item.demand.len());
            if asked.iter().any(|a| is_asked_for(&item.id, a)) {
                self.add(item, day, covered.0, days);
            } else {
                self.names.insert(item.id);
            }
        }
        tell(items.as_ref());
        self.covered.push(covered);
        Ok(())
    }

    /// Adds the counts of one day; rows of other triggers that do not follow each other are added up.
    fn add(&mut self, item: TraceItem, day: usize, first: usize, days: usize) {
        let empty = || (item.trigger, vec![f64::NAN; days * MINUTES]);
        let (_, counts) = self.counts.entry(item.id.clone()).or_insert_with(empty);
        for (count, value) in counts[first..].iter_mut().zip(item.demand.iter()) {
            if let Some(value) = value {
                *count = if count.is_nan() {
                    value
                } else {
                    *count + value
                };
            }
        }
        self.days.entry(item.id).or_default().insert(day);
    }

    /// A day without a row is a day without a request.
    fn fill(&mut self) {
        for (id, (_, counts)) in &mut self.counts {
            let seen = self.days.get(id);
            for (day, (first, count)) in self.covered.iter().enumerate() {
                if !seen.is_some_and(|days| days.contains(&day)) {
                    counts[*first..first + count].fill(0.0);
                }
            }
        }
    }

    fn item(&self, id: &str) -> TraceItem {
        let (trigger, counts) = self.counts.get(id).cloned().unwrap_or_default();
        let minute = Span::from_seconds(60);
        TraceItem {
            id: id.to_owned(),
            trigger,
            demand: Series::new(azure2019::day_begin(1), minute, counts),
            durations: None,
            memory: None,
        }
    }
}

fn told<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let one = |name: &String| shown(name, NAME_CHARACTERS);
    names.map(one).collect::<Vec<_>>().join(", ")
}

/// A name that is not there, with those that are like it: they begin with what is asked for, or
/// differ from it in less than half of it. Of others the first in order are told, and told as such.
pub(super) fn unknown(folder: &Path, asked: &str, names: &BTreeSet<String>) -> anyhow::Error {
    let differ = |id: &str| {
        let part = if asked.contains('/') {
            id
        } else {
            last_part(id)
        };
        // The begin of a hash is as far from its own rest as from any other.
        if part.starts_with(asked) {
            0
        } else {
            distance(asked, part)
        }
    };
    let alike = |far: usize| far <= asked.chars().count() / 2;
    let mut all: Vec<(usize, &String)> = names.iter().map(|n| (differ(n), n)).collect();
    all.sort();
    let near = all.iter().filter(|(far, _)| alike(*far)).take(NEAR);
    let near: Vec<&String> = near.map(|(_, n)| *n).collect();
    let hint = if near.is_empty() {
        let some = told(names.iter().take(NEAR));
        let others = if names.len() > NEAR { ", …" } else { "" };
        format!("none is like it; there are {some}{others}")
    } else {
        format!("the nearest: {}", told(near.into_iter()))
    };
    anyhow::anyhow!(
        "{}: there is no function `{}` among {}; {hint}",
        folder.display(),
        shown(asked, NAME_CHARACTERS),
        names.len()
    )
}

/// Mean run times over the days that have a file of them, each by its count.
fn join_run_times(items: &mut [TraceItem], folder: &Path, days: usize) -> Result<()> {
    let files = azure2019::day_files(folder, Kind::Durations)?;
    for file in files.range(1..=days).map(|(_, file)| file) {
        let all = azure2019::read_percentiles(compress::open(file)?)?;
        for item in items.iter_mut() {
            let Some(day) = all.get(&item.id) else {
                continue;
            };
            let sums = item.durations.get_or_insert_default();
            let count = sums.count + day.count;
            if count > 0.0 {
                sums.average += (day.average - sums.average) * day.count / count;
            }
            sums.count = count;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(asked: &str, names: &[&str], word: &str) {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        let error = unknown(Path::new("data"), asked, &names).to_string();
        assert!(error.ends_with(word), "{error}");
    }

    #[test]
    fn names_that_are_alike_are_told_and_the_first_ones_never_taken_for_them() {
        let hash = |c: char| format!("o/a/{}", c.to_string().repeat(64));
        let [a, b, c, d] = ['a', 'b', 'c', 'd'].map(hash);
        let all = [a.as_str(), &b, &c, &d, "o/a/resize"];
        says("resise", &all, "the nearest: o/a/resize");
        says("dddddd", &all, &format!("the nearest: {d}"));
        let some = format!("none is like it; there are {a}, {b}, {c}, …");
        says("nothing", &all, &some);
        says("o/a/resizes", &all, "the nearest: o/a/resize");
        says("x", &["o/a/y"], "none is like it; there are o/a/y");
    }

    #[test]
    fn a_whole_name_of_three_hashes_is_told_whole() {
        let id = ["o", "a", "f"].map(|c| c.repeat(64)).join("/");
        says(&"f".repeat(60), &[&id], &format!("the nearest: {id}"));
    }
}
