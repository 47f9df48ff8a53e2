//! `foresail trace generate`: demand that was made, with what is known of it.

use std::io::Write;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::trace::TraceItem;
use foresail_models::rng::Seed;
use foresail_sim::function::Function;
use foresail_sim::rng::Stream;
use foresail_sim::workload::population::Population;
use foresail_sim::workload::{Workload, archetype, sample};

use super::trace::{Count, To};
use crate::cli::whole;
use crate::exit::Code;

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The built-in sample: days, weeks, noise, bursts and a deploy.
    Sample,
    /// Functions with the shape of Azure's: a few are called without end, most hardly ever.
    Population,
    /// Functions that keep their archetype, which their names tell, the archetypes in turn.
    Archetypes,
}

/// What is generated.
#[derive(Args, Debug)]
pub(super) struct Generated {
    /// What is made
    #[arg(long, value_enum, default_value_t = Kind::Sample)]
    kind: Kind,
    /// Days
    #[arg(long, default_value_t = 14, allow_hyphen_values = true)]
    days: u32,
    /// Mean rate of the sample in requests per second [default: 4]
    #[arg(long, allow_hyphen_values = true)]
    rate: Option<f64>,
    /// The only source of chance
    #[arg(long, default_value_t = 42, allow_hyphen_values = true, value_parser = whole)]
    seed: u64,
    /// Items; more than one of the sample have rates from a thousandth to a hundred times --rate,
    /// few the high
    #[arg(long, default_value_t = 1, allow_hyphen_values = true)]
    functions: u32,
}

/// The mean rate of the sample where none is given, in requests per second.
const RATE: f64 = 4.0;

/// The highest rate of one generated item, in requests per second.
const RATE_MAX: f64 = 10_000.0;

/// The most requests that are drawn, each by its own share of chance: the time is in proportion.
const REQUESTS_MAX: f64 = 2e11;

/// Makes a trace and writes it.
///
/// # Errors
/// Where a flag is out of its range, or the trace cannot be written.
pub(super) fn run(what: &Generated, to: &To, out: &mut dyn Write) -> Result<Code> {
    let Generated {
        days, functions, ..
    } = *what;
    if days == 0 || days > 3660 {
        bail!("--days {days}: must be 1 to 3660");
    }
    if functions == 0 || functions > 1_000_000 {
        bail!("--functions {functions}: must be 1 to 1000000");
    }
    if let (Some(rate), Kind::Population | Kind::Archetypes) = (what.rate, what.kind) {
        bail!("--rate {rate:?}: only the sample has a rate; those of other kinds are drawn");
    }
    let (seed, count) = (Seed(what.seed), functions as usize);
    match what.kind {
        Kind::Sample => samples(what, to, out),
        Kind::Population => to.write(out, |writer| {
            let population = Population {
                functions: count,
                days,
            };
            let all = population.functions(seed);
            all.into_iter().try_for_each(|f| add(writer, f))
        }),
        Kind::Archetypes => to.write(out, |writer| {
            let per_class = count.div_ceil(4);
            let all = archetype::Functions { per_class, days }.functions(seed);
            let mut all = all.into_iter().map(|(_, function)| function).take(count);
            all.try_for_each(|f| add(writer, f))
        }),
    }
}

/// Writes a function's calls; its run time and memory have no place in a trace of demand.
fn add(writer: &mut Count<'_>, function: Function) -> Result<()> {
    let Workload::Counts {
        start,
        step,
        counts,
        ..
    } = function.workload
    else {
        bail!("{} has no counts to be written", function.id);
    };
    let values = counts.into_iter().map(f64::from).collect();
    writer.add(&item(function.id, start, step, values))
}

fn item(id: String, start: Timestamp, step: Span, values: Vec<f64>) -> TraceItem {
    TraceItem {
        id,
        trigger: String::new(),
        demand: Series::new(start, step, values),
        durations: None,
        memory: None,
    }
}

/// The name and the rate of each item of the sample; their streams of chance are their own.
fn rates(rate: f64, seed: Seed, functions: u32) -> Vec<(String, f64)> {
    if functions == 1 {
        return vec![("web".to_owned(), rate)];
    }
    let mut stream = Stream::of(seed, "generate/rates");
    // Ten to the power of -3 to 2, and the square keeps most of them low, as real functions are.
    let factor = |u: f64| 10.0_f64.powf(-3.0 + 5.0 * u * u);
    (0..functions)
        .map(|i| {
            let name = format!("owner{}/app{}/function{i}", i / 20, i / 5);
            (name, rate * factor(stream.uniform()))
        })
        .collect()
}

fn samples(what: &Generated, to: &To, out: &mut dyn Write) -> Result<Code> {
    let (days, rate, seed) = (what.days, what.rate.unwrap_or(RATE), Seed(what.seed));
    if !(rate > 0.0 && rate <= RATE_MAX) {
        bail!("--rate {rate:?}: must be above 0, up to {RATE_MAX} requests per second");
    }
    let generated = rates(rate, seed, what.functions);
    let rates: f64 = generated.iter().map(|(_, rate)| rate).sum();
    let requests = rates * 86_400.0 * f64::from(days);
    if requests > REQUESTS_MAX {
        bail!(
            "about {requests:.1e} requests would be drawn, above the limit of {REQUESTS_MAX:e}: lower --rate, --days or --functions"
        );
    }
    to.write(out, |writer| {
        for (i, (id, rate)) in (0..).zip(generated) {
            let parameters = sample::Sample {
                days,
                rate,
                ..sample::Sample::default()
            };
            let seed = Seed(seed.0.wrapping_add(i));
            let rates = parameters.rates(seed);
            let values = sample::counts(&rates, seed).into_iter().map(f64::from);
            writer.add(&item(id, rates.start(), rates.step(), values.collect()))?;
        }
        Ok(())
    })
}
