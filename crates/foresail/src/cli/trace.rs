//! `foresail trace`: look at traces, check, convert, make and cut them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use foresail_adapters::atomic::write_file;
use foresail_adapters::io::{ItemWriter, Items, TraceFormat, busiest, compress, shown};
use foresail_adapters::registry::{FORMATS, written_formats};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::trace::TraceItem;
use serde_json::json;

use crate::cli::reading::{Reading, tell};
use crate::cli::{Output, print_csv, trace_check, trace_generate, trace_stages};
use crate::exit::Code;

/// Look at traces, check, convert, make and cut them
#[derive(Args, Debug)]
pub struct TraceArgs {
    #[command(subcommand)]
    what: What,
}

/// The input of most of the verbs.
#[derive(Args, Debug)]
struct In {
    /// A trace: a file (plain, gzip or zstd), or a folder of Azure day files
    file: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

impl In {
    fn open(&self) -> Result<Box<dyn Items>> {
        self.reading.open(&self.file)
    }
}

/// Where a trace goes.
#[derive(Args, Debug)]
pub(super) struct To {
    /// Its format; by the end of the file's name where absent: .parquet, else csv-long
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(written_formats()))]
    to: Option<String>,
    /// Where it goes; .gz and .zst at the end of the name compress it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl To {
    fn format(&self) -> Result<&'static (dyn TraceFormat + Sync)> {
        let parquet = self.out.to_string_lossy().contains(".parquet");
        let by_name = if parquet { "parquet" } else { "csv-long" };
        let name = self.to.as_deref().unwrap_or(by_name);
        let found = FORMATS.iter().find(|f| f.name() == name);
        Ok(*found.with_context(|| format!("{name} is no format"))?)
    }

    /// Writes what `fill` hands over; the file is there whole or not at all.
    pub(super) fn write(
        &self,
        out: &mut dyn Write,
        fill: impl FnOnce(&mut Count<'_>) -> Result<()>,
    ) -> Result<Code> {
        let format = self.format()?;
        let (mut failed, mut counted) = (None, (0, 0));
        let written = write_file(&self.out, |w| {
            compress::write_as(&self.out, w, |w| {
                let cannot = || io::Error::other("this format is only read");
                let writer = format.writer(w).ok_or_else(cannot)?;
                let mut count = Count {
                    writer,
                    items: 0,
                    steps: 0,
                };
                if let Err(error) = fill(&mut count) {
                    failed = Some(error);
                    return Err(io::Error::other("the reading ended"));
                }
                counted = (count.items, count.steps);
                count.writer.finish()
            })
        });
        // What went wrong before anything was to be written is no fault of the place.
        if let Some(error) = failed {
            return Err(error);
        }
        written.context("the trace was not written")?;
        let (items, steps) = counted;
        writeln!(out, "{}: {items} items, {steps} steps", self.out.display())?;
        Ok(Code::Done)
    }
}

/// A writer that counts.
pub(super) struct Count<'a> {
    writer: Box<dyn ItemWriter + 'a>,
    items: u64,
    steps: u64,
}

impl Count<'_> {
    pub(super) fn add(&mut self, item: &TraceItem) -> Result<()> {
        if item.demand.is_empty() {
            bail!(
                "{} has no demand: a file of run times or memory alone is no trace to be written",
                item.id
            );
        }
        self.items += 1;
        self.steps += item.demand.len() as u64;
        self.writer
            .item(item)
            .with_context(|| format!("the trace was not written: {} does not fit", item.id))
    }
}

#[derive(Subcommand, Debug)]
enum What {
    /// Shape, span, sums and gaps of a trace
    Info {
        #[command(flatten)]
        input: In,
        /// How it is printed [default: table]
        #[arg(long, short, value_enum)]
        output: Option<Output>,
    },
    /// Check a folder of Azure 2019 day files; exit 1 where something is wrong
    Check {
        /// The folder
        folder: PathBuf,
        /// Days that must be there: 14, or 1-14
        #[arg(long, default_value = "1-14")]
        days: String,
        /// How it is printed [default: table]
        #[arg(long, short, value_enum)]
        output: Option<Output>,
    },
    /// Write a trace in another format
    Convert {
        #[command(flatten)]
        input: In,
        #[command(flatten)]
        to: To,
    },
    /// Write generated demand as a trace
    Generate {
        #[command(flatten)]
        what: trace_generate::Generated,
        #[command(flatten)]
        to: To,
    },
    /// Write the load stages (duration, users, spawn_rate) that make a trace's demand
    Stages {
        #[command(flatten)]
        input: In,
        #[command(flatten)]
        stages: trace_stages::StagesArgs,
    },
    /// Cut items and times out of a trace
    Slice {
        #[command(flatten)]
        input: In,
        /// Keep the N busiest items
        #[arg(long, value_name = "N")]
        functions: Option<usize>,
        /// Keep what comes at this time or later
        #[arg(long, value_name = "RFC3339")]
        from: Option<Timestamp>,
        /// Keep what comes before this time
        #[arg(long, value_name = "RFC3339")]
        until: Option<Timestamp>,
        #[command(flatten)]
        to: To,
    },
}

/// Runs the command.
///
/// # Errors
/// Where a trace cannot be read or written.
pub fn run(args: &TraceArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.what {
        What::Info { input, output } => info(input, Output::here(*output)?, out),
        What::Check {
            folder,
            days,
            output,
        } => trace_check::check(folder, days, Output::here(*output)?, out),
        What::Convert { input, to } => convert(input, to, out),
        What::Generate { what, to } => trace_generate::run(what, to, out),
        What::Stages { input, stages } => stages.run(input.open()?.as_mut(), out),
        What::Slice {
            input,
            functions,
            from,
            until,
            to,
        } => slice(input, *functions, (*from, *until), to, out),
    }
}

fn convert(input: &In, to: &To, out: &mut dyn Write) -> Result<Code> {
    let mut items = input.open()?;
    to.write(out, |writer| {
        for item in items.by_ref() {
            writer.add(&item?)?;
        }
        tell(items.as_ref());
        Ok(())
    })
}

fn slice(
    input: &In,
    functions: Option<usize>,
    (from, until): (Option<Timestamp>, Option<Timestamp>),
    to: &To,
    out: &mut dyn Write,
) -> Result<Code> {
    let mut items = input.open()?;
    to.write(out, |writer| {
        let mut add = |item: TraceItem| match cut(item, from, until) {
            Some(item) => writer.add(&item),
            None => Ok(()),
        };
        if let Some(most) = functions {
            let (busiest, _) = busiest(items.as_mut(), most)?;
            busiest.into_iter().try_for_each(&mut add)?;
        } else {
            for item in items.by_ref() {
                add(item?)?;
            }
        }
        if writer.items == 0 {
            bail!("nothing is left: no item has a step between --from and --until");
        }
        tell(items.as_ref());
        Ok(())
    })
}

/// What is summed up of a trace, item by item.
#[derive(Debug, Default)]
struct Sums {
    items: u64,
    steps: u64,
    gaps: u64,
    zeros: u64,
    total: f64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    steps_of: BTreeSet<i64>,
    triggers: BTreeMap<String, u64>,
    busiest: Vec<(f64, String)>,
    /// Mean run time of each item in milliseconds, and mean memory in megabytes.
    averages: [Vec<f64>; 2],
}

impl Sums {
    /// Share of the steps with a value that have no request.
    fn zero_percent(&self) -> f64 {
        self.zeros as f64 * 100.0 / (self.steps - self.gaps).max(1) as f64
    }

    fn add(&mut self, item: &TraceItem) {
        let demand = &item.demand;
        self.items += 1;
        let known = [&item.durations, &item.memory];
        for (all, percentiles) in self.averages.iter_mut().zip(known) {
            all.extend(percentiles.as_ref().map(|p| p.average));
        }
        if demand.is_empty() {
            return;
        }
        self.steps += demand.len() as u64;
        self.gaps += demand.gaps() as u64;
        self.zeros += demand.iter().filter(|v| *v == Some(0.0)).count() as u64;
        let total = item.total();
        self.total += total;
        let (begin, end) = (demand.start(), demand.time_of(demand.len()));
        self.from = Some(self.from.map_or(begin, |f| f.min(begin)));
        self.to = Some(self.to.map_or(end, |t| t.max(end)));
        self.steps_of.insert(demand.step().whole_seconds());
        *self.triggers.entry(item.trigger.clone()).or_insert(0) += 1;
        self.busiest.push((total, item.id.clone()));
        self.busiest.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.busiest.truncate(5);
    }
}

/// The values at 10, 50, 90 and 99 percent, between neighbours in proportion.
fn quantiles(values: &mut [f64]) -> Option<[f64; 4]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some([0.1, 0.5, 0.9, 0.99].map(|level| {
        let place = level * last as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(last);
        values[below] + (values[above] - values[below]) * place.fract()
    }))
}

fn info(input: &In, output: Output, out: &mut dyn Write) -> Result<Code> {
    let mut items = input.open()?;
    let mut sums = Sums::default();
    for item in items.by_ref() {
        sums.add(&item?);
    }
    let averages = sums.averages.each_mut().map(|v| quantiles(v));
    match output {
        Output::Table => info_table(&sums, averages, items.as_ref(), out)?,
        Output::Json => info_json(&sums, averages, items.as_ref(), out)?,
        Output::Csv => info_csv(&sums, averages, items.as_ref(), out)?,
    }
    Ok(Code::Done)
}

/// Values at 10, 50, 90 and 99 percent of mean run times in milliseconds, and of memory in megabytes.
type Averages = [Option<[f64; 4]>; 2];

fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |t| t.to_string())
}

fn info_json(
    sums: &Sums,
    [run_ms, memory_mb]: Averages,
    items: &dyn Items,
    out: &mut dyn Write,
) -> Result<()> {
    let placed = items.placed();
    let value = json!({"v": 1, "items": sums.items, "steps": sums.steps, "gaps": sums.gaps, "zeroPercent": sums.zero_percent(),
        "requests": sums.total, "from": time(sums.from), "to": time(sums.to), "stepSeconds": sums.steps_of,
        "triggers": sums.triggers, "skippedRows": items.skipped().count, "doubledTimes": placed.doubled,
        "movedTimes": placed.moved, "unreadColumns": items.unread(), "meanRunTimeMs": run_ms, "meanMemoryMb": memory_mb});
    Ok(writeln!(out, "{value}")?)
}

/// One row; what may have several values (steps, triggers) stands in JSON alone.
fn info_csv(sums: &Sums, averages: Averages, items: &dyn Items, out: &mut dyn Write) -> Result<()> {
    let placed = items.placed();
    let mut columns = vec![
        "items",
        "steps",
        "gaps",
        "zero_percent",
        "requests",
        "from",
        "to",
        "skipped_rows",
        "doubled_times",
        "moved_times",
    ];
    let mut cells = vec![
        sums.items.to_string(),
        sums.steps.to_string(),
        sums.gaps.to_string(),
        sums.zero_percent().to_string(),
        sums.total.to_string(),
        time(sums.from),
        time(sums.to),
        items.skipped().count.to_string(),
        placed.doubled.to_string(),
        placed.moved.to_string(),
    ];
    for (name, values) in [
        ["run_ms_q10", "run_ms_q50", "run_ms_q90", "run_ms_q99"],
        [
            "memory_mb_q10",
            "memory_mb_q50",
            "memory_mb_q90",
            "memory_mb_q99",
        ],
    ]
    .into_iter()
    .zip(averages)
    {
        columns.extend(name);
        cells.extend((0..name.len()).map(|i| {
            let value = values.map(|v| v[i]);
            value.map_or_else(String::new, |v| v.to_string())
        }));
    }
    print_csv(&columns, &[cells], out)
}

fn info_table(
    sums: &Sums,
    [run_ms, memory_mb]: Averages,
    items: &dyn Items,
    out: &mut dyn Write,
) -> Result<()> {
    shape(sums, sums.zero_percent(), out)?;
    if items.skipped().count > 0 {
        writeln!(out, "skipped rows: {}", items.skipped().count)?;
    }
    for note in items.notes() {
        writeln!(out, "note: {note}")?;
    }
    for (what, unit, quantiles) in [("run time", "ms", run_ms), ("memory", "MB", memory_mb)] {
        if let Some([q10, q50, q90, q99]) = quantiles {
            writeln!(
                out,
                "mean {what} of an item: q10 {q10:.0}, q50 {q50:.0}, q90 {q90:.0}, q99 {q99:.0} {unit}"
            )?;
        }
    }
    rest_of_info(sums, out)
}

/// Items, steps, span and sums of the demand.
fn shape(sums: &Sums, zero_percent: f64, out: &mut dyn Write) -> Result<()> {
    let (items, all) = (sums.items, sums.steps);
    let (Some(from), Some(to)) = (sums.from, sums.to) else {
        writeln!(out, "shape: ({items} items without demand)")?;
        return Ok(());
    };
    let steps: Vec<_> = sums.steps_of.iter().map(|s| format!("{s}s")).collect();
    let (steps, mean) = (steps.join(", "), all / items.max(1));
    writeln!(out, "shape: ({items} items, {mean} steps of {steps})")?;
    writeln!(out, "span: {from} to {to}")?;
    writeln!(
        out,
        "requests: {}   zero steps: {zero_percent:.1} %   gaps: {}",
        sums.total, sums.gaps
    )?;
    Ok(())
}

fn rest_of_info(sums: &Sums, out: &mut dyn Write) -> Result<()> {
    let triggers: Vec<_> = sums
        .triggers
        .iter()
        .filter(|(t, _)| !t.is_empty())
        .map(|(t, n)| format!("{} {n}", shown(t, 40)))
        .collect();
    if !triggers.is_empty() {
        writeln!(out, "triggers: {}", triggers.join(", "))?;
    }
    if !sums.busiest.is_empty() {
        writeln!(out, "busiest:")?;
    }
    for (total, id) in &sums.busiest {
        writeln!(out, "  {total:>12}  {}", shown(id, 200))?;
    }
    Ok(())
}

/// The steps of an item between two times; `None` where none is left.
fn cut(item: TraceItem, from: Option<Timestamp>, until: Option<Timestamp>) -> Option<TraceItem> {
    let demand = &item.demand;
    let inside = |i: &usize| {
        let at = demand.time_of(*i);
        from.is_none_or(|f| at >= f) && until.is_none_or(|u| at < u)
    };
    let kept: Vec<usize> = (0..demand.len()).filter(inside).collect();
    let first = *kept.first()?;
    let values = kept
        .iter()
        .map(|i| demand.get(*i).unwrap_or(f64::NAN))
        .collect();
    let demand = Series::new(demand.time_of(first), demand.step(), values);
    Some(TraceItem { demand, ..item })
}
