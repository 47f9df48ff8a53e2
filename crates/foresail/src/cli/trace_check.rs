//! `foresail trace check`: what a folder of Azure 2019 day files lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use foresail_adapters::io::azure2019::{self, Kind};
use foresail_adapters::io::{ReadOptions, compress, read_items};
use serde_json::{Value, json};

use crate::cli::{Output, print_csv};
use crate::exit::Code;

/// The files of a folder, by kind and day.
struct Files {
    invocations: BTreeMap<usize, PathBuf>,
    durations: BTreeMap<usize, PathBuf>,
    memory: BTreeMap<usize, PathBuf>,
}

/// What one good day holds.
struct Day {
    functions: usize,
    requests: f64,
    gaps: u64,
    /// Functions without a run time; `None` without a file of run times.
    without_run_time: Option<usize>,
    has_memory: bool,
}

/// Checks the wanted days one after another.
///
/// # Errors
/// Where the folder cannot be read; what is wrong with a day is an answer.
pub(super) fn check(
    folder: &Path,
    days: &str,
    output: Output,
    out: &mut dyn Write,
) -> Result<Code> {
    let wanted = days_of(days)?;
    let files = Files {
        invocations: azure2019::day_files(folder, Kind::Invocations)?,
        durations: azure2019::day_files(folder, Kind::Durations)?,
        memory: azure2019::day_files(folder, Kind::Memory)?,
    };
    let mut rows = Vec::new();
    for day in wanted {
        let found = files.check(day);
        if output == Output::Table {
            match &found {
                Ok(found) => writeln!(out, "ok   day {day}: {found}")?,
                Err(problem) => writeln!(out, "fail day {day}: {problem}")?,
            }
        }
        rows.push((day, found));
    }
    let good = rows.iter().all(|(_, found)| found.is_ok());
    match output {
        Output::Table => {}
        Output::Json => {
            let days: Vec<Value> = rows.iter().map(as_json).collect();
            writeln!(out, "{}", json!({"v": 1, "ok": good, "days": days}))?;
        }
        Output::Csv => {
            let columns = [
                "day",
                "ok",
                "problem",
                "functions",
                "requests",
                "gaps",
                "without_run_time",
                "has_memory",
            ];
            let rows: Vec<_> = rows.iter().map(cells).collect();
            print_csv(&columns, &rows, out)?;
        }
    }
    Ok(if good { Code::Done } else { Code::No })
}

/// The days that `--days` names.
fn days_of(text: &str) -> Result<std::ops::RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').map_or(("1", text), |(a, b)| (a, b));
    let parse = |t: &str| t.parse::<usize>().ok().filter(|d| (1..=99).contains(d));
    match (parse(first), parse(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => bail!("--days {text}: write a number of days such as 14, or a range such as 1-14"),
    }
}

impl Files {
    /// What a day holds, or what is wrong with it.
    fn check(&self, day: usize) -> Result<Day, String> {
        let path = self.invocations.get(&day);
        let path = path.ok_or_else(|| "no file of invocations".to_owned())?;
        let said = |e: foresail_adapters::io::TraceError| e.to_string();
        let source = compress::open(path).map_err(said)?;
        let items = read_items(source, Some("azure2019"), &ReadOptions::default());
        let (mut names, mut requests, mut gaps) = (BTreeSet::new(), 0.0, 0);
        let mut whole = true;
        for item in items.map_err(said)? {
            let item = item.map_err(said)?;
            requests += item.total();
            gaps += item.demand.gaps() as u64;
            whole &= item.demand.len() == 1440;
            names.insert(item.id);
        }
        if !whole {
            return Err("not every row has 1440 minutes".to_owned());
        }
        let mut without_run_time = None;
        if let Some(path) = self.durations.get(&day) {
            let source = compress::open(path).map_err(said)?;
            let known = azure2019::read_percentiles(source).map_err(said)?;
            let lost = names.iter().filter(|n| !known.contains_key(*n));
            without_run_time = Some(lost.count());
        }
        Ok(Day {
            functions: names.len(),
            requests,
            gaps,
            without_run_time,
            has_memory: self.memory.contains_key(&day),
        })
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (functions, requests, gaps) = (self.functions, self.requests, self.gaps);
        write!(f, "{functions} functions, {requests} requests, {gaps} gaps")?;
        if let Some(lost) = self.without_run_time {
            write!(f, ", {lost} without a run time")?;
        }
        if !self.has_memory {
            f.write_str(", no file of memory")?;
        }
        Ok(())
    }
}

fn as_json((day, found): &(usize, Result<Day, String>)) -> Value {
    match found {
        Ok(found) => {
            json!({"day": day, "ok": true, "functions": found.functions, "requests": found.requests,
            "gaps": found.gaps, "withoutRunTime": found.without_run_time, "hasMemory": found.has_memory})
        }
        Err(problem) => json!({"day": day, "ok": false, "problem": problem}),
    }
}

fn cells((day, found): &(usize, Result<Day, String>)) -> Vec<String> {
    let mut cells = vec![day.to_string(), found.is_ok().to_string()];
    match found {
        Ok(found) => cells.extend([
            String::new(),
            found.functions.to_string(),
            found.requests.to_string(),
            found.gaps.to_string(),
            found
                .without_run_time
                .map_or_else(String::new, |n| n.to_string()),
            found.has_memory.to_string(),
        ]),
        Err(problem) => cells.push(problem.clone()),
    }
    cells
}
