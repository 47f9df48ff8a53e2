//! Traces from disk as workloads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use foresail_adapters::io::azure2019::{self, ByName, Kind};
use foresail_adapters::io::{Items, ReadOptions, busiest, compress, read_items};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::TraceItem;
use foresail_sim::experiment::Item;
use foresail_sim::rng::Stream;
use foresail_sim::workload::Workload;

use super::options::{GapsArg, Options, RunArgs};
use super::plan::{Defaults, setup_of};

/// Items that are simulated where none are asked for: all of a small trace.
const ITEMS_DEFAULT: usize = 20;

/// What a trace without run times gets.
pub(super) const DEFAULTS: Defaults = Defaults {
    service: Span::from_millis(100),
    concurrency: 10,
    cpu_per_request: Span::from_millis(100),
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
            files.into_values().collect(),
            options.skip_bad_rows,
        )?));
    }
    let source = compress::open(path).context("name another file with --trace")?;
    Ok(read_items(source, format, options)?)
}

/// Reads the busiest items of a trace; at most that many are held at once.
pub(super) fn read(path: &Path, options: &Options) -> Result<Read> {
    let args = &options.args;
    let reading = ReadOptions::skipping(args.skip_bad_rows);
    let mut items = open(path, args.format.as_deref(), &reading)?;
    let (busiest, of) = busiest(items.as_mut(), args.functions.unwrap_or(ITEMS_DEFAULT))?;
    let skipped = items.skipped().count;
    for note in items.placed().notes() {
        eprintln!("note: {note}");
    }
    let known = Known::read(path, args)?;
    if args.functions.is_none() && of > ITEMS_DEFAULT {
        eprintln!(
            "note: {of} items in the trace; the {ITEMS_DEFAULT} busiest are simulated (--functions N for more)"
        );
    }
    let busiest = busiest.into_iter().filter(|item| item.total() > 0.0);
    let items = busiest
        .map(|item| to_item(item, options, &known))
        .collect::<Result<Vec<_>>>()?;
    if items.is_empty() {
        bail!(
            "{}: no item has a single request; choose another trace or another part of it",
            path.display()
        );
    }
    Ok(Read { items, of, skipped })
}

/// Run times and memory, by name.
#[derive(Debug, Default)]
struct Known {
    durations: ByName,
    memory: ByName,
}

impl Known {
    /// From the named files, and from a folder's own files of every day; an earlier day counts.
    fn read(path: &Path, args: &RunArgs) -> Result<Self> {
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
    if let Some(durations) = &item.durations
        && durations.average > 0.0
        && let Some(mean) = Span::from_seconds_f64(durations.average / 1000.0)
    {
        defaults.service = mean;
        defaults.cpu_per_request = mean;
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
    let within = options.args.arrivals.into();
    Ok(Item {
        id: item.id,
        workload: Workload::Counts {
            start,
            step,
            counts,
            within,
        },
        setup,
    })
}

/// Whole counts; a mean that is not whole is drawn.
fn whole_counts(id: &str, demand: &Series, options: &Options) -> Result<Vec<u32>> {
    let gaps = demand.gaps();
    if gaps > 0 && options.args.gaps == GapsArg::Error {
        let first = demand.iter().position(|v| v.is_none()).unwrap_or(0);
        let at = demand.time_of(first);
        bail!(
            "{id} has {gaps} gaps, the first at {at}; say what they mean: --gaps zero or --gaps hold"
        );
    }
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
        if value > f64::from(u32::MAX) {
            bail!(
                "{id}: a step with {value} requests cannot be simulated one by one; scale the trace down"
            );
        }
        let whole = value.fract() == 0.0;
        counts.push(if whole {
            value as u32
        } else {
            stream.poisson(value) as u32
        });
    }
    Ok(counts)
}
