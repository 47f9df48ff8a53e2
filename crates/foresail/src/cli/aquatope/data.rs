//! Which functions a net is trained on, and their peaks of containers in use.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use foresail_adapters::io::shown;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::TraceItem;
use foresail_models::forecast::pool_net::PoolSeries;
use foresail_models::forecast::pool_net::peaks::of_counts;
use foresail_models::rng::{Seed, child};
use foresail_sim::workload::population::Population;

use super::dataset::{self, NAME_CHARACTERS};
use crate::cli::reading::{Reading, tell};
use crate::forecast::histories::{busiest_of, tell_gaps};
use crate::forecast::pool_taught::{self, BUSY_MIN};

/// Mean run time of a request where nothing tells one, as in `compare`.
const RUN_DEFAULT: Span = Span::from_millis(100);

/// The most days that are read.
const DAYS_MAX: u64 = 366;

/// The most functions that are trained together: a model file names them all.
const FUNCTIONS_MAX: usize = 1000;

/// What the values of a trace are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Values {
    /// Requests per step: they are laid out in time and their overlaps are counted.
    Requests,
    /// Peak containers in use at once, step by step.
    Containers,
}

/// The functions.
#[derive(Args, Debug)]
pub(super) struct Functions {
    /// A function by its HashFunction or owner/app/function, or an item of --trace; may be repeated to
    /// train one net on several
    #[arg(long, value_name = "ID")]
    trace_id: Vec<String>,
    /// Folder of the Azure Functions 2019 data set
    #[arg(long, value_name = "FOLDER", conflicts_with = "trace")]
    dataset_dir: Option<PathBuf>,
    /// Any trace instead of the data set: a file (plain, gzip or zstd), or a folder of day files
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// So many functions of a generated population that no comparison flies, their peaks counted in
    /// the simulator
    #[arg(long, value_name = "N", conflicts_with_all = ["trace", "dataset_dir", "trace_id", "duration"],
        value_parser = clap::value_parser!(u64).range(1..=FUNCTIONS_MAX as u64))]
    generated: Option<u64>,
    #[command(flatten)]
    reading: Reading,
    /// Days that are learnt from, the first of the data set or trace
    #[arg(long, value_name = "N", default_value_t = 7,
        value_parser = clap::value_parser!(u64).range(1..=DAYS_MAX))]
    num_days: u64,
    /// What the values of the trace are
    #[arg(long, value_enum, default_value = "requests")]
    values: Values,
    /// Mean run time of a request [default: the data set's, 100ms where there is none]
    #[arg(long, value_name = "SPAN", value_parser = run_time)]
    duration: Option<Span>,
}

fn run_time(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e| format!("{e}"))?;
    if span > Span::ZERO {
        Ok(span)
    } else {
        Err("must be above zero".to_owned())
    }
}

impl Functions {
    /// Their peaks; says on stderr how they were come by.
    ///
    /// # Errors
    /// Where a file or function is not there, or there is nothing to read at all.
    pub(super) fn read(&self, seed: u64) -> Result<Vec<PoolSeries>> {
        if let Some(count) = self.generated {
            return self.of_population(usize::try_from(count).unwrap_or(FUNCTIONS_MAX), seed);
        }
        let count = self.trace_id.len();
        if count > FUNCTIONS_MAX {
            bail!("{count} functions: at most {FUNCTIONS_MAX} are trained together");
        }
        let items = match (&self.dataset_dir, &self.trace) {
            (Some(folder), _) => self.of_dataset(folder)?,
            (None, Some(file)) => self.of_trace(file)?,
            (None, None) => bail!(
                "there is nothing to learn from: give the folder of the data set with --dataset-dir, a trace with --trace, or --generated N"
            ),
        };
        let peaks = items.into_iter().map(|item| self.peaks(item, seed));
        Ok(peaks.collect())
    }

    /// The functions of a generated population that are busy often enough to be learnt from.
    fn of_population(&self, functions: usize, seed: u64) -> Result<Vec<PoolSeries>> {
        let days = u32::try_from(self.num_days).unwrap_or(u32::MAX);
        let kept = pool_taught::series(&Population { functions, days }, Seed(seed))?;
        let seldom = functions - kept.len();
        if kept.is_empty() {
            bail!(
                "none of {functions} generated functions is busy in {BUSY_MIN} minutes; take more with --generated or --num-days"
            );
        }
        if seldom > 0 {
            eprintln!(
                "note: {} of {functions} generated functions are learnt from; {seldom} have fewer than {BUSY_MIN} busy minutes",
                kept.len()
            );
        }
        Ok(kept)
    }

    fn of_dataset(&self, folder: &Path) -> Result<Vec<TraceItem>> {
        if self.trace_id.is_empty() {
            bail!(
                "--trace-id is missing: name a function of {} by its HashFunction (`foresail trace info` tells the busiest)",
                folder.display()
            );
        }
        let days = usize::try_from(self.num_days).unwrap_or(usize::MAX);
        dataset::read(folder, &self.trace_id, days, self.reading.skips_bad_rows())
    }

    fn of_trace(&self, file: &Path) -> Result<Vec<TraceItem>> {
        let mut items = self.reading.open(file)?;
        let mut found = Vec::new();
        if self.trace_id.is_empty() {
            let (busiest, of) = busiest_of(items.as_mut(), 1, file)?;
            found.extend(busiest);
            if let (Some(item), true) = (found.first(), of > 1) {
                let name = shown(&item.id, NAME_CHARACTERS);
                eprintln!(
                    "note: {of} items in the trace; the busiest, {name}, is taken (--trace-id ID for another)"
                );
            }
        } else {
            let mut others = Vec::new();
            for item in items.by_ref() {
                let item = item?;
                if self
                    .trace_id
                    .iter()
                    .any(|a| dataset::is_asked_for(&item.id, a))
                {
                    found.push(item);
                } else {
                    others.push(item.id);
                }
            }
            self.check_found(&found, others, file)?;
        }
        self.reading.check_order(items.as_ref(), file)?;
        tell(items.as_ref());
        Ok(found.into_iter().map(|item| self.cut(item)).collect())
    }

    fn check_found(&self, found: &[TraceItem], others: Vec<String>, file: &Path) -> Result<()> {
        for asked in &self.trace_id {
            let matching = found.iter().filter(|i| dataset::is_asked_for(&i.id, asked));
            match matching.count() {
                1 => {}
                0 => {
                    let names = others.into_iter().collect();
                    return Err(dataset::unknown(file, asked, &names));
                }
                count => {
                    bail!("--trace-id {asked}: {count} items end in this name; give the whole name")
                }
            }
        }
        Ok(())
    }

    /// The first days of an item.
    fn cut(&self, mut item: TraceItem) -> TraceItem {
        let demand = &item.demand;
        let steps = self.num_days as f64 * 86_400.0 / demand.step().seconds();
        if steps < demand.len() as f64 {
            let values = demand.iter().map(|v| v.unwrap_or(f64::NAN));
            let values = values.take(steps as usize).collect();
            item.demand = Series::new(demand.start(), demand.step(), values);
        }
        item
    }

    fn peaks(&self, item: TraceItem, seed: u64) -> PoolSeries {
        tell_gaps(&item);
        let name = shown(&item.id, NAME_CHARACTERS);
        if self.values == Values::Containers {
            let (id, peaks) = (item.id, item.demand);
            return PoolSeries { id, peaks };
        }
        let measured = item.durations.filter(|d| d.average > 0.0);
        let measured = measured.and_then(|d| Span::from_seconds_f64(d.average / 1e3));
        let (run, source) = match (self.duration, measured) {
            (Some(run), _) => (run, "by --duration"),
            (None, Some(run)) => (run, "by the data set"),
            (None, None) => (RUN_DEFAULT, "as nothing else tells; --duration for another"),
        };
        let mut stream = child(Seed(seed), &format!("aquatope requests {}", item.id));
        let laid = of_counts(&item.demand, run, &mut stream);
        let mean = laid.mean;
        eprintln!("note: {name}: requests run {run} on average ({source}), {mean:.3} at once");
        if laid.thinned > 1.0 {
            let k = laid.thinned;
            eprintln!(
                "note: {name}: one in {k:.1} requests was laid out, each {k:.1} times as long"
            );
        }
        PoolSeries {
            id: item.id,
            peaks: laid.peaks,
        }
    }
}
