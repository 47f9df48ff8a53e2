//! `foresail trace`: look at traces, check, convert, make and cut them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use foresail_adapters::atomic::write_file;
use foresail_adapters::io::azure2019::{self, Kind};
use foresail_adapters::io::{compress, write};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::trace::TraceItem;
use foresail_models::rng::Seed;
use foresail_sim::workload::sample;
use serde_json::json;

use crate::cli::Output;
use crate::compare::trace::open;
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
    /// A trace: a file, or a folder of Azure day files
    file: PathBuf,
    /// Its format, where its header does not tell
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Skip rows that cannot be read, and say how many
    #[arg(long)]
    skip_bad_rows: bool,
}

/// A format that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    CsvLong,
    CsvWide,
    Azure2019,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Shape, span, sums and gaps of a trace
    Info {
        #[command(flatten)]
        input: In,
        /// How it is printed
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Check a folder of Azure 2019 day files; exit 1 where something is wrong
    Check {
        /// The folder
        folder: PathBuf,
        /// Days that must be there: 14, or 1-14
        #[arg(long, default_value = "1-14")]
        days: String,
    },
    /// Write a trace in another format
    Convert {
        #[command(flatten)]
        input: In,
        /// The other format
        #[arg(long, value_enum)]
        to: To,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write the built-in sample workload as a trace
    Generate {
        /// Days
        #[arg(long, default_value_t = 14)]
        days: u32,
        /// Mean rate in requests per second
        #[arg(long, default_value_t = 4.0)]
        rate: f64,
        /// The only source of chance
        #[arg(long, default_value_t = 42)]
        seed: u64,
        /// Where it goes, as csv-long
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
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
        /// Format of what is written
        #[arg(long, value_enum, default_value_t = To::CsvLong)]
        to: To,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// Where a trace cannot be read or written.
pub fn run(args: &TraceArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.what {
        What::Info { input, output } => info(input, *output, out),
        What::Check { folder, days } => check(folder, days, out),
        What::Convert {
            input,
            to,
            out: target,
        } => {
            let items = read_all(input)?;
            written(&items, *to, target, out)
        }
        What::Generate {
            days,
            rate,
            seed,
            out: target,
        } => generate(*days, *rate, *seed, target, out),
        What::Slice {
            input,
            functions,
            from,
            until,
            to,
            out: target,
        } => {
            let mut items = read_all(input)?;
            if let Some(count) = functions {
                items.sort_by(|a, b| {
                    b.total()
                        .total_cmp(&a.total())
                        .then_with(|| a.id.cmp(&b.id))
                });
                items.truncate(*count);
            }
            let items: Vec<_> = items
                .into_iter()
                .filter_map(|i| cut(i, *from, *until))
                .collect();
            if items.is_empty() {
                bail!("nothing is left: no item has a step between --from and --until");
            }
            written(&items, *to, target, out)
        }
    }
}

fn read_all(input: &In) -> Result<Vec<TraceItem>> {
    let mut items = open(&input.file, input.format.as_deref(), input.skip_bad_rows)?;
    let all: Vec<TraceItem> = items.by_ref().collect::<Result<_, _>>()?;
    if items.skipped().count > 0 {
        eprintln!(
            "note: {} rows were skipped; the first: {}",
            items.skipped().count,
            items.skipped().told[0]
        );
    }
    Ok(all)
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
}

impl Sums {
    fn add(&mut self, item: &TraceItem) {
        let demand = &item.demand;
        self.items += 1;
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

fn info(input: &In, output: Output, out: &mut dyn Write) -> Result<Code> {
    let mut items = open(&input.file, input.format.as_deref(), input.skip_bad_rows)?;
    let mut sums = Sums::default();
    for item in items.by_ref() {
        sums.add(&item?);
    }
    let time = |t: Option<Timestamp>| t.map_or_else(String::new, |t| t.to_string());
    let zero_percent = sums.zeros as f64 * 100.0 / (sums.steps - sums.gaps).max(1) as f64;
    if output == Output::Json {
        let value = json!({"v": 1, "items": sums.items, "steps": sums.steps, "gaps": sums.gaps, "zeroPercent": zero_percent,
            "requests": sums.total, "from": time(sums.from), "to": time(sums.to), "stepSeconds": sums.steps_of,
            "triggers": sums.triggers, "skippedRows": items.skipped().count});
        writeln!(out, "{value}")?;
        return Ok(Code::Done);
    }
    let steps: Vec<_> = sums.steps_of.iter().map(|s| format!("{s}s")).collect();
    writeln!(
        out,
        "shape: ({} items, {} steps of {})",
        sums.items,
        sums.steps / sums.items.max(1),
        steps.join(", ")
    )?;
    writeln!(out, "span: {} to {}", time(sums.from), time(sums.to))?;
    writeln!(
        out,
        "requests: {}   zero steps: {zero_percent:.1} %   gaps: {}",
        sums.total, sums.gaps
    )?;
    if items.skipped().count > 0 {
        writeln!(out, "skipped rows: {}", items.skipped().count)?;
    }
    let triggers: Vec<_> = sums
        .triggers
        .iter()
        .filter(|(t, _)| !t.is_empty())
        .map(|(t, n)| format!("{t} {n}"))
        .collect();
    if !triggers.is_empty() {
        writeln!(out, "triggers: {}", triggers.join(", "))?;
    }
    writeln!(out, "busiest:")?;
    for (total, id) in sums.busiest {
        writeln!(out, "  {total:>12}  {id}")?;
    }
    Ok(Code::Done)
}

fn days_of(text: &str) -> Result<std::ops::RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').map_or(("1", text), |(a, b)| (a, b));
    let parse = |t: &str| t.parse::<usize>().ok().filter(|d| (1..=99).contains(d));
    match (parse(first), parse(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => bail!("--days {text}: write a number of days such as 14, or a range such as 1-14"),
    }
}

fn check(folder: &Path, days: &str, out: &mut dyn Write) -> Result<Code> {
    let wanted = days_of(days)?;
    let mut findings = 0;
    let mut find = |out: &mut dyn Write, text: String| -> Result<()> {
        findings += 1;
        Ok(writeln!(out, "fail {text}")?)
    };
    let invocations = azure2019::day_files(folder, Kind::Invocations)?;
    let durations = azure2019::day_files(folder, Kind::Durations)?;
    let memory = azure2019::day_files(folder, Kind::Memory)?;
    for day in wanted {
        let Some(path) = invocations.get(&day) else {
            find(out, format!("day {day}: no file of invocations"))?;
            continue;
        };
        let mut sums = Sums::default();
        let mut names = BTreeSet::new();
        let items =
            foresail_adapters::io::read_items(compress::open(path)?, Some("azure2019"), false)?;
        let mut broken = None;
        for item in items {
            match item {
                Ok(item) => {
                    names.insert(item.id.clone());
                    sums.add(&item);
                }
                Err(error) => broken = Some(error.to_string()),
            }
        }
        if let Some(error) = broken {
            find(out, format!("day {day}: {error}"))?;
            continue;
        }
        if sums.steps != sums.items * 1440 {
            find(out, format!("day {day}: not every row has 1440 minutes"))?;
        }
        let mut lost = String::new();
        if let Some(path) = durations.get(&day) {
            let known = azure2019::read_percentiles(compress::open(path)?)?;
            lost = format!(
                ", {} without a run time",
                names.iter().filter(|n| !known.contains_key(*n)).count()
            );
        }
        let no_memory = if memory.contains_key(&day) {
            ""
        } else {
            ", no file of memory"
        };
        writeln!(
            out,
            "ok   day {day}: {} functions, {} requests, {} gaps{lost}{no_memory}",
            sums.items, sums.total, sums.gaps
        )?;
    }
    Ok(if findings == 0 { Code::Done } else { Code::No })
}

fn written(items: &[TraceItem], to: To, target: &Path, out: &mut dyn Write) -> Result<Code> {
    write_file(target, |w| match to {
        To::CsvLong => write::csv_long(w, items),
        To::CsvWide => write::csv_wide(w, items),
        To::Azure2019 => write::azure2019(w, items),
    })
    .context("the trace was not written")?;
    let steps: usize = items.iter().map(|i| i.demand.len()).sum();
    writeln!(
        out,
        "{}: {} items, {steps} steps",
        target.display(),
        items.len()
    )?;
    Ok(Code::Done)
}

fn generate(days: u32, rate: f64, seed: u64, target: &Path, out: &mut dyn Write) -> Result<Code> {
    if days == 0 || days > 3660 || !(rate.is_finite() && rate > 0.0) {
        bail!("--days must be 1 to 3660 and --rate above 0");
    }
    let parameters = sample::Sample {
        days,
        rate,
        ..sample::Sample::default()
    };
    let rates = parameters.rates(Seed(seed));
    let counts = sample::counts(&rates, Seed(seed));
    let values = counts.into_iter().map(f64::from).collect();
    let demand = Series::new(rates.start(), rates.step(), values);
    let item = TraceItem {
        id: "web".to_owned(),
        trigger: String::new(),
        demand,
        durations: None,
        memory: None,
    };
    written(&[item], To::CsvLong, target, out)
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
