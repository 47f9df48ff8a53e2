//! Traces from disk as workloads.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use foresail_adapters::io::azure2019::{self, ByName, Kind};
use foresail_adapters::io::{self, Items, ReadOptions, compress, read_items, shown};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::TraceItem;
use foresail_models::rng::Seed;
use foresail_sim::config::Shape;
use foresail_sim::experiment::Item;
use foresail_sim::rng::Stream;
use foresail_sim::service::times_of;
use foresail_sim::workload::{Within, Workload};

use crate::forecast::histories::held;

use super::options::{GapsArg, ModeArg, Options, RunArgs};
use super::plan::{Defaults, setup_of};

/// Items that are simulated where none are asked for: all of a small trace.
const ITEMS_DEFAULT: usize = 20;

/// What a trace without run times gets.
pub(super) const DEFAULTS: Defaults = Defaults {
    service: Span::from_millis(100),
    concurrency: 10,
    cpu_per_request: Span::from_millis(100),
    shape: Shape::Exponential,
};

/// What was read of a trace.
#[derive(Debug)]
pub(super) struct Read {
    /// The items to be simulated, the busiest first.
    pub(super) items: Vec<Item>,
    /// Items in the trace.
    pub(super) of: usize,
    /// Bad rows that were skipped.
    pub(super) skipped: u64,
}

/// Opens a trace: a file, or a folder of Azure day files.
pub fn open(path: &Path, format: Option<&str>, options: &ReadOptions) -> Result<Box<dyn Items>> {
    if path.is_dir() {
        let files = azure2019::day_files(path, Kind::Invocations)?;
        if files.is_empty() {
            let name = path.display();
            bail!(
                "{name} holds no file named invocations_per_function_md.anon.dNN.csv; name a file instead"
            );
        }
        return Ok(Box::new(azure2019::Days::open(
            files,
            options.skip_bad_rows,
        )?));
    }
    Ok(read_items(compress::open(path)?, format, options)?)
}

/// The busiest items of a trace, those without a request left out.
#[derive(Debug)]
pub(super) struct Busiest {
    /// Their demand, the busiest first.
    pub(super) items: Vec<TraceItem>,
    /// Items in the trace.
    pub(super) of: usize,
    /// Bad rows that were skipped.
    pub(super) skipped: u64,
}

/// Items that are read at once.
fn most(options: &Options) -> usize {
    if options.streamed().is_some() {
        // The busiest stands for all where parameters are shown; the rest comes in chunks.
        1
    } else {
        options.args.functions.unwrap_or(ITEMS_DEFAULT)
    }
}

/// Reads the `most` busiest items of a trace; at most that many are held at once.
pub(super) fn busiest(path: &Path, args: &RunArgs, most: usize) -> Result<Busiest> {
    let reading = ReadOptions::skipping(args.skip_bad_rows);
    let mut items = open(path, args.format.as_deref(), &reading)?;
    let (busiest, of) = io::busiest(items.as_mut(), most)?;
    let skipped = items.skipped().count;
    for note in items.notes() {
        eprintln!("note: {note}");
    }
    let items: Vec<_> = busiest.into_iter().filter(|i| i.total() > 0.0).collect();
    if items.is_empty() {
        bail!(
            "{}: no item has a single request; choose another trace or another part of it",
            path.display()
        );
    }
    Ok(Busiest { items, of, skipped })
}

/// Reads the busiest items of a trace as workloads with their setups.
pub(super) fn read(path: &Path, options: &Options) -> Result<Read> {
    let args = &options.args;
    let Busiest { items, of, skipped } = busiest(path, args, most(options))?;
    let known = Known::read(path, args)?;
    if args.functions.is_none() && of > ITEMS_DEFAULT {
        eprintln!(
            "note: {of} items in the trace; the {ITEMS_DEFAULT} busiest are simulated (--functions N for more)"
        );
    }
    let items = items
        .into_iter()
        .map(|item| to_item(item, options, &known))
        .collect::<Result<Vec<_>>>()?;
    Ok(Read { items, of, skipped })
}

/// Hands out every item that has a request, so many at once; the last chunk may be smaller.
///
/// # Errors
/// Where the trace cannot be read, and what `take` gives.
pub(super) fn in_chunks(
    path: &Path,
    options: &Options,
    size: usize,
    take: &mut dyn FnMut(&[Item]) -> Result<()>,
) -> Result<()> {
    let args = &options.args;
    let known = Known::read(path, args)?;
    let mut chunk = Vec::with_capacity(size);
    let reading = ReadOptions::skipping(args.skip_bad_rows);
    for item in open(path, args.format.as_deref(), &reading)? {
        let item = item?;
        if item.total() > 0.0 {
            chunk.push(to_item(item, options, &known)?);
        }
        if chunk.len() == size {
            take(&chunk)?;
            chunk.clear();
        }
    }
    if chunk.is_empty() {
        Ok(())
    } else {
        take(&chunk)
    }
}

/// Run times and memory, by name.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) durations: ByName,
    pub(super) memory: ByName,
}

impl Known {
    /// From the named files, and from a folder's own files of every day; an earlier day counts.
    pub(super) fn read(path: &Path, args: &RunArgs) -> Result<Self> {
        let mut known = Self::default();
        let of = |kind: Kind, named: Option<&PathBuf>| -> Result<ByName> {
            let mut files: Vec<PathBuf> = named.into_iter().cloned().collect();
            if path.is_dir() {
                files.extend(azure2019::day_files(path, kind)?.into_values());
            }
            let mut all = ByName::new();
            for file in files {
                for (name, percentiles) in azure2019::read_percentiles(compress::open(&file)?)? {
                    all.entry(name).or_insert(percentiles);
                }
            }
            Ok(all)
        };
        known.durations = of(Kind::Durations, args.durations.as_ref())?;
        known.memory = of(Kind::Memory, args.memory.as_ref())?;
        Ok(known)
    }
}

fn to_item(mut item: TraceItem, options: &Options, known: &Known) -> Result<Item> {
    azure2019::join(&mut item, &known.durations, &known.memory);
    let counts = whole_counts(&item.id, &item.demand, options)?;
    let mut defaults = DEFAULTS;
    if let Some(times) = item.durations.as_ref().and_then(times_of) {
        defaults.service = times.mean;
        defaults.cpu_per_request = times.mean;
        defaults.shape = times.shape;
    }
    let short: String = item
        .id
        .rsplit('/')
        .next()
        .unwrap_or(&item.id)
        .chars()
        .take(12)
        .collect();
    let setup = setup_of(
        options,
        TargetId::new(&format!("trace/Function/{short}")),
        &defaults,
    );
    let (start, step) = (item.demand.start(), item.demand.step());
    Ok(Item {
        id: item.id,
        workload: options.args.arrivals.workload(start, step, counts),
        setup,
    })
}

/// Requests of one step that are simulated one by one: the times of a step are held together.
const STEP_MAX: f64 = 1e7;

/// Requests of one item that are simulated one by one.
const ITEM_MAX: f64 = 2e9;

/// Refuses what would run out of memory or not come to an end; fluid mode has no such limit.
fn check_size(id: &str, demand: &Series, mode: ModeArg) -> Result<()> {
    let id = shown(id, 200);
    let (step_max, sum_max) = match mode {
        ModeArg::Fluid => (f64::from(u32::MAX), f64::INFINITY),
        ModeArg::Event | ModeArg::Function => (STEP_MAX, ITEM_MAX),
    };
    let large = |v: Option<f64>| v.filter(|v| *v > step_max);
    let first = demand
        .iter()
        .enumerate()
        .find_map(|(i, v)| Some((i, large(v)?)));
    let mend = match mode {
        ModeArg::Fluid => "scale the trace down",
        _ => "--mode fluid has no such limit, or scale the trace down",
    };
    if let Some((i, value)) = first {
        let at = demand.time_of(i);
        bail!("{id}: the step at {at} has {value} requests, above the limit of {step_max}; {mend}");
    }
    let sum: f64 = demand.iter().flatten().sum();
    if sum > sum_max {
        bail!("{id}: {sum} requests in all are above the limit of {sum_max} of one run; {mend}");
    }
    Ok(())
}

/// Whole counts; a mean that is not whole is drawn.
pub(super) fn whole_counts(id: &str, demand: &Series, options: &Options) -> Result<Vec<u32>> {
    let gaps = demand.gaps();
    if gaps > 0 && options.args.gaps == GapsArg::Error {
        let first = demand.iter().position(|v| v.is_none()).unwrap_or(0);
        let at = demand.time_of(first);
        bail!(
            "{} has {gaps} gaps, the first at {at}; say what they mean: --gaps zero or --gaps hold",
            shown(id, 200)
        );
    }
    check_size(id, demand, options.args.mode)?;
    let mut stream = Stream::of(options.seed, &format!("counts/{id}"));
    let mut last = 0.0;
    let mut counts = Vec::with_capacity(demand.len());
    for value in demand.iter() {
        let value = match (value, options.args.gaps) {
            (Some(value), _) => value,
            (None, GapsArg::Hold) => last,
            (None, GapsArg::Zero | GapsArg::Error) => 0.0,
        };
        last = value;
        let whole = value.fract() == 0.0;
        counts.push(if whole {
            value as u32
        } else {
            stream.poisson(value) as u32
        });
    }
    Ok(counts)
}

/// An item's demand as counts per minute; a gap holds the minute before it, the first ones the first
/// to come.
///
/// What is no whole number is a mean and drawn, or calls below one half would never come.
///
/// # Errors
/// Where it has other steps than minutes.
pub(crate) fn minutes(item: &TraceItem, path: &Path, seed: Seed) -> Result<Workload> {
    let series = &item.demand;
    if series.step() != Span::from_seconds(60) {
        let (name, seconds) = (path.display(), series.step().seconds());
        bail!("{name} has steps of {seconds} s where minutes are needed; convert it first");
    }
    if series.gaps() > 0 {
        eprintln!(
            "note: {}: {} minutes are missing; each holds the one before",
            item.id,
            series.gaps()
        );
    }
    let mut stream = Stream::of(seed, &format!("counts/{}", item.id));
    let counts = held(series).into_iter().map(|v| {
        if v.fract() > 0.0 {
            stream.poisson(v) as u32
        } else {
            v as u32
        }
    });
    Ok(Workload::Counts {
        start: series.start(),
        step: series.step(),
        counts: counts.collect(),
        within: Within::Poisson,
    })
}
